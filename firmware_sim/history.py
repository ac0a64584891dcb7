"""Thirty days of a farm, lived fast: the plant, the planner's timetable and the life of each run make the records.

What comes out is what the boards and the gateway would have sent, as batches of the node `gateway` with boot id
`history`; only the moments between two 10-minute readings are not looked at more closely than a run needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from contract.messages import (
    MAX_BATCH,
    UNIT,
    Batch,
    DecisionEvent,
    Event,
    Lane,
    Origin,
    Quantity,
    Reading,
    RunEvent,
)
from edge.config import meter_name
from firmware_sim.layout import PULSES_PER_LITRE, Wired, has_weather, wire
from firmware_sim.settings import FieldSettings
from firmware_sim.world import World
from gateway.planning.decisions import of_run, of_skips
from irrigation.dose import asked_s
from irrigation.model import Entry, Farm, PlanState
from irrigation.planner import compile_timetable
from irrigation.run import RunState

BOOT_ID = "history"
STEP = timedelta(minutes=10)
OPENED_AFTER = timedelta(milliseconds=40)
FLOWED_AFTER = timedelta(milliseconds=1500)
PROBE_NOISE_PCT = 0.15


@dataclass(slots=True)
class Past:
    """What was lived: readings and events in the order of time, and the world at its end."""

    farm: Farm
    world: World
    readings: list[Reading] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def batches(self) -> Iterator[Batch]:
        """The records as a gateway sends them, events first."""
        for lane, records in ((Lane.EVENTS, self.events), (Lane.READINGS, self.readings)):
            for start in range(0, len(records), MAX_BATCH):
                part = tuple(records[start : start + MAX_BATCH])
                yield Batch(boot_id=BOOT_ID, lane=lane, after_seq=start, **{str(lane): part})  # type: ignore[arg-type]


@dataclass(slots=True)
class _Open:
    """A run under way: when it will end by its dose, and the zone's litres when it began."""

    entry: Entry
    ends: datetime
    litres_before: float


def live(settings: FieldSettings, farm: Farm, now: datetime, *, days: int = 30) -> Past:
    """Live the days before `now`; runs that would not have ended by then did not begin."""
    now = now.astimezone(UTC).replace(microsecond=0)
    begin = now - timedelta(days=days)
    # The programs as if they had been there all the time.
    farm = replace(farm, programs=tuple(replace(program, since=begin) for program in farm.programs))
    return _Life(settings, farm, begin, now).live()


class _Life:
    def __init__(self, settings: FieldSettings, farm: Farm, begin: datetime, now: datetime) -> None:
        self._farm, self._begin, self._now = farm, begin, now
        self._wiring = wire(farm)
        self._past = Past(farm, World(settings, begin))
        self._open: dict[str, _Open] = {}
        self._dice = Random(settings.seed)
        self._flowed: dict[str, float] = {}
        self._rain_mm = 0.0
        timetable = compile_timetable(farm, PlanState(), begin, days=(now - begin).days, version=1)
        self._due = [entry for entry in timetable.entries if entry.start + timedelta(seconds=entry.max_s) < now]
        self._skipped = timetable.skipped

    def live(self) -> Past:
        """Go through time from one thing that happens to the next."""
        at, step_end = self._begin, self._begin + STEP
        while at < self._now:
            until = min(step_end, self._now, *(run.ends for run in self._open.values()))
            if self._due and self._due[0].start < until:
                until = max(at, self._due[0].start)
            self._flow(until - at)
            at = until
            for run in [run for run in self._open.values() if run.ends <= at]:
                self._close(run, at)
            while self._due and self._due[0].start <= at:
                self._start(self._due.pop(0))
            if at >= min(step_end, self._now):
                self._take_readings(at)
                step_end += STEP
        for decision in of_skips(self._skipped, frozenset(), self._now):
            self._past.events.append(DecisionEvent(seq=1, at=decision.due, decision=decision))
        self._past.events.sort(key=lambda event: event.at)
        self._past.events = [event.model_copy(update={"seq": seq}) for seq, event in enumerate(self._past.events, 1)]
        return self._past

    def _flow(self, span: timedelta) -> None:
        if not self._open or span <= timedelta(0):
            return
        for zone, litres in self._past.world.pipe_water(set(self._open), span.total_seconds()).items():
            self._flowed[zone] = self._flowed.get(zone, 0.0) + litres

    def _start(self, entry: Entry) -> None:
        zone = self._farm.zone(entry.zone_id)
        seconds = min(asked_s(entry.dose, zone), entry.max_s)
        run = _Open(entry, entry.start + timedelta(seconds=seconds), self._past.world.pipes[zone.id].litres)
        self._open[zone.id] = run
        self._report(run, RunState.OPENING, entry.start)
        opened = entry.start + OPENED_AFTER
        self._report(run, RunState.OPEN, opened)
        if zone.has_meter:
            self._report(run, RunState.WATERING, entry.start + FLOWED_AFTER)

    def _close(self, run: _Open, at: datetime) -> None:
        del self._open[run.entry.zone_id]
        litres = self._past.world.pipes[run.entry.zone_id].litres - run.litres_before
        self._past.world.pipe_water(set(self._open), 0)
        self._report(run, RunState.CLOSING, at, litres)
        self._report(run, RunState.DONE, at + OPENED_AFTER, litres)

    def _report(self, run: _Open, state: RunState, at: datetime, litres: float | None = None) -> None:
        entry = run.entry
        zone = self._farm.zone(entry.zone_id)
        opened = entry.start + OPENED_AFTER
        ended = state in {RunState.CLOSING, RunState.DONE}
        event = RunEvent(
            seq=1,
            node_id=entry.node_id,
            at=at,
            run_id=f"run-{entry.id}"[:80],
            zone_id=entry.zone_id,
            channel=entry.channel,
            state=state,
            origin=Origin.PROGRAM,
            actor=f"program:{entry.program_id}",
            dose=entry.dose,
            max_s=float(entry.max_s),
            entry_id=entry.id,
            program_id=entry.program_id,
            opened_at=None if state is RunState.OPENING else opened,
            closes_at=None if state is RunState.OPENING else opened + timedelta(seconds=entry.max_s),
            litres=_counted(litres) if zone.has_meter and litres is not None else None,
            open_s=(at - opened).total_seconds() if ended else None,
        )
        self._past.events.append(event)
        if state is RunState.OPENING and (decision := of_run(event, entry)) is not None:
            self._past.events.append(DecisionEvent(seq=1, at=at, decision=decision))

    def _take_readings(self, at: datetime) -> None:
        """Let the soil live to `at`, then read every sensor, and end the runs whose ground is wet enough."""
        world = self._past.world
        open_valves = {node: sum(one.zone.id in self._open for one in wired) for node, wired in self._wiring.items()}
        world.pass_time(at - world.at, self._flowed, open_valves)
        for node, wired in self._wiring.items():
            for one in wired:
                self._read_zone(node, one, at)
            self._read(node, "battery", Quantity.BATTERY, world.battery_v(node, open_valves[node]), at, 2)
            if has_weather(self._farm, node):
                self._read(node, "air", Quantity.AIR_TEMPERATURE, world.air_temperature_c(), at, 1)
                tips_mm = round((world.rain_mm - self._rain_mm) // 0.2 * 0.2, 1)
                self._rain_mm += tips_mm
                self._read(node, "rain", Quantity.RAIN, tips_mm, at, 1)
        self._flowed.clear()

    def _read_zone(self, node: str, one: Wired, at: datetime) -> None:
        world, zone = self._past.world, one.zone
        for sensor, _, depth_m in one.probes:
            seen_pct = world.moisture_pct(zone.id, depth_m) + self._dice.gauss(0, PROBE_NOISE_PCT)
            self._read(node, sensor, Quantity.SOIL_MOISTURE, seen_pct, at, 1)
            run = self._open.get(zone.id)
            wanted_pct = None if run is None else run.entry.dose.until_moisture_pct
            if run is not None and wanted_pct is not None and seen_pct >= wanted_pct:
                run.ends = at
        if one.meter_gpio is not None:
            flow = self._flowed.get(zone.id, 0.0) / (STEP / timedelta(minutes=1))
            self._read(node, meter_name(zone.channel), Quantity.FLOW, flow, at, 1)
            self._read(node, meter_name(zone.channel), Quantity.VOLUME, _counted(world.pipes[zone.id].litres), at, 1)

    def _read(self, node: str, sensor: str, quantity: Quantity, value: float, at: datetime, digits: int) -> None:
        seq = len(self._past.readings) + 1
        made: dict[str, Any] = {"node_id": node, "sensor": sensor, "quantity": quantity, "unit": UNIT[quantity]}
        self._past.readings.append(Reading(seq=seq, value=round(value, digits), at=at, **made))


def _counted(litres: float) -> float:
    """Litres as a meter counts them: in whole pulses."""
    return int(litres * PULSES_PER_LITRE + 1e-9) / PULSES_PER_LITRE
