"""One suite for every series: memory, SQLite, and the real influxdb-client over a real InfluxDB engine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.messages import UNIT, Batch, Lane, Quality, Quantity, Reading
from server.series.influx import InfluxSeries
from server.series.memory import MemorySeries
from server.series.port import Measured, Point, Sensor, Series
from server.series.sqlite import SqliteSeries
from server.settings import InfluxSettings

T0 = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
NOW = T0 + timedelta(days=3)
SOIL = Sensor(farm_id="mai", node_id="board-1", sensor="soil-1", quantity=Quantity.SOIL_MOISTURE)

Open = Callable[[], Awaitable[Series]]


@pytest.fixture(params=["memory", "sqlite", pytest.param("influx", marks=pytest.mark.real)])
async def series(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Series]:
    """Each adapter, running."""
    made: Series
    match request.param:
        case "memory":
            made = MemorySeries()
        case "sqlite":
            made = SqliteSeries(tmp_path / "series.db", lambda: NOW)
        case _:
            influx = request.getfixturevalue("influx")
            settings = InfluxSettings(
                kind="influx", url=influx.url, org=influx.org, bucket=influx.bucket, token_file=Path("-"),
                queue=tmp_path / "queue.db",
            )  # fmt: skip
            made = InfluxSeries(settings, influx.token, longest_wait_s=0.2)
    async with running(made):
        yield made


@asynccontextmanager
async def running(series: Series) -> AsyncIterator[Series]:
    """A series at work."""
    work = asyncio.create_task(series.run())
    try:
        yield series
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        series.close()


def reading(
    seq: int,
    value: float | None,
    *,
    minutes: float = 0.0,
    sensor: Sensor = SOIL,
    quality: Quality = Quality.GOOD,
    node_id: str | None = "board-1",
    **more: Any,
) -> Reading:
    if quality is not Quality.GOOD:
        more = {"reason": "jump", **more}
    return Reading(
        seq=seq, node_id=node_id, sensor=sensor.sensor, quantity=sensor.quantity, value=value,
        unit=UNIT[sensor.quantity], at=T0 + timedelta(minutes=minutes), quality=quality,
        **more,
    )  # fmt: skip


def batch(*readings: Reading, after: int = 0, boot: str = "boot-1") -> Batch:
    return Batch(boot_id=boot, lane=Lane.READINGS, after_seq=after, readings=readings)


async def settled(series: Series) -> None:
    """Return when everything accepted can be read back."""
    async with asyncio.timeout(20):
        while series.backlog():
            await asyncio.sleep(0.01)


def every_minute(count: int, start: int = 1) -> list[Reading]:
    return [reading(n, 20 + n % 10, minutes=n) for n in range(start, start + count)]


async def test_what_was_accepted_is_read_back_in_order_of_time(series: Series) -> None:
    accepted = series.accept("mai", "gateway", batch(reading(1, 21.5, minutes=1), reading(2, 20.5, minutes=0)))
    await settled(series)
    span = await series.span([SOIL], T0, T0 + timedelta(hours=1), 100)
    assert accepted.ack.seq == 2
    assert span.step_s == 0
    assert [point.mean for point in span.points] == [20.5, 21.5]
    assert span.points[0].at_s == T0.timestamp()
    assert span.last_at == T0 + timedelta(minutes=1)


async def test_the_same_batch_again_stores_nothing_and_is_acknowledged_the_same(series: Series) -> None:
    first = series.accept("mai", "gateway", batch(*every_minute(5)))
    again = series.accept("mai", "gateway", batch(*every_minute(5)))
    await settled(series)
    span = await series.span([SOIL], T0, T0 + timedelta(days=1), 10)
    assert first.ack == again.ack
    assert again.readings == ()
    assert len(span.points) == 5


async def test_an_overlapping_batch_stores_only_what_is_new(series: Series) -> None:
    series.accept("mai", "gateway", batch(*every_minute(5)))
    overlap = series.accept("mai", "gateway", batch(*every_minute(5, start=3), after=2))
    assert [record.seq for record in overlap.readings] == [6, 7]
    assert overlap.ack.seq == 7


async def test_a_batch_that_builds_on_what_is_missing_stores_nothing(series: Series) -> None:
    series.accept("mai", "gateway", batch(*every_minute(2)))
    ahead = series.accept("mai", "gateway", batch(*every_minute(2, start=9), after=8))
    assert ahead.readings == ()
    assert ahead.ack.seq == 2


async def test_each_boot_and_each_farm_has_a_sequence_of_its_own(series: Series) -> None:
    series.accept("mai", "gateway", batch(*every_minute(3)))
    other_boot = series.accept("mai", "gateway", batch(reading(1, 30, minutes=10), boot="boot-2"))
    other_farm = series.accept("lan", "gateway", batch(reading(1, 30, minutes=10)))
    assert (len(other_boot.readings), len(other_farm.readings)) == (1, 1)


async def test_a_farm_reads_nothing_of_another(series: Series) -> None:
    series.accept("lan", "gateway", batch(*every_minute(3)))
    await settled(series)
    assert (await series.span([SOIL], T0, NOW, 100)).points == ()
    assert series.latest("mai") == []


async def test_a_reading_without_a_node_is_the_senders_own(series: Series) -> None:
    series.accept("mai", "gateway", batch(reading(1, 25, node_id=None)))
    assert [one.sensor.node_id for one in series.latest("mai")] == ["gateway"]


async def test_bad_readings_are_kept_out_of_points_but_count_as_heard(series: Series) -> None:
    series.accept("mai", "gateway", batch(reading(1, 25), reading(2, 99, minutes=3, quality=Quality.BAD)))
    await settled(series)
    span = await series.span([SOIL], T0, NOW, 100)
    assert [point.mean for point in span.points] == [25]
    assert span.last_at == T0 + timedelta(minutes=3)
    (latest,) = series.latest("mai")
    assert (latest.value, latest.quality, latest.reason) == (99, Quality.BAD, "jump")


async def test_what_is_too_old_or_has_no_value_is_no_point_either(series: Series) -> None:
    series.accept("mai", "gateway", batch(
        reading(1, 25), reading(2, 99, minutes=3, quality=Quality.STALE, reason="too-old"),
        reading(3, None, minutes=4, quality=Quality.BAD, reason="no-answer"), reading(4, 27, minutes=5),
    ))  # fmt: skip
    await settled(series)
    for points, means in ((100, [25, 27]), (1, [26])):  # as they came, and in steps
        span = await series.span([SOIL], T0, T0 + timedelta(minutes=10), points)
        assert [point.mean for point in span.points] == means


async def test_readings_come_back_as_they_came_with_their_raw_values_and_reasons(series: Series) -> None:
    series.accept("mai", "gateway", batch(
        reading(1, 31.4, minutes=1, raw=0.5936, raw_unit="share", temperature_c=24.5, supply_v=12.6),
        reading(2, 60.0, minutes=2, quality=Quality.SUSPECT, reason="clamped", raw=0.31, raw_unit='odd "unit"\\'),
        reading(3, None, minutes=3, quality=Quality.BAD, reason="no-answer"),
        reading(4, 30.0, minutes=4),
    ))  # fmt: skip
    await settled(series)
    at = [T0 + timedelta(minutes=n) for n in range(5)]
    every = await series.readings(SOIL, T0, NOW, 100)
    assert every == (
        Measured(at=at[1], value=31.4, quality=Quality.GOOD, raw=0.5936, raw_unit="share", temperature_c=24.5, supply_v=12.6),
        Measured(at=at[2], value=60.0, quality=Quality.SUSPECT, reason="clamped", raw=0.31, raw_unit='odd "unit"\\'),
        Measured(at=at[3], value=None, quality=Quality.BAD, reason="no-answer"),
        Measured(at=at[4], value=30.0, quality=Quality.GOOD),
    )  # fmt: skip
    assert await series.readings(SOIL, T0, NOW, 2) == every[2:]
    assert await series.readings(SOIL, at[2], at[3], 100) == every[1:2]
    (latest,) = series.latest("mai")
    assert (latest.value, latest.reason) == (30.0, None)


async def test_a_sensor_that_was_never_heard_has_no_readings(series: Series) -> None:
    assert await series.readings(SOIL, T0, NOW, 10) == ()


async def test_a_long_span_is_shown_in_steps_with_mean_and_extremes(series: Series) -> None:
    series.accept("mai", "gateway", batch(*every_minute(240, start=0 + 1)))
    await settled(series)
    span = await series.span([SOIL], T0, T0 + timedelta(hours=5), 20)
    assert span.step_s == 15 * 60
    assert len(span.points) <= 20
    first = span.points[0]  # minutes 1 to 14: 21 … 29, 20, 21 … 24
    values = [20 + n % 10 for n in range(1, 15)]
    assert first == Point(T0.timestamp(), first.mean, 20, 29)
    assert first.mean == pytest.approx(sum(values) / 14)


@pytest.mark.parametrize(("days", "points", "step_s"), [(0.5, 12, 3600), (2.5, 3, 86_400), (2.9, 12, 21_600)])
async def test_every_step_tells_the_same_mean_of_the_same_readings(
    series: Series, days: float, points: int, step_s: int
) -> None:
    count = int(days * 24 * 12)
    values = [reading(n + 1, float(n % 37), minutes=5 * n) for n in range(count)]
    for start in range(0, count, 500):
        series.accept("mai", "gateway", batch(*values[start : start + 500], after=start))
    await settled(series)
    span = await series.span([SOIL], T0, T0 + timedelta(days=days), points)
    assert span.step_s == step_s
    expected: dict[float, list[float]] = {}
    for one in values:
        expected.setdefault(one.at.timestamp() // step_s * step_s, []).append(one.value or 0.0)
    assert [point.at_s for point in span.points] == sorted(expected)
    for point in span.points:
        own = expected[point.at_s]
        assert point.mean == pytest.approx(sum(own) / len(own))
        assert (point.low, point.high) == (min(own), max(own))


async def test_two_probes_of_a_zone_are_shown_together(series: Series) -> None:
    other = Sensor(farm_id="mai", node_id="board-1", sensor="soil-2", quantity=Quantity.SOIL_MOISTURE)
    series.accept("mai", "gateway", batch(reading(1, 20), reading(2, 30, sensor=other), reading(3, 28, minutes=2)))
    await settled(series)
    span = await series.span([SOIL, other], T0, T0 + timedelta(hours=1), 100)
    assert span.step_s == 60
    assert [(point.mean, point.low, point.high) for point in span.points] == [(25, 20, 30), (28, 28, 28)]


async def test_rain_is_summed_not_averaged(series: Series) -> None:
    rain = Sensor(farm_id="mai", node_id="board-1", sensor="rain", quantity=Quantity.RAIN)
    fallen = [reading(n + 1, 0.5, minutes=10 * n, sensor=rain) for n in range(12)]
    series.accept("mai", "gateway", batch(*fallen))
    await settled(series)
    span = await series.span([rain], T0, T0 + timedelta(hours=2), 2)
    assert [point.mean for point in span.points] == [3.0, 3.0]


async def test_times_and_values_come_back_as_they_were(series: Series) -> None:
    exact = reading(1, 21.123456789, minutes=1 / 3)
    series.accept("mai", "gateway", batch(exact))
    await settled(series)
    (point,) = (await series.span([SOIL], T0, NOW, 100)).points
    assert point.mean == exact.value
    assert abs(point.at_s - exact.at.timestamp()) < 1e-6


async def test_the_end_of_a_span_is_not_in_it(series: Series) -> None:
    series.accept("mai", "gateway", batch(reading(1, 20), reading(2, 30, minutes=60)))
    await settled(series)
    span = await series.span([SOIL], T0, T0 + timedelta(hours=1), 100)
    assert [point.mean for point in span.points] == [20]


async def test_a_sensor_that_never_spoke_has_no_points(series: Series) -> None:
    span = await series.span([SOIL], T0, NOW, 100)
    assert (span.points, span.last_at) == ((), None)


async def test_the_latest_is_the_latest_by_its_own_time(series: Series) -> None:
    series.accept("mai", "gateway", batch(reading(1, 30, minutes=9), reading(2, 20, minutes=1)))
    series.accept("mai", "gateway", batch(reading(3, 25, minutes=5), after=2))
    (latest,) = series.latest("mai")
    assert (latest.value, latest.at) == (30, T0 + timedelta(minutes=9))


async def test_a_store_that_answers_passes_its_check(series: Series) -> None:
    await series.check()
