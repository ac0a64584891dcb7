"""What boards may still carry out of plans before the newest, and what nobody is given until they have let go of it.

A board can be lost at any moment, with the part of the plan that it told or with any that was sent to it since. So a
plan that moves a watering is handed over in two steps: first everybody lets go of what is moved, then what has come in
its place is given. Lost in between, a board waters less, never more (docs/decisions/0030).
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from gateway.planning.admission import LATE_START, has_room
from gateway.planning.commitment import AWAY_AHEAD
from gateway.planning.runs import Run
from irrigation.model import ActiveRun, Entry, Farm, Timetable, Zone

HANDOVER = timedelta(seconds=30)
"""What is to begin at once, and cannot be given at once, begins so much later: time enough for others to let go."""
TICK = timedelta(microseconds=1)
Place = tuple[str, str, datetime, int]


def place(entry: Entry) -> Place:
    """Return which watering it is, and when: what two plans must agree in for it to be the same in both."""
    return entry.id, entry.zone_id, entry.start, entry.max_s


def held(parts: Iterable[Timetable], until: datetime) -> dict[Place, Entry]:
    """Return what starts before `until` in any of a board's parts, each place once; the newest word of it counts."""
    found = {}
    for part in parts:
        for entry in part.entries:  # in the order of their starts
            if entry.start >= until:
                break
            found[place(entry)] = entry
    return found


def span(entry: Entry, farm: Farm, begins: datetime) -> ActiveRun:
    """Return what its board takes when it begins it at that moment; until then it takes it from its start on."""
    lead_s = next((farm.source(zone.source_id).supply_before_s for zone in farm.zones if zone.id == entry.zone_id), 0)
    until = begins + timedelta(seconds=lead_s + entry.max_s)
    return ActiveRun(zone_id=entry.zone_id, since=entry.start, until=until, flow_l_min=entry.flow_l_min)


def to_come(entry: Entry, farm: Farm, now: datetime) -> ActiveRun | None:
    """Return what its board takes if it begins it now or later; None when it is too late for that."""
    return span(entry, farm, max(entry.start, now)) if now < entry.start + LATE_START else None


def withheld(
    new: Timetable,
    counted: Collection[Entry],
    parts: Mapping[str, Collection[Timetable]],
    begun: Collection[str],
    farm: Farm,
    now: datetime,
) -> frozenset[str]:
    """Return the ids of entries of the `new` plan that their boards are not given yet.

    `parts` are all that each board may hold, `counted` what the plan was laid around although it does not have it.
    Withheld is what shares a source, a group or a zone, and a time, with what another board may still begin and the
    plan has elsewhere or not at all. What a board holds in any case stays.
    """
    until = now + AWAY_AHEAD
    known = {place(entry) for entry in (*new.entries, *counted)}
    stale: list[tuple[str, ActiveRun]] = []
    for node_id, each in parts.items():
        for at, entry in held(each, until).items():
            taken = None if at in known or entry.id in begun else to_come(entry, farm, now)
            stale += [] if taken is None else [(node_id, taken)]
    if not stale:
        return frozenset()
    zones = {zone.id: zone for zone in farm.zones}
    surely = {node_id: _in_all(each, until) for node_id, each in parts.items()}
    found = set()
    for entry in new.entries:
        wanted = None if entry.start >= until else to_come(entry, farm, now)
        if wanted is None or place(entry) in surely.get(entry.node_id, ()):
            continue
        rivals = (other for node_id, other in stale if node_id != entry.node_id)
        if any(_meet(wanted, other) and _share(zones, wanted, other, farm) for other in rivals):
            found.add(entry.id)
    return frozenset(found)


def in_the_way(
    run: Run,
    farm: Farm,
    held: Mapping[str, Mapping[Place, Entry]],
    begun: Collection[str],
    under_way: Iterable[Run],
    now: datetime,
) -> frozenset[str]:
    """Return the boards of what is `held`, not begun, and has no room beside that run; none when there is room."""
    coming = {
        node_id: [taken for one in each.values() if one.id not in begun and (taken := to_come(one, farm, now))]
        for node_id, each in held.items()
    }
    beside = taking((one for one in under_way if one.run_id != run.run_id), now)
    wanted = ActiveRun(zone_id=run.zone_id, until=run.ends_by, flow_l_min=run.flow_l_min)
    if has_room(wanted, farm, [*beside, *(one for each in coming.values() for one in each)], now):
        return frozenset()
    return frozenset(node_id for node_id, each in coming.items() if each)


def taking(runs: Iterable[Run], now: datetime) -> list[ActiveRun]:
    """Return what runs under way take of their sources."""
    there = (run for run in runs if run.takes_water(now))
    return [ActiveRun(zone_id=run.zone_id, until=run.ends_by, flow_l_min=run.flow_l_min) for run in there]


def still_fits(
    coming: Iterable[Entry], fixed: Iterable[Entry], under_way: Iterable[Run], farm: Farm, now: datetime
) -> list[Entry]:
    """Return those of the entries that others make room for for which there will be: no run was heard of meanwhile."""
    there = {place(entry): entry for entry in fixed}
    runs = taking(under_way, now)
    for entry in coming:
        beside = [span(one, farm, one.start) for one in there.values() if one.id != entry.id]
        if has_room(span(entry, farm, entry.start), farm, [*runs, *beside], now):
            there[place(entry)] = entry
    return list(there.values())


def begins(timetable: Timetable, ids: Collection[str], before: datetime) -> frozenset[str]:
    """Return those of the ids that start before that moment."""
    return frozenset(entry.id for entry in timetable.entries if entry.id in ids and entry.start < before)


def _in_all(parts: Iterable[Timetable], until: datetime) -> frozenset[Place]:
    """Return the places that are in each of a board's parts: whichever it holds, it has them."""
    each = [frozenset(held([part], until)) for part in parts]
    return frozenset[Place]().union(*each[:1]).intersection(*each[1:])


def _meet(one: ActiveRun, other: ActiveRun) -> bool:
    return one.since is not None and other.since is not None and one.since < other.until and other.since < one.until


def _share(zones: Mapping[str, Zone], one: ActiveRun, other: ActiveRun, farm: Farm) -> bool:
    """Whether they take of the same; a zone that the farm no longer has shares with all."""
    a, b = zones.get(one.zone_id), zones.get(other.zone_id)
    if a is None or b is None or a.source_id == b.source_id:
        return True
    return any(a.id in group.zone_ids and b.id in group.zone_ids for group in farm.groups)
