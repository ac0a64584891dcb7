"""The life of one watering, as a table: `asked → accepted → opening → open → watering → closing → done`.

What the source cannot give yet may be *queued* before it is accepted. *open* means that the board confirmed the valve,
*watering* that the meter confirmed flow. Every state that is not an end may move to `closing`; an illegal move is an
`IllegalMove` and nothing happens.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class RunState(StrEnum):
    """Where a run stands; the last six are ends."""

    ASKED = "asked"
    QUEUED = "queued"
    ACCEPTED = "accepted"
    OPENING = "opening"
    OPEN = "open"
    WATERING = "watering"
    CLOSING = "closing"
    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"


class IllegalMove(ValueError):
    """A run was asked to go where its table has no way."""

    def __init__(self, state: RunState, to: RunState) -> None:
        super().__init__(f"a run that is {state} cannot become {to}")
        self.state = state
        self.to = to


_S = RunState
_NEVER_OPENED = frozenset({_S.REFUSED, _S.EXPIRED, _S.FAILED, _S.STOPPED, _S.INTERRUPTED})
_CUT_SHORT = frozenset({_S.CLOSING, _S.FAILED, _S.INTERRUPTED, _S.STOPPED})

MOVES: Mapping[RunState, frozenset[RunState]] = MappingProxyType(
    {
        _S.ASKED: frozenset({_S.QUEUED, _S.ACCEPTED, _S.CLOSING}) | _NEVER_OPENED,
        _S.QUEUED: frozenset({_S.ACCEPTED, _S.CLOSING}) | _NEVER_OPENED,
        _S.ACCEPTED: frozenset({_S.OPENING, _S.CLOSING}) | _NEVER_OPENED,
        _S.OPENING: frozenset({_S.OPEN}) | _CUT_SHORT,
        _S.OPEN: frozenset({_S.WATERING}) | _CUT_SHORT,
        _S.WATERING: frozenset({_S.OPEN}) | _CUT_SHORT,  # back to open when the meter stands still
        # closing again is no news: an order to close is legal everywhere and may be repeated
        _S.CLOSING: frozenset({_S.CLOSING, _S.DONE, _S.STOPPED, _S.INTERRUPTED, _S.FAILED}),
        _S.DONE: frozenset(),
        _S.REFUSED: frozenset(),
        _S.EXPIRED: frozenset(),
        _S.FAILED: frozenset(),
        _S.INTERRUPTED: frozenset(),
        _S.STOPPED: frozenset(),
    }
)

ENDS = frozenset(state for state, ways in MOVES.items() if not ways)
UNDER_WAY = frozenset(RunState) - ENDS
VALVE_MAY_BE_OPEN = frozenset({_S.OPENING, _S.OPEN, _S.WATERING, _S.CLOSING})

_ORDER = {
    state: place
    for place, state in enumerate((_S.ASKED, _S.QUEUED, _S.ACCEPTED, _S.OPENING, _S.OPEN, _S.WATERING, _S.CLOSING))
}


def advance(state: RunState, to: RunState) -> RunState:
    """Return `to` if the table has that move; raise IllegalMove otherwise."""
    if to not in MOVES[state]:
        raise IllegalMove(state, to)
    return to


def observe(state: RunState, seen: RunState) -> RunState:
    """Follow a run that happens elsewhere: what an observer in `state` believes after `seen` was reported.

    Reports can be skipped, repeated or late on their way. An end once seen stays; a report from further on moves the
    observer there; a stale one changes nothing. The exception is *watering → open*, a real step back (flow stopped).
    """
    if state in ENDS or state == seen:
        return state
    if seen in ENDS or (state, seen) == (_S.WATERING, _S.OPEN):
        return seen
    return seen if _ORDER[seen] > _ORDER[state] else state
