"""Conditions: hysteresis, the age of what they look at, and what happens without it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irrigation.condition import (
    KINDS,
    LEAD,
    Answer,
    Condition,
    ConditionKind,
    Missing,
    Observed,
    Subject,
    first_stop,
    judge,
    key,
    latched,
    stopped,
    youngest,
)

NOW = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
SUBJECTS = {Subject.FARM: None, Subject.ZONE: "dau-tay", Subject.SOURCE: "suoi"}
FROST = Condition(kind=ConditionKind.FROST, limit=2, release=4)
WET = Condition(kind=ConditionKind.SOIL_WET, limit=36, release=32, missing=Missing.SKIP)


def seen(condition: Condition, value: float, *, age_min: float = 0, subject_id: str | None = None) -> Observed:
    at = NOW - timedelta(minutes=age_min)
    return Observed(kind=condition.kind, value=value, at=at, subject_id=subject_id, hours=condition.of_hours)


@pytest.mark.parametrize(
    ("condition", "values", "stops"),
    [
        (WET, [35.9, 36, 33, 32.1, 32, 35], [False, True, True, True, False, False]),
        (FROST, [5, 2, 3.9, 4, 2.1, 1], [False, True, True, False, False, True]),
        (Condition(kind=ConditionKind.WIND, limit=8), [7.9, 8, 7.9], [False, True, False]),
        (Condition(kind=ConditionKind.SOURCE_LOW, limit=20, release=35), [30, 20, 34, 35], [False, True, True, False]),
    ],
)
def test_a_condition_stops_at_its_limit_and_lets_go_at_its_release(
    condition: Condition, values: list[float], stops: list[bool]
) -> None:
    state, told = False, []
    for value in values:
        state = stopped(condition, value, latched=state)
        told.append(state)
    assert told == stops


def test_a_value_counts_until_it_is_too_old_when_the_watering_is_due() -> None:
    fresh = seen(FROST, 1, age_min=90)
    assert judge(FROST, fresh, NOW, NOW, latched=False).answer is Answer.STOPS
    assert judge(FROST, fresh, NOW + timedelta(minutes=1), NOW, latched=False).answer is Answer.MISSING
    old = seen(FROST, 1, age_min=91)
    judged = judge(FROST, old, NOW, NOW, latched=False)
    assert (judged.answer, judged.value, judged.age_min) == (Answer.MISSING, None, 91)


def test_the_weather_of_before_a_long_power_cut_decides_nothing() -> None:
    yesterday = seen(FROST, -3, age_min=24 * 60)
    assert judge(FROST, yesterday, NOW, NOW, latched=True).answer is Answer.MISSING


def test_what_is_due_later_waits_for_its_value_until_boards_must_know() -> None:
    for due, answer in ((NOW + LEAD + timedelta(seconds=1), Answer.LATER), (NOW + LEAD, Answer.MISSING)):
        assert judge(FROST, None, due, NOW, latched=False).answer is answer
    soon = judge(FROST, seen(FROST, 1), NOW + timedelta(hours=1), NOW, latched=False)
    assert (soon.answer, soon.value, soon.age_min) == (Answer.STOPS, 1, 0)


@pytest.mark.parametrize(("missing", "stops"), [(Missing.RUN, False), (Missing.SKIP, True), (Missing.ASK, True)])
def test_without_a_value_the_declared_policy_holds(missing: Missing, stops: bool) -> None:
    condition = Condition(kind=ConditionKind.RAIN_FALLEN, limit=5, missing=missing)
    found = first_stop([condition], SUBJECTS, [], [], NOW, NOW)
    assert (found is not None) is stops
    assert found is None or found.answer is Answer.MISSING


def test_the_first_condition_that_stops_is_the_reason_and_each_looks_at_its_own_subject() -> None:
    rain = Condition(kind=ConditionKind.RAIN_FALLEN, limit=5, hours=12)
    values = [
        seen(rain, 9), Observed(kind=ConditionKind.RAIN_FALLEN, value=0, at=NOW, hours=24),
        seen(WET, 40, subject_id="dau-tay"), seen(WET, 10, subject_id="ngo"),
    ]  # fmt: skip
    found = first_stop([FROST, WET, rain], SUBJECTS, values, [], NOW, NOW)
    assert found is not None
    assert (found.condition, found.value) == (WET, 40)
    other_zone = {**SUBJECTS, Subject.ZONE: "ngo"}
    found = first_stop([FROST, WET, rain], other_zone, values, [], NOW, NOW)
    assert found is not None
    assert (found.condition, found.value) == (rain, 9)


def test_the_youngest_value_counts() -> None:
    values = [seen(FROST, 9, age_min=30), seen(FROST, 1, age_min=5), seen(FROST, 9, age_min=60)]
    found = youngest(FROST, None, values)
    assert found is not None
    assert found.value == 1


def test_a_latch_holds_over_a_missing_value_and_goes_with_its_condition() -> None:
    conditions: list[tuple[Condition, str | None]] = [(WET, "dau-tay"), (WET, "ngo"), (FROST, None)]
    first = latched(conditions, [seen(WET, 40, subject_id="dau-tay"), seen(FROST, 1)], [])
    assert first == {key(WET, "dau-tay"), key(FROST, None)}
    again = latched(conditions, [seen(FROST, 3.5)], first)
    assert again == first
    assert latched([(FROST, None)], [seen(FROST, 4)], again) == frozenset()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"kind": ConditionKind.FROST, "limit": 40}, "condition frost: limit must be between -20 and 15 degC"),
        ({"kind": ConditionKind.WIND, "limit": 8, "release": 9}, "release must be at most the limit 8 m/s, not 9"),
        ({"kind": ConditionKind.FROST, "limit": 2, "release": 1}, "release must be at least the limit 2 degC, not 1"),
        ({"kind": ConditionKind.WIND, "limit": 8, "hours": 3}, "hours goes with rain-fallen and rain-forecast"),
        ({"kind": ConditionKind.RAIN_FALLEN, "limit": 5, "hours": 0}, "hours must be between 1 and 168 h"),
        ({"kind": ConditionKind.HEAT, "limit": 38, "max_age_min": 0}, "max_age_min must be between 1 and"),
    ],
)
def test_what_cannot_be_a_condition_says_why(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Condition(**more)


# --- laws -----------------------------------------------------------------------------------------------------------


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    kind = draw(st.sampled_from(ConditionKind))
    row = KINDS[kind]
    limit = draw(st.floats(row.low, row.high))
    release = draw(st.floats(min(row.low, 0), limit) if row.stops_above else st.floats(limit, row.high))
    return Condition(kind=kind, limit=limit, release=release, missing=draw(st.sampled_from(Missing)))


values = st.floats(-30, 600)


@given(conditions(), values, values)
def test_a_latch_only_ever_stops_more(condition: Condition, value: float, other: float) -> None:
    free, held = (stopped(condition, value, latched=was) for was in (False, True))
    assert held or not free
    worse = max(value, other) if KINDS[condition.kind].stops_above else min(value, other)
    assert stopped(condition, worse, latched=False) or not free


@given(st.lists(conditions(), max_size=4), conditions(), st.lists(st.tuples(conditions(), values), max_size=6))
def test_one_condition_more_never_lets_through_what_was_stopped(
    some: list[Condition], one_more: Condition, observed: list[tuple[Condition, float]]
) -> None:
    subject = {Subject.FARM: None, Subject.ZONE: None, Subject.SOURCE: None}
    saw = [seen(condition, value) for condition, value in observed]
    before = first_stop(some, subject, saw, [], NOW, NOW)
    after = first_stop([*some, one_more], subject, saw, [], NOW, NOW)
    assert before is None or after == before
