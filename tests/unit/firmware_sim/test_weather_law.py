"""Preview equals execution with weather: by what is known it is what happens, and what changes it has its reason."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from contract.messages import UNIT, Quantity, Reading
from firmware_sim.replay.run import replayed
from firmware_sim.replay.scenario import Happening, Scenario
from gateway.planning.weather import Heard, moistures, observed, with_readings
from irrigation.model import (
    Condition,
    ConditionKind,
    Decision,
    Expected,
    Farm,
    Forecast,
    Knowledge,
    Missing,
    PlanState,
    Result,
    Rule,
    SensorAt,
)
from irrigation.planner import compile_timetable
from irrigation.verdict import with_latches
from tests.unit.irrigation.farms import DAILY, farms, moments, moments_near_changes

DAYS = 3
_LIMITS = {
    ConditionKind.RAIN_FALLEN: 5.0,
    ConditionKind.RAIN_FORECAST: 5.0,
    ConditionKind.SOIL_WET: 30.0,
    ConditionKind.FROST: 4.0,
    ConditionKind.WIND: 6.0,
    ConditionKind.HEAT: 30.0,
    ConditionKind.SOURCE_LOW: 30.0,
}
UNKNOWN = {Rule.NO_VALUE, Rule.ASK_PERSON}
BY_WEATHER = {Rule(kind) for kind in ConditionKind} | UNKNOWN
_POLICIES = st.sampled_from((Missing.RUN, Missing.RUN, Missing.RUN, Missing.SKIP, Missing.ASK))
_AGES = st.sampled_from((None, 24 * 60.0, 7 * 24 * 60.0, 7 * 24 * 60.0))


@st.composite
def conditions(draw: st.DrawFn) -> tuple[Condition, ...]:
    """A few conditions of different kinds, of any age and policy."""
    kinds = draw(st.lists(st.sampled_from(ConditionKind), min_size=1, max_size=3, unique=True))
    return tuple(
        Condition(kind=kind, limit=_LIMITS[kind], max_age_min=draw(_AGES), missing=draw(_POLICIES)) for kind in kinds
    )


@st.composite
def readings(draw: st.DrawFn, of: Farm, first_min: int, last_min: int) -> tuple[tuple[int, str, Quantity, float], ...]:
    """What the farm's instruments tell: after so many minutes, by which sensor, of what, how much."""
    kinds = st.one_of(
        st.tuples(st.just("gauge"), st.just(Quantity.RAIN), st.sampled_from((0.0, 3.0, 9.0))),
        st.tuples(st.just("air"), st.just(Quantity.AIR_TEMPERATURE), st.sampled_from((1.0, 20.0, 36.0))),
        st.tuples(st.just("vane"), st.just(Quantity.WIND), st.sampled_from((1.0, 9.0))),
        st.tuples(st.just("tank"), st.just(Quantity.LEVEL), st.sampled_from((10.0, 80.0))),
        st.tuples(
            st.sampled_from([f"soil-{zone.id}" for zone in of.zones]),
            st.just(Quantity.SOIL_MOISTURE),
            st.sampled_from((20.0, 35.0)),
        ),
    )
    told = draw(st.lists(st.tuples(st.integers(first_min, last_min), kinds), min_size=3, max_size=8))
    return tuple(sorted((minute, *kind) for minute, kind in told))


@st.composite
def weathered(draw: st.DrawFn, begin: datetime) -> Farm:
    """A farm with probes, instruments, a forecast, and conditions of its own and of its programs."""
    made = draw(farms())
    zones = tuple(
        replace(each, has_meter=False, sensors=(f"soil-{each.id}",), flow_l_min=min(each.flow_l_min, 10.0))
        for each in made.zones
    )
    node_id = zones[0].node_id
    sources = tuple(
        replace(each, capacity_l_min=each.capacity_l_min + 10.0, level=SensorAt(node_id=node_id, sensor="tank"))
        for each in made.sources
    )
    programs = tuple(replace(each, calendar=DAILY, conditions=draw(conditions())) for each in made.programs)
    rain = (Expected(hours=24, mm=draw(st.sampled_from((0.0, 12.0)))),)
    forecast = draw(st.none() | st.just(Forecast(issued_at=begin - timedelta(hours=1), rain=rain)))
    return replace(
        made,
        zones=zones,
        sources=sources,
        programs=programs,
        conditions=draw(conditions()),
        forecast=forecast,
        hold=None,
    )


Told = tuple[tuple[int, str, Quantity, float], ...]


@st.composite
def stories(draw: st.DrawFn) -> tuple[Scenario, Told, Told]:
    """A farm for some days, what was measured before its preview, and what is measured after it."""
    now = draw(moments_near_changes | moments)
    base = draw(farms())
    begin = now.astimezone(ZoneInfo(base.tz)).replace(tzinfo=None, hour=12, minute=0, second=0, microsecond=0)
    made = draw(weathered(begin.replace(tzinfo=ZoneInfo(base.tz))))
    scenario = Scenario(begin=begin, end=begin + timedelta(days=DAYS), farm=replace(made, tz=base.tz))
    return scenario, draw(readings(made, 0, 60)), draw(readings(made, 120, DAYS * 1440 - 60))


def happenings(scenario: Scenario, told: Iterable[tuple[int, str, Quantity, float]]) -> tuple[Happening, ...]:
    """Return the readings as events of a scenario, each by the board of its probe."""
    nodes = {f"soil-{zone.id}": zone.node_id for zone in scenario.farm.zones}
    first = scenario.farm.zones[0].node_id
    return tuple(
        Happening(
            at=scenario.begin + timedelta(minutes=minute), do="reading", node=nodes.get(sensor, first), sensor=sensor,
            quantity=quantity, value=value, unit=UNIT[quantity],
        )
        for minute, sensor, quantity, value in told
    )  # fmt: skip


def known_by(scenario: Scenario, told: Told) -> Knowledge:
    """Return what the planner goes by after those readings."""
    heard, farm = Heard(), scenario.farm
    latches: dict[str, datetime] = {}
    known = Knowledge()
    for seq, event in enumerate(happenings(scenario, told), 1):
        at = scenario.utc(event.at)
        reading = Reading(
            seq=seq, sensor=event.sensor, quantity=event.quantity, value=event.value, unit=event.unit, at=at
        )
        heard = with_readings(heard, event.node, (reading,), at)
        known = replace(Knowledge(), moistures=moistures(heard, farm), observed=observed(heard, farm))
        known = with_latches(farm, known, latches)
        latches = known.latches
    return known if told else with_latches(farm, known, {})


def decided(decisions: Iterable[Decision]) -> dict[str, Rule]:
    """Return by which rule each due watering was left out."""
    return {one.id: one.rule for one in decisions if one.result is Result.SKIPPED}


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(stories())
def test_what_is_previewed_with_the_weather_that_is_known_is_what_happens_when_nothing_more_is_measured(
    story: tuple[Scenario, Told, Told],
) -> None:
    scenario, before, _ = story
    first = scenario.utc(scenario.begin + timedelta(minutes=61))
    last = scenario.utc(scenario.end)
    with replayed(scenario.model_copy(update={"events": happenings(scenario, before)}), shortcut=False) as happened:
        past = {one.id for one in happened.decisions if one.due < first}
        runs = [run for run in happened.runs if run.opened_at is not None and run.opened_at < last]
        out = decided(happened.decisions)
    assume(all(run.at < first for run in runs if run.entry_id in past))  # nothing is under way when it is previewed
    ran = {(run.entry_id, run.opened_at) for run in runs if run.entry_id not in past}
    state = PlanState(known=known_by(scenario, before), settled=frozenset(past))
    preview = compile_timetable(scenario.farm, state, first, days=14, version=1)
    coming = [one for one in preview.entries if one.start < last]
    assert ran == {(one.id, one.start) for one in coming if one.awaits is None}
    assert all(out[one.id] in UNKNOWN for one in coming if one.awaits is not None)
    for one in preview.skipped:  # also when a value that was still to come, of a condition before that one, never came
        assert not first <= one.due < last - timedelta(hours=3) or out[one.id] in UNKNOWN | {one.rule}


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(stories())
def test_what_weather_changes_is_only_left_out_and_says_by_which_rule(story: tuple[Scenario, Told, Told]) -> None:
    scenario, before, after = story
    dry = replace(
        scenario.farm, conditions=(), programs=tuple(replace(one, conditions=()) for one in scenario.farm.programs)
    )
    without = compile_timetable(dry, PlanState(), scenario.utc(scenario.begin), days=14, version=1)
    events = happenings(scenario, before + after)
    with replayed(scenario.model_copy(update={"events": events}), shortcut=False) as happened:
        ran = {(run.entry_id, run.opened_at) for run in happened.runs}
        out = decided(happened.decisions)
    promised = {(one.id, one.start) for one in without.entries if one.start < scenario.utc(scenario.end)}
    assert ran <= promised
    assert all(out[id_] in BY_WEATHER for id_, _ in promised - ran)
