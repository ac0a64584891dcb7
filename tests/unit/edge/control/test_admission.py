from datetime import timedelta

import pytest

from contract.messages import Reason
from edge.control.admission import ChannelStanding, refuse
from edge.control.order import Order
from irrigation.model import Dose
from tests.unit.edge.control.orders import NOW, order, standing


def reason(
    an_order: Order, channel: ChannelStanding | None, *, was_closed: bool = False, guard_up: bool = True
) -> str | None:
    found = refuse(an_order, channel, NOW, was_closed=was_closed, guard_up=guard_up)
    return found.code if found else None


def test_an_order_that_nothing_speaks_against_may_open() -> None:
    assert reason(order(), standing()) is None


def test_the_board_s_own_plan_does_not_expire() -> None:
    assert reason(order(expires_at=None), standing()) is None


def test_before_the_farm_s_settings_came_the_zone_is_taken_as_said() -> None:
    assert reason(order(), standing(zone_id=None, zone_max_run_s=None)) is None


@pytest.mark.parametrize(
    ("an_order", "channel", "code"),
    [
        (order(expires_at=NOW), standing(), "expired"),
        (order(expires_at=NOW - timedelta(hours=7)), standing(), "expired"),
        (order(), None, "unknown-channel"),
        (order(), standing(zone_id="rice"), "zone-mismatch"),
        (order(max_s=3601), standing(zone_max_run_s=7200), "above-cap"),  # the farm cannot raise the board's cap
        (order(max_s=1200), standing(zone_max_run_s=600), "above-cap"),  # but it can lower it
        (order(max_s=1200), standing(used_day_s=6001), "daily-cap"),
        (order(), standing(run_id="run-0"), "zone-busy"),
        (order(), standing(close_failed=True), "close-failed"),
        (order(), standing(quarantine=Reason(code="burst"), close_failed=True), "quarantined"),
        (order(), standing(supply_lock=("pump", "night-flow")), "supply-locked"),
        (order(dose=Dose(until_moisture_pct=36, max_minutes=20)), standing(), "no-fresh-probe"),
    ],
)
def test_an_order_is_refused_for_the_first_reason(an_order: Order, channel: ChannelStanding | None, code: str) -> None:
    assert reason(an_order, channel) == code


def test_a_run_that_was_stopped_before_it_came_does_not_open() -> None:
    assert reason(order(), standing(), was_closed=True) == "stopped-before"


def test_nothing_opens_without_a_guard() -> None:
    assert reason(order(), standing(), guard_up=False) == "guard-lost"


def test_the_whole_cap_of_a_day_can_be_used() -> None:
    assert reason(order(max_s=1200), standing(used_day_s=6000)) is None


def test_a_moisture_dose_opens_with_a_probe_that_answers() -> None:
    assert reason(order(dose=Dose(until_moisture_pct=36, max_minutes=20)), standing(moisture_pct=40)) is None


def test_a_dose_with_two_thresholds_waters_only_soil_that_is_drier_than_the_lower_one() -> None:
    twice = order(dose=Dose(until_moisture_pct=36, max_minutes=20, start_below_pct=28))
    assert reason(twice, standing(moisture_pct=27.9)) is None
    assert reason(twice, standing(moisture_pct=28.0)) == "wet-enough"
    assert reason(twice, standing()) == "no-fresh-probe"


def test_the_refusal_says_the_cap_and_what_was_asked() -> None:
    found = refuse(order(max_s=1200), standing(zone_max_run_s=600), NOW, was_closed=False, guard_up=True)
    assert found is not None
    assert found.params == {"max_s": 600, "asked_s": 1200}
