"""Farm-local dates and times of day, and the moments in UTC that they mean."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from irrigation.days import Calendar, Cron, Dates, EvenDays, EveryNDays, MonthDays, OddDays, Weekly

_SECOND = timedelta(seconds=1)


def due_dates(calendar: Calendar, first: date, last: date) -> Iterator[date]:
    """Yield the farm-local dates from `first` to `last`, both included, on which the calendar is due, in order."""
    if isinstance(calendar, Cron):
        from irrigation.cron import cron_starts  # a board never asks, and does without the library

        yield from dict.fromkeys(day for day, _ in cron_starts(calendar.expression, first, last))
        return
    if isinstance(calendar, Dates):
        yield from (day for day in sorted(calendar.dates) if first <= day <= last)
        return
    day, step = first, 1
    if isinstance(calendar, EveryNDays):
        step = calendar.n
        late = (first - calendar.anchor).days
        day = calendar.anchor + timedelta(days=max(0, -(-late // step) * step))
    while day <= last:
        if isinstance(calendar, EveryNDays) or _has(calendar, day):
            yield day
        day += timedelta(days=step)


def _has(calendar: Weekly | OddDays | EvenDays | MonthDays, day: date) -> bool:
    match calendar:
        case Weekly(days=days):
            return day.isoweekday() in days
        case OddDays():
            return day.day % 2 == 1 and day.day != 31 and (day.month, day.day) != (2, 29)
        case EvenDays():
            return day.day % 2 == 0
        case MonthDays(days=days, last=last):
            return day.day in days or (last and (day + timedelta(days=1)).day == 1)


def local_to_utc(day: date, at: time, tz: ZoneInfo) -> datetime:
    """Return the one moment (UTC) that `at` on `day` means in `tz`.

    A time that the clocks pass twice means the first; a time that they jump over means the first moment after the jump.
    """
    first = datetime.combine(day, at, tz).replace(fold=0)
    moment = first.astimezone(UTC)
    if moment.astimezone(tz).replace(tzinfo=None) == first.replace(tzinfo=None):
        return moment
    return _jump(first.replace(fold=1).astimezone(UTC), moment, tz)


def next_local(at: time, tz: ZoneInfo, now: datetime) -> datetime:
    """Return the first moment (UTC) after `now` at which it is `at` in `tz`."""
    today = now.astimezone(tz).date()
    return next(moment for ahead in range(3) if (moment := local_to_utc(today + timedelta(days=ahead), at, tz)) > now)


@lru_cache(maxsize=64)  # every plan of a day asks for the same year
def gaps(tz: ZoneInfo, first: date, days: int) -> tuple[tuple[datetime, datetime], ...]:
    """Return the wall-clock spans that `tz` jumps over from `first` on, for `days` days: naive (start, end)."""
    found = []
    before = datetime.combine(first, time(), UTC)
    old = _offset(before, tz)
    for _ in range(days):
        after = before + timedelta(days=1)
        new = _offset(after, tz)
        if old < new:
            jump = _jump(before, after, tz)
            found.append((_wall(jump - _SECOND, tz) + _SECOND, _wall(jump, tz)))
        before, old = after, new
    return tuple(found)


def _jump(before: datetime, after: datetime, tz: ZoneInfo) -> datetime:
    """Return the first moment at which the offset of `tz` is no longer that at `before`; a whole second."""
    old = _offset(before, tz)
    before, after = before.replace(microsecond=0), after.replace(microsecond=0)
    while after - before > _SECOND:
        middle = before + (after - before) // (2 * _SECOND) * _SECOND
        if _offset(middle, tz) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(moment: datetime, tz: ZoneInfo) -> timedelta:
    return moment.astimezone(tz).utcoffset() or timedelta(0)


def _wall(moment: datetime, tz: ZoneInfo) -> datetime:
    return moment.astimezone(tz).replace(tzinfo=None)
