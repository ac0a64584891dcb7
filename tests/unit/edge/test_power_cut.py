"""Power cut at every step of an open, both processes killed at once: afterwards all is closed, told once, and counted."""

import asyncio
import signal
import sys
from itertools import count
from pathlib import Path

import pytest

from contract.messages import MAX_COMMAND_LIFE, Open, Outcome, RunEvent
from contract.topics import Channel
from irrigation.model import Dose
from irrigation.run import ENDS, RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Process, Processes
from tests.unit.edge.board import ROOT, Bench

pytestmark = pytest.mark.uses_broker
_farms = count(1)

STEPS = (
    "lease is written",
    "agent asks",
    "guard drives",
    "guard has driven",
    "guard has answered",
    "opened is written",
    "opened is committed",
    "answer is written",
    "answer is committed",
    "progress is written",
    "guard closes",
    "guard has closed",
    "end is written",
    "end is committed",
)
"""All that happens between an order and its end, in order: what is written, asked, driven, answered and closed."""
NEVER_BEGAN = {"lease is written"}
ANSWERED = STEPS[STEPS.index("answer is committed") :]
ENDED = {"end is committed"}
RUN = "run-1"


@pytest.fixture
def bench(tmp_path: Path, shared_mosquitto: Mosquitto, processes: Processes) -> Bench:
    return Bench(tmp_path, f"cut-farm-{next(_farms)}", shared_mosquitto.port, processes)


def start(bench: Bench, processes: Processes, role: str, step: str) -> Process:
    return processes.start(sys.executable, "-m", "tests.unit.edge.cut", role, bench.path, step, cwd=ROOT, name=role)


@pytest.mark.parametrize("step", STEPS)
async def test_after_a_power_cut_the_line_is_closed_the_lease_void_and_the_run_told_and_counted_once(
    bench: Bench, processes: Processes, step: str
) -> None:
    async with bench.listening() as gateway:
        fields = gateway.order(run_id=RUN, zone_id="tea", channel="v1", max_s=4.0, dose=Dose(minutes=0.06))
        command = Open(**{**fields, "expires_at": fields["issued_at"] + MAX_COMMAND_LIFE})
        first = start(bench, processes, "guard", step)
        first.wait_for("guard ready")
        agent = start(bench, processes, "agent", step)
        await gateway.until(lambda: gateway.hellos)
        await gateway.say(Channel.COMMAND, command)
        assert await asyncio.to_thread(agent.wait, 20) == -signal.SIGKILL
        assert await asyncio.to_thread(first.wait) == -signal.SIGKILL

        guard = bench.start_guard()
        assert guard.lines[0] == "valve v1 closed"
        async with bench.agent() as reborn:
            assert step in NEVER_BEGAN or reborn.store.open_leases() == []  # the broker has brought the order again
            said_before = gateway.answers(command.id)
            await gateway.say(Channel.COMMAND, command)  # as the gateway does until it has heard an answer
            again = await gateway.until(lambda: gateway.answers(command.id)[len(said_before) :])
            if step in NEVER_BEGAN:
                assert again[0].outcome is Outcome.ACCEPTED
                end = await gateway.reached(RUN, RunState.DONE)
                assert guard.lines.count("valve v1 open") == 1
            else:
                end = await gateway.reached(RUN, RunState.DONE if step in ENDED else RunState.INTERRUPTED)
                assert "valve v1 open" not in guard.lines
                assert again[0].outcome is (Outcome.ACCEPTED if step in ANSWERED else Outcome.REFUSED)
            assert not said_before or said_before[0] == again[0]
            counted_s = reborn.store.used_s("v1", reborn.clock.now())
            opened_s = end.open_s or 0.0
            assert opened_s <= counted_s <= 4.5
            assert counted_s > 0
            await gateway.answered(await gateway.close("run-of-nobody"))
        async with bench.agent():
            await gateway.answered(await gateway.close("run-of-nobody"))
        ends = [one for one in gateway.events if isinstance(one, RunEvent) and one.run_id == RUN and one.state in ENDS]
        assert len(ends) == 1


async def test_a_power_cut_while_the_interruption_is_written_down_tells_it_once(
    bench: Bench, processes: Processes
) -> None:
    async with bench.listening() as gateway:
        for step in ("progress is written", "end is written"):
            guard = start(bench, processes, "guard", step)
            guard.wait_for("guard ready")
            agent = start(bench, processes, "agent", step)
            if step == "progress is written":
                await gateway.until(lambda: gateway.hellos)
                await gateway.open(RUN, max_s=10.0)
            assert await asyncio.to_thread(agent.wait, 20) == -signal.SIGKILL
            assert await asyncio.to_thread(guard.wait) == -signal.SIGKILL
        bench.start_guard()
        async with bench.agent():
            await gateway.reached(RUN, RunState.INTERRUPTED)
            await gateway.answered(await gateway.close("run-of-nobody"))
        assert gateway.states_of(RUN).count(RunState.INTERRUPTED) == 1
