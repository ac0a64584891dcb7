"""Inputs over gpiozero, on the factory that the configuration names."""

from collections.abc import Callable
from threading import Lock
from typing import Any

from gpiozero import MCP3008, DigitalInputDevice
from gpiozero.exc import GPIOZeroError

from edge.hardware.errors import LineFault
from edge.hardware.outputs import GpioValve, load_factory
from edge.hardware.ports import Bus, PulseCounter

EXACT_CALLBACKS = {"mock", "sim"}  # factories whose callbacks come within the pulse, so that none is lost


class GpioAnalog:
    """A channel of an MCP3008 (10 bit) on SPI bus 0, chip select 0."""

    def __init__(self, factory: Any, channel: int) -> None:
        self._channel = channel
        try:
            self._input = MCP3008(channel=channel, pin_factory=factory)
        except (OSError, GPIOZeroError) as exc:
            raise LineFault(f"MCP3008 channel {channel}: cannot be claimed: {exc}") from exc

    def read(self) -> float:
        """Return 0.0 to 1.0; raise LineFault."""
        try:
            return float(self._input.value)
        except (OSError, GPIOZeroError) as exc:
            raise LineFault(f"MCP3008 channel {self._channel}: {exc}") from exc

    def close(self) -> None:
        """Give the bus back."""
        self._input.close()


class GpioPulses:
    """Counts falling edges of a contact to ground by gpiozero's callbacks: exact on pins that are not real.

    Not for a kernel's pins: there it lost 282 of 300 pulses at 900 Hz.
    """

    def __init__(self, factory: Any, pin: int) -> None:
        self._count = 0
        self._lock = Lock()
        try:
            self._input = DigitalInputDevice(pin, pull_up=True, pin_factory=factory)
        except (OSError, GPIOZeroError) as exc:
            raise LineFault(f"GPIO {pin}: cannot be claimed: {exc}") from exc
        self._input.when_activated = self._one_more

    def _one_more(self) -> None:
        with self._lock:
            self._count += 1

    def count(self) -> int:
        """Return all pulses since the process started."""
        with self._lock:
            return self._count

    def close(self) -> None:
        """Stop counting."""
        self._input.close()


class GpioHardware:
    """A board's pins on one factory, which also decides how pulses are counted: there is no second choice."""

    def __init__(self, factory_name: str) -> None:
        self._name = factory_name
        self._factory = load_factory(factory_name)
        self._buses: dict[str, Any] = {}
        self._lock = Lock()  # probes are opened by the threads of their buses

    def valve(self, pin: int) -> GpioValve:
        """Claim an output, closed from its first moment."""
        return GpioValve(self._factory, pin)

    def analog(self, channel: int) -> GpioAnalog:
        """Claim a channel of the MCP3008."""
        return GpioAnalog(self._factory, channel)

    def pulses(self, pin: int, *, chip: int = 0, debounce_us: int = 0) -> PulseCounter:
        """Claim an input with pull-up; raise LineFault, also on a factory that cannot count as fast as a meter."""
        if self._name == "lgpio":
            from edge.hardware.edges import KernelPulses

            return KernelPulses(pin, chip=chip, debounce_us=debounce_us)
        if self._name in EXACT_CALLBACKS:
            return GpioPulses(self._factory, pin)
        raise LineFault(
            f"GPIO {pin}: gpio.factory {self._name!r} loses the pulses of a meter or rain gauge; lgpio counts them"
        )

    def bus(self, name: str, make: Callable[[], Bus]) -> Bus:
        """Return what `make` made when this name was first asked for."""
        with self._lock:
            if name not in self._buses:
                self._buses[name] = make()
            bus: Bus = self._buses[name]
            return bus
