"""From a changed program to the board that waters by it."""

import time
from typing import Any

from tests.bench.limits import percentile
from tests.e2e.house import House
from tests.e2e.phone import Phone

CHANGES = 12
_LOOK_AGAIN_S = 0.01


def reached_s(house: House) -> float:
    """Change a program again and again; return the p95 in s until its board was told to hold a plan with the change.

    The first zone's dose goes up and down by a minute, and each change waits for the one before, as a person would.
    """
    phone = house.phone("manager")
    house.all_ready(phone)
    told = phone.http.get("/farms/mai/programs").raise_for_status().json()["programs"]
    program = next(one for one in told if one["enabled"] and one["zones"][0]["dose"].get("minutes"))
    part = program["zones"][0]
    node = house.node_of(part["zone_id"])
    taken = []
    for number in range(CHANGES):
        minutes = part["dose"]["minutes"] + (-1 if number % 2 else 1)
        part["dose"]["minutes"] = minutes
        begun_s = time.monotonic()
        program = phone.http.put(f"/programs/{program['id']}", json=program).raise_for_status().json()
        part = program["zones"][0]
        version = _planned(phone, program["id"], part["zone_id"], minutes)
        phone.wait(
            lambda view, version=version: _held(view, node) >= version,  # type: ignore[misc]
            f"plan {version} at {node}",
        )
        taken.append(time.monotonic() - begun_s)
    return percentile(taken, 0.95)


def _planned(phone: Phone, program_id: str, zone_id: str, minutes: float) -> int:
    """Return the version of the plan that waters the zone for so long, once the gateway has made it."""
    while True:
        table = phone.http.get("/farms/mai/timetable", params={"days": 14}).raise_for_status().json()
        mine = [e for e in table["entries"] if (e["program_id"], e["zone_id"]) == (program_id, zone_id)]
        if mine and all(entry["dose"].get("minutes") == minutes for entry in mine):
            return int(table["version"])
        time.sleep(_LOOK_AGAIN_S)  # the live stream tells when zones water next, not with how much


def _held(view: dict[str, Any], node: str) -> int:
    return int(view["nodes"][node]["timetable_version"] or 0)
