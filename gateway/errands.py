"""Pulses and resets, passed to the boards that they name: the board decides and does, the gateway carries words."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contract.messages import Outcome, Pulse, Reason, Reply, Reset
from gateway.boards import Boards
from gateway.journal import Journal
from gateway.plan import Plan

FACT = "errands"
ANSWER_MARGIN = timedelta(seconds=1)
END_MARGIN = timedelta(minutes=2)  # a supply may have to start a minute before the valve


@dataclass(frozen=True, slots=True)
class Passed:
    """An errand on its way; `taken`: its board has it and will tell how it ended."""

    order: Pulse | Reset
    taken: bool = False

    @property
    def ends_by(self) -> datetime:
        """When nothing is to be hoped for any more."""
        return self.order.expires_at + (END_MARGIN if self.taken else ANSWER_MARGIN)


class Errands:
    """The errands that have no end yet, kept in the journal."""

    def __init__(self, journal: Journal, boards: Boards, plan: Plan) -> None:
        self._journal = journal
        self._boards = boards
        self._plan = plan
        self._passed = {one.order.id: one for one in journal.fact(FACT, tuple[Passed, ...]) or ()}

    def take(self, order: Pulse | Reset, now: datetime) -> Reply:
        """Accept an errand to be passed on, or refuse it; inside a transaction."""
        reason = self._refuse(order, now)
        if reason is None:
            self._passed[order.id] = Passed(order)
            self._save()
        outcome = Outcome.ACCEPTED if reason is None else Outcome.REFUSED
        return Reply(command_id=order.id, at=now, outcome=outcome, reason=reason)

    def _refuse(self, order: Pulse | Reset, now: datetime) -> Reason | None:
        hold = self._plan.farm.hold if self._plan.farm else None
        if now >= order.expires_at:
            return Reason(code="expired", params={"expires_at": order.expires_at.isoformat()})
        if order.node_id is None or order.node_id not in self._plan.nodes():
            return Reason(code="unknown-board", params={"node_id": order.node_id or ""})
        if isinstance(order, Pulse) and hold is not None and hold.emergency:  # a reset opens nothing
            return Reason(code="emergency-stop", params={"reason": hold.reason[:200]})
        if not self._boards[order.node_id].in_hearing(now):
            return Reason(code="board-away", params={"node_id": order.node_id})
        return None

    def waiting(self) -> tuple[Pulse | Reset, ...]:
        """Return the errands that no board has answered yet."""
        return tuple(one.order for one in self._passed.values() if not one.taken)

    def answered(self, node_id: str, reply: Reply) -> tuple[Reply, ...]:
        """Take a board's answer; return what the server must be told of it: how it ended."""
        passed = self._passed.get(reply.command_id)
        if passed is None or passed.order.node_id != node_id:
            return ()
        with self._journal.transaction():
            if reply.outcome is Outcome.ACCEPTED:
                self._passed[reply.command_id] = replace(passed, taken=True)
                self._save()
                return ()
            return (self._end(reply),)

    def expire(self, now: datetime) -> tuple[Reply, ...]:
        """End the errands that no board answered in time, and those whose end was never told."""
        late = [one for one in self._passed.values() if one.ends_by <= now]
        if not late:
            return ()
        with self._journal.transaction():
            return tuple(self._end(_lost(one, now)) for one in late)

    def next_expiry(self) -> datetime | None:
        """Return when the next errand is given up."""
        return min((one.ends_by for one in self._passed.values()), default=None)

    def _end(self, reply: Reply) -> Reply:
        del self._passed[reply.command_id]
        self._save()
        self._journal.save_answer(reply)
        return reply

    def _save(self) -> None:
        self._journal.note(FACT, tuple[Passed, ...], tuple(self._passed.values()))


def _lost(passed: Passed, now: datetime) -> Reply:
    reason = Reason(code="board-away", params={"node_id": passed.order.node_id or ""})
    return Reply(command_id=passed.order.id, at=now, outcome=Outcome.FAILED, reason=reason)
