"""What goes wrong on a board: each fault is injected, and the valves are watched while it lasts."""

import asyncio
import signal
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish

from contract.link import Incoming
from contract.messages import BootEvent, FaultEvent, Open, Outcome
from contract.store import open_database
from contract.topics import Address, Channel, topic
from edge.app import DATABASE
from edge.control.order import Order
from edge.store import Store
from irrigation.model import Dose
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Process, Processes
from tests.unit.edge.board import ROOT, Bench
from tests.unit.edge.control.orders import order
from tests.unit.edge.test_agent import entry, timetable

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
        opened = guard.number_of("valve v1 open")
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
            guard.wait_for("valve v1 closed", after=guard.number_of("valve v1 open"))
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


async def test_a_plan_that_raises_closes_the_valves_is_told_and_waters_again_by_the_next(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent() as agent:
        await gateway.open("run-1")
        await gateway.reached("run-1", _S.OPEN)
        nowhere = replace(timetable(valid=timedelta(hours=-1)), tz="Moon/Tranquility")
        await gateway.say(Channel.TIMETABLE, nowhere)
        fault = await gateway.told("part-failed")
        assert fault.params == {"part": "plan"}
        await gateway.reached("run-1", _S.STOPPED)
        guard.wait_for("valve v1 closed", after=guard.number_of("valve v1 open"))
        await gateway.say(Channel.TIMETABLE, timetable(entry(datetime.now(UTC)), version=2))
        await gateway.reached("run-e1", _S.DONE)
        agent._supervisor._well("plan")  # as the loop does after a minute without a failure
        await gateway.told("part-failed", cleared=True)


async def test_an_event_loop_that_hangs_ends_the_agent_after_the_guard_has_closed(
    bench: Bench, processes: Processes
) -> None:
    guard = bench.start_guard()
    hang = bench.path.parent / "hang"
    agent = processes.start(sys.executable, "-m", "tests.unit.edge.hanging", bench.path, hang, cwd=ROOT, name="agent")
    async with bench.listening() as gateway:
        await gateway.until(lambda: gateway.hellos)
        await gateway.open("run-1")
        await gateway.reached("run-1", _S.OPEN)
        hang.touch()
        await asyncio.to_thread(guard.wait_for, "valve v1 closed", after=guard.number_of("valve v1 open"))
        assert await asyncio.to_thread(agent.wait) == 1
        assert "Timeout" in agent.output
        assert "in count" in agent.output  # where it hung
        async with bench.agent():
            ended = await gateway.reached("run-1", _S.INTERRUPTED)
            assert ended.reason is not None
            assert ended.reason.code == "restarted"


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


async def test_the_broker_s_own_store_opens_nothing_a_retained_order_is_refused_when_it_comes(bench: Bench) -> None:
    guard = bench.start_guard()
    order_ = Open(**bench.gateway.order(run_id="run-1", zone_id="tea", channel="v1", max_s=5.0, dose=Dose(minutes=1.0)))
    name = topic(bench.gateway.farm_id, "board-1", Channel.COMMAND)
    port = bench.settings.mqtt.port
    await asyncio.to_thread(publish.single, name, order_.model_dump_json(), qos=1, retain=True, port=port)
    async with bench.listening() as gateway, bench.agent():
        reply = await gateway.answered(order_.id)
        assert reply.reason is not None
        assert (reply.outcome, reply.reason.code) == (Outcome.REFUSED, "retained")
    assert "valve v1 open" not in guard.lines


async def test_an_order_replayed_after_a_restart_gets_its_old_answer_and_opens_nothing(bench: Bench) -> None:
    guard = bench.start_guard()
    command = Open(
        **bench.gateway.order(run_id="run-1", zone_id="tea", channel="v2", max_s=0.3, dose=Dose(minutes=0.05))
    )
    async with bench.listening() as gateway:
        async with bench.agent():
            await gateway.say(Channel.COMMAND, command)
            await gateway.reached("run-1", _S.DONE)
            first = await gateway.answered(command.id)
        async with bench.agent():
            await gateway.say(Channel.COMMAND, command)
            await gateway.until(lambda: len(gateway.answers(command.id)) == 2)
            assert gateway.answers(command.id) == [first, first]
            other = command.model_copy(update={"id": "c-other"})  # the same run under another order's name
            await gateway.say(Channel.COMMAND, other)
            reply = await gateway.answered("c-other")
            assert reply.reason is not None
            assert (reply.outcome, reply.reason.code) == (Outcome.REFUSED, "stopped-before")
    assert guard.lines.count("valve v2 open") == 1


async def test_an_order_for_another_board_and_an_older_timetable_change_nothing(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent() as agent:
        command = Open(**gateway.order(run_id="run-1", zone_id="tea", channel="v1", max_s=5.0, dose=Dose(minutes=1.0)))
        await gateway.link.publish(gateway.farm_id, "board-2", Channel.COMMAND, command)
        old = timetable(entry(datetime.now(UTC)), version=1)
        await gateway.say(Channel.TIMETABLE, timetable(version=2))
        await gateway.say(Channel.TIMETABLE, old)
        await gateway.answered(await gateway.close("run-of-nobody"))  # whatever came before it has been handled
        assert agent.plan.timetable is not None
        assert agent.plan.timetable.version == 2
        assert gateway.runs("run-1") == gateway.runs("run-e1") == []
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
