import threading
from pathlib import Path

import pytest

import edge.instruments
from contract.messages import Quality, Quantity, Reading
from edge.config import load_board
from edge.hardware.fakes import FakeHardware
from edge.instruments import Instruments
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


async def test_a_driver_that_hangs_stops_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.instruments, "READ_S", 0.05)
    release = threading.Event()
    reads = 0

    def hang() -> float:
        nonlocal reads
        reads += 1
        release.wait(10)
        return 0.5

    hardware = FakeHardware()
    monkeypatch.setattr(hardware.analog(0), "read", hang)
    instruments = Instruments(BOARD, hardware, {})
    for _ in range(3):
        found = await read(instruments)
        assert "soil-1/soil_moisture" not in found
        assert "battery/battery" in found
    assert reads == 1  # it is left alone until it comes back
    release.set()
    monkeypatch.setattr(edge.instruments, "READ_S", 5.0)
    assert "soil-1/soil_moisture" in await read(instruments)
