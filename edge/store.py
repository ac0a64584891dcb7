"""What a board must still know after a power cut: leases, orders with their answers, what was done, plan, settings.

Where the disk takes nothing, the board keeps it in RAM: it waters on, by short leases, and says so.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from contract.errors import StoreUnavailable
from contract.messages import Event, Lane, NodeConfig, Reply
from contract.store import Database, open_database, open_in_memory, prove, readable_rows, transaction
from edge.control.order import Order
from irrigation.model import Timetable

log = logging.getLogger(__name__)

T = TypeVar("T")

KEPT = timedelta(days=30)
KEPT_ROWS = 500  # however old they seem: a clock that has jumped ahead must not make a board forget what it did today
DAY = timedelta(days=1)

_TABLES = """
CREATE TABLE IF NOT EXISTS lease (run_id TEXT PRIMARY KEY, body TEXT NOT NULL, opened_at TEXT) STRICT;
CREATE TABLE IF NOT EXISTS progress (run_id TEXT PRIMARY KEY, litres REAL, open_s REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS answer (command_id TEXT PRIMARY KEY, body TEXT NOT NULL, at TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS ended (run_id TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS done (entry_id TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS used (channel TEXT NOT NULL, at TEXT NOT NULL, open_s REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
"""

TABLES = ("lease", "progress", "answer", "ended", "done", "used", "fact")

_ORDER = TypeAdapter(Order)
_REPLY = TypeAdapter(Reply)
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_FACTS: dict[str, Any] = {
    "last_time": datetime,
    "timetable_taken": datetime,
    "timetable": Timetable,
    "config": NodeConfig,
    "litres": dict[str, float],
    "untold_tips": int,
}


@dataclass(frozen=True, slots=True)
class OpenLease:
    """A lease without an end: the order, when the guard confirmed it if it did, and how far it was seen to get."""

    order: Order
    opened_at: datetime | None
    litres: float | None = None
    open_s: float | None = None


def open_board(path: Path) -> Database:
    """Open the board's database, in RAM when the disk takes nothing; readings that wait in the outbox stay there."""
    try:
        database = open_database(path)
        try:
            prove(database, path)
        except BaseException:
            database.close()
            raise
    except StoreUnavailable as exc:
        log.error("runs from RAM: %s", exc)
        database = open_in_memory(path, str(exc), leave={"outbox": "lane = 'readings'"})
        if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'outbox_lane'").fetchone():
            database.execute("UPDATE outbox_lane SET stored = 0 WHERE lane = 'readings'")
    return database


class Store:
    """In the same SQLite database as the outbox, so that a step and its report are one commit."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.executescript(_TABLES)

    def transaction(self) -> Any:
        """One commit for all inside."""
        return transaction(self.db)

    # --- leases: written before the valve opens ---

    def begin_lease(self, order: Order) -> None:
        """Write down that a valve is about to open."""
        self.db.execute("INSERT INTO lease VALUES (?, ?, NULL)", (order.run_id, _ORDER.dump_json(order).decode()))

    def lease_opened(self, run_id: str, at: datetime) -> None:
        """Write down that the guard confirmed it."""
        self.db.execute("UPDATE lease SET opened_at = ? WHERE run_id = ?", (at.isoformat(), run_id))

    def note_progress(self, run_id: str, litres: float | None, open_s: float) -> None:
        """Write down how far a run has got, for the report if this process should die."""
        self.db.execute("INSERT OR REPLACE INTO progress VALUES (?, ?, ?)", (run_id, litres, open_s))

    def end_lease(self, order: Order, at: datetime, open_s: float) -> None:
        """Write down that it is over, and for how long the valve was open."""
        self.db.execute("DELETE FROM lease WHERE run_id = ?", (order.run_id,))
        self.db.execute("DELETE FROM progress WHERE run_id = ?", (order.run_id,))
        self.db.execute("INSERT OR IGNORE INTO ended VALUES (?, ?)", (order.run_id, at.isoformat()))
        self.db.execute("INSERT INTO used VALUES (?, ?, ?)", (order.channel, at.isoformat(), open_s))

    def open_leases(self) -> list[OpenLease]:
        """Return the leases without an end: after a start, those that the last life left behind."""
        rows = self.db.execute(
            "SELECT body, opened_at, litres, open_s FROM lease LEFT JOIN progress USING (run_id) ORDER BY lease.rowid"
        ).fetchall()
        return [
            OpenLease(_ORDER.validate_json(body), datetime.fromisoformat(at) if at else None, litres, open_s)
            for body, at, litres, open_s in rows
        ]

    def used_s(self, channel: str, now: datetime) -> float:
        """Return for how many seconds the valve was open in the 24 hours before `now`, by runs that have ended.

        What a clock that had jumped ahead dated more than a day after `now` is not counted for the years until then.
        """
        (used,) = self.db.execute(
            "SELECT coalesce(sum(open_s), 0) FROM used WHERE channel = ? AND at > ? AND at < ?",
            (channel, (now - DAY).isoformat(), (now + DAY).isoformat()),
        ).fetchone()
        return float(used)

    # --- orders ---

    def answer(self, command_id: str) -> Reply | None:
        """Return the answer that this command got before."""
        row = self.db.execute("SELECT body FROM answer WHERE command_id = ?", (command_id,)).fetchone()
        return _REPLY.validate_json(row[0]) if row else None

    def keep_answer(self, reply: Reply) -> None:
        """Remember the answer of a command; a later one takes its place."""
        row = (reply.command_id, _REPLY.dump_json(reply).decode(), reply.at.isoformat())
        self.db.execute("INSERT OR REPLACE INTO answer VALUES (?, ?, ?)", row)

    def end_run(self, run_id: str, at: datetime) -> None:
        """Remember that a run is over or must never begin."""
        self.db.execute("INSERT OR IGNORE INTO ended VALUES (?, ?)", (run_id, at.isoformat()))

    def has_ended(self, run_id: str) -> bool:
        """Whether the run is over or was stopped before it came."""
        return self.db.execute("SELECT 1 FROM ended WHERE run_id = ?", (run_id,)).fetchone() is not None

    # --- due waterings ---

    def set_done(self, entry_id: str, at: datetime) -> None:
        """Remember that a due watering was begun, refused or missed: it will not be tried again."""
        self.db.execute("INSERT OR IGNORE INTO done VALUES (?, ?)", (entry_id, at.isoformat()))

    def done(self, entry_ids: Iterable[str]) -> frozenset[str]:
        """Return those of the ids that are done."""
        return frozenset(
            entry_id
            for entry_id in entry_ids
            if self.db.execute("SELECT 1 FROM done WHERE entry_id = ?", (entry_id,)).fetchone()
        )

    # --- facts ---

    def note(self, name: str, kind: type[T], value: T) -> None:
        """Keep one value under a name."""
        body = TypeAdapter(kind).dump_json(value).decode()
        self.db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, body))

    def fact(self, name: str, kind: type[T]) -> T | None:
        """Return the value kept under a name, or None."""
        row = self.db.execute("SELECT body FROM fact WHERE name = ?", (name,)).fetchone()
        return TypeAdapter(kind).validate_json(row[0]) if row else None

    def rescue(self, aside: Path) -> Iterator[Event]:
        """Take what is whole of a database that was set aside, in the caller's transaction; yield its unsent events."""
        for table, is_whole in _RESCUED.items():
            for row in readable_rows(aside, table):
                if is_whole(*row):
                    marks = ", ".join("?" * len(row))
                    self.db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608 - own names
        for lane, _, body in readable_rows(aside, "outbox"):
            text = f'{{"seq":1,{body}'
            if lane == Lane.EVENTS and _is(_EVENT, text):
                yield _EVENT.validate_json(text)

    def timetable(self) -> Timetable | None:
        """Return the plan as it was last received."""
        return self.fact("timetable", Timetable)

    def config(self) -> NodeConfig | None:
        """Return the farm's settings as they were last received."""
        return self.fact("config", NodeConfig)

    def forget(self, now: datetime) -> None:
        """Drop what is too old to matter, but for the newest rows."""
        for table, kept in (("answer", KEPT), ("ended", KEPT), ("done", KEPT), ("used", 2 * DAY)):
            self.db.execute(
                f"DELETE FROM {table} WHERE at < ? AND rowid <= (SELECT max(rowid) FROM {table}) - ?",  # noqa: S608 - own names
                ((now - kept).isoformat(), KEPT_ROWS),
            )


def _is(kind: TypeAdapter[Any], text: str) -> bool:
    try:
        kind.validate_json(text)
    except ValidationError:
        return False
    return True


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).utcoffset() is not None
    except (ValueError, TypeError):
        return False


_RESCUED: dict[str, Callable[..., bool]] = {
    "lease": lambda _, body, at: _is(_ORDER, body) and (at is None or _is_time(at)),
    "answer": lambda _, body, at: _is(_REPLY, body) and _is_time(at),
    "ended": lambda _, at: _is_time(at),
    "done": lambda _, at: _is_time(at),
    "used": lambda _, at, open_s: _is_time(at) and isinstance(open_s, float),
    "fact": lambda name, body: name in _FACTS and _is(TypeAdapter(_FACTS[name]), body),
}
"""The tables that are taken over from a harmed database, and which of their rows are whole."""
