"""Sunrise and sunset at a position on a local date. The only module that knows the library."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from astral import Observer
from astral import sun as sky

_DAY = timedelta(days=1)


@lru_cache(maxsize=4096)
def sun_time(event: Literal["sunrise", "sunset"], day: date, tz: ZoneInfo, lat: float, lon: float) -> datetime | None:
    """Return the moment (UTC, whole second) of the first such event on that local date; None when there is none.

    The sun's upper edge on the horizon with refraction, 90.833° from the zenith (NOAA). In the polar summer and winter
    there is none, and around them a local date may have none or two of them.
    """
    reckon = sky.sunrise if event == "sunrise" else sky.sunset
    for near in (day - _DAY, day, day + _DAY):  # the library counts by UTC dates
        try:
            moment = reckon(Observer(lat, lon), near, tzinfo=UTC)
        except ValueError:
            continue
        if moment.astimezone(tz).date() == day:
            return moment.replace(microsecond=0)
    return None
