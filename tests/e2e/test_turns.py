"""Turns at the shared stream, from the manager's word to the gateway's plan, and from a valve to a household's account."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.house import House
from tests.e2e.phone import Phone

pytestmark = pytest.mark.timeout(120)
SUOI = "/farms/mai/sources/suoi"
OF_THE_STREAM = ("man-hau", "xoai-doi", "ca-phe-doi")


def test_other_turns_reach_the_gateways_plan_which_is_the_preview(house: House, phone: Phone) -> None:
    manager = house.phone("manager")
    (rota,) = manager.http.get("/farms/mai/rotas").raise_for_status().json()["rotas"]
    begun = {name: rota[name] for name in ("unit", "anchor", "period_days", "shares")}
    soon = datetime.now(UTC) + timedelta(minutes=10)
    only_tung = begun | {"anchor": soon.isoformat(), "shares": [{"household_id": "tung", "amount": 60}]}
    refused = phone.http.put(f"{SUOI}/rota", json=only_tung)
    assert refused.status_code == 403  # a farmer sets no turns
    foreseen = manager.http.post(f"{SUOI}/rota/preview", params={"days": 7}, json=only_tung).raise_for_status().json()
    manager.http.put(f"{SUOI}/rota", json=only_tung).raise_for_status()
    try:
        phone.wait(
            lambda view: all(starts_before(view["zones"][zone], soon) for zone in OF_THE_STREAM), "the new turns"
        )
        plan = phone.http.get("/farms/mai/timetable", params={"days": 7}).raise_for_status().json()
        later = [skip for skip in plan["skipped"] if skip["zone_id"] in OF_THE_STREAM and told(skip["due"]) > soon]
        assert {skip["rule"] for skip in later} <= {"no-share", "outside-turn"}
        assert later
        preview = phone.http.post("/farms/mai/preview", params={"days": 7}, json={"programs": []}).raise_for_status()
        assert starts(preview.json()) == starts(plan)
        of_stream = {
            name: [one for one in plan[name] if one["zone_id"] in OF_THE_STREAM] for name in ("entries", "skipped")
        }
        assert starts(foreseen["timetable"]) == starts(of_stream)  # before it was saved
        assert skips(foreseen["timetable"]) == skips(of_stream) != []
        now = phone.http.get(f"{SUOI}/turns", params={"days": 7}).raise_for_status().json()
        assert turns(foreseen) == turns(now)
    finally:
        manager.http.put(f"{SUOI}/rota", json=begun).raise_for_status()  # that one has not begun, and is forgotten
    phone.wait(
        lambda view: any(not starts_before(view["zones"][zone], soon) for zone in OF_THE_STREAM), "the old turns"
    )


def test_water_by_hand_comes_at_once_and_stands_in_the_households_account(house: House, phone: Phone) -> None:
    def received() -> float:
        (now,) = phone.http.get(f"{SUOI}/account", params={"rounds": 1}).raise_for_status().json()["rounds"]
        litres: float = next(each["metered_l"] for each in now["households"] if each["household_id"] == "lan")
        return litres

    before_l = received()
    run = phone.water("ca-phe-doi", minutes=0.15).raise_for_status().json()
    done = phone.wait_state(run["id"], "done")
    assert done["litres"] > 1
    assert received() - before_l == pytest.approx(done["litres"], abs=0.01)


def told(at: str) -> datetime:
    return datetime.fromisoformat(at)


def starts_before(zone: dict[str, Any], moment: datetime) -> bool:
    return zone["next"] is None or told(zone["next"]["start"]) < moment


def skips(plan: dict[str, Any]) -> list[tuple[str, str]]:
    """What is left out in the coming six days, and why."""
    last = datetime.now(UTC) + timedelta(days=6)
    return [(skip["id"], skip["rule"]) for skip in plan["skipped"] if told(skip["due"]) < last]


def turns(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The turns of the coming six days."""
    last = datetime.now(UTC) + timedelta(days=6)
    return [
        (turn["household_id"], turn["start"], turn["end"]) for turn in answer["turns"] if told(turn["start"]) < last
    ]


def starts(plan: dict[str, Any]) -> list[tuple[str, str]]:
    """The starts of the coming six days: the seventh ends at another moment for the one than for the other."""
    last = datetime.now(UTC) + timedelta(days=6)
    return [(entry["id"], entry["start"]) for entry in plan["entries"] if told(entry["start"]) < last]
