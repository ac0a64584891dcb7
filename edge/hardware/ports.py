"""What the rest of the edge asks of hardware: one verb each. Fakes are in `fakes`, real ones in `gpio`."""

from typing import Protocol


class ValveOutput(Protocol):
    """One normally-closed valve."""

    def set(self, is_open: bool) -> None:
        """Drive the line and read it back; raise LineFault if it does not follow."""
        ...

    def close(self) -> None:
        """Release the line, which closes the valve."""
        ...


class AnalogInput(Protocol):
    """One channel of an analog-to-digital converter."""

    def read(self) -> float:
        """Return the input as a share of the reference, 0.0 to 1.0; raise LineFault. May block."""
        ...

    def close(self) -> None:
        """Give the bus back."""
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

    def pulses(self, pin: int) -> PulseCounter:
        """Claim an input with pull-up whose falling edges count."""
        ...
