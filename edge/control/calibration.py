"""From what a converter reads to what the ground holds, and how far that can be believed."""

import itertools
from collections.abc import Sequence

from contract.messages import Quality

OPEN_SHARE, SHORT_SHARE = 0.985, 0.015  # a broken wire floats to the reference, a short reads ground


def moisture(share: float, points: Sequence[tuple[float, float]]) -> tuple[float, Quality, str | None]:
    """Return (volumetric %, quality, reason) of a capacitive probe; `points` are (share, %) with rising shares.

    Piecewise linear between the points. Outside of them the value is clamped and suspect; at the rails it is bad.
    """
    if share >= OPEN_SHARE:
        return along(share, points), Quality.BAD, "open-circuit"
    if share <= SHORT_SHARE:
        return along(share, points), Quality.BAD, "short-circuit"
    clamped = not points[0][0] <= share <= points[-1][0]
    return along(share, points), Quality.SUSPECT if clamped else Quality.GOOD, "clamped" if clamped else None


def along(share: float, points: Sequence[tuple[float, float]]) -> float:
    """Return the value at `share`, piecewise linear between the points and clamped outside of them."""
    if share <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in itertools.pairwise(points):
        if share <= right:
            return low + (high - low) * (share - left) / (right - left)
    return points[-1][1]
