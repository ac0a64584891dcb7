"""What the rest of the edge asks of hardware: one verb each. Fakes are in `fakes`, real ones beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from contract.messages import Quantity
from edge.hardware.lines import ValveOutput

Bus = TypeVar("Bus")

SHARE = "share"  # the raw unit of a converter's input: its share of the reference, 0.0 to 1.0


class AnalogInput(Protocol):
    """One channel of an analog-to-digital converter."""

    def read(self) -> float:
        """Return the input as a share of the reference, 0.0 to 1.0; raise LineFault. May block."""
        ...

    def close(self) -> None:
        """Give the bus back."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One value as a driver got it, before any calibration.

    `raw` is finite and in `unit`: SHARE, the unit of the quantity (contract.messages.UNIT), or the driver's own, such
    as the counts of an SDI-12 probe. `doubt` is the driver's own reason not to believe it, as a stable code.
    """

    quantity: Quantity
    raw: float
    unit: str
    doubt: str | None = None


class Probe(Protocol):
    """One instrument with one or more quantities, such as a soil probe that tells moisture, temperature and EC."""

    def read(self) -> tuple[Sample, ...]:
        """Measure once and return a sample of each quantity; raise ProbeFault. May block: it has a bus's own thread."""
        ...

    def close(self) -> None:
        """Give back what is not shared with other probes."""
        ...


class PulseCounter(Protocol):
    """A contact that closes once per unit of water or rain."""

    def count(self) -> int:
        """Return the pulses since the process started; never falls."""
        ...

    def close(self) -> None:
        """Stop counting."""
        ...


class Hardware(Protocol):
    """A board's pins: makes the ports by GPIO number or converter channel."""

    def valve(self, pin: int) -> ValveOutput:
        """Claim an output, closed from its first moment."""
        ...

    def analog(self, channel: int) -> AnalogInput:
        """Claim a channel (0-7) of the MCP3008 on SPI bus 0."""
        ...

    def pulses(self, pin: int, *, chip: int = 0, debounce_us: int = 0) -> PulseCounter:
        """Claim an input with pull-up that a contact pulls to ground; changes within `debounce_us` are one.

        `chip` is the number of the /dev/gpiochip that has the pin.
        """
        ...

    def bus(self, name: str, make: Callable[[], Bus]) -> Bus:
        """Return what `make` made when this name was first asked for: the probes on one wire share one port."""
        ...
