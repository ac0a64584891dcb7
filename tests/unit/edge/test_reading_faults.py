"""Rows 8 and 9 of the fault matrix: probes and meters that lie, on the unchanged agent with the fakes that ship."""

import math
from collections.abc import Callable
from datetime import date
from itertools import count
from pathlib import Path

import pytest

from contract.messages import ChannelSettings, FaultEvent, NodeConfig, Quality, Quantity, Reading, RunEvent
from contract.store import open_database
from contract.topics import Channel
from edge.app import DATABASE
from edge.config import load_board
from edge.control.drift import Drift
from edge.control.probe import Memory
from edge.hardware.fakes import FakeAds1115
from edge.probes import MEMORIES
from edge.store import Store
from irrigation.model import Dose
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Processes
from tests.unit.edge.board import Bench, Gateway

pytestmark = pytest.mark.uses_broker
_farms = count(1)
_S = RunState

POINTS = ((0.2, 60.0), (0.8, 0.0))
SHARES = {"open-circuit": 1.0, "short-circuit": 0.0, "out-of-range": 0.95, "not-a-number": math.nan, "no-answer": None}


@pytest.fixture
def bench(tmp_path: Path, shared_mosquitto: Mosquitto, processes: Processes) -> Bench:
    """A board with seven probes, all of zone `tea`: one for each fault, one that is well, one on a bus of its own."""
    bench = Bench(tmp_path, f"truth-farm-{next(_farms)}", shared_mosquitto.port, processes)
    more = "".join(
        f'[[probe]]\nsensor = "soil-{adc + 1}"\nadc = {adc}\npoints = [[0.2, 60.0], [0.8, 0.0]]\n'
        for adc in range(1, 6)
    )
    more += '[[probe]]\nsensor = "soil-7"\nadc = 0\npoints = [[0.2, 60.0], [0.8, 0.0]]\n[probe.ads1115]\n'
    more += "[soil]\nwatering_least_s = 0.5\nwetting_wait_s = 1.0\n"
    bench.path.write_text(bench.path.read_text() + more)
    bench.settings = load_board(bench.path)
    ads = bench.hardware.buses["i2c-1"] = FakeAds1115()
    ads.volts[0] = 1.65
    return bench


def zone(*sensors: str, version: int = 1) -> NodeConfig:
    channel = ChannelSettings(channel="v1", zone_id="tea", max_run_s=60.0, flow_l_min=8.0, sensors=sensors)
    return NodeConfig(version=version, tz="Asia/Ho_Chi_Minh", channels=(channel,), report_every_s=1.0)


async def configured(gateway: Gateway, *sensors: str, version: int = 1) -> None:
    await gateway.say(Channel.CONFIG, zone(*sensors, version=version))
    await gateway.configured(version)


def last(gateway: Gateway, sensor: str, quantity: Quantity = Quantity.SOIL_MOISTURE) -> Reading | None:
    own = [one for one in gateway.readings if one.sensor == sensor and one.quantity is quantity]
    return own[-1] if own else None


async def told(gateway: Gateway, sensor: str, reason: str | None, *, after: int = 0) -> Reading:
    """Return the first reading of a probe, after so many of all, that has that reason."""
    found: Reading = await gateway.until(
        lambda: next(
            (
                one
                for one in gateway.readings[after:]
                if (one.sensor, one.quantity, one.reason) == (sensor, Quantity.SOIL_MOISTURE, reason)
            ),
            None,
        )
    )
    return found


async def fault(gateway: Gateway, holds: Callable[[FaultEvent], bool]) -> FaultEvent:
    found: FaultEvent = await gateway.until(
        lambda: next(
            (one for one in gateway.events if isinstance(one, FaultEvent) and one.code == "probe-bad" and holds(one)),
            None,
        )
    )
    return found


async def test_each_broken_probe_is_bad_by_its_reason_and_nobody_else_is(bench: Bench) -> None:
    for adc, share in enumerate(SHARES.values()):
        bench.hardware.analog(adc).share = share
    sensors = [f"soil-{number}" for number in range(1, 6)]
    async with bench.listening() as gateway, bench.agent():
        await configured(gateway, *sensors)
        for sensor, reason in zip(sensors, SHARES, strict=True):
            assert (await told(gateway, sensor, reason)).quality is Quality.BAD
        raised = await fault(gateway, lambda one: "soil-1" in str(one.params["sensors"]) and not one.cleared)
        assert (raised.zone_id, raised.params["reason"]) == ("tea", "open-circuit")
        for well in ("soil-6", "soil-7"):
            assert {one.quality for one in gateway.readings if one.sensor == well} == {Quality.GOOD}
        for adc in range(5):
            bench.hardware.analog(adc).share = 0.5
        await fault(gateway, lambda one: one.cleared)
        await gateway.until(lambda: all((one := last(gateway, s)) and one.quality is Quality.GOOD for s in sensors))


async def test_a_hung_bus_costs_its_own_probes_only_and_waterings_go_on(bench: Bench) -> None:
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await configured(gateway, "soil-1")
        bench.hardware.analog(0).answering.clear()
        try:
            assert (await told(gateway, "soil-1", "hung")).quality is Quality.BAD
            await gateway.open("run-1", channel="v2", zone_id="rice", max_s=0.5, dose=Dose(minutes=0.05))
            await gateway.reached("run-1", _S.DONE)
            assert {one.quality for one in gateway.readings if one.sensor == "soil-7"} == {Quality.GOOD}
        finally:
            bench.hardware.analog(0).answering.set()
        await told(gateway, "soil-1", None, after=len(gateway.readings))


async def test_a_jump_is_doubted_until_it_stays(bench: Bench) -> None:
    async with bench.listening() as gateway, bench.agent():
        await configured(gateway, "soil-1")
        await told(gateway, "soil-1", None)
        bench.hardware.analog(0).share = 0.3
        assert (await told(gateway, "soil-1", "jump")).quality is Quality.SUSPECT
        after = await told(gateway, "soil-1", None, after=len(gateway.readings))
        assert after.value == pytest.approx(50.0)


async def test_a_probe_that_no_watering_moves_is_stuck_over_a_restart_until_it_leaves_its_place(bench: Bench) -> None:
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await configured(gateway, "soil-1", "soil-2")
        for number, reached_share in enumerate((0.4, 0.3)):
            await gateway.open(f"run-{number}", max_s=3.0, dose=Dose(minutes=0.05))
            await gateway.reached(f"run-{number}", _S.OPEN)
            before = len(gateway.readings)
            await told(gateway, "soil-2", None, after=before)
            bench.hardware.analog(1).share = reached_share
            await gateway.reached(f"run-{number}", _S.DONE)
            quality = (Quality.SUSPECT, Quality.BAD)[number]
            await gateway.until(lambda: (one := last(gateway, "soil-1")) and one.quality is quality)  # noqa: B023
        assert [one for one in gateway.readings if one.sensor == "soil-2" and one.quality is not Quality.GOOD] == []
        raised = await fault(gateway, lambda one: not one.cleared)
        assert raised.params == {"sensors": "soil-1", "reason": "stuck"}
    before = len(gateway.readings)
    async with bench.listening() as gateway, bench.agent():
        assert (await told(gateway, "soil-1", "stuck", after=before)).quality is Quality.BAD
        bench.hardware.analog(0).share = 0.54
        assert (await told(gateway, "soil-1", None, after=before)).quality is Quality.GOOD
        await fault(gateway, lambda one: one.cleared)


async def test_a_probe_that_has_drifted_from_the_others_of_its_zone_is_doubted(bench: Bench) -> None:
    drift = Drift(day=date(2026, 11, 1), first_gaps=(1.0,) * 7, last_gaps=(9.0,) * 7)
    store = Store(open_database(bench.settings.state_dir / DATABASE))
    store.note(MEMORIES, dict[str, Memory], {"soil-1": Memory(points=POINTS, drift=drift)})
    store.db.close()
    async with bench.listening() as gateway, bench.agent():
        await configured(gateway, "soil-1", "soil-2")
        reading = await told(gateway, "soil-1", "drift")
        assert reading.quality is Quality.SUSPECT
        assert reading.value == pytest.approx(30.0)
        assert last(gateway, "soil-2") is not None
        assert {one.quality for one in gateway.readings if one.sensor == "soil-2"} == {Quality.GOOD}


async def test_a_run_that_waits_for_a_probe_ends_when_the_probe_is_lost_and_says_so(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await configured(gateway, "soil-1")
        await told(gateway, "soil-1", None)
        until = Dose(until_moisture_pct=45.0, max_minutes=0.4)
        await gateway.open("run-1", max_s=24.0, dose=until)
        await gateway.reached("run-1", _S.OPEN)
        bench.hardware.analog(0).share = 1.0
        ended = await gateway.reached("run-1", _S.INTERRUPTED)
        assert ended.reason is not None
        assert (ended.reason.code, ended.reason.params) == ("probe-lost", {"reason": "open-circuit"})
        guard.wait_for("valve v1 closed", after=guard.number_of("valve v1 open"))
        reply = await gateway.answered(await gateway.open("run-2", dose=until, max_s=24.0))
        assert reply.reason is not None
        assert reply.reason.code == "no-fresh-probe"


async def test_one_bad_word_ends_no_run(bench: Bench) -> None:
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await configured(gateway, "soil-1")
        await told(gateway, "soil-1", None)
        await gateway.open("run-1", max_s=24.0, dose=Dose(until_moisture_pct=45.0, max_minutes=0.4))
        await gateway.reached("run-1", _S.OPEN)
        bench.hardware.analog(0).share = None
        await told(gateway, "soil-1", "no-answer")
        bench.hardware.analog(0).share = 0.3
        assert (await gateway.reached("run-1", _S.DONE)).reason is None


@pytest.mark.parametrize(
    ("pulses", "reason"), [(100_000, "meter-jump"), (-3, "meter-backwards")], ids=["jumping", "backwards"]
)
async def test_litres_of_a_meter_that_lies_end_no_run_and_are_told_with_the_reason(
    bench: Bench, pulses: int, reason: str
) -> None:
    bench.start_guard()
    meter = bench.hardware.pulses(22)
    meter.add(10)
    async with bench.listening() as gateway, bench.agent():
        await configured(gateway, "soil-1")
        await gateway.open("run-1", max_s=3.0, dose=Dose(litres=5.0))
        await gateway.reached("run-1", _S.OPEN)
        meter.add(1)
        await gateway.reached("run-1", _S.WATERING)
        meter.add(pulses)
        ended: RunEvent = await gateway.reached("run-1", _S.DONE)
        assert ended.reason is not None
        assert ended.reason.code == reason
        assert ended.open_s == pytest.approx(3.0, abs=0.5)
        told_: Reading = await gateway.until(
            lambda: next((one for one in gateway.readings if one.sensor == "v1-meter" and one.reason == reason), None)
        )
        assert (told_.quality, told_.raw_unit) == (Quality.SUSPECT, "pulses")
