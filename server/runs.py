"""A run as the server believes it to be, from what it asked and what it was told. Pure."""

from dataclasses import replace
from datetime import datetime

from contract.messages import Reason, RunEvent
from irrigation.model import Timetable
from irrigation.run import ENDS, RunState, observe
from server.records import RunRecord

GATEWAY_AWAY = "gateway-away"
"""Why the server itself gives up on a run: nobody answered before it expired."""


def follow(run: RunRecord | None, event: RunEvent, *, farm_id: str, has_meter: bool) -> RunRecord:
    """The run after a report about it; a report that is late or repeated changes nothing."""
    if run is None:
        return _first_heard(event, farm_id=farm_id, has_meter=has_meter)
    # Our own "expired" is a guess made without news; a report of what really happened takes its place.
    guessed = run.state is RunState.EXPIRED and run.reason_code == GATEWAY_AWAY
    believed = RunState.ASKED if guessed else run.state
    state = observe(believed, event.state)
    if state is not event.state or (state is believed and state in ENDS):
        return run
    moved = state is not run.state
    ended = state in ENDS
    return replace(
        run,
        state=state,
        at=event.at if moved else run.at,
        max_s=event.max_s,
        entry_id=event.entry_id or run.entry_id,
        opened_at=event.opened_at or run.opened_at,
        closes_at=event.closes_at or run.closes_at,
        ended_at=event.at if ended else None,
        litres=run.litres if event.litres is None else event.litres,
        open_s=run.open_s if event.open_s is None else event.open_s,
        reason_code=event.reason.code if event.reason else None,
        reason_params=dict(event.reason.params) if event.reason else {},
        stop_by=None if ended else run.stop_by,
    )


def turn(run: RunRecord, plan: Timetable | None) -> datetime | None:
    """When a run that waits may expect to begin, as the gateway last planned it."""
    places = plan.queue if plan is not None and run.state is RunState.QUEUED else None
    return next((place.start for place in places or () if place.run_id == run.id), None)


def give_up(run: RunRecord, now: datetime) -> RunRecord:
    """An order that nobody answered in time."""
    return end(run, RunState.EXPIRED, Reason(code=GATEWAY_AWAY), now)


def end(run: RunRecord, state: RunState, reason: Reason, now: datetime) -> RunRecord:
    """The run, ended by what the server knows itself."""
    return replace(
        run, state=state, at=now, ended_at=now, stop_by=None, reason_code=reason.code,
        reason_params=dict(reason.params),
    )  # fmt: skip


def _first_heard(event: RunEvent, *, farm_id: str, has_meter: bool) -> RunRecord:
    return RunRecord(
        id=event.run_id, farm_id=farm_id, zone_id=event.zone_id, state=event.state, dose=event.dose, max_s=event.max_s,
        actor=event.actor, origin=event.origin.value, asked_at=event.opened_at or event.at, at=event.at,
        has_meter=has_meter, program_id=event.program_id, entry_id=event.entry_id, opened_at=event.opened_at,
        closes_at=event.closes_at, ended_at=event.at if event.state in ENDS else None, litres=event.litres,
        open_s=event.open_s, reason_code=event.reason.code if event.reason else None,
        reason_params=dict(event.reason.params) if event.reason else {},
    )  # fmt: skip
