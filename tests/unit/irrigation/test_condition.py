"""Conditions: hysteresis, the age of what they look at, and what happens without it."""

from dataclasses import replace
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
    distinct,
    judge,
    key,
    latched,
    stopped,
)

NOW = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
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
    assert judge(FROST, fresh, NOW, NOW).answer is Answer.STOPS
    assert judge(FROST, fresh, NOW + timedelta(minutes=1), NOW).answer is Answer.MISSING
    old = seen(FROST, 1, age_min=91)
    judged = judge(FROST, old, NOW, NOW)
    assert (judged.answer, judged.value, judged.age_min) == (Answer.MISSING, None, 91)


def test_the_weather_of_before_a_long_power_cut_decides_nothing() -> None:
    yesterday = seen(FROST, -3, age_min=24 * 60)
    assert judge(FROST, yesterday, NOW, NOW, latched_at=yesterday.at).answer is Answer.MISSING
    between = seen(FROST, 3)  # stopped yesterday, which is too long ago to hold it
    assert judge(FROST, between, NOW, NOW, latched_at=yesterday.at).answer is Answer.PASSES
    assert judge(FROST, between, NOW, NOW, latched_at=NOW - timedelta(minutes=90)).answer is Answer.STOPS
    assert latched([(FROST, None)], [between], {key(FROST, None): yesterday.at}) == {}


def test_a_sum_of_which_not_all_was_heard_stops_but_lets_nothing_pass() -> None:
    rain = Condition(kind=ConditionKind.RAIN_FALLEN, limit=5, release=2)
    for value, answer in ((5.0, Answer.STOPS), (4.9, Answer.MISSING), (0.0, Answer.MISSING)):
        part = replace(seen(rain, value), partial=True)
        assert judge(rain, part, NOW, NOW).answer is answer
        held = latched([(rain, None)], [part], {key(rain, None): NOW - timedelta(minutes=5)})
        assert held == {key(rain, None): NOW if value > 2 else NOW - timedelta(minutes=5)}


def test_what_is_due_later_waits_for_its_value_until_boards_must_know() -> None:
    for due, answer in ((NOW + LEAD + timedelta(seconds=1), Answer.LATER), (NOW + LEAD, Answer.MISSING)):
        assert judge(FROST, None, due, NOW).answer is answer
    soon = judge(FROST, seen(FROST, 1), NOW + timedelta(hours=1), NOW)
    assert (soon.answer, soon.value, soon.age_min) == (Answer.STOPS, 1, 60)


def test_a_latch_holds_over_a_missing_value_and_goes_with_its_condition() -> None:
    conditions: list[tuple[Condition, str | None]] = [(WET, "dau-tay"), (WET, "ngo"), (FROST, None)]
    first = latched(conditions, [seen(WET, 40, subject_id="dau-tay"), seen(FROST, 1)], {})
    assert first == {key(WET, "dau-tay"): NOW, key(FROST, None): NOW}
    again = latched(conditions, [seen(FROST, 3.5)], first)
    assert again == first
    assert latched([(FROST, None)], [seen(FROST, 4, age_min=-1)], again) == {}


def test_a_latch_is_not_held_by_an_equal_condition_whose_values_count_for_longer() -> None:
    short, long = replace(FROST, max_age_min=60), replace(FROST, max_age_min=600)
    both: list[tuple[Condition, str | None]] = [(short, None), (long, None)]
    cold = latched(both, [seen(FROST, 1, age_min=300)], {})
    between = seen(FROST, 3)
    after = latched(both, [between], cold)
    assert after == {key(long, None): NOW}
    for condition, answer in ((short, Answer.PASSES), (long, Answer.STOPS)):
        assert judge(condition, between, NOW, NOW, latched_at=after.get(key(condition, None))).answer is answer


def test_two_conditions_that_look_at_the_same_are_refused() -> None:
    both = (FROST, Condition(kind=ConditionKind.FROST, limit=3))
    with pytest.raises(ValueError, match="program.conditions must each look at something else"):
        distinct(both, "program.conditions")
    days = tuple(Condition(kind=ConditionKind.RAIN_FALLEN, limit=5, hours=hours) for hours in (24, 48))
    assert distinct(days, "program.conditions") == days


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


@given(conditions(), st.lists(st.tuples(values, st.integers(1, 400)), max_size=30))
def test_a_latch_switches_no_oftener_than_the_value_crosses_the_whole_band(
    condition: Condition, measured: list[tuple[float, int]]
) -> None:
    latches: dict[str, datetime] = {}
    at, was, last_held = NOW, False, NOW
    for value, after_min in measured:
        at += timedelta(minutes=after_min)
        one = replace(seen(condition, value), at=at)
        latches = latched([(condition, None)], [one], latches)
        now = bool(latches)
        if now and not was:
            assert stopped(condition, value, latched=False)
        if was and not now:
            let_go = not stopped(condition, value, latched=True)
            assert let_go or at - last_held > condition.max_age
        assert (
            judge(condition, one, at, at, latched_at=latches.get(key(condition, None))).answer is Answer.STOPS
        ) == now
        was, last_held = now, at if now else last_held
