"""Which due waterings a board starts, and when: by its timetable, and by the base plan once that has run out."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from contract.messages import PlanSource
from irrigation.base_plan import due_base
from irrigation.model import Entry, Timetable

LATE = timedelta(seconds=900)  # a start missed by more is told and not made up (safety: calendar and clock rules)
AHEAD = timedelta(hours=2)  # how far the base plan is laid out at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """What is to be started now, later, and not any more."""

    missed: tuple[Entry, ...]
    due: tuple[Entry, ...]
    later: tuple[Entry, ...]


def source(timetable: Timetable | None, now: datetime) -> PlanSource:
    """Return by what the board waters at that moment."""
    if timetable is None:
        return PlanSource.NONE
    return PlanSource.TIMETABLE if now < timetable.valid_until else PlanSource.BASE


def waterings(timetable: Timetable | None, now: datetime) -> tuple[Entry, ...]:
    """Return the entries that stand, with those of the base plan that follow the timetable's end within two hours."""
    if timetable is None:
        return ()
    begin = max(timetable.valid_until, now - LATE)
    if now + AHEAD <= begin:
        return timetable.entries
    known = {entry.id for entry in timetable.entries}
    base = due_base(timetable.base, ZoneInfo(timetable.tz), begin, now + AHEAD, due_after=timetable.valid_until)
    return timetable.entries + tuple(entry for entry in base if entry.id not in known)


def agenda(entries: Iterable[Entry], done: Collection[str], now: datetime) -> Agenda:
    """Sort the entries that are not done by what is to happen with them at `now`, each list by start."""
    open_ = sorted((entry for entry in entries if entry.id not in done), key=lambda entry: (entry.start, entry.id))
    return Agenda(
        missed=tuple(entry for entry in open_ if entry.start < now - LATE),
        due=tuple(entry for entry in open_ if now - LATE <= entry.start <= now),
        later=tuple(entry for entry in open_ if entry.start > now),
    )
