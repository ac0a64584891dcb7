"""The server as a process beside a real broker: from a phone's tap to the gateway, and back as live events."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.link import Incoming, Link, LinkSettings
from contract.messages import (
    UNIT,
    Ack,
    Batch,
    FarmConfig,
    FarmState,
    Hello,
    Lane,
    Open,
    Quantity,
    Reading,
    RunEvent,
    Status,
)
from contract.topics import GATEWAY, Channel, down_filter
from irrigation.run import RunState
from server.cli import main
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Process, Processes

ROOT = Path(__file__).parents[2]
PASSWORD = "mat-khau-du-dai"


class Gateway:
    """A gateway that says what the test tells it to."""

    def __init__(self, port: int) -> None:
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        death = Status(online=False, boot_id="g1", at=datetime.now(UTC))
        self.link = Link(
            LinkSettings(port=port, retry_least_s=0.05, retry_most_s=0.2), client_id="gateway-mai",
            subscriptions=[down_filter("mai", GATEWAY)], on_message=self._message, on_connect=self._born,
            will=("mai", GATEWAY, death),
        )  # fmt: skip
        self.version = 0
        self._sent: dict[Lane, int] = dict.fromkeys(Lane, 0)

    async def _message(self, incoming: Incoming) -> None:
        if isinstance(incoming.message, FarmConfig):
            self.version = incoming.message.version
        await self.heard.put(incoming.message)

    async def _born(self) -> None:
        now = datetime.now(UTC)
        await self.says(Channel.STATUS, Status(online=True, boot_id="g1", at=now))
        hello = Hello(boot_id="g1", at=now, clock_trusted=True, software="0", config_version=self.version)
        await self.says(Channel.HELLO, hello)
        state = FarmState(
            boot_id="g1", at=now, clock_trusted=True, nodes=(), config_version=self.version, timetable_version=0
        )
        await self.says(Channel.STATE, state)

    async def says(self, channel: Channel, message: Any) -> None:
        await self.link.publish("mai", GATEWAY, channel, message)

    async def hears(self, kind: type, wanted: Callable[[Any], bool] = lambda _message: True) -> Any:
        async with asyncio.timeout(10):
            while True:
                message = await self.heard.get()
                if isinstance(message, kind) and wanted(message):
                    return message

    async def reports(self, *records: Any) -> Batch:
        """Send records and wait until they are acknowledged, sending again like an outbox does."""
        lane = Lane.READINGS if isinstance(records[0], Reading) else Lane.EVENTS
        after = self._sent[lane]
        numbered = tuple(record.model_copy(update={"seq": after + n}) for n, record in enumerate(records, 1))
        field = "readings" if lane is Lane.READINGS else "events"
        batch = Batch.model_validate({"boot_id": "g1", "lane": lane, "after_seq": after, field: numbered})
        self._sent[lane] += len(records)
        while True:
            with suppress(TimeoutError, ConnectionError):
                await self.says(Channel.BATCH, batch)
                async with asyncio.timeout(1):
                    await self.hears(Ack, lambda ack: ack.lane is lane and ack.seq >= self._sent[lane])
                return batch


class Site:
    """`tuoi server` as a process."""

    def __init__(self, processes: Processes, folder: Path, broker: Mosquitto, port: int) -> None:
        self._processes = processes
        self._config = folder / "server.toml"
        self._config.write_text(f"[http]\nport = {port}\n[broker]\nport = {broker.port}\nretry_most_s = 0.5\n")
        (folder / "password").write_text(PASSWORD)
        self.url = f"http://127.0.0.1:{port}"
        config, password = str(self._config), str(folder / "password")
        assert main(["load-farm", "--config", config, str(ROOT / "configs" / "farm.toml")]) == 0
        who = ["mai", "--role", "farmer", "--farm", "mai", "--password-file", password]
        assert main(["add-account", "--config", config, *who]) == 0
        self.process: Process
        self.start()

    def start(self) -> None:
        self.process = self._processes.start(
            sys.executable, "-m", "tuoi", "server", "--config", self._config, name="server"
        )
        self.process.wait_for(r"serving host", 20)


@asynccontextmanager
async def running(gateway: Gateway) -> AsyncIterator[Gateway]:
    task = asyncio.create_task(gateway.link.run(), name="the test's gateway")
    try:
        yield gateway
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def phone(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{site.url}/api/v1", headers={"X-Tuoi": "1"}, timeout=10) as client:
        answer = await client.post("/session", json={"name": "mai", "password": PASSWORD})
        assert answer.status_code == 200
        yield client


async def until(client: httpx.AsyncClient, true: Callable[[Any], bool]) -> Any:
    """The snapshot, once it is so."""
    async with asyncio.timeout(15):
        while True:
            with suppress(httpx.TransportError):
                home = (await client.get("/farms/mai/snapshot")).json()
                if true(home):
                    return home
            await asyncio.sleep(0.02)


async def deltas(answer: httpx.Response) -> AsyncGenerator[tuple[str, Any], None]:
    event = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield event, json.loads(line.removeprefix("data: "))


def run_event(order: Open, state: RunState, **more: Any) -> RunEvent:
    return RunEvent(
        seq=1, node_id="board-1", at=datetime.now(UTC), run_id=order.run_id, zone_id=order.zone_id, channel="v1",
        state=state, origin=order.origin, actor=order.actor, dose=order.dose, max_s=1200.0, **more,
    )  # fmt: skip


def reading(value: float, seconds: float) -> Reading:
    at = datetime.now(UTC) - timedelta(hours=1) + timedelta(seconds=seconds)
    return Reading(
        seq=1, node_id="board-1", sensor="soil-3", quantity=Quantity.SOIL_MOISTURE, value=value,
        unit=UNIT[Quantity.SOIL_MOISTURE], at=at,
    )  # fmt: skip


@pytest.fixture
def site(processes: Processes, tmp_path: Path, mosquitto: Mosquitto, free_port: int) -> Site:
    """A server with farm mai, beside a broker of its own."""
    return Site(processes, tmp_path, mosquitto, free_port)


async def test_a_tap_reaches_the_gateway_and_its_news_reach_the_watching_phone(
    site: Site, mosquitto: Mosquitto
) -> None:
    async with running(Gateway(mosquitto.port)) as gateway, phone(site) as mai:
        config = await gateway.hears(FarmConfig)
        assert config.farm.name == "Vườn nhà chị Mai"
        await until(mai, lambda home: home["link"]["gateway_online"])
        async with (
            asyncio.timeout(20),
            mai.stream("GET", "/farms/mai/live") as answer,
            aclosing(deltas(answer)) as news,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert (await anext(news))[0] == "snapshot"
            tap = await mai.post(
                "/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers={"Idempotency-Key": "tap-00001"}
            )
            run_id = tap.json()["id"]
            order = await gateway.hears(Open)
            assert (order.run_id, order.zone_id) == (run_id, "dau-tay")
            seen = []
            for state in (RunState.ACCEPTED, RunState.OPEN, RunState.DONE):
                await gateway.reports(run_event(order, state, litres=960.0 if state is RunState.DONE else None))
            async for event, delta in news:
                run = delta.get("runs", {}).get(run_id) if event == "delta" else None
                if run is not None:
                    seen.append(run["state"])
                    if run["state"] == "done":
                        break
            assert [state for n, state in enumerate(seen) if state not in seen[:n]] == [
                "asked",
                "accepted",
                "open",
                "done",
            ]


async def test_a_server_killed_and_started_again_has_everything_once(site: Site, mosquitto: Mosquitto) -> None:
    async with running(Gateway(mosquitto.port)) as gateway, phone(site) as mai:
        await until(mai, lambda home: home["link"]["gateway_online"])
        await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers={"Idempotency-Key": "tap-00001"})
        order = await gateway.hears(Open)
        first = await gateway.reports(*[reading(20 + n % 5, n) for n in range(100)])
        await gateway.reports(run_event(order, RunState.OPEN))
        site.process.kill()
        later = asyncio.create_task(gateway.reports(*[reading(30, 200 + n) for n in range(50)]))
        site.start()
        await later
        await gateway.says(Channel.BATCH, first)  # what a sender does whose acknowledgement was lost
        await gateway.reports(run_event(order, RunState.DONE, litres=900.0))
        home = await until(mai, lambda home: home["runs"][order.run_id]["state"] == "done")
        assert home["link"]["gateway_online"] is True
        assert home["zones"]["rau-cai-meo"]["moisture"]["value"] == 30
        points = (await mai.get("/zones/rau-cai-meo/series?points=1000")).json()["points"]
        assert len(points) == 150


async def test_the_death_of_the_gateway_is_shown_and_orders_are_refused(site: Site, mosquitto: Mosquitto) -> None:
    async with phone(site) as mai:
        async with running(Gateway(mosquitto.port)):
            await until(mai, lambda home: home["link"]["gateway_online"])
        await until(mai, lambda home: not home["link"]["gateway_online"])
        answer = await mai.post(
            "/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers={"Idempotency-Key": "tap-00001"}
        )
        assert (answer.status_code, answer.json()["type"].rsplit("/")[-1]) == (503, "gateway-away")


async def test_the_server_ends_cleanly_while_phones_watch(site: Site, mosquitto: Mosquitto) -> None:
    async with phone(site) as mai, mai.stream("GET", "/farms/mai/live") as answer, aclosing(deltas(answer)) as news:
        assert (await anext(news))[0] == "snapshot"
        site.process.signal(signal.SIGTERM)
        assert [event async for event, _ in news if event == "snapshot"] == []
        assert await asyncio.to_thread(site.process.wait, 10) == 0
