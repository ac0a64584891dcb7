"""The snapshots that the server is shown: after the events in them, and one for several changes."""

import asyncio
from pathlib import Path
from typing import Any

from contract.clock import Clock
from contract.topics import Channel
from gateway.herald import Herald
from tests.unit.gateway import farm as f
from tests.unit.gateway.office import Office


class Line:
    """Keeps on which channels something was said, in order."""

    def __init__(self) -> None:
        self.connected = True
        self.said: list[Channel] = []
        self.state = asyncio.Event()

    async def publish(
        self, farm_id: str, node_id: str, channel: Channel, message: Any, *, expires_s: int | None = None
    ) -> None:
        self.said.append(channel)
        if channel is Channel.STATE:
            self.state.set()


async def test_a_snapshot_comes_after_the_events_in_it_and_is_one_for_several_changes(tmp_path: Path) -> None:
    office, line = Office(tmp_path / "journal.sqlite3"), Line()
    office.configure(f.FARM)
    herald = Herald(
        line,
        boards=office.boards,
        plan=office.plan,
        outbox=office.outbox,
        clock=Clock(None, lambda: f.NOW),
        software="",
    )
    running = asyncio.create_task(herald.run(), name="herald")
    for _ in range(3):  # as often as a sender needs until its batch is out
        herald.tell()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await line.publish("mai", "gateway", Channel.BATCH, None)
    await line.state.wait()
    assert line.said == [Channel.BATCH, Channel.STATE]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    office.db.close()
