"""A valve that sticks open, from the field to the phone: the alert, the refusal, the technician's reset, and water again."""

from typing import Any

import pytest

from tests.e2e.house import House
from tests.e2e.phone import Phone

pytestmark = pytest.mark.timeout(180)
ZONE = "dau-tay"


def test_a_valve_that_sticks_open_is_alarmed_locked_and_waters_again_when_it_is_mended(
    house: House, phone: Phone
) -> None:
    valve = house.field.zone_valve(ZONE)
    run = phone.water(ZONE, litres=4).raise_for_status().json()
    phone.wait_state(run["id"], "watering")
    with house.field.broken("valve-stuck-open", f"{valve.node}/{valve.gpio}"):
        alert = phone.wait(
            lambda view: next((one for one in view["alerts"].values() if one["kind"] == "flow-while-closed"), None),
            "the alert",
            60,
        )
        assert (alert["severity"], alert["zone_id"], alert["node_id"]) == ("critical", ZONE, valve.node)
        shown = phone.wait(lambda view: quarantined(view, valve.node), "the lock", 10)
        assert (shown["state"], shown["quarantine"]["code"]) == ("close_failed", "flow-while-closed")
        refused = phone.water(ZONE, minutes=1).raise_for_status().json()
        assert phone.wait_state(refused["id"], "refused")["reason"]["code"] == "close-failed"
        path = f"/farms/mai/nodes/{valve.node}/channels/{shown['channel']}/reset"
        assert phone.http.post(path).status_code == 403  # a farmer's word does not mend it
    technician = house.phone("technician")
    technician.http.post(path).raise_for_status()
    phone.wait(lambda view: quarantined(view, valve.node) is None, "the valve unlocked", 20)
    phone.wait(
        lambda view: all(one["kind"] != "flow-while-closed" for one in view["alerts"].values()), "the alert gone", 20
    )
    again = phone.water(ZONE, litres=2).raise_for_status().json()
    phone.wait_state(again["id"], "done")


def quarantined(view: dict[str, Any], node: str) -> dict[str, Any] | None:
    """The locked valve of a board as the phone is told."""
    return next((valve for valve in view["nodes"][node]["valves"] if valve["quarantine"] is not None), None)
