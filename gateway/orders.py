"""Answers what the server asks: water, stop, stop everything. Each order is decided once, in one transaction.

An order that was answered before gets the same answer again. What an order wants of the boards is left in the journal,
where the dispatcher finds it, now and after a restart.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contract.messages import Close, CloseAll, Command, Enqueue, Open, Outcome, Pulse, Reason, Reply, Reset
from contract.outbox import Outbox
from gateway.boards import Board, Boards
from gateway.errands import Errands
from gateway.journal import Journal
from gateway.pauses import Pauses
from gateway.plan import Plan
from gateway.planning import queueing
from gateway.planning.admission import admit, taken
from gateway.planning.dispatch import WantedClose, WantedCloseAll, all_closed
from gateway.planning.runs import Run, as_event, its_turn, refusal, refused_part, unanswered
from gateway.queue import Queue
from irrigation.run import RunState

log = logging.getLogger(__name__)

ANSWER_MARGIN = timedelta(seconds=1)
"""A board may take an order in its last moment: its answer is awaited this much longer."""
GATEWAY_ACTOR = "gateway"


@dataclass(frozen=True, slots=True)
class Minted:
    """A close that the gateway made up itself, to know its answer by."""

    run_id: str
    node_id: str


class Orders:
    """The server's orders and the boards' answers to them."""

    def __init__(self, journal: Journal, outbox: Outbox, boards: Boards, plan: Plan) -> None:
        self._journal = journal
        self._outbox = outbox
        self._boards = boards
        self._plan = plan
        self.errands = Errands(journal, boards, plan)
        self.queue = Queue(journal, outbox, plan)
        self.pauses = Pauses(journal, outbox, plan)
        self._taken: set[str] = set()  # orders that boards said they took; after a restart they are asked again

    def handle(self, order: Command, now: datetime, *, retained: bool = False) -> Reply:
        """Decide an order and return its answer; a repeated one gets the answer that it got."""
        if retained:
            return _refused(order.id, now, Reason(code="retained"))
        known = self._journal.answer(order.id)
        if known is not None:
            return known
        with self._journal.transaction():
            if isinstance(order, Open):
                reply = self._open(order, now)
            elif isinstance(order, Enqueue):
                reply = self._enqueue(order, now)
            elif isinstance(order, Close):
                reply = self._close(order, now)
            elif isinstance(order, CloseAll):
                reply = self._close_all(order, now)
            elif isinstance(order, Pulse | Reset):
                reply = self.errands.take(order, now)
            else:
                reply = _refused(order.id, now, Reason(code="not-for-gateway"))
            self._journal.save_answer(reply)
        said = reply.reason.code if reply.reason else ""
        log.info("order %s id=%s actor=%s outcome=%s reason=%s", order.kind, order.id, order.actor, reply.outcome, said)
        return reply

    # --- what may be asked ---

    def _open(self, order: Open, now: datetime) -> Reply:
        verdict = self._verdict(order, now)
        if isinstance(verdict, Reason):
            farm = self._plan.farm
            zone = next((zone for zone in farm.zones if zone.id == order.zone_id), None) if farm else None
            if self._journal.run(order.run_id) is None:
                self._outbox.append(refusal(order, zone, now, verdict))
            return _refused(order.id, now, verdict)
        self._journal.save_run(verdict)
        self._outbox.append(as_event(verdict, RunState.ACCEPTED, now))
        return Reply(command_id=order.id, at=now, outcome=Outcome.ACCEPTED)

    def _verdict(self, order: Open, now: datetime) -> Run | Reason:
        if self._journal.is_void(order.run_id):
            return Reason(code="closed-before")
        if self._journal.run(order.run_id) is not None:
            return Reason(code="run-known")
        return self._judge(order, now)

    def _judge(self, order: Open, now: datetime) -> Run | Reason:
        farm = self._plan.farm
        longest = timedelta(seconds=max((zone.max_run_s for zone in farm.zones), default=0)) if farm else timedelta(0)
        entries = self._plan.fixed(now, order.expires_at + longest)
        claims = taken(self._journal.under_way(), entries, now, self._plan.late())
        return admit(order, farm, claims, now, stuck_zones=self._boards.stuck_zones())

    def _enqueue(self, order: Enqueue, now: datetime) -> Reply:
        farm = self._plan.farm
        reason = queueing.refuse(order, farm, len(self.queue.waiting()), now)
        for part in order.parts:
            known = self._journal.run(part.run_id) is not None
            if reason is None and (known or self._journal.is_void(part.run_id)):
                reason = Reason(code="run-known" if known else "closed-before")
        if reason is not None or farm is None:
            zones = {zone.id: zone for zone in farm.zones} if farm else {}
            why = reason or Reason(code="unknown-zone")
            for part in order.parts:
                if self._journal.run(part.run_id) is None:
                    self._outbox.append(refused_part(part, order, zones.get(part.zone_id), now, why))
            return _refused(order.id, now, why)
        self._make_room(queueing.at_sources(farm, queueing.sources_of(order, farm)), order.actor, now)
        self.queue.join(order, farm, now)
        return Reply(command_id=order.id, at=now, outcome=Outcome.ACCEPTED)

    def _make_room(self, zone_ids: frozenset[str], actor: str, now: datetime) -> None:
        """Stop what waters in these zones and cancel what is queued for them."""
        in_the_way = [run for run in self._journal.under_way() if run.zone_id in zone_ids]
        queued = [run.run_id for run in in_the_way if run.state is RunState.QUEUED]
        self.queue.leave(queued, RunState.STOPPED, Reason(code="stopped-before-opening"), now)
        for run in in_the_way:
            if run.state is not RunState.QUEUED:
                self._journal.want_close(WantedClose(run_id=run.run_id, node_id=run.node_id, actor=actor), None)

    def take_turns(self, now: datetime) -> bool:
        """Order the water whose turn has come, judged like any order; return whether anything became of any."""
        due = [place.run_id for place in self._plan.turns() if place.start is not None and place.start <= now]
        runs = [run for run in map(self._journal.run, due) if run is not None and run.state is RunState.QUEUED]
        moved = False
        for run in runs:
            with self._journal.transaction():
                verdict = self._judge(its_turn(run, now), now)
                if isinstance(verdict, Run) and self._plan.in_the_way(verdict, now):
                    continue  # boards have not taken the plan that gives it its turn
                if isinstance(verdict, Run):
                    opened = replace(verdict, asked_at=run.asked_at)
                    self._journal.save_run(opened)
                    self._outbox.append(as_event(opened, RunState.ACCEPTED, now))
                    self.queue.opened(opened)
                elif verdict.code not in queueing.PASSING:
                    self.queue.leave([run.run_id], RunState.REFUSED, verdict, now)
                moved = moved or isinstance(verdict, Run) or verdict.code not in queueing.PASSING
        return moved

    def next_turn(self, now: datetime) -> datetime | None:
        """Return when to look at the queue again."""
        times = [one.until for one in self.queue.waiting()]
        turn = queueing.next_turn(self._plan.turns())
        times += [] if turn is None or not times else [max(turn, now + queueing.AGAIN)]
        return min(times, default=None)

    def _close(self, order: Close, now: datetime) -> Reply:
        # Never too late: the run has that id and no other, so closing it is right whenever it arrives.
        run = self._journal.run(order.run_id)
        if run is not None and run.state is RunState.QUEUED:  # no board has heard of it
            self.queue.leave([run.run_id], RunState.STOPPED, Reason(code="stopped-before-opening"), now)
            return Reply(command_id=order.id, at=now, outcome=Outcome.DONE)
        node_id = run.node_id if run else self._boards.running(order.run_id)
        if node_id is None or (run is not None and not run.under_way):
            if run is None:
                self._journal.void(order.run_id, now)
            return Reply(command_id=order.id, at=now, outcome=Outcome.DONE)
        wanted = WantedClose(run_id=order.run_id, node_id=node_id, actor=order.actor)
        self._journal.want_close(wanted, order.id)
        self.pauses.forget(order.run_id)
        return Reply(command_id=order.id, at=now, outcome=Outcome.ACCEPTED)

    def _close_all(self, order: CloseAll, now: datetime) -> Reply:
        # Too late is too late here: it would close what was opened since.
        if now >= order.expires_at:
            return _refused(order.id, now, Reason(code="expired"))
        asked = self.want_all_closed(order.actor, now, order.id)
        return Reply(command_id=order.id, at=now, outcome=Outcome.ACCEPTED if asked else Outcome.DONE)

    def want_all_closed(self, actor: str, now: datetime, command_id: str | None = None) -> bool:
        """Want every valve of the farm closed, whatever waits refused; inside a transaction. False without boards."""
        queued = [one.run_id for one in self.queue.waiting()]
        self.queue.leave(queued, RunState.STOPPED, Reason(code="stopped-before-opening"), now)
        for run in self._journal.under_way():
            self._journal.want_close(WantedClose(run_id=run.run_id, node_id=run.node_id, actor=actor), None)
            self.pauses.forget(run.run_id)
        nodes = self._plan.nodes()
        for node_id in nodes:
            self._journal.want_close_all(WantedCloseAll(node_id=node_id, actor=actor, asked_at=now), command_id)
        return bool(nodes)

    # --- what becomes of it ---

    def expire(self, now: datetime) -> bool:
        """End the orders that no board answered in time, and want them closed in case one was taken unheard."""
        late = [run for run in self.waiting() if _answer_by(run) <= now]
        if not late and not any(one.until <= now for one in self.queue.waiting()):
            return False
        with self._journal.transaction():
            self.queue.expire(now)
            for run in late:
                self._end(run, RunState.EXPIRED, now, self._why_late(run, now))
                close = WantedClose(run_id=run.run_id, node_id=run.node_id, actor=GATEWAY_ACTOR)
                self._journal.want_close(close, None)
                log.warning("order expired run=%s node=%s", run.run_id, run.node_id)
        return True

    def _why_late(self, run: Run, now: datetime) -> Reason:
        told_at = self._boards[run.node_id].told_at
        asked = (one.asked_at for one in self._journal.close_alls() if one.node_id == run.node_id)
        if told_at is not None and any(asked_at <= told_at for asked_at in asked):
            return Reason(code="guard-close-failed", params={"node_id": run.node_id})  # it has shown what is not closed
        slow = min(self._plan.in_the_way(run, now), default=None)
        code = "board-away" if slow is None else "room-not-made"
        return Reason(code=code, params={"node_id": slow or run.node_id})

    def next_expiry(self) -> datetime | None:
        """Return when the next unanswered order expires."""
        times = [_answer_by(run) for run in self.waiting()]
        times += [at] if (at := self.errands.next_expiry()) is not None else []
        return min(times, default=None)

    def waiting(self) -> tuple[Run, ...]:
        """Return the accepted orders that no board has answered or reported on yet."""
        waiting = unanswered(self._journal.under_way())
        self._taken &= {run.run_id for run in waiting}
        return tuple(run for run in waiting if run.run_id not in self._taken)

    def to_send(self, now: datetime) -> tuple[Run, ...]:
        """Return those of them that boards are told of now.

        Not those that are to be closed, nor one of a board that has not shown yet that all its valves are closed, which
        is asked for anew until it has and would stop the run. Nor one while a board may still begin what has no room
        beside it: that board is told of the plan without it first, and may be lost before it has taken that.
        """
        closing, all_closing = {close.run_id for close in self._journal.closes()}, self._all_closing()
        wanted = (run for run in self.waiting() if run.run_id not in closing and run.node_id not in all_closing)
        return tuple(run for run in wanted if not self._plan.in_the_way(run, now))

    def _all_closing(self) -> frozenset[str]:
        return frozenset(one.node_id for one in self._journal.close_alls())

    def answered(self, node_id: str, reply: Reply, minted: Minted | None, now: datetime) -> tuple[Reply, ...]:
        """Take a board's answer; return what the server must be told of it."""
        if minted is not None:
            return self._close_answered(minted, reply, now) if minted.node_id == node_id else ()
        run = self._journal.run_of(reply.command_id)
        if run is None:
            return self.errands.answered(node_id, reply)
        if run.node_id != node_id or not run.under_way:
            return ()
        if reply.outcome is Outcome.ACCEPTED:
            self._taken.add(run.run_id)  # no commit for it: the board's report is on its way and says more
            return ()
        if reply.outcome is Outcome.REFUSED and run.state is RunState.ACCEPTED:
            with self._journal.transaction():
                self._end(run, RunState.REFUSED, now, reply.reason)
        return (reply,)

    def _close_answered(self, minted: Minted, reply: Reply, now: datetime) -> tuple[Reply, ...]:
        if reply.outcome is not Outcome.DONE:
            return ()
        with self._journal.transaction():
            run = self._journal.run(minted.run_id)
            if run is not None and run.state is RunState.ACCEPTED:
                # It never opened, so its board has nothing to report of it.
                self._end(run, RunState.STOPPED, now, Reason(code="stopped-before-opening"))
            return self.run_ended(minted.run_id, now)

    def run_ended(self, run_id: str, now: datetime) -> tuple[Reply, ...]:
        """Strike the wish to close that run; return the end of the order behind it. Inside a transaction."""
        _, command_id = self._journal.close_met(run_id)
        return self._done(command_id, now)

    def shown(self, board: Board, now: datetime) -> tuple[Reply, ...]:
        """Strike the wish to close all of a board's valves when it shows that they are; return the order's end."""
        wanted = next((one for one in self._journal.close_alls() if one.node_id == board.node_id), None)
        if wanted is None or not all_closed(wanted, board.state, board.told_at):
            return ()
        with self._journal.transaction():
            return self._done(self._journal.close_all_met(board.node_id), now)

    def _done(self, command_id: str | None, now: datetime) -> tuple[Reply, ...]:
        if command_id is None:
            return ()
        reply = Reply(command_id=command_id, at=now, outcome=Outcome.DONE)
        self._journal.save_answer(reply)
        return (reply,)

    def _end(self, run: Run, state: RunState, now: datetime, reason: Reason | None) -> None:
        ended = replace(run, state=state, answered=True)
        self._journal.save_run(ended)
        self._outbox.append(as_event(run, state, now, reason))
        self.pauses.ended(ended, None, now)
        self.queue.ended(ended, now)


def _answer_by(run: Run) -> datetime:
    return (run.expires_at or run.asked_at) + ANSWER_MARGIN


def _refused(command_id: str, now: datetime, reason: Reason) -> Reply:
    return Reply(command_id=command_id, at=now, outcome=Outcome.REFUSED, reason=reason)
