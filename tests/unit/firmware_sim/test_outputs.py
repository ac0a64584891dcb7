"""The real guard, spoken to by hand, on simulated pins of every kind; the field tells what the water does."""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_sim.errors import Refused
from firmware_sim.field_client import FieldClient
from firmware_sim.gpio import SimFactory
from tests.fixtures.processes import Died, Process, Processes
from tests.unit.edge.guard.agent import ROOT, Agent

FIELD = """
socket = "field.sock"
pipe_fill_s = 0
sources = [{ id = "tank", capacity_l_min = 600 }]
zones = [
    { id = "a", source = "tank", area_m2 = 100, flow_l_min = 120 },
    { id = "b", source = "tank", area_m2 = 100, flow_l_min = 120 },
    { id = "c", source = "tank", area_m2 = 100, flow_l_min = 120 },
]
[[boards]]
node = "board-1"
valves = [
    { gpio = 17, zone = "a", active_high = false, supply = "pump" },
    { gpio = 18, zone = "b", supply = "pump" },
    { gpio = 5, zone = "c", close_gpio = 6 },
]
supplies = [{ id = "pump", gpio = 23, active_high = false }]
reserve = { gpio = 24 }
"""
BOARD = """
farm_id = "mai"
node_id = "board-1"
state_dir = "state"
[gpio]
factory = "sim"
[guard]
renew_s = 30
[[valve]]
channel = "low"
pin = 17
active_high = false
max_open_s = 60
supply = "pump"
[[valve]]
channel = "high"
pin = 18
max_open_s = 60
supply = "pump"
[[valve]]
channel = "latch"
pin = 5
max_open_s = 60
[valve.latch]
close_pin = 6
pulse_ms = 20
[[supply]]
name = "pump"
pin = 23
active_high = false
max_open_s = 300
start_after_s = 0.3
stop_after_s = -0.3
[reserve]
pin = 24
"""


class Hillside:
    """A field, the guard of its board, and an agent's hand."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self._folder, self._processes = folder, processes
        (folder / "field.toml").write_text(FIELD.replace("field.sock", str(folder / "field.sock")))
        self.board = folder / "board.toml"
        self.board.write_text(BOARD)
        field = processes.start(sys.executable, "-m", "tuoi", "field", "--config", folder / "field.toml", name="field")
        field.wait_for("field ready")
        self.field = FieldClient(folder / "field.sock")

    def guard(self, *options: str) -> Process:
        """Start `python -m edge.guard` as systemd would."""
        env = {"TUOI_FIELD_SOCKET": str(self._folder / "field.sock"), "TUOI_FIELD_NODE": "board-1"}
        command = ("-OO", "-m", "edge.guard", *options)
        return self._processes.start(sys.executable, *command, self.board, cwd=ROOT, env=env, name="guard")

    def agent(self) -> Agent:
        return Agent(self._folder / "state" / "guard.sock")

    def moved(self, gpio: int) -> list[tuple[str, int]]:
        """All that a line was, oldest first."""
        return [(line["function"], line["level"]) for line in self.field.history() if line["gpio"] == gpio]


@pytest.fixture
def hillside(processes: Processes) -> Iterator[Hillside]:
    with tempfile.TemporaryDirectory(prefix="tuoi-") as folder:  # short: a unix socket's path has 108 characters
        made = Hillside(Path(folder), processes)
        yield made
        made.field.close()
        processes.reap()


def ready(guard: Process) -> Process:
    guard.wait_for("guard ready.* channels=low,high,latch")
    return guard


def flow_l_min(field: FieldClient, zone: str) -> float:
    field.snapshot()  # moves the water on with the valves as they are now
    return field.zone_valve(zone).flow_l_min


def test_active_low_lines_begin_closed_without_a_moment_at_the_other_level(hillside: Hillside) -> None:
    guard = ready(hillside.guard())
    assert hillside.moved(17) == [("output", 1)]
    assert hillside.moved(23) == [("output", 1)]
    assert hillside.moved(18) == [("output", 0)]
    agent = hillside.agent()
    agent.open("low", "a")
    hillside.field.wait_valve("board-1", 17, open=True)
    agent.close()
    hillside.field.wait_valve("board-1", 17, open=False)
    assert guard.terminate() == 0
    assert hillside.moved(17) == [("output", 1), ("output", 0), ("output", 1), ("free", 0)]


def test_water_flows_only_while_the_pump_runs(hillside: Hillside) -> None:
    ready(hillside.guard())
    agent, field = hillside.agent(), hillside.field
    agent.open("high", "a")
    field.wait_valve("board-1", 18, open=True)
    assert not field.runs("board-1", "pump")  # the valve first
    assert flow_l_min(field, "b") == 0
    deadline_s = time.monotonic() + 5
    while not field.runs("board-1", "pump"):
        assert time.monotonic() < deadline_s
    assert flow_l_min(field, "b") == 120
    agent.send(b'{"do": "close", "channel": "high"}')
    agent.hear()
    assert not field.runs("board-1", "pump")  # the pump first
    assert field.valve("board-1", 18).open
    assert flow_l_min(field, "b") == 0
    field.wait_valve("board-1", 18, open=False)
    agent.close()


def test_a_latching_valve_stays_open_without_its_guard_and_is_closed_by_the_next(hillside: Hillside) -> None:
    guard = ready(hillside.guard())
    agent, field = hillside.agent(), hillside.field
    agent.open("latch", "a")
    field.wait_valve("board-1", 5, open=True)
    guard.kill()
    assert field.valve("board-1", 5).open  # what a normally closed valve does by itself, this one does not
    assert flow_l_min(field, "c") == 120
    agent.close()
    ready(hillside.guard())
    assert not field.valve("board-1", 5).open


def test_a_latching_valve_closes_when_the_charge_goes_and_does_not_open_without_it(hillside: Hillside) -> None:
    ready(hillside.guard())
    agent, field = hillside.agent(), hillside.field
    agent.open("latch", "a")
    field.wait_valve("board-1", 5, open=True)
    field.fault("reserve-low", "board-1/24")
    field.wait_valve("board-1", 5, open=False)
    assert agent.hear()["cause"] == "no-reserve"
    assert agent.open("latch", "b")["error"] == "no-reserve"
    field.fault("reserve-low", "board-1/24", on=False)
    assert "ok" in agent.open("latch", "b")
    agent.close()
    field.wait_valve("board-1", 5, open=False)


def test_all_off_closes_what_a_killed_guard_left(hillside: Hillside) -> None:
    guard = ready(hillside.guard())
    agent, field = hillside.agent(), hillside.field
    agent.open("latch", "a")
    field.wait_valve("board-1", 5, open=True)
    guard.kill()
    agent.close()
    off = hillside.guard("--all-off")
    off.wait_for("all off")
    assert off.wait() == 0
    assert not field.valve("board-1", 5).open


def test_all_off_beside_a_guard_that_lives_says_that_it_could_not(hillside: Hillside) -> None:
    guard = ready(hillside.guard())
    off = hillside.guard("--all-off")
    off.wait_for("not closed: pump: GPIO 23: cannot be claimed: pin 23 of board-1 is held")
    assert off.wait() == 2
    assert guard.returncode is None


def test_the_field_refuses_a_wiring_that_cannot_be(hillside: Hillside, tmp_path: Path, processes: Processes) -> None:
    for old, new, said in (
        (
            'supply = "pump" },\n    { gpio = 5',
            'supply = "well" },\n    { gpio = 5',
            "supply 'well' is none of its supplies",
        ),
        ("close_gpio = 6", "close_gpio = 18", "two things share one gpio"),
        ("reserve = { gpio = 24 }", "reserve = { gpio = 23 }", "two things share one gpio"),
    ):
        assert old in FIELD
        (tmp_path / "field.toml").write_text(FIELD.replace(old, new))
        field = processes.start(sys.executable, "-m", "tuoi", "field", "--config", tmp_path / "field.toml")
        assert field.wait() == 2
        field.wait_for(said)
    with pytest.raises(Refused, match="reserve-low knows board-1/24, not 'board-1/23'"):
        hillside.field.fault("reserve-low", "board-1/23")


def test_a_pump_whose_line_is_held_by_another_keeps_the_guard_from_starting(hillside: Hillside, tmp_path: Path) -> None:
    factory = SimFactory(str(hillside.board.parent / "field.sock"), "board-1")
    factory.pin(23).output_with_state(1)
    guard = hillside.guard()
    with pytest.raises(Died, match="GPIO 23: cannot be claimed"):
        ready(guard)
    assert guard.wait() == 2
    factory.close()


def test_a_killed_guard_lets_go_of_its_lines_and_the_next_one_opens_nothing(hillside: Hillside) -> None:
    guard = ready(hillside.guard())
    agent, field = hillside.agent(), hillside.field
    agent.open("high", "a")
    agent.open("low", "b")
    field.wait_valve("board-1", 17, open=True)
    killed_ns = time.monotonic_ns()
    guard.kill()
    agent.close()
    for gpio in (17, 18):
        closed = field.wait_valve("board-1", gpio, open=False)
        assert closed.since_ns - killed_ns < 3e9
    ready(hillside.guard())
    assert [valve.open for valve in field.valves()] == [False, False, False]
    assert not field.runs("board-1", "pump")
