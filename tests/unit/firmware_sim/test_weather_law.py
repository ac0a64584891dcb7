"""Preview equals execution, over sixty days of weather: what is known is what happens, and what changes has its reason.

One replay of each farm, in which the gateway plans anew at every report, is looked at in two ways. Before each reading
the planner is asked from nothing but what was measured until then, and that happens until something more is measured.
And what runs and what does not, and why, is what `outcome` says, which knows conditions as docs/programs.md tells them
and nothing of plans.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contract.messages import UNIT, Quantity, Reading
from firmware_sim.replay.run import Happened, replayed
from firmware_sim.replay.scenario import Happening, Scenario
from gateway.planning.weather import Heard, moistures, observed, with_readings
from irrigation.model import (
    Condition,
    ConditionKind,
    Entry,
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
from irrigation.verdict import with_latches, with_left_out
from tests.unit.irrigation.farms import crowded, farms, moments, moments_near_changes

DAYS = 60
AHEAD = 2
"""Days that the gateway plans ahead: by law they change nothing, and fourteen would take seven times as long."""
LEAD = timedelta(minutes=2)  # before its start a value that is not there is missing
JUST_AFTER = timedelta(seconds=1)
AT_ONCE = timedelta(seconds=10)  # what starts so soon is its board's already

LIMITS = {  # where it stops, and where it may let go
    ConditionKind.RAIN_FALLEN: (5.0, 5.0),
    ConditionKind.RAIN_FORECAST: (5.0, 5.0),
    ConditionKind.SOIL_WET: (30.0, 25.0),
    ConditionKind.FROST: (4.0, 8.0),
    ConditionKind.WIND: (6.0, 3.0),
    ConditionKind.HEAT: (30.0, 27.0),
    ConditionKind.SOURCE_LOW: (30.0, 50.0),
}
STOPS_BELOW = {ConditionKind.FROST, ConditionKind.SOURCE_LOW}
USUAL_AGE_MIN = {
    ConditionKind.RAIN_FALLEN: 180, ConditionKind.RAIN_FORECAST: 720, ConditionKind.SOIL_WET: 120,
    ConditionKind.FROST: 90, ConditionKind.WIND: 60, ConditionKind.HEAT: 60, ConditionKind.SOURCE_LOW: 60,
}  # fmt: skip
WITHOUT_VALUE = {Missing.SKIP: Rule.NO_VALUE, Missing.ASK: Rule.ASK_PERSON}
Told = tuple[tuple[int, str, Quantity, float], ...]

# --- any farm, and its weather --------------------------------------------------------------------------------------

_POLICIES = st.sampled_from((*[Missing.RUN] * 6, Missing.SKIP, Missing.ASK))
_AGES = st.sampled_from((None, 24 * 60.0, 7 * 24 * 60.0, 7 * 24 * 60.0))
_KINDS = st.sampled_from((*ConditionKind, *[ConditionKind.SOIL_WET] * 3))  # soil tells the zones of a program apart


@st.composite
def conditions(draw: st.DrawFn) -> tuple[Condition, ...]:
    """A few conditions of different kinds, of any age and policy, that let go at their limits or not so soon."""
    kinds = draw(st.lists(_KINDS, max_size=2, unique=True))
    return tuple(
        Condition(
            kind=kind,
            limit=LIMITS[kind][0],
            release=draw(st.sampled_from((*LIMITS[kind], LIMITS[kind][1]))),
            max_age_min=draw(_AGES),
            missing=draw(_POLICIES),
        )
        for kind in kinds
    )


@st.composite
def readings(draw: st.DrawFn, of: Farm) -> Told:
    """What the farm's instruments tell: after so many minutes, by which sensor, of what, how much. Mostly at dawn."""
    soil = st.tuples(
        st.sampled_from([f"soil-{zone.id}" for zone in of.zones]),
        st.just(Quantity.SOIL_MOISTURE),
        st.sampled_from((20.0, 28.0, 35.0)),
    )
    kinds = st.one_of(
        st.tuples(st.just("gauge"), st.just(Quantity.RAIN), st.sampled_from((0.0, 3.0, 9.0))),
        st.tuples(st.just("air"), st.just(Quantity.AIR_TEMPERATURE), st.sampled_from((1.0, 6.0, 20.0, 29.0, 36.0))),
        st.tuples(st.just("vane"), st.just(Quantity.WIND), st.sampled_from((1.0, 5.0, 9.0))),
        st.tuples(st.just("tank"), st.just(Quantity.LEVEL), st.sampled_from((10.0, 40.0, 80.0))),
        soil,
        soil,
        soil,
    )
    of_day = st.integers(15 * 60, 20 * 60) | st.integers(1, 1439)  # a scenario begins at noon
    minutes = st.builds(lambda day, minute: day * 1440 + minute, st.integers(0, DAYS - 1), of_day)
    told = draw(st.lists(st.tuples(minutes, kinds), min_size=DAYS, max_size=2 * DAYS, unique_by=lambda one: one[0]))
    return tuple(sorted((minute, *kind) for minute, kind in told))


@st.composite
def stories(draw: st.DrawFn) -> tuple[datetime, Farm, Told]:
    """A farm-local noon, a farm with probes, instruments, a forecast and conditions, and what is measured from then."""
    now = draw(moments_near_changes | moments)
    made = crowded(draw(farms()))
    begin = now.astimezone(ZoneInfo(made.tz)).replace(tzinfo=None, hour=12, minute=0, second=0, microsecond=0)
    zones = tuple(replace(each, sensors=(f"soil-{each.id}",)) for each in made.zones)
    level = SensorAt(node_id=zones[0].node_id, sensor="tank")
    rain = (Expected(hours=24, mm=draw(st.sampled_from((0.0, 12.0)))),)
    issued_at = begin.replace(tzinfo=ZoneInfo(made.tz)) - timedelta(hours=1)
    farm = replace(
        made,
        zones=zones,
        sources=tuple(replace(each, level=level) for each in made.sources),
        programs=tuple(replace(each, conditions=draw(conditions())) for each in made.programs[:3]),
        conditions=draw(conditions()),
        forecast=draw(st.none() | st.just(Forecast(issued_at=issued_at, rain=rain))),
    )
    return begin, farm, draw(readings(farm))


def scenario_of(begin: datetime, farm: Farm, told: Told) -> Scenario:
    """Return the sixty days, with each reading by the board of its probe, but those of an hour that clocks leave out."""
    scenario = Scenario(begin=begin, end=begin + timedelta(days=DAYS), farm=farm, days=AHEAD)
    nodes = {f"soil-{zone.id}": zone.node_id for zone in farm.zones}
    events = []
    for minute, sensor, quantity, value in told:
        at, node = begin + timedelta(minutes=minute), nodes.get(sensor, farm.zones[0].node_id)
        if scenario.utc(at).astimezone(ZoneInfo(farm.tz)).replace(tzinfo=None) == at:
            unit = UNIT[quantity]
            events.append(
                Happening(at=at, do="reading", node=node, sensor=sensor, quantity=quantity, value=value, unit=unit)
            )
    return scenario.model_copy(update={"events": tuple(events)})


# --- what conditions say --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Weather:
    """Everything that was measured, as (when, sensor, value) in order."""

    farm: Farm
    told: tuple[tuple[datetime, str, float], ...]

    def outcome(self, entry: Entry) -> Rule | None:
        """Return by which rule a due watering is left out, None when it runs.

        When it is due, a value that is there decides, and until its start each that comes may still take it away. A
        value that is not there is missing from `LEAD` before the start on. What comes at a moment comes after it.
        """
        missing_at = entry.start - LEAD
        came = [at + JUST_AFTER for at, *_ in self.told if entry.due <= at < entry.start]
        for at in sorted({entry.due, *came, max(missing_at, entry.due)}):
            rule = self._rule(entry, at, last=at >= missing_at)
            if rule is not None:
                return rule
        return None

    def in_doubt(self, entry: Entry) -> bool:
        """Whether something was measured just when it was too late to tell the board."""
        return any(entry.start - AT_ONCE <= at < entry.start for at, *_ in self.told)

    def _rule(self, entry: Entry, by: datetime, *, last: bool) -> Rule | None:
        (program,) = [one for one in self.farm.programs if one.id == entry.program_id]
        for condition in (*self.farm.conditions, *program.conditions):
            stops = self._stops(condition, entry, by)
            if stops:
                return Rule(condition.kind.value)
            if stops is None and last and condition.missing is not Missing.RUN:
                return WITHOUT_VALUE[condition.missing]
        return None

    def _stops(self, condition: Condition, entry: Entry, by: datetime) -> bool | None:
        """Whether the condition stops, by the values before that moment; None without one that is young enough."""
        sign = -1 if condition.kind in STOPS_BELOW else 1
        release = condition.limit if condition.release is None else condition.release
        age = timedelta(minutes=condition.max_age_min or USUAL_AGE_MIN[condition.kind])
        values = list(self._values(condition, entry.zone_id, by))
        stopped_at = None
        for at, value, _ in values:
            holds = stopped_at is not None and at - stopped_at <= age and sign * value > sign * release
            stopped_at = at if holds or sign * value >= sign * condition.limit else None
        if not values or entry.start - values[-1][0] > age:
            return None
        return True if stopped_at else False if values[-1][2] else None

    def _values(self, condition: Condition, zone_id: str, by: datetime) -> Iterator[tuple[datetime, float, bool]]:
        """Yield when it had which value, and whether that is all of it: rain of hours not heard of may be more."""
        if condition.kind is ConditionKind.RAIN_FORECAST:
            if self.farm.forecast is not None:
                yield self.farm.forecast.issued_at, self.farm.forecast.rain[0].mm, True
            return
        sensor = {
            ConditionKind.RAIN_FALLEN: "gauge", ConditionKind.SOIL_WET: f"soil-{zone_id}", ConditionKind.FROST: "air",
            ConditionKind.WIND: "vane", ConditionKind.HEAT: "air", ConditionKind.SOURCE_LOW: "tank",
        }[condition.kind]  # fmt: skip
        values = [(at, value) for at, name, value in self.told if name == sensor and at < by]
        for at, value in values:
            if condition.kind is not ConditionKind.RAIN_FALLEN:
                yield at, value, True
                continue
            lately = [(_slot(other), mm) for other, mm in values if other <= at and _slot(at) - _slot(other) < 48]
            yield at, sum(mm for _, mm in lately), len({slot for slot, _ in lately}) >= 36


def _slot(at: datetime) -> int:
    return int(at.timestamp() // 1800)


def known_by(scenario: Scenario) -> Iterator[tuple[datetime, Knowledge]]:
    """Yield what the planner goes by from the beginning on, and after each reading."""
    heard, farm = Heard(), scenario.farm
    known = with_latches(farm, Knowledge(), {})
    yield scenario.utc(scenario.begin), known
    for seq, event in enumerate(scenario.events, 1):
        at = scenario.utc(event.at)
        reading = Reading(
            seq=seq, sensor=event.sensor, quantity=event.quantity, value=event.value, unit=event.unit, at=at
        )
        heard = with_readings(heard, event.node, (reading,), at)
        new = replace(Knowledge(), moistures=moistures(heard, farm), observed=observed(heard, farm))
        known = with_latches(farm, new, known.latches)
        yield at, known


# --- the law --------------------------------------------------------------------------------------------------------


def assert_previewed(scenario: Scenario, happened: Happened, at: datetime, until: datetime, known: Knowledge) -> None:
    """What a preview says by what is known at that moment happens, until something more is measured.

    Previews are looked at when nothing is under way, and nothing just about to be.
    """
    past = [one for one in happened.decisions if one.due <= at]
    ids = {one.id for one in past}
    if any(run.at > at for run in happened.runs if run.entry_id in ids):
        return
    state = with_left_out(PlanState(known=known, settled=frozenset(ids)), past, scenario.farm.zones, at)
    days = (until - at) // timedelta(days=1) + 1
    preview = compile_timetable(scenario.farm, state, at, days=days, version=1)
    coming = [one for one in preview.entries if at + AT_ONCE < one.start < until]
    out = {one.id: one.rule for one in happened.decisions if one.result is Result.SKIPPED}
    opened = {(run.entry_id, run.opened_at) for run in happened.runs if run.entry_id not in ids}
    ran = {(id_, start) for id_, start in opened if start is not None and at + AT_ONCE < start < until}
    assert ran == {(one.id, one.start) for one in coming if one.awaits is None}
    unknown = set(WITHOUT_VALUE.values())
    assert all(out[one.id] in unknown for one in coming if one.awaits is not None)
    for one in preview.skipped:  # also when a value to come, of a condition before the one that stops, never came
        assert not at < one.due < until or out[one.id] in unknown | {one.rule}


def assert_reasoned(scenario: Scenario, happened: Happened, weather: Weather) -> None:
    """Weather takes waterings away, moves none and adds none; each that it takes has the rule that took it."""
    farm = scenario.farm
    dry = replace(farm, conditions=(), programs=tuple(replace(one, conditions=()) for one in farm.programs))
    begin, end = scenario.utc(scenario.begin), scenario.utc(scenario.end)
    without = compile_timetable(dry, PlanState(), begin, days=DAYS + 1, version=1)
    promised = {one.id: one for one in without.entries if one.start < end}
    ran = {run.entry_id: run.opened_at for run in happened.runs}
    assert ran == {id_: promised[id_].start for id_ in ran if id_ is not None}
    out = {one.id: one.rule for one in happened.decisions if one.result is Result.SKIPPED}
    assert not ran.keys() & out.keys()
    for id_, entry in promised.items():
        if not weather.in_doubt(entry):
            assert (id_, None if id_ in ran else out[id_]) == (id_, weather.outcome(entry))


@pytest.mark.timeout(600)  # sixteen times sixty days
@settings(
    max_examples=16,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # each example takes seconds: to shrink one takes too long
)
@given(stories())
def test_what_is_previewed_happens_for_sixty_days_and_what_weather_takes_away_has_its_reason(
    story: tuple[datetime, Farm, Told],
) -> None:
    scenario = scenario_of(*story)
    with replayed(scenario, shortcut=False) as happened:
        end = scenario.utc(scenario.end)
        known = [*known_by(scenario), (end, Knowledge())]
        for (at, by), (until, _) in pairwise(known):
            assert_previewed(scenario, happened, at, until, by)
        measured = tuple((scenario.utc(one.at), one.sensor, one.value) for one in scenario.events)
        assert_reasoned(scenario, happened, Weather(scenario.farm, measured))
