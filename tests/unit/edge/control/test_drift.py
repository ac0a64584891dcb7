from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from edge.control.drift import LEAST_READINGS, YEAR, Drift

DAY0 = date(2026, 1, 1)


def days(drift: Drift, values: list[float], gaps: list[float] | None = None, *, begin: int = 0) -> Drift:
    """Hear a day's worth of each value."""
    for place, value in enumerate(values):
        for _ in range(LEAST_READINGS):
            gap = None if gaps is None else gaps[place]
            drift = drift.heard(DAY0 + timedelta(days=begin + place), value, gap)
    return drift


def test_a_probe_that_leaves_the_others_has_drifted_by_the_change_of_its_gap() -> None:
    drift = days(Drift(), [30.0] * 24, [2.0] * 8 + [10.0] * 16)
    assert drift.pct == 8.0


def test_a_probe_that_always_differed_from_the_others_has_not_drifted() -> None:
    assert days(Drift(), [30.0] * 30, [12.0] * 30).pct == 0.0


def test_the_whole_zone_may_dry_without_anybody_drifting() -> None:
    assert days(Drift(), [40.0 - day for day in range(30)], [1.0] * 30).pct == 0.0


def test_nothing_is_said_before_there_are_two_weeks_with_the_others() -> None:
    assert days(Drift(), [30.0] * 14, [0.0] * 7 + [20.0] * 7).pct == 0.0  # the last of the days is not over


def test_one_wild_day_is_no_drift() -> None:
    assert days(Drift(), [30.0] * 24, [2.0] * 20 + [30.0] + [2.0] * 3).pct == 0.0


def test_a_lone_probe_is_held_against_its_own_first_year() -> None:
    year = [20.0 + 15 * (day % 100) / 100 for day in range(YEAR)]  # wet and dry, 20 to 35 %
    drift = days(Drift(), year)
    assert drift.pct == 0.0
    assert days(drift, [44.0] * 9, begin=YEAR).pct > 8.0
    assert days(drift, [44.0] * 5 + [30.0] * 4, begin=YEAR).pct == 0.0


def test_a_lone_probe_is_not_doubted_in_its_first_monsoon() -> None:
    assert days(Drift(), [20.0] * 100 + [48.0] * 30).pct == 0.0


def test_a_day_of_few_readings_does_not_count() -> None:
    drift = Drift()
    for day in range(30):
        drift = drift.heard(DAY0 + timedelta(days=day), 30.0, 5.0)
    assert (drift.first_gaps, drift.days) == ((), 0)


@given(st.lists(st.floats(0, 60), max_size=40), st.floats(-20, 20))
def test_a_steady_gap_is_never_drift(values: list[float], gap: float) -> None:
    assert days(Drift(), values, [gap] * len(values)).pct < 1e-9
