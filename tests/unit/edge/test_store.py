"""What a board still knows: each test closes the database and opens it again, as after a power cut."""

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from contract.messages import ChannelSettings, NodeConfig, Outcome, Reason, Reply
from contract.store import open_database
from edge.store import KEPT_ROWS, Store
from tests.fixtures.processes import Processes
from tests.unit.edge.control.orders import NOW, order

ROOT = Path(__file__).parents[3]


class Board:
    """A store that can be cut off from power."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "board.sqlite3"
        self.store = Store(open_database(self._path))

    def cut_power(self) -> Store:
        self.store.db.close()
        self.store = Store(open_database(self._path))
        return self.store


def test_a_lease_without_an_end_is_found_again_with_how_far_it_got(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.store.begin_lease(order())
    (lease,) = board.cut_power().open_leases()
    assert (lease.order, lease.opened_at, lease.litres) == (order(), None, None)
    board.store.lease_opened("run-1", NOW)
    board.store.note_progress("run-1", 1.5, 12.0)
    board.store.note_progress("run-1", 3.5, 25.0)
    (lease,) = board.cut_power().open_leases()
    assert (lease.opened_at, lease.litres, lease.open_s) == (NOW, 3.5, 25.0)
    board.store.end_lease(order(), NOW, 30.0)
    assert board.cut_power().open_leases() == []
    assert board.store.has_ended("run-1")
    board.store.db.close()


def test_what_a_valve_was_open_counts_for_24_hours(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.store.end_lease(order(run_id="a"), NOW - timedelta(hours=25), 500.0)
    board.store.end_lease(order(run_id="b"), NOW - timedelta(hours=23), 300.0)
    board.store.end_lease(order(run_id="c", channel="v2"), NOW, 7.0)
    board.store.end_lease(order(run_id="d"), NOW, 20.5)
    store = board.cut_power()
    assert (store.used_s("v1", NOW), store.used_s("v2", NOW), store.used_s("v3", NOW)) == (320.5, 7.0, 0.0)
    store.db.close()


def test_a_command_has_its_answer_for_good(tmp_path: Path) -> None:
    board = Board(tmp_path)
    reply = Reply(command_id="c1", at=NOW, outcome=Outcome.REFUSED, reason=Reason(code="expired", params={"a": 1.0}))
    board.store.keep_answer(reply)
    assert board.cut_power().answer("c1") == reply
    assert board.store.answer("c2") is None
    board.store.db.close()


def test_done_waterings_stopped_runs_and_settings_are_kept(tmp_path: Path) -> None:
    board = Board(tmp_path)
    config = NodeConfig(
        version=3, tz="UTC", channels=(ChannelSettings(channel="v1", zone_id="tea", max_run_s=60.0, flow_l_min=8.0),)
    )
    board.store.set_done("entry-1", NOW)
    board.store.end_run("run-9", NOW)
    board.store.note("config", NodeConfig, config)
    store = board.cut_power()
    assert store.done(["entry-1", "entry-2"]) == {"entry-1"}
    assert (store.has_ended("run-9"), store.has_ended("run-8")) == (True, False)
    assert store.config() == config
    assert store.timetable() is None
    store.db.close()


def test_what_is_too_old_to_matter_is_forgotten_but_for_the_newest_rows(tmp_path: Path) -> None:
    store = Board(tmp_path).store
    with store.transaction():
        for number, age in enumerate([31] * (KEPT_ROWS + 1) + [29]):
            at = NOW - timedelta(days=age)
            store.set_done(f"entry-{number}", at)
            store.end_run(f"run-{number}", at)
            store.keep_answer(Reply(command_id=f"c{number}", at=at, outcome=Outcome.DONE))
        store.forget(NOW)
    newest = KEPT_ROWS + 1
    assert store.done(["entry-0", "entry-1", "entry-2", f"entry-{newest}"]) == {"entry-2", f"entry-{newest}"}
    assert (store.has_ended("run-0"), store.has_ended(f"run-{newest}")) == (False, True)
    assert (store.answer("c0"), store.answer(f"c{newest}") is not None) == (None, True)
    store.db.close()


def test_a_clock_that_jumps_ahead_and_back_makes_nothing_forgotten_and_blocks_nothing(tmp_path: Path) -> None:
    store = Board(tmp_path).store
    ahead = NOW.replace(year=2099)
    with store.transaction():
        store.set_done("today", NOW)
        store.end_lease(order(run_id="a"), NOW, 300.0)
        store.forget(ahead)
        store.end_lease(order(run_id="b"), ahead, 500.0)
    assert store.done(["today"]) == {"today"}
    assert (store.used_s("v1", NOW), store.used_s("v1", ahead)) == (300.0, 500.0)
    store.db.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from contract.store import open_database
from edge.store import KEPT_ROWS, Store
from tests.unit.edge.control.orders import NOW, order
store = Store(open_database(Path(sys.argv[1])))
cut = lambda step: os.kill(os.getpid(), signal.SIGKILL) if sys.argv[2] == step else None
with store.transaction():
    store.begin_lease(order(entry_id="e1"))
    store.set_done("e1", NOW)
    cut("inside")
cut("begun")
with store.transaction():
    store.lease_opened("run-1", NOW)
cut("opened")
with store.transaction():
    store.end_lease(order(), NOW, 9.0)
    cut("ending")
cut("ended")
"""


def test_killed_at_any_step_of_an_open_it_knows_either_all_of_a_step_or_nothing(
    tmp_path: Path, processes: Processes
) -> None:
    expected = {"inside": (0, False), "begun": (1, True), "opened": (1, True), "ending": (1, True), "ended": (0, True)}
    for step, (leases, done) in expected.items():
        path = tmp_path / f"{step}.sqlite3"
        process = processes.start(sys.executable, "-c", KILLED, path, step, cwd=ROOT, env=dict(os.environ))
        assert process.wait() == -signal.SIGKILL
        store = Store(open_database(path))
        assert (len(store.open_leases()), "e1" in store.done(["e1"])) == (leases, done), step
        store.db.close()
