"""A cooperative of two farms in a folder, and the server over it with a link that leads nowhere but to the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
from argon2 import PasswordHasher

from contract.codec import decode, encode
from contract.errors import NotConnected
from contract.link import Incoming, LinkSettings
from contract.messages import (
    UNIT,
    Batch,
    Command,
    Event,
    FarmState,
    Lane,
    NodeReport,
    NodeState,
    Origin,
    PlanSource,
    Quality,
    Quantity,
    Reading,
    RunEvent,
    Status,
    ValvePosition,
    ValveReport,
)
from contract.topics import GATEWAY, Address, Channel
from irrigation.run import RunState
from server.accounts import add_account
from server.app import App, bootstrap, open_ledger
from server.farms import load_farm
from server.records import Role
from server.settings import LedgerSettings, ServerSettings, SqliteSeriesSettings

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)  # Monday noon in Sơn La
PASSWORD = "mat-khau-du-dai"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
FARM_FILE = Path(__file__).parents[3] / "configs" / "farm.toml"

OTHER_FARM = """
id = "lan"
name = "Vườn chị Lan"
tz = "Asia/Ho_Chi_Minh"
lat = 21.3
lon = 103.9
[[sources]]
id = "gieng"
name = "Giếng"
capacity_l_min = 40
[[zones]]
id = "ca-chua"
name = "Cà chua"
node_id = "board-1"
channel = "v1"
source_id = "gieng"
area_m2 = 300
flow_l_min = 20
sensors = ["soil-1"]
[[programs]]
id = "sang-ca-chua"
name = "Sáng"
calendar = { kind = "weekly", days = [1, 3, 5] }
starts = ["06:00"]
zones = [{ zone_id = "ca-chua", dose = { minutes = 15 } }]
"""


class ScriptedLink:
    """Keeps what is published, and hands over what the test says a gateway said."""

    def __init__(
        self,
        settings: LinkSettings,
        *,
        client_id: str,
        subscriptions: Sequence[str],
        on_message: Callable[[Incoming], Awaitable[None]],
        on_connect: Callable[[], Awaitable[None]],
    ) -> None:
        self.connected = True
        self.sent: list[tuple[str, Channel, Any]] = []
        self.subscriptions = subscriptions
        self._on_message = on_message
        self._on_connect = on_connect

    async def run(self) -> None:
        """Nothing to keep up."""
        await self._on_connect()
        await asyncio.Event().wait()

    async def publish(
        self, farm_id: str, node_id: str, channel: Channel, message: Any, *, expires_s: int | None = None
    ) -> None:
        """Keep it, after the same way over bytes that the real link takes."""
        if not self.connected:
            raise NotConnected("no broker")
        assert node_id == GATEWAY
        self.sent.append((farm_id, channel, decode(channel, encode(channel, message))))

    async def says(self, farm_id: str, channel: Channel, message: Any, *, retained: bool = False) -> None:
        """A gateway says something."""
        known = decode(channel, encode(channel, message))
        await self._on_message(Incoming(Address(farm_id, GATEWAY, channel), known, retained))

    def commands(self, kind: str | None = None) -> list[Command]:
        """The orders that were sent, of one kind."""
        return [m for _, channel, m in self.sent if channel is Channel.COMMAND and kind in (None, m.kind)]


@dataclass
class Coop:
    """The server, its clock and its scripted link. Farm `mai` is configs/farm.toml; `lan` belongs to somebody else."""

    app: App
    link: ScriptedLink
    clock: "Clock"
    folder: Path

    @classmethod
    def found(cls, folder: Path) -> None:
        """Set up both farms and their people."""
        ledger = open_ledger(settings_in(folder).ledger)
        (folder / "lan.toml").write_text(OTHER_FARM)
        for file in (FARM_FILE, folder / "lan.toml"):
            load_farm(ledger, file, NOW - timedelta(days=30))
        for name, role, farms in (
            ("mai", Role.FARMER, ["mai"]),
            ("lan", Role.FARMER, ["lan"]),
            ("thanh", Role.TECHNICIAN, ["mai"]),
            ("hoa", Role.MANAGER, []),
        ):
            add_account(ledger, name=name, password=PASSWORD, role=role, farm_ids=farms, now=NOW, hasher=CHEAP)
        ledger.close()

    @classmethod
    def open(cls, folder: Path, *, web: Path | None = None) -> Self:
        """Start the server over what is in the folder."""
        settings = settings_in(folder)
        clock = Clock()
        links: list[ScriptedLink] = []

        def make_link(*args: Any, **kwargs: Any) -> ScriptedLink:
            links.append(ScriptedLink(*args, **kwargs))
            return links[0]

        app = bootstrap(
            settings, make_link=make_link, now=clock, at_s=clock.at_s, hasher=CHEAP, web=web or folder / "no-web"
        )
        return cls(app, links[0], clock, folder)

    @asynccontextmanager
    async def client(self, name: str | None = None, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        """A browser; signed in when `name` is given."""
        transport = httpx.ASGITransport(self.app.site)
        own = {"X-Tuoi": "1", "Accept-Language": "en"} | headers
        async with httpx.AsyncClient(transport=transport, base_url="http://coop/api/v1", headers=own) as client:
            if name is not None:
                answer = await client.post("/session", json={"name": name, "password": PASSWORD})
                assert answer.status_code == 200, answer.text
            yield client

    async def gateway_up(self, farm_id: str = "mai") -> None:
        """The farm's gateway is online, with its boards and their valves closed."""
        await self.link.says(farm_id, Channel.STATUS, Status(online=True, boot_id="g1", at=self.clock()))
        await self.link.says(farm_id, Channel.STATE, self.state(farm_id))

    def state(self, farm_id: str = "mai", *, version: int | None = None, **runs: Any) -> FarmState:
        """What the gateway knows of its boards; `runs` are RunProgress by channel of board-1."""
        view = self.app.services.live.view(farm_id)
        assert view is not None
        nodes = []
        for node_id in sorted({zone.node_id for zone in view.farm.zones}):
            valves = []
            for zone in [zone for zone in view.farm.zones if zone.node_id == node_id]:
                run = runs.get(zone.channel) if node_id == "board-1" else None
                position = ValvePosition.OPEN if run else ValvePosition.CLOSED
                valves.append(ValveReport(channel=zone.channel, zone_id=zone.id, position=position, run=run))
            state = NodeState(
                boot_id="b1", at=self.clock(), clock_trusted=True, software="0.1.0", valves=tuple(valves),
                plan=PlanSource.TIMETABLE, config_version=1, timetable_version=1, battery_v=12.6,
            )  # fmt: skip
            nodes.append(NodeReport(node_id=node_id, online=True, last_heard=self.clock(), state=state))
        return FarmState(
            boot_id="g1", at=self.clock(), clock_trusted=True, nodes=tuple(nodes), timetable_version=1,
            config_version=view.farm.version if version is None else version,
        )  # fmt: skip

    async def events(self, *events: Event, farm_id: str = "mai", boot: str = "g1") -> None:
        """The gateway reports events; their sequence numbers say where they belong."""
        batch = Batch(boot_id=boot, lane=Lane.EVENTS, after_seq=events[0].seq - 1, events=events)
        await self.link.says(farm_id, Channel.BATCH, batch)

    async def readings(self, *readings: Reading, farm_id: str = "mai", boot: str = "g1") -> None:
        """The gateway passes readings on."""
        batch = Batch(boot_id=boot, lane=Lane.READINGS, after_seq=readings[0].seq - 1, readings=readings)
        await self.link.says(farm_id, Channel.BATCH, batch)

    def close(self) -> None:
        self.app.close()


def settings_in(folder: Path) -> ServerSettings:
    """A server whose stores are in this folder."""
    return ServerSettings(
        ledger=LedgerSettings(url=f"sqlite:///{folder / 'ledger.db'}"),
        series=SqliteSeriesSettings(path=folder / "series.db"),
    )


class Clock:
    """The time, which stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def at_s(self) -> float:
        return self.now.timestamp()

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def reading(
    seq: int, value: float | None, at: datetime, *, sensor: str = "soil-1", node_id: str = "board-1",
    quantity: Quantity = Quantity.SOIL_MOISTURE, quality: Quality = Quality.GOOD,
    reason: str | None = None, **more: Any,
) -> Reading:  # fmt: skip
    """A reading of a board."""
    return Reading(
        seq=seq, node_id=node_id, sensor=sensor, quantity=quantity, value=value, unit=UNIT[quantity], at=at,
        quality=quality, reason=reason if reason or quality is Quality.GOOD else "jump", **more,
    )  # fmt: skip


def run_event(seq: int, command: Any, state: RunState, at: datetime, **more: Any) -> RunEvent:
    """What is reported of the run that an order asked for."""
    given: dict[str, Any] = {
        "node_id": "board-1", "channel": "v1", "zone_id": command.zone_id, "run_id": command.run_id,
        "origin": Origin.PERSON, "actor": command.actor, "dose": command.dose, "max_s": command.max_s or 60.0,
    }  # fmt: skip
    return RunEvent(**given | more, seq=seq, at=at, state=state)
