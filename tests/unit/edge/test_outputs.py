"""What an agent makes of a guard whose valves wait for a supply, are pulsed, locked, or refused for want of charge."""

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from contract.messages import NodeState, Outcome, Pulse, Reason, Reply, RunEvent, ValvePosition
from contract.topics import Channel
from edge.config import load_board
from edge.control.watering import by_cause
from edge.errors import GuardLost, GuardRefused
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Processes
from tests.unit.edge.board import Bench, Gateway

pytestmark = pytest.mark.uses_broker
_farms = count(1)
_S = RunState
PUMP = """
[[supply]]
name = "pump"
pin = 23
max_open_s = 100
start_after_s = {start_after_s}
stop_after_s = -0.3
"""


@pytest.fixture
def bench(tmp_path: Path, shared_mosquitto: Mosquitto, processes: Processes) -> Bench:
    return Bench(tmp_path, f"output-farm-{next(_farms)}", shared_mosquitto.port, processes)


def pump(bench: Bench, start_after_s: float = -0.6) -> None:
    """Put v1 and v2 behind a pump."""
    text = bench.path.read_text().replace("max_open_s = 60\n", 'max_open_s = 60\nsupply = "pump"\n')
    bench.path.write_text(text + PUMP.format(start_after_s=start_after_s))
    bench.settings = load_board(bench.path)


def positions(state: NodeState) -> list[ValvePosition]:
    return [valve.position for valve in state.valves]


async def end_of(gateway: Gateway, command_id: str) -> Reply:
    """Return the answer after `accepted`."""
    ended: Reply = await gateway.until(
        lambda: next((one for one in gateway.answers(command_id) if one.outcome is not Outcome.ACCEPTED), None)
    )
    return ended


async def test_a_run_is_opening_until_its_supply_runs_and_closing_until_it_has_stopped(bench: Bench) -> None:
    pump(bench)
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await gateway.open("run-1")
        opened = await gateway.reached("run-1", _S.OPEN)
        assert opened.opened_at is not None
        assert opened.closes_at is not None
        assert (opened.closes_at - opened.opened_at).total_seconds() == pytest.approx(30, abs=0.5)
        assert guard.number_of("valve pump open") < guard.number_of("valve v1 open")
        await gateway.close("run-1")
        ended = await gateway.reached("run-1", _S.STOPPED)
        assert gateway.states_of("run-1") == [_S.OPENING, _S.OPEN, _S.CLOSING, _S.STOPPED]
        assert ended.open_s is not None
        assert ended.open_s >= 0.3
        guard.wait_for("valve v1 closed", after=guard.number_of("valve v1 open"))
        lines = guard.lines[guard.number_of("valve v1 open") :]
        assert lines.index("valve pump closed") < lines.index("valve v1 closed")


async def test_a_run_stopped_while_it_waits_for_its_supply_never_opened(bench: Bench) -> None:
    pump(bench, start_after_s=-30)
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await gateway.answered(await gateway.open("run-1"))
        guard.wait_for("valve pump open")
        await gateway.until(lambda: any(one.valves[0].run for one in gateway.states))
        waiting = next(one for one in gateway.states if one.valves[0].run)
        assert positions(waiting) == [ValvePosition.CLOSED, ValvePosition.CLOSED]
        await gateway.close("run-1")
        ended = await gateway.reached("run-1", _S.STOPPED)
        assert (ended.open_s, ended.opened_at) == (0.0, None)
        assert "valve v1 open" not in guard.lines


async def test_a_valve_that_does_not_open_fails_the_run_with_the_line_s_reason(bench: Bench) -> None:
    guard = bench.start_guard()
    (bench.path.parent / "jammed-v1").touch()
    async with bench.listening() as gateway, bench.agent():
        await gateway.open("run-1")
        failed = await gateway.reached("run-1", _S.FAILED)
        assert failed.reason is not None
        assert failed.reason.code == "guard-line-fault"
        assert "valve v1 open" not in guard.lines


async def test_a_valve_that_does_not_open_after_its_supply_fails_the_run_as_well(bench: Bench) -> None:
    pump(bench)
    guard = bench.start_guard()
    (bench.path.parent / "jammed-v1").touch()
    async with bench.listening() as gateway, bench.agent():
        await gateway.open("run-1")
        failed = await gateway.reached("run-1", _S.FAILED)
        assert failed.reason == Reason(code="line-fault")
        guard.wait_for("valve pump closed", after=guard.number_of("valve pump open"))


# --- pulses ---


async def test_a_pulse_opens_for_its_seconds_shows_it_and_tells_its_end(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent() as agent:
        command_id = await gateway.pulse("v2")
        assert (await gateway.answered(command_id)).outcome is Outcome.ACCEPTED
        guard.wait_for("valve v2 open")
        await gateway.until(lambda: gateway.states and positions(gateway.states[-1])[1] is ValvePosition.OPEN)
        assert (await end_of(gateway, command_id)).outcome is Outcome.DONE
        guard.wait_for("valve v2 closed", after=guard.number_of("valve v2 open"))
        await gateway.until(lambda: positions(gateway.states[-1])[1] is ValvePosition.CLOSED)
        assert 0.9 < agent.store.used_s("v2", agent.clock.now()) < 2  # it counts for the day
        assert not [event for event in gateway.events if isinstance(event, RunEvent)]  # and is no run
        await gateway.say(Channel.COMMAND, Pulse(**gateway.order(id=command_id, channel="v2", seconds=1.0)))
        await gateway.until(lambda: len(gateway.answers(command_id)) == 3)
        assert gateway.answers(command_id)[-1].outcome is Outcome.DONE
        assert guard.lines.count("valve v2 open") == 1


async def test_while_a_valve_is_pulsed_nothing_else_opens_it(bench: Bench) -> None:
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        command_id = await gateway.pulse("v1")
        assert (await gateway.answered(command_id)).outcome is Outcome.ACCEPTED
        for other in (await gateway.pulse("v1"), await gateway.open("run-1")):
            refused = await gateway.answered(other)
            assert refused.reason == Reason(code="zone-busy", params={"run_id": f"pulse-{command_id}"})


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"channel": "v9"}, "unknown-channel"),
        ({"node_id": "board-2"}, "for-another-board"),
    ],
)
async def test_a_pulse_that_is_not_for_this_board_is_refused(bench: Bench, more: dict[str, Any], code: str) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        order = Pulse(**gateway.order(**({"channel": "v1", "seconds": 1.0} | more)))
        await gateway.say(Channel.COMMAND, order)
        refused = await gateway.answered(order.id)
        assert refused.reason is not None
        assert (refused.outcome, refused.reason.code) == (Outcome.REFUSED, code)
        assert not [line for line in guard.lines if line.endswith("open")]


async def test_a_pulse_is_refused_by_the_day_s_cap_by_a_lock_and_without_a_guard(bench: Bench) -> None:
    async with bench.listening() as gateway, bench.agent() as agent:
        refused = await gateway.answered(await gateway.pulse("v1"))
        assert refused.reason == Reason(code="guard-lost")
        bench.start_guard()
        await gateway.until(lambda: agent.guard.up)
        await agent.guard.lock("v1", "leak")
        refused = await gateway.answered(await gateway.pulse("v1"))
        assert refused.reason == Reason(code="guard-locked")
        await agent.guard.unlock("v1")
        agent.store.db.execute("INSERT INTO used VALUES ('v1', ?, 99.5)", (agent.clock.now().isoformat(),))
        refused = await gateway.answered(await gateway.pulse("v1"))
        assert refused.reason is not None
        assert refused.reason.code == "daily-cap"


async def test_a_pulse_whose_guard_dies_or_whose_valve_sticks_has_failed(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent() as agent:
        first = await gateway.pulse("v1")
        await gateway.answered(first)
        guard.kill()
        lost = await end_of(gateway, first)
        assert (lost.outcome, lost.reason) == (Outcome.FAILED, Reason(code="guard-lost"))
        assert agent.store.used_s("v1", agent.clock.now()) == 1.0
        guard = bench.start_guard()
        await gateway.until(lambda: agent.guard.up)
        (bench.path.parent / "stuck").touch()
        second = await gateway.pulse("v2")
        stuck = await end_of(gateway, second)
        assert (stuck.outcome, stuck.reason) == (Outcome.FAILED, Reason(code="close-failed"))
        (bench.path.parent / "stuck").unlink()


# --- locks ---


async def test_a_lock_ends_the_run_keeps_the_valve_shut_and_is_known_after_the_guard_s_restart(bench: Bench) -> None:
    pump(bench, start_after_s=0)
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent() as agent:
        await gateway.open("run-1")
        await gateway.reached("run-1", _S.OPEN)
        await agent.guard.lock("pump", "leak-after-close")
        ended = await gateway.reached("run-1", _S.INTERRUPTED)
        assert ended.reason == Reason(code="locked")
        assert agent.guard.locked == {"pump": "leak-after-close"}
        guard.kill()
        await gateway.until(lambda: not gateway.states[-1].valves or not agent.guard.up)
        guard = bench.start_guard()
        async with asyncio.timeout(10):
            while not agent.guard.up:
                await asyncio.sleep(0.01)
        with pytest.raises(GuardRefused, match="pump is locked: leak-after-close"):
            await agent.guard.open("v2", "run-2", 5.0)
        await agent.guard.unlock("pump")
        assert agent.guard.locked == {}
        assert (await agent.guard.open("v2", "run-2", 5.0)).opens_in_s == 0.0
        with pytest.raises(GuardRefused, match="nothing is called 'well'"):
            await agent.guard.lock("well", "leak")


async def test_without_a_guard_nothing_can_be_locked(bench: Bench) -> None:
    async with bench.listening(), bench.agent() as agent:
        with pytest.raises(GuardLost):
            await agent.guard.lock("v1", "leak")


def test_a_cause_that_is_not_known_here_is_an_interruption() -> None:
    assert by_cause("a newer guard's") == (_S.INTERRUPTED, "closed-by-guard")
    assert by_cause("deadline") == (_S.DONE, None)
