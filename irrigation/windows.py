"""Moments of a day at one place on earth: starts, and the spans of windows, in UTC."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from irrigation.calendar import local_to_utc
from irrigation.starts import Start, Window

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a farm is; degrees."""

    tz: ZoneInfo
    lat: float
    lon: float

    def moment(self, start: Start, day: date) -> datetime | None:
        """Return when that start is on that date (UTC); None when the sun does not do it and nothing else is said."""
        if isinstance(start, time):
            return local_to_utc(day, start, self.tz)
        from irrigation.sun import sun_time  # a board never asks, and does without the library

        found = sun_time(start.sun, day, self.tz, self.lat, self.lon)
        if found is not None:
            return found + timedelta(minutes=start.offset_min)
        return None if start.otherwise is None else local_to_utc(day, start.otherwise, self.tz)


def spans(windows: Iterable[Window], place: Place, first: date, last: date) -> Iterator[tuple[datetime, datetime]]:
    """Yield the spans (UTC) of the windows that begin on local dates from `first` to `last`.

    A window without its sunrise or sunset on a date is closed on that date.
    """
    for window in windows:
        day = first
        while day <= last:
            begin, end = place.moment(window.begin, day), place.moment(window.end, day)
            if begin is not None and end is not None and end <= begin:
                end = place.moment(window.end, day + _DAY)
            if begin is not None and end is not None and begin < end:
                yield begin, end
            day += _DAY
