"""When a source gives nothing, and what the plan makes of it."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from irrigation.model import Group, Knowledge, PlanState, Rule, SourceTrouble, Trouble, Window
from irrigation.planner import compile_timetable
from irrigation.source import after_level, gives_again
from tests.unit.irrigation.farms import NOTHING, farm, program, source, zone

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
TANK = replace(source(), low_pct=15.0, enough_pct=30.0, recovery_min=45.0)
LOW = SourceTrouble(kind=Trouble.LOW, since=NOW, level_pct=12.0)
DRY = SourceTrouble(kind=Trouble.RAN_DRY, since=NOW)


@pytest.mark.parametrize(
    ("trouble", "level_pct", "after"),
    [(None, 12.0, LOW), (None, 15.0, None), (LOW, 29.9, LOW), (LOW, 30.0, None), (DRY, 20.0, DRY), (DRY, 30.0, None)],
)
def test_a_level_between_the_two_limits_changes_nothing(
    trouble: SourceTrouble | None, level_pct: float, after: SourceTrouble | None
) -> None:
    assert after_level(TANK, trouble, level_pct, NOW) == after
    assert after_level(source(), trouble, level_pct, NOW) == trouble


def test_a_trouble_is_looked_at_anew_after_each_recovery_time_whenever_that_is_asked() -> None:
    minute = timedelta(minutes=1)
    asked = [gives_again(TANK, DRY, NOW + minutes * minute) - NOW for minutes in (0, 44, 45, 89)]
    assert asked == [45 * minute, 45 * minute, 90 * minute, 90 * minute]
    measured = [gives_again(TANK, LOW, NOW + minutes * minute) - NOW for minutes in (0, 42, 43, 87, 88)]
    assert measured == [45 * minute, 45 * minute, 90 * minute, 90 * minute, 135 * minute]
    assert gives_again(TANK, None, NOW) == NOW


@pytest.mark.parametrize(("trouble", "rule"), [(LOW, Rule.SOURCE_LOW), (DRY, Rule.SOURCE_RAN_DRY)])
def test_the_plan_waits_for_a_source_in_trouble_and_skips_with_its_reason(trouble: SourceTrouble, rule: Rule) -> None:
    there = farm(program("p", ("a", 20), start="04:10"), sources=(TANK,))
    state = PlanState(known=Knowledge(troubles={"tank": trouble}))
    (entry,) = compile_timetable(there, state, NOW, days=0, version=1).entries or (None,)
    assert entry is None  # due after the horizon of no days
    (entry, *_) = compile_timetable(there, state, NOW, days=1, version=1).entries
    assert entry is not None
    assert (entry.start, entry.rule) == (NOW + timedelta(minutes=45), rule)
    slow = replace(there, sources=(replace(TANK, recovery_min=240.0),))
    (skip, *_) = compile_timetable(slow, state, NOW, days=1, version=1).skipped
    assert skip.rule is rule


def test_mains_power_also_lasts_for_what_the_supply_needs_after() -> None:
    tank = replace(source(), power=(Window(begin=time(5), end=time(6)),), supply_before_s=20, supply_after_s=10)
    (entry, *_) = compile_timetable(
        farm(program("p", ("a", 59), start="05:00"), sources=(tank,)), NOTHING, NOW, days=1, version=1
    ).entries
    assert f"{entry.start:%H:%M:%S}" == "05:00:00"
    late = farm(program("p", ("a", 59.6), start="05:00"), sources=(tank,))
    assert {skip.rule for skip in compile_timetable(late, NOTHING, NOW, days=1, version=1).skipped} == {
        Rule.OUTSIDE_WINDOW
    }


def test_a_learned_flow_takes_the_place_of_the_nominal_one() -> None:
    there = farm(program("p", ("a", 20)), program("q", ("b", 20)), sources=(source(capacity_l_min=30),))
    learned = PlanState(known=Knowledge(flows_l_min={"a": 14.0, "b": 15.0}))
    starts = [[f"{one.start:%H:%M}" for one in compile_timetable(there, state, NOW, days=1, version=1).entries[:2]]
              for state in (NOTHING, learned)]  # fmt: skip
    assert starts == [["05:00", "05:20"], ["05:00", "05:00"]]


def test_zones_of_a_group_in_sequence_never_water_at_once() -> None:
    there = farm(program("p", ("a", 20)), program("q", ("b", 20)), sources=(source(capacity_l_min=90),))
    grouped = replace(there, groups=(Group(id="g", zone_ids=("a", "b"), max_zones=1),))
    alone = replace(there, zones=(replace(zone("a"), exclusive=True), zone("b")))
    for of, second in ((there, "05:00"), (grouped, "05:20"), (alone, "05:20")):
        assert f"{compile_timetable(of, NOTHING, NOW, days=1, version=1).entries[1].start:%H:%M}" == second
