"""A database that survives, and one that did not."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from contract.errors import StoreUnavailable
from contract.messages import Batch, GapEvent, Lane, Quantity, Reading
from contract.outbox import Outbox
from contract.store import open_database, open_in_memory, transaction, write_back
from tests.unit.contract.links import NOON

SECOND = timedelta(seconds=1)


def pragma(db: sqlite3.Connection, name: str) -> object:
    return db.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_database_is_made_with_its_folder_and_keeps_what_it_promised(tmp_path: Path) -> None:
    db = open_database(tmp_path / "new" / "edge.db", max_pages=100)
    assert (pragma(db, "journal_mode"), pragma(db, "synchronous"), pragma(db, "max_page_count")) == ("wal", 2, 100)
    assert db.isolation_level is None
    assert db.quarantined is None
    db.close()


def test_it_is_bounded(tmp_path: Path) -> None:
    db = open_database(tmp_path / "edge.db", max_pages=10)
    db.execute("CREATE TABLE t (x)")
    with pytest.raises(sqlite3.OperationalError, match="full"), transaction(db):
        db.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 100)
    assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
    db.close()


@pytest.mark.parametrize("harm", ["all", "middle", "no-database"])
def test_an_unreadable_database_is_set_aside_and_reported(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "edge.db"
    db = open_database(path)
    db.execute("CREATE TABLE t (x)")
    db.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 100)
    db.close()
    whole = path.read_bytes()
    if harm == "all":
        path.write_bytes(b"\xff" * len(whole))
    elif harm == "middle":
        path.write_bytes(whole[:4096] + b"\xff" * 40_960 + whole[45_056:])
    else:
        path.write_text("this was never a database, but somebody put it here")
    harmed = path.read_bytes()
    again = open_database(path)
    assert again.quarantined is not None
    assert again.quarantined.name.startswith("edge.db.corrupt-")
    assert again.quarantined.read_bytes() == harmed
    again.execute("CREATE TABLE t (x)")
    again.close()
    healthy = open_database(path)
    assert healthy.quarantined is None
    healthy.close()


def test_the_log_of_an_unreadable_database_does_not_spoil_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    path.write_bytes(b"\xff" * 8192)
    path.with_name("edge.db-wal").write_bytes(b"\xee" * 8192)
    db = open_database(path)
    db.execute("CREATE TABLE t (x)")
    assert pragma(db, "quick_check") == "ok"
    db.close()


def test_a_place_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot open the database"):
        open_database(tmp_path / "file" / "edge.db")
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StoreUnavailable, match="unable to open"):
        open_database(tmp_path / "folder.db")


def test_a_transaction_is_all_or_nothing_and_part_of_an_outer_one(tmp_path: Path) -> None:
    db = open_database(tmp_path / "edge.db")
    db.execute("CREATE TABLE t (x)")
    with pytest.raises(ZeroDivisionError), transaction(db):
        db.execute("INSERT INTO t VALUES (1)")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), transaction(db):
        with transaction(db):
            db.execute("INSERT INTO t VALUES (2)")
        raise ZeroDivisionError
    with transaction(db), transaction(db):
        db.execute("INSERT INTO t VALUES (3)")
    assert not db.in_transaction
    assert db.execute("SELECT x FROM t").fetchall() == [(3,)]
    db.close()


# --- in RAM ---


def test_a_copy_in_ram_has_what_is_on_the_disk_but_for_what_is_left_there(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    db = open_database(path)
    db.execute("CREATE TABLE t (x, y)")
    db.executemany("INSERT INTO t VALUES (?, ?)", [(1, "a"), (2, "b")])
    memory = open_in_memory(path, "a reason", leave={"t": "y = 'b'"})  # while its log is there
    db.close()
    clean = open_in_memory(path, "a reason", leave={})  # without one
    assert memory.execute("SELECT * FROM t").fetchall() == [(1, "a")]
    assert clean.execute("SELECT * FROM t").fetchall() == [(1, "a"), (2, "b")]
    assert memory.volatile == "a reason"
    memory.execute("INSERT INTO t VALUES (3, 'c')")
    write_back(memory, path, ("t",))
    write_back(memory, path, ("t",))
    again = open_database(path)
    assert again.execute("SELECT * FROM t ORDER BY x").fetchall() == [(1, "a"), (2, "b"), (3, "c")]
    for one in (memory, clean, again):
        one.close()


def test_a_copy_of_nothing_readable_is_empty(tmp_path: Path) -> None:
    (tmp_path / "edge.db").write_bytes(b"\xff" * 8192)
    for name in ("edge.db", "not-there.db"):
        memory = open_in_memory(tmp_path / name, "a reason", leave={})
        assert memory.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        memory.close()


def test_a_copy_in_ram_thins_readings_and_counts_the_gap(tmp_path: Path) -> None:
    memory = open_in_memory(tmp_path / "edge.db", "a reason", leave={}, max_pages=60)
    outbox = Outbox(memory, boot_id="b1")
    for number in range(3000):
        outbox.append(
            Reading(seq=1, sensor="s", quantity=Quantity.BATTERY, value=number, unit="V", at=NOON + number * SECOND)
        )
    events = outbox.batch(Lane.EVENTS, 0, 100)
    assert events is not None
    gaps = Batch.model_validate_json(events.payload).events
    dropped = sum(one.count for one in gaps if isinstance(one, GapEvent))
    assert dropped > 0
    assert dropped + outbox.depth(Lane.READINGS) == 3000
    memory.close()
