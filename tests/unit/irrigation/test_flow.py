"""A flow profile against the plainest possible one: a list with a number for each moment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irrigation.flow import Claim, FlowProfile, first_free, micro, only_within

CAPACITY = 5
_TAKEN = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12), st.integers(1, 7)), max_size=8)


def plainly(taken: list[tuple[int, int, int]]) -> list[int]:
    levels = [0] * 100
    for start, length, flow in taken:
        for at in range(start, start + length):
            levels[at] += flow
    return levels


@given(_TAKEN, st.integers(0, 45), st.integers(1, 10), st.integers(1, CAPACITY))
def test_the_earliest_place_is_the_first_moment_with_room_for_the_whole_length(
    taken: list[tuple[int, int, int]], ready: int, length: int, flow: int
) -> None:
    profile = FlowProfile(CAPACITY)
    for start, each, level in taken:
        profile.take(start, start + each, level)
    levels = plainly(taken)
    fits = (at for at in range(ready, 90) if all(level + flow <= CAPACITY for level in levels[at : at + length]))
    assert profile.earliest(ready, length, flow) == next(fits)


@given(_TAKEN, _TAKEN, st.integers(0, 45), st.integers(1, 10), st.integers(1, CAPACITY))
def test_what_is_given_back_leaves_no_trace(
    taken: list[tuple[int, int, int]], tried: list[tuple[int, int, int]], ready: int, length: int, flow: int
) -> None:
    plain, changed = FlowProfile(CAPACITY), FlowProfile(CAPACITY)
    for start, each, level in taken:
        plain.take(start, start + each, level)
        changed.take(start, start + each, level)
    for sign in (1, -1):
        for start, each, level in tried:
            changed.take(start, start + each, sign * level)
    assert changed.earliest(ready, length, flow) == plain.earliest(ready, length, flow)


def test_all_that_is_needed_must_be_free_at_once_each_for_its_own_length() -> None:
    source, zone = FlowProfile(10), FlowProfile(1)
    source.take(0, 10, 5)
    zone.take(10, 20, 1)
    source.take(20, 30, 5)
    assert first_free([Claim(source, 6), Claim(zone, 1)], 0, 5) == 30
    assert first_free([Claim(source, 5), Claim(zone, 1)], 0, 5) == 0
    assert first_free([Claim(source, 5), Claim(zone, 1)], 6, 5) == 20
    assert first_free([Claim(source, 5), Claim(zone, 1, 7)], 0, 5) == 20
    assert first_free([], 7, 5) == 7


def test_a_window_is_free_within_its_spans_only() -> None:
    hours = only_within([(40, 50), (10, 20), (15, 30)])
    assert [hours.earliest(ready, 10, 1) for ready in (0, 10, 20, 21, 40, 41)] == [10, 10, 20, 40, 40, 41]
    assert only_within([]).earliest(3, 10, 1) == 3


def test_nothing_is_taken_by_what_has_ended() -> None:
    profile = FlowProfile(1)
    profile.take(10, 10, 1)
    profile.take(10, 5, 1)
    assert profile.earliest(0, 100, 1) == 0


def test_tenths_of_a_litre_add_up_exactly() -> None:
    assert 0.1 + 0.2 > 0.3
    assert micro(0.1) + micro(0.2) == micro(0.3) == pytest.approx(300_000)
