"""What a timetable says of small farms, and why."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from irrigation.model import ActiveRun, Dose, Entry, Farm, Hold, PlanState, Rule, Skip, Timetable, Weekly, ZoneDose
from irrigation.planner import compile_timetable
from tests.unit.irrigation.farms import NOTHING, farm, program, source, zone

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)  # a Monday
A_AT_5 = "p:20261123:0500:a"


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-23T{clock}+00:00")


def plan(of: Farm, state: PlanState = NOTHING, *, now: datetime = MIDNIGHT, days: int = 1) -> Timetable:
    return compile_timetable(of, state, now, days=days, version=7)


def starts(timetable: Timetable) -> dict[str, str]:
    """Return what starts today as {"0500a": "05:00"}: the program's start and the zone, and when it really starts."""
    return {
        entry.id.rsplit(":", 2)[1] + entry.zone_id: f"{entry.start:%H:%M}"
        for entry in timetable.entries
        if entry.due.date() == MIDNIGHT.date()
    }


def only_skip(timetable: Timetable) -> Skip:
    assert timetable.entries == ()
    (skip,) = timetable.skipped
    return skip


def test_an_entry_tells_all_that_the_board_must_know() -> None:
    timetable = plan(farm(program("p", ("a", 20))))
    assert timetable.entries == (
        Entry(
            id=A_AT_5,
            program_id="p",
            zone_id="a",
            node_id="board",
            channel="valve-a",
            due=at("05:00"),
            start=at("05:00"),
            max_s=1200,
            dose=Dose(minutes=20),
            flow_l_min=20,
        ),
    )
    assert (timetable.version, timetable.compiled_at, timetable.tz) == (7, MIDNIGHT, "UTC")
    assert timetable.valid_until == MIDNIGHT + timedelta(days=1)
    assert len(timetable.base) == 1


def test_times_are_utc_whatever_zone_now_is_told_in() -> None:
    told = MIDNIGHT.astimezone(datetime.fromisoformat("2026-01-01T00:00+07:00").tzinfo)
    timetable = plan(farm(program("p", ("a", 20)), tz="Asia/Ho_Chi_Minh"), now=told)
    assert timetable.compiled_at.tzinfo is UTC
    assert timetable.entries[0].start == at("22:00")  # 05:00 in Viet Nam on the 24th
    assert timetable.entries[0].id == "p:20261124:0500:a"


@pytest.mark.parametrize(("now", "days"), [(MIDNIGHT.replace(tzinfo=None), 1), (MIDNIGHT, -1)])
def test_planning_needs_an_aware_now_and_days(now: datetime, days: int) -> None:
    with pytest.raises(ValueError, match="now must carry a time zone and days be at least 0"):
        plan(farm(), now=now, days=days)


def test_zones_of_a_program_run_one_after_the_other_though_the_source_has_more() -> None:
    there = farm(program("p", ("b", 20), ("a", 30), ("c", 5)), sources=(source(capacity_l_min=1000),))
    timetable = plan(there)
    assert starts(timetable) == {"0500b": "05:00", "0500a": "05:20", "0500c": "05:50"}
    assert {entry.due for entry in timetable.entries} == {at("05:00")}
    assert {entry.rule for entry in timetable.entries} == {Rule.AS_PROGRAMMED}


def test_programs_at_once_share_a_source_that_has_enough() -> None:
    there = farm(program("p", ("a", 20)), program("q", ("b", 20)), sources=(source(capacity_l_min=40),))
    assert starts(plan(there)) == {"0500a": "05:00", "0500b": "05:00"}


def test_what_is_too_much_for_the_source_waits_and_says_so() -> None:
    first, second = plan(farm(program("p", ("a", 20)), program("q", ("b", 20)))).entries
    assert (first.zone_id, first.rule) == ("a", Rule.AS_PROGRAMMED)
    assert (second.start, second.rule) == (at("05:20"), Rule.SOURCE_BUSY)
    assert second.params == {"late_min": 20, "capacity_l_min": 30}


def test_zones_after_a_late_one_are_late_for_the_same_reason() -> None:
    entries = plan(farm(program("p", ("a", 20)), program("q", ("b", 20), ("c", 5)))).entries
    late = next(entry for entry in entries if entry.zone_id == "c")
    assert (late.start, late.rule, late.params["late_min"]) == (at("05:40"), Rule.SOURCE_BUSY, 20)


def test_a_small_flow_starts_beside_a_large_one_before_a_later_large_one() -> None:
    zones = (zone("a"), zone("b"), zone("drip", flow_l_min=5))
    there = farm(program("p", ("a", 20)), program("q", ("b", 20)), program("r", ("drip", 30)), zones=zones)
    assert starts(plan(there)) == {"0500a": "05:00", "0500b": "05:20", "0500drip": "05:00"}


def test_a_zone_that_two_programs_water_does_so_one_after_the_other() -> None:
    there = farm(program("p", ("a", 20)), program("q", ("a", 10)), sources=(source(capacity_l_min=1000),))
    assert [(entry.program_id, f"{entry.start:%H:%M}") for entry in plan(there).entries] == [
        ("p", "05:00"),
        ("q", "05:20"),
    ]


def test_sources_do_not_wait_for_one_another() -> None:
    zones = (zone("a"), zone("b", source_id="stream"))
    there = farm(program("p", ("a", 20)), program("q", ("b", 20)), zones=zones, sources=(source(), source("stream")))
    assert starts(plan(there)) == {"0500a": "05:00", "0500b": "05:00"}


def test_what_finds_no_place_within_two_hours_is_skipped_as_too_late() -> None:
    there = farm(
        program("p", ("a", 60)), program("q", ("b", 60)), program("r", ("c", 60)), program("s", ("d", 60)),
        zones=tuple(zone(name) for name in "abcd"),
    )  # fmt: skip
    timetable = plan(there)
    assert starts(timetable) == {"0500a": "05:00", "0500b": "06:00", "0500c": "07:00"}
    (skip,) = timetable.skipped
    assert (skip.zone_id, skip.rule, skip.due) == ("d", Rule.TOO_LATE, at("05:00"))
    assert skip.params == {"capacity_l_min": 30, "late_window_min": 120}


def test_a_program_longer_than_two_hours_runs_to_its_end() -> None:
    zones = tuple(zone(name) for name in "abcde")
    there = farm(program("p", *((name, 60) for name in "abcde")), zones=zones)
    assert starts(plan(there))["0500e"] == "09:00"
    begun = PlanState(settled=frozenset({A_AT_5, "p:20261123:0500:b", "p:20261123:0500:c", "p:20261123:0500:d"}))
    assert starts(plan(there, begun, now=at("08:59"))) == {"0500e": "08:59"}


def test_a_dose_above_the_zones_limit_is_cut_and_says_so() -> None:
    (entry,) = plan(farm(program("p", ("a", 90)))).entries
    assert (entry.max_s, entry.rule) == (3600, Rule.CUT_TO_CAP)
    assert entry.params == {"max_run_s": 3600, "asked_s": 5400}


def test_cut_and_late_keeps_the_numbers_of_both() -> None:
    _, late = plan(farm(program("p", ("a", 60)), program("q", ("b", 90)))).entries
    assert late.rule is Rule.SOURCE_BUSY
    assert late.params == {"max_run_s": 3600, "asked_s": 5400, "late_min": 60, "capacity_l_min": 30}


def test_a_skipped_watering_leaves_its_water_to_others() -> None:
    timetable = plan(farm(program("p", ("a", 20), ("c", 20)), program("q", ("b", 10)), skips=(A_AT_5,)))
    (skip,) = timetable.skipped
    assert (skip.id, skip.rule, skip.params) == (A_AT_5, Rule.SKIPPED_BY_PERSON, {})
    assert starts(timetable) == {"0500c": "05:00", "0500b": "05:20"}


def test_a_hold_skips_what_is_due_before_its_end_and_queues_nothing() -> None:
    held = farm(program("p", ("a", 20), start="05:00 17:00"), hold=Hold(until=at("17:00")))
    timetable = plan(held)
    (skip,) = timetable.skipped
    assert (skip.id, skip.rule, skip.params) == (A_AT_5, Rule.HOLD, {"until": "2026-11-23T17:00:00+00:00"})
    assert starts(timetable) == {"1700a": "17:00"}


def test_an_emergency_stop_holds_until_it_is_released() -> None:
    stopped = farm(program("p", ("a", 20)), hold=Hold(until=MIDNIGHT, emergency=True))
    assert only_skip(plan(stopped)).rule is Rule.HOLD


def test_a_zone_that_wants_more_than_its_source_has_is_skipped() -> None:
    skip = only_skip(plan(farm(program("p", ("a", 20)), zones=(zone("a", flow_l_min=30.5),))))
    assert (skip.rule, skip.params) == (Rule.FLOW_ABOVE_SOURCE, {"flow_l_min": 30.5, "capacity_l_min": 30})


def test_a_zone_that_wants_all_that_its_source_has_runs() -> None:
    assert len(plan(farm(program("p", ("a", 20)), zones=(zone("a", flow_l_min=30),))).entries) == 1


def test_programs_that_are_off_are_neither_run_nor_skipped() -> None:
    timetable = plan(farm(program("p", ("a", 20), enabled=False)))
    assert (timetable.entries, timetable.skipped, timetable.base) == ((), (), ())


def test_what_was_due_before_the_program_was_made_does_not_run() -> None:
    there = farm(program("p", ("a", 20), start="05:00 06:00", since=at("05:30")))
    assert starts(plan(there, now=at("05:31"))) == {"0600a": "06:00"}


def test_what_is_settled_is_not_planned_again() -> None:
    there = farm(program("p", ("a", 20), start="05:00 06:00"))
    assert starts(plan(there, PlanState(settled=frozenset({A_AT_5})))) == {"0600a": "06:00"}


def test_what_nobody_started_is_still_started_within_two_hours_of_its_turn() -> None:
    there = farm(program("p", ("a", 20)))
    (entry,) = plan(there, now=at("06:59"), days=0).entries
    assert (entry.start, entry.rule, entry.params) == (at("06:59"), Rule.AS_PROGRAMMED, {})
    assert plan(there, now=at("07:00"), days=0).entries == ()


def test_a_persons_run_keeps_its_zone_and_its_water() -> None:
    there = farm(program("p", ("a", 20)), program("q", ("b", 10)), sources=(source(capacity_l_min=45),))
    person = ActiveRun(zone_id="a", until=at("05:10"), flow_l_min=20)
    timetable = plan(there, PlanState(active=(person,)), now=at("04:50"))
    assert starts(timetable) == {"0500b": "05:00", "0500a": "05:10"}
    narrow = replace(there, sources=(source(capacity_l_min=39),))
    timetable = plan(narrow, PlanState(active=(person,)), now=at("04:50"))
    assert starts(timetable) == {"0500a": "05:10", "0500b": "05:30"}


def test_what_is_still_to_come_keeps_its_water_from_its_own_start_on() -> None:
    programs = program("p", ("a", 20)), program("q", ("b", 10), start="05:40")
    there = farm(*programs, sources=(source(capacity_l_min=39),))
    fixed = ActiveRun(zone_id="c", since=at("05:30"), until=at("05:50"), flow_l_min=20)
    timetable = plan(there, PlanState(active=(fixed,)), now=at("04:50"))
    assert starts(timetable) == {"0500a": "05:00", "0540b": "05:50"}


def test_runs_under_way_that_exceed_the_source_only_delay_the_rest() -> None:
    both = tuple(ActiveRun(zone_id=name, until=at("05:30"), flow_l_min=20) for name in "bc")
    assert starts(plan(farm(program("p", ("a", 20))), PlanState(active=both), now=at("04:50"))) == {"0500a": "05:30"}


def test_a_run_of_a_zone_that_is_gone_or_past_its_end_delays_nothing() -> None:
    runs = (
        ActiveRun(zone_id="gone", until=at("06:00"), flow_l_min=30),
        ActiveRun(zone_id="a", until=at("04:40"), flow_l_min=30),
    )
    assert starts(plan(farm(program("p", ("a", 20))), PlanState(active=runs), now=at("04:50"))) == {"0500a": "05:00"}


def test_the_next_zone_waits_for_the_run_of_the_one_before_it() -> None:
    there = farm(program("p", ("a", 20), ("b", 20)), sources=(source(capacity_l_min=1000),))
    under_way = ActiveRun(zone_id="a", until=at("05:25"), flow_l_min=20, entry_id=A_AT_5)
    assert starts(plan(there, PlanState(active=(under_way,)), now=at("05:10"))) == {"0500b": "05:25"}


def test_the_next_zone_moves_up_when_the_one_before_it_ended_early() -> None:
    there = farm(program("p", ("a", 20), ("b", 20)))
    assert starts(plan(there, PlanState(settled=frozenset({A_AT_5})), now=at("05:10"))) == {"0500b": "05:10"}


def test_the_turn_of_a_zone_also_waits_for_one_that_began_too_long_ago_to_be_planned() -> None:
    zones = (zone("a"), zone("b", source_id="stream"))
    there = farm(program("p", ("a", 60), ("b", 20)), zones=zones, sources=(source(), source("stream")))
    under_way = ActiveRun(zone_id="a", until=at("08:00"), flow_l_min=20, entry_id=A_AT_5)
    assert starts(plan(there, PlanState(active=(under_way,)), now=at("07:30"))) == {"0500b": "08:00"}


def test_a_watering_that_nobody_began_in_time_is_dropped_and_its_followers_are_not() -> None:
    timetable = plan(farm(program("p", ("a", 60), ("b", 20))), now=at("07:30"))
    assert starts(timetable) == {"0500b": "07:30"}
    assert timetable.skipped == ()  # whoever was there to miss it has said so


def test_a_weekly_program_runs_on_its_days_only() -> None:
    there = farm(program("p", ("a", 20), calendar=Weekly(days=(2, 5))))
    assert [f"{entry.start:%a %d}" for entry in plan(there, days=7).entries] == ["Tue 24", "Fri 27"]


def test_litres_without_a_meter_are_given_by_time() -> None:
    there = farm(replace(program("p", ("a", 1)), zones=(ZoneDose(zone_id="a", dose=Dose(litres=400)),)))
    assert plan(there).entries[0].max_s == 1200


def test_a_large_farm_is_planned_whole() -> None:
    zones = tuple(
        replace(zone(f"z{i}", flow_l_min=12, source_id=f"s{i % 4}"), node_id=f"n{i // 8}") for i in range(200)
    )
    programs = tuple(program(f"p{i}", *((f"z{(i * 3 + k) % 200}", 10) for k in range(3))) for i in range(60))
    there = farm(*programs, zones=zones, sources=tuple(source(f"s{i}", 100) for i in range(4)))
    timetable = plan(there, days=14)
    assert len(timetable.entries) + len(timetable.skipped) == 60 * 3 * 14
