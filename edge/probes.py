"""The soil probes of a board as far as they can be believed: their evidence outlives a restart, what lasts is told."""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from contract.clock import Clock
from contract.messages import ChannelSettings, FaultEvent, Params, Quality, Quantity
from contract.outbox import Outbox
from edge.config import BoardSettings
from edge.control.pace import Limits
from edge.control.probe import Expected, Judged, Memory, Probe
from edge.control.quality import GOOD, Verdict
from edge.control.wetting import Unmoved, Wetting
from edge.store import Store

log = logging.getLogger(__name__)

MAX_AGE_INTERVALS = 6  # what a probe said longer ago is not now
LOST_AFTER = 3  # words in a row that are not good: one alone may be a spark
LASTING = frozenset({"stuck", "no-wetting", "drift"})  # doubts that a person must look into
MEMORIES, TOLD = "probe-memories", "probe-faults"


class Probes:
    """Every soil probe by its sensor id. `zones` is what the farm says of the channels. Times are monotonic s."""

    def __init__(
        self,
        expected: dict[str, Expected],
        settings: BoardSettings,
        *,
        store: Store,
        outbox: Outbox,
        clock: Clock,
        zones: Callable[[], Sequence[ChannelSettings]],
    ) -> None:
        memories = store.fact(MEMORIES, dict[str, Memory]) or {}
        self._probes = {
            sensor: Probe(expected=one, memory=memories.get(sensor, Memory())) for sensor, one in expected.items()
        }
        self._saved = {sensor: probe.memory for sensor, probe in self._probes.items()}
        self._max_age_s = MAX_AGE_INTERVALS * settings.report_every_s
        self._wettings: dict[str, Wetting] = {}
        self._spans_s = (settings.soil.watering_least_s, settings.soil.wetting_wait_s)
        self._store, self._outbox, self._clock, self._zones = store, outbox, clock, zones
        self._doubts = dict.fromkeys(expected, 0)  # words in a row that were not good
        self._told = store.fact(TOLD, frozenset[str]) or frozenset()

    def take(self, settings: BoardSettings) -> None:
        """Believe the probes by these settings from now on; a new calibration begins the evidence anew."""
        self._max_age_s = MAX_AGE_INTERVALS * settings.report_every_s
        for sensor, one in expected(settings).items():
            if one != self._probes[sensor].expected:
                self._probes[sensor] = Probe(expected=one, memory=self._probes[sensor].memory)

    def __contains__(self, sensor: str) -> bool:
        return sensor in self._probes

    # --- what they say ---

    def heard(
        self, sensor: str, raws: Sequence[float], at_s: float, *, is_share: bool, doubt: str | None = None
    ) -> Judged:
        """Take the samples of one reading, and return what it is worth. `is_share`: of a converter's reference."""
        wettings = [self._wettings[zone.channel] for zone in self._of(sensor) if zone.channel in self._wettings]
        wet = any(wetting.wet for wetting in wettings)
        judged = self._probes[sensor].heard(raws, at_s, wet=wet, is_share=is_share, doubt=doubt)
        if judged.value_pct is not None and (judged.quality is Quality.GOOD or judged.reason in LASTING):
            for wetting in wettings:
                wetting.heard(sensor, judged.value_pct)
        return self._count(sensor, judged)

    def silent(self, sensor: str, fault: str, at_s: float) -> Judged:
        """Its driver had no value to give."""
        return self._count(sensor, self._probes[sensor].silent(fault, at_s))

    def _count(self, sensor: str, judged: Judged) -> Judged:
        self._doubts[sensor] = 0 if judged.quality is Quality.GOOD else self._doubts[sensor] + 1
        return judged

    # --- what may decide about water ---

    def usable_pct(self, sensors: Iterable[str], at_s: float) -> list[float]:
        """Return the moistures that water may be decided by: good and fresh."""
        last = [self._probes[sensor].last for sensor in sensors if sensor in self._probes]
        return [
            one.value_pct
            for one in last
            if one is not None and one.value_pct is not None and one.now(at_s, self._max_age_s) == GOOD
        ]

    def lost(self, sensors: Sequence[str], at_s: float) -> str | None:
        """Return why none of these probes can be waited for any longer; None while one can."""
        reasons = []
        for sensor in sensors:
            last = self._probes[sensor].last
            now = Verdict(Quality.STALE, "too-old") if last is None else last.now(at_s, self._max_age_s)
            if now == GOOD or (self._doubts[sensor] < LOST_AFTER and now.quality is not Quality.STALE):
                return None
            reasons.append(now.reason)
        return reasons[0] if reasons else "no-probe"

    # --- water ---

    def water(self, open_channels: Iterable[str], at_s: float) -> None:
        """Say which valves are open now; what a watering has proven is taken once it has been waited for."""
        flowing = frozenset(open_channels)
        for channel in flowing:
            wetting = self._wettings.setdefault(channel, Wetting(*self._spans_s))
            begins = not wetting.wet
            wetting.opened(at_s)
            if begins:  # from where they stood before the water came
                self._say_last(channel, wetting, at_s)
        porosity = {sensor: probe.expected.porosity_pct for sensor, probe in self._probes.items()}
        for channel, wetting in self._wettings.items():
            if channel not in flowing:
                wetting.closed(at_s)
            before = {sensor: probe.memory.unmoved for sensor, probe in self._probes.items()}
            for sensor, evidence in wetting.settle(before, at_s, porosity_pct=porosity).items():
                if evidence != Unmoved():
                    log.warning("probe saw no water sensor=%s channel=%s evidence=%s", sensor, channel, evidence)
                self._probes[sensor].unmoved(evidence)

    def _say_last(self, channel: str, wetting: Wetting, at_s: float) -> None:
        for sensor in {sensor for zone in self._zones() if zone.channel == channel for sensor in zone.sensors}:
            for value_pct in self.usable_pct([sensor], at_s):
                wetting.heard(sensor, value_pct)

    # --- evidence and faults ---

    def compare(self, today: date | None) -> None:
        """Hold each probe against the others of its zone, once for each reading; no day, no evidence."""
        if today is None:
            return
        for sensor, probe in self._probes.items():
            others = [
                last.value_pct
                for zone in self._of(sensor)
                for other in zone.sensors
                if other != sensor and other in self._probes
                if (last := self._probes[other].last) is not None and last.value_pct is not None
                if last.quality is Quality.GOOD or last.reason == "drift"
            ]
            probe.compared(today, others)

    def keep(self) -> None:
        """Write down the evidence and tell the faults that have begun or ended, inside the caller's transaction."""
        memories = {sensor: probe.memory for sensor, probe in self._probes.items()}
        if memories != self._saved:
            self._saved = memories
            self._store.note(MEMORIES, dict[str, Memory], memories)
        bad = frozenset(sensor for sensor in self._probes if self._is_faulty(sensor))
        well = frozenset(
            sensor for sensor, doubts in self._doubts.items() if doubts == 0 and self._probes[sensor].last is not None
        )
        now = (self._told - well) | bad
        if now == self._told:
            return
        before, self._told = self._told, now
        self._store.note(TOLD, frozenset[str], now)
        for zone_id, channel, sensors in self._places():
            was, still = sorted(before & sensors), sorted(now & sensors)
            if was != still:
                self._tell(zone_id, channel, still or was, cleared=not still)

    def _is_faulty(self, sensor: str) -> bool:
        last = self._probes[sensor].last
        if last is None or self._doubts[sensor] < LOST_AFTER:
            return False
        return last.quality in (Quality.BAD, Quality.STALE) or last.reason in LASTING

    def _places(self) -> list[tuple[str | None, str | None, frozenset[str]]]:
        zones = self._zones()
        placed = frozenset(sensor for zone in zones for sensor in zone.sensors)
        rest = frozenset(self._probes) - placed
        return [(zone.zone_id, zone.channel, frozenset(zone.sensors)) for zone in zones] + [(None, None, rest)]

    def _tell(self, zone_id: str | None, channel: str | None, sensors: list[str], *, cleared: bool) -> None:
        last = self._probes[sensors[0]].last if sensors[0] in self._probes else None
        params: Params = {"sensors": ", ".join(sensors)[:200]}
        if not cleared and last is not None and last.reason is not None:
            params["reason"] = last.reason
        log.log(logging.INFO if cleared else logging.ERROR, "probe-bad cleared=%s %s", cleared, params)
        self._outbox.append(
            FaultEvent(
                seq=1,
                at=self._clock.now(),
                clock_trusted=self._clock.trusted(),
                code="probe-bad",
                channel=channel,
                zone_id=zone_id,
                cleared=cleared,
                params=params,
            )
        )

    def _of(self, sensor: str) -> list[ChannelSettings]:
        return [zone for zone in self._zones() if sensor in zone.sensors]


def expected(settings: BoardSettings) -> dict[str, Expected]:
    """Return what the board's file says of its soil probes."""
    soil = settings.soil
    return {
        probe.sensor: Expected(
            points=probe.points,
            porosity_pct=soil.porosity_pct,
            limits=Limits(soil.rise_pct_h, soil.fall_pct_h),
        )
        for probe in settings.probes
        if Quantity.SOIL_MOISTURE in probe.quantities
    }
