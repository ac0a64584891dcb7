import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.messages import Quality
from edge.control.meter import MeterTruth
from edge.control.quality import GOOD, Verdict

LOOK_S = 0.2


def meter(most_l_min: float | None = 60.0) -> MeterTruth:
    return MeterTruth(per_litre=10.0, most_l_min=most_l_min)


def flow(truth: MeterTruth, l_min: float, seconds: float, *, begin_s: float = 0.0, pulses: int = 0) -> int:
    """Let water flow while the valve is open; return the total of pulses."""
    for look in range(1, int(seconds / LOOK_S) + 1):
        truth.look(pulses + int(l_min / 60 * 10 * look * LOOK_S), begin_s + look * LOOK_S, is_open=True)
    return pulses + int(l_min / 60 * 10 * seconds)


@given(st.floats(2.5, 60), st.floats(1, 120))
def test_any_flow_that_can_be_is_believed(l_min: float, seconds: float) -> None:
    truth = meter()
    flow(truth, l_min, seconds)
    assert truth.since(0.0) == GOOD


def test_more_than_can_have_flowed_since_the_last_look_is_a_jump() -> None:
    truth = meter()
    pulses = flow(truth, 20, 15)
    truth.look(pulses + 500, 15.2, is_open=True)
    assert truth.since(15.0) == Verdict(Quality.SUSPECT, "meter-jump")
    assert truth.since(15.3) == GOOD
    flow(truth, 20, 60, begin_s=15.2, pulses=pulses + 500)
    assert truth.since(0.0).reason == "meter-jump"


def test_a_wrong_unit_is_more_than_can_flow_for_long() -> None:
    truth = meter()
    flow(truth, 200, 45)
    assert truth.since(0.0) == Verdict(Quality.BAD, "meter-above-physical")


def test_a_counter_that_falls_is_told() -> None:
    truth = meter()
    pulses = flow(truth, 20, 5)
    truth.look(pulses, 5.2, is_open=True, fell=True)
    assert truth.since(0.0) == Verdict(Quality.SUSPECT, "meter-backwards")


def test_a_meter_that_does_not_turn_while_its_valve_is_open_is_doubted_until_it_does() -> None:
    truth = meter()
    flow(truth, 0, 29)
    assert truth.since(0.0) == GOOD
    flow(truth, 0, 2, begin_s=29.0)
    assert truth.since(0.0) == Verdict(Quality.SUSPECT, "meter-still")
    flow(truth, 20, 20, begin_s=31.0)
    assert truth.since(32.0) == GOOD


def test_a_meter_may_stand_still_while_its_valve_is_shut() -> None:
    truth = meter()
    for minute in range(100):
        truth.look(5, 60.0 * minute, is_open=False)
    assert truth.since(0.0) == GOOD


@pytest.mark.parametrize("pulses", [0, 10**9])
def test_what_was_counted_before_the_first_look_is_no_jump(pulses: int) -> None:
    truth = meter()
    truth.look(pulses, 1000.0, is_open=True)
    assert truth.since(0.0) == GOOD


def test_without_a_limit_no_flow_is_too_much() -> None:
    truth = meter(None)
    flow(truth, 10_000, 60)
    assert truth.since(0.0) == GOOD
