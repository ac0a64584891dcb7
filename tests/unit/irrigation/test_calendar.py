"""Dates and local times become moments: once per due day, wherever the clocks jump."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irrigation.calendar import due_dates, gaps, local_to_utc, next_local
from irrigation.model import EveryNDays, Weekly
from irrigation.planner import compile_timetable
from tests.unit.irrigation.farms import CHANGING_ZONES, DAILY, NOTHING, TIME_ZONES, farm, program, zone

MONDAY = date(2026, 11, 23)


def days_later(*days: int) -> list[date]:
    return [MONDAY + timedelta(days=day) for day in days]


def test_a_weekly_calendar_is_due_on_its_weekdays() -> None:
    assert list(due_dates(Weekly(days=(1, 4)), MONDAY, MONDAY + timedelta(days=8))) == days_later(0, 3, 7)


def test_every_third_day_counts_from_the_anchor() -> None:
    calendar = EveryNDays(n=3, anchor=MONDAY - timedelta(days=300 * 3 + 1))
    assert list(due_dates(calendar, MONDAY, MONDAY + timedelta(days=8))) == days_later(2, 5, 8)


def test_an_interval_is_never_due_before_its_anchor() -> None:
    calendar = EveryNDays(n=2, anchor=MONDAY + timedelta(days=3))
    assert list(due_dates(calendar, MONDAY, MONDAY + timedelta(days=6))) == days_later(3, 5)


def test_an_interval_runs_on_over_february_and_the_new_year() -> None:
    calendar = EveryNDays(n=7, anchor=date(2027, 12, 27))
    dates = list(due_dates(calendar, date(2027, 12, 27), date(2028, 3, 6)))
    assert dates[1] == date(2028, 1, 3)
    assert {(later - earlier).days for earlier, later in pairwise(dates)} == {7}


@given(st.integers(1, 366), st.dates(date(1970, 1, 1), date(2100, 1, 1)), st.dates(date(1970, 1, 1), date(2100, 1, 1)))
def test_an_interval_is_due_where_the_days_since_its_anchor_divide(n: int, anchor: date, first: date) -> None:
    last = first + timedelta(days=40)
    days = [first + timedelta(days=i) for i in range(41)]
    expected = [day for day in days if day >= anchor and (day - anchor).days % n == 0]
    assert list(due_dates(EveryNDays(n=n, anchor=anchor), first, last)) == expected


@pytest.mark.parametrize(
    ("day", "at", "tz", "moment"),
    [
        ("2026-11-23", "05:30", "Asia/Ho_Chi_Minh", "2026-11-22T22:30"),
        ("2026-11-23", "05:30", "Asia/Kathmandu", "2026-11-22T23:45"),
        ("2026-03-29", "02:30", "Europe/Paris", "2026-03-29T01:00"),  # jumped over: 03:00 summer time
        ("2026-03-29", "02:00", "Europe/Paris", "2026-03-29T01:00"),  # the jump itself
        ("2026-03-29", "03:00", "Europe/Paris", "2026-03-29T01:00"),
        ("2026-03-29", "01:59:59", "Europe/Paris", "2026-03-29T00:59:59"),
        ("2026-10-25", "02:30", "Europe/Paris", "2026-10-25T00:30"),  # twice: the first
        ("2026-10-25", "03:00", "Europe/Paris", "2026-10-25T02:00"),
        ("2026-09-06", "00:15", "America/Santiago", "2026-09-06T04:00"),  # midnight does not exist
        ("2026-10-04", "02:10", "Australia/Lord_Howe", "2026-10-03T15:30"),  # jumps by half an hour
        ("2011-12-30", "06:00", "Pacific/Apia", "2011-12-30T10:00"),  # the day that Samoa left out
    ],
)
def test_a_local_time_means_one_moment(day: str, at: str, tz: str, moment: str) -> None:
    found = local_to_utc(date.fromisoformat(day), time.fromisoformat(at), ZoneInfo(tz))
    assert found == datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert found.tzinfo is UTC


@pytest.mark.parametrize("name", CHANGING_ZONES)
def test_around_clock_changes_a_local_time_is_when_the_clock_first_reaches_it(name: str) -> None:
    tz = ZoneInfo(name)
    minute = timedelta(minutes=1)
    changes = [
        day
        for day in (date(2026, 1, 1) + timedelta(days=i) for i in range(366))
        if local_to_utc(day + timedelta(days=1), time(12), tz) - local_to_utc(day, time(12), tz) != timedelta(days=1)
    ]
    assert len(changes) >= 2
    for change in changes:
        wanted = [datetime.combine(change, time(12)) + 15 * minute * i for i in range(96)]
        moment = datetime.combine(change, time(12), UTC) - timedelta(hours=16)
        for wall in wanted:  # rising, so the search goes on where the last one ended
            while moment.astimezone(tz).replace(tzinfo=None) < wall:
                moment += minute
            assert local_to_utc(wall.date(), wall.time(), tz) == moment, wall


@pytest.mark.parametrize("name", TIME_ZONES)
def test_a_program_fires_exactly_once_on_every_due_day_of_the_year(name: str) -> None:
    starts = "00:00 00:30 01:15 02:00 02:15 02:30 03:00 12:00 23:45"
    there = farm(program("p", ("a", 1), start=starts), zones=(zone("a"),), tz=name)
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    timetable = compile_timetable(there, NOTHING, now, days=370, version=1)
    assert not timetable.skipped
    fired = Counter(entry.id.rsplit(":", 2)[0] for entry in timetable.entries)
    days = [date(2026, 1, 3) + timedelta(days=i) for i in range(365)]
    assert {fired[f"p:{day:%Y%m%d}"] for day in days} == {9}


def test_a_span_that_is_jumped_over_is_found_by_its_wall_clock() -> None:
    found = gaps(ZoneInfo("America/Santiago"), date(2026, 1, 1), 365)
    assert found == ((datetime(2026, 9, 6, 0), datetime(2026, 9, 6, 1)),)  # noqa: DTZ001
    assert gaps(ZoneInfo("Asia/Ho_Chi_Minh"), date(2026, 1, 1), 365) == ()


def test_a_daily_calendar_has_every_day() -> None:
    assert len(list(due_dates(DAILY, MONDAY, MONDAY + timedelta(days=29)))) == 30


def test_the_next_time_of_the_clock_comes_after_now_also_when_it_is_that_time_now() -> None:
    tz = ZoneInfo("Asia/Ho_Chi_Minh")
    midnight = datetime(2026, 11, 23, 17, 5, tzinfo=UTC)  # 00:05 there
    assert next_local(time(0, 5), tz, midnight - timedelta(seconds=1)) == midnight
    assert next_local(time(0, 5), tz, midnight) == midnight + timedelta(days=1)
