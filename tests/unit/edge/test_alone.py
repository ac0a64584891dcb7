"""A board that does not know the time, or whose time jumps: what it waters by, what it tells, and never twice."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from contract.clock import Clock
from contract.messages import DecisionEvent, Origin, PlanSource, RunEvent
from contract.topics import Channel
from edge.control.schedule import WAIT_S
from irrigation.model import BaseEntry, Dose, Result, Rule, Timetable, Weekly
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Processes
from tests.unit.edge.board import Bench, Gateway
from tests.unit.edge.test_agent import entry, timetable

pytestmark = pytest.mark.uses_broker
_farms = count(1)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def bench(tmp_path: Path, shared_mosquitto: Mosquitto, processes: Processes) -> Bench:
    return Bench(tmp_path, f"alone-farm-{next(_farms)}", shared_mosquitto.port, processes)


class Machine:
    """The board's own clocks. The real seconds of the test pass on both; more are added by the test."""

    def __init__(self) -> None:
        self.steps = timedelta(0)
        self.slept_s = 0.0
        self.kept = False

    def make(self, last_known: datetime | None) -> Clock:
        return Clock(
            last_known,
            lambda: datetime.now(UTC) + self.steps,
            monotonic=lambda: time.monotonic() + self.slept_s,
            kept=lambda: self.kept,
        )

    def wake_in_1970(self) -> None:
        self.steps = datetime(1970, 1, 1, tzinfo=UTC) - datetime.now(UTC)

    def passes(self, span: timedelta) -> None:
        self.steps += span
        self.slept_s += span.total_seconds()


def base(start: datetime, *, tz: str = "UTC", ran_out: timedelta = HOUR) -> Timetable:
    """Return a timetable that ran out a while ago, with a base plan that waters every day at that moment's time."""
    line = BaseEntry(
        program_id="morning",
        zone_id="tea",
        node_id="board-1",
        channel="v1",
        calendar=Weekly(days=(1, 2, 3, 4, 5, 6, 7)),
        start=start.time().replace(microsecond=0, tzinfo=None),
        max_s=1,
        dose=Dose(minutes=0.05),
        flow_l_min=8,
    )
    return replace(timetable(valid=-ran_out), base=(line,), tz=tz)


async def decided(gateway: Gateway, entry_id: str) -> DecisionEvent:
    found: DecisionEvent = await gateway.until(
        lambda: next(
            (one for one in gateway.events if isinstance(one, DecisionEvent) and one.decision.id == entry_id), None
        )
    )
    return found


async def held_by(gateway: Gateway, version: int) -> None:
    await gateway.until(lambda: bool(gateway.states) and gateway.states[-1].timetable_version == version)


async def test_a_board_that_wakes_in_1970_waits_and_then_keeps_its_plan_by_the_last_known_time(bench: Bench) -> None:
    machine = Machine()
    guard = bench.start_guard()
    async with bench.listening() as gateway:
        async with bench.agent(machine.make):
            due = entry(datetime.now(UTC) + timedelta(seconds=WAIT_S))
            await gateway.say(Channel.TIMETABLE, timetable(due))
            await held_by(gateway, 1)
        machine.wake_in_1970()
        async with bench.agent(machine.make) as agent:
            state = await gateway.until(lambda: gateway.states[-1] if not gateway.states[-1].clock_trusted else None)
            assert state.plan is PlanSource.NONE
            assert state.at > datetime.now(UTC) - timedelta(seconds=10)  # not 1970: the last known time and what passed
            machine.passes(timedelta(seconds=WAIT_S))
            agent.plan.look()
            opening: RunEvent = await gateway.reached("run-e1", RunState.OPENING)
            assert not opening.clock_trusted
            assert opening.at >= due.start
            await gateway.until(lambda: gateway.states[-1].plan is PlanSource.FALLBACK)
            await gateway.reached("run-e1", RunState.DONE)
            machine.steps = timedelta(seconds=machine.slept_s)  # the network is back, and with it the time
            agent.plan.look()
            await gateway.until(lambda: gateway.states[-1].plan is PlanSource.TIMETABLE)
    assert guard.lines.count("valve v1 open") == 1


async def test_a_board_whose_clock_ran_ahead_and_was_set_right_by_hand_waters_on_time_the_next_day(
    bench: Bench,
) -> None:
    machine = Machine()
    machine.steps = 6 * HOUR
    bench.start_guard()
    async with bench.listening() as gateway:
        gateway.tells_time = True
        async with bench.agent(machine.make) as agent:
            await gateway.until(lambda: bool(gateway.states))
            machine.steps = timedelta(0)  # a person sets it right; nobody keeps it so
            tomorrow = entry(datetime.now(UTC) + 24 * HOUR)
            await gateway.say(Channel.TIMETABLE, timetable(tomorrow, valid=48 * HOUR))
            await gateway.until(lambda: agent.clock.now() - datetime.now(UTC) < HOUR)
            assert agent.clock.trusted()
            machine.passes(18 * HOUR)  # when its clock that ran ahead would have shown the start
            await gateway.say(Channel.TIMETABLE, timetable(tomorrow, valid=48 * HOUR, version=2))  # and it looks
            state = await gateway.until(
                lambda: gateway.states[-1] if gateway.states[-1].at > tomorrow.start - 7 * HOUR else None
            )
            assert state.plan is PlanSource.TIMETABLE
            assert not gateway.runs("run-e1")
            machine.passes(6 * HOUR)
            agent.plan.look()
            await gateway.reached("run-e1", RunState.DONE)


async def test_a_board_without_a_clock_gets_on_through_nights_without_power(bench: Bench) -> None:
    machine = Machine()
    machine.wake_in_1970()
    bench.start_guard()
    async with bench.listening() as gateway:
        async with bench.agent(machine.make) as agent:
            await gateway.say(Channel.TIMETABLE, timetable(entry(datetime.now(UTC) + 10 * HOUR)))
            await held_by(gateway, 1)
            machine.passes(6 * HOUR)
            first = agent.clock.now()
        machine.wake_in_1970()
        async with bench.agent(machine.make) as agent:
            machine.passes(6 * HOUR)
            assert agent.clock.now() - first >= 6 * HOUR - SECOND
            agent.plan.look()
            decision = (await decided(gateway, "e1")).decision  # 12 hours on by its own count: missed two hours ago
            assert (decision.rule, decision.params["late_min"]) == (Rule.MISSED, 120.0)


async def test_a_clock_that_jumps_ahead_tells_what_was_missed_and_one_that_jumps_back_waters_nothing_twice(
    bench: Bench,
) -> None:
    machine = Machine()
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent(machine.make) as agent:
        now = datetime.now(UTC)
        first, second, third = (
            replace(entry(now + offset, name=name), due=now + offset)
            for offset, name in ((-SECOND, "e1"), (timedelta(minutes=5), "e2"), (5 * HOUR, "e3"))
        )
        await gateway.say(Channel.TIMETABLE, timetable(first, second, third))
        await gateway.reached("run-e1", RunState.DONE)
        machine.steps += timedelta(minutes=10)  # a gap of less than 900 s is made up
        agent.plan.look()
        await gateway.reached("run-e2", RunState.DONE)
        machine.steps += 6 * HOUR
        agent.plan.look()
        decision = (await decided(gateway, "e3")).decision
        assert (decision.result, decision.rule) == (Result.SKIPPED, Rule.MISSED)
        machine.steps = timedelta(0)
        agent.plan.look()
        await gateway.until(lambda: not gateway.states[-1].clock_trusted)
        machine.passes(5 * HOUR)
        agent.plan.look()
        await gateway.until(lambda: gateway.states[-1].plan is PlanSource.FALLBACK)
        assert [gateway.states_of(f"run-{name}").count(RunState.OPEN) for name in ("e1", "e2", "e3")] == [1, 1, 0]
    assert guard.lines.count("valve v1 open") == 2


async def test_a_lease_under_way_keeps_its_seconds_whatever_the_clock_does(bench: Bench) -> None:
    machine = Machine()
    machine.kept = True  # by NTP, so that it is believed again after each step
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent(machine.make):
        for number, step in enumerate((timedelta(days=3650), timedelta(days=-3650), -HOUR)):
            await gateway.open(f"run-{number}", channel="v2", max_s=1.0, dose=Dose(minutes=0.05))
            await gateway.reached(f"run-{number}", RunState.OPEN)
            machine.steps += step
            done = await gateway.reached(f"run-{number}", RunState.DONE)
            assert done.open_s == pytest.approx(1.0, abs=0.5)
            machine.steps = timedelta(0)


async def test_the_base_plan_waters_once_a_day_over_restarts_and_a_change_of_time_zone(bench: Bench) -> None:
    guard = bench.start_guard()
    start = datetime.now(UTC) + 2 * SECOND
    async with bench.listening() as gateway:
        async with bench.agent():
            await gateway.say(Channel.TIMETABLE, base(start))
            done: RunEvent = await gateway.until(
                lambda: next(
                    (one for one in gateway.events if isinstance(one, RunEvent) and one.state is RunState.DONE), None
                )
            )
            assert done.origin is Origin.BASE_PLAN
        async with bench.agent() as agent:
            agent.plan.look()
            # An hour to the west: the same local time comes once more today.
            west = replace(base(start, tz="Etc/GMT+1"), version=2)
            await gateway.say(Channel.TIMETABLE, west)
            await held_by(gateway, 2)
            # To the east it was an hour ago, and five minutes ago for a program that it has made due then.
            east = replace(base(datetime.now(UTC) + HOUR - timedelta(minutes=5), tz="Etc/GMT-1"), version=3)
            await gateway.say(Channel.TIMETABLE, east)
            await held_by(gateway, 3)
            agent.plan.look()
            await gateway.answered(await gateway.close("run-of-nobody"))
            runs = {one.run_id for one in gateway.events if isinstance(one, RunEvent) and one.run_id != "run-of-nobody"}
            assert runs == {done.run_id}
    assert guard.lines.count("valve v1 open") == 1
