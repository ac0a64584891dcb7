"""Meters, probes and the rest of what a board measures, by the names that readings carry."""

import asyncio
import logging
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from contract.messages import UNIT, ChannelSettings, Quality, Quantity, Reading
from edge.bus import Bus, Samples, buses
from edge.config import BoardSettings, meter_name
from edge.control.probe import Expected, Judged, Probe
from edge.control.quality import GOOD, Verdict
from edge.hardware.drivers.driver import ProbeSettings
from edge.hardware.errors import LineFault, ProbeFault
from edge.hardware.ports import SHARE, Hardware, Sample
from edge.meter import Meter, RainGauge
from edge.probes import Probes

log = logging.getLogger(__name__)

Answer = tuple[Samples, ...] | LineFault
"""What a probe said, once or several times; or why it said nothing."""


class Instruments:
    """All that can be read on a board. Each bus has a thread: a driver that blocks stops nobody on another bus."""

    def __init__(
        self,
        settings: BoardSettings,
        hardware: Hardware,
        litres_before: dict[str, float],
        untold_tips: int = 0,
        *,
        probes: Probes,
    ) -> None:
        self._settings = settings
        self.probes = probes
        self.meters = {
            valve.channel: Meter(
                hardware.pulses(valve.meter.pin, chip=valve.meter.chip, debounce_us=valve.meter.debounce_us),
                valve.meter.pulses_per_litre,
                litres_before.get(valve.channel, 0.0),
                valve.meter.most_l_min,
            )
            for valve in settings.valve
            if valve.meter is not None
        }
        self.rain_gauge = _rain_gauge(settings, hardware, untold_tips)
        self._parts = {probe.sensor: probe for probe in settings.probes}
        self._buses = buses(settings.probes, hardware)
        self._silent: set[str] = set()
        self._metered_s = 0.0  # when the meters were last told
        self.battery_v: float | None = None
        self._air_c: float | None = None

    def take(self, settings: BoardSettings) -> None:
        """Calculate with these numbers from now on; what is wired must be what it was."""
        self._settings = settings
        self.probes.take(settings)
        for valve in settings.valve:
            if valve.meter is not None:
                self.meters[valve.channel].recalibrate(valve.meter.pulses_per_litre)

    async def read_all(self, now: datetime, *, trusted: bool) -> list[Reading]:
        """Return a reading of every quantity as configured; what does not answer is told as bad, with the reason."""
        told = _Told(now, trusted=trusted)
        found = await self._read_buses()
        for sensor, answer in found.items():
            self._note(sensor, answer)
        for probe in self._settings.probes:
            self._tell(told, probe, found[probe.sensor])
        self.probes.compare(now.date() if trusted else None)
        for channel, meter in self.meters.items():
            litres, verdict = meter.litres(), meter.since(self._metered_s)
            told.add(
                meter_name(channel), Quantity.VOLUME, litres, verdict, raw=float(meter.pulses()), raw_unit="pulses"
            )
        self._metered_s = _now_s()
        if self.rain_gauge is not None:
            told.add("rain", Quantity.RAIN, self.rain_gauge.take())
        return told.readings

    async def read_probes(self, sensors: Iterable[str]) -> None:
        """Have these soil probes say what they measure now."""
        parts = [self._parts[sensor] for sensor in sensors]
        for part, answer in zip(parts, await asyncio.gather(*map(self._read, parts)), strict=True):
            self._note(part.sensor, answer)
            self._judge(part.sensor, answer)

    def look(self, flowing: Collection[str], zones: Sequence[ChannelSettings]) -> None:
        """Look at the meters, and at what the probes have seen, with the channels that water flows through now."""
        at_s = _now_s()
        nominal = {zone.channel: zone.flow_l_min for zone in zones}
        for channel, meter in self.meters.items():
            meter.look(at_s, is_open=channel in flowing, nominal_l_min=nominal.get(channel))
        self.probes.water(flowing, at_s)

    def close(self) -> None:
        """Stop reading."""
        for bus in self._buses.values():
            bus.close()

    # --- reading ---

    async def _read_buses(self) -> dict[str, Answer]:
        found: dict[str, Answer] = {}
        for part in await asyncio.gather(*map(self._read_bus, self._buses.values())):
            found |= part
        return found

    async def _read_bus(self, bus: Bus) -> dict[str, Answer]:
        found: dict[str, Answer] = {}
        for sensor, first in (await bus.read_all()).items():
            found[sensor] = first if isinstance(first, LineFault) else await self._again(self._parts[sensor], first)
        return found

    async def _read(self, part: ProbeSettings) -> Answer:
        try:
            return await self._again(part, await self._buses[part.bus].read(part))
        except LineFault as exc:
            return exc

    async def _again(self, part: ProbeSettings, first: Samples) -> Answer:
        """Return the first samples and more of them; of a converter, because a digital probe filters by itself."""
        answers = [first]
        if any(sample.unit == SHARE for sample in first):
            try:
                while len(answers) < self._settings.soil.samples:
                    answers.append(await self._buses[part.bus].read(part))
            except LineFault as exc:
                return exc
        return tuple(answers)

    # --- what it is worth ---

    def _note(self, sensor: str, answer: Answer) -> None:
        """Take what other readings are noted with; a probe that falls silent or speaks again is logged once."""
        if isinstance(answer, LineFault):
            if sensor not in self._silent:
                self._silent.add(sensor)
                code = _code(answer)
                trace = answer if code == "driver-failed" else None  # for whoever wrote the driver
                log.error("sensor does not answer sensor=%s code=%s: %s", sensor, code, answer, exc_info=trace)
            return
        if sensor in self._silent:
            self._silent.discard(sensor)
            log.info("sensor answers again sensor=%s", sensor)
        for sample in answer[0]:
            if sample.quantity is Quantity.BATTERY:
                self.battery_v = round(sample.raw, 2)
            elif sample.quantity is Quantity.AIR_TEMPERATURE:
                self._air_c = round(sample.raw, 2)

    def _judge(self, sensor: str, answer: Answer) -> tuple[Judged, str | None]:
        """Return what a soil probe says and what that is worth, with the unit of its raw value."""
        if isinstance(answer, LineFault):
            return self.probes.silent(sensor, _code(answer), _now_s()), None
        samples = [one for samples in answer for one in samples if one.quantity is Quantity.SOIL_MOISTURE]
        if not samples:
            return self.probes.silent(sensor, "wrong-answer", _now_s()), None
        doubt = next((_stable(one.doubt) for one in samples if one.doubt), None)
        raws = [one.raw for one in samples]
        judged = self.probes.heard(sensor, raws, _now_s(), is_share=samples[0].unit == SHARE, doubt=doubt)
        return judged, samples[0].unit[:200]

    def _tell(self, told: "_Told", probe: ProbeSettings, answer: Answer) -> None:
        if probe.sensor in self.probes:
            judged, unit = self._judge(probe.sensor, answer)
            told.add(
                probe.sensor,
                Quantity.SOIL_MOISTURE,
                judged.value_pct,
                Verdict(judged.quality, judged.reason),
                raw=judged.raw,
                raw_unit=None if judged.raw is None else unit,
                temperature_c=self._temperature_c(answer),
                supply_v=self.battery_v,
            )
        if isinstance(answer, LineFault):
            for quantity in probe.quantities:
                if not (quantity is Quantity.SOIL_MOISTURE and probe.sensor in self.probes):
                    told.add(probe.sensor, quantity, None, Verdict(Quality.BAD, _code(answer)))
            return
        for sample in answer[0]:
            if not (sample.quantity is Quantity.SOIL_MOISTURE and probe.sensor in self.probes):
                doubt = _stable(sample.doubt) if sample.doubt else None
                told.add(probe.sensor, sample.quantity, sample.raw, Verdict(Quality.SUSPECT, doubt) if doubt else GOOD)

    def _temperature_c(self, answer: Answer) -> float | None:
        """The probe's own temperature if it tells one, else the air's."""
        said: Samples = () if isinstance(answer, LineFault) else answer[0]
        return next((one.raw for one in said if one.quantity is Quantity.SOIL_TEMPERATURE), self._air_c)


class _Told:
    """The readings of one round."""

    def __init__(self, now: datetime, *, trusted: bool) -> None:
        self.readings: list[Reading] = []
        self._now = now
        self._trusted = trusted

    def add(self, sensor: str, quantity: Quantity, value: float | None, verdict: Verdict = GOOD, **more: Any) -> None:
        self.readings.append(
            Reading(
                seq=1,
                sensor=sensor,
                quantity=quantity,
                value=None if value is None else round(value, 4),
                unit=UNIT[quantity],
                at=self._now,
                quality=verdict.quality,
                reason=verdict.reason,
                clock_trusted=self._trusted,
                **more,
            )
        )


def meaning(probe: ProbeSettings, sample: Sample) -> tuple[float, Quality, str | None]:
    """Return what one raw value means by itself, and how far it can be believed: what a look at the bench can tell."""
    if sample.quantity is not Quantity.SOIL_MOISTURE:
        return sample.raw, Quality.SUSPECT if sample.doubt else Quality.GOOD, sample.doubt
    expected = Expected(points=probe.points)
    judged = Probe(expected=expected).heard(
        [sample.raw], 0.0, wet=False, is_share=sample.unit == SHARE, doubt=sample.doubt
    )
    return sample.raw if judged.value_pct is None else judged.value_pct, judged.quality, judged.reason


def _code(fault: LineFault) -> str:
    return _stable(fault.code) if isinstance(fault, ProbeFault) else "no-answer"


def _stable(code: str) -> str:
    """A driver's code as the wire takes it: drivers are other people's."""
    return re.sub(r"[^A-Za-z0-9_:.-]+", "-", code)[:80] or "unnamed"


def _rain_gauge(settings: BoardSettings, hardware: Hardware, untold_tips: int) -> RainGauge | None:
    part = settings.rain_gauge
    if part is None:
        return None
    counter = hardware.pulses(part.pin, chip=part.chip, debounce_us=part.debounce_us)
    return RainGauge(counter, part.mm_per_tip, untold_tips)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
