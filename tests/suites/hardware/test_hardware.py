"""What the edge may ask of hardware: one suite over the fakes and over gpiozero."""

from collections.abc import Callable

import pytest

from contract.messages import Quantity
from edge.hardware.errors import LineFault, ProbeFault, UnknownFactory
from edge.hardware.fakes import FakeHardware, FakeProbe
from edge.hardware.gpio import GpioHardware
from edge.hardware.outputs import load_factory
from edge.hardware.ports import SHARE, Hardware, Sample
from tests.suites.hardware.benches import CHANNEL, METER, PIN, Bench, FakeBench, GpioBench


@pytest.fixture(params=[FakeBench, GpioBench], ids=["fake", "gpiozero"])
def bench(request: pytest.FixtureRequest) -> Bench:
    make: Callable[[], Bench] = request.param
    return make()


def test_a_valve_is_closed_from_its_first_moment(bench: Bench) -> None:
    bench.hardware.valve(PIN)
    assert not bench.drives()


def test_a_valve_follows(bench: Bench) -> None:
    valve = bench.hardware.valve(PIN)
    for is_open in (True, True, False, False, True):
        valve.set(is_open)
        assert bench.drives() is is_open


def test_released_it_is_closed(bench: Bench) -> None:
    valve = bench.hardware.valve(PIN)
    valve.set(is_open=True)
    valve.close()
    assert not bench.drives()


def test_a_line_that_does_not_follow_is_a_fault_that_names_what_was_told_and_seen(bench: Bench) -> None:
    valve = bench.hardware.valve(PIN)
    valve.set(is_open=True)
    bench.jam()
    with pytest.raises(LineFault, match="told False, reads True"):
        valve.set(is_open=False)


def test_a_counter_counts_every_pulse_and_never_falls(bench: Bench) -> None:
    counter = bench.hardware.pulses(METER)
    seen = [counter.count()]
    for times in (1, 0, 5, 250):
        bench.pulse(times)
        seen.append(counter.count())
    assert seen == [0, 1, 1, 6, 256]
    counter.close()


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_an_analog_input_reads_a_share_of_the_reference(bench: Bench, share: float) -> None:
    analog = bench.hardware.analog(CHANNEL)
    bench.turn(share)
    assert analog.read() == pytest.approx(share, abs=1 / 1000)
    analog.close()


def test_a_fake_input_that_does_not_answer_faults() -> None:
    fakes = FakeHardware()
    fakes.analog(1).share = None
    with pytest.raises(LineFault):
        fakes.analog(1).read()


def test_a_fake_probe_shows_its_samples_or_faults_with_its_code() -> None:
    probe = FakeProbe(Sample(Quantity.SOIL_MOISTURE, 0.4, SHARE), Sample(Quantity.SOIL_TEMPERATURE, 85.0, "degC", "x"))
    assert [sample.raw for sample in probe.read()] == [0.4, 85.0]
    probe.fault = "no-answer"
    with pytest.raises(ProbeFault) as caught:
        probe.read()
    assert caught.value.code == "no-answer"


@pytest.mark.parametrize("make", [FakeHardware, lambda: GpioHardware("mock")], ids=["fake", "gpiozero"])
def test_a_bus_is_made_once_and_shared_by_its_name(make: Callable[[], Hardware]) -> None:
    hardware = make()
    first = hardware.bus("rs485", object)
    assert hardware.bus("rs485", object) is first
    assert hardware.bus("i2c-1", object) is not first


def test_a_factory_is_taken_by_its_exact_name_and_no_other() -> None:
    assert type(load_factory("mock")).__name__ == "MockFactory"
    with pytest.raises(UnknownFactory, match="no factory 'Mock'; there is lgpio, mock, native, pigpio, rpigpio"):
        load_factory("Mock")


def test_a_factory_whose_library_is_missing_is_not_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "RPi", None)  # importing it fails, as on a machine without it
    with pytest.raises(LineFault, match=r"gpio\.factory 'rpigpio' does not start"):
        load_factory("rpigpio")


def test_a_board_on_mock_pins_has_valves_inputs_and_counters() -> None:
    hardware = GpioHardware("mock")
    hardware.valve(PIN).close()
    hardware.pulses(METER).close()


def test_a_pin_that_the_board_does_not_have_is_a_fault() -> None:
    hardware = GpioHardware("mock")
    for claim in (hardware.valve, hardware.pulses):
        with pytest.raises(LineFault, match="GPIO 53: cannot be claimed"):
            claim(53)
