"""The demo's parts: its folder, the files it writes for the real processes, and how it keeps processes alive."""

import asyncio
import os
import signal
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contract.settings import load_toml
from edge.config import load_board
from edge.guard.settings import read_settings
from firmware_sim.demo import broker
from firmware_sim.demo.accounts import people
from firmware_sim.demo.children import Child
from firmware_sim.demo.files import farm_file, read_farm, read_field, write_all, write_toml
from firmware_sim.demo.places import Places
from firmware_sim.errors import DemoError
from gateway.settings import Settings as GatewaySettings
from server.settings import load_settings


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "demo")


def test_one_demo_at_a_time_holds_a_folder(places: Places) -> None:
    lock = places.prepare()
    with pytest.raises(DemoError, match=r"another demo is running in .*/demo; end it, or choose another"):
        places.prepare()
    lock.close()
    places.prepare().close()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "diary.txt").write_text("mine")
    with pytest.raises(DemoError, match="holds something that is no demo's"):
        Places(tmp_path).prepare()
    assert (tmp_path / "server" / "diary.txt").read_text() == "mine"


def test_a_path_too_long_for_sockets_is_refused_plainly(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="too long a path for the demo's sockets"):
        Places(tmp_path / ("x" * 120)).prepare()


def test_passwords_are_chosen_once_and_nobody_else_may_read_them(places: Places) -> None:
    with places.prepare():
        first = people(places)
        assert people(places) == first
    assert [person.role for person in first] == ["farmer", "technician", "manager"]
    assert len({person.password for person in first}) == 3
    assert min(len(person.password) for person in first) >= 8
    assert stat.S_IMODE(places.accounts.stat().st_mode) == 0o600


def test_the_real_processes_take_the_files_that_the_demo_writes(places: Places) -> None:
    farm = read_farm(farm_file(), datetime.now(UTC))
    with places.prepare():
        mqtt = broker.link(1883, None)
        write_all(places, farm, speed=60, http=("127.0.0.1", 8080), mqtt=mqtt)
        field = read_field(places)
        assert field.speed == 60
        assert {zone.id for zone in field.zones} == {zone.id for zone in farm.zones}
        for part in field.boards:
            board = load_board(places.config(part.node))
            guard = read_settings(places.config(part.node))
            assert [output.pin for output in guard.outputs] == [valve.gpio for valve in part.valves]
            assert [valve.meter.pin for valve in board.valve if valve.meter] == [meter.gpio for meter in part.meters]
            sensors = {probe.sensor for probe in board.probe}
            assert sensors == {sensor for zone in farm.zones if zone.node_id == part.node for sensor in zone.sensors}
            assert board.mqtt.protocol == "3.1.1"
        assert load_toml(places.config("gateway"), GatewaySettings).farm_id == farm.id
        assert load_settings(places.config("server")).http.port == 8080


def test_text_survives_the_way_through_toml(tmp_path: Path) -> None:
    import tomllib

    table = {"text": 'a "quoted" Vườn\n', "list": [{"a": 1, "b": [0.5, True]}], "table": {"x": {"y": "z"}}}
    write_toml(tmp_path / "some.toml", table)
    assert tomllib.loads((tmp_path / "some.toml").read_text()) == table


async def test_a_child_that_dies_is_started_again_and_ended_when_told(tmp_path: Path) -> None:
    died: list[str] = []
    again = asyncio.Event()
    child = Child("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "sleeper.log")
    await child.start()
    first = child.pid
    assert first is not None
    child.watch(lambda _child, how: died.append(how), lambda _child: again.set())
    os.kill(first, signal.SIGKILL)
    await asyncio.wait_for(again.wait(), 10)
    second = child.pid
    assert second not in {None, first}
    assert died == ["killed by SIGKILL"]
    await child.end()
    assert child.pid is None
    assert died == ["killed by SIGKILL"]


async def test_a_child_that_does_not_listen_is_ended_all_the_same(tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    log = tmp_path / "deaf.log"
    child = Child("deaf", [sys.executable, "-c", deaf], log)
    await child.start()
    async with asyncio.timeout(10):
        while "deaf" not in child.last_words():  # a log file tells nobody that it has grown
            await asyncio.sleep(0.02)
    child.watch(lambda _child, _how: None, lambda _child: None)
    await child.end(limit_s=0.2)
    assert child.pid is None


def test_mosquitto_listens_on_loopback_without_delay(places: Places) -> None:
    with places.prepare():
        command = broker.command(places, 1999, "/usr/sbin/mosquitto")
        conf = Path(command[2]).read_text()
    assert "listener 1999 127.0.0.1\n" in conf
    assert "set_tcp_nodelay true\n" in conf
    assert broker.command(places, 1999, None)[1:] == ["-m", "firmware_sim.demo.embedded_broker", "1999"]
