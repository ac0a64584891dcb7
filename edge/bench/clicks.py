"""A valve clicked for a technician: always by a guard and under a lease, so that nothing leaves it open.

If no guard runs, one is started for the time of the clicks and ended with this process, however that ends.
"""

import asyncio
import ctypes
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from edge.bench.findings import Finding, broken, look, ok
from edge.bench.running import Running, running
from edge.config import BoardSettings
from edge.errors import EdgeError, GuardLost
from edge.guard_client import GuardClient, GuardNews

CLICK_S = 1.5
START_S = 20.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def refusal(runs: Running, leases: int) -> str | None:
    """Return the sentence why no valve may be clicked now, or None when it may."""
    if runs.agent:
        return "click-watering" if leases else "click-agent"
    return None


async def click(
    path: Path, board: BoardSettings, channels: Sequence[str], heard: Callable[[str], bool | None]
) -> list[Finding]:
    """Open each valve for CLICK_S and close it; `heard` asks the technician, None = nobody is there to ask."""
    findings: list[Finding] = []
    async with _guard(path, board), _connected(board) as (guard, closed):
        for channel in channels:
            try:
                findings.append(await _click(guard, closed, channel, heard))
            except EdgeError as exc:
                findings.append(broken("valve", channel, "click-failed", why=str(exc)))
    return findings


async def _click(
    guard: GuardClient, closed: "asyncio.Queue[GuardNews]", channel: str, heard: Callable[[str], bool | None]
) -> Finding:
    await guard.open(channel, f"bench-{uuid4().hex[:8]}", CLICK_S)
    try:
        async with asyncio.timeout(CLICK_S + 2):
            while (news := await closed.get()).channel != channel:
                pass
    except TimeoutError:
        await guard.close(channel)
        raise GuardLost(f"the guard did not say that {channel} is closed") from None
    if news.event == "close-failed":
        return broken("valve", channel, "valve-stuck")
    answer = await asyncio.to_thread(heard, channel)
    if answer is None:
        return ok("valve", channel, "click-done", seconds=round(news.open_s, 1))
    return ok("valve", channel, "click-heard") if answer else broken("valve", channel, "click-not-heard")


async def look_at(board: BoardSettings, runs: Running) -> list[Finding]:
    """What the guard says of each valve. Asked only while no agent is connected: its place would be taken."""
    names = [valve.channel for valve in board.valve]
    if not runs.guard or runs.agent:
        return [
            ok("valve", valve.channel, "valve-wired", pin=valve.pin, most_s=valve.max_open_s) for valve in board.valve
        ]
    reader, writer = await asyncio.open_unix_connection(board.guard_socket)
    try:
        writer.write(b'{"do": "state"}\n')
        async with asyncio.timeout(2):
            state = json.loads(await reader.readline())["ok"]
    except (OSError, TimeoutError, ValueError, KeyError):
        return [look("valve", name, "valve-unknown") for name in names]
    finally:
        writer.close()
    return [
        broken("valve", valve.channel, "valve-stuck")
        if valve.channel in state["failed"]
        else ok("valve", valve.channel, "valve-closed", pin=valve.pin, most_s=valve.max_open_s)
        for valve in board.valve
    ]


@asynccontextmanager
async def _guard(path: Path, board: BoardSettings) -> AsyncIterator[None]:
    """Have a guard: the one that runs, or one of our own for as long as this lasts."""
    if running(board.guard_socket).guard:
        yield
        return
    command = [sys.executable, "-OO", "-m", "edge.guard", str(path)]
    own = subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=_end_with_us)  # noqa: ASYNC220, PLW1509
    try:
        await _ready(own, board.guard_socket)
        yield
    finally:
        own.terminate()
        await asyncio.to_thread(own.wait)


async def _ready(own: "subprocess.Popen[bytes]", socket: Path) -> None:
    try:
        async with asyncio.timeout(START_S):
            while not running(socket).guard:
                if own.poll() is not None:
                    raise GuardLost("no guard runs, and one of our own did not start")
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise GuardLost(f"no guard runs, and one of our own was not ready in {START_S:g} s") from None


@asynccontextmanager
async def _connected(board: BoardSettings) -> AsyncIterator[tuple[GuardClient, "asyncio.Queue[GuardNews]"]]:
    """Be the guard's agent; the second value hears what it closed."""
    news: asyncio.Queue[GuardNews] = asyncio.Queue()
    up = asyncio.Event()

    async def lost() -> None:
        up.clear()

    client = GuardClient(board.guard_socket, on_news=news.put, on_lost=lost, on_up=up.set)
    speaking = asyncio.create_task(client.run(), name="guard")
    try:
        await asyncio.wait([asyncio.ensure_future(up.wait())], timeout=5)
        yield client, news  # not up: every click says so
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)


def _end_with_us() -> None:
    """Between fork and exec: one system call, so that no lock of another thread matters."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
