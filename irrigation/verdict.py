"""What the conditions of farm and program say of a due watering: that it may run, that it does not, or "not yet known".

They only take waterings away. Each keeps its place in the plan, also when it is taken away, so that no answer, whenever
it comes, moves another watering or gives it more. A watering in parts is judged as one, by its first part.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from irrigation.condition import (
    KINDS,
    LEAD,
    Answer,
    Condition,
    ConditionKind,
    Judged,
    Missing,
    Observed,
    Subject,
    judge,
    key,
    latched,
)
from irrigation.farm import Farm
from irrigation.identity import is_later_part
from irrigation.knowledge import ActiveRun, Knowledge, PlanState
from irrigation.program import Program
from irrigation.site import Zone
from irrigation.timetable import Entry, Rule, Skip, Timetable

Params = dict[str, float | str]
_Seen = Mapping[tuple[ConditionKind, str | None, int | None], Observed]

_VALUE = {
    ConditionKind.RAIN_FALLEN: ("rain_mm", "limit_mm"),
    ConditionKind.RAIN_FORECAST: ("rain_mm", "limit_mm"),
    ConditionKind.SOIL_WET: ("moisture_pct", "limit_pct"),
    ConditionKind.FROST: ("air_c", "limit_c"),
    ConditionKind.WIND: ("wind_m_s", "limit_m_s"),
    ConditionKind.HEAT: ("air_c", "limit_c"),
    ConditionKind.SOURCE_LOW: ("level_pct", "limit_pct"),
}
_GOES_ON = frozenset({"pct", "owed_s", "carried_s", "shortened_pct"})  # what the rest of a program goes by
_WITHOUT_VALUE = {Missing.SKIP: Rule.NO_VALUE, Missing.ASK: Rule.ASK_PERSON}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why a watering does not run (`rule` and its numbers), or None: it may.

    `awaits` is the condition whose value is still to come and without which it does not run: whoever carries it out
    must not be told of it before.
    """

    rule: Rule | None = None
    params: Params = field(default_factory=dict)
    awaits: ConditionKind | None = None


MAY_RUN = Verdict()


class Verdicts:
    """Judges the waterings of a farm by what is known at `now`. Those `settled` are judged no more, nor their rest."""

    def __init__(self, farm: Farm, known: Knowledge, now: datetime, settled: Collection[str] = ()) -> None:
        self._of_farm = farm.conditions
        self._seen = seen(farm, known)
        self._latches = known.latches
        self._now = now
        self._settled = settled
        self._whole: dict[str, Verdict] = {}

    def of(self, program: Program, zone: Zone, start: datetime) -> Verdict:
        """Return the verdict on a watering of the zone that would start then."""
        awaits = None
        for condition in (*self._of_farm, *program.conditions):
            judged = self._judge(condition, zone, start)
            if judged.answer is Answer.STOPS:
                return Verdict(rule=Rule(condition.kind), params=_numbers(judged))
            if judged.answer is Answer.MISSING and condition.missing is not Missing.RUN:
                params: Params = {"of": str(condition.kind)}
                age: Params = {} if judged.age_min is None else {"age_min": judged.age_min}
                return Verdict(rule=_WITHOUT_VALUE[condition.missing], params=params | age)
            if judged.answer is Answer.LATER and condition.missing is not Missing.RUN:
                awaits = awaits or condition.kind
        return MAY_RUN if awaits is None else Verdict(awaits=awaits)

    def of_part(self, whole_id: str, program: Program, zone: Zone, start: datetime) -> Verdict:
        """Return the verdict on a whole watering, asked for each of its parts in their order."""
        if whole_id in self._settled:
            return MAY_RUN
        if whole_id not in self._whole:
            self._whole[whole_id] = self.of(program, zone, start)
        return self._whole[whole_id]

    def of_rests(self, rests: Iterable[Entry], farm: Farm) -> tuple[list[Entry], list[Skip]]:
        """Return the rests of waterings that may run, and a skip for each of the others, due when it would begin."""
        programs, zones = {each.id: each for each in farm.programs}, {each.id: each for each in farm.zones}
        entries, skips = list[Entry](), list[Skip]()
        for one in rests:
            verdict = self.of(programs[one.program_id], zones[one.zone_id], one.start)
            if verdict.rule is None:
                entries.append(one if verdict.awaits is None else replace(one, awaits=verdict.awaits))
                continue
            params = one.params | left_out(verdict, one.params, one.start, one.max_s)
            skips.append(
                Skip(
                    id=one.id, program_id=one.program_id, zone_id=one.zone_id, due=one.start, rule=verdict.rule,
                    params=params,
                )
            )  # fmt: skip
        return entries, skips

    def _judge(self, condition: Condition, zone: Zone, start: datetime) -> Judged:
        subject_id = _subject(condition, zone)
        seen_ = self._seen.get((condition.kind, subject_id, condition.of_hours))
        return judge(condition, seen_, start, self._now, latched_at=self._latches.get(key(condition, subject_id)))


def seen(farm: Farm, known: Knowledge) -> _Seen:
    """Return the youngest value of each kind, subject and hours; of soil that of `known.moistures`.

    The forecast is the farm's, for people told it.
    """
    found: dict[tuple[ConditionKind, str | None, int | None], Observed] = {}
    ahead = farm.forecast.observed(hours_of(farm, ConditionKind.RAIN_FORECAST)) if farm.forecast else ()
    for one in (*known.observed, *_soils(known), *ahead):
        name = (one.kind, one.subject_id, one.hours)
        if name not in found or found[name].at < one.at:
            found[name] = one
    return found


def with_latches(farm: Farm, known: Knowledge, before: Mapping[str, datetime]) -> Knowledge:
    """Return what is known with the latches of all the farm's conditions, given those `before` the youngest values."""
    observed = tuple(seen(farm, known).values())
    return replace(known, latches=latched(_all_conditions(farm), observed, before))


def turned(farm: Farm, known: Knowledge, timetable: Timetable, fixed: Collection[str], now: datetime) -> bool:
    """Whether a verdict is another than the timetable says, on a watering still to come that is not `fixed`."""
    if not has_conditions(farm):
        return False
    programs, zones = {each.id: each for each in farm.programs}, {each.id: each for each in farm.zones}
    verdicts = Verdicts(farm, known, now)
    for one, start in judged_ones(farm, timetable, now):
        program, zone = programs.get(one.program_id), zones.get(one.zone_id)
        if program is None or zone is None or one.id in fixed:
            continue
        verdict = verdicts.of(program, zone, start)
        said = (one.rule, None) if isinstance(one, Skip) else (None, one.awaits)
        if (verdict.rule, verdict.awaits) != said:
            return True
    return False


def next_judgement(farm: Farm, timetable: Timetable, now: datetime) -> datetime | None:
    """Return the next moment at which a value that is still not there counts as missing: `LEAD` before a start."""
    return min((start - LEAD for _, start in judged_ones(farm, timetable, now + LEAD)), default=None)


def judged_ones(farm: Farm, timetable: Timetable, after: datetime) -> Iterator[tuple[Entry | Skip, datetime]]:
    """Yield what conditions judge in the timetable, one for each watering, with its start: those that start later."""
    own = {program.id for program in farm.programs if program.conditions or farm.conditions}
    for entry in timetable.entries:
        if entry.program_id in own and entry.start > after and not is_later_part(entry.id):
            yield entry, entry.start
    for skip in timetable.skipped:
        start = skip.params.get("start")
        if isinstance(start, str) and not is_later_part(skip.id) and (at := datetime.fromisoformat(start)) > after:
            yield skip, at


def left_out(verdict: Verdict, params: Params, start: datetime, length_s: int) -> Params:
    """Return the numbers of what a condition takes away: why, the place that is kept, and what goes on as if it ran."""
    place = {"start": _iso(start), "until": _iso(start + timedelta(seconds=length_s))}
    return {name: each for name, each in params.items() if name in _GOES_ON} | verdict.params | place


def final_from(skip: Skip) -> datetime:
    """Return when a skip is a fact: when it was due, or when it would have begun if that is earlier."""
    start = skip.params.get("start")
    return min(skip.due, datetime.fromisoformat(start)) if isinstance(start, str) else skip.due


class Settled(Protocol):
    """What became of a due watering: a skip or a decision."""

    @property
    def id(self) -> str:
        """The due watering's id."""
        ...

    @property
    def zone_id(self) -> str:
        """The zone that it was for."""
        ...

    @property
    def params(self) -> Params:
        """Its numbers."""
        ...


def with_left_out(state: PlanState, settled: Iterable[Settled], zones: Iterable[Zone], now: datetime) -> PlanState:
    """Return the state in which those of the `settled` that a condition took away keep the places that they had."""
    of_farm = {zone.id: zone for zone in zones}
    active, ended = list(state.active), dict(state.ended)
    shortened, owed = dict(state.shortened_pct), dict(state.owed_s)
    for one in settled:
        start, until = (one.params.get(name) for name in ("start", "until"))
        zone = of_farm.get(one.zone_id)
        if zone is None or not isinstance(start, str) or not isinstance(until, str):
            continue
        for name, of in (("shortened_pct", shortened), ("owed_s", owed)):
            if isinstance(value := one.params.get(name), float):
                of[one.id] = value
        begin, end = datetime.fromisoformat(start), datetime.fromisoformat(until)
        if end <= now:
            ended[one.id] = end
        else:
            flow = zone.flow_l_min
            active.append(ActiveRun(zone_id=zone.id, since=begin, until=end, flow_l_min=flow, entry_id=one.id))
    return replace(state, active=tuple(active), ended=ended, shortened_pct=shortened, owed_s=owed)


def has_conditions(farm: Farm) -> bool:
    """Whether any watering of the farm has a condition."""
    return bool(farm.conditions) or any(program.conditions for program in farm.programs)


def hours_of(farm: Farm, kind: ConditionKind) -> frozenset[int]:
    """Return over how many hours the farm's conditions of that kind sum their value."""
    return frozenset(hours for one in _conditions(farm) if one.kind is kind and (hours := one.of_hours) is not None)


def needs_gateway(farm: Farm, program: Program) -> bool:
    """Whether a watering of the program never runs without a value, which a board that is alone does not have."""
    return any(condition.missing is not Missing.RUN for condition in (*farm.conditions, *program.conditions))


def _conditions(farm: Farm) -> Iterator[Condition]:
    yield from farm.conditions
    for program in farm.programs:
        yield from program.conditions


def _all_conditions(farm: Farm) -> Iterable[tuple[Condition, str | None]]:
    """Return every condition with each subject that it is asked about."""
    zones = {zone.id: zone for zone in farm.zones}
    pairs = [(condition, zone) for condition in farm.conditions for zone in farm.zones]
    for program in farm.programs:
        pairs += [(condition, zones[part.zone_id]) for condition in program.conditions for part in program.zones]
    return {(condition, _subject(condition, zone)): None for condition, zone in pairs}


def _subject(condition: Condition, zone: Zone) -> str | None:
    subjects = {Subject.FARM: None, Subject.ZONE: zone.id, Subject.SOURCE: zone.source_id}
    return subjects[KINDS[condition.kind].subject]


def _soils(known: Knowledge) -> Iterator[Observed]:
    for zone_id, soil in known.moistures.items():
        yield Observed(kind=ConditionKind.SOIL_WET, value=soil.pct, at=soil.at, subject_id=zone_id)


def _numbers(judged: Judged) -> Params:
    """Return a condition's value and limit, with their units in the names, and the value's age at the start."""
    condition, (value_name, limit_name) = judged.condition, _VALUE[judged.condition.kind]
    params: Params = {value_name: round(float(judged.value or 0.0), 2), limit_name: float(condition.limit)}
    params |= {"age_min": judged.age_min or 0.0}
    if condition.release is not None and condition.release != condition.limit:
        params["release" + limit_name.removeprefix("limit")] = float(condition.release)
    return params | ({} if condition.of_hours is None else {"hours": float(condition.of_hours)})


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
