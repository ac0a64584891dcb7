"""The gateway's queue as values: what may join it, whose turn it is, and who leaves with whom."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from contract.messages import Enqueue, Reason
from gateway.planning.runs import Run
from irrigation.after_trouble import RESUME_WITHIN, shortfall
from irrigation.model import Farm, Hold, Queued, QueuePlace, QueuePolicy, Zone

AGAIN = timedelta(seconds=5)
"""What is refused at its turn, because the plan did not know of something, tries again so much later."""
PASSING = frozenset({"source-busy", "zone-busy", "close-failed", "paused"})
"""Refusals that pass: the watering goes on waiting."""
MAX_WAITING = 400
LONGEST_ID = 80


def refuse(order: Enqueue, farm: Farm | None, waiting: int, now: datetime) -> Reason | None:
    """Return why the order may not join the queue, None when it may; nothing of it is taken then."""
    if now >= order.expires_at:
        return Reason(code="expired", params={"expires_at": order.expires_at.isoformat()})
    if farm is None:
        return Reason(code="unknown-zone", params={"zone_id": order.parts[0].zone_id})
    if farm.hold is not None and farm.hold.emergency:
        return Reason(code="emergency-stop", params={"reason": farm.hold.reason[:200]})
    if waiting + len(order.parts) > MAX_WAITING:
        return Reason(code="queue-full", params={"most": float(MAX_WAITING)})
    zones = {zone.id: zone for zone in farm.zones}
    for part in order.parts:
        zone = zones.get(part.zone_id)
        if zone is None:
            return Reason(code="unknown-zone", params={"zone_id": part.zone_id})
        if part.dose.minutes is not None and part.dose.minutes * 60 > zone.max_run_s:
            return Reason(code="above-cap", params={"max_s": zone.max_run_s})
        capacity = farm.source(zone.source_id).capacity_l_min
        if zone.flow_l_min > capacity:
            return Reason(code="flow-above-source", params={"flow_l_min": zone.flow_l_min, "capacity_l_min": capacity})
    return None


def sources_of(order: Enqueue, farm: Farm) -> frozenset[str]:
    """Return the sources at which `replace` makes room; none for the other policies."""
    if order.policy is not QueuePolicy.REPLACE:
        return frozenset()
    return frozenset(farm.zone(part.zone_id).source_id for part in order.parts)


def at_sources(farm: Farm, sources: Collection[str]) -> frozenset[str]:
    """Return the zones that these sources water."""
    return frozenset(zone.id for zone in farm.zones if zone.source_id in sources)


def with_followers(waiting: Iterable[Queued], run_ids: Collection[str]) -> tuple[Queued, ...]:
    """Return those of the queue, and those that come after them."""
    gone: dict[str, Queued] = {}
    for one in waiting:  # a follower stands behind the one that it follows
        if one.run_id in run_ids or one.after in gone:
            gone[one.run_id] = one
    return tuple(gone.values())


def without(waiting: Iterable[Queued], gone: Collection[Queued]) -> tuple[Queued, ...]:
    """Return the queue without those; what stood behind one of them stands behind the one that was before it."""
    before = {one.run_id: one.behind for one in gone}
    kept = []
    for one in waiting:
        if one.run_id not in before:
            behind = one.behind
            while behind in before:
                behind = before[behind]
            kept.append(one if behind == one.behind else replace(one, behind=behind))
    return tuple(kept)


def since_known(waiting: Collection[Queued], run_of: Callable[[str], Run | None]) -> tuple[Queued, ...]:
    """Return the queue, each from when on it may begin as far as those before it have begun: soaks and pauses count."""
    here = {one.run_id for one in waiting}
    found = []
    for one in waiting:
        since = one.since
        for link, wait_s in ((one.after, one.soak_s), (one.behind, one.pause_s)):
            run = run_of(link) if link is not None and link not in here else None
            if run is not None and (run.under_way or run.ended_at is not None):
                since = max(since, (run.ended_at or run.ends_by) + timedelta(seconds=wait_s))
        found.append(replace(one, since=since))
    return tuple(found)


def rest_of(
    run: Run, zone: Zone, hold: Hold | None, now: datetime, *, open_s: float, litres: float | None
) -> Queued | None:
    """Return what a pause left of a person's run, to go on with before all others; None when it is too little."""
    dose = shortfall(run.dose, zone, open_s=open_s, litres=litres)
    run_id = f"{run.run_id}.p"
    if dose is None or len(run_id) > LONGEST_ID:
        return None
    begins = hold.until if hold is not None and hold.paused(now) else now
    return Queued(run_id=run_id, zone_id=zone.id, dose=dose, since=now, until=begins + RESUME_WITHIN, front=True)


def following(waiting: Iterable[Queued], run_id: str, rest: str) -> tuple[Queued, ...]:
    """Return the queue in which what followed that run follows its rest."""
    return tuple(
        replace(
            one,
            after=rest if one.after == run_id else one.after,
            behind=rest if one.behind == run_id else one.behind,
        )
        for one in waiting
    )


def next_turn(places: Iterable[QueuePlace]) -> datetime | None:
    """Return when the next turn is expected."""
    return min((place.start for place in places if place.start is not None), default=None)
