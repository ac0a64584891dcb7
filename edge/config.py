"""A board's own file, board.toml: what is wired to it and the caps that nobody above can raise."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contract.link import LinkSettings
from contract.messages import ChannelInfo, Quantity, SensorInfo, Slug
from contract.settings import load_toml

Pin = Annotated[int, Field(ge=0, le=53)]
AdcChannel = Annotated[int, Field(ge=0, le=7)]
Point = Annotated[tuple[float, float], Field()]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class GpioPart(_Part):
    """`factory` is a gpiozero pin factory by its exact name: lgpio on a Raspberry Pi, sim in the simulated field."""

    factory: str


class GuardPart(_Part):
    """Where agent and guard meet, in the state directory; a valve closes `renew_s` after the agent's last sign."""

    socket: str = "guard.sock"
    renew_s: Annotated[float, Field(ge=0.5, le=60)] = 2.0


class MeterPart(_Part):
    """A flow meter with a pulse contact."""

    pin: Pin
    pulses_per_litre: Annotated[float, Field(gt=0, le=10_000)]


class ValvePart(_Part):
    """One valve; `max_open_s` caps one run, `max_day_s` all of 24 hours (default 4 runs of the longest)."""

    channel: Slug
    pin: Pin
    max_open_s: Annotated[float, Field(ge=1, le=86_400)]
    max_day_s: Annotated[float, Field(ge=1, le=86_400)] | None = None
    active_high: Literal[True] = True
    meter: MeterPart | None = None

    @property
    def day_s(self) -> float:
        """The cap of 24 hours in s."""
        return self.max_day_s if self.max_day_s is not None else min(86_400.0, 4 * self.max_open_s)


class ProbePart(_Part):
    """A soil probe. `points` are (share of the converter's reference 0-1, volumetric %), 2 to 8, share rising."""

    sensor: Slug
    driver: Literal["capacitive"] = "capacitive"
    adc: AdcChannel
    points: Annotated[tuple[Point, ...], Field(min_length=2, max_length=8)]

    @model_validator(mode="after")
    def _monotone(self) -> "ProbePart":
        shares = [share for share, _ in self.points]
        moistures = [pct for _, pct in self.points]
        if shares != sorted(set(shares)) or not all(0 <= share <= 1 for share in shares):
            raise ValueError("points must have rising shares between 0 and 1")
        if sorted(moistures) not in (moistures, moistures[::-1]) or not all(0 <= pct <= 100 for pct in moistures):
            raise ValueError("points must have moistures between 0 and 100 % that only rise or only fall")
        return self


class BatteryPart(_Part):
    """The supply behind a voltage divider: volts = share x reference_v x divider."""

    adc: AdcChannel
    divider: Annotated[float, Field(ge=1, le=100)]
    reference_v: Annotated[float, Field(gt=0, le=10)] = 3.3


class ThermometerPart(_Part):
    """An analog air thermometer of 10 mV/degC with 500 mV at 0 degC (TMP36)."""

    adc: AdcChannel
    reference_v: Annotated[float, Field(gt=0, le=10)] = 3.3


class RainGaugePart(_Part):
    """A tipping bucket."""

    pin: Pin
    mm_per_tip: Annotated[float, Field(gt=0, le=10)] = 0.2


class BoardSettings(_Part):
    """All of board.toml. A relative `state_dir` is beside the file."""

    farm_id: Slug
    node_id: Slug
    state_dir: Path
    report_every_s: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    max_readings: Annotated[int, Field(ge=1000, le=5_000_000)] = 500_000
    gpio: GpioPart
    guard: GuardPart = GuardPart()
    mqtt: LinkSettings = LinkSettings()
    valve: Annotated[tuple[ValvePart, ...], Field(min_length=1, max_length=32)]
    probe: tuple[ProbePart, ...] = ()
    battery: BatteryPart | None = None
    thermometer: ThermometerPart | None = None
    rain_gauge: RainGaugePart | None = None

    @model_validator(mode="after")
    def _nothing_twice(self) -> "BoardSettings":
        pins = [valve.pin for valve in self.valve] + [valve.meter.pin for valve in self.valve if valve.meter]
        pins += [self.rain_gauge.pin] if self.rain_gauge else []
        channels = [probe.adc for probe in self.probe]
        channels += [part.adc for part in (self.battery, self.thermometer) if part]
        names = [valve.channel for valve in self.valve]
        sensors = [probe.sensor for probe in self.probe]
        for what, values in (
            ("pin", pins),
            ("adc channel", channels),
            ("valve.channel", names),
            ("probe.sensor", sensors),
        ):
            seen: set[object] = set()
            for value in values:
                if value in seen:
                    raise ValueError(f"{what} {value} is given twice")
                seen.add(value)
        if self.node_id == "gateway":
            raise ValueError("node_id 'gateway' is the farm's gateway, a board needs another")
        for valve in self.valve:
            if valve.day_s < valve.max_open_s:
                raise ValueError(f"valve {valve.channel}: max_day_s must be at least max_open_s")
        return self

    @property
    def guard_socket(self) -> Path:
        """Where the guard listens."""
        return self.state_dir / self.guard.socket

    def has(self) -> tuple[tuple[ChannelInfo, ...], tuple[SensorInfo, ...]]:
        """Return the channels and sensors to announce in the Hello."""
        channels = tuple(
            ChannelInfo(channel=valve.channel, has_meter=valve.meter is not None, max_open_s=valve.max_open_s)
            for valve in self.valve
        )
        sensors = [SensorInfo(sensor=probe.sensor, quantity=Quantity.SOIL_MOISTURE) for probe in self.probe]
        for valve in self.valve:
            if valve.meter is not None:
                sensors.append(SensorInfo(sensor=meter_name(valve.channel), quantity=Quantity.VOLUME))
                sensors.append(SensorInfo(sensor=meter_name(valve.channel), quantity=Quantity.FLOW))
        for part, sensor, quantity in (
            (self.battery, "battery", Quantity.BATTERY),
            (self.thermometer, "air", Quantity.AIR_TEMPERATURE),
            (self.rain_gauge, "rain", Quantity.RAIN),
        ):
            if part is not None:
                sensors.append(SensorInfo(sensor=sensor, quantity=quantity))
        return channels, tuple(sensors)


def meter_name(channel: str) -> str:
    """The sensor id of a valve's meter."""
    return f"{channel}-meter"


def load_board(path: Path) -> BoardSettings:
    """Read board.toml; raise ConfigError with a sentence that names file and field."""
    settings = load_toml(path, BoardSettings)
    return settings.model_copy(update={"state_dir": path.parent / settings.state_dir})
