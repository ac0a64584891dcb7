"""A flow profile against the plainest possible one: a list with a number for each moment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irrigation.flow import FlowProfile, first_free, micro

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


@given(_TAKEN, st.integers(0, 45), st.integers(0, 10), st.integers(1, CAPACITY))
def test_forgetting_the_past_changes_no_future(
    taken: list[tuple[int, int, int]], past: int, later: int, flow: int
) -> None:
    whole, forgetful = FlowProfile(CAPACITY), FlowProfile(CAPACITY)
    for start, length, level in taken:
        whole.take(start, start + length, level)
        forgetful.take(start, start + length, level)
    forgetful.forget(past)
    assert forgetful.earliest(past + later, 4, flow) == whole.earliest(past + later, 4, flow)


def test_source_and_zone_must_both_be_free() -> None:
    source, zone = FlowProfile(10), FlowProfile(1)
    source.take(0, 10, 5)
    zone.take(10, 20, 1)
    source.take(20, 30, 5)
    assert first_free(source, zone, 0, 5, 6) == 30
    assert first_free(source, zone, 0, 5, 5) == 0
    assert first_free(source, zone, 6, 5, 5) == 20


def test_nothing_is_taken_by_what_has_ended() -> None:
    profile = FlowProfile(1)
    profile.take(10, 10, 1)
    profile.take(10, 5, 1)
    assert profile.earliest(0, 100, 1) == 0


def test_tenths_of_a_litre_add_up_exactly() -> None:
    assert 0.1 + 0.2 > 0.3
    assert micro(0.1) + micro(0.2) == micro(0.3) == pytest.approx(300_000)
