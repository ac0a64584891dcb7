"""A board's own file, board.toml: what is wired to it and the caps that nobody above can raise."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, SerializeAsAny, model_validator

from contract.link import LinkSettings
from contract.messages import ChannelInfo, Quantity, SensorInfo, Slug
from contract.settings import load_toml
from edge.guard.settings import PULSES_MOST_S
from edge.hardware.drivers.analog import Supply, Tmp36
from edge.hardware.drivers.driver import Part, ProbeSettings, settings_of

Pin = Annotated[int, Field(ge=0, le=53)]
Chip = Annotated[int, Field(ge=0, le=31)]  # /dev/gpiochipN
Debounce = Annotated[int, Field(ge=0, le=1_000_000)]
AnyProbe = Annotated[SerializeAsAny[ProbeSettings], PlainValidator(settings_of)]  # of the driver that it names


class GpioPart(Part):
    """`factory` is a gpiozero pin factory by its exact name: lgpio on a Raspberry Pi, sim in the simulated field."""

    factory: str


class GuardPart(Part):
    """Where agent and guard meet, in the state directory; a valve closes `renew_s` after the agent's last sign."""

    socket: str = "guard.sock"
    renew_s: Annotated[float, Field(ge=0.5, le=60)] = 2.0


class WatchPart(Part):
    """What the meters are watched for.

    No pulse for `no_flow_s` after opening: no water. A burst is not looked for while the lines fill, `fill_s`. With its
    valve shut, a meter that counts `night_l_min` on the mean of `night_window_s` shows a leak.
    """

    no_flow_s: Annotated[float, Field(ge=1, le=3600)] = 30.0
    fill_s: Annotated[float, Field(ge=0, le=3600)] = 60.0
    night_window_s: Annotated[float, Field(ge=10, le=86_400)] = 600.0
    night_l_min: Annotated[float, Field(gt=0, le=1000)] = 0.2


class MeterPart(Part):
    """A flow meter. `debounce_us`: 0 for a hall sensor; for a contact more than it bounces, less than it is closed.

    `most_l_min`: no more can flow through it; where it is not given, ten times the zone's nominal flow.
    """

    pin: Pin
    chip: Chip = 0
    debounce_us: Debounce = 0
    pulses_per_litre: Annotated[float, Field(gt=0, le=10_000)]
    most_l_min: Annotated[float, Field(gt=0, le=100_000)] | None = None


class _OutputPart(Part):
    """An output; `max_open_s` caps one run, `max_day_s` all of 24 hours (default 4 runs of the longest)."""

    pin: Pin
    active_high: bool = True
    max_open_s: Annotated[float, Field(ge=1, le=86_400)]
    max_day_s: Annotated[float, Field(ge=1, le=86_400)] | None = None

    @property
    def day_s(self) -> float:
        """The cap of 24 hours in s."""
        return self.max_day_s if self.max_day_s is not None else min(86_400.0, 4 * self.max_open_s)


class LatchPart(Part):
    """A latching valve: a pulse of `pulse_ms` on the valve's `pin` opens it, one on `close_pin` closes it.

    Closing is repeated every `reclose_s` while it is closed, since nothing tells where such a valve stands.
    """

    close_pin: Pin
    pulse_ms: Annotated[float, Field(ge=10, le=200)] = 60.0
    reclose_s: Annotated[float, Field(ge=60, le=86_400)] = 600.0


class ValvePart(_OutputPart):
    """One valve, normally closed or latching, that may drink from a supply."""

    channel: Slug
    supply: Slug | None = None
    latch: LatchPart | None = None
    meter: MeterPart | None = None


class SupplyPart(_OutputPart):
    """A pump or a master valve that runs while one of its valves needs it; its run is a stretch over several of theirs.

    Delays in s against the valve, below 0: the supply first. It starts `start_after_s` after its valve has opened and
    stops `stop_after_s` after the last one has shut.
    """

    name: Slug
    start_after_s: Annotated[float, Field(ge=-60, le=60)] = 0.0
    stop_after_s: Annotated[float, Field(ge=-60, le=60)] = 0.0


class ReservePart(Part):
    """An input that is on while there is charge enough to close every latching valve."""

    pin: Pin
    active_high: bool = True


class SoilPart(Part):
    """What the readings of soil probes are held against; the defaults are for mineral soils.

    `samples` of a converter make one reading, their median counts. More water than `porosity_pct` cannot be. Moisture
    changes by `rise_pct_h` and `fall_pct_h` an hour at most, unless the zone is watered. A watering of at least
    `watering_least_s` reaches the probes within `wetting_wait_s` of its end.
    """

    samples: Annotated[int, Field(ge=1, le=9)] = 3
    porosity_pct: Annotated[float, Field(ge=20, le=100)] = 60.0
    rise_pct_h: Annotated[float, Field(ge=1, le=1e9)] = 60.0
    fall_pct_h: Annotated[float, Field(ge=1, le=1e9)] = 20.0
    watering_least_s: Annotated[float, Field(ge=0, le=86_400)] = 600.0
    wetting_wait_s: Annotated[float, Field(ge=0, le=86_400)] = 7200.0


class RainGaugePart(Part):
    """A tipping bucket, whose reed contact bounces."""

    pin: Pin
    chip: Chip = 0
    debounce_us: Debounce = 5_000
    mm_per_tip: Annotated[float, Field(gt=0, le=10)] = 0.2


class BoardSettings(Part):
    """All of board.toml. A relative `state_dir` is beside the file.

    With `clock_proof` the calendar waits until the kernel says that NTP or a clock with a battery has set the time.
    """

    farm_id: Slug
    node_id: Slug
    state_dir: Path
    report_every_s: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    max_readings: Annotated[int, Field(ge=1000, le=5_000_000)] = 500_000
    log: Literal["debug", "info", "warning"] = "info"
    clock_proof: bool = False
    gpio: GpioPart
    guard: GuardPart = GuardPart()
    watch: WatchPart = WatchPart()
    mqtt: LinkSettings = LinkSettings()
    valve: Annotated[tuple[ValvePart, ...], Field(min_length=1, max_length=32)]
    supply: Annotated[tuple[SupplyPart, ...], Field(max_length=8)] = ()
    reserve: ReservePart | None = None
    probe: tuple[AnyProbe, ...] = ()
    soil: SoilPart = SoilPart()
    battery: Supply | None = None
    thermometer: Tmp36 | None = None
    rain_gauge: RainGaugePart | None = None

    @model_validator(mode="after")
    def _nothing_twice(self) -> "BoardSettings":
        pins = [valve.pin for valve in self.valve] + [supply.pin for supply in self.supply]
        pins += [valve.latch.close_pin for valve in self.valve if valve.latch]
        pins += [self.reserve.pin] if self.reserve else []
        meters = [valve.meter for valve in self.valve if valve.meter]
        inputs: list[MeterPart | RainGaugePart] = [*meters, *([self.rain_gauge] if self.rain_gauge else [])]
        for what, values in (
            ("", [f"pin {pin}" for pin in pins] + [_line(part) for part in inputs]),
            ("", [claim for probe in self.probes for claim in probe.claims]),
            ("channel ", [valve.channel for valve in self.valve] + [supply.name for supply in self.supply]),
            ("probe.sensor ", [probe.sensor for probe in self.probes]),
        ):
            seen: set[str] = set()
            for value in values:
                if value in seen:
                    raise ValueError(f"{what}{value} is given twice")
                seen.add(value)
        wires: dict[str, ProbeSettings] = {}
        for probe in self.probes:
            if (other := wires.setdefault(probe.bus, probe)).wire != probe.wire:
                raise ValueError(f"probes {other.sensor} and {probe.sensor} do not agree on how {probe.bus} is set")
        if self.node_id == "gateway":
            raise ValueError("node_id 'gateway' is the farm's gateway, a board needs another")
        return self

    @model_validator(mode="after")
    def _outputs_fit(self) -> "BoardSettings":
        supplies = {supply.name for supply in self.supply}
        for name, part in (*((one.channel, one) for one in self.valve), *((one.name, one) for one in self.supply)):
            if part.day_s < part.max_open_s:
                raise ValueError(f"{name}: max_day_s must be at least max_open_s")
        for valve in self.valve:
            if valve.supply is not None and valve.supply not in supplies:
                raise ValueError(f"valve {valve.channel}: there is no [[supply]] {valve.supply!r}")
        pulses_ms = [valve.latch.pulse_ms for valve in self.valve if valve.latch]
        if pulses_ms and self.reserve is None:
            raise ValueError(
                "valve.latch needs [reserve]: a valve that stays open without current must be able to close"
            )
        if sum(pulses_ms) > PULSES_MOST_S * 1000:
            raise ValueError(f"valve.latch.pulse_ms: all pulses together must be {PULSES_MOST_S * 1000:g} ms at most")
        return self

    @property
    def guard_socket(self) -> Path:
        """Where the guard listens."""
        return self.state_dir / self.guard.socket

    @property
    def probes(self) -> tuple[ProbeSettings, ...]:
        """All instruments that are read by a driver: probes, supply, thermometer."""
        return (*self.probe, *(part for part in (self.battery, self.thermometer) if part is not None))

    def has(self) -> tuple[tuple[ChannelInfo, ...], tuple[SensorInfo, ...]]:
        """Return the channels and sensors to announce in the Hello."""
        channels = tuple(
            ChannelInfo(channel=valve.channel, has_meter=valve.meter is not None, max_open_s=valve.max_open_s)
            for valve in self.valve
        )
        sensors = [
            SensorInfo(sensor=probe.sensor, quantity=quantity) for probe in self.probes for quantity in probe.quantities
        ]
        for valve in self.valve:
            if valve.meter is not None:
                sensors.append(SensorInfo(sensor=meter_name(valve.channel), quantity=Quantity.VOLUME))
                sensors.append(SensorInfo(sensor=meter_name(valve.channel), quantity=Quantity.FLOW))
        if self.rain_gauge is not None:
            sensors.append(SensorInfo(sensor="rain", quantity=Quantity.RAIN))
        return channels, tuple(sensors)


def meter_name(channel: str) -> str:
    """The sensor id of a valve's meter."""
    return f"{channel}-meter"


def _line(part: MeterPart | RainGaugePart) -> str:
    return f"pin {part.pin}" if part.chip == 0 else f"pin {part.pin} of gpiochip{part.chip}"


def load_board(path: Path) -> BoardSettings:
    """Read board.toml; raise ConfigError with a sentence that names file and field."""
    settings = load_toml(path, BoardSettings)
    return settings.model_copy(update={"state_dir": path.parent / settings.state_dir})
