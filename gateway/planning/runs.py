"""A run as the gateway knows it, from the order or from the board's reports, and what it takes of its source."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contract.messages import Enqueue, Open, Origin, QueuedPart, Reason, RunEvent
from irrigation.dose import concrete, lease_s
from irrigation.model import Dose, Zone
from irrigation.run import ENDS, UNDER_WAY, RunState, observe

TURN_LIFE = timedelta(seconds=90)
"""A queued watering whose turn has come opens within this time or not at all."""
OVERDUE = timedelta(seconds=30)
"""A lease cannot outlive its deadline: this long after it a run without an end in the journal takes no more water."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One watering. `ends_by` is the last moment that its lease can reach; `expires_at` is the order's deadline.

    A run that a board began by itself has no order: `command_id`, `issued_at` and `expires_at` are None.
    `answered` says that the board has taken the order or refused it.
    """

    run_id: str
    zone_id: str
    node_id: str
    channel: str
    state: RunState
    origin: Origin
    actor: str
    dose: Dose
    max_s: float
    flow_l_min: float
    asked_at: datetime
    ends_by: datetime
    command_id: str | None = None
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    answered: bool = False
    entry_id: str | None = None
    program_id: str | None = None
    ended_at: datetime | None = None
    litres: float | None = None  # what the meter had counted when it ended
    open_s: float | None = None

    @property
    def under_way(self) -> bool:
        """Not at an end yet, as far as the gateway has heard."""
        return self.state in UNDER_WAY

    def takes_water(self, now: datetime) -> bool:
        """Whether its flow must be counted at `now`."""
        return self.under_way and self.state is not RunState.QUEUED and now < self.ends_by + OVERDUE


def from_order(order: Open, zone: Zone, now: datetime) -> Run:
    """Return the accepted run of an order: its lease may begin as late as the order's deadline."""
    lease = lease_s(order.dose, zone)
    max_s = min(order.max_s, lease) if order.max_s is not None else lease
    return Run(
        run_id=order.run_id,
        zone_id=zone.id,
        node_id=zone.node_id,
        channel=zone.channel,
        state=RunState.ACCEPTED,
        origin=order.origin,
        actor=order.actor,
        dose=concrete(order.dose, zone),
        max_s=max_s,
        flow_l_min=zone.flow_l_min,
        asked_at=now,
        ends_by=order.expires_at + timedelta(seconds=max_s),
        command_id=order.id,
        issued_at=order.issued_at,
        expires_at=order.expires_at,
        program_id=order.program_id,
    )


def queued(part: QueuedPart, order: Enqueue, zone: Zone, now: datetime) -> Run:
    """Return the run of a watering that waits for its turn; it has no order yet, and ends by then when it gets none."""
    return Run(
        run_id=part.run_id,
        zone_id=zone.id,
        node_id=zone.node_id,
        channel=zone.channel,
        state=RunState.QUEUED,
        origin=Origin.PERSON,
        actor=order.actor,
        dose=concrete(part.dose, zone),
        max_s=lease_s(part.dose, zone),
        flow_l_min=zone.flow_l_min,
        asked_at=now,
        ends_by=order.give_up_at,
        program_id=order.program_id,
    )


def its_turn(run: Run, now: datetime) -> Open:
    """Return the order of a queued run whose turn has come: it has the same id however often it is made."""
    return Open(
        id=f"turn-{run.run_id}"[:80],
        issued_at=now,
        expires_at=now + TURN_LIFE,
        actor=run.actor,
        run_id=run.run_id,
        zone_id=run.zone_id,
        dose=run.dose,
        origin=run.origin,
        program_id=run.program_id,
    )


def from_event(event: RunEvent, node_id: str, zone: Zone | None, now: datetime) -> Run:
    """Return the run that a board began by itself; `zone` is None when the farm no longer has it."""
    return Run(
        run_id=event.run_id,
        zone_id=event.zone_id,
        node_id=node_id,
        channel=event.channel,
        state=event.state,
        origin=event.origin,
        actor=event.actor,
        dose=event.dose,
        max_s=event.max_s,
        flow_l_min=zone.flow_l_min if zone else 0.0,
        asked_at=event.at if event.clock_trusted else now,
        ends_by=_ends_by(event, now),
        answered=True,
        entry_id=event.entry_id,
        program_id=event.program_id,
    )


def follow(run: Run, event: RunEvent, now: datetime) -> Run:
    """Return what the gateway knows after a board's report, which may be repeated, late or stale."""
    state = observe(run.state, event.state)
    if state == run.state:
        return run if run.answered else replace(run, answered=True)
    run = replace(run, state=state, answered=True, ends_by=min(run.ends_by, _ends_by(event, now)))
    if state not in ENDS:
        return run
    ended_at = event.at if event.clock_trusted else now
    return replace(run, ended_at=ended_at, litres=event.litres, open_s=event.open_s)


def _ends_by(event: RunEvent, now: datetime) -> datetime:
    """Return the lease's end by the board's clock, or by what was left of it where that clock is behind ours."""
    if not event.clock_trusted:
        return now + timedelta(seconds=event.max_s)
    by_clock = event.closes_at or event.at + timedelta(seconds=event.max_s)
    by_left = now + (by_clock - event.at)
    return by_left if by_left - by_clock > OVERDUE else by_clock


def set_later(run: Run, by: timedelta, now: datetime) -> Run:
    """Return the run as it is after the clock was set ahead `by` so much: its lease counts seconds, not the clock.

    No lease reaches further than its whole length from now.
    """
    latest = max(now, run.expires_at or now) + timedelta(seconds=run.max_s)
    return replace(run, ends_by=max(run.ends_by, min(run.ends_by + by, latest)))


def as_event(run: Run, state: RunState, at: datetime, reason: Reason | None = None) -> RunEvent:
    """Return the gateway's own report about a run (the outbox gives it its place)."""
    return RunEvent(
        seq=1,
        at=at,
        run_id=run.run_id,
        zone_id=run.zone_id,
        channel=run.channel,
        state=state,
        origin=run.origin,
        actor=run.actor,
        dose=run.dose,
        max_s=run.max_s,
        entry_id=run.entry_id,
        program_id=run.program_id,
        reason=reason,
    )


def refusal(order: Open, zone: Zone | None, at: datetime, reason: Reason) -> RunEvent:
    """Return the report of an order that never became a run; without a zone its valve is called `unknown`."""
    return RunEvent(
        seq=1,
        at=at,
        run_id=order.run_id,
        zone_id=order.zone_id,
        channel=zone.channel if zone else order.channel or "unknown",
        state=RunState.REFUSED,
        origin=order.origin,
        actor=order.actor,
        dose=order.dose,
        max_s=lease_s(order.dose, zone) if zone else order.max_s or 1,
        program_id=order.program_id,
        reason=reason,
    )


def refused_part(part: QueuedPart, order: Enqueue, zone: Zone | None, at: datetime, reason: Reason) -> RunEvent:
    """Return the report of a watering that could not join the queue."""
    asked = Open(
        id=order.id, issued_at=order.issued_at, expires_at=order.expires_at, actor=order.actor, run_id=part.run_id,
        zone_id=part.zone_id, dose=part.dose, program_id=order.program_id,
    )  # fmt: skip
    return refusal(asked, zone, at, reason)


def unanswered(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Return the accepted orders that no board has answered yet."""
    return tuple(run for run in runs if run.state is RunState.ACCEPTED and not run.answered and run.command_id)
