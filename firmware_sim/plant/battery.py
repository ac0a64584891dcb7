"""A board's 12 V lead-acid battery with its solar panel."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_REST_V: Final = ((0.0, 11.6), (0.2, 11.95), (0.4, 12.2), (0.6, 12.4), (0.8, 12.6), (1.0, 12.75))
"""Open-circuit voltage by charge, 12 V lead-acid at 25 °C: Linden & Reddy, Handbook of Batteries, chapter 23."""


@dataclass(frozen=True, slots=True)
class Supply:
    """Battery capacity, panel power at 1000 W/m², and what the board and one open valve draw."""

    capacity_wh: float = 84.0  # 7 Ah
    panel_w: float = 10.0
    board_w: float = 0.9  # a Pi Zero 2 W, mostly idle
    valve_w: float = 3.6  # a held 12 V solenoid


def step(supply: Supply, charge: float, hours: float, *, light_w_m2: float, open_valves: int) -> float:
    """Return the charge (0 to 1) after `hours`; charging loses 15 %, a full battery takes no more."""
    gained_w = 0.85 * supply.panel_w * light_w_m2 / 1000
    used_w = supply.board_w + supply.valve_w * open_valves
    return max(0.0, min(1.0, charge + (gained_w - used_w) * hours / supply.capacity_wh))


def voltage_v(charge: float, *, light_w_m2: float, open_valves: int) -> float:
    """Return the terminal voltage: that at rest, raised while charging (float limit 13.8 V), lower under load."""
    rest_v = _REST_V[-1][1]
    for (low, low_v), (high, high_v) in pairwise(_REST_V):
        if charge <= high:
            rest_v = low_v + (high_v - low_v) * (charge - low) / (high - low)
            break
    return min(13.8, rest_v + 0.9 * min(1.0, light_w_m2 / 600)) - 0.05 * open_valves
