"""Readings as the values that conditions look at: of rain the sum of the last hours, of the rest the last value.

Of several sensors of the farm, frost takes the coldest and heat the warmest, wind the strongest, rain the median gauge,
and soil the driest probe of the zone: of those only that were heard within half an hour of the one heard last.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median_low

from contract.messages import Quality, Quantity, Reading
from irrigation.condition import ConditionKind, Observed
from irrigation.model import Farm, Moisture
from irrigation.verdict import hours_of

SAME_TIME = timedelta(minutes=30)
AHEAD_AT_MOST = timedelta(minutes=5)
"""A reading of later than this after now has a wrong time: it would count as young for too long."""
SLOT = timedelta(minutes=30)
KEPT = timedelta(hours=168)
_USUAL_HOURS = frozenset({24})  # told also when no condition asks yet, for the preview of the first that does
_LAST = frozenset({Quantity.SOIL_MOISTURE, Quantity.AIR_TEMPERATURE, Quantity.WIND, Quantity.LEVEL})


@dataclass(frozen=True, slots=True)
class Measured:
    """The last good value of a sensor, and when it was measured."""

    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Gauge:
    """What a rain gauge told: mm by half hour (as its number since 1970), also where it told of none; and when last."""

    at: datetime
    slots: dict[int, float] = field(default_factory=dict)

    def with_rain(self, depth_mm: float, at: datetime) -> "Gauge":
        """Return it with one more reading; readings may come late and out of order."""
        slot, newest = _slot(at), max(self.at, at)
        kept = {number: mm for number, mm in self.slots.items() if number > _slot(newest - KEPT) - 1}
        return Gauge(newest, kept | {slot: kept.get(slot, 0.0) + depth_mm})

    def last(self, hours: int) -> tuple[float, bool]:
        """Return the mm of the hours up to its last reading, and whether it was heard in nearly all of them."""
        last = _slot(self.at)
        wanted = range(last - int(timedelta(hours=hours) / SLOT) + 1, last + 1)
        heard = [self.slots[number] for number in wanted if number in self.slots]
        return round(sum(heard), 2), len(heard) >= 0.75 * len(wanted)


@dataclass(frozen=True, slots=True)
class Heard:
    """All that was measured, by `sensor_key`; gauges by the same."""

    last: dict[str, Measured] = field(default_factory=dict)
    gauges: dict[str, Gauge] = field(default_factory=dict)


def sensor_key(node_id: str, sensor: str, quantity: Quantity) -> str:
    """Return the name under which a sensor's values are kept."""
    return f"{quantity}/{node_id}/{sensor}"


def with_readings(heard: Heard, node_id: str, readings: Iterable[Reading], now: datetime) -> Heard:
    """Return what was heard with a board's readings: good ones only, whose time is known and not to come."""
    last, gauges = dict(heard.last), dict(heard.gauges)
    for one in readings:
        if (
            one.value is None
            or one.quality is not Quality.GOOD
            or not one.clock_trusted
            or one.at > now + AHEAD_AT_MOST
        ):
            continue
        key = sensor_key(one.node_id or node_id, one.sensor, one.quantity)
        if one.quantity is Quantity.RAIN:
            gauges[key] = gauges.get(key, Gauge(one.at)).with_rain(one.value, one.at)
        elif one.quantity in _LAST and (key not in last or last[key].at <= one.at):
            last[key] = Measured(one.value, one.at)
    return heard if (last, gauges) == (heard.last, heard.gauges) else Heard(last, gauges)


def moistures(heard: Heard, farm: Farm) -> dict[str, Moisture]:
    """Return the moisture of each zone that was heard of: of its probes the driest."""
    found = {}
    for zone in farm.zones:
        keys = (sensor_key(zone.node_id, sensor, Quantity.SOIL_MOISTURE) for sensor in zone.sensors)
        probes = _of_late(heard.last[key] for key in keys if key in heard.last)
        if probes:
            driest = min(probes, key=lambda one: one.value)
            found[zone.id] = Moisture(pct=driest.value, at=driest.at)
    return found


def observed(heard: Heard, farm: Farm) -> tuple[Observed, ...]:
    """Return the farm's weather and the levels of its sources, as far as they were measured."""
    found = list(_rain(heard.gauges, _USUAL_HOURS | hours_of(farm, ConditionKind.RAIN_FALLEN)))
    air, wind = _all(heard, Quantity.AIR_TEMPERATURE), _all(heard, Quantity.WIND)
    for kind, chosen in (
        (ConditionKind.FROST, min(air, key=lambda one: one.value, default=None)),
        (ConditionKind.HEAT, max(air, key=lambda one: one.value, default=None)),
        (ConditionKind.WIND, max(wind, key=lambda one: one.value, default=None)),
    ):
        if chosen is not None:
            found.append(Observed(kind=kind, value=chosen.value, at=chosen.at))
    for source in farm.sources:
        at = source.level
        level = None if at is None else heard.last.get(sensor_key(at.node_id, at.sensor, Quantity.LEVEL))
        if level is not None:
            found.append(Observed(kind=ConditionKind.SOURCE_LOW, value=level.value, at=level.at, subject_id=source.id))
    return tuple(found)


def _rain(gauges: Mapping[str, Gauge], hours: Iterable[int]) -> Iterable[Observed]:
    newest = max((gauge.at for gauge in gauges.values()), default=None)
    if newest is None:
        return
    of_late = [gauge for gauge in gauges.values() if newest - gauge.at <= SAME_TIME]
    for span in sorted(hours):
        sums = [(*gauge.last(span), gauge.at) for gauge in of_late]
        whole = [each for each in sums if each[1]]
        depth_mm, complete, at = median_low(whole or sums)
        yield Observed(kind=ConditionKind.RAIN_FALLEN, value=depth_mm, at=at, hours=span, partial=not complete)


def _all(heard: Heard, quantity: Quantity) -> list[Measured]:
    return _of_late(one for key, one in heard.last.items() if key.startswith(f"{quantity}/"))


def _of_late(measured: Iterable[Measured]) -> list[Measured]:
    every = list(measured)
    newest = max((one.at for one in every), default=None)
    return [] if newest is None else [one for one in every if newest - one.at <= SAME_TIME]


def _slot(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() // SLOT.total_seconds())
