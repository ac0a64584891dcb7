"""Takes what boards report: readings pass through to the server, events change what the journal knows on their way.

A batch's watermark, its effects and its place in the outbox are one commit; only then is it acknowledged.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from contract.inbox import Inbox
from contract.messages import Ack, Batch, DecisionEvent, Event, Lane, Origin, Reading, Reply, RunEvent
from contract.outbox import Outbox
from gateway.journal import Journal
from gateway.orders import Orders
from gateway.plan import Plan
from gateway.planning import decisions
from gateway.planning.runs import Run, follow, from_event
from irrigation.model import Result
from irrigation.run import ENDS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a batch: the acknowledgement, what the server is to be told, and whether the plan is touched."""

    ack: Ack
    stored: int
    replies: tuple[Reply, ...] = ()
    replan: bool = False


class Reports:
    """The boards' records on their way through the gateway."""

    def __init__(self, journal: Journal, inbox: Inbox, outbox: Outbox, plan: Plan, orders: Orders) -> None:
        self._journal = journal
        self._inbox = inbox
        self._outbox = outbox
        self._plan = plan
        self._orders = orders
        self.foreign = 0
        """Events about another board's run, which were stored nowhere."""

    def greeting(self, node_id: str, boot_id: str) -> Ack:
        """Return what is held of a board that has just appeared: its outbox goes on from there at once."""
        return self._inbox.greeting(node_id, boot_id)

    def take(self, node_id: str, batch: Batch, now: datetime) -> Taken:
        """Store a batch and return what to do; when it returns, everything is committed."""
        with self._journal.transaction():
            records, ack = self._inbox.accept(node_id, batch)
            if batch.lane is Lane.READINGS:
                if records:
                    self._outbox.append(*records, origin=node_id)
                return Taken(ack, len(records), replan=bool(records) and self._measured(node_id, records, now))
            replies: list[Reply] = []
            replan = False
            for record in records:
                if isinstance(record, Reading):
                    continue  # cannot be: a batch holds its lane's records only
                ends, touched = self._event(node_id, record, now)
                replies += ends
                replan = replan or touched
        return Taken(ack, len(records), tuple(replies), replan)

    def _measured(self, node_id: str, records: Iterable[Reading | Event], now: datetime) -> bool:
        """Take what was measured; return whether a condition says something else of a watering by it."""
        readings = [one for one in records if isinstance(one, Reading)]
        if not self._plan.weather.measured(node_id, readings, self._plan.farm, now):
            return False
        levelled = self._plan.levelled(now)
        return self._plan.turned(now) or levelled

    def _event(self, node_id: str, event: Event, now: datetime) -> tuple[tuple[Reply, ...], bool]:
        """Follow one event and pass it on; return the ends of orders, and whether the plan must be looked at again."""
        if isinstance(event, DecisionEvent):
            self._journal.settle(event.decision)
            self._plan.rests.missed(event.decision, self._plan.farm, now)
        if not isinstance(event, RunEvent):
            self._outbox.append(event, origin=node_id)
            return (), isinstance(event, DecisionEvent) and bool(self._plan.rests.waiting())
        before = self._journal.run(event.run_id)
        if before is not None and before.node_id != node_id:
            self.foreign += 1
            log.warning("event refused node=%s run=%s: the run is of %s", node_id, event.run_id, before.node_id)
            return (), False
        self._outbox.append(event, origin=node_id)
        run = self._follow(node_id, before, event, now)
        self._decide(event, now)
        if before is None and run.under_way and self._orders.pauses.on(now):
            self._orders.pauses.stop(run)  # it was too late to be told of the pause
        if event.state not in ENDS:
            return (), before is None
        if before is None or before.under_way:
            self._plan.rests.run_ended(event, self._plan.farm, now)
            self._orders.pauses.ended(run, event, now)
            self._orders.queue.ended(run, now)
        return self._orders.run_ended(event.run_id, now), before is None or (before.under_way and not run.under_way)

    def _follow(self, node_id: str, before: Run | None, event: RunEvent, now: datetime) -> Run:
        if before is None:
            farm = self._plan.farm
            zone = next((zone for zone in farm.zones if zone.id == event.zone_id), None) if farm else None
            run = from_event(event, node_id, zone, now)
        else:
            run = follow(before, event, now)
        if run != before:
            self._journal.save_run(run)
            if run.ended_at is not None and (before is None or before.ended_at is None):
                code = event.reason.code if event.reason else None
                self._plan.learned.ended(run, self._plan.farm, code)
        return run

    def _decide(self, event: RunEvent, now: datetime) -> None:
        """Record why a due watering runs, once; a run overrules an earlier word that it was skipped."""
        if event.origin is Origin.PERSON:
            return
        known = self._journal.decision(event.entry_id or event.run_id)
        if known is not None and known.result is not Result.SKIPPED:
            return
        entry = self._journal.entry(event.entry_id) if event.entry_id else None
        decision = decisions.of_run(event, entry)
        if decision is not None:
            self._journal.settle(decision)
            if entry is not None and decision.result is not Result.REFUSED:
                self._plan.learned.carry([entry])
            self._outbox.append(DecisionEvent(seq=1, at=now, decision=decision))
