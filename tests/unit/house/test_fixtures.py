"""The fixtures themselves: if they are wrong, every other test says nothing."""

import asyncio
import os
import select
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.fixtures.influx import Influx
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.network import SocketBlocked
from tests.fixtures.processes import Died, Processes

pytest_plugins = ["pytester"]


def _write(influx: Influx, line: str, token: str | None = None) -> int:
    request = urllib.request.Request(
        f"{influx.url}/api/v2/write?org=tuoi&bucket={influx.bucket}&precision=ms",
        line.encode(),
        {"Authorization": f"Token {token or influx.token}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(answer.status)


@pytest.mark.uses_broker
def test_a_broker_comes_back_on_its_port_after_being_killed(mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", mosquitto.port), 1)
    mosquitto.start()
    socket.create_connection(("127.0.0.1", mosquitto.port), 1).close()
    mosquitto.restart()
    socket.create_connection(("127.0.0.1", mosquitto.port), 1).close()


@pytest.mark.real
def test_influx_keeps_what_is_written_by_the_path_of_version_2(influx: Influx) -> None:
    assert _write(influx, "soil,zone=z1 moisture=31.5 1700000000000") == 204
    assert influx.query("SELECT * FROM soil") == [{"time": "2023-11-14T22:13:20Z", "moisture": 31.5, "zone": "z1"}]


@pytest.mark.real
def test_influx_refuses_a_wrong_token(influx: Influx) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        _write(influx, "soil moisture=1 1700000000000", token="wrong")
    refused.value.close()


@pytest.mark.real
def test_influx_can_go_away_and_come_back_with_its_data(influx: Influx) -> None:
    _write(influx, "soil moisture=1 1700000000000")
    influx.stop()
    with pytest.raises(urllib.error.URLError):
        _write(influx, "soil moisture=2 1700000001000")
    influx.start()
    _write(influx, "soil moisture=3 1700000002000")
    assert [row["moisture"] for row in influx.query("SELECT moisture FROM soil")] == [1, 3]


def test_a_process_that_ends_too_early_says_its_last_words(processes: Processes) -> None:
    process = processes.start("sh", "-c", "echo out of water; exit 3")
    with pytest.raises(Died, match="out of water"):
        process.wait_for("ready")
    assert process.wait() == 3


def test_a_process_is_ended_with_its_children(processes: Processes) -> None:
    process = processes.start("sh", "-c", "sleep 1000 & echo child $!; wait")
    child = int(process.wait_for("child").split()[1])
    watch = os.pidfd_open(child)
    try:
        processes.reap()
        ended, _, _ = select.select([watch], [], [], 10)  # readable once it has ended, though its parent is gone
        assert ended
    finally:
        os.close(watch)


def test_a_unit_test_reaches_no_network() -> None:
    with socket.socket() as plug, pytest.raises(SocketBlocked):
        plug.connect(("127.0.0.1", 9))


def test_the_event_loop_still_runs_without_network() -> None:
    assert asyncio.run(asyncio.sleep(0, result="ran")) == "ran"


_CONFTEST = """
import sys
sys.path.insert(0, {root!r})
from tests.conftest import *
from tests.conftest import pytest_runtest_teardown, pytest_sessionfinish
"""


def _inner(pytester: pytest.Pytester, code: str) -> pytest.RunResult:
    pytester.makeconftest(_CONFTEST.format(root=str(Path(__file__).parents[3])))
    pytester.makepyfile(code)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "asyncio", "-o", "asyncio_mode=auto")


def test_a_test_that_leaves_a_task_behind_fails(pytester: pytest.Pytester) -> None:
    result = _inner(
        pytester,
        """
        import asyncio

        async def start():
            task = asyncio.create_task(asyncio.sleep(1000), name="forgotten")
            task.add_done_callback(lambda _: None)
            await asyncio.sleep(0)

        def test_plain():
            asyncio.run(start())

        async def test_by_plugin():
            await start()
        """,
    )
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["*forgotten: *"])


def test_with_ci_set_a_skip_fails_the_session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = _inner(pytester, "import pytest\ndef test_it(): pytest.skip('no broker')\ndef test_other(): pass")
    result.assert_outcomes(passed=1, skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    monkeypatch.delenv("CI")
    assert _inner(pytester, "import pytest\ndef test_it(): pytest.skip('no broker')\ndef test_o(): pass").ret == 0
