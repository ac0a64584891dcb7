"""What was measured and how much was watered, for charts, tables and CSV."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from contract.messages import UNIT, Quantity
from irrigation.model import Zone
from server.errors import Refused
from server.ledger import history
from server.ledger.database import Ledger
from server.records import RunRecord
from server.series.port import Measured, Sensor, Series, Span
from server.view import FarmView, probes

MAX_POINTS = 5000
LONGEST = timedelta(days=3700)


@dataclass(frozen=True, slots=True)
class Use:
    """Water given; `metered` False when some of it was reckoned from time and nominal flow."""

    key: str  # farm-local day, or zone
    litres: float
    minutes: float
    metered: bool


class History:
    """Questions about the past."""

    def __init__(self, ledger: Ledger, series: Series, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._series = series
        self._now = now

    def window(self, start: datetime | None, end: datetime | None, usual: timedelta) -> tuple[datetime, datetime]:
        """The span asked for; raise Refused when it ends before it begins, or is longer than ten years."""
        last = end or self._now()
        first = start or last - usual
        for name, moment in (("from", first), ("to", last)):
            if moment.tzinfo is None:
                raise Refused("bad-field", field=name, why="why.time")
        if not timedelta(0) < last - first <= LONGEST:
            raise Refused("bad-field", field="from", why="why.order")
        return first, last

    async def series(
        self, view: FarmView, zone: Zone, quantity: Quantity, start: datetime, end: datetime, points: int
    ) -> Span:
        """What the sensors of a zone (or, for weather, of the farm) measured."""
        sensors = self._sensors(view, zone, quantity)
        if not sensors:
            return Span(step_s=0, points=(), last_at=None)
        return await self._series.span(sensors, start, end, points)

    async def readings(
        self, view: FarmView, zone: Zone, quantity: Quantity, start: datetime, end: datetime, limit: int
    ) -> list[tuple[Sensor, Measured]]:
        """The newest `limit` readings of each of these sensors as they came, bad ones too, in order of time."""
        found = [
            (sensor, measured)
            for sensor in self._sensors(view, zone, quantity)
            for measured in await self._series.readings(sensor, start, end, limit)
        ]
        return sorted(found, key=lambda one: (one[1].at, one[0].sensor))

    def water_use(self, view: FarmView, by: str, start: datetime, end: datetime) -> list[Use]:
        """Water by farm-local day or by zone, from the runs that ended in the span."""
        with self._ledger.read() as connection:
            ended = history.runs_ended(connection, view.farm.id, start, end)
        flows = {zone.id: zone.flow_l_min for zone in view.farm.zones}
        tz = ZoneInfo(view.farm.tz)
        sums: dict[str, Use] = {}
        for run in ended:
            minutes = _open_s(run) / 60
            metered = run.litres is not None and run.has_meter
            litres = run.litres if run.litres is not None else minutes * flows.get(run.zone_id, 0.0)
            at = run.ended_at or run.at
            key = run.zone_id if by == "zone" else at.astimezone(tz).date().isoformat()
            known = sums.get(key, Use(key, 0.0, 0.0, metered=True))
            sums[key] = Use(key, known.litres + litres, known.minutes + minutes, known.metered and metered)
        return [sums[key] for key in sorted(sums)]

    def _sensors(self, view: FarmView, zone: Zone, quantity: Quantity) -> list[Sensor]:
        if quantity in (Quantity.SOIL_MOISTURE, Quantity.SOIL_TEMPERATURE, Quantity.SOIL_EC):
            return probes(view.farm.id, zone, quantity)
        known = [one.sensor for one in self._series.latest(view.farm.id) if one.sensor.quantity is quantity]
        own = [sensor for sensor in known if sensor.node_id == zone.node_id]
        if quantity in (Quantity.FLOW, Quantity.VOLUME):
            # A valve's meter is named after its channel: `v1`, or with a word before or after it.
            return [sensor for sensor in own if zone.channel in (sensor.sensor, *sensor.sensor.split("-"))]
        return own or known


def unit(quantity: Quantity) -> str:
    """The unit as the API writes it."""
    return "°C" if UNIT[quantity] == "degC" else UNIT[quantity]


def _open_s(run: RunRecord) -> float:
    if run.open_s is not None:
        return run.open_s
    if run.opened_at is None or run.ended_at is None:
        return 0.0
    return min((run.ended_at - run.opened_at).total_seconds(), run.max_s)
