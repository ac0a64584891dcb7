"""What boards measure, as conditions see it; and what becomes of the plan by it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.messages import UNIT, DecisionEvent, Quality, Quantity, Reading
from gateway.planning.weather import Heard, moistures, observed, with_readings
from irrigation.condition import LEAD, Condition, ConditionKind, Missing, Observed, key
from irrigation.model import Program, Result, Rule, SensorAt
from tests.unit.gateway import farm as f
from tests.unit.gateway.office import Office

NOW = f.NOW
MINUTE = timedelta(minutes=1)
DUE = NOW + timedelta(hours=1)  # 11:00 at the farm
RAIN = Condition(kind=ConditionKind.RAIN_FALLEN, limit=5, release=2)
LEVELLED = f.farm(
    sources=(replace(f.FARM.sources[0], level=SensorAt(node_id="board-2", sensor="tank")), f.FARM.sources[1])
)


def reading(quantity: Quantity, value: float | None, at: datetime = NOW, sensor: str = "s", **more: Any) -> Reading:
    return Reading(seq=1, sensor=sensor, quantity=quantity, value=value, unit=UNIT[quantity], at=at, **more)


def heard(*readings: Reading, node_id: str = "board-1", now: datetime = NOW) -> Heard:
    return with_readings(Heard(), node_id, readings, now)


def a_day_of_rain(*mm: float, until: datetime = NOW) -> list[Reading]:
    """Readings of every half hour of a day, the last of which told of these."""
    depths = [0.0] * (48 - len(mm)) + list(mm)
    return [reading(Quantity.RAIN, depth, until - (47 - n) * 30 * MINUTE) for n, depth in enumerate(depths)]


def of_kind(kind: ConditionKind, found: tuple[Observed, ...]) -> Observed:
    (one,) = [each for each in found if each.kind is kind]
    return one


# --- what is seen ---


def test_rain_is_summed_over_the_hours_that_conditions_ask_for() -> None:
    program = f.program("p", "beans", conditions=(replace(RAIN, hours=2), RAIN))
    told = heard(*a_day_of_rain(4, 0, 0, 1.25, 1))
    found = {one.hours: (one.value, one.partial) for one in observed(told, f.farm(programs=(program,)))}
    assert found == {2: (2.25, False), 24: (6.25, False)}
    assert {one.hours for one in observed(told, f.FARM)} == {24}


def test_a_gauge_that_was_not_heard_all_the_time_tells_of_at_least_so_much() -> None:
    few = of_kind(ConditionKind.RAIN_FALLEN, observed(heard(*a_day_of_rain(3)[-20:]), f.FARM))
    assert (few.value, few.partial) == (3, True)
    late = with_readings(heard(*a_day_of_rain(3)[-20:]), "board-1", a_day_of_rain(3)[:28], NOW)
    assert not of_kind(ConditionKind.RAIN_FALLEN, observed(late, f.FARM)).partial


def test_of_three_gauges_the_one_under_the_sprinkler_does_not_count() -> None:
    told = heard(*a_day_of_rain(1))
    for n, mm in enumerate((30, 2)):
        wet = [one.model_copy(update={"sensor": f"g{n}"}) for one in a_day_of_rain(mm)]
        told = with_readings(told, "board-2", wet, NOW)
    assert of_kind(ConditionKind.RAIN_FALLEN, observed(told, f.FARM)).value == 2


def test_frost_takes_the_coldest_heat_the_warmest_and_wind_the_strongest_of_those_heard_of_late() -> None:
    told = heard(
        *(reading(Quantity.AIR_TEMPERATURE, c, NOW - n * MINUTE, f"air-{n}") for n, c in ((0, 12), (29, 3), (31, -5))),
        *(reading(Quantity.WIND, speed, NOW, f"wind-{speed}") for speed in (2, 7)),
    )
    found = {one.kind: (one.value, one.at) for one in observed(told, f.FARM)}
    assert found == {
        ConditionKind.FROST: (3, NOW - 29 * MINUTE), ConditionKind.HEAT: (12, NOW), ConditionKind.WIND: (7, NOW),
    }  # fmt: skip


def test_a_level_is_the_sources_that_names_its_sensor() -> None:
    told = heard(reading(Quantity.LEVEL, 18, sensor="tank"), node_id="board-2")
    level = of_kind(ConditionKind.SOURCE_LOW, observed(told, LEVELLED))
    assert (level.value, level.subject_id) == (18, "tank")
    assert observed(told, f.FARM) == ()
    assert observed(heard(reading(Quantity.LEVEL, 18, sensor="tank")), LEVELLED) == ()  # another board's


def test_a_zones_soil_is_its_driest_probe_and_one_that_fell_silent_is_not_it() -> None:
    farm = f.farm(zones=(replace(f.FARM.zones[0], sensors=("a", "b", "c")),))
    told = heard(
        reading(Quantity.SOIL_MOISTURE, 30, sensor="a"), reading(Quantity.SOIL_MOISTURE, 28, sensor="b"),
        reading(Quantity.SOIL_MOISTURE, 5, NOW - 40 * MINUTE, sensor="c"),
    )  # fmt: skip
    assert moistures(told, farm)["beans"].pct == 28


@pytest.mark.parametrize(
    "bad",
    [
        {"quality": Quality.SUSPECT, "reason": "jump"},
        {"clock_trusted": False},
        {"at": NOW + 6 * MINUTE},
        {"value": None, "quality": Quality.BAD, "reason": "open"},
    ],
)
def test_what_cannot_be_believed_or_has_no_sure_time_is_not_seen(bad: dict[str, Any]) -> None:
    for quantity in (Quantity.RAIN, Quantity.AIR_TEMPERATURE):
        given = {"quantity": quantity, "value": 9.0, "at": NOW} | bad
        assert observed(heard(reading(**given)), f.FARM) == ()


# --- what becomes of it ---


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "journal.sqlite3")
    made.hear("board-1", "board-2")
    yield made
    made.db.close()


def conditioned(*conditions: Condition, **more: Any) -> Program:
    return f.program("p", "beans", start="11:00", conditions=conditions, **more)


def entry_ids(office: Office, node_id: str = "board-1") -> list[datetime]:
    return [entry.due for entry in office.plan.parts[node_id].entries if entry.due < NOW + timedelta(days=1)]


def test_rain_that_reaches_the_limit_takes_the_next_watering_from_its_board_and_says_why(office: Office) -> None:
    office.configure(f.farm(programs=(conditioned(RAIN),)), 2)
    assert not office.measure("board-2", *a_day_of_rain(2, until=NOW - MINUTE))
    assert entry_ids(office) == [DUE]
    assert office.measure("board-2", reading(Quantity.RAIN, 3))
    assert office.plan.compile(NOW)
    assert entry_ids(office) == []
    assert office.plan.timetable is not None
    assert office.plan.timetable.known is not None
    assert office.plan.timetable.known.latches
    (skip,) = [one for one in office.plan.timetable.skipped if one.due == DUE]
    assert (skip.rule, skip.params["rain_mm"], skip.params["age_min"]) == (Rule.RAIN_FALLEN, 5, 60)
    assert not office.measure("board-2", reading(Quantity.RAIN, 1, NOW + MINUTE), now=NOW + MINUTE)  # nothing new by it
    assert office.plan.settle_skips(DUE)
    (event,) = office.told(DecisionEvent)
    assert (event.decision.result, event.decision.rule) == (Result.SKIPPED, Rule.RAIN_FALLEN)


def test_a_batch_that_comes_twice_is_rain_once(office: Office) -> None:
    office.configure(f.farm(programs=(conditioned(RAIN),)), 2)
    office.measure("board-2", *a_day_of_rain(3))
    office._told["board-2"] = 0
    assert not office.measure("board-2", *a_day_of_rain(3))
    assert office.plan.known(f.FARM).observed[0].value == 3


def test_after_a_restart_it_decides_by_the_same_and_after_a_long_one_by_nothing(office: Office, tmp_path: Path) -> None:
    farm = f.farm(programs=(conditioned(RAIN),))
    office.configure(farm, 2)
    office.measure("board-2", *a_day_of_rain(8))
    known = office.plan.known(farm)
    office.plan.load()  # as the next process does
    assert office.plan.known(farm) == known
    assert office.plan.compile(NOW)
    assert entry_ids(office) == []
    night_after = DUE + timedelta(hours=23)
    office.clock_shows = night_after
    office.plan.compile(night_after)
    assert office.plan.timetable is not None
    (entry, *_) = office.plan.timetable.entries
    assert entry.due == DUE + timedelta(days=1)
    moved = with_readings(Heard(), "board-2", [reading(Quantity.RAIN, 3, night_after)], night_after)
    assert observed(moved, farm)
    office.measure("board-2", reading(Quantity.RAIN, 3, night_after), now=night_after)  # between release and limit
    assert office.plan.known(farm).latches == {}


def test_a_condition_that_has_not_let_go_yet_holds_over_a_restart(office: Office) -> None:
    frost = Condition(kind=ConditionKind.FROST, limit=2, release=4)
    farm = f.farm(programs=(conditioned(frost),))
    office.configure(farm, 2)
    for minute, celsius in ((0, 1.5), (1, 3.0)):
        office.measure("board-1", reading(Quantity.AIR_TEMPERATURE, celsius, NOW + minute * MINUTE), now=NOW + MINUTE)
    office.plan.load()
    assert office.plan.known(farm).latches == {key(frost, None): NOW + MINUTE}
    office.plan.compile(NOW + MINUTE)
    assert entry_ids(office) == []


@pytest.mark.parametrize(("missing", "rule"), [(Missing.SKIP, Rule.NO_VALUE), (Missing.ASK, Rule.ASK_PERSON)])
def test_a_board_is_told_of_what_needs_a_value_when_the_value_is_there(
    office: Office, missing: Missing, rule: Rule
) -> None:
    frost = Condition(kind=ConditionKind.FROST, limit=2, max_age_min=30, missing=missing)
    office.configure(f.farm(programs=(conditioned(frost),)), 2)
    assert entry_ids(office) == []
    assert office.plan.parts["board-1"].base == ()
    assert office.plan.timetable is not None
    assert [entry.awaits for entry in office.plan.timetable.entries if entry.due == DUE] == [ConditionKind.FROST]
    assert office.plan.next_judgement(NOW) == DUE - LEAD
    soon = DUE - 29 * MINUTE
    assert office.measure("board-1", reading(Quantity.AIR_TEMPERATURE, 9, soon), now=soon)
    office.plan.compile(soon)
    assert entry_ids(office) == [DUE]
    assert not office.measure("board-1", reading(Quantity.AIR_TEMPERATURE, 8, soon + MINUTE), now=soon + MINUTE)
    tomorrow = DUE + timedelta(days=1) - LEAD
    office.clock_shows = tomorrow
    office.plan.compile(tomorrow)
    (skip,) = [one for one in office.plan.timetable.skipped if one.due == DUE + timedelta(days=1)]
    assert (skip.rule, skip.params["of"]) == (rule, "frost")


def test_the_place_of_what_was_taken_away_stays_empty_until_it_would_have_ended(office: Office) -> None:
    zones = tuple(replace(zone, sensors=("s",)) if zone.id == "beans" else zone for zone in f.FARM.zones)
    wet = Condition(kind=ConditionKind.SOIL_WET, limit=30)
    both = f.program("p", "beans", "plums", start="11:00", conditions=(wet,))
    office.configure(f.farm(zones=zones, programs=(both,)), 2)
    office.measure("board-1", reading(Quantity.SOIL_MOISTURE, 33))
    for now in (NOW, DUE, DUE + 5 * MINUTE):
        office.clock_shows = now
        office.plan.compile(now)
        assert office.plan.timetable is not None
        starts = [entry.start for entry in office.plan.timetable.entries if entry.due == DUE]
        assert starts == [DUE + 20 * MINUTE]
    (event,) = office.told(DecisionEvent)
    assert event.decision.zone_id == "beans"


def test_a_part_that_a_board_out_of_hearing_holds_is_not_looked_at_with_every_reading(office: Office) -> None:
    office.configure(f.farm(programs=(conditioned(RAIN),)), 2)
    office.hear("board-1", version=office.plan.parts["board-1"].version)
    assert office.plan.confirm("board-1")
    away = NOW + 5 * MINUTE
    office.clock_shows = away
    assert office.measure("board-2", *a_day_of_rain(9, until=away), now=away)
    office.plan.compile(away)
    assert entry_ids(office) == [DUE]  # nobody can take it back: it will run, and the plan says so
    assert not office.measure("board-2", reading(Quantity.RAIN, 1, away + MINUTE), now=away + MINUTE)
