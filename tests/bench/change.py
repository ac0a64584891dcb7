"""From a changed program to the board that waters by it."""

import time
from typing import Any

from tests.bench.limits import percentile
from tests.e2e.house import House

CHANGES = 12


def reached_s(house: House) -> float:
    """Change a program again and again; return the p95 in s until the live stream said that its board holds the new plan.

    The first zone's dose goes up and down by a minute, and each change waits for the one before, as a person would.
    """
    phone = house.phone("manager")
    house.all_ready(phone)
    told = phone.http.get("/farms/mai/programs").raise_for_status().json()["programs"]
    program = next(one for one in told if one["enabled"] and one["zones"][0]["dose"].get("minutes"))
    node = house.node_of(program["zones"][0]["zone_id"])
    taken = []
    for number in range(CHANGES):
        program["zones"][0]["dose"]["minutes"] += -1 if number % 2 else 1
        held = _held(phone.view, node)
        begun_s = time.monotonic()
        program = phone.http.put(f"/programs/{program['id']}", json=program).raise_for_status().json()
        phone.wait(lambda view, held=held: _held(view, node) > held, f"a newer plan of {node}")  # type: ignore[misc]
        taken.append(time.monotonic() - begun_s)
    return percentile(taken, 0.95)


def _held(view: dict[str, Any], node: str) -> int:
    return int(view["nodes"][node]["timetable_version"] or 0)
