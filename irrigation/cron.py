"""Cron expressions: five fields, farm-local. The only module that knows the library."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice

from cronsim import CronSim, CronSimError

MAX_A_DAY = 24
_BEGIN = datetime(2028, 1, 1)  # noqa: DTZ001 -- the wall clock, whatever the zone; a leap year


def check(expression: str) -> None:
    """Raise ValueError naming the field unless it is a cron expression that comes up, 24 times a day at most."""
    if len(expression) > 100 or len(expression.split()) != 5:
        raise ValueError(
            "calendar.expression must have five fields, as in '30 5 * * 1-5' (05:30 from Monday to Friday)"
        )
    try:
        first = list(islice(CronSim(expression, _BEGIN), MAX_A_DAY + 1))  # every due day has the same times
    except CronSimError as exc:
        raise ValueError(f"calendar.expression is no cron expression: {exc}") from None
    if not first:
        raise ValueError(f"calendar.expression never comes up: {expression!r}")
    if len(first) > MAX_A_DAY and first[0].date() == first[-1].date():
        raise ValueError(f"calendar.expression must not come up more than {MAX_A_DAY} times a day")


def cron_starts(expression: str, first: date, last: date) -> Iterator[tuple[date, time]]:
    """Yield the local dates and times of the expression from `first` to `last`, both included, in order.

    The wall clock is taken as it stands: what the clocks jump over or pass twice is for `local_to_utc` to settle.
    """
    end = datetime.combine(last + timedelta(days=1), time())
    for at in CronSim(expression, datetime.combine(first, time()) - timedelta(minutes=1)):
        if at >= end:
            return
        yield at.date(), at.time()
