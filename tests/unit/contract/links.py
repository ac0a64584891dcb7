"""Links for tests: something that hears, and a link that runs as long as its block."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from contract.link import Incoming, Link, LinkSettings
from contract.messages import Ack, Lane, Status

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
Handler = Callable[[Incoming], Awaitable[None]]


def ack(seq: int) -> Ack:
    return Ack(boot_id="b1", lane=Lane.EVENTS, seq=seq)


def status(*, online: bool) -> Status:
    return Status(online=online, boot_id="b1", at=NOON)


class Ear:
    """Keeps what came, and lets a test wait for it."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Incoming] = asyncio.Queue()
        self.connections = 0
        self.connected = asyncio.Event()

    async def on_message(self, incoming: Incoming) -> None:
        await self.heard.put(incoming)

    async def on_connect(self) -> None:
        self.connections += 1
        self.connected.set()

    async def next(self) -> Incoming:
        async with asyncio.timeout(20):
            return await self.heard.get()

    async def next_connection(self) -> None:
        async with asyncio.timeout(20):
            await self.connected.wait()
        self.connected.clear()


def settings(port: int, **changes: Any) -> LinkSettings:
    """Settings of a link that comes back quickly."""
    return LinkSettings(port=port, retry_least_s=0.05, retry_most_s=0.2, **changes)


@asynccontextmanager
async def running(link: Link, ear: Ear) -> AsyncIterator[Link]:
    """A link whose task runs, and is cancelled at the end."""
    task = asyncio.create_task(link.run())
    try:
        await ear.next_connection()
        yield link
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def linked(
    how: LinkSettings,
    client_id: str,
    subscriptions: Sequence[str] = (),
    *,
    on_message: Handler | None = None,
    will: tuple[str, str, Status] | None = None,
) -> AsyncIterator[tuple[Link, Ear]]:
    ear = Ear()
    link = Link(
        how,
        client_id=client_id,
        subscriptions=subscriptions,
        on_message=on_message or ear.on_message,
        on_connect=ear.on_connect,
        will=will,
    )
    async with running(link, ear):
        yield link, ear
