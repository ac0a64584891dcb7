"""The law of the gateway: whatever people order and programs want, no source is asked for more than it gives."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from contract.messages import Open as Order
from contract.messages import Outcome, Reason, RunEvent, Status
from gateway.orders import ANSWER_MARGIN
from irrigation.model import Entry, Timetable
from irrigation.run import RunState
from tests.unit.gateway import farm as f
from tests.unit.gateway.office import Office

MINUTE = timedelta(minutes=1)
NODES = ("board-1", "board-2")
BEGIN = f.NOW.replace(hour=22, minute=20)  # 05:20 on the farm
SMALL = replace(f.FARM.sources[0], capacity_l_min=75.0)
ZONES = (
    f.zone("a", channel="v1", flow=40.0),
    f.zone("b", channel="v2", flow=30.0),
    f.zone("c", node_id="board-2", channel="v1", flow=50.0),
    f.zone("d", node_id="board-2", channel="v2", flow=25.0),
)
PROGRAMS = (
    f.program("p", "a", "b", minutes=12, start="05:30"),
    f.program("q", "c", "a", minutes=17, start="05:35"),
    f.program("r", "d", "c", "b", minutes=9, start="06:10"),
)
FARM = f.farm(sources=(SMALL,), zones=ZONES, programs=PROGRAMS)


@dataclass(frozen=True)
class Open:
    """A valve that is open at its board."""

    zone_id: str
    node_id: str
    until: datetime
    entry: Entry | None = None


WAY = timedelta(seconds=2)
"""How long a part of the plan is on its way to a board in hearing, and the board's word that it has it back."""


class Field:
    """Boards that obey at once, begin what they hold at its time, and report it, or keep their reports while away.

    They are lost at any moment: with a part of the plan still on its way, which may come through or not.
    """

    def __init__(self, office: Office) -> None:
        self.office = office
        self.now = BEGIN
        self.ahead = timedelta(0)
        self._leapt = timedelta(0)
        self._tell_time()
        self.open: dict[str, Open] = {}
        self.begun: set[str] = set()
        self.refused: set[str] = set()
        self.away: set[str] = set()
        self._held: dict[str, Timetable] = {}
        self._told: dict[str, int] = {}
        self._sent: dict[str, Timetable] = {}
        self._losses = dict.fromkeys(NODES, 0)
        self._unsaid: dict[str, list[RunEvent]] = {node_id: [] for node_id in NODES}
        self._orders: dict[str, Order] = {}
        self._moments: list[tuple[datetime, Callable[[], None]]] = []
        self._version = 0
        self.edit(0)

    # --- what people do ---

    def edit(self, minutes: int) -> None:
        """Put the programs in force, the first of them with so many minutes more."""
        first = f.program("p", "a", "b", minutes=12 + minutes, start="05:30", since=PROGRAMS[0].since)
        self._version += 1
        self.office.configure(replace(FARM, programs=(first, *PROGRAMS[1:])), self._version, self.gateway_now)
        self.replan()

    def order(self, zone_id: str, minutes: int) -> None:
        order = f.open_order(zone_id, self.gateway_now, minutes=minutes)
        self.replan()
        if self.office.orders.handle(order, self.gateway_now).outcome is not Outcome.ACCEPTED:
            return
        self._orders[order.run_id] = order.model_copy(update={"channel": FARM.zone(zone_id).channel})
        self._moments.append((order.expires_at + ANSWER_MARGIN - self.ahead, self._expire))
        self.replan()

    def stop(self, pick: int) -> None:
        near = sorted(run_id for run_id, valve in self.open.items() if valve.node_id not in self.away)
        if near:
            self.end(near[pick % len(near)], RunState.STOPPED)

    def lose(self, node_id: str, *, came_through: bool = False) -> None:
        """Lose a board; the part that is on its way to it comes through or not, and nobody hears which."""
        part = self._sent.pop(node_id, None)
        if part is not None and came_through:
            self._held[node_id] = part
        self._losses[node_id] += 1
        self.away.add(node_id)
        self.office.boards.status(node_id, Status(online=False, boot_id="b", at=self.now), self.gateway_now)
        self.office.plan.compile(self.gateway_now)

    def find(self, node_id: str) -> None:
        self.away.discard(node_id)
        self._told[node_id] = self._version_of(node_id)
        self.replan()
        unsaid, self._unsaid[node_id] = self._unsaid[node_id], []
        if unsaid:
            self.office.report(node_id, *unsaid, now=self.gateway_now)
        self.replan()

    def jump(self, minutes: int) -> None:
        """Set the gateway's clock ahead; boards keep theirs."""
        self.ahead += minutes * MINUTE
        self._tell_time()
        self.replan()

    def leap(self, minutes: int) -> None:
        """Set every clock ahead, the boards' too; leases keep their seconds."""
        by = minutes * MINUTE
        self.now += by
        self._leapt += by
        self.open = {run_id: replace(valve, until=valve.until + by) for run_id, valve in self.open.items()}
        self._moments = [(at + by, act) for at, act in self._moments]
        self._tell_time()
        self.replan()

    # --- what boards do ---

    def _open(self, run_id: str, valve: Open) -> None:
        self.open[run_id] = valve
        self._report(run_id, valve, RunState.OPEN, closes_at=valve.until)

    def end(self, run_id: str, state: RunState) -> None:
        self._report(run_id, self.open.pop(run_id), state)

    def _report(self, run_id: str, valve: Open, state: RunState, **more: datetime) -> None:
        if valve.entry is not None:
            report = f.due_report(valve.entry, state, self.now, **more)
        else:
            report = f.report(self._orders[run_id], state, self.now, **more)
        if valve.node_id in self.away:
            self._unsaid[valve.node_id].append(report)
        else:
            self.office.report(valve.node_id, report, now=self.gateway_now)
            self.replan()

    def _begin(self, entry: Entry) -> None:
        self.begun.add(entry.id)
        if any(valve.zone_id == entry.zone_id for valve in self.open.values()):
            self.refused.add(entry.id)  # a board has one run for each valve; it would try again later
            return
        until = entry.start + timedelta(seconds=entry.max_s)  # the way of a message to a board is not counted
        self._open(f"run-{entry.id}", Open(entry.zone_id, entry.node_id, until, entry))

    def _take(self, node_id: str, part: Timetable, losses: int) -> None:
        if self._losses[node_id] != losses:
            return
        self._held[node_id] = part
        self._moments.append((self.now + WAY, partial(self._tell, node_id, part, losses)))
        for entry in part.entries:
            if self.now - WAY <= entry.start < self.now and entry.id not in self.begun:
                self._begin(entry)  # planned for the moment at which it was sent

    def _tell(self, node_id: str, part: Timetable, losses: int) -> None:
        if self._losses[node_id] == losses:
            self._told[node_id] = part.version
            self.replan()

    def _version_of(self, node_id: str) -> int:
        return self._held[node_id].version if node_id in self._held else 0

    # --- what the gateway does ---

    def replan(self) -> None:
        here = sorted(set(NODES) - self.away)
        for node_id in here:
            self.office.hear(node_id, now=self.gateway_now, version=self._told.get(node_id, 0))
            self.office.plan.confirm(node_id)
        self.office.plan.compile(self.gateway_now)
        for node_id in here:
            part = self.office.plan.parts[node_id]
            if part.version != self._told.get(node_id) and self._sent.get(node_id) != part:
                assert self.office.plan.give(node_id, part)
                self._sent[node_id] = part
                self._moments.append((self.now + WAY, partial(self._take, node_id, part, self._losses[node_id])))
        self._send_orders()

    def _send_orders(self) -> None:
        for run in self.office.orders.to_send(self.gateway_now):
            if run.node_id not in self.away and run.run_id not in self.open:
                self._open(run.run_id, Open(run.zone_id, run.node_id, self.now + timedelta(seconds=run.max_s)))

    def _expire(self) -> None:
        self.office.orders.expire(self.gateway_now)
        self.replan()

    # --- what time brings ---

    @property
    def gateway_now(self) -> datetime:
        """What the gateway's clock shows; `now` is the truth, and what boards' clocks show."""
        return self.now + self.ahead

    def _tell_time(self) -> None:
        self.office.clock_shows = self.gateway_now
        self.office.up_s = (self.now - self._leapt - BEGIN).total_seconds()

    def _next(self) -> tuple[datetime, int, Callable[[], None]] | None:
        """Return what comes next: at one moment first ends, then messages, then starts."""
        coming = [(valve.until, 0, partial(self.end, run_id, RunState.DONE)) for run_id, valve in self.open.items()]
        coming += [(at, 1, partial(self._pop, at, act)) for at, act in self._moments]
        coming += [
            (entry.start, 2, partial(self._begin, entry))
            for part in self._held.values()
            for entry in part.entries
            if entry.id not in self.begun and entry.start >= self.now
        ]
        return min(coming, key=lambda one: one[:2], default=None)

    def _pop(self, at: datetime, act: Callable[[], None]) -> None:
        self._moments.remove((at, act))
        act()

    def wait(self, seconds: int) -> None:
        """Let time pass; whatever comes on the way comes at its moment."""
        until = self.now + timedelta(seconds=seconds)
        while (coming := self._next()) is not None and coming[0] <= until:
            self.now = max(self.now, coming[0])
            self._tell_time()
            coming[2]()
            self.check()
        self.now = until
        self._tell_time()

    def check(self) -> None:
        flow = sum(FARM.zone(valve.zone_id).flow_l_min for valve in self.open.values())
        assert flow <= SMALL.capacity_l_min + 1e-6, (self.now, self.open)


@contextmanager
def office() -> Iterator[Office]:
    with tempfile.TemporaryDirectory() as folder:
        made = Office(Path(folder) / "journal.sqlite3", shows=BEGIN)
        made.db.execute("PRAGMA synchronous = OFF")  # nothing here is about power cuts
        yield made
        made.db.close()


steps = st.one_of(
    st.tuples(st.just("order"), st.sampled_from("abcd"), st.integers(1, 40)),
    st.tuples(st.just("wait"), st.integers(1, 30), st.just(0)),
    st.tuples(st.just("wait"), st.integers(30, 1500), st.just(0)),
    st.tuples(st.just("stop"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("edit"), st.integers(0, 20), st.just(0)),
    st.tuples(st.sampled_from(["lose", "find"]), st.sampled_from(NODES), st.integers(0, 1)),
)


@settings(max_examples=25)
@given(st.lists(steps, min_size=5, max_size=25))
def test_whatever_is_ordered_edited_or_out_of_hearing_no_source_is_asked_for_more_than_it_gives(
    script: list[tuple[str, str | int, int]],
) -> None:
    with office() as made:
        field = Field(made)
        field.wait(60)
        for what, first, second in script:
            if what == "order":
                field.order(str(first), second)
            elif what == "lose":
                field.lose(str(first), came_through=bool(second))
            else:
                getattr(field, what)(first)
            field.check()
        for node_id in NODES:
            field.find(node_id)
        field.wait(3 * 3600)
        assert field.open == {}
        assert field.begun <= made.journal.settled(BEGIN - timedelta(days=1)) | field.refused


def test_in_a_quiet_morning_everything_that_is_due_runs() -> None:
    with office() as made:
        field = Field(made)
        field.wait(3 * 3600)
        assert len(field.begun) == 7
        assert field.open == {}


def test_a_gateway_whose_clock_is_set_ahead_gives_no_order_beside_a_run_that_it_thinks_over() -> None:
    with office() as made:
        field = Field(made)
        field.order("c", 30)  # 50 of 75 L/min
        field.wait(10 * 60)
        field.jump(30)
        field.order("a", 5)  # 40 more
        field.check()
        assert len(field.open) == 1


def test_clocks_that_are_set_ahead_place_no_watering_beside_a_run_that_keeps_its_seconds() -> None:
    with office() as made:
        field = Field(made)
        field.order("c", 60)
        field.wait(10 * 60)
        field.leap(55)
        field.wait(3 * 60 * 60)
        assert field.open == {}


def test_what_a_board_begins_by_a_clock_behind_the_gateways_takes_its_water_to_its_end() -> None:
    with office() as made:
        field = Field(made)
        field.wait(5 * 60)
        field.lose("board-2")
        field.jump(25)
        field.wait(35 * 60)  # board-2 has begun zone c at 05:54 by its own clock, for 17 minutes
        assert [valve.zone_id for valve in field.open.values()] == ["c"]
        field.find("board-2")
        field.order("a", 5)
        field.check()
        field.wait(3 * 60 * 60)


# --- boards that are lost while a new plan is handed over ---


def test_an_order_that_another_boards_watering_has_no_room_beside_opens_when_that_board_has_let_go_of_it() -> None:
    with office() as made:
        field = Field(made)
        field.wait(5 * 60)
        field.order("c", 30)  # 50 L/min; at 05:30 board-1 begins a, of 40
        assert field.open == {}
        field.wait(4)
        assert [valve.zone_id for valve in field.open.values()] == ["c"]
        field.wait(3 * 60 * 60)
        assert len(field.begun) == 7


def test_an_order_beside_which_there_is_room_opens_at_once() -> None:
    with office() as made:
        field = Field(made)
        field.wait(5 * 60)
        field.order("d", 30)  # 25 L/min, beside 40
        field.order("c", 3)  # over before 05:30, however late it is taken
        assert [valve.zone_id for valve in field.open.values()] == ["d", "c"]


def test_an_order_does_not_open_beside_a_watering_of_a_board_that_was_lost_before_it_could_be_told() -> None:
    with office() as made:
        field = Field(made)
        field.wait(5 * 60)
        field.order("c", 30)
        field.lose("board-1")
        field.wait(60 * 60)
        assert "p:20261125:0530:a" in field.begun
        (ended,) = [event for event in made.told(RunEvent) if event.zone_id == "c" and event.state is RunState.EXPIRED]
        assert ended.reason == Reason(code="room-not-made", params={"node_id": "board-1"})


def test_a_watering_that_an_edit_moves_is_given_when_its_place_is_free() -> None:
    with office() as made:
        field = Field(made)
        field.wait(60)
        field.edit(16)  # b moves to 05:58, where board-2 still has c
        field.lose("board-2")
        field.lose("board-1", came_through=True)
        field.wait(3 * 60 * 60)
        for node_id in NODES:
            field.find(node_id)
        field.wait(2 * 60 * 60)
        assert field.begun <= made.journal.settled(BEGIN - timedelta(days=1)) | field.refused


def test_a_board_that_took_a_plan_and_was_lost_before_it_could_say_so_keeps_its_water_by_that() -> None:
    with office() as made:
        field = Field(made)
        field.wait(60)
        field.edit(26)  # c moves from 05:54 to 06:46
        field.lose("board-2", came_through=True)
        field.wait(86 * 60)
        assert [valve.zone_id for valve in field.open.values()] == ["c"]
        field.order("a", 10)
        field.check()
        assert len(field.open) == 1


def test_what_cannot_be_given_at_once_keeps_its_place_until_it_can() -> None:
    with office() as made:
        field = Field(made)
        field.wait(60 + 1079)
        field.stop(0)
        field.edit(1)
        field.order("c", 31)
        field.lose("board-2", came_through=True)
        field.wait(8)
        field.edit(16)
        field.wait(937)
        field.edit(11)
        field.find("board-2")
        before = made.plan.timetable_version
        field.wait(5 * 60)
        assert made.plan.timetable_version < before + 12
        assert "q:20261125:0535:c" in field.begun  # was due, with the rest of board-1's waterings laid out behind it
        field.wait(3 * 60 * 60)
        assert field.begun <= made.journal.settled(BEGIN - timedelta(days=1)) | field.refused
