"""What only the file on disk can do: thin itself, repair roll-ups, and survive being killed."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.messages import UNIT, Batch, Lane, Quality, Quantity, Reading
from server.errors import Unavailable
from server.series.port import Sensor
from server.series.sqlite import SqliteSeries

T0 = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
SOIL = Sensor(farm_id="mai", node_id="board-1", sensor="soil-1", quantity=Quantity.SOIL_MOISTURE)


class Clock:
    """The time, which a test moves."""

    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> datetime:
        return self.now


def batch(values: dict[datetime, float], after: int = 0, boot: str = "b") -> Batch:
    readings = tuple(
        Reading(
            seq=after + n, node_id="board-1", sensor="soil-1", quantity=Quantity.SOIL_MOISTURE, value=value,
            unit=UNIT[Quantity.SOIL_MOISTURE], at=at,
        )
        for n, (at, value) in enumerate(values.items(), 1)
    )  # fmt: skip
    return Batch(boot_id=boot, lane=Lane.READINGS, after_seq=after, readings=readings)


async def test_a_file_of_the_version_before_raw_values_is_taken_over(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "s.db")
    old.executescript(
        "CREATE TABLE sensor (id INTEGER PRIMARY KEY, farm_id TEXT NOT NULL, node_id TEXT NOT NULL,"
        " sensor TEXT NOT NULL, quantity TEXT NOT NULL, last_at INTEGER, last_value REAL, last_quality INTEGER,"
        " UNIQUE (farm_id, node_id, sensor, quantity)) STRICT;"
        "CREATE TABLE reading (sensor_id INTEGER NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL,"
        " quality INTEGER NOT NULL, PRIMARY KEY (sensor_id, at)) STRICT, WITHOUT ROWID;"
        "INSERT INTO sensor VALUES (1, 'mai', 'board-1', 'soil-1', 'soil_moisture', 0, 5.0, 0);"
        f"INSERT INTO reading VALUES (1, {int(T0.timestamp()) * 1_000_000}, 31.5, 1)"
    )
    old.close()
    for _ in range(2):  # once taken over, it is left as it is
        series = SqliteSeries(tmp_path / "s.db", lambda: T0)
        (reading,) = await series.readings(SOIL, T0, T0 + timedelta(days=1), 10)
        assert (reading.value, reading.quality, reading.raw) == (31.5, Quality.SUSPECT, None)
        assert [one.value for one in series.latest("mai")] == [5.0]
        series.close()


async def test_readings_are_thinned_when_they_are_old_and_their_hours_stay(tmp_path: Path) -> None:
    clock = Clock()
    series = SqliteSeries(tmp_path / "s.db", clock, raw_days=10, minute_days=20)
    series.accept("mai", "gateway", batch({T0 + timedelta(minutes=n): float(n) for n in range(120)}))
    for days, step_s in ((0, 0), (11, 60), (21, 3600)):
        clock.now = T0 + timedelta(days=days)
        while series.thin():
            pass
        fine = await series.span([SOIL], T0, T0 + timedelta(hours=2), 500)
        hours = await series.span([SOIL], T0, T0 + timedelta(hours=2), 2)
        assert [point.mean for point in hours.points] == [29.5, 89.5]
        assert fine.step_s == (step_s if step_s < 3600 else 60)
        assert len(fine.points) == (120 if step_s < 3600 else 0)
    series.close()


async def test_the_same_moment_told_twice_counts_once(tmp_path: Path) -> None:
    series = SqliteSeries(tmp_path / "s.db", Clock())
    values = {T0 + timedelta(seconds=n): float(n) for n in range(10)}
    series.accept("mai", "gateway", batch(values))
    more = values | {T0 + timedelta(seconds=10): 10.0, T0 + timedelta(hours=1): 50.0}
    series.accept("mai", "gateway", batch(more, boot="restored"))
    raw = await series.span([SOIL], T0, T0 + timedelta(hours=2), 500)
    hours = await series.span([SOIL], T0, T0 + timedelta(hours=2), 2)
    assert len(raw.points) == 12
    assert [(point.mean, point.low, point.high) for point in hours.points] == [(5, 0, 10), (50, 50, 50)]
    series.close()


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "s.db").mkdir()
    with pytest.raises(Unavailable, match="series"):
        SqliteSeries(tmp_path / "s.db", Clock())


async def test_the_thinning_task_ends_when_it_is_told_to(tmp_path: Path) -> None:
    series = SqliteSeries(tmp_path / "s.db", Clock())
    work = asyncio.create_task(series.run())
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    series.close()
