"""The rests of waterings that trouble cut short, from the report of it until something has become of them.

All of it is in the journal, written in its caller's transaction together with the report: killed at any moment, or told
twice, the gateway makes up each watering once.
"""

import logging
from collections.abc import Collection
from datetime import datetime

from contract.messages import DecisionEvent, RunEvent
from contract.outbox import Outbox
from gateway.journal import Journal
from gateway.planning import making_up
from irrigation.making_up import newest
from irrigation.model import Decision, Farm, MakeUp

log = logging.getLogger(__name__)

FACT = "make_ups"


class Rests:
    """What is to be made up; the plan places it."""

    def __init__(self, journal: Journal, outbox: Outbox) -> None:
        self._journal = journal
        self._outbox = outbox

    def waiting(self) -> tuple[MakeUp, ...]:
        """Return the rests of which nothing has become yet."""
        noted = self._journal.fact(FACT, tuple[MakeUp, ...]) or ()
        return tuple(one for one in noted if self._journal.decision(one.id) is None)

    def to_place(self, locked: Collection[str], now: datetime) -> tuple[MakeUp, ...]:
        """Return those that can be planned with: not in a zone that is `locked` as long as their time lasts."""
        return tuple(one for one in self.waiting() if one.zone_id not in locked or one.until < now)

    def next_end(self, now: datetime) -> datetime | None:
        """Return when the time of the next rest is over."""
        return min((one.until for one in self.waiting() if one.until > now), default=None)

    def run_ended(self, event: RunEvent, farm: Farm | None, now: datetime) -> None:
        """Take the first report that a run has ended."""
        if farm is not None and event.entry_id is not None:
            self._take(making_up.of_run(event, self._journal.entry(event.entry_id), farm, now), now)

    def paused(self, event: RunEvent, farm: Farm | None, now: datetime) -> None:
        """Take the end of a run that a pause ended."""
        if farm is not None and event.entry_id is not None:
            self._take(making_up.of_pause(event, self._journal.entry(event.entry_id), farm, now), now)

    def missed(self, decision: Decision, farm: Farm | None, now: datetime) -> None:
        """Take a board's word that it could not begin a due watering in time."""
        if farm is not None:
            self._take(making_up.of_missed(decision, self._journal.entry(decision.id), farm), now)

    def _take(self, found: MakeUp | Decision | None, now: datetime) -> None:
        waiting = self.waiting()
        if found is None or self._journal.decision(found.id) is not None or found.id in {one.id for one in waiting}:
            return
        if isinstance(found, Decision):
            self._settle(found, now)
        elif found.until < now:
            self._settle(making_up.not_made_up(found, "late"), now)
        else:
            waiting, dropped = newest(waiting, found)
            self._journal.note(FACT, tuple[MakeUp, ...], waiting)
            for one in dropped:
                self._settle(making_up.not_made_up(one, "newer"), now)
            log.info("rest to be made up entry=%s until=%s", found.id, found.until)

    def _settle(self, decision: Decision, now: datetime) -> None:
        self._journal.settle(decision)
        self._outbox.append(DecisionEvent(seq=1, at=now, decision=decision))
