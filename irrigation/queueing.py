"""Who of the queue comes when, by what the source gives."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from irrigation.dose import lease_s
from irrigation.farm import Farm
from irrigation.queue import Queued, QueuePlace
from irrigation.room import Room


class QueuePlacer:
    """Gives queued waterings their places in `room`, in their order: none overtakes an earlier one of its source.

    Allowed hours and days without water bind programs, not people; the hours of a pump's power bind all.
    """

    def __init__(self, farm: Farm, room: Room, now: datetime) -> None:
        self._zones = {zone.id: zone for zone in farm.zones}
        self._leads = {source.id: source.supply_before_s for source in farm.sources}
        self._room, self._now = room, now
        self._turns: dict[str, datetime] = {}  # by source: when the last of its queue begins
        self._ends: dict[str, datetime | None] = {}

    def place(self, waiting: Iterable[Queued]) -> list[QueuePlace]:
        """Return where they come, and take the room for it; what finds none takes none, nor does what follows it."""
        return [self._one(each) for each in waiting if each.zone_id in self._zones]

    def _one(self, one: Queued) -> QueuePlace:
        zone = self._zones[one.zone_id]
        start = None
        ready = self._ready(one)
        self._ends[one.run_id] = None
        if ready is not None and not self._room.too_much_for(zone):
            length_s = self._leads[zone.source_id] + lease_s(one.dose, zone)
            found = self._room.earliest_by_person(zone, max(ready, self._turn(zone.source_id)), length_s)
            if found <= one.until:
                start = found
                self._room.take(zone, start, length_s)
                self._turns[zone.source_id] = start
                self._ends[one.run_id] = start + timedelta(seconds=length_s)
        return QueuePlace(run_id=one.run_id, zone_id=zone.id, start=start, until=one.until)

    def _turn(self, source_id: str) -> datetime:
        return self._turns.get(source_id, self._now)

    def _ready(self, one: Queued) -> datetime | None:
        """Return from when on it may begin; None after one that will not."""
        ready = max(self._now, one.since)
        if one.after in self._ends:
            before = self._ends[one.after]
            if before is None:
                return None
            ready = max(ready, before + timedelta(seconds=one.soak_s))
        ahead = self._ends.get(one.behind or "")
        return ready if ahead is None else max(ready, ahead + timedelta(seconds=one.pause_s))
