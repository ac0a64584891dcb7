"""Killed while watering, with SIGKILL: dry within 3 s when the board's own parts die, on to the deadline and no longer
when the others do; afterwards nothing is lost and nothing doubled."""

import contextlib
import os
import signal

import pytest

from tests.e2e.house import House
from tests.e2e.phone import ENDS, Phone

pytestmark = pytest.mark.timeout(180)
ZONE = "dau-tay"


def watering(house: House, phone: Phone, minutes: float) -> dict[str, object]:
    """Start a run and return it once water flows."""
    run = phone.water(ZONE, minutes=minutes).raise_for_status().json()
    seen: dict[str, object] = phone.wait_state(run["id"], "watering")
    assert house.field.wait_zone(ZONE).open
    return seen


def closed_after_ms(house: House, killed_ns: int) -> float:
    """How long after that moment (monotonic ns) the valve closed."""
    return (house.field.wait_zone(ZONE, open=False, timeout=20, after_ns=killed_ns).since_ns - killed_ns) / 1e6


@pytest.mark.parametrize(
    ("part", "how"),
    [("agent", signal.SIGKILL), ("guard", signal.SIGKILL), ("agent", signal.SIGSTOP), ("guard", signal.SIGSTOP)],
    ids=["agent killed", "guard killed", "agent frozen", "guard frozen"],
)
def test_a_dead_or_frozen_part_of_the_board_leaves_the_valve_closed_within_3_s(
    house: House, phone: Phone, part: str, how: signal.Signals
) -> None:
    run = watering(house, phone, minutes=5)
    pid, killed_ns = house.kill(f"{house.node_of(ZONE)}-{part}", how)
    try:
        assert closed_after_ms(house, killed_ns) < 3000
    finally:
        if how is signal.SIGSTOP:
            with contextlib.suppress(ProcessLookupError):  # a frozen guard is killed by its agent
                os.kill(pid, signal.SIGCONT)
    ended = phone.wait_state(str(run["id"]), *ENDS, timeout_s=60)
    assert ended["state"] == "interrupted"
    assert ended["reason"] is not None
    house.all_ready(phone)
    assert not house.field.zone_valve(ZONE).open  # and it stays closed once everything is back


@pytest.mark.parametrize("part", ["gateway", "server", "broker"])
def test_when_the_others_die_the_board_waters_on_to_its_deadline_and_no_longer(
    house: House, phone: Phone, part: str
) -> None:
    known = {run["id"] for run in phone.runs_of(ZONE)}
    before_l = house.field.litres(ZONE)
    run = watering(house, phone, minutes=0.2)
    opened_ns = house.field.zone_valve(ZONE).since_ns
    _, killed_ns = house.kill(part)
    closed = house.field.wait_zone(ZONE, open=False, timeout=30, after_ns=killed_ns)
    assert (closed.since_ns - opened_ns) / 1e9 == pytest.approx(12, abs=1.5)
    poured_l = house.field.litres(ZONE) - before_l
    house.all_ready(phone)
    done = phone.run(str(run["id"]))
    assert done["state"] == "done"
    assert done["litres"] == pytest.approx(poured_l, abs=0.3)
    assert [seen["id"] for seen in phone.runs_of(ZONE) if seen["id"] not in known] == [run["id"]]  # nothing doubled
