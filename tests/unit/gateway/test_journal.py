"""What is committed to the journal is there after any end; what is not committed never was."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from contract.inbox import Inbox
from contract.messages import Batch, FarmConfig, Lane, Outcome, Reply
from contract.outbox import Outbox
from contract.store import open_database
from gateway.boards import Board
from gateway.journal import KEEP, LONGEST_LEASE, Journal
from gateway.planning import parts
from gateway.planning.dispatch import WantedClose, WantedCloseAll
from irrigation.model import Decision, Farm, PlanState, Result, Rule, Timetable
from irrigation.planner import compile_timetable
from irrigation.run import RunState
from tests.unit.gateway import farm as f

NOW = f.NOW
MINUTE = timedelta(minutes=1)
FARM: Farm = f.farm(programs=(f.program("p", "beans", "tea"),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite3"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    db = open_database(path)
    yield Journal(db)
    db.close()


def reopened(path: Path) -> Journal:
    return Journal(open_database(path))


def test_everything_committed_is_read_back_as_it_was(path: Path, journal: Journal) -> None:
    run = f.accepted()
    timetable = compile_timetable(FARM, PlanState(), NOW, days=2, version=3)
    board = Board(node_id="board-1", online=True, last_heard=NOW, config_version=4)
    config = parts.node_config(FARM, "board-1", 2)
    reply = Reply(command_id="order-x", at=NOW, outcome=Outcome.ACCEPTED)
    entry = timetable.entries[0]
    decision = Decision(id="d", program_id="p", zone_id="tea", due=NOW, result=Result.RAN, rule=Rule.AS_PROGRAMMED)
    close = WantedClose(run_id=run.run_id, node_id="board-1", actor="mai")
    close_all = WantedCloseAll(node_id="board-1", actor="mai", asked_at=NOW)
    with journal.transaction():
        journal.save_run(run)
        journal.note("timetable", Timetable, timetable)
        journal.note("farm_config", FarmConfig, FarmConfig(version=7, farm=FARM))
        journal.note("last_time", datetime, NOW)
        journal.save_board("board-1", Board, board)
        journal.save_config("board-1", config)
        journal.save_part("board-1", timetable)
        journal.save_answer(reply)
        journal.save_entries(timetable.entries)
        journal.settle(decision)
        journal.want_close(close, "order-y")
        journal.want_close_all(close_all, "order-z")
        journal.void("run-ghost", NOW)
    again = reopened(path)
    assert again.run(run.run_id) == run
    assert again.run_of(run.command_id or "") == run
    assert again.under_way() == (run,)
    assert again.timetable() == timetable
    assert again.config() == FarmConfig(version=7, farm=FARM)
    assert again.fact("last_time", datetime) == NOW
    assert again.per_board("boards", Board) == {"board-1": board}
    assert again.per_board("configs", type(config)) == {"board-1": config}
    assert again.per_board("parts", Timetable) == {"board-1": timetable}
    assert again.answer("order-x") == reply
    assert again.entry(entry.id) == entry
    assert again.decision("d") == decision
    assert again.settled(NOW) == {"d"}
    assert again.closes() == (close,)
    assert again.close_alls() == (close_all,)
    assert again.is_void("run-ghost")


def test_what_a_transaction_wrote_before_it_failed_never_was(journal: Journal) -> None:
    def half() -> None:
        with journal.transaction():
            journal.save_run(f.accepted())
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        half()
    assert journal.under_way() == ()


def test_a_close_all_is_met_when_its_last_board_is(journal: Journal) -> None:
    for node_id in ("board-1", "board-2"):
        journal.want_close_all(WantedCloseAll(node_id=node_id, actor="mai", asked_at=NOW), "order-1")
    assert journal.close_all_met("board-1") is None
    assert journal.close_all_met("board-2") == "order-1"
    assert journal.close_all_met("board-2") is None


def test_a_close_that_nobody_wants_is_not_met(journal: Journal) -> None:
    assert journal.close_met("run-1") == (False, None)


def test_what_is_long_past_is_forgotten_and_what_is_not_is_kept(journal: Journal) -> None:
    long_ago = NOW - KEEP - timedelta(days=1)
    old, ended, new = f.accepted(now=long_ago), replace(f.accepted(), state=RunState.DONE), f.accepted()
    for run in (old, ended, new):
        journal.save_run(run)
    for at, name in ((long_ago, "old"), (NOW, "new")):
        journal.save_answer(Reply(command_id=name, at=at, outcome=Outcome.DONE))
    journal.forget(NOW)
    assert [journal.run(run.run_id) for run in (old, ended, new)] == [None, ended, new]
    assert journal.answer("old") is None
    assert journal.answer("new") is not None


def test_nobody_is_told_for_ever_to_close_what_no_lease_can_keep_open(journal: Journal) -> None:
    runs = [f.accepted(now=NOW - LONGEST_LEASE - MINUTE), f.accepted(now=NOW - LONGEST_LEASE + MINUTE)]
    for run in runs:
        journal.save_run(run)
        journal.want_close(WantedClose(run_id=run.run_id, node_id="board-1", actor="mai"), None)
    for node_id, run in zip(("board-1", "board-2"), runs, strict=True):
        journal.want_close_all(WantedCloseAll(node_id=node_id, actor="mai", asked_at=run.asked_at), None)
    journal.forget(NOW)
    assert [close.run_id for close in journal.closes()] == [runs[1].run_id]
    assert [wanted.node_id for wanted in journal.close_alls()] == ["board-2"]


_INGEST = """
import sys
from pathlib import Path
from contract.inbox import Inbox
from contract.messages import Batch, Lane
from contract.outbox import Outbox
from contract.store import open_database
from gateway.journal import Journal
from tests.unit.gateway import farm as f

db = open_database(Path(sys.argv[1]))
journal, inbox, outbox = Journal(db), Inbox(db), Outbox(db, boot_id=sys.argv[2])
while True:
    held = inbox.held("board-1", Batch(boot_id="b", lane=Lane.READINGS, after_seq=0, readings=f.readings(1, 1)))
    batch = Batch(boot_id="b", lane=Lane.READINGS, after_seq=held, readings=f.readings(held + 1, held + 50))
    with journal.transaction():
        records, ack = inbox.accept("board-1", batch)
        outbox.append(*records, origin="board-1")
    print(ack.seq, flush=True)
"""


def test_a_process_killed_at_any_moment_leaves_as_many_records_as_its_watermark_says(path: Path) -> None:
    for boot in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", _INGEST, str(path), f"boot-{boot}"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(3 + boot)][-1]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        db = open_database(path)
        probe = Batch(boot_id="b", lane=Lane.READINGS, after_seq=0, readings=f.readings(1, 1))
        held = Inbox(db).held("board-1", probe)
        assert held >= told
        assert Outbox(db, boot_id="look").depth(Lane.READINGS) == held
        db.close()
