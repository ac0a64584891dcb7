"""What the gateway knows, in SQLite: settings, plan, runs, orders with their answers, boards, what is settled.

Every change is part of a transaction that its caller opens, so that a batch's watermark, what it changed here and its
place in the outbox are committed together or not at all. What was committed survives a power cut.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

from contract.messages import FarmConfig, NodeConfig, Reply
from contract.store import transaction
from gateway.planning.dispatch import WantedClose, WantedCloseAll
from gateway.planning.runs import Run
from irrigation.model import Decision, Entry, Timetable

T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS boards (node_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS configs (node_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (node_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS confirmed (node_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS given (
    node_id TEXT NOT NULL, version INTEGER NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (node_id, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, under_way INTEGER NOT NULL, command_id TEXT, asked_at TEXT NOT NULL, doc TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_under_way ON runs (under_way) WHERE under_way;
CREATE INDEX IF NOT EXISTS runs_by_command ON runs (command_id) WHERE command_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS commands (id TEXT PRIMARY KEY, at TEXT NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS closes (
    run_id TEXT PRIMARY KEY, node_id TEXT NOT NULL, actor TEXT NOT NULL, command_id TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS close_alls (
    node_id TEXT PRIMARY KEY, actor TEXT NOT NULL, asked_at TEXT NOT NULL, command_id TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS voided (run_id TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (id TEXT PRIMARY KEY, due TEXT NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settled (id TEXT PRIMARY KEY, due TEXT NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
"""

KEEP = timedelta(days=60)
"""How long runs, answers and settled waterings are kept: far longer than anything is repeated."""
LONGEST_LEASE = timedelta(days=2)
"""No lease reaches further from its order than a day and five minutes: a board away for this long has closed."""


_made = cache(TypeAdapter[Any])


def _adapter(kind: Any) -> TypeAdapter[Any]:
    return _made(kind)


def _dump(kind: type[T], value: T) -> str:
    text: bytes = _adapter(kind).dump_json(value, exclude_none=True)
    return text.decode()


def _load(kind: type[T], text: str) -> T:
    value: T = _adapter(kind).validate_json(text)
    return value


def _at(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")  # one length, so that the order of texts is that of times


class Journal:
    """Reads and writes rows; decides nothing. Times are aware UTC."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all that is written inside together, or nothing of it when an exception leaves."""
        with transaction(self.db):
            yield

    def _docs(self, kind: type[T], query: str, *args: object) -> list[T]:
        return [_load(kind, row[0]) for row in self.db.execute(query, args)]

    def _doc(self, kind: type[T], query: str, *args: object) -> T | None:
        return next(iter(self._docs(kind, query, *args)), None)

    # --- single facts ---

    def fact(self, name: str, kind: type[T]) -> T | None:
        """Return what was last noted under that name."""
        return self._doc(kind, "SELECT doc FROM facts WHERE name = ?", name)

    def note(self, name: str, kind: type[T], value: T) -> None:
        """Put a value under a name, in place of the last one."""
        self.db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, _dump(kind, value)))

    def config(self) -> FarmConfig | None:
        """Return the farm's last good settings."""
        return self.fact("farm_config", FarmConfig)

    def timetable(self) -> Timetable | None:
        """Return the farm's timetable in force."""
        return self.fact("timetable", Timetable)

    # --- what belongs to each board ---

    def per_board(self, table: str, kind: type[T]) -> dict[str, T]:
        """Return all of `boards`, `configs`, `parts` or `confirmed` by node id."""
        return {row[0]: _load(kind, row[1]) for row in self.db.execute(f"SELECT node_id, doc FROM {table}")}  # noqa: S608

    def save_board(self, node_id: str, kind: type[T], board: T) -> None:
        """Keep what was heard of a board."""
        self.db.execute("INSERT OR REPLACE INTO boards VALUES (?, ?)", (node_id, _dump(kind, board)))

    def save_config(self, node_id: str, config: NodeConfig) -> None:
        """Keep the settings that a board should have."""
        self.db.execute("INSERT OR REPLACE INTO configs VALUES (?, ?)", (node_id, _dump(NodeConfig, config)))

    def save_part(self, node_id: str, part: Timetable) -> None:
        """Keep the part of the timetable that a board should have."""
        self.db.execute("INSERT OR REPLACE INTO parts VALUES (?, ?)", (node_id, _dump(Timetable, part)))

    def save_confirmed(self, node_id: str, part: Timetable) -> None:
        """Keep the part of a timetable that a board says it has, and forget what it was given before that."""
        self.db.execute("INSERT OR REPLACE INTO confirmed VALUES (?, ?)", (node_id, _dump(Timetable, part)))
        self.db.execute("DELETE FROM given WHERE node_id = ? AND version <= ?", (node_id, part.version))

    def give(self, node_id: str, part: Timetable) -> None:
        """Note that a part goes to a board, which may hold it from now on, whether or not it can ever say so."""
        values = (node_id, part.version, _dump(Timetable, part))
        self.db.execute("INSERT OR REPLACE INTO given VALUES (?, ?, ?)", values)

    def given(self) -> dict[str, tuple[Timetable, ...]]:
        """Return what each board was given since the part that it says it has, oldest first."""
        found: dict[str, tuple[Timetable, ...]] = {}
        for node_id, doc in self.db.execute("SELECT node_id, doc FROM given ORDER BY node_id, version"):
            found[node_id] = (*found.get(node_id, ()), _load(Timetable, doc))
        return found

    # --- runs ---

    def run(self, run_id: str) -> Run | None:
        """Return that run, under way or ended."""
        return self._doc(Run, "SELECT doc FROM runs WHERE run_id = ?", run_id)

    def run_of(self, command_id: str) -> Run | None:
        """Return the run that an order opened."""
        return self._doc(Run, "SELECT doc FROM runs WHERE command_id = ?", command_id)

    def under_way(self) -> tuple[Run, ...]:
        """Return all runs without an end, in the order of their ids."""
        return tuple(self._docs(Run, "SELECT doc FROM runs WHERE under_way"))

    def ended_since(self, since: datetime) -> tuple[Run, ...]:
        """Return the runs asked for since then that have an end."""
        return tuple(self._docs(Run, "SELECT doc FROM runs WHERE NOT under_way AND asked_at >= ?", _at(since)))

    def save_run(self, run: Run) -> None:
        """Write a run as it now is."""
        self.db.execute(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)",
            (run.run_id, run.under_way, run.command_id, _at(run.asked_at), _dump(Run, run)),
        )

    # --- orders ---

    def answer(self, command_id: str) -> Reply | None:
        """Return what was answered to that order, None when it is new."""
        return self._doc(Reply, "SELECT doc FROM commands WHERE id = ?", command_id)

    def save_answer(self, reply: Reply) -> None:
        """Keep the answer to an order."""
        values = (reply.command_id, _at(reply.at), _dump(Reply, reply))
        self.db.execute("INSERT OR REPLACE INTO commands VALUES (?, ?, ?)", values)

    def void(self, run_id: str, now: datetime) -> None:
        """Remember that a run nobody knew was closed: an order for it that comes later is refused."""
        self.db.execute("INSERT OR IGNORE INTO voided VALUES (?, ?)", (run_id, _at(now)))

    def is_void(self, run_id: str) -> bool:
        """Whether that run was closed before it was known."""
        return self.db.execute("SELECT 1 FROM voided WHERE run_id = ?", (run_id,)).fetchone() is not None

    # --- desired closes ---

    def want_close(self, wanted: WantedClose, command_id: str | None) -> None:
        """Want a run to end until `close_met`."""
        values = (wanted.run_id, wanted.node_id, wanted.actor, command_id)
        self.db.execute("INSERT OR REPLACE INTO closes VALUES (?, ?, ?, ?)", values)

    def closes(self) -> tuple[WantedClose, ...]:
        """Return the runs that must end."""
        rows = self.db.execute("SELECT run_id, node_id, actor FROM closes")
        return tuple(WantedClose(run_id=row[0], node_id=row[1], actor=row[2]) for row in rows)

    def close_met(self, run_id: str) -> tuple[bool, str | None]:
        """Strike that wish; return whether there was one, and the id of the order behind it."""
        row = self.db.execute("DELETE FROM closes WHERE run_id = ? RETURNING command_id", (run_id,)).fetchone()
        return (False, None) if row is None else (True, row[0])

    def want_close_all(self, wanted: WantedCloseAll, command_id: str | None) -> None:
        """Want all valves of a board closed until `close_all_met`."""
        values = (wanted.node_id, wanted.actor, _at(wanted.asked_at), command_id)
        self.db.execute("INSERT OR REPLACE INTO close_alls VALUES (?, ?, ?, ?)", values)

    def close_alls(self) -> tuple[WantedCloseAll, ...]:
        """Return the boards whose valves must all be closed."""
        rows = self.db.execute("SELECT node_id, actor, asked_at FROM close_alls")
        return tuple(
            WantedCloseAll(node_id=row[0], actor=row[1], asked_at=datetime.fromisoformat(row[2])) for row in rows
        )

    def close_all_met(self, node_id: str) -> str | None:
        """Strike that wish; return the id of the order behind it when it was the last board's."""
        row = self.db.execute("DELETE FROM close_alls WHERE node_id = ? RETURNING command_id", (node_id,)).fetchone()
        if row is None or row[0] is None:
            return None
        left = self.db.execute("SELECT 1 FROM close_alls WHERE command_id = ?", (row[0],)).fetchone()
        return None if left else str(row[0])

    # --- due waterings ---

    def save_entries(self, entries: tuple[Entry, ...]) -> None:
        """Keep what the timetable says of each due watering, for the day when its board tells what became of it."""
        rows = [(entry.id, _at(entry.due), _dump(Entry, entry)) for entry in entries]
        self.db.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", rows)

    def entry(self, entry_id: str) -> Entry | None:
        """Return what a timetable last said of that due watering."""
        return self._doc(Entry, "SELECT doc FROM entries WHERE id = ?", entry_id)

    def settle(self, decision: Decision) -> None:
        """Keep what became of a due watering."""
        values = (decision.id, _at(decision.due), _dump(Decision, decision))
        self.db.execute("INSERT OR REPLACE INTO settled VALUES (?, ?, ?)", values)

    def decision(self, entry_id: str) -> Decision | None:
        """Return what became of a due watering, as far as told."""
        return self._doc(Decision, "SELECT doc FROM settled WHERE id = ?", entry_id)

    def settled(self, since: datetime) -> frozenset[str]:
        """Return the ids of what was due after `since` and is settled."""
        return frozenset(row[0] for row in self.db.execute("SELECT id FROM settled WHERE due >= ?", (_at(since),)))

    def decisions_since(self, since: datetime) -> tuple[Decision, ...]:
        """Return what became of what was due since then."""
        return tuple(self._docs(Decision, "SELECT doc FROM settled WHERE due >= ?", _at(since)))

    def forget(self, now: datetime) -> None:
        """Drop what ended longer ago than `KEEP`, and wishes to close what no lease can keep open any more."""
        old, past = (_at(now - KEEP),), (_at(now - LONGEST_LEASE),)
        self.db.execute("DELETE FROM runs WHERE asked_at < ?", old)
        self.db.execute("DELETE FROM commands WHERE at < ?", old)
        self.db.execute("DELETE FROM voided WHERE at < ?", old)
        self.db.execute("DELETE FROM entries WHERE due < ?", old)
        self.db.execute("DELETE FROM settled WHERE due < ?", old)
        self.db.execute("DELETE FROM closes WHERE run_id NOT IN (SELECT run_id FROM runs WHERE asked_at >= ?)", past)
        self.db.execute("DELETE FROM close_alls WHERE asked_at < ?", past)
