"""The life of a run is a table with no way out of its ends and a way to close from everywhere."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irrigation.run import ENDS, MOVES, UNDER_WAY, VALVE_MAY_BE_OPEN, IllegalMove, RunState, advance, observe

LIFE = (
    *(RunState(name) for name in ["asked", "queued", "accepted", "opening", "open", "watering", "closing"]),
    RunState.DONE,
)
states = st.sampled_from(RunState)
reports = st.lists(st.sampled_from(sorted(UNDER_WAY)), max_size=8)


def test_a_run_goes_from_asked_to_done() -> None:
    state = LIFE[0]
    for to in LIFE[1:]:
        state = advance(state, to)
    assert state is RunState.DONE


def test_the_table_has_every_state_and_these_ends() -> None:
    assert MOVES.keys() == set(RunState)
    assert {"done", "refused", "expired", "failed", "interrupted", "stopped"} == ENDS
    assert set(RunState) == UNDER_WAY | ENDS
    assert not UNDER_WAY & ENDS
    assert VALVE_MAY_BE_OPEN <= UNDER_WAY


@pytest.mark.parametrize("state", sorted(UNDER_WAY))
def test_closing_is_legal_from_every_state_under_way(state: RunState) -> None:
    assert advance(state, RunState.CLOSING) is RunState.CLOSING


@pytest.mark.parametrize("state", sorted(UNDER_WAY))
def test_every_run_under_way_can_reach_an_end(state: RunState) -> None:
    reached, fresh = {state}, {state}
    while fresh:
        fresh = {to for each in fresh for to in MOVES[each]} - reached
        reached |= fresh
    assert reached & ENDS


@given(st.sampled_from(sorted(ENDS)), states)
def test_ends_are_absorbing(end: RunState, to: RunState) -> None:
    with pytest.raises(IllegalMove):
        advance(end, to)
    assert observe(end, to) is end


@pytest.mark.parametrize("state", sorted(VALVE_MAY_BE_OPEN))
def test_what_may_have_watered_is_never_called_refused_or_expired(state: RunState) -> None:
    assert not MOVES[state] & {RunState.REFUSED, RunState.EXPIRED}


@pytest.mark.parametrize("state", sorted(UNDER_WAY - {RunState.OPENING}))
def test_open_is_reached_by_opening_or_when_the_meter_stands_still(state: RunState) -> None:
    assert (RunState.OPEN in MOVES[state]) == (state is RunState.WATERING)


def test_an_illegal_move_says_from_where_to_where() -> None:
    with pytest.raises(IllegalMove, match="a run that is asked cannot become watering") as caught:
        advance(RunState.ASKED, RunState.WATERING)
    assert (caught.value.state, caught.value.to) == (RunState.ASKED, RunState.WATERING)


@given(states, states)
def test_a_legal_move_is_also_what_an_observer_believes(state: RunState, to: RunState) -> None:
    if to in MOVES[state]:
        assert observe(state, to) is advance(state, to)


@given(states, states)
def test_observing_the_same_twice_is_observing_it_once(state: RunState, seen: RunState) -> None:
    once = observe(state, seen)
    assert observe(once, seen) is once


@given(states, states)
def test_an_observer_never_goes_back_but_from_watering_to_open(state: RunState, seen: RunState) -> None:
    after = observe(state, seen)
    if after in UNDER_WAY and (state, after) != (RunState.WATERING, RunState.OPEN):
        assert LIFE.index(after) >= LIFE.index(state)


@given(reports, st.sampled_from(sorted(ENDS)), st.randoms(use_true_random=False))
def test_wherever_the_end_arrives_among_the_reports_it_is_the_end(
    before: list[RunState], end: RunState, chance: Random
) -> None:
    shuffled = [*before, end, end]
    chance.shuffle(shuffled)
    state = RunState.ASKED
    for seen in shuffled:
        state = observe(state, seen)
    assert state is end


@given(reports)
def test_reports_in_order_or_with_some_lost_are_believed(seen: list[RunState]) -> None:
    state = RunState.ASKED
    for each in sorted(seen, key=LIFE.index):
        state = observe(state, each)
        assert state is each
