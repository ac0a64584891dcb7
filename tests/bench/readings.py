"""Readings from the wire to the server's store, through both acknowledged hops, as fast as they go."""

import asyncio
import secrets
import sqlite3
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contract.link import Incoming, Link, LinkSettings
from contract.messages import Ack, Lane, Quantity, Reading, Status
from contract.outbox import Outbox, Sender
from contract.store import open_database, transaction
from contract.topics import Channel, down_filter
from tests.e2e.house import House

READINGS = 400_000
SENSORS = 40
FARM, NODE = "mai", "bench"


def sustained_per_s(house: House) -> float:
    """Send READINGS from a board's own outbox; return how many a second the server's store took, to the last one."""
    store = next(house.data.glob("server/*series*"))
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_send(house.told["mqtt"]["port"], Path(folder), store))


async def _send(port: int, folder: Path, store: Path) -> float:
    db = open_database(folder / "bench.sqlite3", max_pages=1_000_000)
    outbox = Outbox(db, boot_id=secrets.token_hex(8), max_readings=2 * READINGS)
    begin = datetime.now(UTC) - timedelta(days=20)
    for start in range(0, READINGS, 10_000):
        with transaction(db):
            outbox.append(*(_reading(number, begin) for number in range(start, start + 10_000)))

    async def on_message(incoming: Incoming) -> None:
        if isinstance(incoming.message, Ack):
            sender.on_ack(incoming.message)

    async def on_connect() -> None:
        await link.publish(
            FARM, NODE, Channel.STATUS, Status(online=True, boot_id=outbox.boot_id, at=datetime.now(UTC))
        )
        sender.on_connect()

    link = Link(
        LinkSettings(port=port),
        client_id=f"{FARM}-{NODE}",
        subscriptions=[down_filter(FARM, NODE)],
        on_message=on_message,
        on_connect=on_connect,
    )
    sender = Sender(outbox, link, FARM, NODE)
    before = _stored(store)
    begun = time.perf_counter()
    tasks = [asyncio.create_task(link.run(), name="link"), asyncio.create_task(sender.run(), name="sender")]
    while (stored := _stored(store) - before) < READINGS:
        if time.perf_counter() - begun > 120:
            raise TimeoutError(f"{stored} of {READINGS} readings were stored within 120 s")
        await asyncio.sleep(0.1)
    took = time.perf_counter() - begun
    left = outbox.depth(Lane.READINGS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    db.close()
    print(f"readings: {READINGS:,} stored in {took:.1f} s; {left} waited for their last acknowledgement")
    return READINGS / took


def _reading(number: int, begin: datetime) -> Reading:
    return Reading(
        seq=1,
        sensor=f"soil-{number % SENSORS}",
        quantity=Quantity.SOIL_MOISTURE,
        value=20 + number % 150 / 10,
        unit="%",
        at=begin + timedelta(seconds=number // SENSORS * 60),
    )


def _stored(path: Path) -> int:
    """Rows of this bench in the server's series file, counted from outside by a reader of our own."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        (count,) = db.execute(
            "SELECT count(*) FROM reading WHERE sensor_id IN (SELECT id FROM sensor WHERE node_id = ?)", (NODE,)
        ).fetchone()
    finally:
        db.close()
    return int(count)
