"""From readings in known soil to a probe's calibration: steady or refused, monotone or refused. Pure."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from edge.control.quality import OPEN_SHARE, SHORT_SHARE
from edge.errors import Unfit

MOST_SPREAD = 0.01  # of the scale: 33 mV of 3.3 V; a probe that is still sinking in, or a loose wire, shows more
LEAST_STEP = 0.02  # of the scale, between two points: closer together the line between them is noise
LEAST_POINTS, MOST_POINTS = 2, 8


@dataclass(frozen=True, slots=True)
class Shot:
    """What a probe showed in soil that holds `pct` (volumetric %): the median and the spread of `count` readings."""

    pct: float
    raw: float
    spread: float
    count: int


def shoot(pct: float, raws: Sequence[float], *, is_share: bool) -> Shot:
    """Return the point of these readings; raise Unfit when they are at a rail or not steady.

    `is_share`: of a converter's reference, 0 to 1, whose ends tell a broken wire; else what a digital probe counts.
    """
    if not 0 <= pct <= 100:
        raise Unfit("not-a-percentage", pct=pct)
    middle, spread = median(raws), max(raws) - min(raws)
    if is_share and middle >= OPEN_SHARE:
        raise Unfit("open-circuit", share=middle)
    if is_share and middle <= SHORT_SHARE:
        raise Unfit("short-circuit", share=middle)
    most = MOST_SPREAD * (1.0 if is_share else abs(middle))
    if spread > most:
        raise Unfit("unsteady", spread=spread, most=most, low=min(raws), high=max(raws))
    return Shot(pct, round(middle, 4), round(spread, 4), len(raws))


def curve(shots: Iterable[Shot], *, is_share: bool) -> tuple[tuple[float, float], ...]:
    """Return (raw, %) with rising raw values; raise Unfit for too few, too many, too close or not monotone."""
    ordered = sorted(shots, key=lambda shot: shot.raw)
    if not LEAST_POINTS <= len(ordered) <= MOST_POINTS:
        raise Unfit("points-count", count=len(ordered), least=LEAST_POINTS, most=MOST_POINTS)
    for left, right in itertools.pairwise(ordered):
        if right.raw - left.raw < LEAST_STEP * (1.0 if is_share else max(abs(left.raw), abs(right.raw))):
            raise Unfit("points-close", one=left.pct, other=right.pct, share=left.raw, other_share=right.raw)
    moistures = [shot.pct for shot in ordered]
    if moistures not in (sorted(set(moistures)), sorted(set(moistures), reverse=True)):
        raise Unfit("points-not-monotone", seen=", ".join(f"{shot.raw:.4g} = {shot.pct:g} %" for shot in ordered))
    return tuple((shot.raw, shot.pct) for shot in ordered)
