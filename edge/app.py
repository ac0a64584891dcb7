"""The agent's composition root: one task group around the link, the outbox, the guard's client, runs and plan.

Closing valves waits for nothing here: the guard does it when this process is late, frozen or dead.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from contract.clock import Clock
from contract.errors import ContractError, StoreUnavailable
from contract.link import Incoming, Link
from contract.messages import (
    Ack,
    BootEvent,
    ChannelSettings,
    Close,
    CloseAll,
    Event,
    FaultEvent,
    Hello,
    Lane,
    NodeConfig,
    NodeState,
    Open,
    Outcome,
    Pulse,
    Quantity,
    Reading,
    Reason,
    Reply,
    Reset,
    Restart,
    Status,
)
from contract.outbox import Outbox, Sender
from contract.store import STORE_FAILED, write_back
from contract.topics import Channel, down_filter
from edge.config import BoardSettings, meter_name
from edge.control.order import from_command
from edge.errors import EdgeError, GuardRefused
from edge.guard_client import GuardClient
from edge.hardware.ports import Hardware
from edge.instruments import Instruments
from edge.plan import Plan
from edge.probes import Probes, expected
from edge.pulses import Pulses
from edge.reload import Reload
from edge.store import TABLES, Store, open_board
from edge.supervisor import Supervisor
from edge.waterings import Waterings
from irrigation.model import Timetable

log = logging.getLogger(__name__)

DATABASE = "board.sqlite3"
MEASURE_S = 0.2  # while a valve is open
STATE_WATERING_S, STATE_QUIET_S = 2.0, 30.0
STATE_AFTER_S = 0.02  # it waits for what else changes, and the events in it go first: a person waits for those
SOIL_WATERING_S = 2.0  # between two readings of a probe that a run waits for
TICK_S = 30.0
SAVE_WATERING_S = 2.0  # what a crash may cost the meter
LEASE_IN_RAM_S = 900.0  # while no lease can be written down, none is longer


class Agent:
    """One board's agent, made from its settings and pins; `run` lives until `stop` is set.

    `make_clock` takes the last known time: another than the machine's own is for trying what clocks can do.
    """

    def __init__(
        self, settings: BoardSettings, hardware: Hardware, make_clock: Callable[[datetime | None], Clock] | None = None
    ) -> None:
        self.settings = settings
        self._db = db = open_board(settings.state_dir / DATABASE)
        self.store = Store(db)
        self.boot_id = secrets.token_hex(8)
        rescued = self._rescue()
        known = self.store.fact("last_time", datetime)
        self.clock = make_clock(known) if make_clock else Clock(known, proof=settings.clock_proof)
        self.outbox = Outbox(db, boot_id=self.boot_id, max_readings=settings.max_readings)
        probes = Probes(
            expected(settings), settings, store=self.store, outbox=self.outbox, clock=self.clock, zones=self._zones
        )
        self.instruments = Instruments(
            settings,
            hardware,
            self.store.fact("litres", dict[str, float]) or {},
            self.store.fact("untold_tips", int) or 0,
            probes=probes,
        )
        self.guard = GuardClient(
            settings.guard_socket, on_news=self._guard_news, on_lost=self._guard_lost, on_up=self._guard_up
        )
        self.waterings = Waterings(
            settings,
            store=self.store,
            outbox=self.outbox,
            guard=self.guard,
            instruments=self.instruments,
            clock=self.clock,
            changed=self._changed,
            lease_cap_s=LEASE_IN_RAM_S if db.volatile else None,
        )
        self.pulses = Pulses(
            self.store, self.guard, self.waterings, self.clock, changed=self._changed, tell=self._keep_and_tell
        )
        self.plan = Plan(
            store=self.store, outbox=self.outbox, waterings=self.waterings, clock=self.clock, changed=self._changed
        )
        self.reload = Reload(
            settings, store=self.store, outbox=self.outbox, busy=lambda: self.waterings.any, take=self._take
        )
        self.software = _software()
        farm_id, node_id = settings.farm_id, settings.node_id
        death = Status(online=False, boot_id=self.boot_id, at=self.clock.now(), software=self.software)
        self.link = Link(
            settings.mqtt,
            client_id=f"{farm_id}-{node_id}",
            subscriptions=[down_filter(farm_id, node_id)],
            on_message=self.on_message,
            on_connect=self._on_connect,
            will=(farm_id, node_id, death),
        )
        self.sender = Sender(self.outbox, self.link, farm_id, node_id)
        self.ending = asyncio.Event()
        """Set when this life is to end; the service manager begins the next."""
        self._state_changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._replies: asyncio.Queue[Reply] = asyncio.Queue(256)
        self._supervisor = Supervisor(close=self._close_for_part, tell=self._tell_part, lost=self._lose_store)
        self._lost: BaseException | None = None
        self._say_birth(rescued)

    def _rescue(self) -> list[Event]:
        if self._db.quarantined is None:
            return []
        with self.store.transaction():
            return list(self.store.rescue(self._db.quarantined))

    def _say_birth(self, rescued: list[Event]) -> None:
        with self.store.transaction():
            why = "crash" if self.store.fact("running", bool) else "start"
            self.outbox.append(
                *rescued,
                BootEvent(
                    seq=1, at=self.clock.now(), clock_trusted=self.clock.trusted(), boot_id=self.boot_id, why=why
                ),
            )
            if self._db.quarantined is not None:
                self._fault("database-replaced", file=self._db.quarantined.name)
            was_without = self.store.fact("no_disk", bool)
            if self._db.volatile:
                self._fault("no-disk", detail=self._db.volatile[:200])
            elif was_without:
                self._fault("no-disk", cleared=True)
            self.store.note("no_disk", bool, bool(self._db.volatile))
            self.store.note("running", bool, True)  # noqa: FBT003 - a value, not a flag
            self.reload.tell_good(self.clock.now())
        self.waterings.interrupted_before()

    def _fault(self, code: str, *, cleared: bool = False, **params: float | str) -> None:
        fault = FaultEvent(
            seq=1, at=self.clock.now(), clock_trusted=self.clock.trusted(), code=code, cleared=cleared, params=params
        )
        self.outbox.append(fault)

    # --- life ---

    async def run(self, stop: asyncio.Event) -> None:
        """Do all of it until `stop` is set or a Restart was accepted; open valves are closed before the farewell.

        Raise StoreUnavailable, with the valves closed, when the store has failed: the next life sets it aside, or runs
        from RAM.
        """
        log.info("agent up node=%s boot=%s", self.settings.node_id, self.boot_id)
        async with asyncio.TaskGroup() as group:
            parts: dict[str, Callable[[], Awaitable[None]]] = {
                "link": self.link.run,
                "sender": self.sender.run,
                "guard": self.guard.run,
                "plan": self.plan.run,
                "measure": self._measure,
                "sample": self._sample,
                "soil": self._soil,
                "herald": self._herald,
                "replies": self._reply,
                "tick": self._tick,
            }
            tasks = [group.create_task(self._supervisor.keep(name, part), name=name) for name, part in parts.items()]
            either = [asyncio.create_task(event.wait(), name="stop") for event in (stop, self.ending)]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            for waiter in either:
                waiter.cancel()
            await self._close_before_the_end()
            for task in tasks:
                task.cancel()
        self.instruments.close()
        try:
            with self.store.transaction():
                self._save()
                self.store.note("running", bool, False)  # noqa: FBT003 - a value, not a flag
        except STORE_FAILED as exc:
            self._lose_store(exc)
        with suppress(*STORE_FAILED):
            self.store.db.close()
        log.info("agent down node=%s", self.settings.node_id)
        if self._lost is not None:
            raise StoreUnavailable(f"the store failed: {self._lost}") from self._lost

    def _lose_store(self, exc: BaseException) -> None:
        if self._lost is None:
            log.critical("the store failed, a new life is needed: %s", exc)
            self._lost = exc
        self.ending.set()

    async def _close_for_part(self, name: str) -> None:
        await self._stop_all(Reason(code="part-failed", params={"part": name}))

    def _tell_part(self, name: str, well: bool) -> None:
        with self.store.transaction():
            self._fault("part-failed", cleared=well, part=name)
        self.sender.wake()

    async def _close_before_the_end(self) -> None:
        try:
            await self._stop_all(Reason(code="agent-ended"))
            # The guard tells the closures at once; what the meter runs out is told too, if it is quick.
            for _ in range(int(1 / MEASURE_S)):
                if not self.waterings.any:
                    return
                await self.waterings.measure()
                await asyncio.sleep(MEASURE_S)
        except STORE_FAILED as exc:
            self._lose_store(exc)

    async def _stop_all(self, reason: Reason) -> bool:
        try:
            await self.waterings.stop_all(reason)
        except EdgeError as exc:
            log.error("close-all not confirmed: %s", exc)
            return False
        return True

    async def _measure(self) -> None:
        saved_s = 0.0
        while True:
            await asyncio.sleep(MEASURE_S)
            self.instruments.look(self.waterings.flowing(), self._zones())
            await self.waterings.measure()
            if not self.waterings.any:
                continue
            if (now_s := asyncio.get_running_loop().time()) - saved_s >= SAVE_WATERING_S:
                saved_s = now_s
                with self.store.transaction():
                    self._save()
                    self.waterings.note_progress()

    async def _sample(self) -> None:
        while True:
            self.instruments.look(self.waterings.flowing(), self._zones())
            readings = await self.instruments.read_all(self.clock.now(), trusted=self.clock.trusted())
            with self.store.transaction():
                self.outbox.append(*readings, *self._flows())
                self.instruments.probes.keep()
                self._save()
            self.sender.wake()
            self._taken.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.settings.report_every_s):
                    await self._taken.wait()  # other settings: read and told at once, for whoever has just calibrated

    async def _soil(self) -> None:
        """Read the probes that runs wait for more often than they are told."""
        while True:
            await self.instruments.read_probes(self.waterings.awaited_probes())
            await asyncio.sleep(SOIL_WATERING_S)

    def _zones(self) -> tuple[ChannelSettings, ...]:
        config = self.waterings.config
        return config.channels if config is not None else ()

    def _flows(self) -> list[Reading]:
        return [
            Reading(
                seq=1,
                sensor=meter_name(valve.channel),
                quantity=Quantity.FLOW,
                value=round(valve.run.flow_l_min, 3),
                unit="L/min",
                at=self.clock.now(),
                quality=verdict.quality,
                reason=verdict.reason,
                clock_trusted=self.clock.trusted(),
            )
            for valve in self.waterings.reports(self.guard.failed)
            if valve.run is not None and valve.run.flow_l_min is not None
            for verdict in [self.waterings.meter_verdict(valve.channel)]
        ]

    async def _tick(self) -> None:
        forgotten = None
        while True:
            now = self.clock.now()
            with self.store.transaction():
                self._save()
                if self.clock.trusted() and forgotten != now.date():
                    self.store.forget(now)
                    forgotten = now.date()
            self.plan.look()
            self.try_the_disk()
            await asyncio.sleep(TICK_S)

    def try_the_disk(self) -> None:
        """From RAM, go back to the disk by a new life as soon as it takes what we have and nothing waits in RAM."""
        if not self._db.volatile or self.waterings.any or self.outbox.depth(Lane.EVENTS):
            return
        try:
            write_back(self._db, self.settings.state_dir / DATABASE, TABLES)
        except StoreUnavailable:
            return  # told at the start
        log.info("the disk takes what we have again: a new life goes on with it")
        self.ending.set()

    def _save(self) -> None:
        self.store.note(
            "litres", dict[str, float], {name: meter.litres() for name, meter in self.instruments.meters.items()}
        )
        if self.instruments.rain_gauge is not None:
            self.store.note("untold_tips", int, self.instruments.rain_gauge.untold())
        # Believed or not, it is later than this: a board that loses its power every night still gets on.
        self.store.note("last_time", datetime, self.clock.now())

    def _changed(self) -> None:
        self.sender.wake()
        self._state_changed.set()
        if not self.waterings.any:
            self.reload.look()
        if not self.waterings.any or self.plan.waits:
            self.plan.look()

    def reread(self, load: Callable[[], BoardSettings]) -> None:
        """Read the board's file again: SIGHUP. Never touches a watering that is under way."""
        self.reload.read(load, self.clock.now())
        self.sender.wake()

    def _take(self, settings: BoardSettings) -> None:
        self.settings = settings
        self.instruments.take(settings)
        self._taken.set()

    async def _guard_news(self, news: Any) -> None:
        self.pulses.guard_news(news)
        await self.waterings.guard_news(news)

    def _guard_up(self) -> None:
        self._state_changed.set()
        self.plan.look()  # what was due while there was no guard is tried again

    async def _guard_lost(self) -> None:
        self.pulses.guard_lost()
        await self.waterings.guard_lost()
        self._state_changed.set()

    # --- what is told ---

    async def _on_connect(self) -> None:
        self.sender.on_connect()
        now = self.clock.now()
        channels, sensors = self.settings.has()
        await self._publish(Channel.STATUS, Status(online=True, boot_id=self.boot_id, at=now, software=self.software))
        await self._publish(
            Channel.HELLO,
            Hello(
                boot_id=self.boot_id,
                at=now,
                clock_trusted=self.clock.trusted(),
                software=self.software,
                channels=channels,
                sensors=sensors,
                config_version=self._config_version(),
                timetable_version=self._timetable_version(),
            ),
        )
        self._state_changed.set()

    async def _herald(self) -> None:
        """Show the state at every change, and now and then without one."""
        while True:
            await asyncio.sleep(STATE_AFTER_S)
            self._state_changed.clear()
            if self.link.connected:
                try:
                    await self._publish(Channel.STATE, self._state())
                except ContractError as exc:
                    log.info("state not told: %s", exc)
            try:
                async with asyncio.timeout(STATE_WATERING_S if self.waterings.any else STATE_QUIET_S):
                    await self._state_changed.wait()
            except TimeoutError:
                pass

    def _state(self) -> NodeState:
        timetable = self.plan.timetable
        return NodeState(
            boot_id=self.boot_id,
            at=self.clock.now(),
            clock_trusted=self.clock.trusted(),
            software=self.software,
            valves=self.waterings.reports(self.guard.failed),
            plan=self.plan.source(),
            config_version=self._config_version(),
            timetable_version=self._timetable_version(),
            valid_until=timetable.valid_until if timetable else None,
            outbox_events=self.outbox.depth(Lane.EVENTS),
            outbox_readings=self.outbox.depth(Lane.READINGS),
            battery_v=self.instruments.battery_v,
        )

    def _config_version(self) -> int:
        return self.waterings.config.version if self.waterings.config else 0

    def _timetable_version(self) -> int:
        return self.plan.timetable.version if self.plan.timetable else 0

    async def _reply(self) -> None:
        while True:
            reply = await self._replies.get()
            try:
                await self._publish(Channel.REPLY, reply)
            except ContractError as exc:
                log.info("reply not told command_id=%s: %s", reply.command_id, exc)  # a repeated command gets it again

    async def _publish(self, channel: Channel, message: Any) -> None:
        await self.link.publish(self.settings.farm_id, self.settings.node_id, channel, message)

    # --- what is heard ---

    async def on_message(self, incoming: Incoming) -> None:
        """Take one message of the gateway; it is acknowledged to the broker when this returns."""
        try:
            await self._hear(incoming)
        except STORE_FAILED as exc:
            self._lose_store(exc)  # the link would only try it again
            raise

    async def _hear(self, incoming: Incoming) -> None:
        message = incoming.message
        match message:
            case Ack():
                if message.at is not None:
                    self.clock.vouched(message.at)
                self.sender.on_ack(message)
            case NodeConfig():
                self._configure(message)
            case Timetable():
                if self.plan.take(message):
                    self._state_changed.set()
            case Open() | Close() | CloseAll() | Pulse() | Reset() | Restart():
                await self._command(message, retained=incoming.retained)
            case _:
                log.warning("nothing for a board: %s on %s", type(message).__name__, incoming.address.channel)

    def _configure(self, config: NodeConfig) -> None:
        with self.store.transaction():
            self.store.note("config", NodeConfig, config)
        self.waterings.config = config
        self._state_changed.set()
        log.info("config version=%d channels=%d", config.version, len(config.channels))

    async def _command(self, command: Open | Close | CloseAll | Pulse | Reset | Restart, *, retained: bool) -> None:
        known = self.store.answer(command.id)
        if known is not None:
            self._tell(known)
            return
        if not retained:
            self.clock.heard(command.issued_at)
        reply = self._too_late(command, retained=retained) or await self._obey(command)
        self._keep_and_tell(reply)
        log.info(
            "command kind=%s id=%s actor=%s outcome=%s reason=%s",
            command.kind,
            command.id,
            command.actor,
            reply.outcome,
            reply.reason.code if reply.reason else "",
        )
        if isinstance(command, Restart) and reply.outcome is Outcome.ACCEPTED:
            self.ending.set()

    def _too_late(self, command: Open | Close | CloseAll | Pulse | Reset | Restart, *, retained: bool) -> Reply | None:
        if retained:
            return self._answer(command.id, Outcome.REFUSED, Reason(code="retained"))
        if self.clock.now() >= command.expires_at and not isinstance(command, Close | CloseAll):
            # A late close is still right; a late open is not.
            return self._answer(command.id, Outcome.REFUSED, Reason(code="expired"))
        return None

    async def _obey(self, command: Open | Close | CloseAll | Pulse | Reset | Restart) -> Reply:
        try:
            match command:
                case Open():
                    if command.channel is None or command.max_s is None:
                        return self._answer(command.id, Outcome.REFUSED, Reason(code="incomplete-order"))
                    reason = await self.waterings.start(from_command(command))
                    return self._answer(command.id, Outcome.REFUSED if reason else Outcome.ACCEPTED, reason)
                case Close():
                    await self.waterings.stop(
                        command.run_id, Reason(code="stopped-by-person", params={"actor": command.actor})
                    )
                case CloseAll():
                    await self.waterings.stop_all(Reason(code="close-all", params={"actor": command.actor}))
                    self._state_changed.set()  # also when nothing was open: it is asked again until that is shown
                case Pulse() | Reset():
                    return await self._errand(command)
                case Restart():
                    if self.waterings.any:
                        return self._answer(command.id, Outcome.REFUSED, Reason(code="watering"))
                    return self._answer(command.id, Outcome.ACCEPTED)
        except GuardRefused as exc:
            return self._answer(command.id, Outcome.REFUSED, Reason(code=f"guard-{exc.code}"))
        except EdgeError as exc:
            return self._answer(
                command.id, Outcome.FAILED, Reason(code="guard-lost", params={"detail": str(exc)[:200]})
            )
        return self._answer(command.id, Outcome.DONE)

    async def _errand(self, command: Pulse | Reset) -> Reply:
        if command.node_id not in {None, self.settings.node_id}:
            return self._answer(command.id, Outcome.REFUSED, Reason(code="for-another-board"))
        if isinstance(command, Pulse):
            reason, done = await self.pulses.start(command), Outcome.ACCEPTED
        else:
            reason, done = await self.waterings.reset(command.channel), Outcome.DONE
        return self._answer(command.id, Outcome.REFUSED if reason else done, reason)

    def _answer(self, command_id: str, outcome: Outcome, reason: Reason | None = None) -> Reply:
        return Reply(command_id=command_id, at=self.clock.now(), outcome=outcome, reason=reason)

    def _keep_and_tell(self, reply: Reply) -> None:
        with self.store.transaction():
            self.store.keep_answer(reply)
        self._tell(reply)

    def _tell(self, reply: Reply) -> None:
        try:
            self._replies.put_nowait(reply)
        except asyncio.QueueFull:
            log.warning("replies overflow, dropped command_id=%s", reply.command_id)


def _software() -> str:
    try:
        return version("tuoi")
    except PackageNotFoundError:
        return "unknown"
