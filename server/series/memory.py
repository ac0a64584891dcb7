"""The series in memory: what the suite is written against, and what tests of the layers above use."""

from collections.abc import Sequence
from datetime import UTC, datetime

from contract.inbox import fresh
from contract.messages import Ack, Batch, Quality, Reading
from server.series.port import SUMMED, Accepted, Latest, Measured, Point, Sensor, Span, step_for


class MemorySeries:
    """See the port; a power cut loses everything."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str, str], int] = {}
        self._readings: dict[Sensor, list[Reading]] = {}

    def accept(self, farm_id: str, sender: str, batch: Batch) -> Accepted:
        """See the port."""
        stream = (farm_id, sender, batch.boot_id)
        records, seq = fresh(self._held.get(stream, 0), batch)
        readings = tuple(record for record in records if isinstance(record, Reading))
        self._held[stream] = seq
        for reading in readings:
            sensor = Sensor(
                farm_id=farm_id, node_id=reading.node_id or sender, sensor=reading.sensor, quantity=reading.quantity
            )
            self._readings.setdefault(sensor, []).append(reading)
        return Accepted(readings, Ack(boot_id=batch.boot_id, lane=batch.lane, seq=seq))

    async def span(self, sensors: Sequence[Sensor], start: datetime, end: datetime, points: int) -> Span:
        """See the port."""
        known = [sensor for sensor in sensors if sensor in self._readings]
        everything = [reading for sensor in known for reading in self._readings[sensor]]
        good = sorted((r.at, r.value) for r in everything if _counts(r) and r.value is not None and start <= r.at < end)
        last_at = max((reading.at for reading in everything), default=None)
        if len(known) <= 1 and len(good) <= points:
            own = tuple(Point(at.timestamp(), value, value, value) for at, value in good)
            return Span(step_s=0, points=own, last_at=last_at)
        step_s = step_for(start, end, points)
        first = datetime.fromtimestamp(start.timestamp() // step_s * step_s, UTC)
        steps: dict[float, list[float]] = {}
        for reading in sorted(everything, key=lambda r: r.at):
            if _counts(reading) and reading.value is not None and first <= reading.at < end:
                steps.setdefault(reading.at.timestamp() // step_s * step_s, []).append(reading.value)
        shares = len(known) if sensors[0].quantity in SUMMED else None
        shown = tuple(Point(at, sum(v) / (shares or len(v)), min(v), max(v)) for at, v in steps.items())
        return Span(step_s=step_s, points=shown, last_at=last_at)

    async def readings(self, sensor: Sensor, start: datetime, end: datetime, limit: int) -> tuple[Measured, ...]:
        """See the port."""
        own = sorted((r for r in self._readings.get(sensor, []) if start <= r.at < end), key=lambda r: r.at)
        return tuple(
            Measured(
                at=r.at, value=r.value, quality=r.quality, reason=r.reason, raw=r.raw, raw_unit=r.raw_unit,
                temperature_c=r.temperature_c, supply_v=r.supply_v,
            ) for r in own[-limit:]
        )  # fmt: skip

    def latest(self, farm_id: str) -> list[Latest]:
        """See the port."""
        own = {sensor: readings for sensor, readings in self._readings.items() if sensor.farm_id == farm_id}
        last = {sensor: max(readings, key=lambda r: r.at) for sensor, readings in own.items()}
        return [Latest(sensor=s, value=r.value, at=r.at, quality=r.quality, reason=r.reason) for s, r in last.items()]

    def backlog(self) -> int:
        """Nothing waits."""
        return 0

    async def check(self) -> None:
        """Memory answers."""

    async def run(self) -> None:
        """There is nothing to do."""

    def close(self) -> None:
        """There is nothing to give back."""


def _counts(reading: Reading) -> bool:
    return reading.quality in (Quality.GOOD, Quality.SUSPECT)
