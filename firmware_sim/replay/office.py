"""The gateway's own parts in virtual time: everything but its loop and its link."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from contract.clock import Clock
from contract.inbox import Inbox
from contract.messages import Batch, Event, FarmConfig, Hello, Lane, Open, Outcome, Reading, RunEvent, Status
from contract.outbox import Outbox
from contract.store import open_database
from gateway.boards import Boards
from gateway.journal import Journal
from gateway.orders import Orders
from gateway.plan import Plan
from gateway.reports import Reports
from irrigation.model import Farm, Timetable
from irrigation.planner import compile_timetable
from irrigation.run import RunState

log = logging.getLogger(__name__)


class Told(Outbox):
    """An outbox that shows what goes to the server, and keeps nothing."""

    heard: Callable[[Event | Reading], None]

    def append(self, *records: Event | Reading, origin: str | None = None) -> None:  # noqa: ARG002 - as its own
        """Show each record."""
        for record in records:
            self.heard(record)


class Office:
    """One life of the gateway over a journal that outlives it.

    With the `shortcut` it does not plan anew for what began and ended to the second as planned, nor for a board that
    has taken the same plan for more days. A gateway does, and finds that all stays as it is: a law of the planner
    (docs/decisions/0005). A season then takes seconds.
    """

    def __init__(
        self,
        folder: Path,
        farm_id: str,
        days: int,
        shows: Callable[[], datetime],
        up_s: Callable[[], float],
        heard: Callable[[Event | Reading], None],
        *,
        shortcut: bool = True,
    ) -> None:
        self._db = open_database(folder / "journal.sqlite3")
        self._db.execute("PRAGMA synchronous = OFF")  # a replay may be begun anew
        self.journal = Journal(self._db)
        self.clock = Clock(self.journal.fact("last_time", datetime), shows, monotonic=up_s, kept=lambda: True)
        outbox = Told(self._db, boot_id="replay")
        outbox.heard = heard
        self.boards = Boards(self.journal)
        self.plan = Plan(
            farm_id,
            journal=self.journal,
            outbox=outbox,
            boards=self.boards,
            clock=self.clock,
            compile_timetable=compile_timetable,
            days=days,
        )
        self.orders = Orders(self.journal, outbox, self.boards, self.plan)
        self._reports = Reports(self.journal, Inbox(self._db), outbox, self.plan, self.orders)
        self.stale = True
        self._shortcut = shortcut
        self._flows: object = None
        self._begun = set[str]()  # runs that this life has heard begin as planned
        self._in_touch = frozenset[str]()
        self._replan_at: datetime | None = None

    def look(self, now: datetime) -> None:
        """Do what is due, as the gateway's plan task does."""
        self.plan.follow_clock(now)
        self.orders.expire(now)
        self.plan.settle_skips(now)
        if self.stale:
            self.stale = False
            self.plan.compile(now)

    def next(self, now: datetime) -> datetime | None:
        """Return when it must look again."""
        plan = self.plan
        wakes = (self.orders.next_expiry(), plan.next_skip(now))
        replans = (plan.rests.next_end(now), plan.next_judgement(now), plan.next_daily(now))
        self._replan_at = min((at for at in replans if at is not None), default=None)
        return min((at for at in (*wakes, self._replan_at) if at is not None), default=None)

    def rang(self, now: datetime) -> None:
        """Plan anew when the moment for it has come."""
        if self._replan_at is not None and now >= self._replan_at:
            self.stale = True

    def configure(self, farm: Farm, version: int, now: datetime) -> None:
        """Put settings in force."""
        if self.plan.apply(FarmConfig(version=version, farm=farm), now):
            with self.journal.transaction():
                self.orders.want_all_closed("emergency-stop", now)

    def hear(self, node_id: str, version: int, now: datetime) -> None:
        """Have a board in hearing that holds that version of its timetable; it has been since it was heard last."""
        came = False
        if node_id not in self._in_touch:  # otherwise the time that the replay passed over was no silence
            came = self.boards.status(node_id, Status(online=True, boot_id=node_id, at=now), now)
            self._in_touch |= {node_id}
        self.boards.heard(node_id, now)
        if came or self.boards[node_id].timetable_version != version:
            hello = Hello(boot_id=node_id, at=now, clock_trusted=True, software="", timetable_version=version)
            self.boards.hello(node_id, hello)
            self.stale = self.stale or came or not self._shortcut or self.plan.overtaken()
        held = self.plan.holdings.confirmed.get(node_id)
        if self.plan.confirm(node_id) and not (self._shortcut and _only_longer(held, self.plan.parts[node_id], now)):
            self.stale = True

    def lose(self, node_id: str) -> None:
        """Hear nothing of a board until the next `hear`."""
        self._in_touch -= {node_id}

    def report(self, node_id: str, after: int, records: tuple[Event | Reading, ...], now: datetime) -> None:
        """Take records of one lane from a board."""
        numbered = tuple(one.model_copy(update={"seq": after + n}) for n, one in enumerate(records, 1))
        if isinstance(numbered[0], Reading):
            batch = Batch.model_validate(
                {"boot_id": node_id, "lane": Lane.READINGS, "after_seq": after, "readings": numbered}
            )
        else:
            batch = Batch.model_validate(
                {"boot_id": node_id, "lane": Lane.EVENTS, "after_seq": after, "events": numbered}
            )
        if not self._reports.take(node_id, batch, now).replan:
            return
        before, self._flows = self._flows, self._learned()
        if not (self._shortcut and before == self._flows and self._as_planned(numbered, now)):
            self.stale = True

    def _as_planned(self, records: Iterable[Event | Reading], now: datetime) -> bool:
        """Whether runs began and ended to the second as the plan in force has it: another would say the same."""
        for one in records:
            entry = self.journal.entry(one.entry_id) if isinstance(one, RunEvent) and one.entry_id else None
            if not isinstance(one, RunEvent) or entry is None:
                return False
            end = entry.start + timedelta(seconds=entry.max_s)
            if (one.state, one.opened_at, one.max_s) == (RunState.OPEN, now, entry.max_s) and now == entry.start:
                self._begun.add(one.run_id)
            elif (one.state, now) != (RunState.DONE, end) or one.run_id not in self._begun:
                return False
        return True

    def _learned(self) -> object:
        return None if self.plan.farm is None else self.plan.learned.known(self.plan.farm).flows_l_min

    def order(self, order: Open, now: datetime) -> bool:
        """Ask for water; return whether it may be given."""
        self.stale = True
        reply = self.orders.handle(order, now)
        if reply.outcome is not Outcome.ACCEPTED:
            log.info("order refused zone=%s reason=%s", order.zone_id, reply.reason and reply.reason.code)
        return reply.outcome is Outcome.ACCEPTED

    def end(self, now: datetime) -> None:
        """Write down what the next life must know."""
        with self.journal.transaction():
            self.boards.save()
            self.journal.note("last_time", datetime, now)
        self._db.close()


def _only_longer(held: Timetable | None, part: Timetable, now: datetime) -> bool:
    """Whether a board's part says what the one before it said, as far as that went."""
    if held is None or held.base != part.base:
        return False
    until = held.valid_until
    before, after = ([one for one in each.entries if one.start > now and one.due <= until] for each in (held, part))
    return before == after
