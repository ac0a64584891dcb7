"""One board in virtual time: its own rules of what it starts, counts and believes, without valves or a line."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from contract.messages import UNIT, DecisionEvent, Event, Open, Origin, Quantity, Reading, Reason, RunEvent
from edge.control import schedule
from edge.control.order import Order, from_command, from_entry
from edge.hardware.ports import SHARE
from firmware_sim.replay.instruments import Instruments, Metered
from irrigation.dose import asked_s
from irrigation.model import Decision, Entry, Result, Rule, Timetable, Zone
from irrigation.run import RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A valve that is open: since and until when (the truth, not the board's clock)."""

    order: Order
    zone: Zone
    opened: datetime
    until: datetime
    entry: Entry | None = None
    metered: Metered | None = None

    def litres(self, open_s: float) -> float | None:
        """Return what its meter says that it brought; without one in the scenario, what the zone's flow does."""
        if self.metered is not None:
            return self.metered.watering.litres
        return round(open_s / 60 * self.zone.flow_l_min, 3) if self.zone.has_meter else None


class Board:
    """Keeps its timetable by `edge.control.schedule`. `tell` takes what it says; its clock is off by `ahead`."""

    def __init__(
        self,
        node_id: str,
        zones: dict[str, Zone],
        instruments: Instruments,
        tell: Callable[[str, Event | Reading], None],
    ) -> None:
        self.node_id = node_id
        self.zones = zones
        self._instruments = instruments
        self.timetable: Timetable | None = None
        self.open: dict[str, Lease] = {}
        self.faults: set[str] = set()
        self.up = self.in_hearing = True
        self.ahead = timedelta(0)
        self._tell = tell
        self._done: set[str] = set()
        self._taken_at: datetime | None = None
        self._looked_at: datetime | None = None
        self._later: tuple[Entry, ...] | None = None  # what the last look left for later

    def take(self, timetable: Timetable, now: datetime) -> None:
        """Keep a new timetable."""
        self.timetable, self._taken_at, self._later = timetable, now + self.ahead, None

    def look(self, now: datetime) -> None:
        """End what is over, start what is due, tell what was missed."""
        for zone_id, lease in list(self.open.items()):
            ended = None if lease.metered is None else lease.metered.until(min(now, lease.until).timestamp())
            if ended is not None:
                at_s, (state, reason) = ended
                self._end(zone_id, state, _moment(at_s), reason)
            elif lease.until <= now:
                reason = None if lease.metered is None else lease.metered.at_deadline()
                self._end(zone_id, RunState.DONE, lease.until, reason)
        if not self.up:
            return
        agenda = self._agenda(now)
        self._looked_at, self._later = now + self.ahead, agenda.later
        for entry in agenda.missed:
            self._miss(entry, now)
        for entry in agenda.due:
            self._start(entry, now)

    def next(self, now: datetime) -> datetime | None:
        """Return when it must look again."""
        moments = [_ends(lease) for lease in self.open.values()]
        if self.up:
            later = self._agenda(now).later if self._later is None else self._later
            moments += [entry.start - self.ahead for entry in later[:1]]
            moments += self._base_looks(now)
        return min(moments, default=None)

    def water(self, order: Open, now: datetime) -> None:
        """Carry out a person's order."""
        if self.up and order.zone_id not in self.open and order.max_s is not None:
            self._open(from_command(order), now)

    def power(self, *, up: bool, now: datetime) -> None:
        """Lose or get back its supply: every valve closes, and what ran is told as interrupted when it is back."""
        for zone_id in list(self.open):
            self.end(zone_id, RunState.INTERRUPTED, now, "restarted")
        self.up = up

    def end(self, zone_id: str, state: RunState, now: datetime, code: str | None = None) -> None:
        """Close a valve and tell it."""
        self._end(zone_id, state, now, Reason(code=code) if code else None)

    # --- what it measures ---

    def meter_back(self, zone_id: str, litres: float, now: datetime) -> None:
        """Have a meter's counter fall; between runs it is looked at now and then."""
        meter = self._instruments.meters[zone_id]
        meter.turn_back(litres)
        if zone_id not in self.open:
            meter.look(now.timestamp(), is_open=False)

    def hear(self, sensor: str, share: float, now: datetime) -> None:
        """Take a probe's share of its converter's reference, and tell what it means."""
        wet = any(sensor in lease.zone.sensors for lease in self.open.values())
        judged = self._instruments.heard(sensor, share, now.timestamp(), wet=wet)
        value = None if judged.value_pct is None else round(judged.value_pct, 4)
        self._tell(
            self.node_id,
            Reading(
                seq=1, sensor=sensor, quantity=Quantity.SOIL_MOISTURE, value=value, unit=UNIT[Quantity.SOIL_MOISTURE],
                at=now + self.ahead, quality=judged.quality, reason=judged.reason, raw=share, raw_unit=SHARE,
            ),
        )  # fmt: skip

    # --- parts ---

    def _base_looks(self, now: datetime) -> list[datetime]:
        """Return when it must look again for the base plan, which it lays out only so far ahead; a real one ticks."""
        if self.timetable is None:
            return []
        return [max(now + schedule.AHEAD / 2, self.timetable.valid_until - self.ahead - schedule.AHEAD)]

    def _agenda(self, now: datetime) -> schedule.Agenda:
        at = now + self.ahead
        entries = schedule.waterings(self.timetable, at, taken_at=self._taken_at, looked_at=self._looked_at)
        under_way = [lease.entry for lease in self.open.values() if lease.entry is not None]
        return schedule.agenda(entries, self._done, at, under_way)

    def _start(self, entry: Entry, now: datetime) -> None:
        if entry.zone_id in self.open:
            return  # tried again at each look, as long as it is not too late
        self._done.add(entry.id)
        table = self.timetable.entries if self.timetable else ()
        origin = Origin.PROGRAM if any(one.id == entry.id for one in table) else Origin.BASE_PLAN
        self._open(from_entry(entry, origin), now, entry)

    def _open(self, order: Order, now: datetime, entry: Entry | None = None) -> None:
        zone = self.zones[order.zone_id]
        metered = self._instruments.metered(order, now.timestamp())
        by_clock = metered is None and order.dose.until_moisture_pct is None
        seconds = min(order.max_s, asked_s(order.dose, zone)) if by_clock else order.max_s
        until = now + timedelta(seconds=seconds)
        if metered is not None:
            metered.watering.opened(now + self.ahead, until + self.ahead, now.timestamp(), metered=True)
        lease = Lease(order=order, zone=zone, opened=now, until=until, entry=entry, metered=metered)
        self.open[zone.id] = lease
        self._report(lease, RunState.OPEN, now)
        if zone.id in self.faults:
            self.end(zone.id, RunState.FAILED, now, "no-flow")

    def _end(self, zone_id: str, state: RunState, now: datetime, reason: Reason | None) -> None:
        self._report(self.open.pop(zone_id), state, now, reason)

    def _report(self, lease: Lease, state: RunState, now: datetime, reason: Reason | None = None) -> None:
        open_s = (now - lease.opened).total_seconds()
        ended, order = state is not RunState.OPEN, lease.order
        self._tell(
            self.node_id,
            RunEvent(
                seq=1, at=now + self.ahead, run_id=order.run_id, zone_id=order.zone_id, channel=order.channel,
                state=state, origin=order.origin, actor=order.actor, dose=order.dose, max_s=order.max_s,
                entry_id=order.entry_id, program_id=order.program_id, opened_at=lease.opened + self.ahead,
                closes_at=lease.opened + self.ahead + timedelta(seconds=order.max_s), litres=lease.litres(open_s),
                open_s=open_s if ended else None, reason=reason,
            ),
        )  # fmt: skip

    def _miss(self, entry: Entry, now: datetime) -> None:
        self._done.add(entry.id)
        late_min = float(round((now + self.ahead - entry.start).total_seconds() / 60))
        decision = Decision(
            id=entry.id, program_id=entry.program_id, zone_id=entry.zone_id, due=entry.due, result=Result.SKIPPED,
            rule=Rule.MISSED, params={"late_min": late_min},
        )  # fmt: skip
        self._tell(self.node_id, DecisionEvent(seq=1, at=now + self.ahead, decision=decision))


def _ends(lease: Lease) -> datetime:
    """Return when the run ends if nothing happens meanwhile: its meter is looked at ahead."""
    ended = None if lease.metered is None else deepcopy(lease.metered).until(lease.until.timestamp())
    return lease.until if ended is None else _moment(ended[0])


def _moment(at_s: float) -> datetime:
    return datetime.fromtimestamp(round(at_s, 3), UTC)
