"""Hardware that is not there, for tests and for a look at the software on a bench without a board."""

from collections.abc import Callable
from typing import Any

from edge.hardware.errors import LineFault, ProbeFault
from edge.hardware.ports import Bus, Sample


class FakeValve:
    """A valve that remembers; `stuck` makes it fault."""

    def __init__(self) -> None:
        self.is_open = False
        self.stuck = False
        self.released = False

    def set(self, is_open: bool) -> None:
        """Follow, or raise LineFault when stuck."""
        if self.stuck and is_open != self.is_open:
            raise LineFault(f"fake valve: told {is_open}, reads {self.is_open}")
        self.is_open = is_open

    def close(self) -> None:
        """Release: closed."""
        self.is_open = False
        self.released = True


class FakeAnalog:
    """An input that shows `share` (0.0-1.0), or faults while it is None."""

    def __init__(self, share: float | None = 0.5) -> None:
        self.share = share

    def read(self) -> float:
        """Return `share`."""
        if self.share is None:
            raise LineFault("fake analog input: no answer")
        return self.share

    def close(self) -> None:
        """Nothing to give back."""


class FakeProbe:
    """A probe that shows `samples`, or faults with the code `fault` while there is one."""

    def __init__(self, *samples: Sample) -> None:
        self.samples = samples
        self.fault: str | None = None

    def read(self) -> tuple[Sample, ...]:
        """Return `samples`."""
        if self.fault is not None:
            raise ProbeFault(self.fault, f"fake probe: {self.fault}")
        return self.samples

    def close(self) -> None:
        """Nothing to give back."""


class FakePulses:
    """A contact that a test presses with `add`."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, pulses: int) -> None:
        """Let it pulse."""
        self._count += pulses

    def count(self) -> int:
        """Return all pulses so far."""
        return self._count

    def close(self) -> None:
        """Nothing to give back."""


class FakeHardware:
    """A board of fakes; each pin is made once and can be looked at in `valves`, `analogs` and `counters`.

    Put a fake into `buses` by its name, and the probes on that bus speak with it.
    """

    def __init__(self) -> None:
        self.valves: dict[int, FakeValve] = {}
        self.analogs: dict[int, FakeAnalog] = {}
        self.counters: dict[int, FakePulses] = {}
        self.buses: dict[str, Any] = {}

    def valve(self, pin: int) -> FakeValve:
        """Return the fake valve of that pin."""
        return self.valves.setdefault(pin, FakeValve())

    def analog(self, channel: int) -> FakeAnalog:
        """Return the fake input of that channel."""
        return self.analogs.setdefault(channel, FakeAnalog())

    def pulses(self, pin: int, *, chip: int = 0, debounce_us: int = 0) -> FakePulses:  # noqa: ARG002 - it does not bounce
        """Return the fake contact of that pin."""
        return self.counters.setdefault(pin, FakePulses())

    def bus(self, name: str, make: Callable[[], Bus]) -> Bus:
        """Return the bus of that name, made if nobody has put one there."""
        if name not in self.buses:
            self.buses[name] = make()
        bus: Bus = self.buses[name]
        return bus
