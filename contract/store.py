"""A SQLite file that survives power cuts, and one that did not: set aside, never deleted, and reported."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from contract.errors import StoreUnavailable

MAX_PAGES = 65_536  # of 4 KiB: 256 MiB


class Database(sqlite3.Connection):
    """A connection that knows whether it had to start anew: `quarantined` is the unreadable file, set aside."""

    quarantined: Path | None = None


def open_database(path: Path, *, max_pages: int = MAX_PAGES) -> Database:
    """Open or make the database: WAL, `synchronous=FULL`, no implicit transactions, at most `max_pages` pages.

    An unreadable one is renamed `NAME.corrupt-TIME` and a new one made; the connection's `quarantined` says so, for
    the caller to report. Raise StoreUnavailable if the place cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _open(path, max_pages)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            aside = _set_aside(path)
            database = _open(path, max_pages)
            database.quarantined = aside
            return database
    except (OSError, sqlite3.OperationalError) as exc:
        raise StoreUnavailable(f"cannot open the database {path}: {exc}") from exc


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done inside, or nothing of it when an exception leaves; part of the caller's if one is open."""
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # SQLite may have rolled back by itself: a full disk does that.
        with suppress(sqlite3.OperationalError):
            db.execute("ROLLBACK")
        raise


def _open(path: Path, max_pages: int) -> Database:
    database = sqlite3.connect(path, isolation_level=None, timeout=5.0, factory=Database)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        # A small write-ahead log: on a full disk even DELETE and the checkpoint are refused.
        database.execute("PRAGMA wal_autocheckpoint = 256")
        database.execute("PRAGMA journal_size_limit = 4194304")
        database.execute(f"PRAGMA max_page_count = {int(max_pages)}")
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        # A read-only file opens without complaint; only writing tells.
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")
    except BaseException:
        database.close()
        raise
    return database


def _set_aside(path: Path) -> Path:
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    return aside
