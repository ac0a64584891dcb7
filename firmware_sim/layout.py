"""The demo's boards: from a farm, what is wired where, as the field's file says it and as each board's file says it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from firmware_sim.settings import (
    BatteryPart,
    BoardPart,
    FieldSettings,
    MeterPart,
    ProbePart,
    RainGaugePart,
    SourcePart,
    ThermometerPart,
    ValvePart,
    ZonePart,
)
from irrigation.model import Farm, Zone

PULSES_PER_LITRE = 10.0
BATTERY_ADC, THERMOMETER_ADC, RAIN_GPIO = 6, 7, 27
DEPTHS_M = (0.15, 0.30, 0.45)
_VALVE_GPIOS = (17, 18, 23, 24)
_METER_GPIOS = (22, 25, 5, 6)
_ROOFED = frozenset({"strawberry"})
_SOILS = {"strawberry": "clay-loam", "mustard-greens": "silt-loam"}
_SLOPE_SOIL = "sandy-clay-loam"
_WETTED = {"strawberry": 0.40, "mustard-greens": 0.24, "coffee": 0.10}
_TREES_WETTED = 0.12  # a few drippers around each trunk
_START_PCT = {"clay-loam": 31.0, "silt-loam": 29.0, "sandy-clay-loam": 28.0}


@dataclass(frozen=True, slots=True)
class Wired:
    """One zone's hardware: its valve and meter pins and its probes (sensor id, ADC channel, depth)."""

    zone: Zone
    valve_gpio: int
    meter_gpio: int | None
    probes: tuple[tuple[str, int, float], ...]


def wire(farm: Farm) -> dict[str, tuple[Wired, ...]]:
    """Return each board's wiring, in the farm's own order; raise ValueError if a board is too small."""
    boards: dict[str, list[Wired]] = {}
    for zone in farm.zones:
        wired = boards.setdefault(zone.node_id, [])
        place = len(wired)
        first_adc = sum(len(one.probes) for one in wired)
        if place >= len(_VALVE_GPIOS) or first_adc + len(zone.sensors) > BATTERY_ADC:
            raise ValueError(f"board {zone.node_id} has no room for zone {zone.id}: 4 valves and 6 probes are the most")
        probes = tuple((sensor, first_adc + number, DEPTHS_M[number % 3]) for number, sensor in enumerate(zone.sensors))
        wired.append(Wired(zone, _VALVE_GPIOS[place], _METER_GPIOS[place] if zone.has_meter else None, probes))
    return {node: tuple(wired) for node, wired in boards.items()}


def has_weather(farm: Farm, node_id: str) -> bool:
    """Whether a board has the farm's rain gauge and thermometer: the first one does."""
    return farm.zones[0].node_id == node_id


def field_settings(farm: Farm, *, socket: Path, state: Path, speed: float, seed: int = 2026) -> FieldSettings:
    """Return the ground, pipes and wiring of a farm."""
    return FieldSettings(
        socket=socket,
        state=state,
        speed=speed,
        seed=seed,
        tz=farm.tz,
        latitude_deg=farm.lat,
        sources=tuple(SourcePart(id=source.id, capacity_l_min=source.capacity_l_min) for source in farm.sources),
        zones=tuple(_ground(zone) for zone in farm.zones),
        boards=tuple(_board(farm, node_id, wired) for node_id, wired in wire(farm).items()),
    )


def _ground(zone: Zone) -> ZonePart:
    soil = _SOILS.get(zone.crop, _SLOPE_SOIL)
    return ZonePart(
        id=zone.id,
        source=zone.source_id,
        area_m2=zone.area_m2,
        flow_l_min=zone.flow_l_min,
        crop=zone.crop or "grass",
        soil=soil,
        wetted_share=_WETTED.get(zone.crop, _TREES_WETTED),
        roofed=zone.crop in _ROOFED,
        start_moisture_pct=_START_PCT[soil],
    )


def _board(farm: Farm, node_id: str, wired: Iterable[Wired]) -> BoardPart:
    parts = tuple(wired)
    weather = has_weather(farm, node_id)
    return BoardPart(
        node=node_id,
        valves=tuple(ValvePart(gpio=one.valve_gpio, zone=one.zone.id) for one in parts),
        meters=tuple(
            MeterPart(gpio=one.meter_gpio, zone=one.zone.id, pulses_per_litre=PULSES_PER_LITRE)
            for one in parts
            if one.meter_gpio is not None
        ),
        probes=tuple(
            ProbePart(adc=adc, zone=one.zone.id, depth_m=depth_m) for one in parts for _, adc, depth_m in one.probes
        ),
        battery=BatteryPart(adc=BATTERY_ADC),
        thermometer=ThermometerPart(adc=THERMOMETER_ADC) if weather else None,
        rain_gauge=RainGaugePart(gpio=RAIN_GPIO) if weather else None,
    )
