from datetime import timedelta

import pytest

from contract.messages import Reason
from edge.control.watering import SETTLE_MOST_S, SETTLE_S, STILL_AFTER_S, Watering
from irrigation.model import Dose
from irrigation.run import IllegalMove, RunState
from tests.unit.edge.control.orders import NOW, order


def opened(dose: Dose | None = None, *, metered: bool = True) -> Watering:
    watering = Watering(order=order(dose=dose or Dose(minutes=20)))
    watering.opened(NOW, NOW + timedelta(minutes=20), 100.0, metered=metered)
    return watering


def test_a_pulse_of_the_meter_makes_an_open_valve_a_watering_one() -> None:
    watering = opened()
    states = [(watering.metered(litres, at_s), watering.state) for litres, at_s in ((0.0, 100.2), (0.1, 100.4))]
    assert states == [(False, RunState.OPEN), (True, RunState.WATERING)]
    assert not watering.metered(0.2, 100.6)


def test_without_a_meter_it_stays_open_and_counts_nothing() -> None:
    watering = opened(metered=False)
    assert not watering.metered(5.0, 101)
    assert (watering.state, watering.litres, watering.flow_l_min) == (RunState.OPEN, None, None)


def test_the_flow_is_litres_over_elapsed_time_whenever_it_is_looked_at() -> None:
    watering = opened()
    watering.metered(0.4, 103.0)
    assert watering.flow_l_min == pytest.approx(8.0)
    watering.metered(0.5, 103.5)  # too soon to say anew
    assert watering.flow_l_min == pytest.approx(8.0)
    watering.metered(2.0, 107.0)
    assert watering.flow_l_min == pytest.approx(24.0)


def test_a_counter_that_falls_takes_nothing_back() -> None:
    watering = opened()
    watering.metered(3.0, 101.0)
    watering.metered(1.0, 102.5)
    assert watering.litres == 3.0
    assert watering.flow_l_min == 0.0


def test_a_meter_that_stands_still_makes_it_open_again() -> None:
    watering = opened()
    watering.metered(1.0, 101.0)
    assert not watering.metered(1.0, 101.0 + STILL_AFTER_S - 0.1)
    assert watering.metered(1.0, 101.0 + STILL_AFTER_S)
    assert (watering.state, watering.flow_l_min) == (RunState.OPEN, 0.0)


@pytest.mark.parametrize(
    ("dose", "litres", "moisture_pct", "reached"),
    [
        (Dose(litres=900), 899.9, None, False),
        (Dose(litres=900), 900.0, None, True),
        (Dose(minutes=1), 900.0, 50.0, False),  # the guard's deadline ends it
        (Dose(until_moisture_pct=36, max_minutes=60), 0.0, 35.9, False),
        (Dose(until_moisture_pct=36, max_minutes=60), 0.0, 36.0, True),
        (Dose(until_moisture_pct=36, max_minutes=60), 0.0, None, False),  # unknown is not wet
    ],
)
def test_a_dose_is_reached_by_counted_litres_or_measured_moisture(
    dose: Dose, litres: float, moisture_pct: float | None, reached: bool
) -> None:
    watering = opened(dose)
    watering.metered(litres, 101)
    assert watering.dose_reached(moisture_pct) is reached


def test_litres_without_a_meter_are_ended_by_time_and_that_is_all_of_it() -> None:
    watering = opened(Dose(litres=900), metered=False)
    assert not watering.dose_reached(None)
    assert not watering.wanted_more()


@pytest.mark.parametrize(
    ("dose", "more"),
    [(Dose(litres=900), True), (Dose(until_moisture_pct=36, max_minutes=60), True), (Dose(minutes=5), False)],
)
def test_a_measured_dose_that_time_cuts_short_wanted_more(dose: Dose, more: bool) -> None:
    assert opened(dose).wanted_more() is more


def test_the_first_end_that_was_decided_stays() -> None:
    watering = opened()
    reason = Reason(code="stopped-by-person")
    assert watering.end(RunState.STOPPED, reason)
    assert not watering.end(RunState.INTERRUPTED, Reason(code="guard-lost"))
    watering.closed(12.5, 112.5)
    assert watering.finish() == (RunState.STOPPED, reason)
    assert (watering.state, watering.open_s, watering.flow_l_min) == (RunState.STOPPED, 12.5, 0.0)


def test_the_end_waits_until_the_meter_has_run_out() -> None:
    watering = opened()
    watering.end(RunState.DONE)
    assert not watering.settled(112.0)
    watering.closed(12.0, 112.0)
    assert not watering.settled(112.0 + SETTLE_S - 0.01)
    watering.metered(1.0, 112.2)
    assert not watering.settled(112.0 + SETTLE_S)
    assert watering.settled(112.2 + SETTLE_S)


def test_a_meter_that_never_stops_does_not_keep_the_end_back() -> None:
    watering = opened()
    watering.end(RunState.DONE)
    watering.closed(12.0, 112.0)
    watering.metered(1.0, 112.0 + SETTLE_MOST_S)
    assert watering.settled(112.0 + SETTLE_MOST_S)


def test_without_a_meter_the_end_waits_for_nothing() -> None:
    watering = opened(metered=False)
    watering.end(RunState.DONE)
    watering.closed(12.0, 112.0)
    assert watering.settled(112.0)
    watering.finish()
    assert watering.flow_l_min is None


def test_a_run_that_ends_before_anybody_decided_why_was_interrupted() -> None:
    watering = opened()
    assert watering.finish() == (RunState.INTERRUPTED, None)


def test_a_run_cannot_open_twice() -> None:
    watering = opened()
    with pytest.raises(IllegalMove):
        watering.opened(NOW, NOW, 101.0, metered=True)


def test_litres_of_a_meter_that_is_wrong_are_not_known() -> None:
    watering = opened(Dose(litres=10))
    assert watering.metered(5000.0, 101.0)
    watering.distrust_meter()
    assert (watering.state, watering.litres, watering.flow_l_min) == (RunState.OPEN, None, None)
    assert not watering.dose_reached(None)
    assert not watering.metered(5001.0, 102.0)


UNTIL = Dose(until_moisture_pct=36, max_minutes=20)


def test_moisture_must_be_reached_at_every_good_probe() -> None:
    watering = opened(UNTIL)
    assert watering.dose_ends([36.0, 35.9], probes_lost=None, meter_doubt=None) is None
    assert watering.dose_ends([], probes_lost=None, meter_doubt=None) is None
    assert watering.dose_ends([36.0, 40.0], probes_lost=None, meter_doubt="meter-jump") == (RunState.DONE, None)


def test_without_a_probe_to_wait_for_the_run_is_ended_and_a_dose_of_minutes_does_not_care() -> None:
    end = opened(UNTIL).dose_ends([], probes_lost="hung", meter_doubt=None)
    assert end == (RunState.INTERRUPTED, Reason(code="probe-lost", params={"reason": "hung"}))
    assert opened().dose_ends([], probes_lost="no-probe", meter_doubt=None) is None
    assert opened(Dose(litres=5)).dose_ends([], probes_lost="no-probe", meter_doubt=None) is None


@pytest.mark.parametrize(
    ("doubt", "ends"),
    [
        (None, True),
        ("meter-still", True),
        ("meter-jump", False),
        ("meter-backwards", False),
        ("meter-above-physical", False),
    ],
)
def test_litres_that_cannot_be_end_no_dose(doubt: str | None, ends: bool) -> None:
    watering = opened(Dose(litres=5))
    watering.metered(5.0, 130.0)
    assert watering.dose_ends([], probes_lost=None, meter_doubt=doubt) == ((RunState.DONE, None) if ends else None)
    assert watering.cap_code(doubt) == (doubt or "time-cap")
    assert opened(UNTIL).cap_code(doubt) == "time-cap"
