"""Water in a column of soil, layer by layer: wetting, draining, drying. Every step closes its balance.

Drainage above field capacity: AquaCrop's exponential tau function (Raes, Steduto, Hsiao, Fereres 2009, Agronomy
Journal 101:438-447; AquaCrop Reference Manual, chapter 3, "redistribution and drainage"). Water stress: FAO-56 Eq. 84.
Drying of the bare surface: FAO-56 Eq. 74. Roots take 40, 30, 20 and 10 % of their water from the quarters of their
depth (AquaCrop's default extraction pattern).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Texture:
    """What a soil holds, as volume of water per volume of soil, and how fast it conducts when full."""

    wilting: float
    field_capacity: float
    saturation: float
    ksat_mm_day: float

    def __post_init__(self) -> None:
        if not 0 < self.wilting < self.field_capacity < self.saturation < 1:
            raise ValueError("soil must have 0 < wilting < field capacity < saturation < 1")
        if not 0 < self.ksat_mm_day < 1e5:
            raise ValueError(f"soil.ksat_mm_day must be between 0 and 100000 mm/day, not {self.ksat_mm_day:g}")


TEXTURES: Final[dict[str, Texture]] = {
    # wilting, field capacity, saturation and Ksat (mm/day) of AquaCrop's default soil classes (same manual, annex I)
    "sandy-loam": Texture(0.10, 0.22, 0.41, 1200),
    "loam": Texture(0.15, 0.31, 0.46, 500),
    "silt-loam": Texture(0.13, 0.33, 0.46, 575),
    "sandy-clay-loam": Texture(0.20, 0.32, 0.47, 225),
    "clay-loam": Texture(0.23, 0.39, 0.50, 125),
    "silty-clay-loam": Texture(0.23, 0.44, 0.52, 150),
}


@dataclass(frozen=True, slots=True)
class Ground:
    """A column under one zone: its layers from the top, how deep the roots go, and how far the crop lets them dry.

    `depletion_share` is FAO-56's p (Table 22): the share of the available water that is taken without stress.
    `evaporation_share` is the part of the crop's water that leaves from the bare surface of the wetted strip.
    """

    texture: Texture
    thickness_mm: tuple[float, ...]
    root_depth_mm: float
    depletion_share: float
    evaporation_share: float = 0.2

    def wet_at(self, moisture: float) -> tuple[float, ...]:
        """Return the water of every layer, mm, at one volumetric moisture (0 to 1)."""
        low, high = self.texture.wilting, self.texture.saturation
        return tuple(min(max(moisture, low), high) * thickness for thickness in self.thickness_mm)


@dataclass(frozen=True, slots=True)
class Fluxes:
    """Where the water of a step went, mm. `infiltrated = stored more + evaporated + transpired + percolated`."""

    infiltrated_mm: float
    runoff_mm: float
    evaporated_mm: float
    transpired_mm: float
    percolated_mm: float


def step(
    ground: Ground, water_mm: Sequence[float], hours: float, *, applied_mm: float, demand_mm: float
) -> tuple[tuple[float, ...], Fluxes]:
    """Return the layers' water after `hours` with `applied_mm` of rain and irrigation and a crop wanting `demand_mm`.

    Layers stay between wilting point and saturation; what the top cannot take runs off. Steps of an hour or less.
    """
    water = list(water_mm)
    percolated_mm = _drain(ground, water, hours)
    infiltrated_mm = _infiltrate(ground, water, hours, applied_mm)
    stress = stress_factor(ground, water)
    evaporated_mm = _evaporate(ground, water, demand_mm * ground.evaporation_share)
    transpired_mm = _transpire(ground, water, demand_mm * (1 - ground.evaporation_share) * stress)
    fluxes = Fluxes(infiltrated_mm, applied_mm - infiltrated_mm, evaporated_mm, transpired_mm, percolated_mm)
    return tuple(water), fluxes


def moisture_at(ground: Ground, water_mm: Sequence[float], depth_m: float) -> float:
    """Return the volumetric moisture (0 to 1) of the layer at a depth; the lowest layer below the column."""
    bottom_mm = 0.0
    for thickness_mm, layer_mm in zip(ground.thickness_mm, water_mm, strict=True):
        bottom_mm += thickness_mm
        if depth_m * 1000 <= bottom_mm:
            return layer_mm / thickness_mm
    return water_mm[-1] / ground.thickness_mm[-1]


def stress_factor(ground: Ground, water_mm: Sequence[float]) -> float:
    """Return Ks, 1 without stress and 0 at the wilting point of the root zone: FAO-56 Eq. 84."""
    texture = ground.texture
    available_mm = depleted_mm = 0.0
    for share, thickness_mm, layer_mm in zip(_rooted(ground), ground.thickness_mm, water_mm, strict=True):
        available_mm += share * thickness_mm * (texture.field_capacity - texture.wilting)
        depleted_mm += share * max(0.0, texture.field_capacity * thickness_mm - layer_mm)
    left_mm = available_mm - depleted_mm
    return max(0.0, min(1.0, left_mm / ((1 - ground.depletion_share) * available_mm)))


def _rooted(ground: Ground) -> list[float]:
    """Which share of each layer the roots reach."""
    shares, top_mm = [], 0.0
    for thickness_mm in ground.thickness_mm:
        shares.append(max(0.0, min(1.0, (ground.root_depth_mm - top_mm) / thickness_mm)))
        top_mm += thickness_mm
    return shares


def _drain(ground: Ground, water: list[float], hours: float) -> float:
    """Let water above field capacity sink, from the bottom up; return what left the lowest layer."""
    texture, percolated_mm = ground.texture, 0.0
    tau = min(1.0, 0.0866 * texture.ksat_mm_day**0.35)
    span = texture.saturation - texture.field_capacity
    last = len(water) - 1
    for index in range(last, -1, -1):
        thickness_mm = ground.thickness_mm[index]
        excess = water[index] / thickness_mm - texture.field_capacity
        if excess <= 0:
            continue
        per_day = tau * span * math.expm1(excess) / math.expm1(span)
        sinking_mm = min(per_day * hours / 24, excess) * thickness_mm
        if index == last:
            percolated_mm = sinking_mm
        else:
            room_mm = texture.saturation * ground.thickness_mm[index + 1] - water[index + 1]
            sinking_mm = min(sinking_mm, max(0.0, room_mm))
            water[index + 1] += sinking_mm
        water[index] -= sinking_mm
    return percolated_mm


def _infiltrate(ground: Ground, water: list[float], hours: float, applied_mm: float) -> float:
    """Fill the layers from the top, no faster than the soil conducts; return what went in."""
    texture = ground.texture
    waiting_mm = min(applied_mm, texture.ksat_mm_day * hours / 24)
    taken_mm = 0.0
    # The wetting front brings one layer after the other to field capacity; what is left fills them up, top first.
    for held in (texture.field_capacity, texture.saturation):
        for index, thickness_mm in enumerate(ground.thickness_mm):
            entering_mm = min(waiting_mm - taken_mm, max(0.0, held * thickness_mm - water[index]))
            water[index] += entering_mm
            taken_mm += entering_mm
    return taken_mm


def _evaporate(ground: Ground, water: list[float], demand_mm: float) -> float:
    """Dry the top layer; slower the drier it is: FAO-56 Eq. 74 between field capacity and wilting point."""
    texture, thickness_mm = ground.texture, ground.thickness_mm[0]
    left_mm = water[0] - texture.wilting * thickness_mm
    reduction = min(1.0, left_mm / ((texture.field_capacity - texture.wilting) * thickness_mm))
    leaving_mm = max(0.0, min(demand_mm * reduction, left_mm))
    water[0] -= leaving_mm
    return leaving_mm


def _transpire(ground: Ground, water: list[float], demand_mm: float) -> float:
    """Take the roots' water from the layers by the 40-30-20-10 pattern, never below the wilting point."""
    taken_mm, top_mm = 0.0, 0.0
    for index, thickness_mm in enumerate(ground.thickness_mm):
        bottom_mm = top_mm + thickness_mm
        share = _pattern(bottom_mm / ground.root_depth_mm) - _pattern(top_mm / ground.root_depth_mm)
        leaving_mm = max(0.0, min(demand_mm * share, water[index] - ground.texture.wilting * thickness_mm))
        water[index] -= leaving_mm
        taken_mm += leaving_mm
        top_mm = bottom_mm
    return taken_mm


def _pattern(depth_share: float) -> float:
    """The share of the roots' water that comes from above a share of their depth: 0.4, 0.7, 0.9, 1 at the quarters."""
    known = (0.0, 0.4, 0.7, 0.9, 1.0)
    quarters = max(0.0, min(4.0, 4 * depth_share))
    whole = min(3, int(quarters))
    return known[whole] + (known[whole + 1] - known[whole]) * (quarters - whole)
