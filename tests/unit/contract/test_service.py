"""What the service manager hears: a real datagram socket stands in systemd's place."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.service import notify, reloading, watchdog_s, watched
from tests.fixtures.processes import Processes

ROOT = Path(__file__).parents[3]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(10)
        yield sock


def environ(manager: socket.socket, period_us: int = 0, pid: int | None = None) -> dict[str, str]:
    return {
        "NOTIFY_SOCKET": manager.getsockname(),
        "WATCHDOG_USEC": str(period_us),
        "WATCHDOG_PID": str(pid or os.getpid()),
    }


def test_without_a_service_manager_nothing_is_said() -> None:
    notify("READY=1", {})
    assert watchdog_s({}) is None


def test_words_reach_a_socket_with_a_path_and_an_abstract_one(manager: socket.socket) -> None:
    notify("READY=1", environ(manager))
    assert manager.recv(100) == b"READY=1"
    reloading(environ(manager))
    assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hidden:
        hidden.bind(f"\0tuoi-test-{os.getpid()}")
        notify("READY=1", {"NOTIFY_SOCKET": f"@tuoi-test-{os.getpid()}"})
        assert hidden.recv(100) == b"READY=1"


def test_a_service_manager_that_is_gone_or_full_holds_nobody(manager: socket.socket) -> None:
    for _ in range(2000):  # more than its queue takes
        notify("WATCHDOG=1", environ(manager))
    address = environ(manager)
    manager.close()
    notify("WATCHDOG=1", address)
    assert watchdog_s(address) is None


def test_the_watchdog_is_only_for_the_process_that_it_names(manager: socket.socket) -> None:
    assert watchdog_s(environ(manager, 20_000_000)) == 20.0
    assert watchdog_s(environ(manager, 20_000_000, pid=1)) is None
    assert watchdog_s({"WATCHDOG_USEC": "soon"}) is None


@pytest.mark.real
async def test_it_is_fed_while_the_loop_turns_and_told_of_the_end(manager: socket.socket) -> None:
    manager.settimeout(0)
    loop = asyncio.get_running_loop()
    async with watched(environ(manager, 60_000)):
        for _ in range(3):
            assert await loop.sock_recv(manager, 100) == b"WATCHDOG=1"
    said = await loop.sock_recv(manager, 100)
    while said == b"WATCHDOG=1":
        said = await loop.sock_recv(manager, 100)
    assert said == b"STOPPING=1"


HANGS = """
import asyncio, sys, time
from contract.service import notify, watched
async def main():
    async with watched():
        notify("READY=1")
        await asyncio.sleep(0.1)
        notify("STATUS=hangs")
        while True:
            time.sleep(1)
asyncio.run(main())
"""


def test_a_loop_that_hangs_stops_feeding(manager: socket.socket, processes: Processes) -> None:
    # Started by a shell that takes the place of itself, so that WATCHDOG_PID is right as systemd makes it.
    command = f"export WATCHDOG_PID=$$; exec {sys.executable} -c '{HANGS}'"
    processes.start("sh", "-c", command, cwd=ROOT, env={**environ(manager, 60_000), "PATH": os.environ["PATH"]})
    heard = [manager.recv(100)]
    while heard[-1] != b"STATUS=hangs":
        heard.append(manager.recv(100))
    assert heard.count(b"WATCHDOG=1") >= 2
    manager.settimeout(0.5)  # eight periods and more
    with pytest.raises(TimeoutError):
        manager.recv(100)
