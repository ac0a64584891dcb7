"""What boards do when they are alone."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from irrigation.base_due import due_base, next_base_start
from irrigation.base_plan import base_plan, handed_over_at_rest
from irrigation.model import BaseEntry, EveryNDays, Farm, Hold, Weekly
from irrigation.planner import compile_timetable
from tests.unit.irrigation.farms import DAILY, NOTHING, farm, program, source, zone

NOW = datetime(2026, 11, 23, tzinfo=UTC)  # a Monday
VIET_NAM = ZoneInfo("Asia/Ho_Chi_Minh")


def starts(of: Farm, now: datetime = NOW) -> list[tuple[str, str]]:
    return [(line.zone_id, f"{line.start:%H:%M}") for line in base_plan(of, now)]


def test_a_line_tells_all_that_the_board_must_know() -> None:
    (line,) = base_plan(farm(program("p", ("a", 90))), NOW)
    assert line == BaseEntry(
        program_id="p",
        zone_id="a",
        node_id="board",
        channel="valve-a",
        calendar=DAILY,
        start=time(5),
        max_s=3600,
        dose=program("p", ("a", 90)).zones[0].dose,
        due=time(5),
        flow_l_min=20,
    )


def test_programs_are_placed_as_if_all_were_due_on_one_day() -> None:
    monday, tuesday = Weekly(days=(1,)), Weekly(days=(2,))
    there = farm(program("p", ("a", 20), ("b", 10), calendar=monday), program("q", ("c", 20), calendar=tuesday))
    assert starts(there) == [("a", "05:00"), ("b", "05:20"), ("c", "05:30")]


def test_what_fits_beside_others_is_not_put_off() -> None:
    there = farm(program("p", ("a", 20)), program("q", ("b", 20)), sources=(source(capacity_l_min=40),))
    assert starts(there) == [("a", "05:00"), ("b", "05:00")]


def test_a_zone_has_one_watering_at_a_time() -> None:
    there = farm(program("p", ("a", 20)), program("q", ("a", 20)), sources=(source(capacity_l_min=40),))
    assert starts(there) == [("a", "05:00"), ("a", "05:20")]


def test_each_start_of_a_program_has_its_line() -> None:
    assert starts(farm(program("p", ("a", 20), start="17:30 05:00"))) == [("a", "05:00"), ("a", "17:30")]


def test_what_would_run_past_midnight_is_left_out() -> None:
    assert starts(farm(program("p", ("a", 30), ("b", 1), start="23:30"))) == [("a", "23:30")]
    assert starts(farm(program("p", ("a", 30), start="23:31"))) == []


def test_what_wants_more_than_its_source_has_is_left_out() -> None:
    assert starts(farm(program("p", ("a", 20), ("b", 20)), zones=(zone("a", flow_l_min=31), zone("b")))) == [
        ("b", "05:00")
    ]


def test_programs_that_are_off_have_no_line() -> None:
    assert starts(farm(program("p", ("a", 20), enabled=False))) == []


def test_nothing_is_placed_across_an_hour_that_the_clocks_will_jump_over() -> None:
    there = farm(program("p", ("a", 20), ("b", 30), start="01:45"), tz="Europe/Paris")
    assert starts(there) == [("a", "03:00"), ("b", "03:20")]
    assert starts(farm(program("p", ("a", 15), start="01:45 02:30"), tz="Europe/Paris")) == [
        ("a", "01:45"),
        ("a", "03:00"),
    ]


def test_where_clocks_do_not_jump_any_hour_will_do() -> None:
    assert starts(farm(program("p", ("a", 20), start="02:30"), tz="Asia/Ho_Chi_Minh")) == [("a", "02:30")]


def test_lines_become_entries_on_their_due_days() -> None:
    there = farm(
        program("p", ("a", 20), calendar=Weekly(days=(2,))),
        program("q", ("b", 20), calendar=EveryNDays(n=2, anchor=date(2026, 11, 23))),
        tz="Asia/Ho_Chi_Minh",
    )
    entries = due_base(base_plan(there, NOW), VIET_NAM, NOW, NOW + timedelta(days=3))
    assert [(entry.id, f"{entry.start:%d %H:%M}", f"{entry.due:%d %H:%M}") for entry in entries] == [
        ("p:20261124:0500:a", "23 22:00", "23 22:00"),
        ("q:20261125:0500:b", "24 22:20", "24 22:00"),
    ]
    assert {(entry.node_id, entry.max_s, entry.flow_l_min) for entry in entries} == {("board", 1200, 20)}


def test_a_span_has_what_starts_after_its_beginning_up_to_its_end() -> None:
    base = base_plan(farm(program("p", ("a", 20))), NOW)
    start = datetime(2026, 11, 23, 5, tzinfo=UTC)
    second = timedelta(seconds=1)
    assert len(due_base(base, ZoneInfo("UTC"), start - second, start)) == 1
    assert due_base(base, ZoneInfo("UTC"), start, start + second) == ()


def test_a_line_without_a_due_time_is_named_by_its_start() -> None:
    base = [replace(line, due=None) for line in base_plan(farm(program("p", ("a", 20))), NOW)]
    (entry,) = due_base(base, ZoneInfo("UTC"), NOW, NOW + timedelta(days=1))
    assert (entry.id, entry.due) == ("p:20261123:0500:a", entry.start)


def test_the_next_start_is_the_first_of_all_lines() -> None:
    base = base_plan(
        farm(program("p", ("a", 20), calendar=Weekly(days=(7,))), program("q", ("b", 20), start="06:00")), NOW
    )
    utc = ZoneInfo("UTC")
    assert next_base_start(base, utc, NOW) == datetime(2026, 11, 23, 6, tzinfo=UTC)
    assert next_base_start(base, utc, datetime(2026, 11, 28, 6, tzinfo=UTC)) == datetime(2026, 11, 29, 5, tzinfo=UTC)


def test_there_is_no_next_start_without_lines_or_when_all_are_years_away() -> None:
    assert next_base_start((), VIET_NAM, NOW) is None
    far = program("p", ("a", 20), calendar=EveryNDays(n=1, anchor=date(2029, 1, 1)))
    assert next_base_start(base_plan(farm(far), NOW), VIET_NAM, NOW) is None


def test_what_was_due_in_the_timetables_time_is_not_the_base_plans_to_start() -> None:
    there = farm(program("p", ("a", 20)), program("q", ("b", 20)))  # q stands at 05:20, due at 05:00
    span = (base_plan(there, NOW), ZoneInfo("UTC"), NOW + timedelta(hours=5, minutes=10), NOW + timedelta(hours=30))
    assert [entry.id for entry in due_base(*span)] == ["q:20261123:0500:b", "p:20261124:0500:a", "q:20261124:0500:b"]
    after = due_base(*span, due_after=NOW + timedelta(hours=5, minutes=10))
    assert [entry.id for entry in after] == ["p:20261124:0500:a", "q:20261124:0500:b"]


def test_a_hold_is_kept_when_the_board_is_alone() -> None:
    utc = ZoneInfo("UTC")
    held = replace(farm(program("p", ("a", 20))), hold=Hold(until=NOW + timedelta(days=30, hours=5)))
    base = base_plan(held, NOW)
    assert due_base(base, utc, NOW, NOW + timedelta(days=30)) == ()
    assert next_base_start(base, utc, NOW) == NOW + timedelta(days=30, hours=5)


def test_a_hold_that_is_over_leaves_no_trace() -> None:
    there = farm(program("p", ("a", 20)))
    assert base_plan(replace(there, hold=Hold(until=NOW)), NOW) == base_plan(there, NOW)


def test_an_emergency_stop_leaves_no_base_plan() -> None:
    assert base_plan(replace(farm(program("p", ("a", 20))), hold=Hold(until=NOW, emergency=True)), NOW) == ()


# --- where it takes over ---


def test_a_timetable_ends_before_a_run_that_its_end_would_cut_in_two() -> None:
    """At its end a run of `a` is under way; begun late, it would meet `b` of the base plan, and the tank has no more."""
    busy = farm(program("p", ("a", 60), start="05:00"), program("q", ("b", 30), start="05:30"), tz="Asia/Ho_Chi_Minh")
    now = datetime(2026, 11, 23, 5, 15, tzinfo=VIET_NAM)
    compiled = compile_timetable(busy, NOTHING, now, days=2, version=1)
    assert compiled.entries[-1].start == now - timedelta(minutes=15) + timedelta(days=2)
    timetable = handed_over_at_rest(compiled, timedelta(minutes=15))
    assert timetable.valid_until == compiled.entries[-1].start - timedelta(microseconds=1)
    assert timetable.entries == compiled.entries[:-1]
    after = timetable.valid_until
    handed = due_base(timetable.base, VIET_NAM, after, after + timedelta(hours=3), due_after=after)
    assert handed[0].id == compiled.entries[-1].id


def test_a_timetable_that_ends_at_rest_or_never_rests_stays_as_it_is() -> None:
    now = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    resting = compile_timetable(farm(program("p", ("a", 60))), NOTHING, now, days=2, version=1)
    assert handed_over_at_rest(resting, timedelta(minutes=15)) is resting
    starts = " ".join(f"{hour:02d}:00" for hour in range(24))
    restless = compile_timetable(farm(program("p", ("a", 50), start=starts)), NOTHING, now, days=2, version=1)
    assert handed_over_at_rest(restless, timedelta(minutes=15)) is restless
