"""Analog instruments on a converter: an MCP3008 on SPI bus 0, or an ADS1115 on an I2C bus."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from contract.messages import UNIT, Quantity, Slug
from edge.hardware.drivers.driver import Part, Point, ProbeSettings
from edge.hardware.ports import SHARE, AnalogInput, Hardware, Probe, Sample

RANGES_V = (0.256, 0.512, 1.024, 2.048, 4.096, 6.144)  # of an ADS1115

Volts = Annotated[float, Field(gt=0, le=10)]


class Ads1115Part(Part):
    """Which ADS1115, and its full scale in V: a finer range where the probe never gives more."""

    i2c_bus: Annotated[int, Field(ge=0, le=31)] = 1
    address: Literal[0x48, 0x49, 0x4A, 0x4B] = 0x48
    range_v: float = 4.096

    @field_validator("range_v")
    @classmethod
    def _is_a_range(cls, value: float) -> float:
        if value not in RANGES_V:
            raise ValueError(f"range_v must be one of {', '.join(map(str, RANGES_V))}")
        return value


class AnalogSettings(ProbeSettings):
    """One channel of a converter: of the ADS1115 if there is such a table, else of the MCP3008.

    `reference_v` is what a share of 1.0 means: the MCP3008's reference, or the supply of a probe on an ADS1115.
    """

    adc: Annotated[int, Field(ge=0, le=7)]
    ads1115: Ads1115Part | None = None
    reference_v: Volts = 3.3

    @model_validator(mode="after")
    def _has_channel(self) -> "AnalogSettings":
        if self.ads1115 is not None and self.adc > 3:
            raise ValueError(f"adc must be 0 to 3 on an ADS1115, not {self.adc}")
        return self

    @property
    def bus(self) -> str:
        """One converter, or all on the same I2C bus."""
        return "spi-0" if self.ads1115 is None else f"i2c-{self.ads1115.i2c_bus}"

    @property
    def claims(self) -> tuple[str, ...]:
        """The channel."""
        where = "" if self.ads1115 is None else f" of the ADS1115 at {self.ads1115.address:#x} on {self.bus}"
        return (f"adc channel {self.adc}{where}",)

    def _input(self, hardware: Hardware) -> AnalogInput:
        part = self.ads1115
        if part is None:
            return hardware.analog(self.adc)
        from edge.hardware.ads1115 import Ads1115Input
        from edge.hardware.i2c import I2cBus

        bus = hardware.bus(self.bus, lambda: I2cBus(part.i2c_bus))
        return Ads1115Input(bus, part.address, self.adc, range_v=part.range_v, reference_v=self.reference_v)


class Capacitive(AnalogSettings):
    """A capacitive soil probe; the raw values of `points` are shares of the reference, 0 to 1."""

    driver: Literal["capacitive"] = "capacitive"
    points: Annotated[tuple[Point, ...], Field(min_length=2, max_length=8)]

    @model_validator(mode="after")
    def _are_shares(self) -> "Capacitive":
        if not all(0 <= share <= 1 for share, _ in self.points):
            raise ValueError("points must have rising shares between 0 and 1")
        return self

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Moisture."""
        return (Quantity.SOIL_MOISTURE,)

    def open(self, hardware: Hardware) -> Probe:
        """Return the probe; raise LineFault."""
        return AnalogProbe(self._input(hardware), Quantity.SOIL_MOISTURE, SHARE)


class Supply(AnalogSettings):
    """The supply behind a voltage divider: volts = share x reference_v x divider."""

    sensor: Slug = "battery"
    driver: Literal["supply"] = "supply"
    divider: Annotated[float, Field(ge=1, le=100)]

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The voltage."""
        return (Quantity.BATTERY,)

    def open(self, hardware: Hardware) -> Probe:
        """Return the probe; raise LineFault."""
        volts = self.reference_v * self.divider
        return AnalogProbe(self._input(hardware), Quantity.BATTERY, UNIT[Quantity.BATTERY], scale=volts)


class Tmp36(AnalogSettings):
    """An analog air thermometer: 10 mV/degC, 750 mV at 25 degC (Analog Devices, TMP35/36/37 data sheet, table 1)."""

    sensor: Slug = "air"
    driver: Literal["tmp36"] = "tmp36"

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The air's temperature."""
        return (Quantity.AIR_TEMPERATURE,)

    def open(self, hardware: Hardware) -> Probe:
        """Return the probe; raise LineFault."""
        return AnalogProbe(
            self._input(hardware),
            Quantity.AIR_TEMPERATURE,
            UNIT[Quantity.AIR_TEMPERATURE],
            scale=self.reference_v * 100,
            offset=-50.0,
        )


class AnalogProbe:
    """An input with one quantity: raw = share x `scale` + `offset`, in `unit`."""

    def __init__(
        self, source: AnalogInput, quantity: Quantity, unit: str, *, scale: float = 1.0, offset: float = 0.0
    ) -> None:
        self._source = source
        self._quantity = quantity
        self._unit = unit
        self._scale, self._offset = scale, offset

    def read(self) -> tuple[Sample, ...]:
        """Return the one sample; raise LineFault."""
        return (Sample(self._quantity, self._source.read() * self._scale + self._offset, self._unit),)

    def close(self) -> None:
        """Give the channel back."""
        self._source.close()
