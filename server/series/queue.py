"""Readings on their way to a store elsewhere: safe on our disk until that store has them."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contract.messages import Batch, Reading
from server.errors import Unavailable
from server.series.catalog import Catalog
from server.series.port import Accepted, Latest

_SET_ASIDE_KEPT = 10_000
_TABLES = """
CREATE TABLE IF NOT EXISTS waiting (id INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS set_aside (
    id INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One line and its place in the queue."""

    id: int
    line: str


class Queue:
    """Lines in order of arrival. `to_line` makes one of a reading."""

    def __init__(self, path: Path, to_line: Callable[[str, str, Reading], str]) -> None:
        self._to_line = to_line
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=5)
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.executescript(_TABLES)
            self._catalog = Catalog(self._db)
            self._depth: int = self._db.execute("SELECT count(*) FROM waiting").fetchone()[0]
        except sqlite3.Error as exc:
            raise Unavailable("series", f"open {path}: {exc}") from exc

    def accept(self, farm_id: str, sender: str, batch: Batch) -> Accepted:
        """Queue what is new, with the sender's watermark, in one transaction on disk."""
        with self._transaction():
            accepted = self._catalog.fresh(farm_id, sender, batch)
            self._catalog.rows(farm_id, sender, accepted.readings)
            lines = [(self._to_line(farm_id, sender, reading),) for reading in accepted.readings]
            self._db.executemany("INSERT INTO waiting (line) VALUES (?)", lines)
        self._depth += len(accepted.readings)
        return accepted

    def first(self, limit: int) -> list[Waiting]:
        """The lines that have waited longest."""
        with self._translated():
            rows = self._db.execute("SELECT id, line FROM waiting ORDER BY id LIMIT ?", (limit,))
            return [Waiting(*row) for row in rows]

    def delivered(self, lines: Sequence[Waiting]) -> None:
        """The other store has these."""
        with self._transaction():
            self._db.executemany("DELETE FROM waiting WHERE id = ?", [(line.id,) for line in lines])
        self._depth -= len(lines)

    def set_aside(self, line: Waiting, reason: str) -> None:
        """The other store will never take this one: kept for a person to look at, and tried no more."""
        with self._transaction():
            self._db.execute("DELETE FROM waiting WHERE id = ?", (line.id,))
            self._db.execute("INSERT INTO set_aside (line, reason) VALUES (?, ?)", (line.line, reason[:500]))
            self._db.execute(
                "DELETE FROM set_aside WHERE id <= (SELECT max(id) FROM set_aside) - ?", (_SET_ASIDE_KEPT,)
            )
        self._depth -= 1

    def aside(self) -> list[tuple[str, str]]:
        """Lines that were set aside, and why; the latest last."""
        with self._translated():
            return self._db.execute("SELECT line, reason FROM set_aside ORDER BY id").fetchall()

    def latest(self, farm_id: str) -> list[Latest]:
        """The latest reading of every sensor of a farm."""
        with self._translated():
            return self._catalog.latest(farm_id)

    def depth(self) -> int:
        """How many lines wait."""
        return self._depth

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._catalog.forget()
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise Unavailable("series", f"queue: {exc}") from exc
