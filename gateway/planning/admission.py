"""Whether an order for water may go to a board: one list of checks, first reason wins."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from contract.messages import Open, Reason
from gateway.planning.runs import Run, from_order
from irrigation.model import ActiveRun, Entry, Farm, Zone

ROUNDING_L_MIN = 1e-6  # sums of decimal flows that fill a source exactly must not fail by a float's last bit
LATE_START = timedelta(seconds=900)
"""A board that was off at a start still begins it within this time (safety.md, clock step)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a zone takes of its source, and until when at the latest. `run_id` is None for a due watering not begun."""

    zone_id: str
    flow_l_min: float
    until: datetime
    run_id: str | None = None


def taken(
    runs: Iterable[Run], entries: Iterable[Entry], now: datetime, late: Mapping[str, timedelta] | None = None
) -> tuple[Taken, ...]:
    """Return what the runs under way and the entries that cannot be taken back any more claim, once for each zone.

    `late` is by how much later a board may begin its entries, for our clock was set ahead.
    """
    found: dict[str, Taken] = {}
    for entry in entries:
        until = entry.start + timedelta(seconds=entry.max_s) + (late or {}).get(entry.node_id, timedelta(0))
        if now < until + LATE_START:
            found[entry.zone_id] = Taken(zone_id=entry.zone_id, flow_l_min=entry.flow_l_min, until=until)
    for run in runs:
        if run.takes_water(now):
            found[run.zone_id] = Taken(
                zone_id=run.zone_id, flow_l_min=run.flow_l_min, until=run.ends_by, run_id=run.run_id
            )
    return tuple(found.values())


def admit(
    order: Open,
    farm: Farm | None,
    claims: Iterable[Taken],
    now: datetime,
    *,
    stuck_zones: Iterable[str] = (),
) -> Run | Reason:
    """Return the accepted run, or why not.

    `stuck_zones` are those whose valve did not close: nothing more is opened on their source (safety I5).
    """
    if now >= order.expires_at:
        return Reason(code="expired", params={"expires_at": _iso(order.expires_at)})
    if farm is None or (zone := _zone(farm, order.zone_id)) is None:
        return Reason(code="unknown-zone", params={"zone_id": order.zone_id})
    if order.channel is not None and order.channel != zone.channel:
        return Reason(code="unknown-channel", params={"channel": order.channel})
    if farm.hold is not None and farm.hold.emergency:
        return Reason(code="emergency-stop", params={"reason": farm.hold.reason[:200]})
    if farm.hold is not None and farm.hold.paused(now):
        return Reason(code="paused", params={"until": _iso(farm.hold.until)})
    if order.dose.minutes is not None and order.dose.minutes * 60 > zone.max_run_s:
        return Reason(code="above-cap", params={"max_s": zone.max_run_s})
    refused = _no_room(farm, zone, tuple(claims), frozenset(stuck_zones))
    return refused or from_order(order, zone, now)


def has_room(wanted: ActiveRun, farm: Farm, beside: Collection[ActiveRun], now: datetime) -> bool:
    """Whether source, groups and valve have room for what is wanted at every moment of it that is still to come."""
    zone = _zone(farm, wanted.zone_id)
    first = max(now, wanted.since or now)
    begins = (one.since for one in beside if one.since is not None and first < one.since < wanted.until)
    for at in (first, *begins):
        claims = (one for one in beside if (one.since is None or one.since <= at) and at < one.until)
        there = tuple(Taken(zone_id=one.zone_id, flow_l_min=one.flow_l_min, until=one.until) for one in claims)
        if zone is not None and _no_room(farm, zone, there, frozenset()) is not None:
            return False
    return True


def _no_room(farm: Farm, zone: Zone, claims: tuple[Taken, ...], stuck: frozenset[str]) -> Reason | None:
    busy = next((claim for claim in claims if claim.zone_id == zone.id), None)
    if busy is not None:
        about: dict[str, float | str] = {"free_at": _iso(busy.until)}
        return Reason(code="zone-busy", params=about | {"run_id": busy.run_id} if busy.run_id else about)
    source = farm.source(zone.source_id)
    neighbours = frozenset(other.id for other in farm.zones if other.source_id == source.id)
    if stuck & neighbours:
        return Reason(code="close-failed", params={"zone_id": min(stuck & neighbours)})
    numbers: dict[str, float | str] = {
        "source_id": source.id,
        "capacity_l_min": source.capacity_l_min,
        "flow_l_min": zone.flow_l_min,
    }
    if zone.flow_l_min > source.capacity_l_min + ROUNDING_L_MIN:
        return Reason(code="flow-above-source", params=numbers)
    full = _group_full(farm, zone, claims)
    if full is not None:
        return full
    rivals = [claim for claim in claims if claim.zone_id in neighbours]
    alone = {other.id for other in farm.zones if other.exclusive}
    if rivals and (zone.exclusive or any(claim.zone_id in alone for claim in rivals)):
        free_at = _iso(max(claim.until for claim in rivals))
        return Reason(code="source-busy", params=numbers | {"exclusive": "yes", "free_at": free_at})
    used = sum(claim.flow_l_min for claim in rivals)
    if used + zone.flow_l_min <= source.capacity_l_min + ROUNDING_L_MIN:
        return None
    free_at = _iso(min(claim.until for claim in rivals))
    return Reason(code="source-busy", params=numbers | {"used_l_min": round(used, 3), "free_at": free_at})


def _group_full(farm: Farm, zone: Zone, claims: tuple[Taken, ...]) -> Reason | None:
    """Return why a group of the zone (an elevation, a pipe, zones in sequence) has no room for it now."""
    for group in farm.groups:
        if zone.id not in group.zone_ids:
            continue
        rivals = [claim for claim in claims if claim.zone_id in group.zone_ids]
        flow = sum(claim.flow_l_min for claim in rivals) + zone.flow_l_min
        many = group.max_zones is not None and len(rivals) >= group.max_zones
        if many or (group.max_l_min is not None and flow > group.max_l_min + ROUNDING_L_MIN):
            params: dict[str, float | str] = {"group_id": group.id, "flow_l_min": zone.flow_l_min}
            if not rivals:
                return Reason(code="flow-above-source", params=params | {"capacity_l_min": group.max_l_min or 0.0})
            return Reason(code="source-busy", params=params | {"free_at": _iso(min(one.until for one in rivals))})
    return None


def _zone(farm: Farm, zone_id: str) -> Zone | None:
    return next((zone for zone in farm.zones if zone.id == zone_id), None)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
