"""A run as the wire tells it: its events, its progress, and what they say of its valve."""

from datetime import datetime

from contract.messages import Reason, RunEvent, RunProgress, ValvePosition
from edge.control.watering import Watering
from irrigation.run import RunState


def run_event(
    watering: Watering, state: RunState, reason: Reason | None, at: datetime, *, clock_trusted: bool
) -> RunEvent:
    """Return the news that a run has reached `state`; the outbox gives it its number."""
    order = watering.order
    return RunEvent(
        seq=1,
        at=at,
        clock_trusted=clock_trusted,
        run_id=order.run_id,
        zone_id=order.zone_id,
        channel=order.channel,
        state=state,
        origin=order.origin,
        actor=order.actor,
        dose=order.dose,
        max_s=order.max_s,
        entry_id=order.entry_id,
        program_id=order.program_id,
        opened_at=watering.opened_at,
        closes_at=watering.closes_at,
        litres=watering.litres,
        open_s=watering.open_s,
        reason=reason,
    )


def progress(watering: Watering) -> RunProgress:
    """Return how far a run has got."""
    order = watering.order
    return RunProgress(
        run_id=order.run_id,
        zone_id=order.zone_id,
        state=watering.state,
        origin=order.origin,
        actor=order.actor,
        dose=order.dose,
        max_s=order.max_s,
        opened_at=watering.opened_at,
        closes_at=watering.closes_at,
        litres=watering.litres,
        flow_l_min=watering.flow_l_min,
        entry_id=order.entry_id,
        program_id=order.program_id,
    )


def position(watering: Watering | None, *, pulsed: bool) -> ValvePosition:
    """Return where a valve stands whose guard answers and whose line follows; `pulsed` counts while no run is there."""
    if watering is None:
        return ValvePosition.OPEN if pulsed else ValvePosition.CLOSED
    if watering.closed_s is not None or watering.state is RunState.OPENING:
        return ValvePosition.CLOSED
    return ValvePosition.CLOSING if watering.state is RunState.CLOSING else ValvePosition.OPEN
