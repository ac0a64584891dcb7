"""The runs of a board: written down, opened by the guard, measured, closed, and reported at every step."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from contract.clock import Clock
from contract.messages import (
    ChannelSettings,
    NodeConfig,
    Reason,
    ValvePosition,
    ValveReport,
)
from contract.outbox import Outbox
from edge.config import BoardSettings, ValvePart
from edge.control import report
from edge.control.admission import ChannelStanding, refuse
from edge.control.faults import Act, Event, Phase, retry_s
from edge.control.order import Order
from edge.control.quality import GOOD, Verdict
from edge.control.watering import Watering, by_cause
from edge.errors import GuardLost, GuardRefused
from edge.guard_client import GuardClient, GuardNews
from edge.instruments import Instruments
from edge.locks import Locks
from edge.store import Store
from edge.valves import Valves
from irrigation.run import RunState

log = logging.getLogger(__name__)

_COMMUNICATION = frozenset({"busy"})  # refusals of the guard that pass by themselves
UNSEEN_S = 5.0  # progress is written down every 2 s; a loop that is later than this renews nothing either


class Waterings:
    """Every valve of the board that is open, or about to be. `changed` is called after each commit that reports."""

    def __init__(
        self,
        settings: BoardSettings,
        *,
        store: Store,
        outbox: Outbox,
        guard: GuardClient,
        instruments: Instruments,
        clock: Clock,
        changed: Callable[[], None],
        lease_cap_s: float | None = None,
    ) -> None:
        self._lease_cap_s = lease_cap_s
        self._renew_s = settings.guard.renew_s
        self._valves = {valve.channel: valve for valve in settings.valve}
        self._store = store
        self._outbox = outbox
        self._guard = guard
        self._instruments = instruments
        self._clock = clock
        self._changed = changed
        self.config: NodeConfig | None = store.config()
        """The farm's settings for this board; they can lower its caps, never raise them."""
        self.valves = Valves(
            settings,
            store=store,
            outbox=outbox,
            instruments=instruments,
            clock=clock,
            zone_of=self._channel_settings,
            changed=changed,
        )
        self._locks = Locks(settings, guard, self.valves)
        guard.failed |= self.valves.stuck()  # until it says that they are closed
        self._open: dict[str, Watering] = {}  # by channel
        self._litres_at_open: dict[str, float] = {}
        self._turn = asyncio.Lock()

    @property
    def any(self) -> bool:
        """Whether a run is under way."""
        return bool(self._open)

    def entry_ids(self) -> frozenset[str]:
        """Return the due waterings that are under way."""
        return frozenset(one.order.entry_id for one in self._open.values() if one.order.entry_id is not None)

    def flowing(self) -> frozenset[str]:
        """The channels whose valves are open, as far as the guard has said."""
        return frozenset(channel for channel, one in self._open.items() if one.opened_at and one.closed_s is None)

    def awaited_probes(self) -> frozenset[str]:
        """The soil probes that a run under way waits for."""
        return frozenset(
            sensor
            for channel, one in self._open.items()
            if one.order.dose.until_moisture_pct is not None
            for sensor in self._zone_sensors(channel)
        )

    def meter_verdict(self, channel: str) -> Verdict:
        """What the meter's count of the run under way is worth."""
        meter, watering = self._instruments.meters.get(channel), self._open.get(channel)
        return GOOD if meter is None or watering is None else meter.since(watering.opened_s)

    # --- begin and end ---

    def interrupted_before(self) -> None:
        """Report what the last life of this process left open; the guard has closed it since."""
        for lease in self._store.open_leases():
            now = self._clock.now()
            left = Watering(order=lease.order, opened_at=lease.opened_at, litres=lease.litres, open_s=lease.open_s)
            # For the daily cap: as far as it was seen to get, and what the guard can have let it run on unseen.
            counts_s = min((lease.open_s or 0.0) + UNSEEN_S + self._renew_s, lease.order.max_s)
            with self._store.transaction():
                self._store.end_lease(lease.order, now, counts_s)
                self._report(left, RunState.INTERRUPTED, Reason(code="restarted"))
            log.warning("run interrupted by a restart run_id=%s channel=%s", lease.order.run_id, lease.order.channel)

    async def start(self, order: Order) -> Reason | None:
        """Open the valve for an order, or return why not (a refusal is not reported here). Reports each step."""
        async with self._turn:
            reason = refuse(
                order,
                self.standing(order.channel),
                self._clock.now(),
                was_closed=self._store.has_ended(order.run_id),
                guard_up=self._guard.up,
            )
            if reason is not None:
                return reason
            watering = Watering(order=order)
            with self._store.transaction():
                self._store.begin_lease(order)
                if order.entry_id is not None:
                    self._store.set_done(order.entry_id, self._clock.now())
                self._report(watering, RunState.OPENING)
            self._open[order.channel] = watering
            self.valves.hear(order.channel, Event.ORDERED)
            # Told with what the guard answers, in a moment: two batches would keep the hops busy when "open" comes.
            await self._open_valve(watering)
        return None

    async def _open_valve(self, watering: Watering) -> None:
        order = watering.order
        meter = self._instruments.meters.get(order.channel)
        if meter is not None:
            self._litres_at_open[order.channel] = meter.litres()
        watering.again_s = None
        try:
            granted = await self._guard.open(order.channel, order.run_id, order.max_s)
        except GuardRefused as exc:
            if exc.code in _COMMUNICATION:
                self._open_later(watering, Reason(code=f"guard-{exc.code}", params={"detail": str(exc)[:200]}))
            else:
                self._not_opened(watering, exc)
            return
        except GuardLost as exc:
            # It may have opened and not said so; it closes what is not renewed, and a restarted one closes all.
            self._open_later(watering, Reason(code="guard-lost", params={"detail": str(exc)[:200]}))
            return
        if self._open.get(order.channel) is not watering or watering.state is not RunState.OPENING:
            return  # closed between its answer and us
        if order.run_id not in self._guard.leases:
            self._open_later(watering, Reason(code="guard-lost"))  # gone between its answer and us
            return
        if granted.opens_in_s > 0:
            self._changed()  # its supply goes first: "opened" comes
        else:
            self._opened(watering, granted.left_s)

    def _opened(self, watering: Watering, left_s: float) -> None:
        order = watering.order
        now = self._clock.now()
        metered = order.channel in self._instruments.meters
        watering.opened(now, now + timedelta(seconds=left_s), _now_s(), metered=metered)
        with self._store.transaction():
            self.valves.opened(order.channel, _now_s())
            self._store.lease_opened(order.run_id, now)
            self._report(watering, RunState.OPEN)
        self._changed()

    def _open_later(self, watering: Watering, reason: Reason) -> None:
        """A fault of communication: the guard is asked again a few times, then the run fails."""
        channel = watering.order.channel
        if self._open.get(channel) is not watering:
            return
        if Act.OPEN_LATER in self.valves.hear(channel, Event.GUARD_AWAY):
            watering.again_s = _now_s() + retry_s(self.valves[channel])
            log.warning("guard does not open run_id=%s reason=%s: asked again", watering.order.run_id, reason.code)
        else:
            self._fail(watering, reason)

    def _not_opened(self, watering: Watering, exc: GuardRefused) -> None:
        """The guard said no: its line did not follow, which is the valve's fault, or a rule of its own."""
        channel = watering.order.channel
        with self._store.transaction():
            self.valves.hear(channel, Event.LINE_FAULT if exc.code == "line-fault" else Event.CLOSE)
            if channel not in self._guard.failed:
                self.valves.hear(channel, Event.CLOSED)
                self.valves.hear(channel, Event.STILL)
            self._fail(watering, Reason(code=f"guard-{exc.code}", params={"detail": str(exc)[:200]}))

    async def stop(self, run_id: str, reason: Reason) -> bool:
        """End a run, now or whenever its order comes; return whether it was under way. Raise GuardLost."""
        async with self._turn:
            watering = next((one for one in self._open.values() if one.order.run_id == run_id), None)
            if watering is None:
                self._store.end_run(run_id, self._clock.now())
                return False
            try:
                self._close_for(watering, RunState.STOPPED, reason)
                self._end_unopened()
            finally:  # a store that fails does not keep a valve open
                await self._guard.close(watering.order.channel)
            return True

    async def stop_all(self, reason: Reason) -> None:
        """End every run and have the guard close every output. Raise GuardLost."""
        async with self._turn:
            try:
                for watering in list(self._open.values()):
                    self._close_for(watering, RunState.STOPPED, reason)
                self._end_unopened()
            finally:
                await self._guard.close_all()

    def _end_unopened(self) -> None:
        """End the runs that were waiting to be opened again: the guard has nothing of them to close."""
        for watering in list(self._open.values()):
            if watering.again_s is not None and watering.state is RunState.CLOSING:
                self._closed(watering, 0.0)

    def _closed(self, watering: Watering, open_s: float) -> None:
        channel, at_s = watering.order.channel, _now_s()
        self.valves.hear(channel, Event.CLOSED)
        self.valves.closed(channel, at_s)
        watering.closed(open_s, at_s)
        self._settle(watering)

    def _close_for(self, watering: Watering, state: RunState, reason: Reason | None) -> None:
        self.valves.hear(watering.order.channel, Event.CLOSE)
        if watering.end(state, reason):
            with self._store.transaction():
                self._report(watering, RunState.CLOSING)
            self._changed()

    # --- what the guard tells ---

    async def guard_news(self, news: GuardNews) -> None:
        """Follow what the guard did on its own or was told to."""
        channel, watering = news.channel, self._open.get(news.channel)
        if channel not in self.valves:
            self.valves.hear_supply(news.channel, stuck=news.event == "close-failed")
            return
        if news.event == "opened":
            if watering is not None and news.lease_id == watering.order.run_id and watering.state is RunState.OPENING:
                self._opened(watering, news.left_s)
        elif news.event == "close-failed":
            self.valves.hear(channel, Event.CLOSE_FAILED)
        elif watering is None:  # a pulse has ended, or a line that was stuck has followed at last
            self.valves.hear(channel, Event.CLOSED)
            self.valves.hear(channel, Event.STILL)
            self.valves.closed(channel, _now_s())
        elif news.lease_id in {watering.order.run_id, None}:
            self._follow_close(watering, news)

    def _follow_close(self, watering: Watering, news: GuardNews) -> None:
        if news.cause == "line-fault":
            self.valves.hear(watering.order.channel, Event.LINE_FAULT)
        state, code = by_cause(news.cause)
        no_litres = watering.order.dose.litres is not None and self.valves.bad_meter(watering.order.channel)
        if news.cause == "deadline" and (watering.wanted_more() or no_litres):
            code = watering.cap_code(self.meter_verdict(watering.order.channel).reason)
        self._close_for(watering, state, Reason(code=code) if code else None)
        # After a close that failed only our own clock knows how long it was open.
        late_s = _now_s() - watering.opened_s if news.event == "close-recovered" and watering.opened_at else 0.0
        self._closed(watering, max(news.open_s, late_s))

    async def guard_lost(self) -> None:
        """The guard is gone: its lines are released, so the valves are closed; what was open is interrupted."""
        for watering in list(self._open.values()):
            if watering.state is RunState.OPENING:
                continue  # asked again, by whoever has just asked
            if watering.order.channel in self.valves.stuck():
                continue  # not closed; the next guard will say
            self._close_for(watering, RunState.INTERRUPTED, Reason(code="guard-lost"))
            self.valves.hear(watering.order.channel, Event.GUARD_AWAY)
            self._closed(watering, _now_s() - watering.opened_s if watering.opened_at else 0.0)

    # --- measuring ---

    async def measure(self) -> None:
        """Look at the meters, and at the probes of open valves; called several times a second."""
        for watering in list(self._open.values()):
            if watering.again_s is not None:
                await self._open_again(watering)
            else:
                await self._measure(watering)
            self._settle(watering)
        self.valves.look_closed(_now_s(), frozenset(self._guard.leases.values()))
        if self._locks.amiss:
            async with self._turn:
                await self._locks.keep()

    async def _measure(self, watering: Watering) -> None:
        channel = watering.order.channel
        meter = self._instruments.meters.get(channel)
        running = watering.state in {RunState.OPEN, RunState.WATERING}
        fault = self.valves.look_open(channel, _now_s()) if running else None
        if watering.litres is not None and self.valves.bad_meter(channel):
            watering.distrust_meter()
        if meter is not None and watering.opened_at is not None:
            litres = round(meter.litres() - self._litres_at_open[channel], 3)
            if watering.metered(litres, _now_s()):
                with self._store.transaction():
                    if watering.state is RunState.WATERING:
                        self.valves.hear(channel, Event.FLOWED)
                    self._report(watering, watering.state)
                self._changed()
        if not running:
            return
        if fault is not None:
            about = self.valves.about(channel)
            self.valves.hear(channel, fault, **about)
            await self._end(watering, RunState.FAILED, Reason(code=fault.value, params=about))
            return
        await self._look_at_dose(watering)

    async def _open_again(self, watering: Watering) -> None:
        """Ask the guard again to open what it could not be asked before, unless the order is stopped or too old."""
        async with self._turn:
            if watering.again_s is None or watering.state is not RunState.OPENING or _now_s() < watering.again_s:
                return
            expires_at = watering.order.expires_at
            if expires_at is not None and self._clock.now() >= expires_at:
                self._close_for(watering, RunState.FAILED, Reason(code="guard-lost"))
                self._end_unopened()
                return
            await self._open_valve(watering)

    # --- faults ---

    async def reset(self, channel: str) -> Reason | None:
        """Unlock a valve on a person's word, or return why not; it opens nothing. Raise GuardLost or GuardRefused."""
        async with self._turn:
            if channel not in self.valves:
                return Reason(code="unknown-channel", params={"channel": channel})
            if (phase := self.valves[channel].phase) is not Phase.CLOSED:
                code = "close-failed" if phase is Phase.STUCK else "watering"
                return Reason(code=code, params={"channel": channel})
            await self._locks.free(channel)
            self.valves.reset(channel, _now_s())
        self._changed()
        return None

    def note_progress(self) -> None:
        """Write down how far the runs have got, inside the caller's transaction."""
        for watering in self._open.values():
            if watering.opened_at is not None and watering.closed_s is None:
                open_s = round(_now_s() - watering.opened_s, 3)
                self._store.note_progress(watering.order.run_id, watering.litres, open_s)

    async def _look_at_dose(self, watering: Watering) -> None:
        sensors, probes = self._zone_sensors(watering.order.channel), self._instruments.probes
        lost = probes.lost(sensors, _now_s())
        meter = self.meter_verdict(watering.order.channel).reason
        end = watering.dose_ends(probes.usable_pct(sensors, _now_s()), probes_lost=lost, meter_doubt=meter)
        if end is not None:
            await self._end(watering, *end)

    async def _end(self, watering: Watering, state: RunState, reason: Reason | None) -> None:
        async with self._turn:
            try:
                self._close_for(watering, state, reason)
            finally:
                try:
                    await self._guard.close(watering.order.channel)
                except GuardLost as exc:
                    log.error("close not confirmed run_id=%s: %s", watering.order.run_id, exc)

    def _settle(self, watering: Watering) -> None:
        order = watering.order
        if not watering.settled(_now_s()) or self._open.get(order.channel) is not watering:
            return
        state, reason = watering.finish()
        del self._open[order.channel]
        now = self._clock.now()
        with self._store.transaction():
            self._store.end_lease(order, now, watering.open_s or 0.0)
            self.valves.hear(order.channel, Event.STILL)
            self._report(watering, state, reason)
        log.info(
            "run ended run_id=%s state=%s litres=%s open_s=%s", order.run_id, state, watering.litres, watering.open_s
        )
        self._changed()

    def _fail(self, watering: Watering, reason: Reason) -> None:
        if self._open.get(watering.order.channel) is not watering:
            return
        del self._open[watering.order.channel]
        with self._store.transaction():
            self._store.end_lease(watering.order, self._clock.now(), 0.0)
            self._report(watering, RunState.FAILED, reason)
        log.error("run failed run_id=%s reason=%s", watering.order.run_id, reason.code)
        self._changed()

    # --- telling ---

    def reports(self, failed: frozenset[str]) -> tuple[ValveReport, ...]:
        """Return what is known of each valve now."""
        return tuple(self._valve_report(valve, failed) for valve in self._valves.values())

    def _valve_report(self, valve: ValvePart, failed: frozenset[str]) -> ValveReport:
        watering = self._open.get(valve.channel)
        if valve.channel in failed or self.valves[valve.channel].leaks:
            position = ValvePosition.CLOSE_FAILED
        elif not self._guard.up:
            position = ValvePosition.UNKNOWN
        else:
            position = report.position(watering, pulsed=self._guard.holder(valve.channel) is not None)
        zone_id = self._zone_id(valve.channel)
        return ValveReport(
            channel=valve.channel,
            zone_id=zone_id,
            position=position,
            run=report.progress(watering) if watering else None,
            quarantine=self.valves.quarantine(valve.channel),
        )

    def _report(self, watering: Watering, state: RunState, reason: Reason | None = None) -> None:
        at, trusted = self._clock.now(), self._clock.trusted()
        self._outbox.append(report.run_event(watering, state, reason, at, clock_trusted=trusted))

    def report_refused(self, order: Order, reason: Reason) -> None:
        """Report a due watering that could not be begun, inside the caller's transaction."""
        self._report(Watering(order=order), RunState.REFUSED, reason)

    # --- the farm's settings ---

    def standing(self, channel: str) -> ChannelStanding | None:
        """Return what an order for that channel must be judged by; None for an unknown one."""
        valve = self._valves.get(channel)
        if valve is None:
            return None
        watering = self._open.get(channel)
        settings = self._channel_settings(channel)
        return ChannelStanding(
            max_open_s=valve.max_open_s,
            max_day_s=valve.day_s,
            used_day_s=self._store.used_s(channel, self._clock.now()),
            zone_id=settings.zone_id if settings else None,
            zone_max_run_s=settings.max_run_s if settings else None,
            run_id=watering.order.run_id if watering else self._guard.holder(channel),
            has_meter=valve.meter is not None,
            moisture_pct=min(self._instruments.probes.usable_pct(self._zone_sensors(channel), _now_s()), default=None),
            close_failed=bool(self._guard.failed) or any(self.valves[one].leaks for one in self._valves),
            quarantine=self.valves.quarantine(channel),
            supply_lock=self._locks.supply_lock(channel),
            no_disk_cap_s=self._lease_cap_s,
        )

    def _channel_settings(self, channel: str) -> ChannelSettings | None:
        config = self.config
        return next((one for one in config.channels if one.channel == channel), None) if config else None

    def _zone_id(self, channel: str) -> str | None:
        settings = self._channel_settings(channel)
        return settings.zone_id if settings else None

    def _zone_sensors(self, channel: str) -> tuple[str, ...]:
        settings = self._channel_settings(channel)
        return tuple(one for one in settings.sensors if one in self._instruments.probes) if settings else ()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
