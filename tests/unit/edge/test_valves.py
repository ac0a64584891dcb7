"""What a board keeps of its valves: learned flows, locks and alerts, over restarts, at a time of our choice."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.clock import Clock
from contract.messages import Ack, Batch, ChannelSettings, FaultEvent, Lane
from contract.outbox import Outbox
from contract.store import open_database
from edge.config import BoardSettings
from edge.control.faults import Event, Fault, Phase
from edge.hardware.fakes import FakeHardware
from edge.instruments import Instruments
from edge.probes import Probes
from edge.store import Store
from edge.valves import Valves
from tests.unit.edge.board import farm_settings

SETTINGS = {
    "farm_id": "mai",
    "node_id": "board-1",
    "state_dir": "state",
    "gpio": {"factory": "mock"},
    "watch": {"no_flow_s": 30.0, "fill_s": 20.0},
    "valve": [
        {"channel": "v1", "pin": 17, "max_open_s": 60.0, "meter": {"pin": 22, "pulses_per_litre": 10.0}},
        {"channel": "v2", "pin": 18, "max_open_s": 60.0},
    ],
}


class Board:
    """The valves of a board whose clock and water a test moves; `restart` begins another life."""

    def __init__(self, path: Path, zone: Callable[[str], ChannelSettings | None] | None = None) -> None:
        self._path = path
        self._zone_of = zone or zone_of
        self.at_s = 1000.0
        self.hardware = FakeHardware()
        self._lives = 0
        self._begin()

    def restart(self) -> None:
        """End this life, its news delivered, and begin another."""
        self.outbox.acknowledge(Ack(boot_id=self.outbox.boot_id, lane=Lane.EVENTS, seq=len(self.told())))
        self.db.close()
        self._begin()

    def _begin(self) -> None:
        self.db = open_database(self._path)
        self._lives += 1
        settings = BoardSettings.model_validate_json(json.dumps(SETTINGS))
        store = Store(self.db)
        self.outbox = Outbox(self.db, boot_id=f"boot-{self._lives}")
        clock = Clock(None)
        probes = Probes({}, settings, store=store, outbox=self.outbox, clock=clock, zones=lambda: ())
        self.valves = Valves(
            settings,
            store=store,
            outbox=self.outbox,
            instruments=Instruments(settings, self.hardware, {}, probes=probes),
            clock=clock,
            zone_of=self._zone_of,
            changed=lambda: None,
        )

    def told(self) -> list[tuple[str, bool]]:
        """Return the faults of this life: code, and whether it is over."""
        parcel = self.outbox.batch(Lane.EVENTS, 0, 100)
        events = Batch.model_validate_json(parcel.payload).events if parcel else ()
        return [(one.code, one.cleared) for one in events if isinstance(one, FaultEvent)]

    def flow(self, l_min: float, seconds: int, *, is_open: bool = True) -> Event | None:
        """Let water run, a look a second; return the fault that an open valve shows."""
        found = None
        for _ in range(seconds):
            self.at_s += 1
            self.hardware.pulses(22).add(round(l_min / 6))
            if is_open:
                found = found or self.valves.look_open("v1", self.at_s)
            else:
                self.valves.look_closed(self.at_s, frozenset())
        return found

    def open(self) -> None:
        self.valves.hear("v1", Event.ORDERED)
        self.valves.opened("v1", self.at_s)

    def close(self) -> None:
        for event in (Event.CLOSE, Event.CLOSED):
            self.valves.hear("v1", event)
        self.valves.closed("v1", self.at_s)
        self.valves.hear("v1", Event.STILL)

    def run(self, l_min: float, seconds: int = 60) -> Event | None:
        """Do a whole watering."""
        self.open()
        self.valves.hear("v1", Event.FLOWED)
        found = self.flow(l_min, seconds)
        if found is not None:
            self.valves.hear("v1", found)
        self.close()
        return found


def zone_of(channel: str) -> ChannelSettings | None:
    return next((one for one in farm_settings().channels if one.channel == channel), None)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    made = Board(tmp_path / "board.sqlite3")
    yield made
    made.db.close()


def test_the_flow_of_good_runs_is_learned_and_outlives_a_restart(board: Board) -> None:
    for _ in range(3):
        assert board.run(12.0) is None  # 8 is nominal: twice that is the limit at first
    board.restart()
    assert board.valves.expected("v1").flow_l_min == pytest.approx(12.0, rel=0.05)
    assert board.run(18.0) is Event.BURST  # it was within the first limit and what pulses can feign
    assert board.valves.expected("v1").flow_l_min == pytest.approx(12.0, rel=0.05)


@pytest.mark.parametrize(("pump_s", "after_s"), [(None, 30), (10, 10), (90, 30)])
def test_no_water_is_told_by_the_board_s_time_or_sooner_by_what_the_pump_can_stand(
    tmp_path: Path, pump_s: int | None, after_s: int
) -> None:
    board = Board(tmp_path / "pump.sqlite3", zone=lambda channel: _with_pump(channel, pump_s))
    board.open()
    assert board.flow(0.0, after_s - 1) is None
    assert board.flow(0.0, 1) is Event.NO_FLOW
    board.db.close()


def _with_pump(channel: str, dry_after_s: int | None) -> ChannelSettings | None:
    zone = zone_of(channel)
    return None if zone is None else zone.model_copy(update={"dry_after_s": dry_after_s})


@pytest.mark.parametrize("seconds", [15, 45])
def test_a_short_run_teaches_nothing(board: Board, seconds: int) -> None:
    board.run(12.0, seconds)
    assert board.valves.expected("v1").settled_l_min == ()


def test_a_run_with_a_fault_teaches_nothing(board: Board) -> None:
    board.open()
    board.valves.hear("v1", Event.FLOWED)
    board.flow(12.0, 60)
    board.valves.hear("v1", Event.NO_FLOW)
    board.close()
    assert board.valves.expected("v1").settled_l_min == ()


def test_a_lock_and_its_reason_outlive_a_restart_and_a_reset_clears_what_was_told(board: Board) -> None:
    board.valves.hear("v1", Event.NIGHT_FLOW)
    since = board.valves.quarantine("v1")
    board.restart()
    assert board.valves.quarantine("v1") == since
    assert board.told() == []  # once is enough
    board.valves.reset("v1", board.at_s)
    assert board.told() == [("night-flow", True)]
    board.restart()
    assert board.valves.quarantine("v1") is None


def test_a_line_that_did_not_close_is_not_taken_for_closed_by_a_restart(board: Board) -> None:
    board.valves.hear("v1", Event.CLOSE_FAILED)
    board.restart()
    assert board.valves.stuck() == frozenset({"v1"})
    assert (board.valves["v1"].phase, board.valves["v1"].leaks) == (Phase.STUCK, True)
    board.valves.hear("v1", Event.CLOSED)
    assert board.told() == [("close-failed", True)]


def test_a_meter_that_jumped_locks_nothing_until_a_later_run_shows_it_well(board: Board) -> None:
    board.open()
    board.valves.hear("v1", Event.FLOWED)
    board.hardware.pulses(22).add(100_000)
    assert board.flow(0.0, 60) is None
    assert board.valves.bad_meter("v1")
    board.close()
    board.restart()
    assert board.valves.bad_meter("v1")
    assert board.run(12.0, 70) is None
    assert not board.valves.bad_meter("v1")
    assert board.told() == [("meter-bad", True)]


def test_water_through_a_shut_valve_is_found_and_a_pulse_is_no_leak(board: Board) -> None:
    board.valves.look_closed(board.at_s, frozenset())
    for _ in range(30):
        board.at_s += 1
        board.hardware.pulses(22).add(2)
        board.valves.look_closed(board.at_s, frozenset({"v1"}))
    assert board.told() == []
    board.valves.closed("v1", board.at_s)
    board.flow(12.0, 40, is_open=False)
    assert board.told() == [("flow-while-closed", False)]


def test_a_lock_that_only_the_guard_has_kept_is_taken_over_and_told(board: Board) -> None:
    board.valves.adopt("v2", Fault.BURST)
    assert board.told() == [("burst", False)]
    board.restart()
    reason = board.valves.quarantine("v2")
    assert reason is not None
    assert reason.code == "burst"


def test_a_supply_that_does_not_go_off_is_told(board: Board) -> None:
    board.valves.hear_supply("pump", stuck=True)
    board.valves.hear_supply("pump", stuck=False)
    assert board.told() == [("close-failed", False), ("close-failed", True)]


def test_without_a_meter_the_guard_s_word_proves_a_run(board: Board) -> None:
    board.valves.hear("v2", Event.ORDERED)
    board.valves.opened("v2", board.at_s)
    assert board.valves["v2"].proved
    assert board.valves.look_open("v2", board.at_s) is None
