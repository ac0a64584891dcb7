"""Entries that no new timetable can take back, and the state that the planner starts from."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.planning.runs import Run
from irrigation.model import ActiveRun, Entry, Farm, Knowledge, PlanState, Rule, Skip, Timetable

SETTLE = timedelta(seconds=10)
"""A start nearer than this is the board's already: a new timetable could reach it too late."""
AWAY_AHEAD = timedelta(hours=36)
"""What a board out of hearing will do is left as it is for so long: longer than from one daily plan to the next."""
AWAY_BEHIND = timedelta(hours=3)
"""What it has done unheard is not planned again: longer than the planner looks back for what nobody started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The clock was set ahead by so much; `at` is what it showed when that was noticed."""

    at: datetime
    by: timedelta


Behind = Mapping[str, timedelta]
"""By board, how far our clock was set ahead since the plan that it holds was compiled: so much later it may begin."""
_NOT = timedelta(0)


def behind(held: Mapping[str, Timetable], steps: Iterable[Step]) -> dict[str, timedelta]:
    """Return how far each board may be behind, from the parts that they hold."""
    told = tuple(steps)
    late = {
        node_id: sum((step.by for step in told if part.compiled_at < step.at), _NOT) for node_id, part in held.items()
    }
    return {node_id: by for node_id, by in late.items() if by}


def committed(
    entries: Iterable[Entry],
    begun: Collection[str],
    away: Collection[str],
    now: datetime,
    away_until: datetime,
    late: Behind | None = None,
    settle: timedelta = SETTLE,
) -> tuple[Entry, ...]:
    """Return those of the entries that boards hold, and have not `begun` as far as heard, that nobody can take back.

    A board in hearing is too late to be told of those that start in the next seconds, `settle`. A board that is `away`
    also has those that it could have begun unheard, and will begin all that start before `away_until`.
    """
    found = []
    for entry in entries:
        if entry.id in begun:
            continue
        by = (late or {}).get(entry.node_id, _NOT)
        if entry.node_id in away:
            latest = max(away_until, now + settle)
            over = entry.start + timedelta(seconds=entry.max_s) + AWAY_BEHIND
        else:
            latest, over = now + settle, entry.start + SETTLE
        if entry.start <= latest and now < over + by:
            found.append(entry)
    return tuple(found)


def standing(entry: Entry, farm: Farm, begun: Collection[tuple[str, datetime]] = ()) -> bool:
    """Whether people still want this due watering: its program, no skip, no hold, no edit since.

    An edit changes nothing of what has `begun`, by (program id, due).
    """
    program = next((program for program in farm.programs if program.id == entry.program_id), None)
    if program is None or not program.enabled or entry.id in farm.skips:
        return False
    goes_on = (entry.program_id, entry.due) in begun
    if program.since > entry.due and not goes_on:
        return False
    held = farm.hold is not None and farm.hold.covers(entry.due)
    return not held and (goes_on or any(part.zone_id == entry.zone_id for part in program.zones))


def plan_state(
    runs: Iterable[Run],
    fixed: Iterable[Entry],
    farm: Farm,
    settled: Iterable[str],
    now: datetime,
    late: Behind | None = None,
    begun: Iterable[Entry] = (),
) -> tuple[PlanState, tuple[Entry, ...]]:
    """Return what the planner must leave alone, and the `fixed` entries that stay in the timetable as they are.

    A fixed entry that people do not want any more takes its water all the same, but the timetable does not have it. Nor
    has it an earlier place of one that a board may hold in two.
    """
    active = [
        ActiveRun(zone_id=run.zone_id, until=run.ends_by, flow_l_min=run.flow_l_min, entry_id=run.entry_id)
        for run in runs
        if run.takes_water(now)
    ]
    stays = []
    firings = {(entry.program_id, entry.due) for entry in begun}
    before_s = {source.id: source.supply_before_s for source in farm.sources}
    leads = {zone.id: before_s[zone.source_id] for zone in farm.zones}
    every = tuple(fixed)
    last = {entry.id: entry for entry in every}
    for entry in every:
        wanted = entry is last[entry.id] and standing(entry, farm, firings)
        stays += [entry] if wanted else []
        active.append(
            ActiveRun(
                zone_id=entry.zone_id,
                since=entry.start,
                until=entry.start
                + timedelta(seconds=leads.get(entry.zone_id, 0) + entry.max_s)
                + (late or {}).get(entry.node_id, _NOT),
                flow_l_min=entry.flow_l_min,
                entry_id=entry.id if wanted else None,
            )
        )
    return PlanState(active=tuple(active), settled=frozenset(settled) | {entry.id for entry in stays}), tuple(stays)


def with_past(state: PlanState, ended: Iterable[Run], begun: Iterable[Entry], known: Knowledge) -> PlanState:
    """Return the state with when runs ended, how those begun were adjusted, and what is known."""
    ends = {run.entry_id: run.ended_at for run in ended if run.entry_id is not None and run.ended_at is not None}
    entries = tuple(begun)
    pcts = {entry.id: pct for entry in entries if isinstance(pct := entry.params.get("shortened_pct"), float)}
    owed = {entry.id: owed_s for entry in entries if isinstance(owed_s := entry.params.get("owed_s"), float)}
    return replace(state, ended=ends, shortened_pct=pcts, owed_s=owed, known=known)


def without_zone(timetable: Timetable, farm: Farm) -> Timetable:
    """Return what it had planned for zones that the farm no longer has, as skips."""
    there = {zone.id for zone in farm.zones}
    gone = (entry for entry in timetable.entries if entry.zone_id not in there)
    skips = tuple(
        Skip(id=one.id, program_id=one.program_id, zone_id=one.zone_id, due=one.due, rule=Rule.PROGRAM_CHANGED)
        for one in gone
    )
    return replace(timetable, skipped=skips)


def with_fixed(timetable: Timetable, fixed: Iterable[Entry]) -> Timetable:
    """Return the timetable with the fixed entries as they were, so that a board that has not begun one still does."""
    kept = tuple(fixed)
    if not kept:
        return timetable
    entries = sorted((*timetable.entries, *kept), key=lambda entry: (entry.start, entry.id))
    return replace(timetable, entries=tuple(entries))
