"""What stands in field.toml: sources, ground, and what is wired to which pin of which board."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from firmware_sim.plant.soil import TEXTURES

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
Gpio = Annotated[int, Field(ge=0, le=27)]
AdcChannel = Annotated[int, Field(ge=0, le=7)]
Positive = Annotated[float, Field(gt=0, le=1e6)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class SourcePart(_Part):
    """A tank or well that holds its pressure up to `capacity_l_min`."""

    id: Id
    capacity_l_min: Positive


class ZonePart(_Part):
    """The ground and drip lines behind one valve. `start_moisture_pct` (volumetric) is used when no state is kept."""

    id: Id
    source: Id
    area_m2: Positive
    flow_l_min: Positive
    crop: str = "grass"
    soil: str = "clay-loam"
    wetted_share: Annotated[float, Field(gt=0, le=1)] = 0.35
    roofed: bool = False
    start_moisture_pct: Annotated[float, Field(ge=0, le=60)] = 30.0

    @model_validator(mode="after")
    def _known_soil(self) -> "ZonePart":
        if self.soil not in TEXTURES:
            raise ValueError(f"soil must be one of {', '.join(TEXTURES)}, not {self.soil!r}")
        return self


class ValvePart(_Part):
    """A normally closed valve on an output pin: open while somebody drives the pin to its active level.

    With a `close_gpio` it latches: a pulse on `gpio` opens it, one on `close_gpio` closes it, in between it stays as it
    is. Water passes it only while its `supply` runs, if it has one.
    """

    gpio: Gpio
    zone: Id
    active_high: bool = True
    close_gpio: Gpio | None = None
    supply: Id | None = None


class SupplyPart(_Part):
    """A pump or master valve on an output pin of the same board."""

    id: Id
    gpio: Gpio
    active_high: bool = True


class ReservePart(_Part):
    """An input pin that is high while there is charge enough to close the latching valves."""

    gpio: Gpio


class MeterPart(_Part):
    """A water meter with a reed contact on an input pin; it counts what flows into one zone."""

    gpio: Gpio
    zone: Id
    pulses_per_litre: Positive = 10.0


class ProbePart(_Part):
    """A capacitive soil probe on an ADC channel; its voltage falls in a straight line from dry to wet ground."""

    adc: AdcChannel
    zone: Id
    depth_m: Annotated[float, Field(gt=0, le=2)] = 0.15
    dry_v: Annotated[float, Field(ge=0, le=3.3)] = 2.8
    dry_pct: float = 0.0
    wet_v: Annotated[float, Field(ge=0, le=3.3)] = 1.2
    wet_pct: float = 60.0
    noise_v: Annotated[float, Field(ge=0, le=1)] = 0.004


class BatteryPart(_Part):
    """The battery's terminals through a divider: the ADC sees voltage / `divider`."""

    adc: AdcChannel
    divider: Positive = 5.0


class ThermometerPart(_Part):
    """A TMP36 in the shade: 0.5 V at 0 °C and 10 mV per degree (Analog Devices, TMP35/36/37 data sheet)."""

    adc: AdcChannel


class RainGaugePart(_Part):
    """A tipping bucket on an input pin."""

    gpio: Gpio
    mm_per_tip: Positive = 0.2


class BoardPart(_Part):
    """One board: its node id and everything on its pins."""

    node: Id
    valves: tuple[ValvePart, ...] = ()
    supplies: tuple[SupplyPart, ...] = ()
    reserve: ReservePart | None = None
    meters: tuple[MeterPart, ...] = ()
    probes: tuple[ProbePart, ...] = ()
    battery: BatteryPart | None = None
    thermometer: ThermometerPart | None = None
    rain_gauge: RainGaugePart | None = None

    @model_validator(mode="after")
    def _one_thing_on_a_pin(self) -> "BoardPart":
        alone = [part for part in (self.rain_gauge, self.reserve) if part is not None]
        pins = [part.gpio for part in (*self.valves, *self.supplies, *self.meters, *alone)]
        pins += [valve.close_gpio for valve in self.valves if valve.close_gpio is not None]
        channels = [part.adc for part in self.probes]
        channels += [part.adc for part in (self.battery, self.thermometer) if part is not None]
        for what, used in (("gpio", pins), ("adc", channels)):
            if len(set(used)) != len(used):
                raise ValueError(f"board {self.node}: two things share one {what}: {sorted(used)}")
        supplies = {supply.id for supply in self.supplies}
        for valve in self.valves:
            if valve.supply is not None and valve.supply not in supplies:
                raise ValueError(f"board {self.node}: supply {valve.supply!r} is none of its supplies")
        return self


class FieldSettings(_Part):
    """The whole field. `speed`: seconds of soil, weather and battery that pass in one second; pipes keep real time."""

    kind: Literal["field"] = "field"
    socket: Path
    state: Path | None = None
    speed: Annotated[float, Field(ge=0.01, le=100_000)] = 1.0
    seed: int = 2026
    tz: str = "Asia/Ho_Chi_Minh"
    latitude_deg: Annotated[float, Field(ge=-66, le=66)] = 21.33
    pipe_fill_s: Annotated[float, Field(ge=0, le=60)] = 0.5
    sources: tuple[SourcePart, ...]
    zones: tuple[ZonePart, ...]
    boards: tuple[BoardPart, ...]

    @model_validator(mode="after")
    def _names_fit(self) -> "FieldSettings":
        sources, zones = {source.id for source in self.sources}, {zone.id for zone in self.zones}
        for zone in self.zones:
            if zone.source not in sources:
                raise ValueError(f"zone {zone.id}: source {zone.source!r} is none of this field's sources")
        for board in self.boards:
            wired = [part.zone for part in board.valves] + [part.zone for part in board.meters]
            wired += [part.zone for part in board.probes]
            for zone_id in wired:
                if zone_id not in zones:
                    raise ValueError(f"board {board.node}: zone {zone_id!r} is none of this field's zones")
        nodes = [board.node for board in self.boards]
        if len(set(nodes)) != len(nodes):
            raise ValueError(f"boards must have different nodes, not {nodes}")
        return self
