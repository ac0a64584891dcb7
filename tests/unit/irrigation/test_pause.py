"""A pause in the plan: nothing waters in it, nothing is skipped for it, and what waited says so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from irrigation.model import Farm, Hold, Rule
from irrigation.planner import compile_timetable
from tests.unit.irrigation.farms import NOTHING, assert_zones_have_one_at_a_time, farm, nows, program
from tests.unit.irrigation.rich import length, rich_farms

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_what_falls_due_in_a_pause_starts_when_it_is_over_and_says_so() -> None:
    until = NOW + 30 * MINUTE
    of = replace(farm(program("p", ("a", 20), start="05:10")), hold=Hold(until=until, pause=True))
    entry = compile_timetable(of, NOTHING, NOW, days=1, version=1).entries[0]
    assert (entry.start, entry.rule) == (until, Rule.PAUSED)
    assert entry.params == {"late_min": 20.0, "until": until.isoformat()}


def test_a_pause_that_is_over_is_no_reason_for_anything() -> None:
    of = farm(program("p", ("a", 20), start="05:10"))
    over = replace(of, hold=Hold(until=NOW - MINUTE, pause=True))
    plain, after = (compile_timetable(each, NOTHING, NOW, days=2, version=1) for each in (of, over))
    assert (plain.entries, plain.skipped) == (after.entries, after.skipped)


@given(rich_farms(), nows, st.integers(1, 120))
@settings(max_examples=40)
def test_nothing_waters_in_a_pause_and_no_source_gives_more_than_it_has_after_it(
    of: Farm, now: datetime, minutes: int
) -> None:
    until = now + minutes * MINUTE
    table = compile_timetable(replace(of, hold=Hold(until=until, pause=True)), NOTHING, now, days=2, version=1)
    assert all(entry.start >= until for entry in table.entries)
    assert not any(skip.rule is Rule.HOLD for skip in table.skipped)
    assert_zones_have_one_at_a_time(table.entries)
    for one in table.entries:
        on = [entry for entry in table.entries if entry.start <= one.start < entry.start + length(of, entry)]
        assert sum(entry.flow_l_min for entry in on) <= of.sources[0].capacity_l_min + 1e-6
