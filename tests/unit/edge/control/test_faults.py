"""The table of valve faults: every state with every event, and the laws that no sequence of events may break."""

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.control.faults import (
    MOVES,
    PHYSICAL,
    RETRY_S,
    STRIKES,
    Act,
    Action,
    Event,
    Fault,
    IllegalEvent,
    Phase,
    Valve,
    retry_s,
    step,
)

LOCKS = (None, *Fault)
ASKS = {Event.ORDERED, Event.RESET}


def every_valve() -> Iterator[Valve]:
    for phase, lock, struck, proved in product(Phase, LOCKS, (False, True), (False, True)):
        told = frozenset({lock} if lock else ())
        for strikes in range(STRIKES):
            yield Valve(phase=phase, lock=lock, struck=struck, proved=proved, strikes=strikes, told=told)


def after(*events: Event, valve: Valve | None = None) -> Valve:
    valve = valve or Valve()
    for event in events:
        valve, _ = step(valve, event)
    return valve


def acts(valve: Valve, event: Event) -> tuple[Action, ...]:
    return step(valve, event)[1]


GOOD = (Event.ORDERED, Event.OPENED, Event.FLOWED, Event.CLOSE, Event.CLOSED, Event.STILL)
DRY = (Event.ORDERED, Event.OPENED, Event.NO_FLOW, Event.CLOSED, Event.STILL)


@pytest.mark.parametrize("event", Event)
def test_every_event_in_every_state_is_taken_or_an_error_of_the_asker(event: Event) -> None:
    for valve in every_valve():
        if event in ASKS and ((valve.phase, event) not in MOVES or (event is Event.ORDERED and valve.lock is not None)):
            with pytest.raises(IllegalEvent, match=str(event)):
                step(valve, event)
            continue
        then, actions = step(valve, event)
        assert all((action.fault is not None) == (action.act in {Act.RAISE, Act.CLEAR}) for action in actions)
        for action in actions:
            if action.act is Act.RAISE:
                assert action.fault not in valve.told
                assert action.fault in then.told
            elif action.act is Act.CLEAR:
                assert action.fault in valve.told
                assert action.fault not in then.told


def test_close_is_legal_everywhere_and_leaves_nothing_wanted_open() -> None:
    for valve in every_valve():
        then, actions = step(valve, Event.CLOSE)
        assert actions == (Action(Act.CLOSE),)
        assert not then.wanted_open
        assert then.lock is valve.lock


def test_every_physical_fault_closes_what_is_open_and_nothing_asks_to_open_again() -> None:
    for valve, event in product(every_valve(), PHYSICAL):
        then, actions = step(valve, event)
        if valve.wanted_open and (then != valve):
            assert Action(Act.CLOSE) in actions
            assert not then.wanted_open
        assert not {action.act for action in actions} & {Act.OPEN, Act.OPEN_LATER}


@pytest.mark.parametrize("event", [Event.LINE_FAULT, Event.NO_FLOW, Event.BURST])
@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.OPEN])
def test_a_fault_of_an_open_valve_is_never_passed_over(event: Event, phase: Phase) -> None:
    then, actions = step(Valve(phase=phase), event)
    assert then.phase is Phase.CLOSING
    assert actions == (Action(Act.CLOSE), Action(Act.RAISE, PHYSICAL[event]))


def test_only_an_order_means_a_valve_to_be_open_and_only_from_closed() -> None:
    for valve, event in product(every_valve(), Event):
        try:
            then, _ = step(valve, event)
        except IllegalEvent:
            continue
        if then.wanted_open and not valve.wanted_open:
            assert (valve.phase, event, valve.lock) == (Phase.CLOSED, Event.ORDERED, None)


def test_only_a_reset_unlocks() -> None:
    for valve, event in product(every_valve(), Event):
        if valve.lock is None:
            continue
        try:
            then, _ = step(valve, event)
        except IllegalEvent:
            continue
        assert (then.lock is None) == (event is Event.RESET)


@given(st.lists(st.sampled_from(sorted(Event)), max_size=60))
def test_no_sequence_of_events_leaves_a_valve_wanted_open_after_a_physical_fault(events: list[Event]) -> None:
    valve = Valve()
    faulty = False  # the run under way has a physical fault
    dirty = 0  # runs in a row with one that counts
    for event in events:
        before = valve
        try:
            valve, actions = step(valve, event)
        except IllegalEvent:
            continue
        if event is Event.ORDERED:
            assert not before.lock
            faulty = False
        if event in PHYSICAL and valve != before:
            faulty = True
        if faulty:
            assert not valve.wanted_open
        if event is Event.RESET:
            assert valve == Valve()
        if Action(Act.RAISE, Fault.QUARANTINED) in actions:
            dirty += 1
            assert valve.strikes >= STRIKES
        assert valve.strikes < STRIKES or valve.lock is not None
    assert dirty <= events.count(Event.RESET) + 1


def test_the_third_faulty_run_in_a_row_locks_and_says_so() -> None:
    valve = after(*DRY, *DRY)
    assert (valve.strikes, valve.lock) == (2, None)
    valve, actions = step(after(Event.ORDERED, Event.OPENED, valve=valve), Event.NO_FLOW)
    assert actions == (Action(Act.CLOSE), Action(Act.RAISE, Fault.QUARANTINED))
    assert valve.lock is Fault.NO_FLOW
    with pytest.raises(IllegalEvent, match=r"closed and locked \(no-flow\) takes no ordered"):
        step(after(Event.CLOSED, Event.STILL, valve=valve), Event.ORDERED)


def test_different_faults_in_a_row_count_together_but_one_run_counts_once() -> None:
    one = after(Event.ORDERED, Event.OPENED, Event.NO_FLOW, Event.CLOSE_FAILED, Event.CLOSED, Event.STILL)
    assert one.strikes == 1
    two = after(Event.ORDERED, Event.LINE_FAULT, Event.CLOSED, Event.STILL, valve=one)
    assert (two.strikes, two.lock) == (2, None)
    three = after(Event.ORDERED, Event.OPENED, Event.FLOWED, Event.CLOSE, Event.CLOSE_FAILED, valve=two)
    assert three.lock is Fault.CLOSE_FAILED


def test_a_good_run_between_forgets_the_strikes() -> None:
    assert after(*DRY, *DRY, *GOOD).strikes == 0
    assert after(*DRY, *DRY, *GOOD, *DRY, *DRY).lock is None


def test_a_run_without_water_is_no_good_run() -> None:
    assert after(*DRY, Event.ORDERED, Event.OPENED, Event.CLOSE, Event.CLOSED, Event.STILL).strikes == 1


@pytest.mark.parametrize("event", [Event.BURST])
def test_a_burst_locks_at_once(event: Event) -> None:
    valve = after(Event.ORDERED, Event.OPENED, Event.FLOWED, event)
    assert (valve.lock, valve.shuts_supply) == (Fault.BURST, False)


@pytest.mark.parametrize("event", [Event.LEAK, Event.NIGHT_FLOW])
@pytest.mark.parametrize("phase", [Phase.CLOSED, Phase.SETTLING])
def test_water_through_a_shut_valve_locks_at_once_and_shuts_the_supply_until_a_reset(
    event: Event, phase: Phase
) -> None:
    valve, actions = step(Valve(phase=phase), event)
    assert actions == (Action(Act.RAISE, PHYSICAL[event]),)
    assert (valve.lock, valve.shuts_supply) == (PHYSICAL[event], True)
    reset = after(Event.STILL, Event.RESET, valve=valve)
    assert (reset, reset.shuts_supply) == (Valve(), False)
    assert acts(after(Event.STILL, valve=valve), Event.RESET) == (Action(Act.CLEAR, PHYSICAL[event]),)


def test_a_valve_that_leaks_is_not_called_closed() -> None:
    assert after(Event.LEAK).leaks
    assert not after(Event.NIGHT_FLOW).leaks
    assert after(Event.NIGHT_FLOW, Event.LEAK).leaks  # the worse of two is what it is locked for


def test_a_valve_that_did_not_close_shuts_its_supply_until_it_has_and_is_not_reset_before() -> None:
    stuck = after(*GOOD[:4], Event.CLOSE_FAILED)
    assert (stuck.phase, stuck.leaks, stuck.shuts_supply) == (Phase.STUCK, True, True)
    with pytest.raises(IllegalEvent, match="stuck takes no reset"):
        step(stuck, Event.RESET)
    closed, actions = step(stuck, Event.CLOSED)
    assert actions == (Action(Act.CLEAR, Fault.CLOSE_FAILED),)
    assert (closed.phase, closed.leaks, closed.shuts_supply, closed.strikes) == (Phase.SETTLING, False, False, 1)


def test_a_guard_that_is_away_is_asked_again_a_few_times_and_then_given_up_without_a_strike() -> None:
    valve = after(Event.ORDERED)
    waits = []
    for _ in RETRY_S:
        valve, actions = step(valve, Event.GUARD_AWAY)
        assert actions == (Action(Act.OPEN_LATER),)
        assert valve.wanted_open
        waits.append(retry_s(valve))
    assert tuple(waits) == RETRY_S
    valve, actions = step(valve, Event.GUARD_AWAY)
    assert actions == (Action(Act.GIVE_UP),)
    assert (valve.phase, valve.strikes, valve.told) == (Phase.CLOSED, 0, frozenset())
    again, actions = step(after(Event.ORDERED, valve=valve), Event.GUARD_AWAY)
    assert (again.tries, actions) == (1, (Action(Act.OPEN_LATER),))


def test_a_guard_that_goes_while_the_valve_is_open_takes_the_lines_with_it() -> None:
    for events in ((Event.ORDERED, Event.OPENED), (Event.ORDERED, Event.OPENED, Event.CLOSE)):
        assert after(*events, Event.GUARD_AWAY).phase is Phase.SETTLING


def test_a_fault_is_told_once_and_cleared_when_the_next_run_shows_that_it_is_gone() -> None:
    dry = after(*DRY)
    assert acts(after(Event.ORDERED, Event.OPENED, valve=dry), Event.NO_FLOW) == (Action(Act.CLOSE),)
    assert acts(after(Event.ORDERED, valve=dry), Event.OPENED) == ()
    flowed = acts(after(Event.ORDERED, Event.OPENED, valve=dry), Event.FLOWED)
    assert flowed == (Action(Act.CLEAR, Fault.NO_FLOW),)
    faulty = after(Event.ORDERED, Event.LINE_FAULT, Event.CLOSED, Event.STILL)
    assert acts(after(Event.ORDERED, valve=faulty), Event.OPENED) == (Action(Act.CLEAR, Fault.OPEN_FAILED),)
