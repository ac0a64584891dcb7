"""Hardware that is not there, for tests and for a look at the software on a bench without a board."""

import threading
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


class FakeLatchingValve(FakeValve):
    """A valve that keeps its place when it is released; `pulses` are those that it got, True = to open."""

    def __init__(self) -> None:
        super().__init__()
        self.pulses: list[bool] = []

    def set(self, is_open: bool) -> None:
        """Take a pulse, also one that changes nothing, or raise LineFault when stuck."""
        super().set(is_open)
        self.pulses.append(is_open)

    def close(self) -> None:
        """Release: nothing moves."""
        self.released = True


class FakeLevel:
    """An input that is `on`, or faults while that is None."""

    def __init__(self) -> None:
        self.on: bool | None = False

    def is_on(self) -> bool:
        """Return `on`."""
        if self.on is None:
            raise LineFault("fake input: no answer")
        return self.on


class FakeAnalog:
    """An input that shows `share` (0.0-1.0), or faults while it is None; it hangs while `answering` is not set."""

    def __init__(self, share: float | None = 0.5) -> None:
        self.share = share
        self.answering = threading.Event()
        self.answering.set()

    def read(self) -> float:
        """Return `share`."""
        self.answering.wait()
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


class FakeAds1115:
    """An I2C bus with one ADS1115 on it: `volts` of each input, `slow` looks until a conversion is done."""

    def __init__(self, address: int = 0x48) -> None:
        self.address = address
        self.volts = [0.0, 0.0, 0.0, 0.0]
        self.slow = 1
        self.absent = False
        self._config = 0x8583  # after power-on (data sheet SBAS444E, table 8-3)
        self._code = 0
        self._looks = 0

    def write_word(self, address: int, register: int, value: int) -> None:
        """Set the config register; bit 15 starts a conversion."""
        self._answer(address)
        if register != 1:
            raise ProbeFault("bus-error", f"fake ADS1115: register {register} cannot be written")
        self._config = value & 0x7FFF
        if value & 0x8000:
            full_v = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256)[value >> 9 & 7]
            code = round(self.volts[value >> 12 & 3] / full_v * 0x8000)
            self._code = max(-0x8000, min(0x7FFF, code)) & 0xFFFF
            self._looks = self.slow

    def read_word(self, address: int, register: int) -> int:
        """Return the conversion, or the config with bit 15 once it is done."""
        self._answer(address)
        if register == 0:
            return self._code
        self._looks -= 1
        return self._config | (0x8000 if self._looks <= 0 else 0)

    def _answer(self, address: int) -> None:
        if self.absent or address != self.address:
            raise ProbeFault("no-answer", f"fake I2C bus: nobody at {address:#04x}")


class FakeSdi12:
    """An SDI-12 probe: `hear` takes what the recorder has sent and returns what the probe says to it.

    It has measured when it answers, so that its service request follows at once; with `takes_s` 0 it makes none.
    """

    def __init__(self, address: str, *values: float, takes_s: int = 1) -> None:
        self.address = address
        self.values = list(values)
        self.takes_s = takes_s
        self.silent = False
        self._checked = False
        self._heard = b""

    def hear(self, sent: bytes) -> bytes:
        """Return the answers to all commands that are complete."""
        *commands, self._heard = (self._heard + sent).split(b"!")
        return b"".join(self._answer(command.decode("ascii", "replace").lstrip("\0")) for command in commands)

    def _answer(self, command: str) -> bytes:
        if self.silent or not command.startswith(self.address):
            return b""
        verb = command[1:]
        if verb.startswith("M"):
            self._checked = verb.startswith("MC")
            request = f"{self.address}\r\n" if self.takes_s else ""
            return f"{self.address}{self.takes_s:03}{len(self.values)}\r\n{request}".encode()
        if verb.startswith("D"):
            page = int(verb[1:])
            text = self.address + "".join(f"{value:+g}" for value in self.values[3 * page : 3 * page + 3])
            return text.encode() + (_sdi12_check(text) if self._checked else b"") + b"\r\n"
        return f"{self.address}\r\n".encode()


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


def _sdi12_check(text: str) -> bytes:
    # Bit by bit, as the specification draws it (1.4, section 4.4.12), and not by the code that it is there to check.
    crc = 0
    for byte in text.encode():
        crc ^= byte
        for _ in range(8):
            carry, crc = crc & 1, crc >> 1
            crc ^= 0xA001 if carry else 0
    return bytes(0x40 | crc >> shift & 0x3F for shift in (12, 6, 0))


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
