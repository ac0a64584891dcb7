import asyncio
import math
import threading
from pathlib import Path

import pytest

from contract.messages import Quality, Quantity, Reading
from edge.config import BoardSettings, load_board
from edge.hardware.drivers.driver import ProbeSettings
from edge.hardware.fakes import FakeHardware, FakeProbe
from edge.hardware.ports import Hardware, Probe, Sample
from edge.instruments import Instruments
from edge.meter import Meter, RainGauge
from tests.unit.edge.control.orders import NOW

BOARD = load_board(Path(__file__).parents[3] / "configs" / "board.toml")


async def read(instruments: Instruments) -> dict[str, Reading]:
    readings = await instruments.read_all(NOW, trusted=True)
    return {f"{one.sensor}/{one.quantity}": one for one in readings}


async def test_everything_that_is_wired_is_read_with_its_unit() -> None:
    hardware = FakeHardware()
    instruments = Instruments(BOARD, hardware, {"v1": 1000.0})
    hardware.analog(0).share = 0.605  # the middle of the example's two points
    hardware.analog(6).share = 12.4 / 5 / 3.3
    hardware.analog(7).share = 0.75 / 3.3
    hardware.pulses(22).add(25)
    hardware.pulses(27).add(3)
    found = await read(instruments)
    assert found["soil-1/soil_moisture"].value == pytest.approx(30.0)
    assert found["v1-meter/volume"].value == 1002.5  # before the restart and since
    assert found["battery/battery"].value == pytest.approx(12.4)
    assert found["air/air_temperature"].value == pytest.approx(25.0)
    assert found["rain/rain"].value == pytest.approx(0.6)
    assert instruments.battery_v == pytest.approx(12.4)
    assert instruments.moisture_pct == {"soil-1": pytest.approx(30.0)}
    assert (await read(instruments))["rain/rain"].value == 0.0  # only what fell since


async def test_a_broken_probe_is_bad_and_no_longer_counts() -> None:
    hardware = FakeHardware()
    instruments = Instruments(BOARD, hardware, {})
    await read(instruments)
    assert "soil-1" in instruments.moisture_pct
    hardware.analog(0).share = 1.0
    reading = (await read(instruments))["soil-1/soil_moisture"]
    assert (reading.quality, reading.reason) == (Quality.BAD, "open-circuit")
    assert instruments.moisture_pct == {}


async def test_a_probe_that_faults_tells_once_and_the_others_are_read(caplog: pytest.LogCaptureFixture) -> None:
    hardware = FakeHardware()
    instruments = Instruments(BOARD, hardware, {})
    hardware.analog(0).share = None
    for _ in range(3):
        found = await read(instruments)
    assert "soil-1/soil_moisture" not in found
    assert found["battery/battery"].quantity is Quantity.BATTERY
    assert len([line for line in caplog.messages if "soil-1" in line]) == 1
    hardware.analog(0).share = 0.5
    assert "soil-1/soil_moisture" in await read(instruments)


class Hanging(ProbeSettings):
    """A driver that hangs until it is let go, on a bus of its own."""

    driver: str = "hanging"
    wire_name: str = "rs485"
    waits_s: float = 0.05

    @property
    def bus(self) -> str:
        return self.wire_name

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return (Quantity.SOIL_MOISTURE,)

    @property
    def patience_s(self) -> float:
        return self.waits_s

    def open(self, hardware: Hardware) -> Probe:
        return hardware.bus(self.sensor, HangingProbe)


class HangingProbe:
    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.hangs = True
        self.reads = 0

    def read(self) -> tuple[Sample, ...]:
        self.reads += 1
        if self.hangs:
            assert self.let_go.wait(10)
        return (Sample(Quantity.SOIL_MOISTURE, float(self.reads), "%"),)

    def close(self) -> None:
        pass


def with_probes(*probes: ProbeSettings) -> BoardSettings:
    return BOARD.model_copy(update={"probe": (*BOARD.probe, *probes)})


async def test_a_driver_that_hangs_stops_nobody_on_another_bus() -> None:
    hardware = FakeHardware()
    stuck = hardware.bus("soil-9", HangingProbe)
    instruments = Instruments(with_probes(Hanging(sensor="soil-9")), hardware, {})
    for _ in range(3):
        found = await read(instruments)
        assert "soil-9/soil_moisture" not in found
        assert found["soil-1/soil_moisture"].quality is Quality.GOOD
        assert "battery/battery" in found
    assert stuck.reads == 1  # it is left alone until it comes back
    stuck.hangs = False
    stuck.let_go.set()
    async with asyncio.timeout(10):
        while not (value := (await read(instruments)).get("soil-9/soil_moisture")):
            pass
    assert value.value > 1  # what came too late was dropped
    instruments.close()


async def test_who_shares_a_hung_bus_is_told_so_without_waiting_each(caplog: pytest.LogCaptureFixture) -> None:
    hardware = FakeHardware()
    first, second = hardware.bus("soil-8", HangingProbe), hardware.bus("soil-9", HangingProbe)
    second.hangs = False
    settings = with_probes(Hanging(sensor="soil-8"), Hanging(sensor="soil-9", waits_s=10.0))
    instruments = Instruments(settings, hardware, {})
    await read(instruments)
    assert (first.reads, second.reads) == (1, 0)
    assert [line for line in caplog.messages if "code=hung" in line and "sensor=soil-9" in line]
    first.hangs = False
    first.let_go.set()
    async with asyncio.timeout(10):
        while "soil-9/soil_moisture" not in await read(instruments):
            pass
    assert second.reads == 1  # nothing was left waiting for it
    instruments.close()


async def test_twenty_hung_buses_leave_the_others_alone() -> None:
    # As many as a shared pool of threads would have, and more.
    hardware = FakeHardware()
    names = [f"stuck-{number}" for number in range(40)]
    settings = with_probes(*(Hanging(sensor=name, wire_name=name) for name in names))
    instruments = Instruments(settings, hardware, {})
    for _ in range(2):
        assert "soil-1/soil_moisture" in await read(instruments)
    for name in names:
        hardware.bus(name, HangingProbe).let_go.set()
    instruments.close()


async def test_a_glance_at_a_probe_that_hangs_costs_next_to_nothing_and_gets_its_value_later() -> None:
    hardware = FakeHardware()
    probe = hardware.bus("soil-9", HangingProbe)
    settings = with_probes(Hanging(sensor="soil-9"))
    instruments = Instruments(settings, hardware, {})
    slow = settings.probe[-1]
    assert await instruments.read_probe(slow) == (None, Quality.BAD, "measuring")
    assert await instruments.read_probe(slow) == (None, Quality.BAD, "measuring")
    assert probe.reads == 1
    probe.let_go.set()
    async with asyncio.timeout(10):
        while (found := await instruments.read_probe(slow))[0] is None:
            pass
    assert found == (1.0, Quality.GOOD, None)
    assert await instruments.read_probe(slow) == found  # a moment old, so not measured again
    assert probe.reads == 1
    instruments.close()


class Failing(Hanging):
    driver: str = "failing"

    def open(self, hardware: Hardware) -> Probe:
        return hardware.bus(self.sensor, lambda: FakeProbe(Sample(Quantity.SOIL_MOISTURE, math.nan, "%")))


async def test_a_driver_that_tells_no_number_or_fails_is_a_fault_of_that_probe_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hardware = FakeHardware()
    hardware.buses["soil-8"] = object()  # has no read: a driver with a mistake in it
    instruments = Instruments(
        with_probes(Failing(sensor="soil-8", wire_name="a"), Failing(sensor="soil-9", wire_name="b")), hardware, {}
    )
    found = await read(instruments)
    assert "soil-1/soil_moisture" in found
    assert not {"soil-8/soil_moisture", "soil-9/soil_moisture"} & found.keys()
    assert [line for line in caplog.messages if "soil-8 code=driver-failed" in line]
    assert [line for line in caplog.messages if "soil-9 code=not-a-number" in line]
    instruments.close()


async def test_what_the_driver_itself_doubts_is_suspect() -> None:
    hardware = FakeHardware()
    hardware.buses["soil-9"] = FakeProbe(Sample(Quantity.SOIL_MOISTURE, 40.0, "%", "power-on-value"))
    instruments = Instruments(with_probes(Failing(sensor="soil-9")), hardware, {})
    reading = (await read(instruments))["soil-9/soil_moisture"]
    assert (reading.value, reading.quality, reading.reason) == (40.0, Quality.SUSPECT, "power-on-value")
    instruments.close()


class Unsteady:
    """A counter that a restarted counter chip, or a broken one, would be."""

    def __init__(self) -> None:
        self.value = 100

    def count(self) -> int:
        return self.value

    def close(self) -> None:
        pass


def test_a_counter_that_falls_never_makes_negative_water() -> None:
    counter = Unsteady()
    meter = Meter(counter, 10.0, 50.0)
    counter.value = 150
    assert meter.litres() == 55.0
    assert not meter.fell()
    counter.value = 3
    assert meter.litres() == 55.0
    assert meter.fell()
    assert not meter.fell()  # told once
    counter.value = 13
    assert meter.litres() == 56.0


def test_every_tip_is_rain_once_over_restarts() -> None:
    counter = Unsteady()
    gauge = RainGauge(counter, 0.2, untold_before=4)
    assert gauge.untold() == 4
    assert gauge.take() == pytest.approx(0.8)
    counter.value += 3
    assert gauge.untold() == 3
    assert gauge.take() == pytest.approx(0.6)
    assert (gauge.untold(), gauge.take()) == (0, 0.0)
