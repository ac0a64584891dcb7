"""The series in a SQLite file of its own: readings as they came, and minutes, hours and days of them.

Readings, roll-ups and the sender's watermark change in one transaction, so a roll-up always counts what the readings
say, and a batch that comes twice counts once.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from contract.messages import Batch
from server.errors import Unavailable
from server.series.catalog import BAD, QUALITIES, Catalog, Row, columns, from_us
from server.series.port import (
    DAY_S,
    HOUR_S,
    MINUTE_S,
    SUMMED,
    Accepted,
    Latest,
    Measured,
    Point,
    Sensor,
    Span,
    step_for,
)

_LEVELS = {"minute": MINUTE_S, "hour": HOUR_S, "day": DAY_S}
_THIN_ROWS = 20_000  # deleted in one transaction; more would make a watering wait
_THIN_EVERY_S = 600.0
_BREATH_S = 0.05  # lets waterings in between

_TABLES = "".join(
    f"""
CREATE TABLE IF NOT EXISTS {level} (
    sensor_id INTEGER NOT NULL, at INTEGER NOT NULL, count INTEGER NOT NULL, sum REAL NOT NULL, low REAL NOT NULL,
    high REAL NOT NULL, PRIMARY KEY (sensor_id, at)
) STRICT, WITHOUT ROWID;"""
    for level in _LEVELS
)
_READINGS = """
CREATE TABLE IF NOT EXISTS reading (
    sensor_id INTEGER NOT NULL, at INTEGER NOT NULL, value REAL, quality INTEGER NOT NULL, reason TEXT,
    raw REAL, raw_unit TEXT, temperature_c REAL, supply_v REAL,
    PRIMARY KEY (sensor_id, at)
) STRICT, WITHOUT ROWID;
"""
_TAKE_OVER = """
INSERT INTO reading (sensor_id, at, value, quality) SELECT sensor_id, at, value, quality FROM reading_before;
DROP TABLE reading_before;
COMMIT;
"""
_Rollup = list[float]  # count, sum, low, high


class SqliteSeries:
    """See the port. `raw_days` and `minute_days` bound the file; hours and days are kept for ever."""

    def __init__(
        self, path: Path, now: Callable[[], datetime], *, raw_days: float = 90, minute_days: float = 730
    ) -> None:
        self._now = now
        self._keep = {"reading": timedelta(days=raw_days), "minute": timedelta(days=minute_days)}
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=5)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-32000", "wal_autocheckpoint=4000"):
                self._db.execute(f"PRAGMA {pragma}")
            _renew(self._db)
            self._db.executescript(_READINGS + _TABLES)
            self._catalog = Catalog(self._db)
        except sqlite3.Error as exc:
            raise Unavailable("series", f"open {path}: {exc}") from exc

    def accept(self, farm_id: str, sender: str, batch: Batch) -> Accepted:
        """See the port."""
        with self._transaction():
            accepted = self._catalog.fresh(farm_id, sender, batch)
            if accepted.readings:
                self._store(self._catalog.rows(farm_id, sender, accepted.readings))
        return accepted

    async def span(self, sensors: Sequence[Sensor], start: datetime, end: datetime, points: int) -> Span:
        """See the port."""
        with _translated("read"):
            ids = self._catalog.ids(sensors)
            if not ids:
                return Span(step_s=0, points=(), last_at=None)
            last_at = self._catalog.last_at(ids)
            if len(ids) == 1:
                readings = self._readings(ids[0], start, end, points)
                if readings is not None:
                    return Span(step_s=0, points=readings, last_at=last_at)
            step_s = step_for(start, end, points)
            summed = sensors[0].quantity in SUMMED
            return Span(step_s=step_s, points=self._steps(ids, start, end, step_s, summed), last_at=last_at)

    async def readings(self, sensor: Sensor, start: datetime, end: datetime, limit: int) -> tuple[Measured, ...]:
        """See the port."""
        with _translated("read"):
            rows = self._db.execute(
                "SELECT at, value, quality, reason, raw, raw_unit, temperature_c, supply_v FROM reading"
                " WHERE sensor_id = ? AND at >= ? AND at < ? ORDER BY at DESC LIMIT ?",
                (*(self._catalog.ids([sensor]) or [0]), *_us(start, end), limit),
            ).fetchall()
        return tuple(
            Measured(
                at=from_us(at), value=value, quality=QUALITIES[quality], reason=reason, raw=raw, raw_unit=raw_unit,
                temperature_c=temperature_c, supply_v=supply_v,
            ) for at, value, quality, reason, raw, raw_unit, temperature_c, supply_v in reversed(rows)
        )  # fmt: skip

    def latest(self, farm_id: str) -> list[Latest]:
        """See the port."""
        with _translated("read"):
            return self._catalog.latest(farm_id)

    def backlog(self) -> int:
        """Nothing waits: what is stored is what is read."""
        return 0

    async def check(self) -> None:
        """See the port."""
        with _translated("read"):
            self._db.execute("SELECT 1 FROM sensor LIMIT 1").fetchone()

    async def run(self) -> None:
        """Thin what is older than it is kept for, a little at a time."""
        while True:
            more = self.thin()
            await asyncio.sleep(_BREATH_S if more else _THIN_EVERY_S)

    def thin(self) -> bool:
        """Delete some of what is too old; whether there may be more."""
        more = False
        for table, age in self._keep.items():
            unit = 1_000_000 if table == "reading" else 1
            before = int((self._now() - age).timestamp()) * unit
            with self._transaction():
                for (sensor_id,) in self._db.execute("SELECT id FROM sensor").fetchall():
                    # By sensor, so that the primary key finds them.
                    gone = self._db.execute(
                        f"DELETE FROM {table} WHERE sensor_id = ?1 AND at IN (SELECT at FROM {table}"  # noqa: S608
                        " WHERE sensor_id = ?1 AND at < ?2 ORDER BY at LIMIT ?3)",
                        (sensor_id, before, _THIN_ROWS),
                    ).rowcount
                    more = more or gone == _THIN_ROWS
        return more

    def close(self) -> None:
        """See the port."""
        self._db.close()

    def _store(self, rows: list[Row]) -> None:
        before = self._db.total_changes
        self._db.executemany("INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        if self._db.total_changes - before != len(rows):
            self._store_repeated(rows)
            return
        self._roll_up(row for row in rows if row[3] < BAD)

    def _store_repeated(self, rows: list[Row]) -> None:
        # A sensor that says the same moment again (a board restored from an old card): the first word stays, and the
        # roll-ups of the minutes and hours at hand are counted anew from the readings.
        for level, length_s in _LEVELS.items():
            for sensor_id, at in {(row[0], row[1] // 1_000_000 // length_s * length_s) for row in rows}:
                self._db.execute(
                    f"INSERT OR REPLACE INTO {level} SELECT sensor_id, ?2, count(*), sum(value), min(value), max(value)"  # noqa: S608
                    " FROM reading WHERE sensor_id = ?1 AND at >= ?2 * 1000000 AND at < (?2 + ?3) * 1000000"
                    " AND quality < ?4 GROUP BY sensor_id",
                    (sensor_id, at, length_s, BAD),
                )

    def _roll_up(self, rows: Iterator[Row]) -> None:
        minutes: dict[tuple[int, int], _Rollup] = {}
        for row in rows:
            value = row[2]
            if value is None:  # the wire lets no such reading through
                continue
            key = (row[0], row[1] // 60_000_000 * 60)
            known = minutes.get(key)
            if known is None:
                minutes[key] = [1, value, value, value]
                continue
            known[0] += 1
            known[1] += value
            if value < known[2]:
                known[2] = value
            elif value > known[3]:
                known[3] = value
        rollups = minutes
        for level, length_s in _LEVELS.items():
            rollups = rollups if level == "minute" else _coarser(rollups, length_s)
            self._db.executemany(
                f"INSERT INTO {level} VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (sensor_id, at) DO UPDATE SET"  # noqa: S608
                " count = count + excluded.count, sum = sum + excluded.sum,"
                " low = min(low, excluded.low), high = max(high, excluded.high)",
                [(key[0], key[1], int(rollup[0]), *rollup[1:]) for key, rollup in rollups.items()],
            )

    def _readings(self, sensor_id: int, start: datetime, end: datetime, points: int) -> tuple[Point, ...] | None:
        rows = self._db.execute(
            "SELECT at, value FROM reading WHERE sensor_id = ? AND at >= ? AND at < ? AND quality < ?"
            " ORDER BY at LIMIT ?",
            (sensor_id, *_us(start, end), BAD, points + 1),
        ).fetchall()
        too_old = start < self._now() - self._keep["reading"]
        if len(rows) > points or (too_old and not rows):
            return None
        return tuple(Point(at / 1_000_000, value, value, value) for at, value in rows)

    def _steps(self, ids: list[int], start: datetime, end: datetime, step_s: int, summed: bool) -> tuple[Point, ...]:
        level = next(name for name, length_s in reversed(_LEVELS.items()) if length_s <= step_s)
        marks = ",".join("?" * len(ids))
        rows = self._db.execute(
            f"SELECT at / ? * ? AS step, sum(count), sum(sum), min(low), max(high) FROM {level}"  # noqa: S608
            f" WHERE sensor_id IN ({marks}) AND at >= ? AND at < ? GROUP BY step ORDER BY step",
            (step_s, step_s, *ids, int(start.timestamp()) // step_s * step_s, int(end.timestamp())),
        )
        # Rain of two gauges is not twice the rain.
        return tuple(
            Point(float(at), total / len(ids) if summed else total / count, low, high)
            for at, count, total, low, high in rows
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated("write"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._catalog.forget()
                raise


def _renew(db: sqlite3.Connection) -> None:
    """Bring the readings of a file of an earlier version, which knew neither raw values nor reasons, into today's."""
    known = columns(db, "reading")
    if known and "raw" not in known:
        db.executescript(f"BEGIN IMMEDIATE; ALTER TABLE reading RENAME TO reading_before; {_READINGS} {_TAKE_OVER}")


def _us(*moments: datetime) -> tuple[int, ...]:
    return tuple(round(moment.timestamp() * 1_000_000) for moment in moments)


def _coarser(rollups: dict[tuple[int, int], _Rollup], length_s: int) -> dict[tuple[int, int], _Rollup]:
    coarse: dict[tuple[int, int], _Rollup] = {}
    for (sensor_id, at), (count, total, low, high) in rollups.items():
        key = (sensor_id, at // length_s * length_s)
        known = coarse.get(key)
        if known is None:
            coarse[key] = [count, total, low, high]
        else:
            coarse[key] = [known[0] + count, known[1] + total, min(known[2], low), max(known[3], high)]
    return coarse


@contextmanager
def _translated(act: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise Unavailable("series", f"{act}: {exc}") from exc
