"""`tuoi demo` as a command: its history, its end, its refusals, and what becomes of it when it is killed."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_sim.errors import FieldError
from tests.e2e.house import House
from tests.fixtures.processes import Processes

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def processes() -> Iterator[Processes]:
    started = Processes()
    yield started
    started.reap()


def _gone(pids: list[int], timeout_s: float = 10) -> list[int]:
    """Those of the processes that are still there when time is out."""
    deadline_s = time.monotonic() + timeout_s
    left = pids
    while left and time.monotonic() < deadline_s:
        left = [pid for pid in left if _runs(pid)]
        time.sleep(0.05)  # processes of another parent tell us nothing when they end
    return left


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status


def _refusal(processes: Processes, *options: str | Path) -> str:
    demo = processes.start(sys.executable, "-m", "tuoi", "demo", *options, name="refused")
    assert demo.wait(20) == 2
    return demo.output


def test_a_farm_with_a_past_is_ready_ends_closed_and_goes_on_where_it_was(processes: Processes, tmp_path: Path) -> None:
    data = tmp_path / "data"
    house = House(processes, data)
    phone = house.phone()
    history = phone.http.get("/zones/dau-tay/runs", params={"limit": 50}).json()["runs"]
    assert len(history) >= 25  # every morning
    assert {run["state"] for run in history} == {"done"}
    span: dict[str, str | int] = {"quantity": "soil_moisture", "from": _days_ago(29), "to": _days_ago(0), "points": 60}
    points = phone.http.get("/zones/dau-tay/series", params=span).json()["points"]
    assert len(points) >= 25
    assert _refusal(processes, "--data", data, "--port", "0").count("another demo is running in") == 1

    run = phone.water("dau-tay", minutes=30).raise_for_status().json()
    phone.wait_state(run["id"], "open", "watering")
    pids = list(house.told["processes"].values())
    assert house.end() == 0
    assert "every valve is closed, every process has ended" in house.demo.output
    assert _gone(pids, 1) == []
    assert not (data / "demo.json").exists()

    again = House(processes, data, "--no-history")
    assert again.told["accounts"] == house.told["accounts"]
    phone = again.phone()
    kept = phone.http.get("/zones/dau-tay/runs", params={"limit": 50}).json()["runs"]
    assert {one["id"] for one in history[:20]} <= {one["id"] for one in kept}
    assert again.end() == 0


def _days_ago(days: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - days * 86_400))


def test_when_the_demo_is_killed_everything_ends_with_it(processes: Processes, tmp_path: Path) -> None:
    house = House(processes, tmp_path / "data", "--no-history")
    pids = list(house.told["processes"].values())
    assert len(pids) == 11  # broker, field, three boards of two, gateway, server, the demo itself
    os.kill(house.demo.pid, signal.SIGKILL)
    house.demo.wait(10)
    assert _gone(pids) == []
    with pytest.raises(FieldError):
        house.field.snapshot()
    house.field.close()


def test_ctrl_c_while_it_starts_leaves_nothing_behind(processes: Processes, tmp_path: Path) -> None:
    data = tmp_path / "data"
    demo = processes.start(sys.executable, "-m", "tuoi", "demo", "--data", data, "--port", "0", name="demo")
    demo.wait_for("history: living 30 days")
    demo.signal(signal.SIGINT)
    assert demo.wait(20) == 0
    assert not (data / "seeded.json").exists()
    with socket.socket(socket.AF_UNIX) as probe:
        assert probe.connect_ex(str(data / "field.sock")) != 0


def test_a_busy_port_is_said_in_a_sentence(processes: Processes, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = _refusal(processes, "--data", tmp_path / "data", "--host", "127.0.0.1", "--port", str(port))
    assert f"port {port} of 127.0.0.1 cannot be used (Address already in use)" in said
    assert "--port" in said


def test_without_mosquitto_a_small_broker_carries_the_same_farm(processes: Processes, tmp_path: Path) -> None:
    house = House(processes, tmp_path / "data", "--no-history", "--embedded-broker")
    assert "a small one in Python (MQTT 3.1.1)" in house.demo.output
    phone = house.phone()
    run = phone.water("dau-tay", minutes=0.1).raise_for_status().json()
    phone.wait_state(run["id"], "done")
    house.field.wait_all_closed()
    assert json.loads((tmp_path / "data" / "demo.json").read_text())["mqtt"]["host"] == "127.0.0.1"
    assert house.end() == 0
