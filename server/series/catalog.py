"""Which sensors there are, the latest reading of each, and what has been received: tables that adapters share."""

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime

from contract.inbox import fresh
from contract.messages import Ack, Batch, Quality, Quantity, Reading
from server.series.port import Accepted, Latest, Sensor

QUALITIES = (Quality.GOOD, Quality.SUSPECT, Quality.BAD, Quality.STALE)
BAD = 2  # its place; from here on a reading is no part of the points
_NUMBER = {quality: number for number, quality in enumerate(QUALITIES)}

_TABLES = """
CREATE TABLE IF NOT EXISTS sensor (
    id INTEGER PRIMARY KEY, farm_id TEXT NOT NULL, node_id TEXT NOT NULL, sensor TEXT NOT NULL, quantity TEXT NOT NULL,
    last_at INTEGER, last_value REAL, last_quality INTEGER,
    last_reason TEXT,
    UNIQUE (farm_id, node_id, sensor, quantity)
) STRICT;
CREATE TABLE IF NOT EXISTS watermark (
    farm_id TEXT NOT NULL, sender TEXT NOT NULL, boot_id TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (farm_id, sender, boot_id)
) STRICT, WITHOUT ROWID;
"""

Row = tuple[int, int, float | None, int, str | None, float | None, str | None, float | None, float | None]
"""Sensor id, epoch microseconds, value, quality number, reason, raw, its unit, temperature in degC, supply in V."""


class Catalog:
    """Sensors and watermarks in the adapter's database; its transactions are the adapter's."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.executescript(_TABLES)
        if "last_reason" not in columns(db, "sensor"):  # a file of an earlier version
            db.execute("ALTER TABLE sensor ADD COLUMN last_reason TEXT")
        found = db.execute("SELECT farm_id, node_id, sensor, quantity, id FROM sensor")
        self._ids: dict[tuple[str, str, str, str], int] = {(row[0], row[1], row[2], row[3]): row[4] for row in found}

    def fresh(self, farm_id: str, sender: str, batch: Batch) -> Accepted:
        """What is new in the batch; the watermark is moved."""
        stream = (farm_id, sender, batch.boot_id)
        row = self._db.execute(
            "SELECT seq FROM watermark WHERE farm_id = ? AND sender = ? AND boot_id = ?", stream
        ).fetchone()
        records, seq = fresh(row[0] if row else 0, batch)
        if records:
            self._db.execute("INSERT OR REPLACE INTO watermark VALUES (?, ?, ?, ?)", (*stream, seq))
        readings = tuple(record for record in records if isinstance(record, Reading))
        return Accepted(readings, Ack(boot_id=batch.boot_id, lane=batch.lane, seq=seq))

    def rows(self, farm_id: str, sender: str, readings: Iterable[Reading]) -> list[Row]:
        """Readings as rows; sensors not seen before are added, and the latest of each is kept."""
        rows: list[Row] = []
        last: dict[int, Row] = {}
        ids, number = self._ids, _NUMBER
        for reading in readings:
            key = (farm_id, reading.node_id or sender, reading.sensor, reading.quantity.value)
            sensor_id = ids.get(key) or self._add(key)
            row = (
                sensor_id, round(reading.at.timestamp() * 1_000_000), reading.value, number[reading.quality],
                reading.reason, reading.raw, reading.raw_unit, reading.temperature_c, reading.supply_v,
            )  # fmt: skip
            rows.append(row)
            known = last.get(sensor_id)
            if known is None or row[1] >= known[1]:
                last[sensor_id] = row
        self._db.executemany(
            "UPDATE sensor SET last_at = ?2, last_value = ?3, last_quality = ?4, last_reason = ?5"
            " WHERE id = ?1 AND (last_at IS NULL OR last_at <= ?2)",
            [row[:5] for row in last.values()],
        )
        return rows

    def ids(self, sensors: Iterable[Sensor]) -> list[int]:
        """The ids of those sensors that have ever said anything."""
        keys = ((s.farm_id, s.node_id, s.sensor, s.quantity.value) for s in sensors)
        return [self._ids[key] for key in keys if key in self._ids]

    def last_at(self, ids: list[int]) -> datetime | None:
        """When any of them was last heard."""
        marks = ",".join("?" * len(ids))
        row = self._db.execute(f"SELECT max(last_at) FROM sensor WHERE id IN ({marks})", ids).fetchone()  # noqa: S608
        return None if row[0] is None else from_us(row[0])

    def latest(self, farm_id: str) -> list[Latest]:
        """The latest reading of every sensor of a farm."""
        rows = self._db.execute(
            "SELECT node_id, sensor, quantity, last_value, last_at, last_quality, last_reason FROM sensor"
            " WHERE farm_id = ? AND last_at IS NOT NULL",
            (farm_id,),
        )
        return [
            Latest(
                sensor=Sensor(farm_id=farm_id, node_id=node, sensor=sensor, quantity=Quantity(quantity)),
                value=value, at=from_us(at), quality=QUALITIES[quality], reason=reason,
            )
            for node, sensor, quantity, value, at, quality, reason in rows
        ]  # fmt: skip

    def forget(self) -> None:
        """The transaction that added sensors was undone: read them anew."""
        found = self._db.execute("SELECT farm_id, node_id, sensor, quantity, id FROM sensor")
        self._ids = {(row[0], row[1], row[2], row[3]): row[4] for row in found}

    def _add(self, key: tuple[str, str, str, str]) -> int:
        cursor = self._db.execute("INSERT INTO sensor (farm_id, node_id, sensor, quantity) VALUES (?, ?, ?, ?)", key)
        self._ids[key] = int(cursor.lastrowid or 0)
        return self._ids[key]


def columns(db: sqlite3.Connection, table: str) -> set[str]:
    """The names of a table's columns."""
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}


def from_us(value: int) -> datetime:
    """Epoch microseconds as aware UTC."""
    return datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)
