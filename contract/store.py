"""A SQLite file that survives power cuts, and one that did not: set aside, never deleted, and reported.

Where the disk takes nothing, a copy in RAM does for a while (`open_in_memory`, `write_back`).
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contract.errors import OutboxFull, StoreUnavailable

MAX_PAGES = 65_536  # of 4 KiB: 256 MiB
MAX_PAGES_IN_RAM = 4096  # 16 MiB
PROBE_BYTES = 65_536
MAX_LOG_BYTES = 4_194_304
STORE_FAILED = (sqlite3.DatabaseError, OutboxFull)
"""What a disk that is full, read-only, torn out or corrupt raises at any step, for an `except`."""


class Database(sqlite3.Connection):
    """A connection that knows how it came to be.

    `quarantined` is the unreadable file that was set aside; `volatile` says why it is in RAM and ends with the process.
    """

    quarantined: Path | None = None
    volatile: str = ""


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


def prove(database: Database, path: Path) -> None:
    """Write some pages and drop them again; raise StoreUnavailable when the disk has no room or does not take them.

    There must be room for all that the write-ahead log may become: on the last pages of a disk a process would begin
    one life after the other.
    """
    file_system = os.statvfs(path)
    if file_system.f_bavail * file_system.f_frsize < MAX_LOG_BYTES:
        raise StoreUnavailable(f"the disk of {path} is full: less than {MAX_LOG_BYTES} bytes are free")
    try:
        with transaction(database):
            database.execute("CREATE TABLE probe (x BLOB)")
            database.execute("INSERT INTO probe VALUES (zeroblob(?))", (PROBE_BYTES,))
        with transaction(database):
            database.execute("DROP TABLE probe")
        database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    except sqlite3.OperationalError as exc:
        raise StoreUnavailable(f"the disk of {path} takes nothing: {exc}") from exc


def open_in_memory(path: Path, why: str, leave: Mapping[str, str], *, max_pages: int = MAX_PAGES_IN_RAM) -> Database:
    """Return a database in RAM with what can still be read of the one at `path`; it says `why` as `volatile`.

    `leave` has, for each table, the SQL condition of the rows that stay on the disk. Bounded by `max_pages`.
    """
    memory = sqlite3.connect(":memory:", isolation_level=None, factory=Database)
    memory.volatile = why
    memory.execute(f"PRAGMA max_page_count = {int(max_pages)}")
    # A clean end leaves no write-ahead log, and without one only "immutable" opens a file that cannot be written.
    for mode in ("mode=ro", "immutable=1"):
        with suppress(sqlite3.DatabaseError), closing(_read_only(path, mode)) as disk:
            for name, sql in disk.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall():
                memory.execute(sql)
                _copy(disk, memory, name, f"WHERE NOT ({leave[name]})" if name in leave else "")
            return memory
        for (name,) in memory.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            memory.execute(f"DROP TABLE {name}")
    return memory


def write_back(memory: Database, path: Path, tables: tuple[str, ...]) -> None:
    """Add what the RAM copy's `tables` have to the database at `path`; raise StoreUnavailable if it takes nothing."""
    database = open_database(path)
    try:
        prove(database, path)
        with transaction(database):
            for table in tables:
                held = set(database.execute(f"SELECT * FROM {table}").fetchall())  # noqa: S608 - the caller's own names
                for row in memory.execute(f"SELECT * FROM {table}").fetchall():  # noqa: S608
                    if row not in held:
                        _insert(database, table, row)
    except STORE_FAILED as exc:
        raise StoreUnavailable(f"cannot write to {path}: {exc}") from exc
    finally:
        database.close()


def readable_rows(path: Path, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield what can be read of a table in a database that was set aside; never raises for what cannot."""
    with suppress(sqlite3.DatabaseError), closing(_read_only(path, "mode=ro")) as harmed:
        yield from harmed.execute(f"SELECT * FROM {table}")  # noqa: S608 - the caller's own names


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
        database.execute(f"PRAGMA journal_size_limit = {MAX_LOG_BYTES}")
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


def _read_only(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str, where: str) -> None:
    for row in source.execute(f"SELECT * FROM {table} {where}"):  # noqa: S608 - names of our own tables
        _insert(target, table, row)


def _insert(target: sqlite3.Connection, table: str, row: tuple[Any, ...]) -> None:
    marks = ", ".join("?" * len(row))
    target.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608 - names of our own tables


def _set_aside(path: Path) -> Path:
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    return aside
