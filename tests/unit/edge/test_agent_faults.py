"""What goes wrong on a board: each fault is injected, and the valves are watched while it lasts."""

import asyncio
import signal
import sys
import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from contract.link import Incoming
from contract.messages import BootEvent, FaultEvent, Open, Outcome
from contract.store import open_database
from contract.topics import Address, Channel
from edge.app import DATABASE
from edge.control.order import Order
from edge.store import Store
from irrigation.model import Dose
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Process, Processes
from tests.unit.edge.board import ROOT, Bench
from tests.unit.edge.control.orders import order

pytestmark = pytest.mark.uses_broker
_farms = count(1)
_S = RunState


@pytest.fixture
def bench(tmp_path: Path, shared_mosquitto: Mosquitto, processes: Processes) -> Bench:
    return Bench(tmp_path, f"fault-farm-{next(_farms)}", shared_mosquitto.port, processes)


def seed(bench: Bench, lease: Order, *, used_s: float | None = None) -> None:
    """Leave a lease in the board's store, as the last life of the agent would: open, or ended after `used_s`."""
    store = Store(open_database(bench.settings.state_dir / DATABASE))
    now = datetime.now(UTC)
    store.begin_lease(lease)
    store.lease_opened(lease.run_id, now)
    store.note_progress(lease.run_id, 4.5, 12.0)
    if used_s is not None:
        store.end_lease(lease, now, used_s)
    store.db.close()


async def test_a_lease_of_the_last_life_is_reported_interrupted_and_never_opens_again(bench: Bench) -> None:
    seed(bench, order(run_id="run-0"))
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        ended = await gateway.reached("run-0", _S.INTERRUPTED)
        assert ended.reason is not None
        assert (ended.reason.code, ended.litres, ended.open_s) == ("restarted", 4.5, 12.0)
        reply = await gateway.answered(await gateway.open("run-0"))
        assert reply.reason is not None
        assert reply.reason.code == "stopped-before"
        assert "valve v1 open" not in guard.lines


async def test_what_was_open_before_a_restart_counts_for_the_day(bench: Bench) -> None:
    seed(bench, order(run_id="run-0"), used_s=90.0)
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        reply = await gateway.answered(await gateway.open("run-1"))
        assert reply.reason is not None
        assert reply.reason.code == "daily-cap"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
async def test_the_guard_closes_within_3_s_of_an_agent_that_is_dead_or_frozen(
    bench: Bench, processes: Processes, how: signal.Signals
) -> None:
    text = bench.path.read_text()
    bench.path.write_text(text[: text.index("[[probe]]")])  # gpiozero's mock pins have no converter
    guard = bench.start_guard()

    def start() -> Process:
        argv = (sys.executable, "-m", "tuoi", "edge", "agent", "--config", bench.path)
        return processes.start(*argv, cwd=ROOT, name="agent")

    async with bench.listening() as gateway:
        agent = start()
        await gateway.until(lambda: gateway.hellos)
        await gateway.open("run-1")
        await gateway.reached("run-1", _S.OPEN)
        opened = guard.lines.index("valve v1 open")
        begun_s = time.monotonic()
        agent.signal(how)
        await asyncio.to_thread(guard.wait_for, "valve v1 closed", after=opened)
        assert time.monotonic() - begun_s < 3
        agent.kill()
        start()
        ended = await gateway.reached("run-1", _S.INTERRUPTED)
        assert ended.reason is not None
        assert ended.reason.code == "restarted"
        boots = [event for event in gateway.events if isinstance(event, BootEvent)]
        assert [boot.why for boot in boots] == ["start", "crash"]
        assert guard.lines.count("valve v1 open") == 1


async def test_a_guard_that_hangs_is_killed_so_that_it_is_started_anew(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await gateway.open("run-1")
        await gateway.reached("run-1", _S.OPEN)
        begun_s = time.monotonic()
        guard.signal(signal.SIGSTOP)
        assert await asyncio.to_thread(guard.wait) == -signal.SIGKILL
        assert time.monotonic() - begun_s < 3
        ended = await gateway.reached("run-1", _S.INTERRUPTED)
        assert ended.reason is not None
        assert ended.reason.code == "guard-lost"


async def test_a_part_that_raises_closes_the_valves_is_told_and_begun_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def bug(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug in the agent")

    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent() as agent:
        await gateway.open("run-1")
        await gateway.reached("run-1", _S.OPEN)
        with monkeypatch.context() as patch:
            patch.setattr(agent.instruments, "read_all", bug)
            fault: FaultEvent = await gateway.until(
                lambda: next((event for event in gateway.events if isinstance(event, FaultEvent)), None)
            )
            assert (fault.code, fault.params) == ("part-failed", {"part": "sample"})
            ended = await gateway.reached("run-1", _S.STOPPED)
            assert ended.reason is not None
            assert ended.reason.code == "part-failed"
            guard.wait_for("valve v1 closed", after=guard.lines.index("valve v1 open"))
        before = len(gateway.readings)
        await gateway.until(lambda: len(gateway.readings) > before)


async def test_a_bug_in_a_driver_costs_its_probe_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug() -> float:
        raise RuntimeError("a bug in a driver")

    bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        monkeypatch.setattr(bench.hardware.analog(0), "read", bug)
        await gateway.open("run-1", max_s=2.5)
        ended = await gateway.reached("run-1", _S.DONE)
        assert ended.reason is None
        assert not [event for event in gateway.events if isinstance(event, FaultEvent) and event.code == "part-failed"]


async def test_a_retained_order_opens_nothing(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent() as agent:
        command = Open(**gateway.order(run_id="run-1", zone_id="tea", channel="v1", max_s=5.0, dose=Dose(minutes=1.0)))
        address = Address(gateway.farm_id, "board-1", Channel.COMMAND)
        await agent.on_message(Incoming(address=address, message=command, retained=True))
        reply = await gateway.answered(command.id)
        assert reply.reason is not None
        assert (reply.outcome, reply.reason.code) == (Outcome.REFUSED, "retained")
        assert "valve v1 open" not in guard.lines


async def test_a_corrupt_database_is_set_aside_and_the_board_goes_on(bench: Bench) -> None:
    bench.settings.state_dir.mkdir(parents=True)
    (bench.settings.state_dir / DATABASE).write_bytes(b"not a database at all" * 500)
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        fault: FaultEvent = await gateway.until(
            lambda: next((event for event in gateway.events if isinstance(event, FaultEvent)), None)
        )
        assert fault.code == "database-replaced"
        assert str(fault.params["file"]).startswith(f"{DATABASE}.corrupt-")
        await gateway.open("run-1", channel="v2", max_s=0.3, dose=Dose(minutes=0.05))
        await gateway.reached("run-1", _S.DONE)
