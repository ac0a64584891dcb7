"""The ground and pipes of a farm as one: who drinks from where, and what one step of time does to all of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from firmware_sim.plant import hydraulics, soil, weather
from firmware_sim.plant.crops import Crop
from firmware_sim.plant.weather import Day


@dataclass(frozen=True, slots=True)
class Plot:
    """The ground of one valve. Water is followed under the strip that the drippers wet, not under the dry paths."""

    source_id: str
    area_m2: float
    wetted_share: float
    flow_l_min: float
    ground: soil.Ground
    crop: Crop
    roofed: bool = False  # a greenhouse keeps the rain off

    def depth_mm(self, litres: float) -> float:
        """Return the depth of some litres over the wetted strip."""
        return litres / (self.area_m2 * self.wetted_share)


@dataclass(frozen=True, slots=True)
class Site:
    """Plots by zone, and the largest flow of each source."""

    plots: Mapping[str, Plot]
    max_flow_l_min: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Pipe:
    """What passes one valve: its flow, and the litres ever (a counter that only rises)."""

    flow_l_min: float = 0.0
    litres: float = 0.0


def flow_on(
    site: Site,
    pipes: Mapping[str, Pipe],
    open_zones: Collection[str],
    seconds: float,
    *,
    dry_sources: Collection[str] = (),
    shares: Mapping[str, float] | None = None,
    fill_s: float = 0.5,
) -> dict[str, Pipe]:
    """Return the pipes after `seconds` with these zones' valves open. A closed valve stops its flow at once.

    `shares` of their nominal flow are what zones draw whose valve or pipe is broken: 0.05 through a seat that leaks,
    4 out of a burst line.
    """
    shares = shares or {}
    targets: dict[str, float] = {}
    for source_id, most_l_min in site.max_flow_l_min.items():
        drinkers = {
            zone: plot for zone, plot in site.plots.items() if plot.source_id == source_id and zone in open_zones
        }
        asking = {zone: plot.flow_l_min * shares.get(zone, 1.0) for zone, plot in drinkers.items()}
        targets |= hydraulics.share_flow(asking, 0.0 if source_id in dry_sources else most_l_min)
    after = {}
    for zone, pipe in pipes.items():
        if zone not in targets:
            after[zone] = pipe if pipe.flow_l_min == 0 else Pipe(0.0, pipe.litres)
            continue
        # A neighbour that opens is felt at once, so that the sum stays within the source; only a rise takes time.
        start = min(pipe.flow_l_min, targets[zone])
        flow_l_min, litres = hydraulics.settle(start, targets[zone], seconds, fill_s)
        after[zone] = Pipe(flow_l_min, pipe.litres + litres)
    return after


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of farm-local time: its day's weather, the month, the hour at which it begins, and its length."""

    day: Day
    month: int
    hour: float
    hours: float


def soak(plot: Plot, water_mm: tuple[float, ...], span: Span, litres: float) -> tuple[float, ...]:
    """Return the layers' water after a span of at most an hour, with `litres` of irrigation let in evenly."""
    middle = span.hour + span.hours / 2
    rain_mm = 0.0 if plot.roofed else weather.rain_mm_h(span.day, middle) * span.hours
    demand_mm = plot.crop.kc_in(span.month) * weather.et0_mm_h(span.day, middle) * span.hours
    applied_mm = rain_mm + plot.depth_mm(litres)
    water, _ = soil.step(plot.ground, water_mm, span.hours, applied_mm=applied_mm, demand_mm=demand_mm)
    return water
