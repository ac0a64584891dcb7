"""Time goes from one moment at which something is due to the next, and everybody does their part in it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from contract.messages import DecisionEvent, Event, Lane, Open, Quality, Reading, RunEvent
from firmware_sim.replay.board import Board
from firmware_sim.replay.instruments import Instruments
from firmware_sim.replay.office import Office
from firmware_sim.replay.scenario import Happening, Scenario
from irrigation.dose import lease_s
from irrigation.model import Decision, Dose, Farm, Hold, Program, Zone
from irrigation.run import ENDS, RunState

_PROGRAM = TypeAdapter(Program)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Happened:
    """What the server would have heard: every run that ended or goes on, and the last decision of each due watering."""

    runs: tuple[RunEvent, ...]
    decisions: tuple[Decision, ...]


@contextmanager
def replayed(scenario: Scenario, *, shortcut: bool = True) -> Iterator[Happened]:
    """Run the scenario; yield what happened. `shortcut` is the gateway's (firmware_sim.replay.office)."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(scenario, Path(folder), shortcut=shortcut)
        yield world.run()


class World:
    """The farm's gateway and its boards, and what happens to them."""

    def __init__(self, scenario: Scenario, folder: Path, *, shortcut: bool = True) -> None:
        self._scenario, self._folder, self._shortcut = scenario, folder, shortcut
        self.farm: Farm = scenario.farm
        self.now = scenario.utc(scenario.begin)
        self._began, self._ahead, self._version = self.now, timedelta(0), count(1)
        self._ids = count(1)
        self._runs: dict[str, RunEvent] = {}
        self._opened: dict[str, datetime] = {}
        self._decisions: dict[str, Decision] = {}
        zones = {zone.id: zone for zone in self.farm.zones}
        nodes = sorted({zone.node_id for zone in self.farm.zones})
        self.boards = {
            node_id: Board(node_id, zones, self._instruments(node_id, zones), self._keep) for node_id in nodes
        }
        self._unsaid: dict[tuple[str, Lane], list[Event | Reading]] = {}
        self._said: dict[tuple[str, Lane], int] = {}
        self.office: Office | None = self._office()
        self.office.configure(self.farm, next(self._version), self._gateway_now)

    def _instruments(self, node_id: str, zones: dict[str, Zone]) -> Instruments:
        meters = (one for one in self._scenario.meters if zones[one.zone].node_id == node_id)
        return Instruments(meters, (one for one in self._scenario.probes if one.node == node_id), zones)

    def run(self) -> Happened:
        """Let it all happen."""
        events = sorted(self._scenario.events, key=lambda one: one.at)
        end = self._scenario.utc(self._scenario.end)
        while self.now < end:
            self._settle()
            coming = self._scenario.utc(events[0].at) if events else end
            self.now = max(self.now, min(self._next(), coming, end))
            if self.office is not None:
                self.office.rang(self._gateway_now)
            if events and self._scenario.utc(events[0].at) <= self.now:
                self._settle()
            while events and self._scenario.utc(events[0].at) <= self.now:
                self._happen(events.pop(0))
        self._settle()
        if self.office is not None:
            self.office.end(self._gateway_now)
        return Happened(tuple(self._runs.values()), tuple(self._decisions.values()))

    # --- time ---

    @property
    def _gateway_now(self) -> datetime:
        return self.now + self._ahead

    def _up_s(self) -> float:
        return (self.now - self._began).total_seconds()

    def _office(self) -> Office:
        return Office(
            self._folder, self.farm.id, self._scenario.days, lambda: self._gateway_now,
            self._up_s, self._hear, shortcut=self._shortcut,
        )  # fmt: skip

    def _settle(self) -> None:
        """Everybody does what is due now, and tells it, until nothing is new."""
        for _ in range(8):
            for board in self.boards.values():
                board.look(self.now)
            if self.office is None:
                return
            self._deliver()
            self.office.look(self._gateway_now)
            if not self._hand_out() and not self.office.stale:
                return

    def _next(self) -> datetime:
        moments = [at for board in self.boards.values() if (at := board.next(self.now)) is not None]
        if self.office is not None and (at := self.office.next(self._gateway_now)) is not None:
            moments.append(at - self._ahead)
        return min((at for at in moments if at > self.now), default=self.now + timedelta(days=1))

    # --- the line ---

    def _keep(self, node_id: str, record: Event | Reading) -> None:
        lane = Lane.READINGS if isinstance(record, Reading) else Lane.EVENTS
        self._unsaid.setdefault((node_id, lane), []).append(record)

    def _deliver(self) -> None:
        assert self.office is not None  # noqa: S101
        for node_id, board in self.boards.items():
            if not (board.up and board.in_hearing):
                self.office.lose(node_id)
                continue
            held = board.timetable.version if board.timetable else 0
            self.office.hear(node_id, held, self._gateway_now)
            for lane in Lane:
                records = tuple(self._unsaid.pop((node_id, lane), ()))
                said = self._said.get((node_id, lane), 0)
                for first in range(0, len(records), 500):
                    part = records[first : first + 500]
                    self.office.report(node_id, said + first, part, self._gateway_now)
                self._said[node_id, lane] = said + len(records)

    def _hand_out(self) -> bool:
        """Give each board in hearing its part of the timetable; return whether one was new."""
        assert self.office is not None  # noqa: S101
        new = False
        for node_id, part in self.office.plan.parts.items():
            board = self.boards.get(node_id)
            if board is not None and board.up and board.in_hearing and board.timetable != part:
                board.take(part, self.now)
                new = True
        return new

    def _hear(self, record: Event | Reading) -> None:
        if isinstance(record, DecisionEvent):
            self._decisions[record.decision.id] = record.decision
        elif isinstance(record, RunEvent) and (record.state in ENDS or record.state is RunState.OPEN):
            self._runs[record.run_id] = record

    # --- what happens ---

    def _happen(self, one: Happening) -> None:
        getattr(self, "_" + one.do.replace("-", "_"))(one)

    def _change(self, farm: Farm) -> None:
        self.farm = farm
        version = next(self._version)
        if self.office is not None:
            self.office.configure(farm, version, self._gateway_now)

    def _gateway_down(self, _: Happening) -> None:
        if self.office is not None:
            self.office.end(self._gateway_now)
        self.office = None

    def _gateway_up(self, _: Happening) -> None:
        self.office = self._office()
        self.office.configure(self.farm, next(self._version), self._gateway_now)

    def _board_down(self, one: Happening) -> None:
        self.boards[one.node].power(up=False, now=self.now)

    def _board_up(self, one: Happening) -> None:
        self.boards[one.node].power(up=True, now=self.now)

    def _line_down(self, one: Happening) -> None:
        self.boards[one.node].in_hearing = False

    def _line_up(self, one: Happening) -> None:
        self.boards[one.node].in_hearing = True

    def _clock(self, one: Happening) -> None:
        if one.who == "gateway":
            self._ahead += one.minutes * _MINUTE
        else:
            self.boards[one.who].ahead += one.minutes * _MINUTE

    def _hold(self, one: Happening) -> None:
        self._change(replace(self.farm, hold=Hold(until=self.now + timedelta(hours=one.hours), reason=one.reason)))

    def _release(self, _: Happening) -> None:
        self._change(replace(self.farm, hold=None))

    def _skip(self, one: Happening) -> None:
        if self.office is None or self.office.plan.timetable is None:
            return
        coming = [entry for entry in self.office.plan.timetable.entries if entry.start > self.now]
        mine = [each for each in coming if one.program in {each.program_id, ""} and one.zone in {each.zone_id, ""}]
        ids = tuple(each.id for each in mine if each.due == mine[0].due)
        self._change(replace(self.farm, skips=(*self.farm.skips, *ids)))

    def _edit(self, one: Happening) -> None:
        programs = tuple(
            _PROGRAM.validate_python(
                _PROGRAM.dump_python(each, mode="json") | one.set | {"since": self.now.astimezone(UTC).isoformat()},
                strict=False,
            )
            if each.id == one.program
            else each
            for each in self.farm.programs
        )
        self._change(replace(self.farm, programs=programs))

    def _delete(self, one: Happening) -> None:
        self._change(replace(self.farm, programs=tuple(each for each in self.farm.programs if each.id != one.program)))

    def _water(self, one: Happening) -> None:
        zone = self.farm.zone(one.zone)
        dose = Dose(minutes=one.minutes)
        name = f"order-{next(self._ids)}"
        order = Open(
            id=name, run_id=f"run-{name}", issued_at=self._gateway_now, expires_at=self._gateway_now + 2 * _MINUTE,
            actor="person", zone_id=zone.id, dose=dose, channel=zone.channel, max_s=lease_s(dose, zone),
        )  # fmt: skip
        if self.office is not None and self.office.order(order, self._gateway_now):
            self.boards[zone.node_id].water(order, self.now)

    def _stop(self, one: Happening) -> None:
        board = self.boards[self.farm.zone(one.zone).node_id]
        if one.zone in board.open:
            board.end(one.zone, RunState.STOPPED, self.now, "stopped")

    def _fault(self, one: Happening) -> None:
        self.boards[self.farm.zone(one.zone).node_id].faults.add(one.zone)

    def _mend(self, one: Happening) -> None:
        self.boards[self.farm.zone(one.zone).node_id].faults.discard(one.zone)

    def _meter_back(self, one: Happening) -> None:
        self.boards[self.farm.zone(one.zone).node_id].meter_back(one.zone, one.litres, self.now)

    def _raw(self, one: Happening) -> None:
        self.boards[one.node].hear(one.sensor, one.value, self.now)

    def _reading(self, one: Happening) -> None:
        made: dict[str, Any] = {
            "seq": 1, "sensor": one.sensor, "quantity": one.quantity, "value": one.value, "unit": one.unit,
            "at": self.now, "quality": Quality.GOOD,
        }  # fmt: skip
        self._keep(one.node, Reading(**made))
