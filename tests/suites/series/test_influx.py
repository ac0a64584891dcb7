"""What only a store elsewhere can do: be away, come back, refuse a point, refuse us."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.messages import UNIT, Batch, Lane, Quantity, Reading
from server.errors import Unavailable
from server.series.influx import InfluxSeries
from server.series.port import Sensor
from server.settings import InfluxSettings
from tests.fixtures.influx import Influx

pytestmark = pytest.mark.real

T0 = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
SOIL = Sensor(farm_id="mai", node_id="board-1", sensor="soil-1", quantity=Quantity.SOIL_MOISTURE)


def open_series(influx: Influx, folder: Path, token: str | None = None) -> InfluxSeries:
    settings = InfluxSettings(
        kind="influx", url=influx.url, org=influx.org, bucket=influx.bucket, token_file=Path("-"),
        queue=folder / "queue.db",
    )  # fmt: skip
    return InfluxSeries(settings, token or influx.token, longest_wait_s=0.1)


def batch(first: int, last: int) -> Batch:
    readings = tuple(
        Reading(
            seq=n, node_id="board-1", sensor="soil-1", quantity=Quantity.SOIL_MOISTURE, value=float(n),
            unit=UNIT[Quantity.SOIL_MOISTURE], at=T0 + timedelta(seconds=n),
        )
        for n in range(first, last + 1)
    )  # fmt: skip
    return Batch(boot_id="boot-1", lane=Lane.READINGS, after_seq=first - 1, readings=readings)


async def move(series: InfluxSeries, *, until_left: int = 0) -> None:
    """Let the series work until so many readings are left."""
    work = asyncio.create_task(series.run())
    async with asyncio.timeout(20):
        while series.backlog() > until_left:
            await asyncio.sleep(0.01)
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


def stored(influx: Influx) -> list[float]:
    return [float(str(row["value"])) for row in influx.query('SELECT value FROM "soil_moisture"')]


async def test_readings_taken_while_it_is_away_are_there_when_it_is_back(influx: Influx, tmp_path: Path) -> None:
    influx.stop()
    series = open_series(influx, tmp_path)
    assert series.accept("mai", "gateway", batch(1, 1000)).ack.seq == 1000
    with pytest.raises(Unavailable):
        await series.span([SOIL], T0, T0 + timedelta(days=1), 100)
    with pytest.raises(Unavailable):
        await series.check()
    assert series.latest("mai")[0].value == 1000  # live state needs no InfluxDB
    influx.start()
    await move(series)
    assert stored(influx) == [float(n) for n in range(1, 1001)]
    series.close()


async def test_readings_that_waited_survive_a_restart(influx: Influx, tmp_path: Path) -> None:
    series = open_series(influx, tmp_path)
    series.accept("mai", "gateway", batch(1, 10))
    series.close()
    again = open_series(influx, tmp_path)
    assert again.backlog() == 10
    assert again.accept("mai", "gateway", batch(1, 10)).readings == ()
    await move(again)
    assert len(stored(influx)) == 10
    again.close()


async def test_a_point_that_it_never_takes_is_set_aside_and_the_others_go_on(influx: Influx, tmp_path: Path) -> None:
    # Another program has made the field a text: InfluxDB refuses numbers in it, in that shard, for ever.
    influx.query(
        f'CREATE RETENTION POLICY "day" ON "{influx.bucket}" DURATION INF REPLICATION 1 SHARD DURATION 1h DEFAULT'
    )
    series = open_series(influx, tmp_path)
    spoilt = T0 + timedelta(hours=5)
    line = f'soil_moisture,farm=mai,node=x,sensor=y value="text" {int(spoilt.timestamp())}'
    await asyncio.to_thread(write_line, influx, line)
    good = batch(1, 6)
    bad = good.readings[3].model_copy(update={"at": spoilt + timedelta(minutes=1)})
    mixed = good.model_copy(update={"readings": (*good.readings[:3], bad, *good.readings[4:])})
    series.accept("mai", "gateway", mixed)
    await move(series)
    kept = influx.query("SELECT value FROM \"soil_moisture\" WHERE node = 'board-1'")
    assert [row["value"] for row in kept] == [1, 2, 3, 5, 6]
    ((line, why),) = series.set_aside()
    assert "value=4.0" in line
    assert "conflict" in why
    series.close()


async def test_a_wrong_token_loses_nothing(influx: Influx, tmp_path: Path) -> None:
    wrong = open_series(influx, tmp_path, token="another")
    wrong.accept("mai", "gateway", batch(1, 5))
    work = asyncio.create_task(wrong.run())
    with pytest.raises(Unavailable, match="401"):
        await wrong.check()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert (wrong.backlog(), wrong.set_aside()) == (5, [])
    wrong.close()
    right = open_series(influx, tmp_path)
    await move(right)
    assert len(stored(influx)) == 5
    right.close()


def write_line(influx: Influx, line: str) -> None:
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from influxdb_client.client.write_api import SYNCHRONOUS
    from influxdb_client.domain.write_precision import WritePrecision

    client = InfluxDBClient(url=influx.url, token=influx.token, org=influx.org)
    client.write_api(write_options=SYNCHRONOUS).write(
        bucket=influx.bucket,
        record=line,
        write_precision=WritePrecision.S,  # type: ignore[arg-type]
    )
    client.close()  # type: ignore[no-untyped-call]
