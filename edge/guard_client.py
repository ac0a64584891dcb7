"""The agent's end of the guard's socket: asks, renews, and hears what the guard closed."""

import asyncio
import json
import logging
import os
import signal
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import GuardLost, GuardRefused

log = logging.getLogger(__name__)

RENEW_S = 0.5
ANSWER_S = 2.0
AGAIN_S = 0.25
_PEERCRED = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class GuardNews:
    """What the guard told unasked: `opened` (after its supply), `closed`, `close-failed` or `close-recovered`."""

    event: str
    channel: str
    lease_id: str | None = None
    cause: str | None = None
    open_s: float = 0.0
    left_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Granted:
    """A lease: its valve is open for `left_s` at most, or opens in `opens_in_s`, once its supply runs."""

    left_s: float
    opens_in_s: float = 0.0


class GuardClient:
    """Keeps the connection to the guard. `leases` (id -> channel) are renewed twice a second while they are in it."""

    def __init__(
        self,
        path: Path,
        *,
        on_news: Callable[[GuardNews], Awaitable[None]],
        on_lost: Callable[[], Awaitable[None]],
        on_up: Callable[[], None],
    ) -> None:
        self.leases: dict[str, str] = {}
        self.locked: dict[str, str] = {}
        """What is locked, and why, when the guard was last asked."""
        self.failed: frozenset[str] = frozenset()
        """Channels that did not close when the guard was last asked."""
        self._path = path
        self._on_news = on_news
        self._on_lost = on_lost
        self._on_up = on_up
        self._writer: asyncio.StreamWriter | None = None
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._was_up = True

    @property
    def up(self) -> bool:
        """Whether the guard is connected."""
        return self._writer is not None

    def holder(self, channel: str) -> str | None:
        """Return the lease that a channel is held by, as far as is known here."""
        return next((lease_id for lease_id, held in self.leases.items() if held == channel), None)

    async def run(self) -> None:
        """Connect for ever; a task of the agent."""
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path)
            except OSError as exc:
                if self._was_up:
                    log.error("guard lost path=%s: %s", self._path, exc)
                    self._was_up = False
                await asyncio.sleep(AGAIN_S)
                continue
            try:
                await self._use(reader, writer)
            finally:
                self._writer = None
                self._answers = asyncio.Queue()
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
            log.error("guard lost path=%s", self._path)
            self._was_up = False
            self.leases.clear()
            await self._on_lost()

    async def open(self, channel: str, lease_id: str, seconds: float) -> Granted:
        """Have a valve opened, now or when its supply runs: `opened` tells. Raise GuardLost or GuardRefused."""
        self.leases[lease_id] = channel
        try:
            answer = await self._ask(do="open", channel=channel, lease_id=lease_id, seconds=seconds)
        except BaseException:
            self.leases.pop(lease_id, None)
            raise
        return Granted(float(answer["left_s"]), float(answer["opens_in_s"]))

    async def close(self, channel: str) -> None:
        """Have a valve closed; the news comes by `on_news`. Raise GuardLost."""
        await self._note(await self._ask(do="close", channel=channel))

    async def close_all(self) -> None:
        """Have every valve closed. Raise GuardLost."""
        await self._note(await self._ask(do="close-all"))

    async def lock(self, name: str, why: str) -> None:
        """Have an output shut until it is unlocked, with all that drinks from it. Raise GuardLost or GuardRefused."""
        await self._note(await self._ask(do="lock", name=name, why=why))

    async def unlock(self, name: str) -> None:
        """Let an output open again when it is asked to. Raise GuardLost or GuardRefused."""
        await self._note(await self._ask(do="unlock", name=name))

    async def _ask(self, **request: Any) -> Any:
        async with self._turn:
            writer = self._writer
            if writer is None:
                raise GuardLost(f"no guard at {self._path}")
            try:
                writer.write(json.dumps(request).encode() + b"\n")
                async with asyncio.timeout(ANSWER_S):
                    answer = await self._answers.get()
            except TimeoutError as exc:
                self._end_frozen(writer)
                raise GuardLost(f"the guard did not answer {request['do']} within {ANSWER_S:g} s") from exc
            except OSError as exc:
                raise GuardLost(f"the guard's socket broke: {exc}") from exc
        if "lost" in answer:
            raise GuardLost(f"the guard ended while it was asked to {request['do']}")
        if "error" in answer:
            raise GuardRefused(str(answer["error"]), str(answer.get("detail", "")))
        return answer["ok"]

    async def _note(self, state: dict[str, Any]) -> None:
        """Believe the guard about what does not close, also when its news was lost with an old connection."""
        now = frozenset(state["failed"])
        news = [GuardNews("close-failed", channel) for channel in now - self.failed]
        news += [GuardNews("close-recovered", channel) for channel in self.failed - now]
        self.failed = now
        self.locked = dict(state["locked"])
        for one in news:
            await self._on_news(one)

    async def _use(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        log.info("guard up path=%s%s", self._path, "" if self._was_up else " again")
        self._was_up = True
        self._on_up()
        renewing = asyncio.create_task(self._renew(writer), name="renew leases")
        try:
            while line := await reader.readline():
                message = json.loads(line)
                if "event" in message:
                    news = GuardNews(**message)
                    if news.event in {"closed", "close-failed"} and news.lease_id is not None:
                        self.leases.pop(news.lease_id, None)
                    if news.event == "close-failed":
                        self.failed |= {news.channel}
                    elif news.event == "close-recovered":
                        self.failed -= {news.channel}
                    await self._on_news(news)
                else:
                    self._answers.put_nowait(message)
        except (OSError, ValueError) as exc:
            log.warning("guard's socket broke: %s", exc)
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing
            self._answers.put_nowait({"lost": True})

    async def _renew(self, writer: asyncio.StreamWriter) -> None:
        # Asks for an answer too: a guard that is frozen takes bytes for a long time and says nothing.
        at_first = True
        while True:
            if self.leases:
                writer.write(json.dumps({"do": "renew", "lease_ids": sorted(self.leases)}).encode() + b"\n")
            if self.leases or self.failed or at_first:
                with suppress(GuardLost, GuardRefused):
                    await self._note(await self._ask(do="state"))
                    at_first = False
            await asyncio.sleep(RENEW_S)

    def _end_frozen(self, writer: asyncio.StreamWriter) -> None:
        """A guard that hangs holds its lines; killed, it is started anew by the service manager, with all closed."""
        sock = writer.get_extra_info("socket")
        if sock is None:
            return
        with suppress(OSError):
            pid, uid, _ = _PEERCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
            if uid == os.geteuid():
                log.error("guard hangs pid=%d: killed, so that it is started anew with everything closed", pid)
                os.kill(pid, signal.SIGKILL)
        writer.close()
