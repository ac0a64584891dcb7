"""Which due waterings a board starts, and when: by its timetable, and by the base plan once that has run out.

`now` is the clock's, believed or not. While it is not, it is the last known time plus what has passed since: the plan
waits for a better one for a while, and then goes on by that (`source` says `fallback`).
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from zoneinfo import ZoneInfo

from contract.messages import PlanSource
from irrigation.base_due import due_base
from irrigation.model import Entry, Timetable

LATE = timedelta(seconds=900)  # a start missed by more is told and not made up (safety: calendar and clock rules)
AHEAD = timedelta(hours=2)  # how far the base plan is laid out at a time
WAIT_S = 840.0  # for a clock that can be believed; what falls due meanwhile is then just not yet missed
LOOK_BACK, LOOK_BACK_MOST = timedelta(days=1), timedelta(days=7)  # how far missed starts of the base plan are told


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """What is to be started now, later, or after a run that is still under way, and what not any more."""

    missed: tuple[Entry, ...]
    due: tuple[Entry, ...]
    later: tuple[Entry, ...]
    held: tuple[Entry, ...]


def source(timetable: Timetable | None, now: datetime, untrusted_s: float = 0.0) -> PlanSource:
    """Return by what the board waters at that moment; NONE also while it waits for a clock that can be believed."""
    if timetable is None or 0 < untrusted_s < WAIT_S:
        return PlanSource.NONE
    if untrusted_s:
        return PlanSource.FALLBACK
    return PlanSource.TIMETABLE if now < timetable.valid_until else PlanSource.BASE


def waterings(
    timetable: Timetable | None,
    now: datetime,
    *,
    taken_at: datetime | None = None,
    looked_at: datetime | None = None,
) -> tuple[Entry, ...]:
    """Return the entries that stand, with those of the base plan that follow the timetable's end within two hours.

    Those of the base plan reach back to `looked_at`, the last look at it, a day at least and a week at most, so that
    what was missed can be told. What was due before the board took the timetable, at `taken_at`, is not its base plan's
    to start or to tell: an edit never waters at once.
    """
    if timetable is None:
        return ()
    end = max(timetable.valid_until, taken_at or timetable.valid_until)
    begin = max(end, min(now - LOOK_BACK, max(looked_at or now, now - LOOK_BACK_MOST)))
    if now + AHEAD <= begin:
        return timetable.entries
    known = {entry.id for entry in timetable.entries}
    base = due_base(timetable.base, ZoneInfo(timetable.tz), begin, now + AHEAD, due_after=end)
    return timetable.entries + tuple(entry for entry in base if entry.id not in known)


def agenda(entries: Iterable[Entry], done: Collection[str], now: datetime, under_way: Iterable[Entry] = ()) -> Agenda:
    """Sort the entries that are not done by what is to happen with them at `now`, each list by start.

    An entry is held while a run is under way that was to be over before it. So only those run at once that the plan
    had at one moment together: spans of which each two meet have a moment in common (Helly), and there the plan kept
    their flows within the source. Lateness is thereby handed on from one to the next, never water added.
    """
    missed: list[Entry] = []
    due: list[Entry] = []
    held: list[Entry] = []
    beside = list(under_way)
    waiting = sorted([entry for entry in entries if entry.id not in done], key=attrgetter("start", "id"))
    come = bisect_right(waiting, now, key=attrgetter("start"))
    for entry in waiting[:come]:
        if not all(_meet(entry, other) for other in beside):
            held.append(entry)
        elif entry.start < now - LATE:
            missed.append(entry)
        else:
            due.append(entry)
            beside.append(entry)
    return Agenda(missed=tuple(missed), due=tuple(due), later=tuple(waiting[come:]), held=tuple(held))


def _meet(one: Entry, other: Entry) -> bool:
    return one.start < _end(other) and other.start < _end(one)


def _end(entry: Entry) -> datetime:
    return entry.start + timedelta(seconds=entry.max_s)
