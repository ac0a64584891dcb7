"""A gateway of our own with a real broker, and the board and the server at its two ends, made of the real link."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from contract.inbox import Inbox
from contract.link import Incoming, Link, LinkSettings
from contract.messages import (
    Ack,
    Batch,
    Close,
    CloseAll,
    Config,
    Event,
    FarmConfig,
    FarmState,
    Hello,
    Lane,
    NodeConfig,
    NodeState,
    Open,
    Outcome,
    PlanSource,
    Reading,
    Reason,
    Reply,
    RunEvent,
    RunProgress,
    Status,
    ValvePosition,
    ValveReport,
)
from contract.outbox import Sender
from contract.store import open_database, transaction
from contract.topics import GATEWAY, Channel, down_filter, gateways_up_filter
from gateway.app import Gateway
from gateway.settings import Settings
from irrigation.model import Farm, Timetable
from irrigation.run import RunState

PATIENCE_S = 15.0


def settings_for(port: int, data_dir: Path, farm_id: str = "mai", **more: Any) -> Settings:
    """Return settings for a broker on loopback, with quick reconnections."""
    mqtt = link_settings(port)
    return Settings(farm_id=farm_id, data_dir=data_dir, mqtt=mqtt, **more)


def link_settings(port: int) -> LinkSettings:
    """Return how to reach a broker on loopback."""
    return LinkSettings(port=port, retry_least_s=0.05, retry_most_s=0.2)


def utc() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Heard:
    """What came in, and a way to wait for what is still to come."""

    def __init__(self) -> None:
        self.all: list[Incoming] = []
        self._news = asyncio.Condition()

    async def add(self, incoming: Incoming) -> None:
        """Note a message."""
        async with self._news:
            self.all.append(incoming)
            self._news.notify_all()

    async def wait(self, wanted: Callable[[], Any]) -> Any:
        """Return what `wanted` returns as soon as that is true."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: bool(wanted()))
            return wanted()


class End:
    """One end of the wire, connected while the `async with` lasts."""

    def __init__(self, port: int, client_id: str, filters: list[str], will: tuple[str, str, Status] | None) -> None:
        self.heard = Heard()
        self._connected = asyncio.Event()
        self.link = Link(
            link_settings(port),
            client_id=client_id,
            subscriptions=filters,
            on_message=self._on_message,
            on_connect=self._on_connect,
            will=will,
        )
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.link.run(), name="scripted link")
        await self.back()
        return self

    def expect_loss(self) -> None:
        """From now on `back` waits for a new connection."""
        self._connected.clear()

    async def back(self) -> None:
        """Return when the link is connected anew."""
        async with asyncio.timeout(PATIENCE_S):
            await self._connected.wait()

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _on_connect(self) -> None:
        self._connected.set()

    async def _on_message(self, incoming: Incoming) -> None:
        await self.react(incoming)
        await self.heard.add(incoming)

    async def react(self, incoming: Incoming) -> None:
        """Answer by the script; nothing by default."""

    def got(self, kind: type[Any]) -> list[Any]:
        """Return all messages of a kind so far."""
        return [one.message for one in self.heard.all if isinstance(one.message, kind)]

    async def wait_for(self, kind: type[Any], wanted: Callable[[Any], bool] = lambda _: True) -> Any:
        """Return the first message of a kind that is as wanted, now or when it comes."""
        return (await self.heard.wait(lambda: [one for one in self.got(kind) if wanted(one)]))[0]


class Board(End):
    """A board of the script: it obeys at once, has no valves of its own, and says what it is told to say."""

    def __init__(self, port: int, farm_id: str = "mai", node_id: str = "board-1", *, deaf: bool = False) -> None:
        self.farm_id = farm_id
        self.node_id = node_id
        self.boot_id = f"boot-{node_id}"
        self.deaf = deaf
        self.refuses: Reason | None = None
        self.sender: Sender | None = None  # of a real outbox, in place of the script's own batches
        self.open: dict[str, Open] = {}
        self.config_version = 0
        self.timetable_version = 0
        self._seq = {Lane.EVENTS: 0, Lane.READINGS: 0}
        death = Status(online=False, boot_id=self.boot_id, at=utc())
        super().__init__(port, f"{farm_id}-{node_id}", [down_filter(farm_id, node_id)], (farm_id, node_id, death))

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self.say(Channel.STATUS, Status(online=True, boot_id=self.boot_id, at=utc()))
        await self.say(
            Channel.HELLO,
            Hello(
                boot_id=self.boot_id,
                at=utc(),
                clock_trusted=True,
                software="script",
                config_version=self.config_version,
                timetable_version=self.timetable_version,
            ),
        )
        return self

    async def say(self, channel: Channel, message: Any) -> None:
        """Publish as this board."""
        await self.link.publish(self.farm_id, self.node_id, channel, message)

    async def react(self, incoming: Incoming) -> None:
        """Do as told and report it."""
        message = incoming.message
        if self.deaf:
            return
        match message:
            case Ack():
                if self.sender is not None:
                    self.sender.on_ack(message)
            case Open():
                await self._open(message)
            case Close():
                order = self.open.pop(message.run_id, None)
                await self._answer(message.id, Outcome.DONE if order is None else Outcome.ACCEPTED)
                if order is not None:
                    await self.tell_run(order, RunState.STOPPED)
            case CloseAll():
                await self._answer(message.id, Outcome.DONE)
                stopped, self.open = self.open, {}
                for order in stopped.values():
                    await self.tell_run(order, RunState.STOPPED)
                await self.say_state()
            case NodeConfig():
                self.config_version = message.version
                await self.say_state()
            case Timetable():
                self.timetable_version = message.version
                await self.say_state()

    async def _open(self, order: Open) -> None:
        if self.refuses is not None:
            await self._answer(order.id, Outcome.REFUSED, self.refuses)
            return
        if order.run_id not in self.open:
            self.open[order.run_id] = order
            await self._answer(order.id, Outcome.ACCEPTED)
            await self.tell_run(order, RunState.OPEN)
            await self.say_state()

    async def _answer(self, command_id: str, outcome: Outcome, reason: Reason | None = None) -> None:
        await self.say(Channel.REPLY, Reply(command_id=command_id, at=utc(), outcome=outcome, reason=reason))

    async def tell_run(self, order: Open, state: RunState, **more: Any) -> None:
        """Report a run."""
        assert order.channel is not None
        assert order.max_s is not None
        event = RunEvent(
            seq=1,
            at=utc(),
            run_id=order.run_id,
            zone_id=order.zone_id,
            channel=order.channel,
            state=state,
            origin=order.origin,
            actor=order.actor,
            dose=order.dose,
            max_s=order.max_s,
            closes_at=utc() + timedelta(seconds=order.max_s),
            **more,
        )
        await self.tell(event)

    async def tell(self, *events: Event) -> Batch:
        """Report events in a batch."""
        after = self._seq[Lane.EVENTS]
        self._seq[Lane.EVENTS] += len(events)
        numbered = tuple(event.model_copy(update={"seq": after + n}) for n, event in enumerate(events, 1))
        batch = Batch(boot_id=self.boot_id, lane=Lane.EVENTS, after_seq=after, events=numbered)
        await self.say(Channel.BATCH, batch)
        return batch

    async def measure(self, readings: Iterable[Reading]) -> Batch:
        """Report readings in a batch."""
        after = self._seq[Lane.READINGS]
        numbered = tuple(one.model_copy(update={"seq": after + n}) for n, one in enumerate(readings, 1))
        self._seq[Lane.READINGS] += len(numbered)
        batch = Batch(boot_id=self.boot_id, lane=Lane.READINGS, after_seq=after, readings=numbered)
        await self.say(Channel.BATCH, batch)
        return batch

    async def say_state(self, **more: Any) -> None:
        """Show every valve that is open, and that all others are closed."""
        valves = {channel: ValveReport(channel=channel, position=ValvePosition.CLOSED) for channel in ("v1", "v2")}
        for order in self.open.values():
            assert order.channel is not None
            assert order.max_s is not None
            run = RunProgress(
                run_id=order.run_id,
                zone_id=order.zone_id,
                state=RunState.OPEN,
                origin=order.origin,
                actor=order.actor,
                dose=order.dose,
                max_s=order.max_s,
            )
            valves[order.channel] = ValveReport(
                channel=order.channel, zone_id=order.zone_id, position=ValvePosition.OPEN, run=run
            )
        given: dict[str, Any] = {
            "boot_id": self.boot_id,
            "at": utc(),
            "clock_trusted": True,
            "valves": tuple(valves.values()),
            "plan": PlanSource.TIMETABLE,
            "config_version": self.config_version,
            "timetable_version": self.timetable_version,
        }
        await self.say(Channel.STATE, NodeState(**(given | more)))


@dataclass
class Stored:
    """What a server has committed."""

    events: list[tuple[str | None, Event]] = field(default_factory=list)
    readings: list[tuple[str | None, Reading]] = field(default_factory=list)


class Server(End):
    """A server of the script: it stores what comes with the real inbox, acknowledges, and gives orders."""

    def __init__(self, port: int, data_dir: Path, farm_id: str = "mai", *, acks: bool = True) -> None:
        super().__init__(port, "server", [gateways_up_filter()], None)
        self.farm_id = farm_id
        self.acks = acks
        self.stored = Stored()
        self._db = open_database(data_dir / "server.sqlite3")
        self._inbox = Inbox(self._db)

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        self._db.close()

    async def react(self, incoming: Incoming) -> None:
        """Store batches and say so."""
        batch = incoming.message
        if not isinstance(batch, Batch) or not self.acks:
            return
        with transaction(self._db):
            records, ack = self._inbox.accept(GATEWAY, batch)
        for record in records:
            if isinstance(record, Reading):
                self.stored.readings.append((record.node_id, record))
            else:
                self.stored.events.append((record.node_id, record))
        await self.say(Channel.ACK, ack)

    async def say(self, channel: Channel, message: Any) -> None:
        """Publish to the gateway."""
        await self.link.publish(self.farm_id, GATEWAY, channel, message)

    async def configure(self, farm: Farm, version: int = 1) -> None:
        """Send settings and return when the gateway's snapshot shows them."""
        await self.wait_for(FarmState)  # before that the gateway may not have subscribed yet
        config: Config = FarmConfig(version=version, farm=farm)
        await self.say(Channel.CONFIG, config)
        await self.wait_for(FarmState, lambda state: state.config_version == version)

    async def order(self, order: Any) -> Reply:
        """Give an order and return the first answer to it."""
        await self.say(Channel.COMMAND, order)
        reply = await self.wait_for(Reply, lambda reply: reply.command_id == order.id)
        assert isinstance(reply, Reply)
        return reply

    async def wait_run(self, run_id: str, state: RunState) -> RunEvent:
        """Return the stored report that this run is in this state."""
        found = await self.heard.wait(lambda: [event for event in self.runs(run_id) if event.state is state])
        assert isinstance(found[0], RunEvent)
        return found[0]

    def runs(self, run_id: str | None = None) -> list[RunEvent]:
        """Return the stored reports of a run, or of all."""
        events = [event for _, event in self.stored.events]
        return [event for event in events if isinstance(event, RunEvent) and run_id in {None, event.run_id}]

    async def have(self, count: int) -> None:
        """Return when at least so many readings are stored."""
        await self.heard.wait(lambda: len(self.stored.readings) >= count)

    async def online(self, node_id: str) -> None:
        """Return when the gateway shows that board in hearing."""
        await self.wait_for(FarmState, lambda state: any(n.node_id == node_id and n.online for n in state.nodes))


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Gateway]:
    """Run a gateway for as long as the block lasts, which begins when it hears."""
    gateway, stop = Gateway(settings), asyncio.Event()
    task = asyncio.create_task(gateway.run(stop), name="gateway")
    try:
        port = (settings.uplink or settings.mqtt).port
        async with End(port, "observer", [gateways_up_filter()], None) as observer:
            boot_id = gateway.outbox.boot_id
            await observer.wait_for(Status, lambda status: status.online and status.boot_id == boot_id)
        yield gateway
    finally:
        stop.set()
        await task
