"""A pause: what waters is closed, and what is left of it goes on when the pause is over.

Which runs a pause has ended is in the journal: a gateway that is killed meanwhile still knows.
"""

from dataclasses import replace
from datetime import datetime

from contract.messages import Origin, RunEvent
from contract.outbox import Outbox
from gateway.journal import Journal
from gateway.plan import Plan
from gateway.planning import queueing
from gateway.planning.dispatch import WantedClose
from gateway.planning.runs import Run, as_event
from irrigation.run import RunState

FACT = "paused"
ACTOR = "pause"


class Pauses:
    """All of it is inside the caller's transaction."""

    def __init__(self, journal: Journal, outbox: Outbox, plan: Plan) -> None:
        self._journal = journal
        self._outbox = outbox
        self._plan = plan

    def on(self, now: datetime) -> bool:
        """Whether all watering waits now."""
        farm = self._plan.farm
        return farm is not None and farm.hold is not None and farm.hold.paused(now)

    def begin(self) -> None:
        """Want everything closed that waters or is about to."""
        for run in self._journal.under_way():
            self.stop(run)

    def stop(self, run: Run) -> None:
        """Want a run closed, to go on later; one that waits in the queue waits on."""
        if run.state is RunState.QUEUED:
            return
        self._journal.want_close(WantedClose(run_id=run.run_id, node_id=run.node_id, actor=ACTOR), None)
        self._journal.note(FACT, tuple[str, ...], (*self._ended_by_it(), run.run_id))

    def forget(self, run_id: str) -> None:
        """A person has stopped it: it does not go on."""
        left = tuple(one for one in self._ended_by_it() if one != run_id)
        if left != self._ended_by_it():
            self._journal.note(FACT, tuple[str, ...], left)

    def ended(self, run: Run, event: RunEvent | None, now: datetime) -> None:
        """A run has ended; if by a pause, its rest waits. `event`: its board's report, None if it never opened."""
        if run.run_id not in self._ended_by_it():
            return
        self.forget(run.run_id)
        if run.state is not RunState.STOPPED:
            return
        if run.origin is not Origin.PERSON:
            if event is not None:
                self._plan.rests.paused(event, self._plan.farm, now)
            return
        farm = self._plan.farm
        zone = next((one for one in farm.zones if one.id == run.zone_id), None) if farm else None
        if farm is None or zone is None:
            return
        rest = queueing.rest_of(run, zone, farm.hold, now, open_s=run.open_s or 0.0, litres=run.litres)
        if rest is None:
            return
        waits = replace(
            run, run_id=rest.run_id, state=RunState.QUEUED, dose=rest.dose, asked_at=now, ends_by=rest.until,
            command_id=None, issued_at=None, expires_at=None, answered=False, ended_at=None, litres=None, open_s=None,
        )  # fmt: skip
        self._journal.save_run(waits)
        self._outbox.append(as_event(waits, RunState.QUEUED, now))
        self._plan.keep_queue((rest, *queueing.following(self._plan.queued(), run.run_id, rest.run_id)))

    def _ended_by_it(self) -> tuple[str, ...]:
        return self._journal.fact(FACT, tuple[str, ...]) or ()
