"""What holds of programs of every kind: calendars, doses, sequences, groups, pumps and hours together."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrigation.model import Adjust, Cron, Dates, EveryNDays, Farm, MonthDays, OddDays, Program, Repeat, Sun, Weekly
from irrigation.occurrence import moments
from irrigation.planner import compile_timetable
from irrigation.windows import Place
from tests.unit.irrigation.farms import DAILY, NOTHING, farm, moments_near_changes, nows, program
from tests.unit.irrigation.rich import Night, length, rich_farms

YEARS = date(2024, 1, 1), date(2028, 12, 31)


@given(rich_farms(), nows)
@settings(max_examples=60)
def test_neither_source_nor_group_nor_zone_gets_more_than_it_can_bear(of: Farm, now: datetime) -> None:
    entries = compile_timetable(of, NOTHING, now, days=4, version=1).entries
    zones = {each.id: each for each in of.zones}
    for at in {entry.start for entry in entries}:
        on = [entry for entry in entries if entry.start <= at < entry.start + length(of, entry)]
        names = [entry.zone_id for entry in on]
        assert len(set(names)) == len(names)
        assert sum(entry.flow_l_min for entry in on) <= of.sources[0].capacity_l_min + 1e-6
        assert len(on) == 1 or not any(zones[name].exclusive for name in names)
        for group in of.groups:
            own = [entry for entry in on if entry.zone_id in group.zone_ids]
            assert group.max_zones is None or len(own) <= group.max_zones
            assert group.max_l_min is None or sum(entry.flow_l_min for entry in own) <= group.max_l_min + 1e-6
    assert all(entry.max_s <= zones[entry.zone_id].max_run_s for entry in entries)


@given(rich_farms(), nows)
@settings(max_examples=40)
def test_a_program_with_a_finish_never_ends_after_it(of: Farm, now: datetime) -> None:
    table = compile_timetable(of, NOTHING, now, days=4, version=1)
    tz = Place(ZoneInfo(of.tz), of.lat, of.lon)
    for one in of.programs:
        if one.finish is None:
            continue
        first, last = (now - timedelta(days=3)).date(), (now + timedelta(days=9)).date()
        times = {one.id + firing.key + f"{firing.day:%Y%m%d}": firing.due for firing in moments(one, tz, first, last)}
        for entry in table.entries:
            if entry.program_id == one.id and entry.due > now:
                _, day, key, _ = entry.id.split(":")
                assert entry.start + length(of, entry) <= times[one.id + key + day]


@pytest.mark.timeout(300)  # sixty days of plans, eight times over, for each farm
@given(rich_farms(), nows | moments_near_changes, st.data())
@settings(max_examples=12)
def test_what_is_previewed_for_sixty_days_is_what_runs(of: Farm, now: datetime, data: st.DataObject) -> None:
    preview = compile_timetable(of, NOTHING, now, days=60, version=1)
    night = Night(of, preview)
    near = [entry.start for entry in preview.entries] + [entry.start + length(of, entry) for entry in preview.entries]
    extra = data.draw(st.lists(st.sampled_from(near), max_size=6)) if near else []
    daily = [now + timedelta(days=day) for day in range(1, 60, 9)]
    end = now + timedelta(days=60)
    for moment in sorted({*daily, *(at for at in extra if at < end)}):
        night.until(moment)
        night.compile(moment, days=max(0, 61 - (moment - now).days))
    night.until(end + timedelta(seconds=1))
    whole = {entry.id: entry for entry in preview.entries if entry.start <= end and entry.due <= end}
    ran = {id_: entry for id_, entry in night.ran.items() if entry.start <= end and entry.due <= end}
    assert {id_: (one.start, one.max_s, one.dose) for id_, one in ran.items()} == {
        id_: (one.start, one.max_s, one.dose) for id_, one in whole.items()
    }


@given(rich_farms(), nows)
@settings(max_examples=20)
def test_compiling_is_deterministic_and_every_id_stands_once(of: Farm, now: datetime) -> None:
    one = compile_timetable(of, NOTHING, now, days=3, version=1)
    assert one == compile_timetable(of, NOTHING, now, days=3, version=1)
    ids = [each.id for each in one.entries] + [each.id for each in one.skipped]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("calendar", [DAILY, Cron(expression="30 2 * * *"), OddDays()], ids=["daily", "cron", "odd"])
def test_a_program_is_due_once_on_each_due_day_in_every_time_zone(calendar: Weekly | Cron | OddDays) -> None:
    starts = "" if isinstance(calendar, Cron) else "02:30"
    plain = program("p", ("a", 5), calendar=DAILY, start="02:30")
    one = Program(
        id="p", name="", calendar=calendar, starts=plain.starts if starts else (), zones=plain.zones, since=plain.since
    )
    zones = sorted(available_timezones())[:: 1 if isinstance(calendar, OddDays) else 4]
    for name in zones:
        place = Place(ZoneInfo(name), 21.0, 104.0)
        found = list(moments(one, place, date(2025, 12, 30), date(2027, 1, 2)))
        days = [firing.day for firing in found]
        assert len(days) == len(set(days)), name
        dues = [firing.due for firing in found]
        assert dues == sorted(set(dues)), name
        for firing in found:
            off = firing.due.astimezone(place.tz).replace(tzinfo=None) - datetime.combine(firing.day, plain.starts[0])  # type: ignore[arg-type]
            assert timedelta(0) <= off <= timedelta(days=1), (name, firing)


def test_no_two_odd_days_follow_each_other_and_february_is_kept() -> None:
    one = program("p", ("a", 5), calendar=OddDays())
    days = [firing.day for firing in moments(one, Place(ZoneInfo("UTC"), 0, 0), *YEARS)]
    assert all(second - first >= timedelta(days=2) for first, second in pairwise(days))
    assert not {date(2028, 2, 29), date(2026, 12, 31)} & set(days)


def test_the_year_of_53_weeks_waters_each_weekday_once_a_week() -> None:
    one = program("p", ("a", 5), calendar=Weekly(days=(4,)))
    days = [firing.day for firing in moments(one, Place(ZoneInfo("UTC"), 0, 0), date(2026, 12, 1), date(2027, 1, 31))]
    assert [f"{day:%m%d}" for day in days] == ["1203", "1210", "1217", "1224", "1231", "0107", "0114", "0121", "0128"]


def test_the_last_of_the_month_and_29_february_come_up_once() -> None:
    one = program("p", ("a", 5), calendar=MonthDays(days=(29,), last=True))
    days = [firing.day for firing in moments(one, Place(ZoneInfo("UTC"), 0, 0), date(2028, 2, 1), date(2028, 3, 31))]
    assert days == [date(2028, 2, 29), date(2028, 3, 29), date(2028, 3, 31)]


def test_the_sun_of_the_polar_night_is_skipped_or_replaced() -> None:
    there = Place(ZoneInfo("Europe/Oslo"), 69.65, 18.96)
    plain = program("p", ("a", 5))
    for sun, told in ((Sun(sun="sunrise"), False), (Sun(sun="sunrise", otherwise=plain.starts[0]), True)):  # type: ignore[arg-type]
        one = Program(id="p", name="", calendar=DAILY, starts=(sun,), zones=plain.zones, since=plain.since)
        (firing,) = moments(one, there, date(2026, 12, 21), date(2026, 12, 21))
        assert firing.in_sun is told


def test_repeats_count_elapsed_minutes_across_the_change_of_clocks() -> None:
    one = program("p", ("a", 5), start="01:30", calendar=Dates(dates=(date(2026, 10, 25),)))
    one = Program(
        id="p", name="", calendar=one.calendar, starts=one.starts, zones=one.zones, since=one.since,
        repeat=Repeat(every_min=60, times=3),
    )  # fmt: skip
    found = list(moments(one, Place(ZoneInfo("Europe/Paris"), 48.9, 2.3), date(2026, 10, 25), date(2026, 10, 25)))
    assert [f"{firing.due:%H:%M}" for firing in found] == ["23:30", "00:30", "01:30", "02:30"]
    assert len({firing.key for firing in found}) == 4


def test_scaling_to_seconds_waters_nothing_until_it_is_worth_it_and_never_more_than_was_programmed() -> None:
    plain = program("p", ("a", 10))
    tiny = Program(
        id="p", name="", calendar=EveryNDays(n=1, anchor=date(2026, 1, 1)), starts=plain.starts, zones=plain.zones,
        since=plain.since, adjust=Adjust(pct=5, least_minutes=2),
    )  # fmt: skip
    table = compile_timetable(farm(tiny), NOTHING, datetime(2026, 11, 23, tzinfo=UTC), days=12, version=1)
    assert [entry.max_s for entry in table.entries] == [120, 120, 120]  # 30 s a day, in runs of two minutes
    assert [f"{entry.due:%d}" for entry in table.entries] == ["26", "30", "04"]
    assert len(table.skipped) == 9
