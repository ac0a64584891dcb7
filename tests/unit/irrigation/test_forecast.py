"""A forecast of rain: what people may tell, and what conditions see of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from irrigation.condition import Condition, ConditionKind, Missing
from irrigation.model import Expected, Forecast, PlanState, Rule
from irrigation.planner import compile_timetable
from tests.unit.irrigation.farms import farm, program

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)  # programs of the farm in UTC start at 05:00
RAIN = Condition(kind=ConditionKind.RAIN_FORECAST, limit=10, hours=48, missing=Missing.SKIP)


def forecast(*rain: tuple[int, float], at: datetime = NOW) -> Forecast:
    return Forecast(issued_at=at, rain=tuple(Expected(hours=hours, mm=mm) for hours, mm in rain))


def test_a_condition_takes_the_sum_of_its_hours_or_at_least_that_of_fewer() -> None:
    told = forecast((24, 6), (72, 30))
    seen = {one.hours: (one.value, one.partial) for one in told.observed((12, 24, 48, 72, 168))}
    assert seen == {24: (6, False), 48: (6, True), 72: (30, False), 168: (30, True)}


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        (forecast((48, 12)), Rule.RAIN_FORECAST),
        (forecast((24, 12)), Rule.RAIN_FORECAST),  # 12 mm in a day are no less in two
        (forecast((48, 9)), None),
        (forecast((24, 9)), Rule.NO_VALUE),  # who knows what the second day brings
        (forecast((48, 12), at=NOW - timedelta(hours=12)), Rule.NO_VALUE),
        (None, Rule.NO_VALUE),
    ],
)
def test_the_plan_goes_by_the_forecast_that_people_gave(told: Forecast | None, rule: Rule | None) -> None:
    of = farm(replace(program("p", ("a", 20)), conditions=(RAIN,)))
    now = NOW + timedelta(minutes=58)
    due = NOW + timedelta(hours=1)
    table = compile_timetable(replace(of, forecast=told), PlanState(), now, days=1, version=1)
    assert [skip.rule for skip in table.skipped if skip.due == due] == ([] if rule is None else [rule])


@pytest.mark.parametrize(
    ("rain", "sentence"),
    [
        ((), "forecast.rain must say at least once"),
        (((24, 5), (24, 6)), "forecast.rain must have different hours"),
        (((24, 5), (48, 4)), "no less mm in more of them: 5 mm in 24 h and 4 mm in 48 h"),
        (((0, 5),), "forecast.rain: hours must be between 1 and 168 h, not 0"),
        (((24, -1),), "forecast.rain: mm must be between 0 and 1000 mm, not -1"),
    ],
)
def test_what_cannot_be_a_forecast_says_why(rain: tuple[tuple[int, float], ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        forecast(*rain)
