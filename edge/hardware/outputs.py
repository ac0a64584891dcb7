"""Outputs over gpiozero's pins, on the factory that the configuration names: no guessing, no falling back."""

from importlib.metadata import entry_points
from typing import Any

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
    except (ImportError, OSError, GPIOZeroError) as exc:
        raise LineFault(f"gpio.factory {name!r} does not start: {exc}") from exc


class GpioValve:
    """An active-high output. A relay board with a pull-down keeps the valve shut while nobody drives it."""

    def __init__(self, factory: Any, pin: int) -> None:
        self._pin = pin
        try:
            self._line = factory.pin(pin)
            self._line.output_with_state(0)
        except (OSError, GPIOZeroError) as exc:
            raise LineFault(f"GPIO {pin}: cannot be claimed: {exc}") from exc

    def set(self, is_open: bool) -> None:
        """Drive the line and read it back; raise LineFault."""
        try:
            self._line.state = int(is_open)
            seen = bool(self._line.state)
        except (OSError, GPIOZeroError) as exc:
            raise LineFault(f"GPIO {self._pin}: told {is_open}: {exc}") from exc
        if seen != is_open:
            raise LineFault(f"GPIO {self._pin}: told {is_open}, reads {seen}")

    def close(self) -> None:
        """Release the line."""
        self._line.close()
