"""The agent over a real broker with a real guard: what a gateway hears, and what the valves do."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from contract.messages import (
    BootEvent,
    DecisionEvent,
    FaultEvent,
    Lane,
    Open,
    Origin,
    Outcome,
    PlanSource,
    Quantity,
    ValvePosition,
)
from contract.topics import Channel
from edge.config import RainGaugePart
from edge.hardware.fakes import FakeHardware
from irrigation.model import Dose, Entry, Result, Rule, Timetable
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Processes
from tests.unit.edge.board import Bench, farm_settings

pytestmark = pytest.mark.uses_broker
_farms = count(1)
_S = RunState


@pytest.fixture
def bench(tmp_path: Path, shared_mosquitto: Mosquitto, processes: Processes) -> Bench:
    return Bench(tmp_path, f"edge-farm-{next(_farms)}", shared_mosquitto.port, processes)


def entry(start: datetime, *, name: str = "e1", max_s: int = 1) -> Entry:
    return Entry(
        id=name,
        program_id="morning",
        zone_id="tea",
        node_id="board-1",
        channel="v1",
        due=start,
        start=start,
        max_s=max_s,
        dose=Dose(minutes=0.05),
        flow_l_min=8,
    )


def timetable(*entries: Entry, version: int = 1, valid: timedelta = timedelta(days=14)) -> Timetable:
    now = datetime.now(UTC)
    return Timetable(version=version, compiled_at=now, valid_until=now + valid, tz="UTC", entries=entries)


async def test_a_watering_is_told_at_every_step_and_ends_by_its_litres(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        command_id = await gateway.open("run-1", dose=Dose(litres=3.0))
        assert (await gateway.answered(command_id)).outcome is Outcome.ACCEPTED
        await gateway.reached("run-1", _S.OPEN)
        guard.wait_for("valve v1 open")
        bench.hardware.pulses(22).add(10)
        watering = await gateway.reached("run-1", _S.WATERING)
        assert watering.litres == 1.0
        bench.hardware.pulses(22).add(21)
        done = await gateway.reached("run-1", _S.DONE)
        assert gateway.states_of("run-1") == [_S.OPENING, _S.OPEN, _S.WATERING, _S.CLOSING, _S.DONE]
        assert done.litres == 3.1
        assert done.reason is None
        assert done.open_s is not None
        assert done.open_s > 0
        guard.wait_for("valve v1 closed", after=guard.number_of("valve v1 open"))


async def test_minutes_end_at_the_guard_s_deadline_without_anybody_s_help(bench: Bench) -> None:
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await gateway.open("run-1", channel="v2", max_s=0.5, dose=Dose(minutes=0.05))
        done = await gateway.reached("run-1", _S.DONE)
        assert done.open_s == pytest.approx(0.5, abs=0.3)
        assert done.litres is None


async def test_a_litre_dose_that_time_cuts_short_says_so(bench: Bench) -> None:
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await gateway.open("run-1", max_s=0.5, dose=Dose(litres=900.0))
        done = await gateway.reached("run-1", _S.DONE)
        assert done.reason is not None
        assert done.reason.code == "time-cap"


async def test_until_moisture_ends_when_the_zone_s_probe_shows_it(bench: Bench) -> None:
    bench.start_guard()
    bench.hardware.analog(0).share = 0.5  # 30 %
    async with bench.listening() as gateway, bench.agent():
        await gateway.say(Channel.CONFIG, farm_settings())
        await gateway.configured(1)
        await gateway.until(lambda: any(one.quantity is Quantity.SOIL_MOISTURE for one in gateway.readings))
        await gateway.open("run-1", dose=Dose(until_moisture_pct=36.0, max_minutes=0.5))
        await gateway.reached("run-1", _S.OPEN)
        bench.hardware.analog(0).share = 0.4  # 40 %
        assert (await gateway.reached("run-1", _S.DONE)).reason is None


async def test_stopped_by_a_person(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await gateway.open("run-1")
        await gateway.reached("run-1", _S.OPEN)
        command_id = await gateway.close("run-1")
        stopped = await gateway.reached("run-1", _S.STOPPED)
        assert stopped.reason is not None
        assert stopped.reason.params == {"actor": "hoa"}
        assert (await gateway.answered(command_id)).outcome is Outcome.DONE
        guard.wait_for("valve v1 closed", after=guard.number_of("valve v1 open"))


async def test_a_stop_that_overtakes_its_open_keeps_the_valve_shut(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        assert (await gateway.answered(await gateway.close("run-1"))).outcome is Outcome.DONE
        reply = await gateway.answered(await gateway.open("run-1"))
        assert reply.reason is not None
        assert (reply.outcome, reply.reason.code) == (Outcome.REFUSED, "stopped-before")
        assert "valve v1 open" not in guard.lines


async def test_close_all_closes_all_and_shows_it(bench: Bench) -> None:
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await gateway.open("run-1")
        await gateway.open("run-2", channel="v2")
        await gateway.reached("run-2", _S.OPEN)
        await gateway.close_all()
        for run_id in ("run-1", "run-2"):
            await gateway.reached(run_id, _S.STOPPED)
        await gateway.until(lambda: {valve.position for valve in gateway.states[-1].valves} == {ValvePosition.CLOSED})


async def test_close_all_shows_at_once_that_nothing_was_open(bench: Bench) -> None:
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await gateway.until(lambda: bool(gateway.states))
        asked_at = datetime.now(UTC)
        await gateway.close_all()
        await gateway.until(lambda: gateway.states[-1].at > asked_at)


async def test_a_repeated_command_gets_the_same_answer_and_no_second_action(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        command = Open(**gateway.order(run_id="run-1", zone_id="tea", channel="v2", max_s=0.3, dose=Dose(minutes=0.05)))
        await gateway.say(Channel.COMMAND, command)
        await gateway.reached("run-1", _S.DONE)
        await gateway.say(Channel.COMMAND, command)
        await gateway.until(lambda: len(gateway.answers(command.id)) == 2)
        first, second = gateway.answers(command.id)
        assert first == second
        assert guard.lines.count("valve v2 open") == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda now: {"issued_at": now - timedelta(minutes=2), "expires_at": now - timedelta(minutes=1)}, "expired"),
        (lambda _: {"channel": "v9"}, "unknown-channel"),
        (lambda _: {"max_s": 61.0}, "above-cap"),
        (lambda _: {"zone_id": "rice"}, "zone-mismatch"),
        (lambda _: {"channel": None, "max_s": None}, "incomplete-order"),
    ],
    ids=["expired", "unknown channel", "above the cap", "of another zone", "incomplete"],
)
async def test_an_order_that_must_not_open_is_refused_with_its_reason(
    bench: Bench, change: Callable[[datetime], dict[str, Any]], code: str
) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await gateway.say(Channel.CONFIG, farm_settings())
        await gateway.configured(1)
        reply = await gateway.answered(await gateway.open("run-1", **change(datetime.now(UTC))))
        assert reply.reason is not None
        assert (reply.outcome, reply.reason.code) == (Outcome.REFUSED, code)
        assert gateway.runs("run-1") == []
        assert "valve v1 open" not in guard.lines


async def test_the_farm_can_lower_a_cap_and_never_raise_it(bench: Bench) -> None:
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        for version, max_run_s, asked_s, cap_s in ((1, 10.0, 11.0, 10.0), (2, 600.0, 61.0, 60.0)):
            await gateway.say(Channel.CONFIG, farm_settings(version, max_run_s))
            await gateway.configured(version)
            reply = await gateway.answered(await gateway.open(f"run-{version}", max_s=asked_s))
            assert reply.reason is not None
            assert (reply.reason.code, reply.reason.params["max_s"]) == ("above-cap", cap_s)


async def test_a_due_watering_runs_once_however_often_its_timetable_comes(bench: Bench) -> None:
    guard = bench.start_guard()
    due = entry(datetime.now(UTC) - timedelta(seconds=1))
    async with bench.listening() as gateway, bench.agent():
        await gateway.say(Channel.TIMETABLE, timetable(due))
        done = await gateway.reached("run-e1", _S.DONE)
        assert (done.origin, done.entry_id, done.program_id) == (Origin.PROGRAM, "e1", "morning")
        await gateway.say(Channel.TIMETABLE, timetable(due, version=2))
        await gateway.until(lambda: gateway.states[-1].timetable_version == 2)
    async with bench.listening() as gateway, bench.agent() as agent:
        assert agent.plan.source() is PlanSource.TIMETABLE  # kept over a restart
        await gateway.answered(await gateway.close("run-of-nobody"))
    assert guard.lines.count("valve v1 open") == 1


async def test_a_start_in_the_future_is_waited_for_by_the_scheduler(bench: Bench) -> None:
    bench.start_guard()
    start = datetime.now(UTC) + timedelta(seconds=1.5)
    async with bench.listening() as gateway, bench.agent():
        await gateway.say(Channel.TIMETABLE, timetable(entry(start)))
        opening = await gateway.reached("run-e1", _S.OPENING)
        assert start <= opening.at < start + timedelta(seconds=1)
        await gateway.reached("run-e1", _S.DONE)


async def test_a_start_missed_by_more_than_the_grace_is_told_and_not_made_up(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await gateway.say(Channel.TIMETABLE, timetable(entry(datetime.now(UTC) - timedelta(seconds=960))))
        told: DecisionEvent = await gateway.until(
            lambda: next((event for event in gateway.events if isinstance(event, DecisionEvent)), None)
        )
        decision = told.decision
        assert (decision.id, decision.result, decision.rule) == ("e1", Result.SKIPPED, Rule.MISSED)
        assert decision.params["late_min"] == 16
    assert "valve v1 open" not in guard.lines


async def test_an_agent_that_dies_leaves_an_interrupted_run_to_its_next_life(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway:
        async with bench.agent() as agent:
            await gateway.open("run-1")
            await gateway.reached("run-1", _S.OPEN)
            bench.hardware.pulses(22).add(10)
            await gateway.reached("run-1", _S.WATERING)
            with agent.store.transaction():  # as every 2 s; this is what a SIGKILL would leave
                agent.waterings.note_progress()
            left = agent.store.open_leases()
            assert [(lease.order.run_id, lease.litres) for lease in left] == [("run-1", 1.0)]
        ended = await gateway.reached("run-1", _S.STOPPED)
        assert ended.reason is not None
        assert ended.reason.code == "agent-ended"
        with_guard = guard.number_of("valve v1 open")
        guard.wait_for("valve v1 closed", after=with_guard)


async def test_rain_that_fell_before_a_restart_is_told_after_it(bench: Bench) -> None:
    bench.start_guard()
    quiet = {"report_every_s": 3600.0, "rain_gauge": RainGaugePart(pin=27, mm_per_tip=0.2)}
    bench.settings = bench.settings.model_copy(update=quiet)

    def rain() -> list[float]:
        return [one.value or 0.0 for one in gateway.readings if one.quantity is Quantity.RAIN]

    async with bench.listening() as gateway:
        async with bench.agent():
            await gateway.until(rain)
            bench.hardware.pulses(27).add(3)
        bench.hardware = FakeHardware()  # a new process counts from 0
        async with bench.agent():
            await gateway.until(lambda: len(rain()) == 2)
    assert rain() == [0.0, pytest.approx(0.6)]


async def test_a_killed_guard_interrupts_the_run_and_nothing_opens_until_it_is_back(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await gateway.open("run-1")
        await gateway.reached("run-1", _S.OPEN)
        guard.kill()
        interrupted = await gateway.reached("run-1", _S.INTERRUPTED)
        assert interrupted.reason is not None
        assert interrupted.reason.code == "guard-lost"
        await gateway.until(lambda: gateway.states[-1].valves[0].position is ValvePosition.UNKNOWN)
        reply = await gateway.answered(await gateway.open("run-2"))
        assert reply.reason is not None
        assert reply.reason.code == "guard-lost"
        again = bench.start_guard()
        await gateway.until(lambda: gateway.states[-1].valves[0].position is ValvePosition.CLOSED)
        await gateway.open("run-3", max_s=0.3, dose=Dose(minutes=0.05))
        await gateway.reached("run-3", _S.DONE)
        again.wait_for("valve v1 open")


async def test_a_valve_that_does_not_close_is_a_fault_and_blocks_opens_until_it_does(bench: Bench) -> None:
    bench.start_guard()
    stuck = bench.path.parent / "stuck"
    async with bench.listening() as gateway, bench.agent():
        await gateway.open("run-1")
        await gateway.reached("run-1", _S.OPEN)
        stuck.touch()
        await gateway.close("run-1")
        await gateway.until(lambda: gateway.states[-1].valves[0].position is ValvePosition.CLOSE_FAILED)
        assert gateway.states_of("run-1")[-1] is _S.CLOSING  # never recorded as closed
        reply = await gateway.answered(await gateway.open("run-2", channel="v2"))
        assert reply.reason is not None
        assert reply.reason.code == "close-failed"
        stuck.unlink()
        stopped = await gateway.reached("run-1", _S.STOPPED)
        assert stopped.open_s is not None
        assert stopped.open_s > 0
        faults = [event for event in gateway.events if isinstance(event, FaultEvent)]
        assert [(fault.code, fault.cleared) for fault in faults] == [("close-failed", False), ("close-failed", True)]


async def test_pulse_clicks_a_valve_and_restart_waits_until_nothing_waters(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await gateway.open("run-1")
        await gateway.reached("run-1", _S.OPEN)
        busy = await gateway.answered(await gateway.pulse("v1"))
        assert busy.reason is not None
        assert busy.reason.code == "zone-busy"
        assert (await gateway.answered(await gateway.pulse("v2"))).outcome is Outcome.ACCEPTED
        guard.wait_for("valve v2 open")
        refused = await gateway.answered(await gateway.restart())
        assert refused.reason is not None
        assert refused.reason.code == "watering"


async def test_what_was_measured_is_delivered_once_and_leaves_the_outbox(bench: Bench) -> None:
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent() as agent:
        await gateway.until(lambda: len([one for one in gateway.readings if one.sensor == "soil-1"]) >= 2)
        await gateway.until(lambda: any(isinstance(event, BootEvent) for event in gateway.events))
        await gateway.answered(await gateway.close("run-of-nobody"))
        async with asyncio.timeout(10):
            while agent.outbox.depth(Lane.EVENTS):
                await asyncio.sleep(0.01)  # the acknowledgement is on its way
        times = [one.at for one in gateway.readings if one.sensor == "soil-1"]
        assert len(set(times)) == len(times)


async def test_a_due_watering_above_the_board_s_cap_is_refused_once_with_its_reason(bench: Bench) -> None:
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent() as agent:
        await gateway.say(Channel.TIMETABLE, timetable(entry(datetime.now(UTC), max_s=61)))
        refused = await gateway.reached("run-e1", _S.REFUSED)
        assert refused.reason is not None
        assert refused.reason.code == "above-cap"
        agent.plan.look()
        await gateway.answered(await gateway.close("run-of-nobody"))
        assert gateway.states_of("run-e1") == [_S.REFUSED]


async def test_a_due_watering_waits_for_a_guard_and_runs_when_it_is_back(bench: Bench) -> None:
    async with bench.listening() as gateway, bench.agent():
        await gateway.say(Channel.TIMETABLE, timetable(entry(datetime.now(UTC))))
        await gateway.until(lambda: bool(gateway.states) and gateway.states[-1].timetable_version == 1)
        assert gateway.runs("run-e1") == []
        bench.start_guard()
        await gateway.reached("run-e1", _S.DONE)


async def test_when_the_timetable_has_run_out_the_board_says_that_it_waters_by_the_base_plan(bench: Bench) -> None:
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent():
        await gateway.say(Channel.TIMETABLE, timetable(valid=timedelta(seconds=-1)))
        await gateway.until(lambda: bool(gateway.states) and gateway.states[-1].plan is PlanSource.BASE)
