"""The gateway's composition root: one task group around the links, the sender, the dispatcher, the herald and the plan.

Whatever it does is committed in the journal first; all tasks can be killed at any moment and begun again.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from contract.clock import Clock
from contract.errors import ContractError, NotConnected
from contract.inbox import Inbox
from contract.link import Incoming, Link, LinkSettings
from contract.messages import (
    Ack,
    Batch,
    BootEvent,
    Close,
    CloseAll,
    Enqueue,
    FarmConfig,
    FaultEvent,
    Hello,
    NodeState,
    Open,
    Pulse,
    Reply,
    Reset,
    Restart,
    Status,
)
from contract.outbox import Outbox, Sender
from contract.store import MAX_PAGES, open_database
from contract.topics import GATEWAY, Channel, down_filter, farm_up_filter
from gateway.boards import Boards
from gateway.dispatcher import Dispatcher
from gateway.errors import ConfigRefused
from gateway.herald import Herald, News
from gateway.journal import Journal
from gateway.orders import Orders
from gateway.plan import Plan
from gateway.reports import Reports
from gateway.settings import Settings
from gateway.wakes import Wakes
from irrigation.planner import compile_timetable

log = logging.getLogger(__name__)

JOURNAL = "journal.sqlite3"
READING_BYTES, PAGE_BYTES = 400, 4096  # on disk, with room to spare: the count of readings is to be the limit, not this
TICK_S = 30.0
WEATHER_S = 900.0
"""As often at least the server is told what conditions go by, so that its preview does, too."""
WITH_THE_ANSWER_S = 0.1
REPLAN_S = 0.3
"""Planning waits this long after a change: the valve's own messages go first, and several changes are one plan."""
CONFIG_FAULT = "config-refused"


class Gateway:
    """One farm's gateway, made from its settings; `run` lives until `stop` is set."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.farm_id = settings.farm_id
        room = max(MAX_PAGES, settings.max_readings * READING_BYTES // PAGE_BYTES)
        db = open_database(settings.data_dir / JOURNAL, max_pages=room)
        self.journal = Journal(db)
        boot_id = secrets.token_hex(8)
        software = _software()
        self.clock = Clock(self.journal.fact("last_time", datetime))
        self.outbox = Outbox(db, boot_id=boot_id, max_readings=settings.max_readings)
        self.boards = Boards(self.journal)
        self.plan = Plan(
            settings.farm_id,
            journal=self.journal,
            outbox=self.outbox,
            boards=self.boards,
            clock=self.clock,
            compile_timetable=compile_timetable,
            days=settings.plan.days,
        )
        self.orders = Orders(self.journal, self.outbox, self.boards, self.plan)
        self.reports = Reports(self.journal, Inbox(db), self.outbox, self.plan, self.orders)
        self._say_birth(boot_id, None if db.quarantined is None else db.quarantined.name)

        death = Status(online=False, boot_id=boot_id, at=self.clock.now(), software=software)
        will = (self.farm_id, GATEWAY, death)
        farm, own = farm_up_filter(self.farm_id), down_filter(self.farm_id, GATEWAY)
        if settings.uplink is None:
            self.link = self.uplink = self._link(settings.mqtt, [farm, own], self._on_both_connected, will)
        else:
            self.link = self._link(settings.mqtt, [farm], self._on_boards_connected, None)
            self.uplink = self._link(settings.uplink, [own], self._on_server_connected, will)
        self.sender = Sender(self.outbox, self.uplink, self.farm_id, GATEWAY)
        self.dispatcher = Dispatcher(
            self.link, journal=self.journal, orders=self.orders, plan=self.plan, clock=self.clock, boot_id=boot_id
        )
        self.herald = Herald(
            self.uplink, boards=self.boards, plan=self.plan, outbox=self.outbox, clock=self.clock, software=software
        )
        self.wakes = Wakes()
        self.refused = 0
        """Messages of other farms, or that have no business here."""
        self._look = asyncio.Event()
        self._ticked = asyncio.Event()
        self._stale = True
        self._soon: asyncio.TimerHandle | None = None

    def _link(
        self,
        settings: LinkSettings,
        subscriptions: list[str],
        on_connect: Callable[[], Coroutine[Any, Any, None]],
        will: tuple[str, str, Status] | None,
    ) -> Link:
        return Link(
            settings,
            client_id=self.settings.client_id,
            subscriptions=subscriptions,
            on_message=self.on_message,
            on_connect=on_connect,
            will=will,
        )

    def _say_birth(self, boot_id: str, quarantined: str | None) -> None:
        """Tell the server of this start, and how the last one ended as far as the journal tells."""
        now = self.clock.now()
        crashed = self.journal.fact("running", bool) or False
        with self.journal.transaction():
            why = "crash" if crashed else "start"
            self.outbox.append(BootEvent(seq=1, at=now, boot_id=boot_id, why=why))
            if quarantined is not None:
                replaced = FaultEvent(seq=1, at=now, code="database-replaced", params={"file": quarantined})
                self.outbox.append(replaced)
            self.journal.note("running", bool, True)  # noqa: FBT003 - a value, not a flag

    # --- life ---

    async def run(self, stop: asyncio.Event) -> None:
        """Do all of it until `stop` is set; then say farewell. An error in a task ends the process."""
        links = [self.link] if self.link is self.uplink else [self.link, self.uplink]
        log.info("gateway up farm=%s boot=%s", self.farm_id, self.outbox.boot_id)
        with self.wakes:
            self.wakes.every("tick", TICK_S, self._ticked.set)
            self.wakes.every("weather", WEATHER_S, self._replan)
            self._look.set()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    *(group.create_task(link.run(), name=f"link {place}") for place, link in enumerate(links)),
                    group.create_task(self.sender.run(), name="sender"),
                    group.create_task(self.dispatcher.run(), name="dispatcher"),
                    group.create_task(self.herald.run(), name="herald"),
                    group.create_task(self._keep_plan(), name="plan"),
                    group.create_task(self._keep_house(), name="house"),
                ]
                await stop.wait()
                for task in tasks:
                    task.cancel()
        if self._soon is not None:
            self._soon.cancel()
        with self.journal.transaction():
            self._save()
            self.journal.note("running", bool, False)  # noqa: FBT003 - a value, not a flag
        self.journal.db.close()
        log.info("gateway down farm=%s", self.farm_id)

    async def _on_boards_connected(self) -> None:
        self.dispatcher.again()

    async def _on_server_connected(self) -> None:
        self.herald.tell(News.BIRTH | News.STATE | News.PLAN)
        self.sender.on_connect()

    async def _on_both_connected(self) -> None:
        await self._on_server_connected()
        await self._on_boards_connected()

    async def _keep_plan(self) -> None:
        """Look after everything that has a moment: orders that expire, skips that come due, the plan that grows old."""
        while True:
            await self._look.wait()
            self._look.clear()
            now = self.clock.now()
            if not self.clock.trusted():
                log.warning("clock not trusted now=%s: nothing is planned", now.isoformat())
                continue  # the next tick looks again
            changed = self.orders.expire(now)
            await self._tell(self.orders.errands.expire(now))
            changed = self.plan.settle_skips(now) or changed
            if self._stale:
                self._stale = False
                changed = self._compile(now) or changed
            if self.orders.take_turns(now):
                changed = True
                self._look_soon(replan=True)
            if changed:
                self._wake_all()
            self.wakes.at("turn", self.orders.next_turn(now), self._look.set)
            self.wakes.at("expiry", self.orders.next_expiry(), self._look.set)
            self.wakes.at("skip", self.plan.next_skip(now), self._look.set)
            self.wakes.at("rest", self.plan.rests.next_end(now), self._replan)
            self.wakes.at("condition", self.plan.next_look(now), self._replan)
            self.wakes.at("daily", self.plan.next_daily(now), self._replan)

    def _compile(self, now: datetime) -> bool:
        """Compile the timetable anew; one that cannot be compiled leaves the last one in force, and is told."""
        try:
            changed = self.plan.compile(now)
        except ConfigRefused as exc:
            self._complain(now, self.plan.config_version, str(exc))
            return True
        if changed:
            self.herald.tell(News.STATE | News.PLAN)
        return changed

    def _replan(self) -> None:
        """Have the timetable compiled anew."""
        self._stale = True
        self._look.set()

    def _look_soon(self, *, replan: bool) -> None:
        self._stale = self._stale or replan
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(REPLAN_S, self._look_now)

    def _look_now(self) -> None:
        self._soon = None
        self._look.set()

    async def _keep_house(self) -> None:
        """Every half minute: show the server a fresh snapshot, keep what was heard, drop what is very old."""
        forgotten = None
        while True:
            await self._ticked.wait()
            self._ticked.clear()
            now = self.clock.now()
            with self.journal.transaction():
                self._save()
                if self.clock.trusted() and forgotten != now.date():
                    self.journal.forget(now)
                    forgotten = now.date()
            self.dispatcher.wake()
            self.herald.tell()
            self._look.set()

    def _save(self) -> None:
        self.boards.save()
        self.journal.note("last_time", datetime, self.clock.now())

    def _wake_all(self) -> None:
        self.dispatcher.wake()
        self.sender.wake()
        self.herald.tell()

    # --- what is heard ---

    async def on_message(self, incoming: Incoming) -> None:
        """Pass a message to whom it concerns; it is acknowledged to the broker when this returns."""
        address = incoming.address
        self.plan.follow_clock(self.clock.now())
        if address.farm_id != self.farm_id:
            self._refuse(incoming, "another farm's")
        elif address.node_id != GATEWAY:
            await self._from_board(address.node_id, incoming)
        elif address.channel.startswith("down/"):
            await self._from_server(incoming)
        # The rest is the gateway's own echo, from a broker that cannot leave it out.

    async def _from_board(self, node_id: str, incoming: Incoming) -> None:
        now = self.clock.now()
        message = incoming.message
        if not incoming.retained:
            self.boards.heard(node_id, now)
        match message:
            case Batch():
                await self._batch(node_id, message, now)
            case Status():
                if self.boards.status(node_id, message, now):
                    self.dispatcher.again(node_id)
                    self._look_soon(replan=True)  # what it does can be told and changed again
                if message.online:
                    await self._say(self.link, node_id, Channel.ACK, self.reports.greeting(node_id, message.boot_id))
                log.info("board %s node=%s boot=%s", "up" if message.online else "down", node_id, message.boot_id)
                self.herald.tell()
            case Hello():
                self.boards.hello(node_id, message)
                self.dispatcher.again(node_id)
                self._versions_told(node_id)
                self.herald.tell()
            case NodeState():
                self.boards.state(node_id, message, now, retained=incoming.retained)
                self._versions_told(node_id)
                replies = self.orders.shown(self.boards[node_id], now)
                self.dispatcher.wake()
                self.herald.tell()
                await self._tell(replies)
            case Reply():
                replies = self.orders.answered(node_id, message, self.dispatcher.minted(message.command_id), now)
                self._send_soon()
                self.dispatcher.wake()
                self._look_soon(replan=bool(replies))
                await self._tell(replies)
            case _:
                self._refuse(incoming, "not for a gateway")

    def _versions_told(self, node_id: str) -> None:
        """Plan anew when a board has taken its part, holds more than was ever given, or can make up again."""
        taken = self.plan.confirm(node_id)
        if taken:
            self.dispatcher.wake()  # an order may have waited for that
        if taken or self.plan.overtaken() or self.plan.unlocked(self.clock.now()):
            self._look_soon(replan=True)

    def _send_soon(self) -> None:
        """Have the sender look in a moment: the board's own news is some ms away and takes the rest along.

        Two or three batches in its place would keep the server busy just when "open" comes.
        """
        asyncio.get_running_loop().call_later(WITH_THE_ANSWER_S, self.sender.wake)

    async def _batch(self, node_id: str, batch: Batch, now: datetime) -> None:
        taken = self.reports.take(node_id, batch, now)
        self.sender.wake()
        if taken.replies or taken.replan:
            self.dispatcher.wake()
            self._look_soon(replan=taken.replan)
        for _ in range(2):  # the sender wakes, then sends: news goes before the acknowledgement, which nobody waits for
            await asyncio.sleep(0)
        at = now if self.clock.trusted() else None
        await self._say(self.link, node_id, Channel.ACK, taken.ack.model_copy(update={"at": at}))
        await self._tell(taken.replies)

    async def _from_server(self, incoming: Incoming) -> None:
        match incoming.message:
            case Ack():
                self.sender.on_ack(incoming.message)
            case Open() | Enqueue() | Close() | CloseAll() | Pulse() | Reset() | Restart():
                reply = self.orders.handle(incoming.message, self.clock.now(), retained=incoming.retained)
                self.dispatcher.wake()
                self._send_soon()
                self._look_soon(replan=isinstance(incoming.message, Open | Enqueue | Close))
                await asyncio.sleep(0)  # the dispatcher's turn: the valve's order goes before our answer
                await self._tell([reply])
            case FarmConfig():
                self._configure(incoming.message)
            case _:
                self._refuse(incoming, "not for a gateway")

    def _configure(self, config: FarmConfig) -> None:
        """Put settings in force, or keep the last good ones and say why."""
        now = self.clock.now()
        fault = self.journal.fact(CONFIG_FAULT, str)
        try:
            with self.journal.transaction():
                paused = self.orders.pauses.on(now)
                if self.plan.apply(config, now):
                    self.orders.want_all_closed("emergency-stop", now)
                if self.orders.pauses.on(now) and not paused:
                    self.orders.pauses.begin()
                if fault:
                    self._config_fault(now, config.version, "")
        except ConfigRefused as exc:
            self._complain(now, config.version, str(exc))
        except BaseException:
            self.plan.load()  # the commit failed: what is in memory must not be ahead of it
            raise
        self._wake_all()
        self.herald.tell(News.STATE | News.PLAN)
        self._look.set()

    def _complain(self, now: datetime, version: int, why: str) -> None:
        """Tell once what is wrong with the settings, however often they come or are tried again."""
        if why != self.journal.fact(CONFIG_FAULT, str):
            log.error("settings refused version=%d: %s", version, why)
            self._config_fault(now, version, why)

    def _config_fault(self, now: datetime, version: int, why: str) -> None:
        """Tell that settings cannot be used, or, without a `why`, that they can be again."""
        params: dict[str, float | str] = {"version": version, "why": why[:200]}
        with self.journal.transaction():
            self.outbox.append(FaultEvent(seq=1, at=now, code=CONFIG_FAULT, cleared=not why, params=params))
            self.journal.note(CONFIG_FAULT, str, why)

    def _refuse(self, incoming: Incoming, why: str) -> None:
        self.refused += 1
        where = incoming.address
        log.warning("message refused farm=%s node=%s %s: %s", where.farm_id, where.node_id, where.channel, why)

    async def _tell(self, replies: Iterable[Reply]) -> None:
        for reply in replies:
            await self._say(self.uplink, GATEWAY, Channel.REPLY, reply)

    async def _say(self, link: Link, node_id: str, channel: Channel, message: Ack | Reply) -> None:
        """Say what is asked for again when it gets lost: an acknowledgement, an answer."""
        try:
            await link.publish(self.farm_id, node_id, channel, message)
        except NotConnected as exc:
            log.info("not said node=%s %s: %s", node_id, channel, exc)
        except ContractError as exc:
            log.error("not said node=%s %s: %s", node_id, channel, exc)


def _software() -> str:
    try:
        return version("tuoi")
    except PackageNotFoundError:
        return "source tree"
