"""Entries that no new timetable can take back, and the state that the planner starts from."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from gateway.planning.runs import Run
from irrigation.model import ActiveRun, Entry, Farm, Knowledge, PlanState, Timetable

SETTLE = timedelta(seconds=10)
"""A start nearer than this is the board's already: a new timetable could reach it too late."""
AWAY_AHEAD = timedelta(hours=36)
"""What a board out of hearing will do is left as it is for so long: longer than from one daily plan to the next."""
AWAY_BEHIND = timedelta(hours=3)
"""What it has done unheard is not planned again: longer than the planner looks back for what nobody started."""


def committed(
    entries: Iterable[Entry], begun: Collection[str], away: Collection[str], now: datetime, away_until: datetime
) -> tuple[Entry, ...]:
    """Return those of the entries that boards hold, and have not `begun` as far as heard, that nobody can take back.

    A board in hearing is too late to be told of those that start in the next seconds. A board that is `away` also has
    those that it could have begun unheard, and will begin all that start before `away_until`.
    """
    found = []
    for entry in entries:
        if entry.id in begun:
            continue
        if entry.node_id in away:
            latest = max(away_until, now + SETTLE)
            over = entry.start + timedelta(seconds=entry.max_s) + AWAY_BEHIND
        else:
            latest, over = now + SETTLE, entry.start + SETTLE
        if entry.start <= latest and now < over:
            found.append(entry)
    return tuple(found)


def standing(entry: Entry, farm: Farm) -> bool:
    """Whether people still want this due watering: its program, no skip, no hold, no edit since."""
    program = next((program for program in farm.programs if program.id == entry.program_id), None)
    if program is None or not program.enabled or program.since > entry.due or entry.id in farm.skips:
        return False
    held = farm.hold is not None and farm.hold.covers(entry.due)
    return not held and any(part.zone_id == entry.zone_id for part in program.zones)


def plan_state(
    runs: Iterable[Run], fixed: Iterable[Entry], farm: Farm, settled: Iterable[str], now: datetime
) -> tuple[PlanState, tuple[Entry, ...]]:
    """Return what the planner must leave alone, and the `fixed` entries that stay in the timetable as they are.

    A fixed entry that people do not want any more takes its water all the same, but the timetable does not have it.
    """
    active = [
        ActiveRun(zone_id=run.zone_id, until=run.ends_by, flow_l_min=run.flow_l_min, entry_id=run.entry_id)
        for run in runs
        if run.takes_water(now)
    ]
    stays = []
    before_s = {source.id: source.supply_before_s for source in farm.sources}
    leads = {zone.id: before_s[zone.source_id] for zone in farm.zones}
    for entry in fixed:
        wanted = standing(entry, farm)
        stays += [entry] if wanted else []
        active.append(
            ActiveRun(
                zone_id=entry.zone_id,
                since=entry.start,
                until=entry.start + timedelta(seconds=leads.get(entry.zone_id, 0) + entry.max_s),
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


def with_fixed(timetable: Timetable, fixed: Iterable[Entry]) -> Timetable:
    """Return the timetable with the fixed entries as they were, so that a board that has not begun one still does."""
    kept = tuple(fixed)
    if not kept:
        return timetable
    entries = sorted((*timetable.entries, *kept), key=lambda entry: (entry.start, entry.id))
    return replace(timetable, entries=tuple(entries))
