"""One board in virtual time: the board's own rules of what it starts, without valves, probes or a line."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from contract.messages import DecisionEvent, Event, Open, Origin, Reason, RunEvent
from edge.control import schedule
from irrigation.dose import asked_s
from irrigation.model import Decision, Dose, Entry, Result, Rule, Timetable, Zone
from irrigation.run import RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A valve that is open: since and until when (the truth, not the board's clock)."""

    run_id: str
    zone: Zone
    dose: Dose
    max_s: float
    opened: datetime
    until: datetime
    actor: str
    origin: Origin
    entry: Entry | None = None


class Board:
    """Keeps its timetable by `edge.control.schedule`. `tell` takes its events; `ahead` is how far its clock is off."""

    def __init__(self, node_id: str, zones: dict[str, Zone], tell: Callable[[str, Event], None]) -> None:
        self.node_id = node_id
        self.zones = zones
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
            if lease.until <= now:
                self.end(zone_id, RunState.DONE, lease.until)
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
        moments = [lease.until for lease in self.open.values()]
        if self.up:
            later = self._agenda(now).later if self._later is None else self._later
            moments += [entry.start - self.ahead for entry in later[:1]]
            moments += self._base_looks(now)
        return min(moments, default=None)

    def water(self, order: Open, now: datetime) -> None:
        """Carry out a person's order."""
        if self.up and order.zone_id not in self.open and order.max_s is not None:
            self._open(
                order.run_id, self.zones[order.zone_id], order.dose, order.max_s, now, order.actor, Origin.PERSON
            )

    def power(self, *, up: bool, now: datetime) -> None:
        """Lose or get back its supply: every valve closes, and what ran is told as interrupted when it is back."""
        for zone_id in list(self.open):
            self.end(zone_id, RunState.INTERRUPTED, now, "restarted")
        self.up = up

    def end(self, zone_id: str, state: RunState, now: datetime, code: str | None = None) -> None:
        """Close a valve and tell it."""
        lease = self.open.pop(zone_id)
        self._report(lease, state, now, code)

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
        zone = self.zones[entry.zone_id]
        self._open(f"run-{entry.id}", zone, entry.dose, entry.max_s, now, entry.program_id, origin, entry)

    def _open(
        self, run_id: str, zone: Zone, dose: Dose, max_s: float, now: datetime, actor: str, origin: Origin,
        entry: Entry | None = None,
    ) -> None:  # fmt: skip
        seconds = min(max_s, asked_s(dose, zone)) if dose.until_moisture_pct is None else max_s
        lease = Lease(
            run_id=run_id, zone=zone, dose=dose, max_s=max_s, opened=now, until=now + timedelta(seconds=seconds),
            actor=actor, origin=origin, entry=entry,
        )  # fmt: skip
        self.open[zone.id] = lease
        self._report(lease, RunState.OPEN, now)
        if zone.id in self.faults:
            self.end(zone.id, RunState.FAILED, now, "no-flow")

    def _report(self, lease: Lease, state: RunState, now: datetime, code: str | None = None) -> None:
        open_s = (now - lease.opened).total_seconds()
        ended = state is not RunState.OPEN
        self._tell(
            self.node_id,
            RunEvent(
                seq=1, at=now + self.ahead, run_id=lease.run_id, zone_id=lease.zone.id, channel=lease.zone.channel,
                state=state, origin=lease.origin, actor=lease.actor, dose=lease.dose, max_s=lease.max_s,
                entry_id=lease.entry.id if lease.entry else None,
                program_id=lease.entry.program_id if lease.entry else None,
                opened_at=lease.opened + self.ahead,
                closes_at=lease.opened + self.ahead + timedelta(seconds=lease.max_s),
                litres=round(open_s / 60 * lease.zone.flow_l_min, 3) if lease.zone.has_meter else None,
                open_s=open_s if ended else None, reason=Reason(code=code) if code else None,
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
