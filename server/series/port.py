"""The series port: readings are stored once, and read back as points.

Every adapter passes tests/suites/series. None of them raises anything but `Unavailable`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contract.messages import Ack, Batch, Quality, Quantity, Reading

SUMMED = frozenset({Quantity.RAIN})
"""Quantities of which a step shows the sum, not the mean: a depth fallen since the last reading."""

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400

STEPS_S = (
    MINUTE_S, 2 * MINUTE_S, 5 * MINUTE_S, 10 * MINUTE_S, 15 * MINUTE_S, 30 * MINUTE_S,
    HOUR_S, 2 * HOUR_S, 3 * HOUR_S, 6 * HOUR_S, 12 * HOUR_S,
    DAY_S, 2 * DAY_S, 7 * DAY_S, 14 * DAY_S, 30 * DAY_S,
)  # fmt: skip
"""Steps that a span may be shown in; epoch-aligned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """What is measured, where."""

    farm_id: str
    node_id: str
    sensor: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured in the step that begins at `at_s` (epoch seconds), without bad and stale readings."""

    at_s: float
    mean: float  # the sum, for a quantity in SUMMED
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Points in order of time. `step_s` 0 = the readings themselves; `last_at` is the latest reading, in or out."""

    step_s: int
    points: tuple[Point, ...]
    last_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The latest reading of a sensor. `value` is None when there was none to tell; `reason` is why it is not good."""

    sensor: Sensor
    value: float | None
    at: datetime
    quality: Quality
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A reading as it came, bad ones too: see contract.messages.Reading."""

    at: datetime
    value: float | None
    quality: Quality
    reason: str | None = None
    raw: float | None = None
    raw_unit: str | None = None
    temperature_c: float | None = None
    supply_v: float | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was new in a batch, and what to tell the sender."""

    readings: tuple[Reading, ...]
    ack: Ack


class Series(Protocol):
    """A store of readings."""

    def accept(self, farm_id: str, sender: str, batch: Batch) -> Accepted:
        """Store what is new in a batch of readings, with the sender's watermark, in one transaction on disk.

        When it returns, the readings survive a power cut, and the same batch again stores nothing.
        """
        ...

    async def span(self, sensors: Sequence[Sensor], start: datetime, end: datetime, points: int) -> Span:
        """What these sensors of one quantity measured together in [start, end), in about `points` points at most."""
        ...

    async def readings(self, sensor: Sensor, start: datetime, end: datetime, limit: int) -> tuple[Measured, ...]:
        """The newest `limit` readings in [start, end) as they came, raw values and bad ones too, in order of time."""
        ...

    def latest(self, farm_id: str) -> list[Latest]:
        """The latest reading of every sensor of a farm, from the adapter's own disk."""
        ...

    def backlog(self) -> int:
        """Readings that are safe here but not yet where they are read from."""
        ...

    async def check(self) -> None:
        """Return when readings can be read back; raise Unavailable otherwise."""
        ...

    async def run(self) -> None:
        """The adapter's own work (moving, thinning), until cancelled."""
        ...

    def close(self) -> None:
        """Give files and connections back."""
        ...


def step_for(start: datetime, end: datetime, points: int) -> int:
    """The smallest step of STEPS_S that shows the span in at most `points` points (the largest when none does)."""
    length_s = (end - start).total_seconds()
    return next((step for step in STEPS_S if length_s / step <= points), STEPS_S[-1])
