"""The farm's ground, pipes and batteries as they are now, and how they move on. Used by the field and by the history.

Two clocks: water in pipes and meters moves in real seconds, soil, weather and batteries in `speed` times as many. What
the soil receives is then `speed` times what the meter counted, so that each clock's own water balance holds.
"""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from firmware_sim.plant import battery, hydraulics, soil, weather
from firmware_sim.plant.crops import crop
from firmware_sim.plant.site import Pipe, Plot, Site, Span, flow_on, soak
from firmware_sim.settings import FieldSettings, ZonePart

LAYERS_MM = (100.0, 100.0, 150.0, 250.0, 400.0)
SOIL_STEP = timedelta(minutes=10)
MAX_CATCH_UP = timedelta(days=30)


def plot_of(zone: ZonePart) -> Plot:
    """Return the ground and pipes of a zone's settings."""
    grown = crop(zone.crop)
    ground = soil.Ground(soil.TEXTURES[zone.soil], LAYERS_MM, grown.root_depth_m * 1000, grown.depletion_share)
    return Plot(zone.source, zone.area_m2, zone.wetted_share, zone.flow_l_min, ground, grown, zone.roofed)


class World:
    """State of the field at simulated time `at`. Litres and rain only rise."""

    def __init__(self, settings: FieldSettings, at: datetime) -> None:
        self.at = at
        self._settings = settings
        self._tz = ZoneInfo(settings.tz)
        self.site = Site(
            {zone.id: plot_of(zone) for zone in settings.zones},
            {source.id: hydraulics.max_flow_l_min(source.capacity_l_min) for source in settings.sources},
        )
        self.pipes: Mapping[str, Pipe] = {zone.id: Pipe() for zone in settings.zones}
        self.water_mm = {
            zone.id: self.site.plots[zone.id].ground.wet_at(zone.start_moisture_pct / 100) for zone in settings.zones
        }
        self.charge = {board.node: 0.8 for board in settings.boards}
        self.rain_mm = 0.0
        self._supply = battery.Supply()
        # A day is drawn from its own seed, so a restart and a replay see the same sky.
        self._draw = lru_cache(maxsize=4)(self._draw_day)

    def _draw_day(self, day: date) -> weather.Day:
        return weather.draw(day, self._settings.latitude_deg, Random(f"{self._settings.seed}:{day}"))

    def _local(self) -> tuple[weather.Day, datetime, float]:
        local = self.at.astimezone(self._tz)
        return self._draw(local.date()), local, local.hour + local.minute / 60 + local.second / 3600

    def pipe_water(
        self,
        open_zones: Collection[str],
        seconds: float,
        dry_sources: Collection[str] = (),
        shares: Mapping[str, float] | None = None,
    ) -> dict[str, float]:
        """Let water run for real `seconds`; return the litres that each zone received."""
        before = self.pipes
        fill_s = self._settings.pipe_fill_s
        self.pipes = flow_on(
            self.site, before, open_zones, seconds, dry_sources=dry_sources, shares=shares, fill_s=fill_s
        )
        return {zone: pipe.litres - before[zone].litres for zone, pipe in self.pipes.items()}

    def pass_time(self, span: timedelta, litres: Mapping[str, float], open_valves: Mapping[str, int]) -> None:
        """Move soil, weather and batteries on by `span` with `litres` per zone spread over it; steps of 10 minutes."""
        steps = max(1, -(-span // SOIL_STEP))
        hours = span / timedelta(hours=1) / steps
        for _ in range(steps):
            day, local, hour = self._local()
            now = Span(day, local.month, hour, hours)
            for zone, plot in self.site.plots.items():
                self.water_mm[zone] = soak(plot, self.water_mm[zone], now, litres.get(zone, 0.0) / steps)
            self.rain_mm += weather.rain_mm_h(day, hour + hours / 2) * hours
            light = weather.light_w_m2(day, hour + hours / 2)
            for node in self.charge:
                valves = open_valves.get(node, 0)
                self.charge[node] = battery.step(
                    self._supply, self.charge[node], hours, light_w_m2=light, open_valves=valves
                )
            self.at += timedelta(hours=hours)

    def catch_up(self, now: datetime) -> None:
        """Let dry time pass until `now`: what happened to the ground while nobody simulated it.

        A field that ran faster than the clock is ahead of it: then only its calendar goes back.
        """
        span = max(timedelta(0), min(now - self.at, MAX_CATCH_UP))
        self.at = now - span
        if span:
            self.pass_time(span, {}, {})

    def moisture_pct(self, zone: str, depth_m: float) -> float:
        """Return the volumetric moisture, %, of a zone's ground at a depth."""
        return 100 * soil.moisture_at(self.site.plots[zone].ground, self.water_mm[zone], depth_m)

    def air_temperature_c(self) -> float:
        """Return the temperature in the shade."""
        day, _, hour = self._local()
        return weather.temperature_c(day, hour)

    def battery_v(self, node: str, open_valves: int) -> float:
        """Return the voltage at the terminals of a board's battery."""
        day, _, hour = self._local()
        return battery.voltage_v(self.charge[node], light_w_m2=weather.light_w_m2(day, hour), open_valves=open_valves)

    def save(self, path: Path) -> None:
        """Write the state, whole or not at all."""
        state = {
            "at": self.at.isoformat(),
            "water_mm": self.water_mm,
            "litres": {zone: pipe.litres for zone, pipe in self.pipes.items()},
            "charge": self.charge,
            "rain_mm": self.rain_mm,
        }
        new = path.with_suffix(".new")
        new.write_text(json.dumps(state), encoding="utf-8")
        new.replace(path)

    def load(self, path: Path) -> None:
        """Take over a saved state, as far as it speaks of zones and boards that are still there."""
        state = json.loads(path.read_text(encoding="utf-8"))
        self.at = datetime.fromisoformat(state["at"]).astimezone(UTC)
        self.rain_mm = float(state["rain_mm"])
        for zone in self.water_mm:
            if zone in state["water_mm"] and len(state["water_mm"][zone]) == len(LAYERS_MM):
                self.water_mm[zone] = tuple(state["water_mm"][zone])
                self.pipes = {**self.pipes, zone: Pipe(0.0, float(state["litres"][zone]))}
        for node in self.charge:
            self.charge[node] = float(state["charge"].get(node, self.charge[node]))
