"""Who may hold which valve open, and until when, and the supplies behind the valves: the guard's rules as a pure table.

    lease     valve  supply  is left when                                  for
    (none)    shut   -       opened within the caps, nothing locked        priming, or open if nothing is to wait for
    priming   shut   on      start_after_s has passed                      open
    open      open   on *    told to close, or the deadline is so near     draining, or (none) with a supply that does
                             that the supply must stop now                 not stop first, or goes on for others
    draining  open   off     stop_after_s has passed, or the deadline      (none)
    any                      all closed, not renewed, agent gone, guard    (none) at once: the valve shut, the supply
                             ends, locked, reserve low, line faults        off unless others want it

A supply (pump, master valve) is on while a lease of its valves wants it, and for a while after the last ordered end.
`start_after_s` and `stop_after_s` say when, counted from its valve's opening and shutting; below 0 the supply is first:

    start_after_s  < 0  priming: the supply starts, then the valve opens   > 0  * the valve opens, then the supply does
    stop_after_s   < 0  draining: the supply stops, then the valve shuts   > 0    the valve shuts, then the supply stops

Opening is refused above a cap of the valve or of its supply, so that nothing under a granted lease can pass one. The
same lease asked again gets the same answer; another is refused. A renewal moves no deadline. CLOSE is legal everywhere.
Times are monotonic seconds. Nothing here waits, reads a clock, or can extend a lease.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from edge.guard.use import DAY_S, Use

NEVER_S = float("-inf")


class Cause(str, Enum):  # noqa: UP042 - StrEnum would do the same; this module stays importable everywhere
    """Why a valve closed. Only `TOLD` and `DEADLINE` keep the supply's stop delay; all others close at once."""

    TOLD = "told"
    DEADLINE = "deadline"
    NOT_RENEWED = "not-renewed"
    AGENT_GONE = "agent-gone"
    ENDING = "ending"
    LOCKED = "locked"
    NO_RESERVE = "no-reserve"
    LINE_FAULT = "line-fault"
    CLOSE_FAILED = "close-failed"  # of another valve of the same supply


class Refused(ValueError):
    """The guard does not open; `code` is stable, the message is for the log."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Cap:
    """The hard limits of one output in s: of one lease (for a supply: of one stretch), and within any 24 hours."""

    max_open_s: float
    max_day_s: float


@dataclass(frozen=True, slots=True)
class Supply:
    """A pump or master valve: its caps, and its delays in s against its valve (below 0: the supply goes first)."""

    cap: Cap
    start_after_s: float = 0.0
    stop_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Valve:
    """A valve: its caps, and the name of the supply that it drinks from."""

    cap: Cap
    supply: str | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """A line that must be driven now, for a lease if it is a valve's.

    Opened, it shuts at `shuts_s` at the latest. Shut, its lease has ended for a `cause`; it was open for `open_s`.
    """

    name: str
    is_open: bool
    lease_id: str | None = None
    shuts_s: float = 0.0
    cause: Cause | None = None
    open_s: float = 0.0


@dataclass(slots=True)
class _Lease:
    """The valve is open from `opens_s` until `shuts_s`, and wants its supply from `starts_s` until `stops_s`."""

    lease_id: str
    opens_s: float
    shuts_s: float
    starts_s: float
    stops_s: float
    renew_by_s: float
    cause: Cause = Cause.DEADLINE


@dataclass(slots=True)
class _Output:
    """What both kinds of output have: since when the line is driven, and what was used."""

    since_s: float | None = None
    use: Use = field(default_factory=Use)
    lease: _Lease | None = None  # of a valve
    runs_on_s: float = NEVER_S  # of a supply: until when without a lease


class Table:
    """The leases, supplies and locks of one board. After every change `due` says which lines to drive."""

    def __init__(
        self,
        valves: Mapping[str, Valve],
        renew_s: float,
        supplies: Mapping[str, Supply] | None = None,
        *,
        used: Mapping[str, dict[int, float]] | None = None,
        locked: Mapping[str, str] | None = None,
    ) -> None:
        self._valves = dict(valves)
        self._supplies = dict(supplies or {})
        self._renew_s = renew_s
        self._outputs = {name: _Output(use=Use((used or {}).get(name))) for name in (*self._valves, *self._supplies)}
        self.locked = {name: why for name, why in (locked or {}).items() if name in self._outputs}
        """Outputs that stay shut until they are unlocked, and why."""
        self._looked_s = NEVER_S

    # --- what is asked ---

    def open(self, channel: str, lease_id: str, seconds: float, at_s: float) -> tuple[float, float]:
        """Grant a lease and return (when its valve opens, when it shuts at the latest); raise Refused."""
        output, valve = self._outputs[self._known(channel, self._valves)], self._valves[channel]
        if output.lease is not None:
            if output.lease.lease_id == lease_id:
                return output.lease.opens_s, output.lease.shuts_s
            raise Refused("busy", f"{channel} is held by lease {output.lease.lease_id}")
        for name in (channel, valve.supply):
            if name in self.locked:
                raise Refused("locked", f"{name} is locked: {self.locked[name]}")
        if not 0 < seconds <= valve.cap.max_open_s:
            raise Refused("above-cap", f"{channel} may be open for {valve.cap.max_open_s:g} s at most, not {seconds:g}")
        lease = self._lease(valve.supply, lease_id, seconds, at_s)
        self._within_day(channel, valve.cap, seconds, lease.shuts_s)
        if valve.supply is not None:
            cap, (from_s, to_s) = self._supplies[valve.supply].cap, self._stretch(valve.supply, lease)
            if to_s - from_s > cap.max_open_s:
                raise Refused(
                    "supply-cap",
                    f"{valve.supply} would run for {to_s - from_s:.0f} s at a stretch, {cap.max_open_s:g} at most",
                )
            self._within_day(valve.supply, cap, to_s - from_s, to_s)
        output.lease = lease
        return lease.opens_s, lease.shuts_s

    def renew(self, lease_ids: Iterable[str], at_s: float) -> None:
        """Say that the agent still wants these leases; unknown ones are passed over. No deadline moves."""
        wanted = frozenset(lease_ids)
        for _, lease in self._leases():
            if lease.lease_id in wanted:
                lease.renew_by_s = at_s + self._renew_s

    def close(self, channel: str, at_s: float) -> None:
        """End the lease of a channel in good order; nothing if it has none. Raise Refused for an unknown channel."""
        output, name = self._outputs[self._known(channel, self._valves)], self._valves[channel].supply
        lease = output.lease
        if lease is None or (output.since_s is not None and at_s >= lease.stops_s):
            return  # closed, or closing
        lease.cause = Cause.TOLD
        lag_s = self._supplies[name].stop_after_s if name is not None and output.since_s is not None else 0.0
        lease.stops_s = min(lease.stops_s, at_s + max(0.0, lag_s))
        # The valve waits for its supply to stop, unless that goes on for others.
        waits = name is not None and lag_s < 0 and self.is_on(name) and not self._wanted(name, at_s)
        lease.shuts_s = min(lease.shuts_s, at_s - lag_s if waits else at_s)

    def close_all(self, at_s: float, cause: Cause) -> None:
        """End every lease and stop every supply at once."""
        for name in self._outputs:
            self.shut(name, at_s, cause)

    def shut(self, name: str, at_s: float, cause: Cause) -> None:
        """End at once what has to do with an output: a valve's lease, or a supply and the leases that drink from it."""
        self._known(name, self._outputs)
        self._outputs[name].runs_on_s = NEVER_S
        for channel, lease in self._leases():
            if name in (channel, self._valves[channel].supply):
                lease.shuts_s = lease.stops_s = at_s
                lease.cause = cause

    def lock(self, name: str, why: str, at_s: float) -> None:
        """Shut an output and keep it so until it is unlocked; raise Refused for an unknown one."""
        self.shut(name, at_s, Cause.LOCKED)
        self.locked[name] = why

    def unlock(self, name: str) -> None:
        """Let an output open again; it stays shut until somebody asks. Raise Refused for an unknown one."""
        self.locked.pop(self._known(name, self._outputs), None)

    # --- what follows from it ---

    def due(self, at_s: float) -> list[Moved]:
        """Return the lines to drive now: supplies off, valves shut, valves open, supplies on, in that order."""
        self._looked_s = at_s
        shut: list[Moved] = []
        opened: list[Moved] = []
        for channel, lease in list(self._leases()):
            if lease.renew_by_s <= at_s < lease.shuts_s:
                self.shut(channel, at_s, Cause.NOT_RENEWED)
            if at_s >= lease.shuts_s:
                shut.append(self._end(channel, lease, at_s))
            elif at_s >= lease.opens_s and self._outputs[channel].since_s is None:
                self._outputs[channel].since_s = at_s
                opened.append(Moved(channel, is_open=True, lease_id=lease.lease_id, shuts_s=lease.shuts_s))
        off: list[Moved] = []
        for name in self._supplies:
            supply, wanted = self._outputs[name], self._wanted(name, at_s)
            if wanted and supply.since_s is None:
                supply.since_s = at_s
                opened.append(Moved(name, is_open=True))
            elif not wanted and supply.since_s is not None:
                supply.use.add(supply.since_s, at_s)
                supply.since_s = None
                off.append(Moved(name, is_open=False))
        return off + shut + opened

    def next_s(self) -> float | None:
        """When `due` must be asked next; None with everything closed."""
        times = [self._outputs[name].runs_on_s for name in self._supplies]
        for _, lease in self._leases():
            times += (lease.opens_s, lease.shuts_s, lease.starts_s, lease.stops_s, lease.renew_by_s)
        return min((time_s for time_s in times if time_s > self._looked_s), default=None)

    def leases(self) -> dict[str, str | None]:
        """Return the lease of each channel; None = closed."""
        return {name: lease.lease_id if (lease := self._outputs[name].lease) else None for name in self._valves}

    def is_on(self, name: str) -> bool:
        """Whether the line of an output is driven to open."""
        return self._outputs[name].since_s is not None

    def supply_of(self, name: str) -> str | None:
        """Return the supply that a valve drinks from; None for a valve without one, and for a supply."""
        return self._valves[name].supply if name in self._valves else None

    def used(self, at_s: float) -> dict[str, dict[int, float]]:
        """Return each output's use by quarters, with all that is granted counted as if it were used up."""
        used = {}
        for name, output in self._outputs.items():
            output.use.forget(at_s)
            counted = Use(output.use.quarters)
            if output.lease is not None:
                counted.add(output.lease.opens_s if output.since_s is None else output.since_s, output.lease.shuts_s)
            elif name in self._supplies:
                counted.add(*self._stretch(name))
            used[name] = counted.quarters
        return used

    # --- parts ---

    def _known(self, name: str, among: Mapping[str, object]) -> str:
        if name not in among:
            raise Refused("unknown-channel", f"nothing is called {name!r}, only {', '.join(among)}")
        return name

    def _leases(self) -> Iterator[tuple[str, _Lease]]:
        for channel in self._valves:
            if (lease := self._outputs[channel].lease) is not None:
                yield channel, lease

    def _lease(self, name: str | None, lease_id: str, seconds: float, at_s: float) -> _Lease:
        """Lay out a lease: a supply that runs already makes the wait for it shorter."""
        supply = self._supplies[name] if name is not None else Supply(Cap(0.0, 0.0))
        running_s = self._outputs[name].since_s if name is not None and self._wanted(name, at_s) else None
        lead_s = max(0.0, -supply.start_after_s)
        opens_s = max(at_s, (at_s if running_s is None else running_s) + lead_s)
        shuts_s = opens_s + seconds
        starts_s = at_s if lead_s else opens_s + supply.start_after_s
        stops_s = max(opens_s, shuts_s + supply.stop_after_s)
        return _Lease(lease_id, opens_s, shuts_s, starts_s, stops_s, at_s + self._renew_s)

    def _within_day(self, name: str, cap: Cap, seconds: float, to_s: float) -> None:
        """Refuse what would go above the cap of the 24 hours that end with it."""
        used_s = self._outputs[name].use.since_s(to_s - DAY_S)
        if used_s + seconds > cap.max_day_s:
            raise Refused(
                "daily-cap",
                f"{name} was open for {used_s:.0f} s of {cap.max_day_s:g} in 24 h, {seconds:.0f} is too much",
            )

    def _stretch(self, name: str, more: _Lease | None = None) -> tuple[float, float]:
        """Return from when until when a supply runs by what is granted and by one lease more; a pause counts too."""
        supply = self._outputs[name]
        leases = [lease for channel, lease in self._leases() if self._valves[channel].supply == name]
        leases += [more] if more is not None else []
        since = [supply.since_s] if supply.since_s is not None else [lease.starts_s for lease in leases]
        until_s = max((supply.runs_on_s, *(lease.stops_s for lease in leases)))
        return min(since, default=until_s), until_s

    def _wanted(self, name: str, at_s: float) -> bool:
        leases = (lease for channel, lease in self._leases() if self._valves[channel].supply == name)
        return at_s < self._outputs[name].runs_on_s or any(one.starts_s <= at_s < one.stops_s for one in leases)

    def _end(self, channel: str, lease: _Lease, at_s: float) -> Moved:
        output, name = self._outputs[channel], self._valves[channel].supply
        open_s = 0.0
        if output.since_s is not None:
            open_s = at_s - output.since_s
            output.use.add(output.since_s, at_s)
        if name is not None and self._outputs[name].since_s is not None:
            self._outputs[name].runs_on_s = max(self._outputs[name].runs_on_s, lease.stops_s)
        output.lease = output.since_s = None
        return Moved(channel, is_open=False, lease_id=lease.lease_id, cause=lease.cause, open_s=open_s)
