"""board.toml read again while the board lives: what is watered stays as it is, a broken file changes nothing."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from contract.messages import FaultEvent, Quantity, Reading
from edge.app import Agent
from edge.cli import read_board
from irrigation.model import Dose
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Processes
from tests.unit.edge.board import ROOT, Bench, Gateway

pytestmark = pytest.mark.uses_broker
_farms = count(1)
_S = RunState


@pytest.fixture
def bench(tmp_path: Path, shared_mosquitto: Mosquitto, processes: Processes) -> Bench:
    return Bench(tmp_path, f"reload-farm-{next(_farms)}", shared_mosquitto.port, processes)


@pytest.fixture(autouse=True)
def _level_as_it_was() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


def write(bench: Bench, *pairs: tuple[str, str]) -> None:
    text = bench.path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    bench.path.write_text(text)


def reread(bench: Bench, agent: Agent) -> None:
    """What SIGHUP does."""
    agent.reread(lambda: read_board(bench.path))


def faults(gateway: Gateway) -> list[tuple[str, bool]]:
    return [(one.code, one.cleared) for one in gateway.events if isinstance(one, FaultEvent)]


async def moisture(gateway: Gateway, value: float) -> Reading:
    """Return the first reading of the probe that shows this."""
    found: Reading = await gateway.until(
        lambda: next(
            (one for one in gateway.readings if one.quantity is Quantity.SOIL_MOISTURE and one.value == value), None
        )
    )
    return found


async def test_a_probe_s_calibration_is_taken_at_once_and_read_by_it(bench: Bench) -> None:
    write(bench, ("report_every_s = 1", "report_every_s = 3600"))
    bench.settings = read_board(bench.path)
    bench.hardware.analog(0).share = 0.5
    bench.start_guard()
    async with bench.listening() as gateway, bench.agent() as agent:
        await moisture(gateway, 30.0)
        write(bench, ("[[0.2, 60.0], [0.8, 0.0]]", "[[0.2, 40.0], [0.8, 0.0]]"))
        reread(bench, agent)
        await moisture(gateway, 20.0)  # not an hour later
        assert faults(gateway) == []


@pytest.mark.parametrize(
    "broken",
    [("pin = 17", "pin = 170"), ("[[valve]]", "[[valve"), ("points = [[0.2, 60.0]", "points = [[0.9, 60.0]")],
    ids=["value", "not-toml", "falls"],
)
async def test_a_broken_file_during_a_watering_changes_nothing_and_is_told_once(
    bench: Bench, broken: tuple[str, str]
) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent() as agent:
        await gateway.open("run-1", dose=Dose(litres=3.0))
        await gateway.reached("run-1", _S.OPEN)
        good, before = bench.path.read_text(), agent.settings
        write(bench, broken)
        reread(bench, agent)
        reread(bench, agent)
        await gateway.until(lambda: faults(gateway))
        assert agent.settings is before
        bench.path.write_text(good)
        reread(bench, agent)
        await gateway.until(lambda: ("config-refused", True) in faults(gateway))
        assert faults(gateway) == [("config-refused", False), ("config-refused", True)]
        bench.hardware.pulses(22).add(30)
        done = await gateway.reached("run-1", _S.DONE)
        assert done.litres == 3.0
        assert [line for line in guard.lines if line.startswith("valve v1 ")][-2:] == [
            "valve v1 open",
            "valve v1 closed",
        ]


async def test_a_fault_of_the_file_is_cleared_by_a_start_with_a_good_one(bench: Bench) -> None:
    bench.start_guard()
    async with bench.listening() as gateway:
        async with bench.agent() as agent:
            good = bench.path.read_text()
            bench.path.write_text("")
            reread(bench, agent)
            await gateway.until(lambda: faults(gateway))
        bench.path.write_text(good)
        async with bench.agent():
            await gateway.until(lambda: ("config-refused", True) in faults(gateway))


async def test_a_watering_under_way_is_counted_to_its_end_as_it_was_begun(bench: Bench) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway, bench.agent() as agent:
        await gateway.open("run-1", dose=Dose(litres=3.0))
        await gateway.reached("run-1", _S.OPEN)
        bench.hardware.pulses(22).add(10)
        await gateway.reached("run-1", _S.WATERING)
        write(
            bench, ("pulses_per_litre = 10", "pulses_per_litre = 1"), ("pin = 17", "pin = 5"), ("pin = 18", "pin = 6")
        )
        reread(bench, agent)
        assert agent.settings.valve[0].meter is not None
        assert agent.settings.valve[0].meter.pulses_per_litre == 10
        bench.hardware.pulses(22).add(20)
        done = await gateway.reached("run-1", _S.DONE)
        assert done.litres == 3.0
        assert gateway.states_of("run-1") == [_S.OPENING, _S.OPEN, _S.WATERING, _S.CLOSING, _S.DONE]
        # Now it is taken; the pins stay, and what was counted stays.
        assert agent.settings.valve[0].meter.pulses_per_litre == 1
        assert [valve.pin for valve in agent.settings.valve] == [17, 18]
        assert agent.instruments.meters["v1"].litres() == 3.0
        bench.hardware.pulses(22).add(2)
        assert agent.instruments.meters["v1"].litres() == 5.0
        assert guard.lines.count("valve v1 open") == 1
        assert "valve v2 open" not in guard.lines


async def test_what_needs_a_restart_is_named(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.start_guard()
    async with bench.listening(), bench.agent() as agent:
        write(bench, ("max_open_s = 60", "max_open_s = 600"), ("max_day_s = 100", "max_day_s = 1000"))
        reread(bench, agent)
        assert agent.settings.valve[0].max_open_s == 60
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == ["these settings need a restart of agent and guard fields=valve.v1.max_open_s,valve.v1.max_day_s"]


NO_PROBE = ('[[probe]]\nsensor = "soil-1"\nadc = 0\npoints = [[0.2, 60.0], [0.8, 0.0]]\n', "")


async def test_the_service_manager_hears_ready_alive_reloading_and_the_end(
    bench: Bench, processes: Processes, tmp_path: Path
) -> None:
    write(bench, NO_PROBE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(0)

        async def hear(wanted: str) -> None:
            async with asyncio.timeout(20):
                while wanted not in (await asyncio.get_running_loop().sock_recv(manager, 200)).decode():
                    pass

        # The shell takes the place of itself, so that WATCHDOG_PID is the agent's, as systemd makes it.
        command = f"export WATCHDOG_PID=$$; exec {sys.executable} -m tuoi edge agent --config {bench.path}"
        environ = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "300000", "PATH": os.environ["PATH"]}
        agent = processes.start("sh", "-c", command, cwd=ROOT, env=environ)
        for word in ("READY=1", "WATCHDOG=1", "WATCHDOG=1"):
            await hear(word)
        agent.signal(signal.SIGHUP)
        for word in ("RELOADING=1", "READY=1", "WATCHDOG=1"):
            await hear(word)
        agent.signal(signal.SIGTERM)
        await hear("STOPPING=1")
        assert await asyncio.to_thread(agent.wait) == 0


async def test_the_process_takes_sighup(bench: Bench, processes: Processes) -> None:
    write(bench, NO_PROBE)
    bench.start_guard()
    command = (sys.executable, "-m", "tuoi", "edge", "agent", "--config", bench.path)
    agent = processes.start(*command, cwd=ROOT)
    await asyncio.to_thread(agent.wait_for, "link up", 20)
    write(bench, ("report_every_s = 1", 'report_every_s = 7\nlog = "debug"'))
    agent.signal(signal.SIGHUP)
    await asyncio.to_thread(agent.wait_for, r'msg="configuration taken" report_every_s=7 log=debug')
    bench.path.write_text("farm_id = 1")
    agent.signal(signal.SIGHUP)
    line = await asyncio.to_thread(agent.wait_for, "configuration refused, the last good one stays")
    assert "board.toml" in line
    assert "farm_id" in line
    assert await asyncio.to_thread(agent.terminate) == 0
