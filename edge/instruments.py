"""Meters, probes and the rest of what a board measures, by the names that readings carry."""

import asyncio
import logging
from datetime import datetime

from contract.messages import UNIT, Quality, Quantity, Reading
from edge.bus import Samples, buses
from edge.config import BoardSettings, meter_name
from edge.control.calibration import along, moisture
from edge.hardware.drivers.driver import ProbeSettings
from edge.hardware.errors import LineFault, ProbeFault
from edge.hardware.ports import SHARE, Hardware, Sample
from edge.meter import Meter, RainGauge

log = logging.getLogger(__name__)

Judged = tuple[float, Quality, str | None]


class Instruments:
    """All that can be read on a board. Each bus has a thread: a driver that blocks stops nobody on another bus."""

    def __init__(
        self, settings: BoardSettings, hardware: Hardware, litres_before: dict[str, float], untold_tips: int = 0
    ) -> None:
        self._settings = settings
        self.meters = {
            valve.channel: Meter(
                hardware.pulses(valve.meter.pin, chip=valve.meter.chip, debounce_us=valve.meter.debounce_us),
                valve.meter.pulses_per_litre,
                litres_before.get(valve.channel, 0.0),
            )
            for valve in settings.valve
            if valve.meter is not None
        }
        self.rain_gauge = _rain_gauge(settings, hardware, untold_tips)
        self._buses = buses(settings.probes, hardware)
        self._silent: set[str] = set()
        self.moisture_pct: dict[str, float] = {}
        """The last good moisture of each probe; a bad one is not in it."""
        self.battery_v: float | None = None

    def take(self, settings: BoardSettings) -> None:
        """Calculate with these numbers from now on; what is wired must be what it was."""
        self._settings = settings
        for valve in settings.valve:
            if valve.meter is not None:
                self.meters[valve.channel].recalibrate(valve.meter.pulses_per_litre)

    async def read_all(self, now: datetime, *, trusted: bool) -> list[Reading]:
        """Return a reading of every quantity that answers, in the order of the configuration."""
        readings: list[Reading] = []

        def add(sensor: str, quantity: Quantity, value: float, quality: Quality, reason: str | None) -> None:
            readings.append(
                Reading(
                    seq=1,
                    sensor=sensor,
                    quantity=quantity,
                    value=round(value, 4),
                    unit=UNIT[quantity],
                    at=now,
                    quality=quality,
                    reason=reason,
                    clock_trusted=trusted,
                )
            )

        found = await self._read_buses()
        for probe in self._settings.probes:
            for sample in self._told(probe, found[probe.sensor]):
                add(probe.sensor, sample.quantity, *self._judge(probe, sample))
        for channel, meter in self.meters.items():
            litres = meter.litres()
            fell = meter.fell()
            quality, reason = (Quality.SUSPECT, "counter-fell") if fell else (Quality.GOOD, None)
            add(meter_name(channel), Quantity.VOLUME, litres, quality, reason)
        if self.rain_gauge is not None:
            add("rain", Quantity.RAIN, self.rain_gauge.take(), Quality.GOOD, None)
        return readings

    async def read_probe(self, probe: ProbeSettings) -> tuple[float | None, Quality, str | None]:
        """Return (volumetric %, quality, reason) at a glance; no value from a probe that faults or still measures."""
        try:
            samples = await self._buses[probe.bus].glance(probe)
        except LineFault as exc:
            self._told(probe, exc)
            return None, Quality.BAD, _code(exc)
        if samples is None:
            return None, Quality.BAD, "measuring"
        for sample in samples:
            if sample.quantity is Quantity.SOIL_MOISTURE:
                return self._judge(probe, sample)
        return None, Quality.BAD, "no-moisture"

    def close(self) -> None:
        """Stop reading."""
        for bus in self._buses.values():
            bus.close()

    async def _read_buses(self) -> dict[str, Samples | LineFault]:
        found: dict[str, Samples | LineFault] = {}
        for part in await asyncio.gather(*(bus.read_all() for bus in self._buses.values())):
            found |= part
        return found

    def _told(self, probe: ProbeSettings, answer: Samples | LineFault) -> Samples:
        """Return the samples of an answer, none of a fault; a probe that falls silent or speaks again is told once."""
        if not isinstance(answer, LineFault):
            if probe.sensor in self._silent:
                self._silent.discard(probe.sensor)
                log.info("sensor answers again sensor=%s", probe.sensor)
            return answer
        self.moisture_pct.pop(probe.sensor, None)
        if probe.sensor not in self._silent:
            self._silent.add(probe.sensor)
            code = _code(answer)
            trace = answer if code == "driver-failed" else None  # for whoever wrote the driver
            log.error("sensor does not answer sensor=%s code=%s: %s", probe.sensor, code, answer, exc_info=trace)
        return ()

    def _judge(self, probe: ProbeSettings, sample: Sample) -> Judged:
        value, quality, reason = meaning(probe, sample)
        if sample.quantity is Quantity.SOIL_MOISTURE:
            if quality is Quality.BAD:
                self.moisture_pct.pop(probe.sensor, None)
            else:
                self.moisture_pct[probe.sensor] = value
        elif sample.quantity is Quantity.BATTERY:
            self.battery_v = round(value, 2)
        return value, quality, reason


def meaning(probe: ProbeSettings, sample: Sample) -> Judged:
    """Return what a raw value means, and how far it can be believed."""
    if sample.quantity is Quantity.SOIL_MOISTURE and probe.points is not None:
        if sample.unit == SHARE:
            return moisture(sample.raw, probe.points)
        value = along(sample.raw, probe.points)
    else:
        value = sample.raw
    return value, Quality.SUSPECT if sample.doubt else Quality.GOOD, sample.doubt


def _code(fault: LineFault) -> str:
    return fault.code if isinstance(fault, ProbeFault) else "no-answer"


def _rain_gauge(settings: BoardSettings, hardware: Hardware, untold_tips: int) -> RainGauge | None:
    part = settings.rain_gauge
    if part is None:
        return None
    counter = hardware.pulses(part.pin, chip=part.chip, debounce_us=part.debounce_us)
    return RainGauge(counter, part.mm_per_tip, untold_tips)
