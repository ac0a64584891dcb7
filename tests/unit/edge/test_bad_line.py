"""A board on a line that is slow, torn, or dead without a word: orders first, nothing lost, nothing twice."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from contract.messages import Lane, Quantity, Reading
from contract.outbox import Outbox
from contract.store import open_database
from edge.app import DATABASE
from irrigation.model import Dose
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.network import BadLine
from tests.fixtures.processes import Processes
from tests.unit.edge.board import Bench, Gateway

pytestmark = pytest.mark.uses_broker
_farms = count(1)
BACKLOG = 2000


@pytest.fixture
def bench(tmp_path: Path, shared_mosquitto: Mosquitto, processes: Processes) -> Bench:
    return Bench(tmp_path, f"line-farm-{next(_farms)}", shared_mosquitto.port, processes)


def over(bench: Bench, line: BadLine, *more: str) -> None:
    """Have the board speak over the line."""
    text = bench.path.read_text().replace(
        f"port = {bench.settings.mqtt.port}", "\n".join((f"port = {line.port}", *more))
    )
    bench.path.write_text(text.replace("report_every_s = 1", "report_every_s = 3600"))
    bench.reload()


def measured_alone(bench: Bench) -> list[datetime]:
    """Leave in the board's outbox what it measured while nobody was there; return the times."""
    db = open_database(bench.settings.state_dir / DATABASE)
    outbox = Outbox(db, boot_id="boot-alone")
    begun = datetime.now(UTC) - timedelta(days=1)
    times = [begun + timedelta(seconds=40 * number) for number in range(BACKLOG)]
    outbox.append(
        *(Reading(seq=1, sensor="soil-1", quantity=Quantity.SOIL_MOISTURE, value=30.0, unit="%", at=at) for at in times)
    )
    db.close()
    return times


async def test_at_8_kbit_s_an_order_and_its_news_overtake_a_day_of_readings(bench: Bench) -> None:
    bench.start_guard()
    line = BadLine(bench.settings.mqtt.port, bytes_per_s=1000)
    async with line.up(), bench.listening() as gateway:
        gateway.patience_s = 60.0
        over(bench, line)
        measured_alone(bench)
        async with bench.agent() as agent:
            await gateway.until(lambda: gateway.readings)  # they are on their way
            before = len(gateway.readings)
            await gateway.open("run-1")
            await gateway.reached("run-1", RunState.OPEN)
            on_the_way = len(gateway.readings) - before
            assert on_the_way <= 100  # of 2000: what was in the line already
            assert agent.outbox.depth(Lane.READINGS) > BACKLOG / 2
            line.bytes_per_s = None  # the agent's farewell need not take a minute


async def test_a_line_that_dies_without_a_word_is_noticed_and_everything_comes_once_and_in_order(bench: Bench) -> None:
    guard = bench.start_guard()
    line = BadLine(bench.settings.mqtt.port)
    async with line.up(), bench.listening() as gateway:
        over(bench, line, "keepalive_s = 1")
        async with bench.agent() as agent:
            await gateway.open("run-1", channel="v2", max_s=1.0, dose=Dose(minutes=0.05))
            await gateway.reached("run-1", RunState.OPEN)
            line.go_dead()
            guard.wait_for("valve v2 closed", after=guard.number_of("valve v2 open"))  # nobody need be heard for that
            async with asyncio.timeout(20):
                while agent.link.connected:
                    await asyncio.sleep(0.01)
            known = line.connections
            line.come_back()
            await gateway.reached("run-1", RunState.DONE)
            assert line.connections >= known
            assert gateway.states_of("run-1") == [
                RunState.OPENING,
                RunState.OPEN,
                RunState.CLOSING,
                RunState.DONE,
            ]


def has(gateway: Gateway, readings: float) -> bool:
    return len(gateway.readings) >= readings


async def test_a_line_that_is_torn_again_and_again_loses_and_doubles_nothing(bench: Bench) -> None:
    bench.start_guard()
    line = BadLine(bench.settings.mqtt.port, bytes_per_s=30_000)
    async with line.up(), bench.listening() as gateway:
        over(bench, line)
        times = measured_alone(bench)
        async with bench.agent():
            for share in (0.1, 0.3, 0.6):
                await gateway.until(partial(has, gateway, share * BACKLOG))
                line.reset()
            line.bytes_per_s = None
            await gateway.until(lambda: len(gateway.readings) >= BACKLOG)
        told = [one.at for one in gateway.readings]
        assert told[:BACKLOG] == times
        assert len(set(zip(told, (one.sensor for one in gateway.readings), strict=True))) == len(told)
