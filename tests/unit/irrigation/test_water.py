"""Pulses become litres and flow."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irrigation.water import Count, Pulses, flow_l_min, litres, pulses_between


def test_flow_is_litres_over_the_time_that_really_passed() -> None:
    assert flow_l_min(900, 450, 10) == pytest.approx(12)
    assert flow_l_min(900, 450, 20) == pytest.approx(6)
    assert flow_l_min(0, 450, 2) == 0


def test_litres_are_pulses_by_the_meters_factor() -> None:
    assert litres(1350, 450) == pytest.approx(3)


@pytest.mark.parametrize(
    ("before", "after", "wraps_at", "expected"),
    [
        (10, 10, None, Pulses(0, Count.FORWARD)),
        (10, 25, None, Pulses(15, Count.FORWARD)),
        (25, 10, None, Pulses(0, Count.BACKWARDS)),
        (65_530, 4, 65_536, Pulses(10, Count.WRAPPED)),
        (40_000, 20, 65_536, Pulses(25_556, Count.WRAPPED)),
        (30_000, 20, 65_536, Pulses(0, Count.BACKWARDS)),  # more than half a turn: a reset
        (300, 299, 65_536, Pulses(0, Count.BACKWARDS)),
    ],
)
def test_a_counter_that_turns_back_is_flagged(before: int, after: int, wraps_at: int | None, expected: Pulses) -> None:
    assert pulses_between(before, after, wraps_at=wraps_at) == expected


@given(st.integers(0, 65_535), st.integers(0, 32_767))
def test_a_wrapping_counter_loses_nothing(before: int, counted: int) -> None:
    assert pulses_between(before, (before + counted) % 65_536, wraps_at=65_536).delta == counted


@pytest.mark.parametrize(
    ("pulses", "factor", "elapsed_s", "named"),
    [
        (-1, 450, 1, "pulses must"),
        (1, 0, 1, "pulses_per_litre"),
        (1, math.nan, 1, "pulses_per_litre"),
        (1, 450, 0, "elapsed_s"),
        (1, 450, -2, "elapsed_s"),
        (1, 450, math.inf, "elapsed_s"),
    ],
)
def test_what_cannot_be_is_refused_by_name(pulses: int, factor: float, elapsed_s: float, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        flow_l_min(pulses, factor, elapsed_s)
