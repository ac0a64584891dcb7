"""What a process says to the service manager that started it (systemd's sd_notify); without one, nothing is said.

The watchdog is fed from the event loop and from nowhere else: a process whose loop hangs stops saying that it lives,
and the service manager starts it anew. The valve guard, which has no event loop, does the same in its own few lines.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send `READY=1` or another word to the service manager, if there is one that listens."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, suppress(OSError):
        sock.setblocking(False)  # noqa: FBT003 - a service manager that does not read must not hold the loop
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.send(state.encode())


def reloading(environ: Mapping[str, str] = os.environ) -> None:
    """Say that the configuration is being read again; `notify("READY=1")` says that it is done."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}", environ)


@asynccontextmanager
async def watched(environ: Mapping[str, str] = os.environ) -> AsyncIterator[None]:
    """While inside, feed the watchdog that the service manager asked for; say STOPPING at the end."""
    period_s = watchdog_s(environ)
    feeding = None if period_s is None else asyncio.create_task(_feed(period_s / 3, environ), name="watchdog")
    try:
        yield
    finally:
        notify("STOPPING=1", environ)
        if feeding is not None:
            feeding.cancel()
            with suppress(asyncio.CancelledError):
                await feeding


def watchdog_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Return after how many seconds of silence the service manager ends this process; None = it does not look."""
    try:
        period_us = int(environ.get("WATCHDOG_USEC", "0"))
        meant = int(environ.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return period_us / 1e6 if period_us > 0 and meant == os.getpid() else None


async def _feed(every_s: float, environ: Mapping[str, str]) -> None:
    while True:
        notify("WATCHDOG=1", environ)
        await asyncio.sleep(every_s)
