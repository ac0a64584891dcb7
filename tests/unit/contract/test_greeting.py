"""A receiver that comes to hear of a sender ends the sender's wait: nothing that found nobody waits for a timer."""

import asyncio
import sqlite3
from datetime import UTC, datetime
from typing import Any

from contract.codec import decode
from contract.inbox import Inbox
from contract.messages import Batch, BootEvent, Lane
from contract.outbox import Outbox, Sender
from contract.store import transaction
from contract.topics import Channel


class Deaf:
    """A broker without anybody behind it."""

    connected = True

    def __init__(self) -> None:
        self.sent: asyncio.Queue[Batch] = asyncio.Queue()

    async def publish(
        self, farm_id: str, node_id: str, channel: Channel, message: Any, *, expires_s: int | None = None
    ) -> None:
        self.sent.put_nowait(decode(channel, message))


async def test_what_found_nobody_is_sent_again_at_the_greeting() -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    outbox, inbox = Outbox(db, boot_id="boot-1"), Inbox(db)
    with transaction(db):
        outbox.append(BootEvent(seq=1, at=datetime(2026, 11, 23, tzinfo=UTC), boot_id="boot-1"))
    link = Deaf()
    sender = Sender(outbox, link, "mai", "board-1", resend_s=3600, resend_most_s=3600)
    running = asyncio.create_task(sender.run(), name="sender")
    first = await asyncio.wait_for(link.sent.get(), 5)
    greeting = inbox.greeting("board-1", "boot-1")
    assert (greeting.lane, greeting.seq, greeting.resume) == (Lane.EVENTS, 0, True)
    sender.on_ack(greeting)
    again = await asyncio.wait_for(link.sent.get(), 5)
    assert again == first
    _, ack = inbox.accept("board-1", again)
    sender.on_ack(ack)
    assert outbox.depth(Lane.EVENTS) == 0
    assert inbox.greeting("board-1", "boot-1").seq == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    db.close()
