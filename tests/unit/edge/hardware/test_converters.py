import os
import pty
from pathlib import Path

import pytest

from edge.hardware.ads1115 import Ads1115Input
from edge.hardware.errors import LineFault, ProbeFault
from edge.hardware.fakes import FakeAds1115
from edge.hardware.gpio import GpioHardware
from edge.hardware.i2c import I2cBus


def fault_of(probe: Ads1115Input) -> ProbeFault:
    with pytest.raises(ProbeFault) as caught:
        probe.read()
    return caught.value


class Noting(FakeAds1115):
    """A converter that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[int] = []

    def write_word(self, address: int, register: int, value: int) -> None:
        self.written.append(value)
        super().write_word(address, register, value)


def test_each_input_is_converted_once_by_itself_with_its_gain() -> None:
    chip = Noting()
    chip.volts = [0.1, 0.2, 0.3, 3.3]
    for channel, range_v, share in ((0, 0.256, 0.1 / 3.3), (1, 2.048, 0.2 / 3.3), (2, 6.144, 0.3 / 3.3), (3, 4.096, 1)):
        assert Ads1115Input(chip, 0x48, channel, range_v=range_v).read() == pytest.approx(share, abs=1e-4)
    # start, input against ground, gain, once, 128 samples per second, no comparator (data sheet, table 8-3)
    assert [f"{word:#06x}" for word in chip.written] == ["0xcb83", "0xd583", "0xe183", "0xf383"]


def test_a_conversion_is_waited_for() -> None:
    chip = FakeAds1115()
    chip.volts[0], chip.slow = 1.65, 2  # the second look is made however late it comes
    assert Ads1115Input(chip, 0x48, 0).read() == pytest.approx(0.5, abs=1e-4)


def test_a_converter_that_never_gets_ready_is_given_up() -> None:
    chip = FakeAds1115()
    chip.slow = 10**9
    fault = fault_of(Ads1115Input(chip, 0x48, 2))
    assert (fault.code, "ADS1115 at 0x48 channel 2" in str(fault)) == ("no-answer", True)


def test_noise_below_ground_is_zero_and_above_the_supply_is_one() -> None:
    chip = FakeAds1115()
    for volts, share in ((-0.01, 0.0), (3.5, 1.0)):
        chip.volts[0] = volts
        assert Ads1115Input(chip, 0x48, 0).read() == share


def test_what_is_above_a_range_that_ends_below_the_supply_is_not_a_value() -> None:
    chip = FakeAds1115()
    chip.volts[0] = 2.5
    assert fault_of(Ads1115Input(chip, 0x48, 0, range_v=2.048)).code == "over-range"


def test_another_chip_at_the_address_is_noticed() -> None:
    class Memory(FakeAds1115):
        def write_word(self, address: int, register: int, value: int) -> None:
            super().write_word(address, register, 0x8583)  # keeps what it was born with

    assert fault_of(Ads1115Input(Memory(), 0x48, 0)).code == "wrong-answer"


def test_a_bus_that_is_not_there_is_a_fault_with_its_name() -> None:
    bus = I2cBus(31)
    with pytest.raises(ProbeFault, match=r"/dev/i2c-31, address 0x48: No such file") as caught:
        bus.read_word(0x48, 1)
    assert caught.value.code == "bus-error"
    bus.close()


def test_a_file_that_is_no_bus_is_closed_again() -> None:
    ours, theirs = pty.openpty()
    bus = I2cBus(0)
    bus._path = os.ttyname(theirs)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(ProbeFault):
            bus.write_word(0x48, 1, 0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("name", ["native"])
def test_a_factory_that_would_lose_pulses_counts_none(name: str) -> None:
    hardware = GpioHardware("mock")
    hardware._name = name
    with pytest.raises(LineFault, match="gpio.factory 'native' loses the pulses of a meter or rain gauge; lgpio"):
        hardware.pulses(22)


def test_lgpio_counts_in_the_kernel_and_nowhere_else() -> None:
    hardware = GpioHardware("mock")
    hardware._name = "lgpio"
    with pytest.raises(LineFault, match="GPIO 22 of gpiochip3"):  # no library or no such chip here, and no other way
        hardware.pulses(22, chip=3)
