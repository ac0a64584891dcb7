"""What a meter says, at the limits: droughts, bursts, leaks, nights, jumps, and what is learned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.control.flow import ENOUGH, KEPT, LEAK_WINDOW_SHARE, RUN_ON_S, ClosedFlow, Expected, Finding, OpenFlow

PULSE_L = 0.1
PLAIN = Expected(nominal_l_min=12.0, source_l_min=60.0)


def open_flow(*, fill_s: float = 20.0) -> OpenFlow:
    return OpenFlow(opened_s=100.0, litres=5.0, pulse_l=PULSE_L, no_flow_s=30.0, fill_s=fill_s)


def closed_flow() -> ClosedFlow:
    watch = ClosedFlow(pulse_l=PULSE_L, night_s=600.0, night_l_min=0.2)
    watch.closed(100.0)
    return watch


def run(watch: OpenFlow | ClosedFlow, flow_l_min: float, seconds: float, expected: Expected = PLAIN, *, from_l: float = 5.0, from_s: float = 100.0) -> tuple[Finding | None, float]:  # fmt: skip
    """Look five times a second at whole pulses; return the first finding and after how long."""
    for tick in range(int(seconds * 5) + 1):
        gone_s = tick / 5
        litres = from_l + int(flow_l_min * gone_s / 60 / PULSE_L + 1e-9) * PULSE_L
        found = watch.look(litres, from_s + gone_s, expected)
        if found is not None:
            return found, gone_s
    return None, seconds


# --- what is expected ---


def test_nothing_is_expected_without_a_nominal_flow() -> None:
    assert Expected(settled_l_min=(9.0,) * 9).highest_l_min is None
    assert Expected().flow_l_min is None


def test_a_nominal_flow_is_a_guess_until_enough_good_runs_are_known() -> None:
    known = Expected(nominal_l_min=12.0, settled_l_min=(9.0,) * (ENOUGH - 1))
    assert (known.flow_l_min, known.highest_l_min) == (12.0, 24.0)
    known = Expected(nominal_l_min=12.0, settled_l_min=(9.0,) * ENOUGH)
    assert known.flow_l_min == 9.0
    assert known.highest_l_min == pytest.approx(12.6)


def test_one_odd_run_does_not_move_what_is_learned() -> None:
    assert Expected(nominal_l_min=12.0, settled_l_min=(9.0, 9.2, 23.0, 9.1, 8.9)).flow_l_min == 9.1


@given(st.floats(0.1, 1000), st.lists(st.floats(0, 1e5), max_size=20))
def test_what_is_learned_stays_within_bounds_of_what_people_said(nominal: float, settled: list[float]) -> None:
    expected = Expected(nominal_l_min=nominal)
    for flow in settled:
        expected = Expected(nominal_l_min=nominal, settled_l_min=expected.learn(flow))
    assert len(expected.settled_l_min) <= KEPT
    assert expected.flow_l_min is not None
    assert expected.highest_l_min is not None
    assert nominal / 4 <= expected.flow_l_min <= 2 * nominal
    assert expected.highest_l_min <= 2 * nominal


# --- while open ---


def test_a_good_run_has_no_finding_and_its_settled_flow_is_learned() -> None:
    watch = open_flow()
    assert run(watch, 12.0, 120) == (None, 120)
    assert watch.settled_l_min(220.0) == pytest.approx(12.0, rel=0.02)


def test_a_short_run_teaches_nothing() -> None:
    watch = open_flow()
    run(watch, 12.0, 45)
    assert watch.settled_l_min(145.0) is None


def test_no_flow_is_found_after_its_time_and_not_before() -> None:
    assert run(open_flow(), 0.0, 60) == (Finding.NO_FLOW, 30.0)


def test_a_flow_that_stops_is_found_too() -> None:
    watch = open_flow()
    run(watch, 12.0, 40)
    found, after_s = run(watch, 0.0, 60, from_l=5.0 + 8.0, from_s=140.0)
    assert found is Finding.NO_FLOW
    assert after_s == pytest.approx(30.0, abs=0.6)


def test_a_burst_is_found_once_the_lines_are_full_and_a_window_has_passed() -> None:
    found, after_s = run(open_flow(), 36.0, 60)
    assert found is Finding.BURST
    assert after_s == pytest.approx(30.0, abs=0.5)


def test_filling_is_no_burst() -> None:
    watch = open_flow()
    assert run(watch, 40.0, 19)[0] is None
    assert run(watch, 12.0, 120, from_l=5.0 + 12.6, from_s=119.2)[0] is None


@pytest.mark.parametrize(("flow_l_min", "found"), [(16.5, None), (18.5, Finding.BURST)])
def test_a_burst_is_more_than_was_learned_by_two_fifths_and_what_pulses_can_feign(
    flow_l_min: float, found: Finding | None
) -> None:
    learned = Expected(nominal_l_min=12.0, settled_l_min=(12.0,) * 5)
    assert run(open_flow(), flow_l_min, 60, learned)[0] is found


def test_without_a_nominal_flow_nothing_is_too_much() -> None:
    assert run(open_flow(), 500.0, 60, Expected())[0] is None


def test_more_than_the_source_can_give_is_a_broken_meter_and_no_burst() -> None:
    assert run(open_flow(fill_s=0.0), 400.0, 60)[0] is Finding.BAD_METER


def test_a_jump_is_found_at_the_look_that_sees_it() -> None:
    watch = open_flow()
    assert watch.look(5.4, 101.0, PLAIN) is None  # a pack of pulses
    assert watch.look(105.4, 101.2, PLAIN) is Finding.BAD_METER


# --- while closed ---


def test_what_runs_out_of_the_pipe_after_closing_is_no_leak() -> None:
    watch = closed_flow()
    assert run(watch, 12.0, RUN_ON_S - 0.2)[0] is None
    assert run(watch, 0.0, 3600, from_l=6.0, from_s=100.0 + RUN_ON_S)[0] is None


def test_a_valve_that_does_not_hold_is_found_in_seconds() -> None:
    found, after_s = run(closed_flow(), 12.0, 120)
    assert found is Finding.LEAK
    assert after_s <= RUN_ON_S + 16


def test_a_trickle_is_a_night_flow_and_no_leak() -> None:
    found, after_s = run(closed_flow(), 0.5, 3600)
    assert found is Finding.NIGHT_FLOW
    assert RUN_ON_S + LEAK_WINDOW_SHARE * 600 <= after_s < 600


def test_less_than_the_night_s_threshold_is_nothing_however_long() -> None:
    assert run(closed_flow(), 0.15, 6 * 3600)[0] is None


def test_a_meter_that_stands_still_is_nothing() -> None:
    assert run(closed_flow(), 0.0, 3600)[0] is None


def test_three_pulses_are_needed_however_coarse_the_meter() -> None:
    watch = ClosedFlow(pulse_l=10.0, night_s=600.0, night_l_min=0.2)
    watch.closed(0.0)
    found = [watch.look(10.0 * turn, 10.0 + turn, PLAIN) for turn in range(4)]
    assert found == [None, None, None, Finding.LEAK]


def test_a_jump_of_the_counter_is_a_broken_meter_and_no_leak() -> None:
    watch = closed_flow()
    assert watch.look(5.0, 110.0, PLAIN) is None
    assert watch.look(500.0, 110.2, PLAIN) is Finding.BAD_METER


def test_the_first_look_of_a_process_gives_the_pipe_its_time() -> None:
    watch = ClosedFlow(pulse_l=PULSE_L, night_s=600.0, night_l_min=0.2)
    assert [watch.look(5.0 + at_s, 100.0 + at_s, PLAIN) for at_s in (0, 1, 4)] == [None] * 3
    assert run(watch, 0.0, 3600, from_l=9.0, from_s=104.8)[0] is None


def test_closing_again_counts_anew() -> None:
    watch = closed_flow()
    run(watch, 12.0, RUN_ON_S + 4)
    watch.closed(110.0)
    assert watch.look(50.0, 111.0, PLAIN) is None
    assert watch.look(50.1, 116.0, PLAIN) is None
