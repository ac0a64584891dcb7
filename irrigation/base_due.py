"""The base plan's due waterings as a board reckons them: no more than dates, and times of the day."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from irrigation.calendar import due_dates, local_to_utc
from irrigation.identity import due_id, part_id
from irrigation.timetable import BaseEntry, Entry

_LOOK_AHEAD_DAYS = 400  # the furthest due date of a calendar


def due_base(
    base: Iterable[BaseEntry],
    tz: ZoneInfo,
    after_utc: datetime,
    before_utc: datetime,
    *,
    due_after: datetime | None = None,
) -> tuple[Entry, ...]:
    """Return the base plan's waterings with after_utc < start ≤ before_utc as entries, in the order of start.

    Their ids are those of the same due waterings in a timetable: what ran by the one does not run again by the other.
    `due_after` is the end of the timetable that they follow: what was due until then was its to decide, also to skip.
    """
    first, last = _local_dates(after_utc, before_utc)
    found = [
        entry
        for line in base
        for entry in _entries(line, first, last, tz)
        if after_utc < entry.start <= before_utc and (due_after is None or entry.due > due_after)
    ]
    return tuple(sorted(found, key=lambda entry: (entry.start, entry.id)))


def next_base_start(base: Iterable[BaseEntry], tz: ZoneInfo, after_utc: datetime) -> datetime | None:
    """Return the first start (UTC) of the base plan after that moment; None when there is none within 400 days."""
    first, last = _local_dates(after_utc, after_utc + timedelta(days=_LOOK_AHEAD_DAYS))
    starts: list[datetime] = []
    for line in base:
        later = (entry.start for entry in _entries(line, first, last, tz) if entry.start > after_utc)
        starts.extend(islice(later, 1))
    return min(starts, default=None)


def _entries(line: BaseEntry, first: date, last: date, tz: ZoneInfo) -> Iterator[Entry]:
    """Yield the line's due waterings on local dates from `first` to `last`, without those that a hold covers."""
    for day in due_dates(line.calendar, first, last):
        entry = _entry(line, day, tz)
        if line.not_before is None or entry.due >= line.not_before:
            yield entry


def _entry(line: BaseEntry, day: date, tz: ZoneInfo) -> Entry:
    due = line.due or line.start
    return Entry(
        id=part_id(due_id(line.program_id, day, line.key or due, line.zone_id), line.part),
        program_id=line.program_id,
        zone_id=line.zone_id,
        node_id=line.node_id,
        channel=line.channel,
        due=local_to_utc(day, due, tz),
        start=local_to_utc(day, line.start, tz),
        max_s=line.max_s,
        dose=line.dose,
        flow_l_min=line.flow_l_min,
    )


def _local_dates(after_utc: datetime, before_utc: datetime) -> tuple[date, date]:
    """Return first and last date anywhere on earth in that span, with room for a jump of a day."""
    margin = timedelta(days=2)
    return after_utc.astimezone(UTC).date() - margin, before_utc.astimezone(UTC).date() + margin
