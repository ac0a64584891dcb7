"""The guard as a process with a pump, a latching valve, a reserve, and locks."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.processes import Process, Processes
from tests.unit.edge.guard.agent import BOARD, ROOT, Agent, put_clock_ahead, socket_of, start_guard

# v1 and v2 drink from the pump; v3 latches.
SUPPLIED = (
    BOARD.replace("renew_s = 0.5", "renew_s = 30").replace("max_open_s = 60\n", 'max_open_s = 60\nsupply = "pump"\n')
    + """
[[valve]]
channel = "v3"
pin = 5
max_open_s = 60
[valve.latch]
close_pin = 6
reclose_s = 60
[[supply]]
name = "pump"
pin = 23
max_open_s = 100
{delays}
[reserve]
pin = 24
"""
)


@pytest.fixture
def delays() -> str:
    return ""


@pytest.fixture
def board(tmp_path: Path, delays: str) -> Path:
    path = tmp_path / "board.toml"
    path.write_text(SUPPLIED.format(delays=delays))
    return path


@pytest.fixture
def other(board: Path, agent: Agent) -> Iterator[Path]:
    """Beside the board's file, where things are broken; whole again afterwards, so that the guard can end."""
    yield board.parent
    for path in [*board.parent.glob("stuck*"), *board.parent.glob("jammed*")]:
        path.unlink()


def lines_between(guard: Process, first: str, last: str) -> list[str]:
    """Wait for both, and return what the outputs did from one to the other."""
    begin = guard.number_of(f"^{first}$")
    guard.wait_for(f"^{last}$", after=begin)
    lines = [line for line in guard.lines[begin:] if line.startswith("valve ")]
    return lines[: lines.index(last) + 1]


def test_all_are_closed_at_the_start_the_pump_first_and_the_slow_ones_last(guard: Process) -> None:
    assert guard.lines[:4] == ["valve pump closed", "valve v1 closed", "valve v2 closed", "valve v3 closed"]


def test_a_pump_runs_while_a_valve_is_open(guard: Process, agent: Agent) -> None:
    assert agent.open("v1", "a")["ok"]["opens_in_s"] == 0.0
    assert agent.open("v2", "b")["ok"]["opens_in_s"] == 0.0
    agent.send(b'{"do": "close", "channel": "v1"}')
    assert agent.hear()["lease_id"] == "a"
    assert agent.hear()["re"] == "close"
    agent.send(b'{"do": "close", "channel": "v2"}')
    assert agent.hear()["lease_id"] == "b"
    assert lines_between(guard, "valve v1 open", "valve v2 closed") == [
        "valve v1 open",
        "valve pump open",
        "valve v2 open",
        "valve v1 closed",
        "valve pump closed",
        "valve v2 closed",
    ]


@pytest.mark.parametrize("delays", ["start_after_s = -0.3\nstop_after_s = -0.2"])
def test_a_valve_that_waits_for_its_pump_is_told_when_it_opens(guard: Process, agent: Agent) -> None:
    granted = agent.open("v1", "a", seconds=0.4)["ok"]
    assert 0.1 < granted["opens_in_s"] <= 0.3
    assert agent.open("v1", "a", seconds=0.4)["ok"]["opens_in_s"] <= granted["opens_in_s"]
    opened = agent.hear()
    assert (opened["event"], opened["channel"], opened["lease_id"]) == ("opened", "v1", "a")
    assert 0 < opened["left_s"] <= 0.4
    assert agent.hear()["cause"] == "deadline"
    assert lines_between(guard, "valve pump open", "valve v1 closed") == [
        "valve pump open",
        "valve v1 open",
        "valve pump closed",
        "valve v1 closed",
    ]


@pytest.mark.parametrize("delays", ["start_after_s = -30"])
def test_the_agent_gone_while_a_valve_waits_stops_the_pump(guard: Process, agent: Agent) -> None:
    agent.open("v1", "a")
    guard.wait_for("valve pump open")
    agent.close()
    guard.wait_for("agent gone .*closed 1")
    assert "valve v1 open" not in guard.lines
    assert lines_between(guard, "valve pump open", "valve pump closed") == ["valve pump open", "valve pump closed"]


def test_a_pump_that_does_not_start_closes_what_waits_for_it_and_is_the_answer(
    guard: Process, agent: Agent, other: Path
) -> None:
    (other / "jammed-pump").touch()
    answer = agent.open("v1", "a")
    assert (answer["re"], answer["error"]) == ("open", "line-fault")
    assert "pump: told True" in answer["detail"]
    assert lines_between(guard, "valve v1 open", "valve v1 closed") == ["valve v1 open", "valve v1 closed"]
    assert agent.ask(do="state")["ok"]["leases"]["v1"] is None


def test_a_valve_that_does_not_open_is_the_answer_and_no_event(guard: Process, agent: Agent, other: Path) -> None:
    (other / "jammed-v1").touch()
    answer = agent.open("v1", "a")
    assert (answer["re"], answer["error"]) == ("open", "line-fault")
    assert "v1: told True" in answer["detail"]
    assert agent.ask(do="state")["re"] == "state"
    assert "valve v1 open" not in guard.lines


def test_a_valve_that_does_not_close_takes_its_pump_and_the_others_on_it_along(
    guard: Process, agent: Agent, other: Path
) -> None:
    agent.open("v1", "a")
    agent.open("v2", "b")
    (other / "stuck-v1").touch()
    agent.send(b'{"do": "close", "channel": "v1"}')
    first, second = agent.hear(), agent.hear()
    assert (first["event"], first["lease_id"], first["cause"]) == ("close-failed", "a", "told")
    assert (second["event"], second["lease_id"], second["cause"]) == ("closed", "b", "close-failed")
    state = agent.hear()["ok"]
    assert (state["leases"], state["failed"]) == ({"v1": None, "v2": None, "v3": None}, ["v1"])
    guard.wait_for("valve pump closed", after=guard.number_of("valve pump open"))


def test_a_pump_that_does_not_stop_is_told_without_a_lease_and_blocks(
    guard: Process, agent: Agent, other: Path
) -> None:
    agent.open("v1", "a")
    (other / "stuck-pump").touch()
    agent.send(b'{"do": "close", "channel": "v1"}')
    assert agent.hear() == {"event": "close-failed", "channel": "pump"}
    assert agent.hear()["lease_id"] == "a"
    assert agent.hear()["ok"]["failed"] == ["pump"]
    assert agent.open("v3", "b")["error"] == "close-failed"
    (other / "stuck-pump").unlink()
    assert agent.hear() == {"event": "close-recovered", "channel": "pump"}


# --- latching valves and their reserve ---


def test_a_latching_valve_does_not_open_without_the_charge_to_close_it(
    guard: Process, agent: Agent, board: Path
) -> None:
    (board.parent / "no-reserve").touch()
    assert agent.open("v3", "a")["error"] == "no-reserve"
    assert "ok" in agent.open("v1", "b")  # others need none
    (board.parent / "no-reserve").unlink()
    (board.parent / "no-reserve").mkdir()  # an input that cannot be read is no yes
    assert agent.open("v3", "a")["error"] == "no-reserve"
    guard.wait_for("reserve cannot be read")
    (board.parent / "no-reserve").rmdir()
    assert "ok" in agent.open("v3", "a")


def test_a_latching_valve_closes_while_there_is_still_charge_for_it(guard: Process, agent: Agent, board: Path) -> None:
    agent.open("v3", "a")
    (board.parent / "no-reserve").touch()
    event = agent.hear()
    assert (event["lease_id"], event["cause"]) == ("a", "no-reserve")
    guard.wait_for("valve v3 closed", after=guard.number_of("valve v3 open"))


def test_a_closed_latching_valve_is_closed_again_now_and_then_for_nothing_tells_where_it_stands(
    guard: Process, agent: Agent, board: Path
) -> None:
    assert guard.lines.count("valve v3 closed") == 1
    put_clock_ahead(board.parent, 61)
    guard.wait_for("valve v3 closed", after=guard.number_of("valve v3 closed") + 1)
    agent.open("v3", "a")
    guard.wait_for("valve v3 open")
    put_clock_ahead(board.parent, 122)
    assert agent.hear()["cause"] == "deadline"  # and before that, no pulse
    assert lines_between(guard, "valve v3 open", "valve v3 closed") == ["valve v3 open", "valve v3 closed"]


def test_a_closing_pulse_that_cannot_be_given_while_nothing_is_open_is_told(agent: Agent, other: Path) -> None:
    agent.ask(do="state")  # from now on it hears
    (other / "stuck-v3").touch()
    put_clock_ahead(other, 61)
    assert agent.hear() == {"event": "close-failed", "channel": "v3"}
    assert agent.open("v1", "a")["error"] == "close-failed"
    (other / "stuck-v3").unlink()
    assert agent.hear() == {"event": "close-recovered", "channel": "v3"}


def test_a_killed_guard_leaves_a_latching_valve_open_and_the_next_one_closes_it_first(
    processes: Processes, guard: Process, agent: Agent, board: Path
) -> None:
    agent.open("v3", "a")
    guard.wait_for("valve v3 open")
    guard.kill()
    again = start_guard(processes, board)
    assert again.lines.index("valve v3 closed") < next(n for n, line in enumerate(again.lines) if "ready" in line)


# --- locks ---


def test_a_lock_closes_at_once_and_outlives_the_guard(
    processes: Processes, guard: Process, agent: Agent, board: Path
) -> None:
    agent.open("v1", "a")
    agent.send(b'{"do": "lock", "name": "pump", "why": "leak"}')
    assert (agent.hear()["cause"], agent.hear()["ok"]["locked"]) == ("locked", {"pump": "leak"})
    assert agent.open("v2", "b")["error"] == "locked"
    guard.kill()
    start_guard(processes, board)
    again = Agent(socket_of(board))
    assert again.open("v2", "b")["error"] == "locked"
    assert again.ask(do="unlock", name="pump")["ok"]["locked"] == {}
    assert "ok" in again.open("v2", "b")
    again.close()


def test_a_locked_line_that_does_not_close_is_told(agent: Agent, other: Path) -> None:
    agent.open("v3", "a")
    (other / "stuck-v3").touch()
    agent.send(b'{"do": "lock", "name": "v3", "why": "leak"}')
    assert agent.hear()["event"] == "close-failed"
    assert agent.hear()["ok"]["failed"] == ["v3"]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'{"do": "lock", "name": "v9", "why": "leak"}', "unknown-channel"),
        (b'{"do": "lock", "name": "v1", "why": ""}', "bad-request"),
        (b'{"do": "lock", "name": "v1"}', "bad-request"),
        (b'{"do": "unlock", "name": "v9"}', "unknown-channel"),
    ],
)
def test_a_lock_that_makes_no_sense_changes_nothing(agent: Agent, line: bytes, error: str) -> None:
    agent.open("v1", "a")
    agent.send(line)
    assert agent.hear()["error"] == error
    state = agent.ask(do="state")["ok"]
    assert (state["locked"], state["leases"]["v1"]) == ({}, "a")


# --- what is used outlives the guard ---


def test_the_day_s_use_outlives_a_killed_guard_and_what_was_granted_counts_as_used(
    processes: Processes, guard: Process, agent: Agent, board: Path
) -> None:
    assert agent.open("v1", "a", 60)["ok"]
    guard.kill()
    start_guard(processes, board)
    again = Agent(socket_of(board))
    assert again.open("v1", "b", 41)["error"] == "daily-cap"  # 60 of 100 were granted
    assert "ok" in again.open("v1", "b", 40)
    again.close()


def test_a_run_that_ended_counts_what_it_took(processes: Processes, guard: Process, agent: Agent, board: Path) -> None:
    agent.open("v1", "a", 60)
    agent.send(b'{"do": "close", "channel": "v1"}')
    agent.hear()
    agent.hear()
    guard.kill()
    start_guard(processes, board)
    again = Agent(socket_of(board))
    assert "ok" in again.open("v1", "b", 60)
    again.close()


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_use_that_is_not_known_any_more_counts_as_used_up_and_closing_goes_on(
    processes: Processes, guard: Process, agent: Agent, board: Path, how: str
) -> None:
    guard.kill()
    state = board.parent / "state" / "guard.state"
    if how == "gone":
        state.unlink()
    else:
        state.write_text(state.read_text().replace("{", "[", 1))
    again = start_guard(processes, board)
    again.wait_for("use is not known, counted as used up")
    assert again.lines[:4] == ["valve pump closed", "valve v1 closed", "valve v2 closed", "valve v3 closed"]
    one = Agent(socket_of(board))
    assert one.open("v1", "b", 1)["error"] == "daily-cap"
    assert one.open("v3", "b", 1)["error"] == "daily-cap"
    assert one.ask(do="close-all")["ok"]
    one.close()


def test_without_a_place_to_write_nothing_opens_and_all_closes(guard: Process, agent: Agent, board: Path) -> None:
    agent.open("v3", "a")
    state = board.parent / "state"
    shutil.move(state, board.parent / "elsewhere")
    state.write_text("a file where the folder was")  # what root, too, cannot write into
    answer = agent.open("v1", "b")
    assert (answer["re"], answer["error"]) == ("open", "not-written")
    assert "valve v1 open" not in guard.lines
    assert agent.ask(do="state")["ok"]["leases"] == {"v1": None, "v2": None, "v3": "a"}
    agent.send(b'{"do": "close-all"}')
    assert agent.hear()["cause"] == "told"
    assert agent.hear()["re"] == "close-all"
    guard.wait_for("valve v3 closed", after=guard.number_of("valve v3 open"))
    guard.wait_for("use could not be written down")


def test_the_day_s_use_is_forgotten_after_a_day(guard: Process, agent: Agent, board: Path) -> None:
    agent.open("v1", "a", seconds=60)
    put_clock_ahead(board.parent, 60)
    assert agent.hear()["cause"] == "deadline"
    assert agent.open("v1", "b", seconds=41)["error"] == "daily-cap"
    put_clock_ahead(board.parent, 86_400 + 900)
    assert "ok" in agent.open("v1", "b", seconds=41)


# --- all off ---


def test_all_off_closes_every_output_and_ends(processes: Processes, board: Path) -> None:
    run = processes.start(sys.executable, "-OO", "-m", "edge.guard", "--all-off", board, cwd=ROOT, name="all-off")
    run.wait_for("all off")
    assert run.wait() == 0


def test_all_off_says_what_it_could_not_close_and_closes_the_others(processes: Processes, board: Path) -> None:
    # gpiozero's mock is a board without GPIO 53.
    board.write_text(board.read_text().replace("pin = 17", "pin = 53"))
    run = processes.start(sys.executable, "-OO", "-m", "edge.guard", "--all-off", board, cwd=ROOT, name="all-off")
    run.wait_for(r"not closed: v1: GPIO 53: cannot be claimed")
    assert run.wait() == 2


def test_the_real_guard_runs_on_pins_of_gpiozero_with_all_kinds_of_outputs(processes: Processes, board: Path) -> None:
    guard = processes.start(sys.executable, "-OO", "-m", "edge.guard", board, cwd=ROOT, name="guard")
    guard.wait_for("guard ready.* channels=v1,v2,v3")
    agent = Agent(socket_of(board))
    assert agent.open("v3", "a")["error"] == "no-reserve"  # nothing holds its input up
    assert agent.open("v1", "a", seconds=0.1)["ok"]["lease_id"] == "a"
    assert agent.hear()["cause"] == "deadline"
    agent.close()
    assert guard.terminate() == 0
