"""Entries that no new timetable can take back, and the state that the planner starts from."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from gateway.planning.runs import Run
from irrigation.model import ActiveRun, Entry, Farm, PlanState, Timetable

SETTLE = timedelta(seconds=10)
"""A start nearer than this is the board's already: a new timetable could reach it too late."""
GRACE = timedelta(seconds=900)
"""A board that was away at a start still begins it within this time (safety.md, clock step)."""


def committed(
    entries: Iterable[Entry],
    begun: Collection[str],
    away: Collection[str],
    now: datetime,
    until: datetime | None = None,
) -> tuple[Entry, ...]:
    """Return the entries not `begun` (as far as heard) that boards may carry out whatever the gateway says now.

    A board in hearing has those that start in the next seconds. A board that is `away` has also those that it could
    have begun unheard, and, when `until` is given, those that it will begin before then.
    """
    found = []
    for entry in entries:
        if entry.id in begun:
            continue
        if entry.node_id in away:
            latest = now + SETTLE if until is None else max(until, now + SETTLE)
            over = entry.start + timedelta(seconds=entry.max_s) + GRACE
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


def plan_state(runs: Iterable[Run], fixed: Iterable[Entry], settled: Iterable[str], now: datetime) -> PlanState:
    """Return what the planner must leave alone: water that runs, `fixed` entries, waterings that are settled."""
    fixed = tuple(fixed)
    active = [
        ActiveRun(zone_id=run.zone_id, until=run.ends_by, flow_l_min=run.flow_l_min, entry_id=run.entry_id)
        for run in runs
        if run.takes_water(now)
    ]
    watered = {run.zone_id for run in active}
    active += [
        ActiveRun(
            zone_id=entry.zone_id,
            until=entry.start + timedelta(seconds=entry.max_s),
            flow_l_min=entry.flow_l_min,
            entry_id=entry.id,
        )
        for entry in fixed
        if entry.zone_id not in watered
    ]
    return PlanState(active=tuple(active), settled=frozenset(settled) | {entry.id for entry in fixed})


def with_fixed(timetable: Timetable, fixed: Iterable[Entry]) -> Timetable:
    """Return the timetable with the fixed entries as they were, so that a board that has not begun one still does."""
    kept = tuple(fixed)
    if not kept:
        return timetable
    entries = sorted((*timetable.entries, *kept), key=lambda entry: (entry.start, entry.id))
    return replace(timetable, entries=tuple(entries))
