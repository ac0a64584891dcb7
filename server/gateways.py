"""The farms' gateways: what they say is stored, acknowledged and shown; what they must know of their farm is sent."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from contract.codec import encode
from contract.errors import ContractError, NotConnected
from contract.link import Incoming
from contract.messages import Ack, Batch, FarmConfig, FarmState, Hello, Lane, Reply, Status
from contract.topics import GATEWAY, Channel
from irrigation.model import Timetable
from server.errors import Unavailable
from server.ingest import Ingest
from server.ledger import farms, history
from server.ledger.database import Ledger
from server.live import Live
from server.records import FarmRecord
from server.shapes import planned

log = logging.getLogger(__name__)

_CONFIG_AGAIN_S = 5.0
_KEEP_SAID_EVERY_S = 10.0


class Sends(Protocol):
    """The side of the link that sends."""

    @property
    def connected(self) -> bool:
        """Whether there is a broker."""
        ...

    async def publish(
        self, farm_id: str, node_id: str, channel: Channel, message: Any, *, expires_s: int | None = None
    ) -> None:
        """Send one message."""
        ...


class Gateways:
    """Handles the link's messages. `on_reply` hear answers to commands, `on_return` of a gateway that came back."""

    def __init__(self, ledger: Ledger, live: Live, ingest: Ingest, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._live = live
        self._ingest = ingest
        self._now = now
        self._link: Sends | None = None
        self._held: dict[str, int] = {}
        self._sent: dict[str, tuple[int, float]] = {}
        self._acks: dict[tuple[str, str, Lane], Ack] = {}
        self._ack_due = asyncio.Event()
        self._said: dict[tuple[str, Channel], Any] = {}
        self._strangers: set[str] = set()
        self.on_reply: list[Callable[[str, Reply], None]] = []
        self.on_return: Callable[[str], None] = lambda _farm_id: None

    def use(self, link: Sends) -> None:
        """Send over this link."""
        self._link = link

    @property
    def connected(self) -> bool:
        """Whether there is a broker."""
        return self._link is not None and self._link.connected

    def reachable(self, farm_id: str) -> bool:
        """Whether the farm's gateway can be told something now, as far as is known."""
        view = self._live.view(farm_id)
        return self.connected and view is not None and view.gateway_online

    async def send(self, farm_id: str, channel: Channel, message: Any, *, expires_s: int | None = None) -> None:
        """Tell a farm's gateway; raise Unavailable when there is no way to it."""
        if self._link is None:
            raise Unavailable("gateway", "no link")
        try:
            await self._link.publish(farm_id, GATEWAY, channel, message, expires_s=expires_s)
        except ContractError as exc:
            raise Unavailable("gateway", str(exc)) from exc

    # --- what the link calls ---

    async def on_connect(self) -> None:
        """The link is up: retained words come now, and show what each gateway holds."""

    async def on_message(self, incoming: Incoming) -> None:
        """One message of a gateway. When a store does not answer it raises, and the message comes again."""
        farm_id = incoming.address.farm_id
        view = self._live.view(farm_id)
        if view is None or incoming.address.node_id != GATEWAY:
            if farm_id not in self._strangers and len(self._strangers) < 1000:
                self._strangers.add(farm_id)
                log.warning("word from a farm that is not set up farm=%s node=%s", farm_id, incoming.address.node_id)
            return
        message = incoming.message
        if not incoming.retained:
            view.gateway(online=None, heard_at=self._now())
        match message:
            case Batch():
                ack = self._ingest.batch(farm_id, message)
                self._acks[farm_id, ack.boot_id, ack.lane] = ack
                self._ack_due.set()
                return
            case Status():
                self._status(farm_id, message)
            case Hello():
                view.gateway(online=True, heard_at=None)
                self._told_version(farm_id, message.config_version)
            case FarmState():
                view.state(message)
                self._keep(farm_id, incoming)
                self._told_version(farm_id, message.config_version)
            case Timetable():
                view.set_plan(message)
                self._keep(farm_id, incoming)
            case Reply():
                for heard in self.on_reply:
                    heard(farm_id, message)
            case _:
                log.warning("word that no gateway says farm=%s channel=%s", farm_id, incoming.address.channel)
        self._live.tell(farm_id)
        await self._push(farm_id)

    async def changed(self, record: FarmRecord) -> None:
        """People have changed a farm: show it, and tell its gateway."""
        view = self._live.view(record.id)
        if view is not None:
            view.set_farm(record)
            self._ingest.forget(record.id)
            self._live.tell(record.id)
            self._sent.pop(record.id, None)
            self._held.setdefault(record.id, 0)
            await self._push(record.id)

    # --- tasks ---

    async def send_acks(self) -> None:
        """Acknowledge what is stored; of several acknowledgements of a lane the last says all."""
        while True:
            await self._ack_due.wait()
            self._ack_due.clear()
            acks, self._acks = self._acks, {}
            for (farm_id, _, _), ack in acks.items():
                try:
                    await self.send(farm_id, Channel.ACK, ack)
                except Unavailable as exc:
                    # The gateway sends again what was not acknowledged.
                    log.debug("ack not sent farm=%s: %s", farm_id, exc)

    async def keep_said(self) -> None:
        """Write down the gateways' last words now and then: a restart then shows the farm before they speak again."""
        while True:
            await asyncio.sleep(_KEEP_SAID_EVERY_S)
            self.write_said()

    def write_said(self) -> None:
        """Write down what has been said since."""
        said, self._said = self._said, {}
        if not said:
            return
        try:
            with self._ledger.begin() as tx:
                for (farm_id, channel), message in said.items():
                    history.keep_said(tx, farm_id, channel.value, encode(channel, message).decode(), self._now())
        except Unavailable as exc:
            log.warning("last words of gateways not kept: %s", exc)

    # --- parts ---

    def _status(self, farm_id: str, status: Status) -> None:
        view = self._live.view(farm_id)
        if view is None:
            return
        came_back = status.online and not view.gateway_online
        if status.online is not view.gateway_online:
            log.info("gateway %s farm=%s boot=%s", "online" if status.online else "offline", farm_id, status.boot_id)
        view.gateway(online=status.online, heard_at=status.at if view.gateway_heard is None else None)
        if status.online:
            # Tell it where it stands: whatever it sent while nobody was here comes now, not after a long wait.
            with self._ledger.begin() as tx:
                seq = history.held(tx, farm_id, GATEWAY, status.boot_id, Lane.EVENTS)
            greeting = Ack(boot_id=status.boot_id, lane=Lane.EVENTS, seq=seq, resume=True)
            self._acks[farm_id, status.boot_id, Lane.EVENTS] = greeting
            self._ack_due.set()
        if came_back:
            self.on_return(farm_id)

    def _keep(self, farm_id: str, incoming: Incoming) -> None:
        self._said[farm_id, incoming.address.channel] = incoming.message

    def _told_version(self, farm_id: str, version: int) -> None:
        self._held[farm_id] = version
        view = self._live.view(farm_id)
        if view is None or version <= view.farm.version:
            return
        # Our ledger is older than what the gateway was given once (a backup was put back): go on above its number.
        with self._ledger.begin() as tx:
            farms.raise_version(tx, farm_id, above=version)
            record = farms.get(tx, farm_id)
        if record is not None:
            log.warning("gateway holds a newer farm than the ledger farm=%s version=%d", farm_id, version)
            view.set_farm(record)

    async def _push(self, farm_id: str) -> None:
        view = self._live.view(farm_id)
        held = self._held.get(farm_id)  # unknown until it has said so
        if view is None or not view.gateway_online or held in (None, view.farm.version):
            return
        now_s = asyncio.get_running_loop().time()
        version, at_s = self._sent.get(farm_id, (0, 0.0))
        if version == view.farm.version and now_s - at_s < _CONFIG_AGAIN_S:
            return
        self._sent[farm_id] = (view.farm.version, now_s)
        try:
            config = FarmConfig(version=view.farm.version, farm=planned(view.farm))
            await self.send(farm_id, Channel.CONFIG, config)
        except Unavailable as exc:
            if not isinstance(exc.__cause__, NotConnected):
                log.error("farm's configuration not sent farm=%s version=%d: %s", farm_id, view.farm.version, exc)
            self._sent.pop(farm_id, None)
