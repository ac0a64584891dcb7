"""What can go wrong with a valve, as a pure table: events in, the next phase and the acts out.

    phase      event                                      next      acts
    closed     ordered, not locked                        opening   open
    opening    opened                                     open
    opening    guard away, tries left                     opening   open again later
    opening    guard away, none left                      closed    give up
    open       flowed                                     open      the run is proved
    open       guard away                                 settling
    opening,   line fault, no flow                        closing   close, a strike
      open     burst                                      closing   close, lock
    any        close                                      not open  close
    any        closed                                     settling  (from closed: closed)
    any        close failed                               stuck     a strike
    stuck      closed                                     settling
    settling   still                                      closed    proved and no strike: strikes forgotten
    shut       leak, night flow                           the same  lock
    closed     reset                                      closed    unlock, forget strikes

A *physical* fault (line fault, no flow, burst, close failed, leak, night flow) closes and is never tried again by
itself. A fault of *communication* (guard away) is tried again, `RETRY_S` apart. The third strike in a row locks. Only
a person's reset unlocks. A valve that did not close, or that is locked for what runs through it, shuts its supply.
Whatever is not in the table changes nothing, but an order or a reset where none may come is an error.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

RETRY_S = (0.5, 1.0, 2.0)
"""The waits before an open is asked of the guard again: communication faults pass, or they do not."""
STRIKES = 3


class Phase(StrEnum):
    """Where a valve stands between its guard and its meter."""

    CLOSED = "closed"
    OPENING = "opening"  # asked of the guard
    OPEN = "open"
    CLOSING = "closing"  # told to, not confirmed
    SETTLING = "settling"  # confirmed; the meter runs out
    STUCK = "stuck"  # the line did not follow: not closed


class Event(StrEnum):
    """What a valve's guard, its meter or a person says."""

    ORDERED = "ordered"
    OPENED = "opened"
    LINE_FAULT = "line-fault"
    GUARD_AWAY = "guard-away"  # busy, lost or silent
    FLOWED = "flowed"  # or opened, where no meter could say it
    NO_FLOW = "no-flow"
    BURST = "burst"
    CLOSE = "close"
    CLOSED = "closed"
    CLOSE_FAILED = "close-failed"
    STILL = "still"
    LEAK = "leak"
    NIGHT_FLOW = "night-flow"
    RESET = "reset"


class Fault(StrEnum):
    """The codes that people are told."""

    OPEN_FAILED = "open-failed"
    NO_FLOW = "no-flow"
    BURST = "burst"
    CLOSE_FAILED = "close-failed"
    FLOW_WHILE_CLOSED = "flow-while-closed"
    NIGHT_FLOW = "night-flow"
    QUARANTINED = "quarantined"  # the third strike


class Act(StrEnum):
    """What is to be done about it."""

    OPEN = "open"
    OPEN_LATER = "open-later"
    GIVE_UP = "give-up"
    CLOSE = "close"
    RAISE = "raise"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Action:
    """One act; `fault` says what is raised or cleared."""

    act: Act
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Valve:
    """A valve's standing. `strikes`, `lock` and `told` outlive a restart."""

    phase: Phase = Phase.CLOSED
    tries: int = 0  # of the opening under way
    proved: bool = False  # water came in this run
    struck: bool = False  # this run has its strike
    strikes: int = 0  # faulty runs in a row
    lock: Fault | None = None
    told: frozenset[Fault] = field(default_factory=frozenset)

    @property
    def wanted_open(self) -> bool:
        """Whether anybody means it to be open."""
        return self.phase in _OPENISH

    @property
    def leaks(self) -> bool:
        """Whether its meter has shown that it does not hold: it must not be called closed."""
        return self.phase is Phase.STUCK or self.lock is Fault.FLOW_WHILE_CLOSED

    @property
    def shuts_supply(self) -> bool:
        """Whether the source's master valve or pump must stay off for its sake."""
        return self.phase is Phase.STUCK or self.lock in _SHUTS_SUPPLY


class IllegalEvent(ValueError):
    """An order or a reset came where the table has no way for it; nothing has changed."""

    def __init__(self, valve: Valve, event: Event) -> None:
        locked = f" and locked ({valve.lock})" if valve.lock else ""
        super().__init__(f"a valve that is {valve.phase}{locked} takes no {event}")


PHYSICAL: dict[Event, Fault] = {
    Event.LINE_FAULT: Fault.OPEN_FAILED,
    Event.NO_FLOW: Fault.NO_FLOW,
    Event.BURST: Fault.BURST,
    Event.CLOSE_FAILED: Fault.CLOSE_FAILED,
    Event.LEAK: Fault.FLOW_WHILE_CLOSED,
    Event.NIGHT_FLOW: Fault.NIGHT_FLOW,
}
_LOCKS_AT_ONCE = frozenset({Fault.BURST, Fault.FLOW_WHILE_CLOSED, Fault.NIGHT_FLOW})
_SHUTS_SUPPLY = frozenset({Fault.FLOW_WHILE_CLOSED, Fault.NIGHT_FLOW})
_OPENISH = frozenset({Phase.OPENING, Phase.OPEN})
_SHUT = frozenset({Phase.CLOSED, Phase.SETTLING, Phase.STUCK})
_ANY = frozenset(Phase)
_WHERE: dict[Event, frozenset[Phase]] = {  # elsewhere such a fault is stale
    Event.LINE_FAULT: _OPENISH,
    Event.NO_FLOW: _OPENISH,
    Event.BURST: _OPENISH,
    Event.CLOSE_FAILED: _ANY,
    Event.LEAK: _SHUT,
    Event.NIGHT_FLOW: _SHUT,
}

MOVES: dict[tuple[Phase, Event], Phase] = {
    (Phase.CLOSED, Event.ORDERED): Phase.OPENING,
    (Phase.OPENING, Event.OPENED): Phase.OPEN,
    (Phase.OPEN, Event.FLOWED): Phase.OPEN,
    (Phase.OPEN, Event.GUARD_AWAY): Phase.SETTLING,
    (Phase.CLOSING, Event.GUARD_AWAY): Phase.SETTLING,  # without its guard the line falls back to closed
    (Phase.OPENING, Event.CLOSE): Phase.CLOSING,
    (Phase.OPEN, Event.CLOSE): Phase.CLOSING,
    (Phase.OPENING, Event.CLOSED): Phase.SETTLING,
    (Phase.OPEN, Event.CLOSED): Phase.SETTLING,
    (Phase.CLOSING, Event.CLOSED): Phase.SETTLING,
    (Phase.STUCK, Event.CLOSED): Phase.SETTLING,
    (Phase.SETTLING, Event.STILL): Phase.CLOSED,
    (Phase.CLOSED, Event.RESET): Phase.CLOSED,
}
"""The moves that are no faults; `GUARD_AWAY` while opening depends on the tries. Anything else stays where it is."""


def step(valve: Valve, event: Event) -> tuple[Valve, tuple[Action, ...]]:
    """Return what the event makes of the valve, and what to do; raise IllegalEvent for an order or reset amiss."""
    if event in PHYSICAL:
        return _fault(valve, event) if valve.phase in _WHERE[event] else (valve, ())
    if event is Event.GUARD_AWAY and valve.phase is Phase.OPENING:
        return _away(valve)
    to = MOVES.get((valve.phase, event))
    if event in {Event.ORDERED, Event.RESET} and (to is None or (event is Event.ORDERED and valve.lock)):
        raise IllegalEvent(valve, event)
    after = replace(valve, phase=to or valve.phase)
    match event:
        case Event.ORDERED:
            return replace(after, tries=0, proved=False, struck=False), (Action(Act.OPEN),)
        case Event.CLOSE:
            return after, (Action(Act.CLOSE),)
        case Event.RESET:
            return Valve(phase=after.phase), tuple(_clears(valve.told))
        case Event.OPENED if to:
            return _cleared(after, Fault.OPEN_FAILED)
        case Event.FLOWED if to:
            return _cleared(replace(after, proved=True), Fault.NO_FLOW)
        case Event.CLOSED if valve.phase is Phase.STUCK:
            return _cleared(after, Fault.CLOSE_FAILED)
        case Event.STILL if to and valve.proved and not valve.struck:
            return replace(after, strikes=0), ()
        case _:
            return after, ()


def retry_s(valve: Valve) -> float:
    """Return the wait in s before the open that `OPEN_LATER` asks for."""
    return RETRY_S[valve.tries - 1]


def _away(valve: Valve) -> tuple[Valve, tuple[Action, ...]]:
    if valve.tries < len(RETRY_S):
        return replace(valve, tries=valve.tries + 1), (Action(Act.OPEN_LATER),)
    return replace(valve, phase=Phase.CLOSED), (Action(Act.GIVE_UP),)


def _fault(valve: Valve, event: Event) -> tuple[Valve, tuple[Action, ...]]:
    fault = PHYSICAL[event]
    actions: list[Action] = []
    phase = valve.phase
    if valve.wanted_open:
        phase = Phase.CLOSING
        actions.append(Action(Act.CLOSE))
    if event is Event.CLOSE_FAILED:
        phase = Phase.STUCK
    lock, strikes, told = valve.lock, valve.strikes, {fault}
    if fault in _LOCKS_AT_ONCE:
        lock = fault if lock is None or fault is Fault.FLOW_WHILE_CLOSED else lock
    elif not valve.struck:
        strikes += 1
        if strikes >= STRIKES and lock is None:
            lock = fault
            told.add(Fault.QUARANTINED)
    actions += [Action(Act.RAISE, one) for one in sorted(told - valve.told)]
    after = replace(valve, phase=phase, lock=lock, strikes=strikes, struck=True, told=valve.told | told)
    return after, tuple(actions)


def _cleared(valve: Valve, fault: Fault) -> tuple[Valve, tuple[Action, ...]]:
    return replace(valve, told=valve.told - {fault}), tuple(_clears(valve.told & {fault}))


def _clears(told: frozenset[Fault]) -> Iterator[Action]:
    return (Action(Act.CLEAR, fault) for fault in sorted(told))
