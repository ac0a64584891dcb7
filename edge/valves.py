"""The valves of a board as faults have left them: what is wanted of them, their locks, and the flows that they taught.

The rim of `edge.control.faults` and `edge.control.flow`: what changes is committed with the fault that tells it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from contract.clock import Clock
from contract.messages import ChannelSettings, FaultEvent, Params, Reason
from contract.outbox import Outbox
from edge.config import BoardSettings
from edge.control.faults import STRIKES, Act, Event, Fault, Phase, Valve, step
from edge.control.flow import ClosedFlow, Expected, Finding, OpenFlow
from edge.instruments import Instruments
from edge.store import Store

log = logging.getLogger(__name__)

BAD_METER = Finding.BAD_METER.value
CLOSE_FAILED = Fault.CLOSE_FAILED.value
FACT = "valves"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What of a valve outlives a restart."""

    strikes: int = 0
    lock: Fault | None = None
    since: datetime | None = None  # of the lock
    told: frozenset[Fault] = field(default_factory=frozenset)
    bad_meter: bool = False
    settled_l_min: tuple[float, ...] = ()


class Valves:
    """Every valve by its channel. `zone_of` is what the farm says of a channel; `changed` follows each report."""

    def __init__(
        self,
        settings: BoardSettings,
        *,
        store: Store,
        outbox: Outbox,
        instruments: Instruments,
        clock: Clock,
        zone_of: Callable[[str], ChannelSettings | None],
        changed: Callable[[], None],
    ) -> None:
        self._watch = settings.watch
        self._pulse_l = {
            valve.channel: 1 / valve.meter.pulses_per_litre for valve in settings.valve if valve.meter is not None
        }
        self._store = store
        self._outbox = outbox
        self._instruments = instruments
        self._clock = clock
        self._zone_of = zone_of
        self._changed = changed
        kept = store.fact(FACT, dict[str, Kept]) or {}
        self._kept = {valve.channel: kept.get(valve.channel, Kept()) for valve in settings.valve}
        self._valves = {channel: _as_left(one) for channel, one in self._kept.items()}
        self._open: dict[str, OpenFlow] = {}
        self._closed = {
            channel: ClosedFlow(
                pulse_l=pulse_l, night_s=self._watch.night_window_s, night_l_min=self._watch.night_l_min
            )
            for channel, pulse_l in self._pulse_l.items()
        }
        self._taught: dict[str, float] = {}  # what the run that has just closed would teach
        self._jumped: set[str] = set()  # meters that counted too much in the run under way

    # --- what is known ---

    def __getitem__(self, channel: str) -> Valve:
        return self._valves[channel]

    def __contains__(self, channel: str) -> bool:
        return channel in self._valves

    def quarantine(self, channel: str) -> Reason | None:
        """Why nothing may open the valve before a person's reset; None while it may be."""
        kept = self._kept[channel]
        if kept.lock is None:
            return None
        params: Params = {"channel": channel}
        if kept.strikes >= STRIKES:
            params["strikes"] = float(kept.strikes)
        if kept.since is not None:
            params["since"] = kept.since.isoformat()
        return Reason(code=kept.lock.value, params=params)

    def stuck(self) -> frozenset[str]:
        """Return the valves whose line did not follow when it was last heard of."""
        return frozenset(channel for channel, valve in self._valves.items() if valve.phase is Phase.STUCK)

    def bad_meter(self, channel: str) -> bool:
        """Whether its meter counts what is no water: its litres end no dose."""
        return self._kept[channel].bad_meter

    def expected(self, channel: str) -> Expected:
        """Return what is known of the zone's flow."""
        zone = self._zone_of(channel)
        if zone is None:
            return Expected()
        settled = self._kept[channel].settled_l_min
        return Expected(nominal_l_min=zone.flow_l_min, settled_l_min=settled, source_l_min=zone.source_l_min)

    # --- what happens ---

    def hear(self, channel: str, event: Event, **params: float | str) -> frozenset[Act]:
        """Take an event; commit and tell what it changes; return what is to be done. Raise IllegalEvent."""
        before = self._valves[channel]
        after, actions = step(before, event)
        self._valves[channel] = after
        if event is Event.STILL and before.phase is Phase.SETTLING:
            self._learn(channel, before)
        kept = self._kept[channel]
        since = None if after.lock is None else kept.since if before.lock is not None else self._clock.now()
        new = replace(kept, strikes=after.strikes, lock=after.lock, since=since, told=after.told)
        told = [(action.fault.value, action.act is Act.CLEAR) for action in actions if action.fault is not None]
        if told or new != kept:
            about = params | ({"fault": after.lock.value, "strikes": float(after.strikes)} if after.lock else {})
            self._commit(channel, new, told, about)
        return frozenset(action.act for action in actions)

    def adopt(self, channel: str, fault: Fault) -> None:
        """Take over a lock that the guard has kept and this store has lost: fail dry, and tell."""
        valve = self._valves[channel]
        self._valves[channel] = replace(valve, lock=fault, told=valve.told | {fault})
        kept = replace(self._kept[channel], lock=fault, since=self._clock.now(), told=valve.told | {fault})
        self._commit(channel, kept, [(fault.value, False)], {})

    def hear_supply(self, name: str, *, stuck: bool) -> None:
        """Tell that a pump or master valve does not go off, or has at last: nothing opens meanwhile, says its guard."""
        with self._store.transaction():
            self._append(name, CLOSE_FAILED, cleared=not stuck, about={})
        self._changed()

    def reset(self, channel: str, at_s: float) -> None:
        """A person says that it is mended; what runs from now on is a new fault. Raise IllegalEvent."""
        self.hear(channel, Event.RESET)
        self._watch_closed(channel, at_s)
        if self._kept[channel].bad_meter:
            self._commit(channel, replace(self._kept[channel], bad_meter=False), [(BAD_METER, True)], {})

    def opened(self, channel: str, at_s: float) -> None:
        """The guard confirmed it: its meter is watched for droughts and bursts."""
        self.hear(channel, Event.OPENED)
        self._jumped.discard(channel)
        if channel not in self._pulse_l:
            self.hear(channel, Event.FLOWED)
            return
        self._open[channel] = OpenFlow(
            opened_s=at_s,
            litres=self._instruments.meters[channel].litres(),
            pulse_l=self._pulse_l[channel],
            no_flow_s=self._dry_after_s(channel),
            fill_s=self._watch.fill_s,
        )

    def _dry_after_s(self, channel: str) -> float:
        """Return after how long without a pulse there is no water: by this board, or by what the pump can stand."""
        zone = self._zone_of(channel)
        pump_s = None if zone is None else zone.dry_after_s
        return self._watch.no_flow_s if pump_s is None else min(self._watch.no_flow_s, pump_s)

    def closed(self, channel: str, at_s: float) -> None:
        """The guard confirmed that it is shut, or will be by that moment: what runs after that is watched."""
        watch = self._open.pop(channel, None)
        taught = watch.settled_l_min(at_s) if watch else None
        self._taught.pop(channel, None)
        if taught is not None:
            self._taught[channel] = taught
        self._watch_closed(channel, at_s)

    def look_open(self, channel: str, at_s: float) -> Event | None:
        """Return the fault that the meter of an open valve shows, told by `hear` in a moment; None if it is well."""
        watch = self._open.get(channel)
        if watch is None:
            return None
        found = watch.look(self._instruments.meters[channel].litres(), at_s, self.expected(channel))
        if found is Finding.BAD_METER:
            self._jumped.add(channel)
            self._tell_bad_meter(channel)
        # A meter that is known to be wrong closes nothing: the run ends by its time.
        return None if found is None or self.bad_meter(channel) else Event(found.value)

    def look_closed(self, at_s: float, held: frozenset[str]) -> None:
        """Look at the meters of all valves that are shut; tell and lock what runs. `held`: a pulse may open them."""
        for channel, watch in self._closed.items():
            if channel in self._open or channel in held or self._valves[channel].wanted_open:
                continue
            found = watch.look(self._instruments.meters[channel].litres(), at_s, self.expected(channel))
            if found is None:
                continue
            self._watch_closed(channel, at_s)
            if found is Finding.BAD_METER:
                self._tell_bad_meter(channel)
            else:
                self.hear(channel, Event(found.value))

    def about(self, channel: str) -> Params:
        """Return the numbers behind a finding on an open valve."""
        watch, expected = self._open.get(channel), self.expected(channel)
        numbers = {
            "flow_l_min": watch.flow_l_min if watch else None,
            "highest_l_min": expected.highest_l_min,
            "expected_l_min": expected.flow_l_min,
        }
        return {name: round(value, 2) for name, value in numbers.items() if value is not None}

    # --- parts ---

    def _watch_closed(self, channel: str, at_s: float) -> None:
        if channel in self._closed:
            self._closed[channel].closed(at_s)

    def _learn(self, channel: str, valve: Valve) -> None:
        """Learn from a run that brought water and had no fault; it also shows that the meter is well again."""
        taught = self._taught.pop(channel, None)
        if taught is None or not valve.proved or valve.struck or valve.lock is not None:
            return
        kept = self._kept[channel]
        if kept.bad_meter:
            if channel not in self._jumped:
                self._commit(channel, replace(kept, bad_meter=False), [(BAD_METER, True)], {})
            return
        self._kept[channel] = replace(kept, settled_l_min=self.expected(channel).learn(taught))
        with self._store.transaction():
            self._keep()

    def _tell_bad_meter(self, channel: str) -> None:
        kept = self._kept[channel]
        if not kept.bad_meter:
            log.error("meter counts more than its source gives channel=%s", channel)
            self._commit(channel, replace(kept, bad_meter=True), [(BAD_METER, False)], self.about(channel))

    def _commit(self, channel: str, kept: Kept, told: list[tuple[str, bool]], about: Params) -> None:
        self._kept[channel] = kept
        with self._store.transaction():
            self._keep()
            for code, cleared in told:
                self._append(channel, code, cleared=cleared, about=about)
        self._changed()

    def _append(self, channel: str, code: str, *, cleared: bool, about: Params) -> None:
        zone = self._zone_of(channel)
        self._outbox.append(
            FaultEvent(
                seq=1,
                at=self._clock.now(),
                clock_trusted=self._clock.trusted(),
                code=code,
                channel=channel,
                zone_id=zone.zone_id if zone else None,
                cleared=cleared,
                params={"channel": channel} if cleared else {"channel": channel, **about},
            )
        )
        if cleared:
            log.info("fault over code=%s channel=%s", code, channel)
        else:
            log.error("fault code=%s channel=%s about=%s", code, channel, about)

    def _keep(self) -> None:
        self._store.note(FACT, dict[str, Kept], self._kept)


def _as_left(kept: Kept) -> Valve:
    # A line that did not close is not taken for closed by a restart: its guard's word is awaited.
    stuck = Fault.CLOSE_FAILED in kept.told
    phase = Phase.STUCK if stuck else Phase.CLOSED
    return Valve(phase=phase, strikes=kept.strikes, lock=kept.lock, told=kept.told, struck=stuck)
