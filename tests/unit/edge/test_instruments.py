import asyncio
import math
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from contract.clock import Clock
from contract.messages import Quality, Quantity, Reading
from contract.outbox import Outbox
from contract.store import open_database
from edge.config import BoardSettings, load_board
from edge.control.quality import GOOD, Verdict
from edge.hardware.drivers.driver import ProbeSettings
from edge.hardware.fakes import FakeHardware, FakeProbe
from edge.hardware.ports import Hardware, Probe, Sample
from edge.instruments import Instruments
from edge.meter import Meter, RainGauge
from edge.probes import Probes, expected
from edge.store import Store
from tests.unit.edge.control.orders import NOW

BOARD = load_board(Path(__file__).parents[3] / "configs" / "board.toml")


Make = Callable[..., Instruments]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Make instruments, with the evidence of their probes in a real store; they are closed after the test."""
    db = open_database(tmp_path / "board.sqlite3")
    made: list[Instruments] = []

    def make(
        hardware: Hardware, settings: BoardSettings = BOARD, litres: dict[str, float] | None = None
    ) -> Instruments:
        store, outbox, clock = Store(db), Outbox(db, boot_id="b"), Clock(None, lambda: NOW)
        probes = Probes(expected(settings), settings, store=store, outbox=outbox, clock=clock, zones=lambda: ())
        made.append(Instruments(settings, hardware, litres or {}, probes=probes))
        return made[-1]

    yield make
    for instruments in made:
        instruments.close()
    db.close()


async def read(instruments: Instruments) -> dict[str, Reading]:
    readings = await instruments.read_all(NOW, trusted=True)
    return {f"{one.sensor}/{one.quantity}": one for one in readings}


async def test_everything_that_is_wired_is_read_with_its_unit_and_its_raw_value(make: Make) -> None:
    hardware = FakeHardware()
    instruments = make(hardware, litres={"v1": 1000.0})
    hardware.analog(0).share = 0.605  # the middle of the example's two points
    hardware.analog(6).share = 12.4 / 5 / 3.3
    hardware.analog(7).share = 0.75 / 3.3
    hardware.pulses(22).add(25)
    hardware.pulses(27).add(3)
    found = await read(instruments)
    soil = found["soil-1/soil_moisture"]
    assert soil.value == pytest.approx(30.0)
    assert (soil.raw, soil.raw_unit, soil.quality) == (0.605, "share", Quality.GOOD)
    assert soil.temperature_c == pytest.approx(25.0)
    assert soil.supply_v == pytest.approx(12.4)
    meter = found["v1-meter/volume"]
    assert meter.value == 1002.5  # before the restart and since
    assert (meter.raw, meter.raw_unit) == (10025.0, "pulses")
    assert found["battery/battery"].value == pytest.approx(12.4)
    assert found["air/air_temperature"].value == pytest.approx(25.0)
    assert found["rain/rain"].value == pytest.approx(0.6)
    assert instruments.battery_v == pytest.approx(12.4)
    assert (await read(instruments))["rain/rain"].value == 0.0  # only what fell since


@pytest.mark.parametrize(
    ("share", "quality", "reason"),
    [
        (1.0, Quality.BAD, "open-circuit"),
        (0.0, Quality.BAD, "short-circuit"),
        (0.2, Quality.BAD, "out-of-range"),
        (0.34, Quality.SUSPECT, "clamped"),
        (math.nan, Quality.BAD, "not-a-number"),
    ],
)
async def test_a_faulty_probe_is_told_with_its_reason_and_decides_nothing(
    make: Make, share: float, quality: Quality, reason: str
) -> None:
    hardware = FakeHardware()
    instruments = make(hardware)
    now_s = asyncio.get_running_loop().time
    assert (await read(instruments))["soil-1/soil_moisture"].quality is Quality.GOOD
    assert instruments.probes.usable_pct(["soil-1"], now_s()) == [pytest.approx(42.857, abs=0.01)]
    assert instruments.probes.usable_pct(["soil-1"], now_s() + 361) == []  # six intervals old: not now
    hardware.analog(0).share = share
    reading = (await read(instruments))["soil-1/soil_moisture"]
    assert (reading.quality, reading.reason) == (quality, reason)
    assert instruments.probes.usable_pct(["soil-1"], now_s()) == []


async def test_a_probe_that_faults_is_bad_and_logged_once_and_the_others_are_read(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    hardware = FakeHardware()
    instruments = make(hardware)
    hardware.analog(0).share = None
    for _ in range(3):
        found = await read(instruments)
    reading = found["soil-1/soil_moisture"]
    assert (reading.value, reading.raw, reading.quality, reading.reason) == (None, None, Quality.BAD, "no-answer")
    assert found["battery/battery"].quality is Quality.GOOD
    assert len([line for line in caplog.messages if "sensor=soil-1" in line]) == 1
    hardware.analog(0).share = 0.5
    assert (await read(instruments))["soil-1/soil_moisture"].quality is Quality.GOOD


async def test_three_samples_of_a_converter_make_a_reading_and_one_wild_one_does_not_count(make: Make) -> None:
    class Sparking(FakeHardware):
        """A converter of which every third value is wild."""

        def analog(self, channel: int) -> Any:
            return Sparks() if channel == 0 else super().analog(channel)

    class Sparks:
        def __init__(self) -> None:
            self.reads = 0

        def read(self) -> float:
            self.reads += 1
            return 0.9 if self.reads % 3 == 2 else 0.605

        def close(self) -> None:
            pass

    instruments = make(Sparking())
    for _ in range(4):
        reading = (await read(instruments))["soil-1/soil_moisture"]
        assert reading.value == pytest.approx(30.0)
        assert (reading.raw, reading.quality) == (0.605, Quality.GOOD)


async def test_a_probe_that_tells_its_own_temperature_is_noted_with_that(make: Make) -> None:
    hardware = FakeHardware()
    hardware.buses["soil-9"] = FakeProbe(
        Sample(Quantity.SOIL_MOISTURE, 31.0, "%"), Sample(Quantity.SOIL_TEMPERATURE, 19.5, "degC")
    )
    found = await read(make(hardware, with_probes(Failing(sensor="soil-9"))))
    assert (found["soil-9/soil_moisture"].raw_unit, found["soil-9/soil_moisture"].temperature_c) == ("%", 19.5)
    assert found["soil-9/soil_temperature"].value == 19.5
    assert found["soil-1/soil_moisture"].temperature_c == found["air/air_temperature"].value


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


async def test_a_driver_that_hangs_is_bad_and_stops_nobody_on_another_bus(make: Make) -> None:
    hardware = FakeHardware()
    stuck = hardware.bus("soil-9", HangingProbe)
    instruments = make(hardware, with_probes(Hanging(sensor="soil-9")))
    for _ in range(3):
        found = await read(instruments)
        assert (found["soil-9/soil_moisture"].quality, found["soil-9/soil_moisture"].reason) == (Quality.BAD, "hung")
        assert found["soil-1/soil_moisture"].quality is Quality.GOOD
        assert "battery/battery" in found
    assert stuck.reads == 1  # it is left alone until it comes back
    stuck.hangs = False
    stuck.let_go.set()
    async with asyncio.timeout(10):
        while (value := (await read(instruments))["soil-9/soil_moisture"].value) is None:
            pass
    assert value > 1  # what came too late was dropped


async def test_who_shares_a_hung_bus_is_told_so_without_waiting_each(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    hardware = FakeHardware()
    first, second = hardware.bus("soil-8", HangingProbe), hardware.bus("soil-9", HangingProbe)
    second.hangs = False
    settings = with_probes(Hanging(sensor="soil-8"), Hanging(sensor="soil-9", waits_s=10.0))
    instruments = make(hardware, settings)
    found = await read(instruments)
    assert [found[f"soil-{one}/soil_moisture"].reason for one in (8, 9)] == ["hung", "hung"]
    assert (first.reads, second.reads) == (1, 0)
    assert [line for line in caplog.messages if "code=hung" in line and "sensor=soil-9" in line]
    first.hangs = False
    first.let_go.set()
    async with asyncio.timeout(10):
        while (await read(instruments))["soil-9/soil_moisture"].quality is not Quality.GOOD:
            pass
    assert second.reads == 1  # nothing was left waiting for it


async def test_twenty_hung_buses_leave_the_others_alone(make: Make) -> None:
    # As many as a shared pool of threads would have, and more.
    hardware = FakeHardware()
    names = [f"stuck-{number}" for number in range(40)]
    settings = with_probes(*(Hanging(sensor=name, wire_name=name) for name in names))
    instruments = make(hardware, settings)
    for _ in range(2):
        assert (await read(instruments))["soil-1/soil_moisture"].quality is Quality.GOOD
    for name in names:
        hardware.bus(name, HangingProbe).let_go.set()


async def test_a_probe_that_a_run_waits_for_is_read_by_itself_though_another_hangs(make: Make) -> None:
    hardware = FakeHardware()
    stuck = hardware.bus("soil-9", HangingProbe)
    instruments = make(hardware, with_probes(Hanging(sensor="soil-9")))
    await instruments.read_probes(["soil-1", "soil-9"])
    now_s = asyncio.get_running_loop().time()
    assert instruments.probes.usable_pct(["soil-1", "soil-9"], now_s) == [pytest.approx(42.857, abs=0.01)]
    assert instruments.probes.lost(["soil-9"], now_s) is None  # one word that is not good is none too many
    for _ in range(2):
        await instruments.read_probes(["soil-9"])
    assert instruments.probes.lost(["soil-9"], now_s) == "hung"
    assert instruments.probes.lost(["soil-1", "soil-9"], now_s) is None
    stuck.let_go.set()


class Failing(Hanging):
    driver: str = "failing"

    def open(self, hardware: Hardware) -> Probe:
        return hardware.bus(self.sensor, lambda: FakeProbe(Sample(Quantity.SOIL_MOISTURE, math.nan, "%")))


async def test_a_driver_that_tells_no_number_or_fails_is_a_fault_of_that_probe_alone(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    hardware = FakeHardware()
    hardware.buses["soil-8"] = object()  # has no read: a driver with a mistake in it
    instruments = make(
        hardware, with_probes(Failing(sensor="soil-8", wire_name="a"), Failing(sensor="soil-9", wire_name="b"))
    )
    found = await read(instruments)
    reasons = [found[f"soil-{one}/soil_moisture"].reason for one in (1, 8, 9)]
    assert reasons == [None, "driver-failed", "not-a-number"]
    assert [line for line in caplog.messages if "soil-8 code=driver-failed" in line]
    assert [line for line in caplog.messages if "soil-9 code=not-a-number" in line]


async def test_what_the_driver_itself_doubts_is_suspect(make: Make) -> None:
    hardware = FakeHardware()
    hardware.buses["soil-9"] = FakeProbe(Sample(Quantity.SOIL_MOISTURE, 40.0, "%", "power-on-value"))
    reading = (await read(make(hardware, with_probes(Failing(sensor="soil-9")))))["soil-9/soil_moisture"]
    assert (reading.value, reading.quality, reading.reason) == (40.0, Quality.SUSPECT, "power-on-value")


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
    meter.look(1.0, is_open=False, nominal_l_min=None)
    assert meter.since(0.0) == GOOD
    counter.value = 3
    assert meter.litres() == 55.0
    meter.look(2.0, is_open=False, nominal_l_min=None)
    assert meter.since(0.0) == Verdict(Quality.SUSPECT, "meter-backwards")
    assert meter.since(2.1) == GOOD  # told once
    counter.value = 13
    assert (meter.litres(), meter.pulses()) == (56.0, 560)


def test_more_than_ten_times_the_zones_flow_is_no_water_where_the_meters_own_most_is_not_known() -> None:
    counter = Unsteady()
    meters = [Meter(counter, 10.0, 0.0), Meter(counter, 10.0, 0.0, 200.0)]
    for meter in meters:
        meter.look(0.0, is_open=True, nominal_l_min=8.0)
    counter.value += 80  # 48 L/min for 10 s, which is six times the flow
    for meter in meters:
        meter.look(10.0, is_open=True, nominal_l_min=8.0)
        assert meter.since(0.0) == GOOD
    counter.value += 300
    for meter, reason in zip(meters, ("meter-jump", None), strict=True):
        meter.look(20.0, is_open=True, nominal_l_min=8.0)
        assert meter.since(0.0).reason == reason


def test_every_tip_is_rain_once_over_restarts() -> None:
    counter = Unsteady()
    gauge = RainGauge(counter, 0.2, untold_before=4)
    assert gauge.untold() == 4
    assert gauge.take() == pytest.approx(0.8)
    counter.value += 3
    assert gauge.untold() == 3
    assert gauge.take() == pytest.approx(0.6)
    assert (gauge.untold(), gauge.take()) == (0, 0.0)
