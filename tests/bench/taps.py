"""From the tap on the phone to the pin on the board, and back to the phone."""

import time
from dataclasses import dataclass, field

from tests.e2e.house import House

ZONE = "dau-tay"
WARM_UP, TAPS = 5, 60


@dataclass
class Tapped:
    """In ms from the moment before the POST: when the line went up, and when the live stream said "open"."""

    pin_ms: list[float] = field(default_factory=list)
    told_ms: list[float] = field(default_factory=list)


def measure(house: House) -> Tapped:
    """Tap, wait for pin and phone, stop, wait until it is closed and told; again and again."""
    phone = house.phone()
    house.all_ready(phone)
    tapped = Tapped()
    for number in range(WARM_UP + TAPS):
        begun_ns = time.monotonic_ns()
        run = phone.water(ZONE, minutes=0.5).raise_for_status().json()
        phone.wait_state(run["id"], "open")
        opened_ns = house.field.wait_zone(ZONE, after_ns=begun_ns).since_ns
        told_ns = next(at for at, seen in phone.heard if seen["id"] == run["id"] and seen["state"] == "open")
        if number >= WARM_UP:
            tapped.pin_ms.append((opened_ns - begun_ns) / 1e6)
            tapped.told_ms.append((told_ns - begun_ns) / 1e6)
        phone.stop(run["id"]).raise_for_status()
        phone.wait_state(run["id"], "stopped")
        house.field.wait_zone(ZONE, open=False)
    return tapped
