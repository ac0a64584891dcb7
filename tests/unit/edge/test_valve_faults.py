"""Faults of valves on a whole board: what the meter or the guard shows, what is closed, told and locked, and the reset."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from contract.messages import Outcome, Reason, Reply, ValvePosition, ValveReport
from contract.topics import Channel
from edge.app import DATABASE, Agent
from edge.control.faults import Event, Fault
from irrigation.model import Dose
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Processes
from tests.unit.edge.board import WATER_S, Bench, Flowing, Gateway, farm_settings

pytestmark = pytest.mark.uses_broker
_farms = count(1)
_S = RunState
METER = 22


@pytest.fixture
def bench(tmp_path: Path, shared_mosquitto: Mosquitto, processes: Processes) -> Bench:
    return Bench(tmp_path, f"valve-farm-{next(_farms)}", shared_mosquitto.port, processes, no_flow_s=1)


@asynccontextmanager
async def board(bench: Bench) -> AsyncIterator[tuple[Gateway, Agent]]:
    """The board and its gateway, with the farm's settings in force."""
    async with bench.listening() as gateway, bench.agent() as agent:
        await gateway.say(Channel.CONFIG, farm_settings())
        await gateway.configured(1)
        yield gateway, agent


def reason(reply: Reply) -> Reason:
    assert reply.reason is not None
    return reply.reason


def valve(gateway: Gateway, channel: str = "v1") -> ValveReport:
    return next(one for one in gateway.states[-1].valves if one.channel == channel)


async def dry_run(gateway: Gateway, run_id: str) -> None:
    """A watering without water, to its end."""
    await gateway.open(run_id)
    failed = await gateway.reached(run_id, _S.FAILED)
    assert failed.reason is not None
    assert failed.reason.code == "no-flow"


async def test_no_water_closes_the_valve_is_told_and_not_tried_again(bench: Bench) -> None:
    guard = bench.start_guard()
    async with board(bench) as (gateway, _):
        await dry_run(gateway, "run-1")
        assert _S.WATERING not in gateway.states_of("run-1")
        assert (await gateway.told("no-flow")).zone_id == "tea"
        assert guard.lines.count("valve v1 open") == 1
        guard.wait_for("valve v1 closed", after=guard.number_of("valve v1 open"))
        assert valve(gateway).quarantine is None  # once is no quarantine
        await gateway.open("run-2")
        await gateway.reached("run-2", _S.OPEN)
        bench.hardware.pulses(METER).add(5)
        await gateway.told("no-flow", cleared=True)  # water came again


async def test_the_third_dry_run_in_a_row_locks_the_valve_over_a_restart_until_a_person_resets_it(bench: Bench) -> None:
    guard = bench.start_guard()
    async with board(bench) as (gateway, _):
        for run_id in ("run-1", "run-2", "run-3"):
            await dry_run(gateway, run_id)
        told = await gateway.told("quarantined")
        assert told.params["fault"] == "no-flow"
        assert gateway.faults() == [("no-flow", False), ("quarantined", False)]
    async with board(bench) as (gateway, _):
        locked = valve(gateway).quarantine
        assert locked is not None
        assert (locked.code, locked.params["strikes"]) == ("no-flow", 3.0)
        refused = reason(await gateway.answered(await gateway.open("run-4")))
        assert (refused.code, refused.params["fault"]) == ("quarantined", "no-flow")
        assert guard.lines.count("valve v1 open") == 3
        assert (await gateway.answered(await gateway.reset("v1"))).outcome is Outcome.DONE
        await gateway.told("quarantined", cleared=True)
        await gateway.until(lambda: valve(gateway).quarantine is None)
        await gateway.open("run-5")
        await gateway.reached("run-5", _S.OPEN)


async def test_a_burst_line_is_closed_and_locked_out_and_its_neighbour_is_not(bench: Bench) -> None:
    guard = bench.start_guard()
    async with board(bench) as (gateway, _):
        await gateway.open("run-1")
        await gateway.reached("run-1", _S.OPEN)
        async with Flowing(bench, l_min=60.0):  # 8 is nominal
            failed = await gateway.reached("run-1", _S.FAILED, WATER_S)
        assert failed.reason is not None
        assert failed.reason.code == "burst"
        assert float(failed.reason.params["flow_l_min"]) > float(failed.reason.params["highest_l_min"]) == 16.0
        guard.wait_for("valve v1 closed", after=guard.number_of("valve v1 open"))
        assert (await gateway.told("burst")).params["channel"] == "v1"
        refused = reason(await gateway.answered(await gateway.open("run-2")))
        assert (refused.code, refused.params["fault"]) == ("quarantined", "burst")
        await gateway.open("run-3", channel="v2", max_s=0.3, dose=Dose(minutes=0.05))
        await gateway.reached("run-3", _S.DONE)


async def test_water_that_runs_on_after_the_close_is_told_and_the_valve_is_not_called_closed(bench: Bench) -> None:
    bench.start_guard()
    async with board(bench) as (gateway, _):
        await gateway.open("run-1", dose=Dose(litres=0.5))
        await gateway.reached("run-1", _S.OPEN)
        async with Flowing(bench, l_min=12.0):
            await gateway.reached("run-1", _S.DONE)
            await gateway.told("flow-while-closed")
        await gateway.until(lambda: valve(gateway).position is ValvePosition.CLOSE_FAILED)
        blocked = reason(await gateway.answered(await gateway.open("run-2", channel="v2")))
        assert blocked.code == "close-failed"  # nothing opens beside a valve that cannot be closed
        assert (await gateway.answered(await gateway.reset("v1"))).outcome is Outcome.DONE
        await gateway.told("flow-while-closed", cleared=True)
        await gateway.until(lambda: valve(gateway).position is ValvePosition.CLOSED)


async def test_a_trickle_with_all_closed_locks_the_zone(bench: Bench) -> None:
    bench.start_guard()
    async with board(bench) as (gateway, _):
        async with Flowing(bench, l_min=2.0):
            await gateway.told("night-flow")
        assert valve(gateway).position is ValvePosition.CLOSED
        refused = reason(await gateway.answered(await gateway.open("run-1")))
        assert (refused.code, refused.params["fault"]) == ("quarantined", "night-flow")


async def test_a_meter_that_jumps_is_told_and_ends_nothing(bench: Bench) -> None:
    bench.start_guard()
    async with board(bench) as (gateway, _):
        await gateway.open("run-1", dose=Dose(litres=100.0), max_s=2.0)
        await gateway.reached("run-1", _S.OPEN)
        bench.hardware.pulses(METER).add(50_000)
        done = await gateway.reached("run-1", _S.DONE, WATER_S)
        assert (await gateway.told("meter-bad")).params["channel"] == "v1"
        assert done.litres is None  # nobody knows
        assert done.reason is not None
        assert done.reason.code == "meter-jump"  # its time ended it, and this is why the litres did not


async def test_a_stuck_line_is_not_reset_before_it_has_closed(bench: Bench) -> None:
    bench.start_guard()
    stuck = bench.path.parent / "stuck"
    async with board(bench) as (gateway, _):
        await gateway.open("run-1")
        await gateway.reached("run-1", _S.OPEN)
        stuck.touch()
        await gateway.close("run-1")
        await gateway.told("close-failed")
        assert reason(await gateway.answered(await gateway.reset("v1"))).code == "close-failed"
        stuck.unlink()
        await gateway.told("close-failed", cleared=True)


async def test_a_line_that_does_not_follow_three_times_locks_the_valve_at_the_guard_too(bench: Bench) -> None:
    bench.start_guard()
    (bench.path.parent / "jammed-v1").touch()
    async with board(bench) as (gateway, agent):
        for run_id in ("run-1", "run-2", "run-3"):
            await gateway.open(run_id)
            failed = await gateway.reached(run_id, _S.FAILED)
            assert failed.reason is not None
            assert failed.reason.code == "guard-line-fault"
        await gateway.told("quarantined")
        assert gateway.faults() == [("open-failed", False), ("quarantined", False)]
        await until(lambda: agent.guard.locked == {"v1": "open-failed"})
        (bench.path.parent / "jammed-v1").unlink()
        assert (await gateway.answered(await gateway.reset("v1"))).outcome is Outcome.DONE
        assert agent.guard.locked == {}
        await gateway.open("run-4")
        await gateway.reached("run-4", _S.OPEN)


async def test_a_guard_that_hangs_while_it_is_asked_to_open_is_asked_again_when_it_is_back(bench: Bench) -> None:
    guard = bench.start_guard()
    async with board(bench) as (gateway, _):
        guard.signal(signal.SIGSTOP)
        await gateway.open("run-1")
        assert await asyncio.to_thread(guard.wait) == -signal.SIGKILL
        bench.start_guard()
        await gateway.reached("run-1", _S.OPEN)
        assert gateway.faults() == []


async def test_a_guard_that_stays_away_fails_the_run_without_blaming_the_valve(bench: Bench) -> None:
    guard = bench.start_guard()
    async with board(bench) as (gateway, agent):
        guard.signal(signal.SIGSTOP)
        await gateway.open("run-1")
        failed = await gateway.reached("run-1", _S.FAILED)
        assert failed.reason is not None
        assert failed.reason.code == "guard-lost"
        assert (gateway.faults(), agent.waterings.valves["v1"].strikes) == ([], 0)


async def test_a_stop_reaches_a_run_that_waits_to_be_asked_again(bench: Bench) -> None:
    guard = bench.start_guard()
    async with board(bench) as (gateway, agent):
        guard.signal(signal.SIGSTOP)
        await gateway.open("run-1")
        assert await asyncio.to_thread(guard.wait) == -signal.SIGKILL
        await gateway.close("run-1")
        await gateway.reached("run-1", _S.STOPPED)
        again = bench.start_guard()
        await gateway.until(lambda: agent.guard.up)  # until then an order is refused: nobody can open
        await gateway.open("run-2", channel="v2", max_s=0.3, dose=Dose(minutes=0.05))
        await gateway.reached("run-2", _S.DONE)
        assert "valve v1 open" not in again.lines


async def test_what_a_guard_has_forgotten_is_locked_again_and_what_the_agent_has_forgotten_too(bench: Bench) -> None:
    bench.start_guard()
    async with board(bench) as (_, agent):
        agent.waterings.valves.hear("v1", Event.NIGHT_FLOW)
        await until(lambda: agent.guard.locked == {"v1": "night-flow"})
        await agent.guard.unlock("v1")  # by nobody's word
        assert agent.guard.locked == {}
        await until(lambda: agent.guard.locked == {"v1": "night-flow"})
    (bench.settings.state_dir / DATABASE).unlink()
    async with board(bench) as (gateway, agent):
        await until(lambda: agent.waterings.valves["v1"].lock is Fault.NIGHT_FLOW)
        refused = reason(await gateway.answered(await gateway.open("run-1")))
        assert (refused.code, refused.params["fault"]) == ("quarantined", "night-flow")


async def until(what: Callable[[], bool]) -> None:
    """Return once it is so."""
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.01)


async def test_a_reset_of_what_is_not_there_is_refused(bench: Bench) -> None:
    bench.start_guard()
    async with board(bench) as (gateway, _):
        assert reason(await gateway.answered(await gateway.reset("v9"))).code == "unknown-channel"
