"""From readings in known soil to a probe's calibration: steady or refused, monotone or refused. Pure."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from edge.control.calibration import OPEN_SHARE, SHORT_SHARE
from edge.errors import Unfit

MOST_SPREAD = 0.01  # of the reference: 33 mV of 3.3 V; a probe that is still sinking in, or a loose wire, shows more
LEAST_STEP = 0.02  # between two points: closer together the line between them is noise
LEAST_POINTS, MOST_POINTS = 2, 8


@dataclass(frozen=True, slots=True)
class Shot:
    """What a probe showed in soil that holds `pct` (volumetric %): the median and the spread of `count` readings."""

    pct: float
    share: float
    spread: float
    count: int


def shoot(pct: float, shares: Sequence[float]) -> Shot:
    """Return the point of these readings; raise Unfit when they are at a rail or not steady."""
    if not 0 <= pct <= 100:
        raise Unfit("not-a-percentage", pct=pct)
    middle, spread = median(shares), max(shares) - min(shares)
    if middle >= OPEN_SHARE:
        raise Unfit("open-circuit", share=middle)
    if middle <= SHORT_SHARE:
        raise Unfit("short-circuit", share=middle)
    if spread > MOST_SPREAD:
        raise Unfit("unsteady", spread=spread, most=MOST_SPREAD, low=min(shares), high=max(shares))
    return Shot(pct, round(middle, 4), round(spread, 4), len(shares))


def curve(shots: Iterable[Shot]) -> tuple[tuple[float, float], ...]:
    """Return (share, %) with rising shares; raise Unfit for too few, too many, too close or not monotone."""
    ordered = sorted(shots, key=lambda shot: shot.share)
    if not LEAST_POINTS <= len(ordered) <= MOST_POINTS:
        raise Unfit("points-count", count=len(ordered), least=LEAST_POINTS, most=MOST_POINTS)
    for left, right in itertools.pairwise(ordered):
        if right.share - left.share < LEAST_STEP:
            raise Unfit("points-close", one=left.pct, other=right.pct, share=left.share, other_share=right.share)
    moistures = [shot.pct for shot in ordered]
    if moistures not in (sorted(set(moistures)), sorted(set(moistures), reverse=True)):
        raise Unfit("points-not-monotone", seen=", ".join(f"{shot.share:.3f} = {shot.pct:g} %" for shot in ordered))
    return tuple((shot.share, shot.pct) for shot in ordered)
