"""Outputs over gpiozero's pins, on the factory that the configuration names: no guessing, no falling back.

A line is claimed with its level, closed, so that a relay board that switches on a low level does not click at the
start. Nobody drives it before that and after the process has ended: then a pull resistor must hold it
(docs/operations.md).
"""

import sys
import time
from importlib.metadata import entry_points
from typing import Any, Protocol

from gpiozero.exc import GPIOZeroError

from edge.hardware.errors import LineFault, UnknownFactory

GROUP = "gpiozero_pin_factories"  # where gpiozero and others register their factories


def load_factory(name: str) -> Any:
    """Return the gpiozero pin factory of exactly that name; raise UnknownFactory or LineFault.

    gpiozero's own choice falls from one library to another with a mere warning; a valve needs better.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        raise UnknownFactory(f"gpio.factory: no factory {name!r}; there is {', '.join(sorted(found))}")
    try:
        return found[name].load()()
    except ImportError as exc:
        raise LineFault(f"gpio.factory {name!r} does not start: {exc}") from exc
    except faults() as exc:  # asked for only now: loading may have brought lgpio
        raise LineFault(f"gpio.factory {name!r} does not start: {exc}") from exc


def faults() -> tuple[type[Exception], ...]:
    """What pins raise: the system's errors, gpiozero's, and lgpio's own, which is neither."""
    lgpio = sys.modules.get("lgpio")
    return (OSError, GPIOZeroError) if lgpio is None else (OSError, GPIOZeroError, lgpio.error)


class GpioValve:
    """An output that opens a normally closed valve, or runs a pump, while it is driven to its active level."""

    def __init__(self, factory: Any, pin: int, *, active_high: bool = True) -> None:
        self._pin = pin
        self._on = int(active_high)
        try:
            self._line = _claim(factory, pin, 1 - self._on)
        except faults() as exc:
            raise LineFault(f"GPIO {pin}: cannot be claimed: {exc}") from exc

    def set(self, is_open: bool) -> None:
        """Drive the line and read it back; raise LineFault."""
        try:
            self._line.state = self._on if is_open else 1 - self._on
            seen = int(self._line.state) == self._on
        except faults() as exc:
            raise LineFault(f"GPIO {self._pin}: told {is_open}: {exc}") from exc
        if seen != is_open:
            raise LineFault(f"GPIO {self._pin}: told {is_open}, reads {seen}")

    def close(self) -> None:
        """Release the line."""
        self._line.close()


class LatchingValve:
    """A valve that a pulse on one pin opens and a pulse on another closes: two relays, or the inputs of an H-bridge.

    It stays as it is without current, so nothing but a pulse closes it, and no line tells where it stands: closing is
    repeated by the caller. The pulse is waited for here, 10 to 200 ms: no other may draw on the same charge meanwhile.
    """

    def __init__(
        self, factory: Any, open_pin: int, close_pin: int, pulse_s: float, *, active_high: bool = True
    ) -> None:
        self._pulse_s = pulse_s
        self._closing = GpioValve(factory, close_pin, active_high=active_high)
        self._opening = GpioValve(factory, open_pin, active_high=active_high)

    def set(self, is_open: bool) -> None:
        """Pulse it open or closed; raise LineFault. Both lines are off before and after, whatever happens."""
        coil, other = (self._opening, self._closing) if is_open else (self._closing, self._opening)
        other.set(is_open=False)
        try:
            coil.set(is_open=True)
            time.sleep(self._pulse_s)  # a coil's pulse, not a watering: the next start gives a closing one
        finally:
            coil.set(is_open=False)

    def close(self) -> None:
        """Release both lines; the valve stays as it is."""
        self._opening.close()
        self._closing.close()


class GpioLevel:
    """An input that is on at its active level. The pull is towards off: a broken wire is not a yes."""

    def __init__(self, factory: Any, pin: int, *, active_high: bool = True) -> None:
        self._pin = pin
        self._on = int(active_high)
        try:
            self._line = factory.pin(pin)
            self._line.input_with_pull("down" if active_high else "up")
        except faults() as exc:
            raise LineFault(f"GPIO {pin}: cannot be claimed: {exc}") from exc

    def is_on(self) -> bool:
        """Read the line; raise LineFault."""
        try:
            return int(self._line.state) == self._on
        except faults() as exc:
            raise LineFault(f"GPIO {self._pin}: cannot be read: {exc}") from exc


class _Line(Protocol):
    """What an output needs of a pin."""

    state: Any

    def close(self) -> None: ...


def _claim(factory: Any, pin: int, level: int) -> _Line:
    """Make a pin an output that begins at a level."""
    gpiozero_lgpio = sys.modules.get("gpiozero.pins.lgpio")
    if gpiozero_lgpio is not None and isinstance(factory, gpiozero_lgpio.LGPIOFactory):
        return _LgpioLine(gpiozero_lgpio.lgpio, factory._handle, pin, level)  # noqa: SLF001 - it has no public name
    line: _Line = factory.pin(pin)
    line.output_with_state(level)  # type: ignore[attr-defined]
    return line


class _LgpioLine:
    """A line of lgpio, claimed with its level and with the pull towards it.

    gpiozero's own pin is an input first, without a pull, then an output that is low, then one at its level; closed, it
    is an input without a pull. The Pi's pull (50 kilohm) stays as set when the line is released, by us or the kernel:
    it helps a resistor on the board and does not replace one, for at power-on each pin has the pull of the chip.
    """

    def __init__(self, lgpio: Any, handle: int, pin: int, level: int) -> None:
        self._lgpio, self._handle, self._pin = lgpio, handle, pin
        self._pull = lgpio.SET_PULL_UP if level else lgpio.SET_PULL_DOWN
        lgpio.gpio_claim_output(handle, pin, level, self._pull)

    @property
    def state(self) -> int:
        """The level that is read back."""
        return int(self._lgpio.gpio_read(self._handle, self._pin))

    @state.setter
    def state(self, level: int) -> None:
        self._lgpio.gpio_write(self._handle, self._pin, level)

    def close(self) -> None:
        """Make it an input with the same pull."""
        self._lgpio.gpio_free(self._handle, self._pin)
        self._lgpio.gpio_claim_input(self._handle, self._pin, self._pull)
