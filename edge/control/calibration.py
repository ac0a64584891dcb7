"""From what a probe says to what the ground holds: straight lines between points that were measured in the soil."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

Points = Sequence[tuple[float, float]]
"""2 to 8 of (raw, volumetric %), raw rising, % only rising or only falling; the ends are dry and saturated soil."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A value within the points; `beyond` > 0 when the raw value lies outside of them, as a share of their span."""

    value_pct: float
    beyond: float = 0.0


def calibrated(raw: float, points: Points) -> Calibrated:
    """Return the moisture that a finite raw value means. Outside of the points it is clamped to the nearer end."""
    (least, at_least), (most, at_most) = points[0], points[-1]
    if raw < least:
        return Calibrated(at_least, (least - raw) / (most - least))
    if raw > most:
        return Calibrated(at_most, (raw - most) / (most - least))
    for (left, low), (right, high) in itertools.pairwise(points):
        if raw <= right:
            # So that no rounding leaves the segment: a wetter raw value never reads drier.
            share = (raw - left) / (right - left)
            return Calibrated(max(min(low, high), min(max(low, high), low + (high - low) * share)))
    return Calibrated(at_most)
