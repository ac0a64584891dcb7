"""DS18B20 thermometers on the kernel's 1-wire bus (Documentation/w1/slaves/w1_therm.rst): dtoverlay=w1-gpio."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from contract.messages import UNIT, Quantity
from edge.hardware.drivers.driver import ProbeSettings
from edge.hardware.errors import ProbeFault
from edge.hardware.ports import Hardware, Probe, Sample

LOW_C, HIGH_C = -55.0, 125.0  # Maxim DS18B20 data sheet, page 1
POWER_ON_C = 85.0  # what the register holds before the first conversion (page 6), or after a brown-out during one


class Ds18b20(ProbeSettings):
    """A DS18B20 by its number. `root` is where the kernel shows the bus."""

    driver: Literal["ds18b20"] = "ds18b20"
    id: Annotated[str, Field(pattern=r"^28-[0-9a-f]{12}$")]
    quantity: Literal["soil_temperature", "air_temperature"] = "soil_temperature"
    root: Annotated[str, Field(pattern=r"^/")] = "/sys/bus/w1/devices"

    @property
    def bus(self) -> str:
        """The kernel's bus."""
        return self.root

    @property
    def claims(self) -> tuple[str, ...]:
        """The thermometer."""
        return (f"1-wire id {self.id}",)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The temperature of soil or air."""
        return (Quantity(self.quantity),)

    @property
    def patience_s(self) -> float:
        """A conversion of 0.75 s, which the kernel may try three times."""
        return 4.0

    def open(self, hardware: Hardware) -> Probe:  # noqa: ARG002 - the kernel owns the wire
        """Return the thermometer."""
        return _Thermometer(Path(self.root) / self.id, Quantity(self.quantity))


class _Thermometer:
    def __init__(self, folder: Path, quantity: Quantity) -> None:
        self._folder, self._quantity = folder, quantity

    def read(self) -> tuple[Sample, ...]:
        """Convert and return the temperature in degC; raise ProbeFault."""
        celsius = self._celsius()
        if not LOW_C <= celsius <= HIGH_C:
            raise ProbeFault("over-range", f"{self._folder.name}: {celsius:g} degC is beyond what it can measure")
        doubt = "power-on-value" if celsius == POWER_ON_C else None
        return (Sample(self._quantity, celsius, UNIT[self._quantity], doubt),)

    def close(self) -> None:
        """Nothing to give back."""

    def _celsius(self) -> float:
        # w1_slave says whether the checksum was right. Newer kernels may be built without it, but show `temperature`.
        if (slave := self._folder / "w1_slave").exists():
            return self._checked(_text(slave))
        text = _text(self._folder / "temperature")
        if not re.fullmatch(r"-?\d+\s*", text):
            raise ProbeFault("wrong-answer", f"{self._folder.name}: temperature holds {text!r}")
        return int(text) / 1000

    def _checked(self, text: str) -> float:
        found = re.search(r"^((?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} (YES|NO)\n.* t=(-?\d+)$", text, re.MULTILINE)
        if found is None:
            raise ProbeFault("wrong-answer", f"{self._folder.name}: w1_slave holds {text!r}")
        if found[2] == "NO":
            raise ProbeFault("bad-checksum", f"{self._folder.name}: wrong checksum in {found[1]!r}")
        if not any(bytes.fromhex(found[1])):
            # A wire held low reads as zeros, whose checksum is zero too.
            raise ProbeFault("short-circuit", f"{self._folder.name}: the wire is held low")
        return int(found[3]) / 1000


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        raise ProbeFault("no-answer", f"{path}: not on the bus") from None
    except OSError as exc:
        raise ProbeFault("bus-error", f"{path}: {exc.strerror}") from exc
