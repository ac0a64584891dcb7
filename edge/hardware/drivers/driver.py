"""What a driver is, and how its name in board.toml finds it: ours by a table, anybody's by entry point."""

import json
from abc import abstractmethod
from collections.abc import Hashable, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contract.messages import UNIT, Quantity, Slug
from edge.hardware.errors import UnknownDriver
from edge.hardware.ports import Hardware, Probe

GROUP = "tuoi_probe_drivers"  # an entry point of this group names a subclass of ProbeSettings

# Ours need no look into the metadata of all that is installed, which takes a small board a second.
OURS = {
    "capacitive": "edge.hardware.drivers.analog:Capacitive",
    "ds18b20": "edge.hardware.drivers.onewire:Ds18b20",
    "modbus": "edge.hardware.drivers.modbus:ModbusProbe",
    "sdi12": "edge.hardware.drivers.sdi12:Sdi12Probe",
    "supply": "edge.hardware.drivers.analog:Supply",
    "tmp36": "edge.hardware.drivers.analog:Tmp36",
}

Point = tuple[float, float]

DIGITAL = (
    Quantity.SOIL_MOISTURE,
    Quantity.SOIL_TEMPERATURE,
    Quantity.SOIL_EC,
    Quantity.AIR_TEMPERATURE,
    Quantity.BATTERY,
    Quantity.WIND,
    Quantity.LEVEL,
)


class Part(BaseModel):
    """A table of board.toml: strict types, no unknown field, immutable, finite numbers."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class ProbeSettings(Part):
    """A `[[probe]]` of board.toml, and the driver itself: a subclass adds its own fields and opens the probe.

    Importing a driver must cost little: what it needs of hardware libraries it imports in `open`. `points` are (raw,
    volumetric %) in the farm's own soil, 2 to 8, raw rising, % only rising or only falling; without them a moisture
    is taken as the probe tells it.
    """

    sensor: Slug
    driver: str
    points: Annotated[tuple[Point, ...], Field(min_length=2, max_length=8)] | None = None

    @property
    @abstractmethod
    def bus(self) -> str:
        """The name of the wire that the probe shares with others; each has a thread of its own in the agent."""

    @property
    def wire(self) -> Hashable:
        """How the bus is set, such as its baud: all probes of one bus must agree."""
        return None

    @property
    def claims(self) -> tuple[str, ...]:
        """What nobody else may use, in words: `adc channel 3`."""
        return ()

    @property
    @abstractmethod
    def quantities(self) -> tuple[Quantity, ...]:
        """What the probe tells, in the order of its samples."""

    @property
    def patience_s(self) -> float:
        """A read that takes longer hangs."""
        return 2.0

    @abstractmethod
    def open(self, hardware: Hardware) -> Probe:
        """Return the probe, ready to be read; raise LineFault. Called in the bus's thread, again after a failure."""

    def unit(self, quantity: Quantity) -> str:
        """The unit of a digital probe's raw value: the quantity's own, or `raw` where `points` give it a meaning."""
        return "raw" if self.points is not None and quantity is Quantity.SOIL_MOISTURE else UNIT[quantity]

    @model_validator(mode="after")
    def _monotone(self) -> "ProbeSettings":
        if self.points is not None:
            raws = [raw for raw, _ in self.points]
            moistures = [pct for _, pct in self.points]
            if raws != sorted(set(raws)):
                raise ValueError("points must have rising raw values")
            if sorted(moistures) not in (moistures, moistures[::-1]) or not all(0 <= pct <= 100 for pct in moistures):
                raise ValueError("points must have moistures between 0 and 100 % that only rise or only fall")
        return self


class ValuePart(Part):
    """One value of a digital probe: raw = number x `scale` + `offset`, in the quantity's unit (or for `points`)."""

    quantity: Quantity
    scale: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    offset: float = 0.0

    @model_validator(mode="after")
    def _is_told_by_probes(self) -> "ValuePart":
        if self.quantity not in DIGITAL:
            raise ValueError(f"quantity must be one of {', '.join(DIGITAL)}, not {self.quantity}")
        return self

    def raw(self, number: float) -> float:
        """The raw value of the number that the probe tells."""
        return number * self.scale + self.offset


def each_once(values: Sequence[ValuePart]) -> None:
    """Raise ValueError if a quantity is told twice: a reading could not say which it is."""
    told = [value.quantity for value in values]
    for quantity in set(told):
        if told.count(quantity) > 1:
            raise ValueError(f"quantity {quantity} is given twice")


def find(name: str) -> type[ProbeSettings]:
    """Return the driver of exactly that name; raise UnknownDriver with a sentence that lists those that there are."""
    if name in OURS:
        return _load(EntryPoint(name, OURS[name], GROUP))
    installed = [point for point in entry_points(group=GROUP) if point.name not in OURS]
    found = [point for point in installed if point.name == name]
    if not found:
        names = sorted(OURS.keys() | {point.name for point in installed})
        raise UnknownDriver(f"there is no driver {name!r}, only {', '.join(names)}")
    if len({point.value for point in found}) > 1:
        raise UnknownDriver(f"driver {name!r} is in more than one installed package: {_origins(found)}")
    return _load(found[0])


def settings_of(table: Any) -> ProbeSettings:
    """Return a `[[probe]]` table as the settings of the driver that it names; raise ValueError or ValidationError."""
    if isinstance(table, ProbeSettings):
        return table
    name = table.get("driver", "capacitive") if isinstance(table, dict) else None
    if not isinstance(name, str):
        raise ValueError("driver must be the name of a driver")  # noqa: TRY004 - pydantic takes no TypeError
    try:
        driver = find(name)
    except UnknownDriver as exc:
        raise ValueError(str(exc)) from None
    # By way of JSON, as the whole file is: strict models take its arrays for tuples.
    return driver.model_validate_json(json.dumps({**table, "driver": name}))


def _load(point: EntryPoint) -> type[ProbeSettings]:
    module, _, attribute = point.value.partition(":")
    try:
        driver = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as exc:
        raise UnknownDriver(f"driver {point.name!r} ({point.value}) does not load: {exc}") from exc
    if not (isinstance(driver, type) and issubclass(driver, ProbeSettings)):
        raise UnknownDriver(f"driver {point.name!r} ({point.value}) is not a ProbeSettings")
    return driver


def _origins(points: list[EntryPoint]) -> str:
    return ", ".join(sorted(f"{point.dist.name if point.dist else '?'} ({point.value})" for point in points))
