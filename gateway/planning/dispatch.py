"""What must be said to which board now, and when to look again. Nothing here remembers: the journal does.

An open, pulse or reset is repeated with the same id until the board answers or it expires. A close and a close-all
are desired states: they are repeated, each time as a fresh order, until the board shows that they are met. Settings and
plan go to a board in hearing that holds another version.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from contract.messages import Close, CloseAll, NodeConfig, NodeState, Open, Pulse, Reset, ValvePosition, ValveReport
from contract.topics import Channel
from gateway.planning.runs import Run
from irrigation.model import Timetable
from irrigation.run import RunState

AGAIN_S = 3.0
AGAIN_AWAY_S = 30.0  # a board that is away hears it when it is back; its return is a reason to say it at once
AGAIN_PLAN_S = 10.0
CLOSE_LIFE = timedelta(seconds=30)
_ABOUT_TO_OPEN = frozenset({RunState.ASKED, RunState.ACCEPTED, RunState.OPENING})


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedClose:
    """A run that must end; the board that has it, and on whose word."""

    run_id: str
    node_id: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedCloseAll:
    """A board whose valves must all be closed, and since when."""

    node_id: str
    actor: str
    asked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a board should have (`config`, `timetable`) and the versions that it said it has (None: not heard yet)."""

    node_id: str
    online: bool
    config: NodeConfig | None = None
    timetable: Timetable | None = None
    config_version: int | None = None
    timetable_version: int | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """One message to one board. `key` names the wish, so that its next time can be told."""

    key: str
    node_id: str
    channel: Channel
    message: Any
    expires_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """All that the journal wants of the boards."""

    opens: tuple[Run, ...] = ()
    closes: tuple[WantedClose, ...] = ()
    close_alls: tuple[WantedCloseAll, ...] = ()
    errands: tuple[Pulse | Reset, ...] = ()
    boards: tuple[Held, ...] = ()


def due_sends(
    wishes: Wishes, sent_at_s: Mapping[str, float], now: datetime, at_s: float, new_id: Callable[[], str]
) -> tuple[tuple[Send, ...], float | None]:
    """Return what to send now, most urgent first, and the seconds until something must be said again (None: nothing).

    `sent_at_s` holds when each key was last sent (monotonic, like `at_s`).
    """
    online = {board.node_id for board in wishes.boards if board.online}
    sends: list[Send] = []
    waits: list[float] = []

    def again(key: str, every_s: float) -> bool:
        wait_s = sent_at_s[key] + every_s - at_s if key in sent_at_s else 0.0
        waits.append(every_s if wait_s <= 0 else wait_s)
        return wait_s <= 0

    def every_s(node_id: str) -> float:
        return AGAIN_S if node_id in online else AGAIN_AWAY_S

    for all_of in wishes.close_alls:
        if again(key := f"close-all:{all_of.node_id}", every_s(all_of.node_id)):
            order = CloseAll(id=new_id(), issued_at=now, expires_at=now + CLOSE_LIFE, actor=all_of.actor)
            sends.append(_order(key, all_of.node_id, order, now))
    for one in wishes.closes:
        if again(key := f"close:{one.run_id}", every_s(one.node_id)):
            close = Close(id=new_id(), run_id=one.run_id, issued_at=now, expires_at=now + CLOSE_LIFE, actor=one.actor)
            sends.append(_order(key, one.node_id, close, now))
    for run in wishes.opens:
        in_time = run.expires_at is not None and now < run.expires_at
        if in_time and again(key := f"open:{run.run_id}", every_s(run.node_id)):
            sends += [_order(key, run.node_id, open_order(run), now)]
    for errand in wishes.errands:
        node_id = errand.node_id
        if node_id and now < errand.expires_at and again(key := f"errand:{errand.id}", every_s(node_id)):
            sends += [_order(key, node_id, errand, now)]
    for board in wishes.boards:
        sends.extend(_versions(board, again))
    return tuple(sends), min(waits, default=None)


def open_order(run: Run) -> Open:
    """Return the order as the board gets it: the same id and deadline, the valve and the lease filled in."""
    if run.command_id is None or run.issued_at is None or run.expires_at is None:
        raise ValueError(f"run {run.run_id} was begun by its board, there is no order to send")
    return Open(
        id=run.command_id,
        issued_at=run.issued_at,
        expires_at=run.expires_at,
        actor=run.actor,
        run_id=run.run_id,
        zone_id=run.zone_id,
        dose=run.dose,
        channel=run.channel,
        max_s=run.max_s,
        origin=run.origin,
        program_id=run.program_id,
    )


def _order(key: str, node_id: str, order: Open | Close | CloseAll | Pulse | Reset, now: datetime) -> Send:
    left_s = max(1, round((order.expires_at - now).total_seconds()))
    return Send(key, node_id, Channel.COMMAND, order, left_s)


def _versions(board: Held, again: Callable[[str, float], bool]) -> Iterable[Send]:
    if not board.online:
        return
    if board.config is not None and board.config.version != board.config_version:
        key = f"config:{board.node_id}:{board.config.version}"
        if again(key, AGAIN_PLAN_S):
            yield Send(key, board.node_id, Channel.CONFIG, board.config)
    if board.timetable is not None and board.timetable.version != board.timetable_version:
        key = f"timetable:{board.node_id}:{board.timetable.version}"
        if again(key, AGAIN_PLAN_S):
            yield Send(key, board.node_id, Channel.TIMETABLE, board.timetable)


def all_closed(wanted: WantedCloseAll, state: NodeState | None, told_at: datetime | None) -> bool:
    """Whether the board has shown, after the order, that no valve is open by a run from before it.

    `told_at` is when that state was true: when it arrived, or the board's own time when the broker had kept it. A run
    that began after the order is another matter, if the board's clock can be trusted to say so.
    """
    if state is None or told_at is None or told_at < wanted.asked_at:
        return False
    return all(_closed(valve) or _began_since(wanted, valve, state) for valve in state.valves)


def _closed(valve: ValveReport) -> bool:
    """A valve is closed too while its run is about to open it; that does not count."""
    return valve.position is ValvePosition.CLOSED and (valve.run is None or valve.run.state not in _ABOUT_TO_OPEN)


def _began_since(wanted: WantedCloseAll, valve: ValveReport, state: NodeState) -> bool:
    opened_at = valve.run.opened_at if valve.run else None
    known = state.clock_trusted and valve.position is ValvePosition.OPEN and opened_at is not None
    return known and opened_at is not None and opened_at > wanted.asked_at
