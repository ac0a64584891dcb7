"""The board keeps its timetable by itself: APScheduler wakes it at each start, gateway or no gateway."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from contract.clock import Clock
from contract.messages import DecisionEvent, Origin, PlanSource
from contract.outbox import Outbox
from edge.control import schedule
from edge.control.order import from_entry
from edge.store import Store
from edge.waterings import Waterings
from irrigation.model import Decision, Entry, Result, Rule, Timetable

log = logging.getLogger(__name__)

_SAME = timedelta(milliseconds=100)  # two clocks read one after the other
_RETRY = frozenset({"zone-busy", "guard-lost"})  # may pass within the late window: tried again at each look


class Plan:
    """Starts what is due, once each, and tells what was missed. `look` may be called at any time."""

    def __init__(
        self, *, store: Store, outbox: Outbox, waterings: Waterings, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self.timetable: Timetable | None = store.timetable()
        self._taken_at = store.fact("timetable_taken", datetime)
        self._looked_at = store.fact("last_time", datetime)
        self._store = store
        self._outbox = outbox
        self._waterings = waterings
        self._clock = clock
        self._changed = changed
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True})
        self._jobs: dict[str, datetime] = {}
        self._source: PlanSource | None = None
        self._due = asyncio.Event()
        self._begun: dict[
            str, Entry
        ] = {}  # as this timetable has them; those of an older one the gateway planned around
        self.waits = False
        """Whether a due watering waits for the end of a run under way."""

    def take(self, timetable: Timetable) -> bool:
        """Keep a new timetable; return False for one that is older than what is held. A run under way goes on."""
        held = self.timetable
        if held is not None and timetable.version < held.version and timetable.compiled_at < held.compiled_at:
            return False
        self._clock.heard(timetable.compiled_at)
        self._taken_at = self._clock.now()
        with self._store.transaction():
            self._store.note("timetable", Timetable, timetable)
            self._store.note("timetable_taken", datetime, self._taken_at)
        self.timetable = timetable
        self._begun.clear()
        log.info(
            "timetable version=%d entries=%d until=%s", timetable.version, len(timetable.entries), timetable.valid_until
        )
        self._due.set()
        return True

    def source(self) -> PlanSource:
        """By what the board waters now."""
        return schedule.source(self.timetable, self._clock.now(), self._clock.untrusted_s())

    def look(self) -> None:
        """Have the due waterings looked at; cheap."""
        self._due.set()

    async def run(self) -> None:
        """A task of the agent: starts and wakes for ever."""
        self._scheduler.start()
        try:
            while True:
                await self._look()
                await self._due.wait()
                self._due.clear()
        finally:
            self._scheduler.shutdown(wait=False)
            self._jobs.clear()  # they end with it; another life of this task lays them out anew

    async def _look(self) -> None:
        now = self._clock.now()
        if (source := self.source()) is not self._source:
            log.info("waters by %s", source)
            self._source = source
            self._changed()
        if source is PlanSource.NONE:
            return  # no plan, or one that waits for a clock that can be believed; the next tick looks again
        entries = schedule.waterings(self.timetable, now, taken_at=self._taken_at, looked_at=self._looked_at)
        self._looked_at = now
        done = self._store.done(entry.id for entry in entries)
        under_way = [self._begun[one] for one in self._waterings.entry_ids() if one in self._begun]
        agenda = schedule.agenda(entries, done, now, under_way)
        self.waits = bool(agenda.held)
        for entry in agenda.missed:
            self._miss(entry, now)
        for entry in agenda.due:
            await self._start(entry)
        self._wake_for(agenda.later, now)

    async def _start(self, entry: Entry) -> None:
        by_table = self.timetable is not None and any(one.id == entry.id for one in self.timetable.entries)
        order = from_entry(entry, Origin.PROGRAM if by_table else Origin.BASE_PLAN)
        reason = await self._waterings.start(order)
        if reason is None:
            self._begun[entry.id] = entry
            return
        if reason.code in _RETRY:
            return
        with self._store.transaction():
            self._store.set_done(entry.id, self._clock.now())
            self._waterings.report_refused(order, reason)
        self._changed()

    def _miss(self, entry: Entry, now: datetime) -> None:
        late_min = (now - entry.start).total_seconds() / 60
        decision = Decision(
            id=entry.id,
            program_id=entry.program_id,
            zone_id=entry.zone_id,
            due=entry.due,
            result=Result.SKIPPED,
            rule=Rule.MISSED,
            params={"late_min": float(round(late_min))},
        )
        with self._store.transaction():
            self._store.set_done(entry.id, now)
            self._outbox.append(DecisionEvent(seq=1, at=now, clock_trusted=self._clock.trusted(), decision=decision))
        log.warning("due watering missed entry=%s late_min=%.0f", entry.id, late_min)
        self._changed()

    def _wake_for(self, later: tuple[Entry, ...], now: datetime) -> None:
        # The scheduler goes by the machine's clock, which we may not believe: what counts is how far off a start is.
        off = datetime.now(UTC) - now
        wanted = {entry.id: entry.start + off for entry in later}
        for entry_id in [known for known in self._jobs if known not in wanted]:
            del self._jobs[entry_id]
            with suppress(JobLookupError):  # it has rung
                self._scheduler.remove_job(entry_id)
        for entry_id, start in wanted.items():
            known = self._jobs.get(entry_id)
            if known is None or abs(known - start) > _SAME:
                self._jobs[entry_id] = start
                self._scheduler.add_job(
                    _ring, "date", run_date=start, args=[self._due], id=entry_id, replace_existing=True
                )


async def _ring(event: asyncio.Event) -> None:  # a coroutine, because APScheduler calls plain functions in a thread
    event.set()
