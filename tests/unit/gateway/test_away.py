"""A board that nobody heard for seven days: all of it comes, in order, once, a few batches at a time."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.messages import Batch, Event, Lane, Origin, Quantity, Reading, RunEvent
from contract.outbox import Outbox, Sender
from contract.outbox.sender import WINDOW
from contract.store import open_database, transaction
from contract.topics import Channel
from irrigation.model import Dose
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.unit.gateway import farm as f
from tests.unit.gateway.scripted import Board, Server, running, settings_for

pytestmark = pytest.mark.uses_broker
BEGUN = datetime(2026, 11, 10, 0, 0, tzinfo=UTC)
EVERY = timedelta(minutes=2)
DAYS = 7
SENSORS = ("soil-1", "soil-2")


def alone(outbox: Outbox) -> tuple[list[Reading], list[Event]]:
    """Live through seven days of virtual time: readings every two minutes, a watering each morning."""
    readings: list[Reading] = []
    events: list[Event] = []
    for step in range(int(timedelta(days=DAYS) / EVERY)):
        at = BEGUN + step * EVERY
        new = [
            Reading(seq=1, sensor=name, quantity=Quantity.SOIL_MOISTURE, value=step % 50, unit="%", at=at)
            for name in SENSORS
        ]
        outbox.append(*new)
        readings += new
        if (at.hour, at.minute) == (5, 30):
            for state in (RunState.OPENING, RunState.OPEN, RunState.CLOSING, RunState.DONE):
                event = RunEvent(
                    seq=1,
                    at=at,
                    run_id=f"run-{at:%Y%m%d}",
                    zone_id="beans",
                    channel="v1",
                    state=state,
                    origin=Origin.BASE_PLAN,
                    actor="program:morning",
                    dose=Dose(minutes=20),
                    max_s=1200,
                    entry_id=f"morning:{at:%Y%m%d}:0530:beans",
                    program_id="morning",
                )
                outbox.append(event)
                events.append(event)
    return readings, events


class Watched:
    """A board's link that counts how many batches of a lane are on their way, unacknowledged."""

    def __init__(self, board: Board, outbox: Outbox) -> None:
        self._board = board
        self._outbox = outbox
        self.most = 0
        self._sent: list[tuple[str, Lane, int]] = []

    @property
    def connected(self) -> bool:
        return self._board.link.connected

    async def publish(
        self, farm_id: str, node_id: str, channel: Channel, message: bytes, *, expires_s: int | None = None
    ) -> None:
        batch = Batch.model_validate_json(message)
        self._sent.append((batch.boot_id, batch.lane, batch.records[-1].seq))
        under_way = [one for one in self._sent if one[1] is batch.lane and one[2] > self._outbox.acked(one[1], one[0])]
        self.most = max(self.most, len(under_way))
        await self._board.link.publish(farm_id, node_id, channel, message, expires_s=expires_s)


async def test_what_happened_in_seven_days_without_a_gateway_comes_in_order_once_and_a_few_batches_at_a_time(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    db = open_database(tmp_path / "board.sqlite3")
    outbox = Outbox(db, boot_id="boot-alone")
    with transaction(db):
        readings, events = alone(outbox)
    async with (
        Server(mosquitto.port, tmp_path) as server,
        running(settings_for(mosquitto.port, tmp_path / "g")),
    ):
        await server.configure(f.FARM)
        async with Board(mosquitto.port) as board:
            watched = Watched(board, outbox)
            sender = board.sender = Sender(outbox, watched, "mai", "board-1")
            sending = asyncio.create_task(sender.run(), name="sender")
            sender.on_connect()
            async with asyncio.timeout(50):
                while len(server.stored.readings) < len(readings) or len(board_events(server)) < len(events):
                    await asyncio.sleep(0.05)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        told = [(one.sensor, one.at) for node_id, one in server.stored.readings if node_id == "board-1"]
        assert told == [(one.sensor, one.at) for one in readings]
        assert [(one.run_id, one.state) for one in board_events(server)] == [
            (one.run_id, one.state) for one in events if isinstance(one, RunEvent)
        ]
        assert watched.most <= WINDOW
    db.close()


def board_events(server: Server) -> list[RunEvent]:
    return [one for node_id, one in server.stored.events if node_id == "board-1" and isinstance(one, RunEvent)]
