"""Water from a source through regulated drip valves: nominal flow while the pressure holds, less when they share.

A source of closed-valve head H0 loses head with the square of its flow (turbulent pipe and pump curve, Darcy-Weisbach):
H(Q) = H0 (1 - (Q / Qmax)²). An emitter's flow goes with the square root of its head (Keller & Karmeli 1974, exponent
x = 0.5), and a pressure regulator at each valve holds the working head, so the flow is never above the nominal one.
"""

import math
from collections.abc import Mapping
from typing import Final

HEAD_RATIO: Final = 2.0
"""Head of a source with closed valves over the working head of the drip lines: a tank 20 m up, lines at 1 bar."""

HELD_SHARE: Final = math.sqrt((HEAD_RATIO - 1) / HEAD_RATIO)
"""The share of the largest flow up to which every valve still has its working head."""


def max_flow_l_min(capacity_l_min: float) -> float:
    """Return the flow of the open pipe, of a source that holds the working head up to `capacity_l_min`."""
    return capacity_l_min / HELD_SHARE


def share_flow(nominal_l_min: Mapping[str, float], max_l_min: float) -> dict[str, float]:
    """Return each open valve's flow; their sum is below `max_l_min`, none is above its nominal flow.

    With demand D, all flows are s x nominal, where s² = H(sD) / H_working, at most 1; solved for s in closed form.
    """
    demand = sum(nominal_l_min.values())
    if demand <= 0 or max_l_min <= 0:
        return dict.fromkeys(nominal_l_min, 0.0)
    scale = min(1.0, math.sqrt(HEAD_RATIO / (1 + HEAD_RATIO * (demand / max_l_min) ** 2)))
    return {valve: scale * nominal for valve, nominal in nominal_l_min.items()}


def settle(flow_l_min: float, target_l_min: float, seconds: float, fill_s: float) -> tuple[float, float]:
    """Return the flow after `seconds` of nearing its target with time constant `fill_s`, and the litres passed."""
    if fill_s <= 0:
        return target_l_min, target_l_min * seconds / 60
    fading = math.exp(-seconds / fill_s)
    after = target_l_min + (flow_l_min - target_l_min) * fading
    litres = (target_l_min * seconds + (flow_l_min - target_l_min) * fill_s * (1 - fading)) / 60
    return after, max(0.0, litres)
