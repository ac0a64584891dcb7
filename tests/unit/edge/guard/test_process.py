"""The guard as it runs: a process of its own, spoken to over its socket, judged by what its valves do."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.fixtures.processes import Process, Processes
from tests.unit.edge.guard.agent import BOARD, ROOT, Agent, put_clock_ahead, socket_of, start_guard


def test_it_closes_every_valve_before_it_is_ready(guard: Process) -> None:
    assert guard.lines[:2] == ["valve v1 closed", "valve v2 closed"]


def test_it_opens_under_a_lease_and_closes_when_told(guard: Process, agent: Agent) -> None:
    answer = agent.open()
    assert answer["re"] == "open"
    assert 29 < answer["ok"]["left_s"] <= 30
    guard.wait_for("valve v1 open")
    agent.send(b'{"do": "close", "channel": "v1"}')
    event = agent.hear()
    assert (event["event"], event["lease_id"], event["cause"]) == ("closed", "a", "told")
    assert agent.hear()["ok"]["leases"] == {"v1": None, "v2": None}
    guard.wait_for("valve v1 closed", after=guard.number_of("valve v1 open"))


def test_close_all_closes_all(guard: Process, agent: Agent) -> None:
    agent.open("v1", "a")
    agent.open("v2", "b")
    agent.send(b'{"do": "close-all"}')
    assert {agent.hear()["lease_id"], agent.hear()["lease_id"]} == {"a", "b"}
    assert agent.hear() == {"re": "close-all", "ok": {"leases": {"v1": None, "v2": None}, "failed": [], "locked": {}}}


def test_it_closes_at_the_deadline(agent: Agent) -> None:
    agent.open(seconds=0.2)
    event = agent.hear()
    assert (event["event"], event["cause"]) == ("closed", "deadline")
    assert 0.1 <= event["open_s"] < 0.45  # from the moment that it was asked for; writing that down takes its time


def test_it_closes_when_the_agent_stops_renewing(guard: Process, agent: Agent) -> None:
    # What a frozen agent looks like from here: the socket stays open and says nothing.
    agent.open()
    begun_s = time.monotonic()
    for _ in range(3):
        assert agent.ask(do="state")["ok"]["leases"]["v1"] == "a"
        agent.send(b'{"do": "renew", "lease_ids": ["a"]}')
    event = agent.hear()
    assert (event["event"], event["cause"]) == ("closed", "not-renewed")
    assert time.monotonic() - begun_s < 3
    guard.wait_for("valve v1 closed", after=guard.number_of("valve v1 open"))


def test_it_closes_when_the_agent_is_gone(guard: Process, agent: Agent) -> None:
    agent.open()
    opened = guard.number_of("valve v1 open")
    agent.close()
    guard.wait_for("agent gone .*closed 1", after=opened)
    assert "valve v1 closed" in guard.lines[opened:]


def test_a_new_agent_takes_over_with_everything_closed(guard: Process, agent: Agent, board: Path) -> None:
    agent.open()
    opened = guard.number_of("valve v1 open")
    other = Agent(socket_of(board))
    assert other.ask(do="state")["ok"]["leases"] == {"v1": None, "v2": None}
    guard.wait_for("valve v1 closed", after=opened)
    other.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_closes_first(guard: Process, agent: Agent, board: Path, number: signal.Signals) -> None:
    agent.open()
    opened = guard.number_of("valve v1 open")
    guard.signal(number)
    event = agent.hear()
    assert (event["event"], event["cause"]) == ("closed", "ending")
    assert guard.wait() == 0
    guard.wait_for("all closed")
    assert [line for line in guard.lines[opened + 1 :] if line.startswith("valve v1")] == [
        "valve v1 closed",
        "valve v1 released",
    ]
    assert not (board.parent / "state" / "guard.sock").exists()


def test_after_a_kill_it_starts_again_on_the_same_socket(processes: Processes, guard: Process, board: Path) -> None:
    guard.kill()
    start_guard(processes, board)
    agent = Agent(socket_of(board))
    assert agent.ask(do="state")["ok"]["failed"] == []
    agent.close()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"not json", "bad-request"),
        (b"[]", "bad-request"),
        (b"[" * 3000, "bad-request"),
        (b'{"do": "dance"}', "bad-request"),
        (b'{"do": "open", "channel": "v1"}', "bad-request"),
        (b'{"do": "open", "channel": "v9", "lease_id": "a", "seconds": 5}', "unknown-channel"),
        (b'{"do": "open", "channel": "v1", "lease_id": "a", "seconds": 61}', "above-cap"),
        (b'{"do": "open", "channel": "v1", "lease_id": "a", "seconds": NaN}', "above-cap"),
        (b'{"do": "close", "channel": "v9"}', "unknown-channel"),
        (b'{"do": "renew", "lease_ids": 5}', "bad-request"),
    ],
)
def test_nonsense_is_answered_and_opens_nothing(guard: Process, agent: Agent, line: bytes, error: str) -> None:
    agent.send(line)
    assert agent.hear()["error"] == error
    assert agent.ask(do="state")["ok"]["leases"] == {"v1": None, "v2": None}
    assert "valve v1 open" not in guard.lines


def test_an_endless_line_ends_the_connection(guard: Process, agent: Agent) -> None:
    agent.open()
    agent.send(b"x" * 20_000)
    guard.wait_for("agent gone")
    assert guard.returncode is None


def test_a_valve_that_does_not_close_is_tried_again_and_blocks_every_open(
    guard: Process, agent: Agent, board: Path
) -> None:
    agent.open()
    (board.parent / "stuck").touch()
    agent.send(b'{"do": "close", "channel": "v1"}')
    event = agent.hear()
    assert (event["event"], event["channel"]) == ("close-failed", "v1")
    assert agent.hear()["ok"]["failed"] == ["v1"]
    assert agent.open("v2", "b")["error"] == "close-failed"
    (board.parent / "stuck").unlink()
    assert agent.hear() == {"event": "close-recovered", "channel": "v1"}
    guard.wait_for("valve v1 closed", after=guard.number_of("valve v1 open"))
    assert "ok" in agent.open("v2", "b")


def test_it_tells_the_service_manager_when_it_is_ready_and_that_it_lives(
    processes: Processes, board: Path, tmp_path: Path
) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(10)
    manager.bind(str(tmp_path / "notify"))
    guard = processes.start(
        sys.executable,
        "-m",
        "tests.unit.edge.guard.guarded",
        board,
        cwd=ROOT,
        name="guard",
        env={"NOTIFY_SOCKET": str(tmp_path / "notify")},
    )
    assert manager.recv(100) == b"READY=1"
    assert manager.recv(100) == b"WATCHDOG=1"
    guard.terminate()
    said = b""
    while said != b"STOPPING=1":
        said = manager.recv(100)
    manager.close()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"mock"', '"no-such"', "gpio.factory: no factory 'no-such'; there is .*lgpio.*mock"),
        ("pin = 17", "pin = 170", r"board.toml: valve\[0\].pin must be a GPIO number from 0 to 53, not 170"),
        ("[gpio]", "[gpio", "board.toml: "),
    ],
)
def test_what_it_cannot_use_ends_it_with_a_sentence_and_exit_code_2(
    processes: Processes, board: Path, old: str, new: str, sentence: str
) -> None:
    board.write_text(BOARD.replace(old, new))
    guard = processes.start(sys.executable, "-OO", "-m", "edge.guard", board, cwd=ROOT, name="guard")
    guard.wait_for(sentence)
    assert guard.wait() == 2


def test_without_a_file_it_says_how_it_is_called(processes: Processes) -> None:
    guard = processes.start(sys.executable, "-OO", "-m", "edge.guard", cwd=ROOT, name="guard")
    guard.wait_for("usage")
    assert guard.wait() == 2


def test_its_socket_is_for_its_own_user_alone(guard: Process, board: Path) -> None:
    mode = os.stat(board.parent / "state" / "guard.sock").st_mode  # noqa: PTH116
    assert mode & 0o077 == 0


def test_a_process_of_another_user_is_not_listened_to(processes: Processes, board: Path) -> None:
    (board.parent / "strangers").touch()
    guard = start_guard(processes, board)
    agent = Agent(socket_of(board))
    assert agent.hears_the_end()
    guard.wait_for(r"refused a connection of.* uid=\d+")
    agent.close()
    assert guard.terminate() == 0


def test_what_an_old_agent_still_says_is_not_heard_after_a_new_one_came(
    guard: Process, agent: Agent, board: Path
) -> None:
    guard.signal(signal.SIGSTOP)
    new = Agent(socket_of(board))
    agent.send(b'{"do": "open", "channel": "v1", "lease_id": "a", "seconds": 30}')
    guard.signal(signal.SIGCONT)
    assert new.ask(do="state")["ok"]["leases"]["v1"] is None
    assert "valve v1 open" not in guard.lines
    new.close()


def test_an_agent_that_breaks_off_without_listening_is_gone(guard: Process, agent: Agent) -> None:
    agent.send(b'{"do": "open", "channel": "v1", "lease_id": "a", "seconds": 30}')
    guard.wait_for("valve v1 open")
    agent.send(b'{"do": "state"}')
    agent.waits_for_words()
    agent.close()
    guard.wait_for("agent gone .*closed 1")


def test_what_is_written_is_kept_fresh_so_that_a_boot_costs_a_quarter_of_an_hour_at_most(
    guard: Process, agent: Agent, board: Path
) -> None:
    state = board.parent / "state" / "guard.state"
    before = state.read_bytes()
    put_clock_ahead(board.parent, 901)
    agent.ask(do="state")
    agent.ask(do="state")  # the first was answered before the file was written
    assert state.read_bytes() != before
