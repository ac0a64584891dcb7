"""What has been heard of each board: whether it is there, what it has, and its last snapshot of itself."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contract.messages import Hello, NodeReport, NodeState, Status, ValvePosition
from gateway.journal import Journal
from irrigation.model import Zone

SILENCE = timedelta(seconds=100)
"""A board says its state every 30 s; one that was not heard for three of them is away, whatever the broker believes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board. Versions are None until it has told them; `told_at` is when its `state` was true."""

    node_id: str
    online: bool = False
    boot_id: str | None = None
    last_heard: datetime | None = None
    vouched_at: datetime | None = None  # when the broker last said that it is online
    hello: Hello | None = None
    state: NodeState | None = None
    told_at: datetime | None = None
    config_version: int | None = None
    timetable_version: int | None = None

    def in_hearing(self, now: datetime) -> bool:
        """Whether it can be expected to take an order now."""
        signs = [at for at in (self.last_heard, self.vouched_at) if at is not None]
        return self.online and bool(signs) and now - max(signs) < SILENCE

    @property
    def gist(self) -> tuple[object, ...]:
        """What is worth a write when it changes; times and litres are not."""
        valves = self.state.valves if self.state else ()
        positions = tuple((valve.channel, valve.position, valve.run and valve.run.run_id) for valve in valves)
        return self.online, self.boot_id, self.hello, self.config_version, self.timetable_version, positions


class Boards:
    """All boards of the farm's network, also those that no zone needs; kept in the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._boards = journal.per_board("boards", Board)
        self._unsaved: set[str] = set()

    def __getitem__(self, node_id: str) -> Board:
        return self._boards.get(node_id) or Board(node_id=node_id)

    def all(self) -> tuple[Board, ...]:
        """Return every board ever heard, by id."""
        return tuple(self._boards[node_id] for node_id in sorted(self._boards))

    def heard(self, node_id: str, now: datetime) -> None:
        """Note a sign of life. Only a status makes a board online: a batch may have waited in the broker."""
        self._boards[node_id] = replace(self[node_id], last_heard=now)
        self._unsaved.add(node_id)

    def status(self, node_id: str, status: Status, now: datetime) -> bool:
        """Take birth or death; return whether the board is newly there, so that it must be told everything again."""
        before = self[node_id]
        came = status.online and (not before.in_hearing(now) or before.boot_id != status.boot_id)
        vouched_at = now if status.online else before.vouched_at
        self._set(replace(before, online=status.online, boot_id=status.boot_id, vouched_at=vouched_at))
        return came

    def hello(self, node_id: str, hello: Hello) -> None:
        """Take what the board has and holds; it is online, for it says so itself."""
        self._set(
            replace(
                self[node_id],
                online=True,
                boot_id=hello.boot_id,
                hello=hello,
                config_version=hello.config_version,
                timetable_version=hello.timetable_version,
            )
        )

    def state(self, node_id: str, state: NodeState, now: datetime, *, retained: bool) -> None:
        """Take a snapshot: of now, or the one that the broker kept, unless that is older than what is known."""
        before = self[node_id]
        if retained and before.state is not None and state.at <= before.state.at:
            return
        self._set(
            replace(
                before,
                state=state,
                told_at=state.at if retained else now,
                config_version=state.config_version,
                timetable_version=state.timetable_version,
            )
        )

    def _set(self, board: Board) -> None:
        before = self[board.node_id]
        self._boards[board.node_id] = board
        if board.gist == before.gist:
            self._unsaved.add(board.node_id)
            return
        with self._journal.transaction():
            self._journal.save_board(board.node_id, Board, board)
        self._unsaved.discard(board.node_id)

    def save(self) -> None:
        """Write what was not worth a write of its own; inside the caller's transaction."""
        for node_id in self._unsaved:
            self._journal.save_board(node_id, Board, self._boards[node_id])
        self._unsaved.clear()

    def away(self, node_ids: Iterable[str], now: datetime) -> frozenset[str]:
        """Return those that are out of hearing."""
        return frozenset(node_id for node_id in node_ids if not self[node_id].in_hearing(now))

    def running(self, run_id: str) -> str | None:
        """Return the board whose last snapshot has that run under way."""
        for board in self._boards.values():
            if board.state and any(valve.run and valve.run.run_id == run_id for valve in board.state.valves):
                return board.node_id
        return None

    def stuck_zones(self) -> frozenset[str]:
        """Return the zones whose valve was told to close and did not."""
        return frozenset(
            valve.zone_id
            for board in self._boards.values()
            for valve in (board.state.valves if board.state else ())
            if valve.position is ValvePosition.CLOSE_FAILED and valve.zone_id is not None
        )

    def locked_zones(self) -> frozenset[str]:
        """Return the zones whose valve a fault has locked until a person resets it."""
        return frozenset(
            valve.zone_id
            for board in self._boards.values()
            for valve in (board.state.valves if board.state else ())
            if valve.quarantine is not None and valve.zone_id is not None
        )

    def out_of_reach(self, zones: Iterable[Zone], now: datetime) -> frozenset[str]:
        """Return the zones where nothing can be made up now: faults, or a board out of hearing, are in the way."""
        every = tuple(zones)
        away, locked = self.away((zone.node_id for zone in every), now), self.locked_zones()
        stuck = {zone.source_id for zone in every if zone.id in self.stuck_zones()}
        return frozenset(
            zone.id for zone in every if zone.id in locked or zone.node_id in away or zone.source_id in stuck
        )

    def reports(self, needed: Iterable[str], now: datetime) -> tuple[NodeReport, ...]:
        """Return what the server is told of each board heard, and of each that the farm needs."""
        return tuple(
            NodeReport(
                node_id=node_id,
                online=self[node_id].in_hearing(now),
                last_heard=self[node_id].last_heard,
                state=self[node_id].state,
            )
            for node_id in sorted({*needed, *self._boards})
        )
