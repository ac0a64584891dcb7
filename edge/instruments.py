"""Meters, probes and the rest of what a board measures, by the names that readings carry."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from contract.messages import UNIT, Quality, Quantity, Reading
from edge.config import BoardSettings, ProbePart, meter_name
from edge.control.calibration import moisture
from edge.hardware.errors import HardwareError
from edge.hardware.ports import AnalogInput, Hardware, PulseCounter

log = logging.getLogger(__name__)

READ_S = 2.0  # a driver that takes longer hangs; it is left alone until it comes back


class Meter:
    """A flow meter: litres since this board's counter began, over restarts; never falls."""

    def __init__(self, counter: PulseCounter, pulses_per_litre: float, litres_before: float) -> None:
        self._counter = counter
        self._per_litre = pulses_per_litre
        self._before = litres_before

    def litres(self) -> float:
        """Return the monotone total in L."""
        return self._before + self._counter.count() / self._per_litre


class Instruments:
    """All that can be read on a board. Analog inputs are read in threads: one that blocks stops nobody else."""

    def __init__(self, settings: BoardSettings, hardware: Hardware, litres_before: dict[str, float]) -> None:
        self._settings = settings
        self.meters = {
            valve.channel: Meter(
                hardware.pulses(valve.meter.pin),
                valve.meter.pulses_per_litre,
                litres_before.get(valve.channel, 0.0),
            )
            for valve in settings.valve
            if valve.meter is not None
        }
        self._analog = {probe.sensor: hardware.analog(probe.adc) for probe in settings.probe}
        if settings.battery is not None:
            self._analog["battery"] = hardware.analog(settings.battery.adc)
        if settings.thermometer is not None:
            self._analog["air"] = hardware.analog(settings.thermometer.adc)
        self._rain = hardware.pulses(settings.rain_gauge.pin) if settings.rain_gauge else None
        self._tips = 0
        self._hanging: dict[str, asyncio.Future[float]] = {}
        self._silent: set[str] = set()
        self.moisture_pct: dict[str, float] = {}
        """The last good moisture of each probe; a bad one is not in it."""
        self.battery_v: float | None = None

    async def read_all(self, now: datetime, *, trusted: bool) -> list[Reading]:
        """Return a reading of every instrument; a bad one is told as bad, with the reason."""
        readings: list[Reading] = []

        def add(
            sensor: str, quantity: Quantity, value: float, quality: Quality = Quality.GOOD, reason: str | None = None
        ) -> None:
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

        for probe in self._settings.probe:
            value, quality, reason = await self.read_probe(probe)
            if value is not None:
                add(probe.sensor, Quantity.SOIL_MOISTURE, value, quality, reason)
        for channel, meter in self.meters.items():
            add(meter_name(channel), Quantity.VOLUME, meter.litres())
        await self._read_supply(add)
        if self._rain is not None and self._settings.rain_gauge is not None:
            tips = self._rain.count()
            add("rain", Quantity.RAIN, (tips - self._tips) * self._settings.rain_gauge.mm_per_tip)
            self._tips = tips
        return readings

    async def read_probe(self, probe: ProbePart) -> tuple[float | None, Quality, str | None]:
        """Return (volumetric %, quality, reason); None for a probe that does not answer."""
        share = await self._share(probe.sensor)
        if share is None:
            self.moisture_pct.pop(probe.sensor, None)
            return None, Quality.BAD, "no-answer"
        value, quality, reason = moisture(share, probe.points)
        if quality is Quality.BAD:
            self.moisture_pct.pop(probe.sensor, None)
        else:
            self.moisture_pct[probe.sensor] = value
        return value, quality, reason

    async def _read_supply(self, add: Callable[..., None]) -> None:
        battery, thermometer = self._settings.battery, self._settings.thermometer
        if battery is not None and (share := await self._share("battery")) is not None:
            self.battery_v = round(share * battery.reference_v * battery.divider, 2)
            add("battery", Quantity.BATTERY, self.battery_v)
        if thermometer is not None and (share := await self._share("air")) is not None:
            add("air", Quantity.AIR_TEMPERATURE, (share * thermometer.reference_v - 0.5) * 100)

    async def _share(self, sensor: str) -> float | None:
        """Return what the converter reads, 0.0 to 1.0; None while the driver faults or hangs, told once."""
        reading = self._hanging.pop(sensor, None) or asyncio.ensure_future(asyncio.to_thread(self._input(sensor).read))
        try:
            share = await asyncio.wait_for(asyncio.shield(reading), READ_S)
        except TimeoutError:
            self._hanging[sensor] = reading
            self._tell_silent(sensor, f"no answer in {READ_S:g} s")
            return None
        except HardwareError as exc:
            self._tell_silent(sensor, str(exc))
            return None
        if sensor in self._silent:
            self._silent.discard(sensor)
            log.info("sensor answers again sensor=%s", sensor)
        return share

    def _input(self, sensor: str) -> AnalogInput:
        return self._analog[sensor]

    def _tell_silent(self, sensor: str, why: str) -> None:
        if sensor not in self._silent:
            self._silent.add(sensor)
            log.error("sensor does not answer sensor=%s: %s", sensor, why)
