"""The queue of what people asked for and the source could not give yet, in the journal.

A queued watering is no order to any board: when its turn has come it is judged like any order for water, and only then
does its board hear of it. So it opens at most once, not after it was cancelled, and not when nobody is there to say so.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from contract.messages import Enqueue, Reason
from contract.outbox import Outbox
from gateway.journal import Journal
from gateway.plan import Plan
from gateway.planning import queueing
from gateway.planning.runs import Run, as_event, queued
from irrigation.model import Farm, Queued, QueuePolicy
from irrigation.run import RunState

log = logging.getLogger(__name__)


class Queue:
    """Everything here is inside the caller's transaction."""

    def __init__(self, journal: Journal, outbox: Outbox, plan: Plan) -> None:
        self._journal = journal
        self._outbox = outbox
        self._plan = plan

    def waiting(self) -> tuple[Queued, ...]:
        """Return what waits, in its order."""
        return self._plan.queued()

    def join(self, order: Enqueue, farm: Farm, now: datetime) -> None:
        """Let the order's waterings stand where its policy says."""
        front = order.policy is not QueuePolicy.APPEND
        new = tuple(
            Queued(
                run_id=part.run_id, zone_id=part.zone_id, dose=part.dose, since=now, until=order.give_up_at,
                front=front, after=part.after, soak_s=part.soak_s, behind=part.behind, pause_s=part.pause_s,
            )
            for part in order.parts
        )  # fmt: skip
        for part in order.parts:
            run = queued(part, order, farm.zone(part.zone_id), now)
            self._journal.save_run(run)
            self._outbox.append(as_event(run, RunState.QUEUED, now))
        self._keep((*new, *self.waiting()) if front else (*self.waiting(), *new))
        log.info("queued runs=%d policy=%s actor=%s", len(new), order.policy, order.actor)

    def leave(self, run_ids: Iterable[str], state: RunState, reason: Reason, now: datetime) -> None:
        """End queued runs, and those of the same zone that were to come after them."""
        gone = queueing.with_followers(self.waiting(), frozenset(run_ids))
        for one in gone:
            run = self._journal.run(one.run_id)
            if run is not None and run.state is RunState.QUEUED:
                ended = replace(run, state=state, answered=True, ended_at=now)
                self._journal.save_run(ended)
                self._outbox.append(as_event(ended, state, now, reason))
        self._keep(queueing.without(self.waiting(), gone))

    def opened(self, run: Run) -> None:
        """Its turn has come: it waits no more."""
        self._keep(one for one in self.waiting() if one.run_id != run.run_id)

    def ended(self, run: Run, now: datetime) -> None:
        """A run has ended: the parts that come after it do not begin if it was not given whole."""
        followers = [one.run_id for one in self.waiting() if one.after == run.run_id]
        if followers and run.state is not RunState.DONE:
            self.leave(followers, RunState.STOPPED, Reason(code="stopped-before-opening"), now)

    def expire(self, now: datetime) -> bool:
        """End what has waited too long; return whether there was any."""
        late = [one for one in self.waiting() if one.until <= now]
        if late:
            self.leave((one.run_id for one in late), RunState.EXPIRED, Reason(code="queued-too-long"), now)
        return bool(late)

    def _keep(self, waiting: Iterable[Queued]) -> None:
        self._plan.keep_queue(tuple(waiting))
