"""The two kinds of hardware behind one port, each with a hand that can press its contacts and turn its probes."""

from collections.abc import Callable
from typing import Any, Protocol

from gpiozero.pins.mock import MockFactory

from edge.hardware.fakes import FakeHardware
from edge.hardware.gpio import GpioAnalog, GpioPulses
from edge.hardware.lines import ValveOutput
from edge.hardware.outputs import GpioValve
from edge.hardware.ports import AnalogInput, Bus, Hardware, PulseCounter

PIN, METER, CHANNEL = 17, 22, 3


class Bench(Protocol):
    """Hardware, and what a person at the bench would do to it and see on it."""

    hardware: Hardware

    def drives(self) -> bool:
        """Whether the line of PIN is driven to open."""
        ...

    def jam(self) -> None:
        """From now on the line of PIN does not follow."""
        ...

    def pulse(self, times: int) -> None:
        """Close and open the contact at METER so often."""
        ...

    def turn(self, share: float) -> None:
        """Put this share of the reference on converter channel CHANNEL."""
        ...


class FakeBench:
    """The fakes that ship."""

    def __init__(self) -> None:
        self._fakes = FakeHardware()
        self.hardware: Hardware = self._fakes

    def drives(self) -> bool:
        return self._fakes.valve(PIN).is_open

    def jam(self) -> None:
        self._fakes.valve(PIN).stuck = True

    def pulse(self, times: int) -> None:
        self._fakes.pulses(METER).add(times)

    def turn(self, share: float) -> None:
        self._fakes.analog(CHANNEL).share = share


class Mcp3008:
    """The converter's end of the SPI bus (Microchip DS21295, figure 6-1): every channel shows `raw` of 1023."""

    bits_per_word = 8

    def __init__(self) -> None:
        self.raw = 0

    def transfer(self, words: list[int]) -> list[int]:
        assert words[0] == 1
        assert (words[1] >> 4) & 7 == CHANNEL
        return [0, self.raw >> 8, self.raw & 0xFF]

    def close(self) -> None:
        pass


class _PinsOnMock:
    def __init__(self, factory: Any) -> None:
        self._factory = factory

    def valve(self, pin: int) -> ValveOutput:
        return GpioValve(self._factory, pin)

    def analog(self, channel: int) -> AnalogInput:
        return GpioAnalog(self._factory, channel)

    def pulses(self, pin: int, *, chip: int = 0, debounce_us: int = 0) -> PulseCounter:
        return GpioPulses(self._factory, pin)

    def bus(self, name: str, make: Callable[[], Bus]) -> Bus:
        return make()


class GpioBench:
    """The real adapters on gpiozero's mock pins, with a converter on the bus."""

    def __init__(self) -> None:
        self._factory = MockFactory()
        self._converter = Mcp3008()
        self._factory.spi = lambda **_: self._converter
        self.hardware: Hardware = _PinsOnMock(self._factory)

    def drives(self) -> bool:
        pin = self._factory.pin(PIN)
        return bool(pin.function == "output" and pin.state)

    def jam(self) -> None:
        pin = self._factory.pin(PIN)
        stays = pin.state
        pin.__class__ = type("JammedPin", (type(pin),), {"_set_state": lambda _self, _value: None})
        assert pin.state == stays

    def pulse(self, times: int) -> None:
        pin = self._factory.pin(METER)
        for _ in range(times):
            pin.drive_low()
            pin.drive_high()

    def turn(self, share: float) -> None:
        self._converter.raw = round(share * 1023)
