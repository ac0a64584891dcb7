"""Conditions in the plan: what they take away, when, and that they never give anything."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrigation.base_plan import base_plan
from irrigation.condition import KINDS, LEAD, Condition, ConditionKind, Missing, Observed, Subject
from irrigation.model import (
    Adjust,
    AfterTrouble,
    CycleSoak,
    Dose,
    Entry,
    Farm,
    Knowledge,
    MakeUp,
    Moisture,
    Order,
    PlanState,
    Rule,
    Skip,
    Timetable,
)
from irrigation.planner import compile_timetable
from irrigation.verdict import next_judgement, turned, with_latches, with_left_out
from tests.unit.irrigation.farms import farm, nows, program
from tests.unit.irrigation.rich import Night, rich_farms

NOW = datetime(2026, 11, 23, 21, tzinfo=UTC)  # the farm's clock says 04:00; programs start at 05:00
DUE = NOW + timedelta(hours=1)
MINUTE = timedelta(minutes=1)
RAIN = Condition(kind=ConditionKind.RAIN_FALLEN, limit=5, release=2)
WET = Condition(kind=ConditionKind.SOIL_WET, limit=36)
LEVEL = Condition(kind=ConditionKind.SOURCE_LOW, limit=20)


def there(*conditions: Condition, **more: Any) -> Farm:
    return replace(
        farm(replace(program("p", ("a", 20), ("b", 20)), conditions=conditions, **more)), tz="Asia/Ho_Chi_Minh"
    )


def knowing(*observed: Observed, **more: Any) -> PlanState:
    return PlanState(known=Knowledge(observed=observed, **more))


def value(condition: Condition, measured: float, at: datetime = NOW, subject_id: str | None = None) -> Observed:
    return Observed(kind=condition.kind, value=measured, at=at, hours=condition.of_hours, subject_id=subject_id)


def plan(of: Farm, state: PlanState, now: datetime = NOW) -> Timetable:
    return compile_timetable(of, state, now, days=1, version=1)


def told(table: Timetable) -> list[tuple[str, str]]:
    everything: list[Entry | Skip] = [*table.entries, *table.skipped]
    first = [one for one in everything if one.due == DUE]
    return sorted((one.zone_id, str(one.rule)) for one in first)


@pytest.mark.parametrize(
    ("condition", "measured", "rule", "params"),
    [
        (RAIN, 8.25, Rule.RAIN_FALLEN, {"rain_mm": 8.25, "limit_mm": 5, "release_mm": 2, "hours": 24}),
        (
            Condition(kind=ConditionKind.RAIN_FORECAST, limit=10, hours=48),
            10, Rule.RAIN_FORECAST, {"rain_mm": 10, "limit_mm": 10, "hours": 48},
        ),
        (Condition(kind=ConditionKind.FROST, limit=2), -1, Rule.FROST, {"air_c": -1, "limit_c": 2}),
        (Condition(kind=ConditionKind.WIND, limit=6), 7, Rule.WIND, {"wind_m_s": 7, "limit_m_s": 6}),
        (Condition(kind=ConditionKind.HEAT, limit=38), 39, Rule.HEAT, {"air_c": 39, "limit_c": 38}),
        (LEVEL, 12, Rule.SOURCE_LOW, {"level_pct": 12, "limit_pct": 20}),
    ],
)  # fmt: skip
def test_a_condition_takes_the_watering_away_ahead_and_says_value_limit_and_age(
    condition: Condition, measured: float, rule: Rule, params: dict[str, float]
) -> None:
    subject = "tank" if condition.kind is ConditionKind.SOURCE_LOW else None
    table = plan(there(condition), knowing(value(condition, measured, subject_id=subject)))
    assert told(table) == [("a", rule), ("b", rule)] if condition.max_age >= 2 * timedelta(hours=1) else True
    (first, *_) = table.skipped
    place = {"start": DUE.isoformat(), "until": (DUE + 20 * MINUTE).isoformat()}
    assert (first.zone_id, first.rule, first.params) == ("a", rule, params | place | {"age_min": 60.0})


def test_soil_is_judged_zone_by_zone_and_farm_conditions_bind_every_program() -> None:
    soil = {"a": Moisture(pct=37.0, at=NOW), "b": Moisture(pct=30.0, at=NOW)}
    of = there(WET)
    for each in (of, replace(there(), conditions=(WET,))):
        assert told(plan(each, knowing(moistures=soil))) == [("a", Rule.SOIL_WET), ("b", Rule.AS_PROGRAMMED)]


@pytest.mark.parametrize(
    ("missing", "rule"),
    [(Missing.RUN, Rule.AS_PROGRAMMED), (Missing.SKIP, Rule.NO_VALUE), (Missing.ASK, Rule.ASK_PERSON)],
)
def test_without_a_value_the_declared_policy_holds_from_the_last_moment_to_tell_the_board(
    missing: Missing, rule: Rule
) -> None:
    of = there(replace(RAIN, missing=missing))
    old = knowing(value(RAIN, 9, NOW - timedelta(hours=3)))
    before = plan(of, old, DUE - LEAD - MINUTE)
    assert told(before)[0] == ("a", Rule.AS_PROGRAMMED)
    awaits = None if missing is Missing.RUN else ConditionKind.RAIN_FALLEN
    assert {one.awaits for one in before.entries if one.due == DUE} == {awaits}
    assert next_judgement(of, before, DUE - LEAD - MINUTE) == DUE - LEAD
    after = plan(of, old, DUE - LEAD)
    assert told(after)[0] == ("a", rule)
    if rule is not Rule.AS_PROGRAMMED:
        (skip, *_) = after.skipped
        assert (skip.params["of"], skip.params["age_min"]) == ("rain-fallen", 240.0)


def test_stale_weather_decides_nothing_after_a_night_without_power() -> None:
    of = there(RAIN)
    wet = with_latches(of, Knowledge(observed=(value(RAIN, 20, DUE - timedelta(hours=12)),)), {})
    assert wet.latches
    assert told(plan(of, PlanState(known=wet), DUE - LEAD)) == [("a", "as-programmed"), ("b", "as-programmed")]
    drier = with_latches(of, Knowledge(observed=(value(RAIN, 3, DUE - MINUTE),)), wet.latches)
    assert (drier.latches, told(plan(of, PlanState(known=drier), DUE - LEAD))[0]) == ({}, ("a", "as-programmed"))


def test_a_watering_in_parts_is_judged_as_one_and_goes_on_when_it_has_begun() -> None:
    of = there(WET)
    of = replace(of, zones=tuple(replace(zone, cycle=CycleSoak(on_minutes=5, soak_minutes=55)) for zone in of.zones))
    soil = {"a": Moisture(pct=37.0, at=NOW)}  # too old for what starts after 06:00, and yet it counts
    table = plan(of, knowing(moistures=soil))
    assert {one.zone_id for one in table.skipped if one.due == DUE} == {"a"}
    assert sum(one.zone_id == "a" and one.due == DUE for one in table.skipped) == 4
    (first, *_) = [one for one in plan(of, PlanState()).entries if one.zone_id == "a"]
    begun = replace(knowing(moistures=soil), settled=frozenset({first.id}))
    assert [one.id for one in plan(of, begun, DUE + MINUTE).entries if one.zone_id == "a"][:1] == [f"{first.id}.2"]


def test_what_a_condition_takes_away_keeps_its_place_before_and_after_it_is_settled() -> None:
    of = there(WET)
    plain = {one.id: one.start for one in plan(of, PlanState()).entries}
    state = knowing(moistures={"a": Moisture(pct=40.0, at=NOW)})
    table = plan(of, state)
    assert {one.id: one.start for one in table.entries}.items() <= plain.items()
    gone = [skip for skip in table.skipped if skip.due == DUE]
    state = replace(state, settled=frozenset(skip.id for skip in gone))
    for minutes in (0, 5, 19):
        now = DUE + minutes * MINUTE
        later = plan(of, with_left_out(state, gone, of.zones, now), now)
        assert [one.start for one in later.entries if one.due == DUE] == [DUE + 20 * MINUTE]


def test_a_board_alone_leaves_out_what_does_not_run_without_a_value() -> None:
    lines = {missing: base_plan(there(replace(RAIN, missing=missing)), NOW) for missing in Missing}
    assert [len(lines[missing]) for missing in (Missing.RUN, Missing.SKIP, Missing.ASK)] == [2, 0, 0]
    assert base_plan(replace(there(), conditions=(replace(RAIN, missing=Missing.ASK),)), NOW) == ()


def test_a_verdict_that_turns_is_noticed_and_one_that_stays_is_not() -> None:
    of = there(RAIN, LEVEL)
    dry, wet = (Knowledge(observed=(value(RAIN, mm), value(LEVEL, 50, subject_id="tank"))) for mm in (1.0, 6.0))
    table = plan(of, PlanState(known=dry))
    assert not turned(of, dry, table, (), NOW)
    assert turned(of, wet, table, (), NOW)
    assert not turned(of, wet, table, [one.id for one in table.entries], NOW)
    rained = plan(of, PlanState(known=wet))
    assert not turned(of, wet, rained, (), NOW)
    assert turned(of, dry, rained, (), NOW)
    low = replace(wet, observed=(value(RAIN, 1.0), value(LEVEL, 10, subject_id="tank")))
    assert turned(of, low, rained, (), NOW)
    assert not turned(there(), wet, table, (), NOW)


def test_the_rest_of_a_watering_is_judged_like_any_other() -> None:
    of = there(replace(RAIN, missing=Missing.SKIP), after_trouble=AfterTrouble.RESUME)
    (cut, *_) = plan(of, PlanState()).entries
    rest = MakeUp(
        of=cut.id, program_id="p", zone_id="a", dose=Dose(minutes=9), cut=DUE, since=DUE,
        until=DUE + timedelta(hours=2),
    )  # fmt: skip
    for known, rule, awaits in (
        ((), None, [ConditionKind.RAIN_FALLEN]), ((value(RAIN, 9),), Rule.RAIN_FALLEN, []),
        ((value(RAIN, 0),), None, [None]),
    ):  # fmt: skip
        state = replace(knowing(*known, make_ups=(rest,)), settled=frozenset({cut.id}))
        table = plan(of, state, DUE + MINUTE)
        assert [skip.rule for skip in table.skipped if skip.id == rest.id] == ([] if rule is None else [rule])
        assert [entry.awaits for entry in table.entries if entry.id == rest.id] == awaits


# --- laws -----------------------------------------------------------------------------------------------------------


@st.composite
def some_conditions(draw: st.DrawFn) -> tuple[Condition, ...]:
    """Conditions of any kinds that are as likely to stop as not."""
    found = []
    for kind in draw(st.lists(st.sampled_from(ConditionKind), max_size=3, unique=True)):
        row = KINDS[kind]
        limit = draw(st.floats(row.low, row.high))
        release = draw(st.none() | (st.floats(0, limit) if row.stops_above and limit >= 0 else st.none()))
        max_age = draw(st.none() | st.sampled_from((30.0, 600.0, 9000.0)))
        missing = draw(st.sampled_from(Missing))
        found.append(Condition(kind=kind, limit=limit, release=release, max_age_min=max_age, missing=missing))
    return tuple(found)


@st.composite
def some_values(draw: st.DrawFn, of: Farm, now: datetime) -> Knowledge:
    """Values for those conditions, some of them old, some missing."""
    found = {}
    for condition in (*of.conditions, *(one for each in of.programs for one in each.conditions)):
        subjects: dict[Subject, list[str | None]] = {
            Subject.FARM: [None], Subject.ZONE: [], Subject.SOURCE: [source.id for source in of.sources],
        }  # fmt: skip
        for subject in subjects[KINDS[condition.kind].subject]:
            if draw(st.sampled_from((True, True, False))):
                at = now - draw(st.integers(0, 800)) * MINUTE
                row = KINDS[condition.kind]
                one = value(condition, draw(st.floats(row.low, row.high)), at, subject)
                found[condition.kind, subject] = replace(one, partial=draw(st.sampled_from((False, False, True))))
    soil = {
        zone.id: Moisture(pct=draw(st.floats(5, 60)), at=now - draw(st.integers(0, 300)) * MINUTE)
        for zone in of.zones
        if draw(st.booleans())
    }
    return with_latches(of, Knowledge(observed=tuple(found.values()), moistures=soil), {})


@st.composite
def conditioned(draw: st.DrawFn) -> tuple[Farm, Farm, Knowledge, datetime]:
    """A farm of any kind, the same with conditions, what is known, and a moment."""
    of, now = draw(rich_farms()), draw(nows)
    in_order = [replace(each, order=Order.GIVEN) if each.order is Order.DRIEST_FIRST else each for each in of.programs]
    of = replace(of, programs=tuple(in_order))  # which soil is the driest changes when what was measured gets old
    programs = tuple(replace(each, conditions=draw(some_conditions())) for each in of.programs)
    ruled = replace(of, programs=programs, conditions=draw(some_conditions()))
    return of, ruled, draw(some_values(ruled, now)), now


@given(conditioned())
@settings(max_examples=60)
def test_a_condition_takes_waterings_away_and_neither_adds_nor_moves_any(
    case: tuple[Farm, Farm, Knowledge, datetime],
) -> None:
    of, ruled, known, now = case
    without, with_ = (compile_timetable(each, PlanState(known=known), now, days=4, version=1) for each in (of, ruled))
    kept = {entry.id: replace(entry, awaits=None) for entry in with_.entries}
    assert kept.items() <= {entry.id: entry for entry in without.entries}.items()
    assert {skip.id: skip for skip in without.skipped}.items() <= {skip.id: skip for skip in with_.skipped}.items()
    assert len(with_.entries) + len(with_.skipped) == len(without.entries) + len(without.skipped)


@given(conditioned(), st.data())
@settings(max_examples=20)
def test_what_is_said_ahead_by_a_value_is_what_happens_unless_something_new_is_measured(
    case: tuple[Farm, Farm, Knowledge, datetime], data: st.DataObject
) -> None:
    _, of, known, now = case
    preview = compile_timetable(of, PlanState(known=known), now, days=1, version=1)
    night = Night(of, preview, known)
    near = [entry.start for entry in preview.entries] + [skip.due for skip in preview.skipped]
    moments = data.draw(st.lists(st.sampled_from(near), max_size=6)) if near else []
    asked = {entry.start - LEAD for entry in preview.entries if entry.awaits is not None}  # as a gateway looks again
    for moment in sorted({*moments, *asked, *(now + timedelta(hours=hour) for hour in range(0, 24, 7))}):
        if moment >= now:
            night.until(moment)
            night.compile(moment, days=1)
    night.until(now + timedelta(days=1))
    places = {entry.id: (entry.start, entry.max_s, entry.dose) for entry in preview.entries}
    for id_, entry in night.ran.items():
        if id_ in places:
            assert (entry.start, entry.max_s, entry.dose) == places[id_]
    said = {skip.id: skip for skip in preview.skipped}
    assert not said.keys() & night.ran.keys()
    late = {skip.rule for id_, skip in night.passed.items() if id_ in places}
    assert late <= {Rule.NO_VALUE, Rule.ASK_PERSON}
    assert all(entry.awaits is None for id_, entry in night.ran.items() if id_ in places)


@given(conditioned(), st.integers(0, 4000))
@settings(max_examples=60)
def test_no_value_decides_over_a_watering_that_starts_after_its_maximum_age(
    case: tuple[Farm, Farm, Knowledge, datetime], later_min: int
) -> None:
    _, of, known, now = case
    now += later_min * MINUTE  # a reboot in between: what is known is as it was
    table = compile_timetable(of, PlanState(known=known), now, days=2, version=1)
    ages = {
        (each.id, Rule(one.kind), one.limit): one.max_age
        for each in of.programs
        for one in (*each.conditions, *of.conditions)
    }
    for skip in table.skipped:
        limit = next((each for name, each in skip.params.items() if name.startswith("limit_")), None)
        if isinstance(limit, float):
            age_min = skip.params["age_min"]
            assert isinstance(age_min, float)
            assert timedelta(minutes=age_min - 0.1) <= ages[skip.program_id, skip.rule, limit]


def test_a_deficit_goes_on_as_if_nothing_had_been_taken_away() -> None:
    of = there(RAIN, adjust=Adjust(pct=30, least_minutes=5, step_s=60))
    plain, rained = (
        compile_timetable(of, state, NOW, days=3, version=1) for state in (PlanState(), knowing(value(RAIN, 9)))
    )
    gone = [skip for skip in rained.skipped if skip.rule is Rule.RAIN_FALLEN]
    doses = {entry.id: entry.dose for entry in plain.entries}
    assert gone
    assert {entry.id: entry.dose for entry in rained.entries}.items() <= doses.items()
    assert all("carried_s" in one.params for one in gone)
