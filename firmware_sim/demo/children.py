"""The demo's processes: started, watched, started again when they die, ended when told; on a farm systemd does it."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from firmware_sim.errors import DemoError

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
STEADY_S = 10.0
END_S = 8.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> None:
    """Runs in the child: have the kernel end it when the demo is killed without a chance to do so itself."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One process. Its output goes to its log file; terminal signals do not reach it, so the demo decides the order."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._argv, self._log = list(argv), log
        self._env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._ending = False

    @classmethod
    def of(cls, name: str, process: asyncio.subprocess.Process, log: Path) -> "Child":
        """One that is running already and is not started again."""
        child = cls(name, [], log)
        child._process = process
        return child

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the process and return without waiting for what it does."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                start_new_session=True,
                preexec_fn=end_with_parent if sys.platform == "linux" else None,
            )

    async def wait(self) -> int:
        """Return the exit code once it has ended."""
        if self._process is None:
            raise DemoError(f"{self.name} was never started")
        return await self._process.wait()

    def watch(self, died: Callable[["Child", str], None], started: Callable[["Child"], None]) -> None:
        """Start it again whenever it dies, later each time; `died` is told how, `started` when it runs again."""
        self._watching = asyncio.create_task(self._watch(died, started), name=f"watch {self.name}")

    async def _watch(self, died: Callable[["Child", str], None], started: Callable[["Child"], None]) -> None:
        wait_s, loop = FIRST_WAIT_S, asyncio.get_running_loop()
        while True:
            begun_s = loop.time()
            code = await self.wait()
            if self._ending:
                return
            if loop.time() - begun_s > STEADY_S:
                wait_s = FIRST_WAIT_S
            died(self, _how(code))
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            await self.start()
            started(self)

    def kick(self) -> None:
        """End the process at once; if it is watched it will be started again."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def end(self, limit_s: float = END_S) -> None:
        """Ask it to end, then insist; nothing starts it again."""
        self._ending = True
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), limit_s)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def last_words(self, lines: int = 8) -> str:
        """The end of its log."""
        with suppress(OSError):
            return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        return ""


def _how(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
