"""How far one reading of a soil probe can be believed: a table over what is known of it, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contract.messages import Quality

OPEN_SHARE, SHORT_SHARE = 0.985, 0.015  # a broken wire floats to the converter's reference, a short reads ground
BEYOND_MOST = 0.15  # of the calibrated span: further out it is not this soil, but air, a puddle or another probe
SPREAD_MOST_PCT = 4.0  # between the samples of one reading
UNMOVED_SUSPECT, UNMOVED_BAD = 1, 2  # waterings that the zone's other probes saw and this one did not
UNMOVED_ALONE = 3  # waterings that a probe did not see, with no other to compare
DRIFT_MOST_PCT = 6.0  # three times the +-2 % that makers of capacitive probes promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of one reading. `_pct` is volumetric; what is None or left out is not known, and says nothing."""

    fault: str | None = None  # the driver's code when it has no value at all
    doubt: str | None = None  # the driver's own doubt of the value that it has
    finite: bool = True
    share: float | None = None  # of the converter's reference, where the probe is on one
    value_pct: float | None = None
    porosity_pct: float = 100.0
    beyond: float = 0.0  # how far the raw value lies outside of the calibrated points, as a share of their span
    spread_pct: float = 0.0
    pace: str | None = None  # of edge.control.pace: it changed more than soil does
    unmoved: int = 0  # edge.control.wetting: waterings in a row that others of the zone saw
    unmoved_alone: int = 0
    drift_pct: float = 0.0  # edge.control.drift
    age_s: float = 0.0
    max_age_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A quality, and the stable code of its reason unless it is good."""

    quality: Quality
    reason: str | None = None


GOOD: Final = Verdict(Quality.GOOD)
_BAD, _STALE, _SUSPECT = Quality.BAD, Quality.STALE, Quality.SUSPECT

Row = tuple[Quality, Callable[[Evidence], str | None]]


def _if(reason: str, holds: Callable[[Evidence], bool]) -> Callable[[Evidence], str | None]:
    return lambda known: reason if holds(known) else None


TABLE: Final[tuple[Row, ...]] = (
    (_BAD, lambda known: known.fault),
    (_BAD, _if("not-a-number", lambda known: not known.finite)),
    (_BAD, _if("open-circuit", lambda known: known.share is not None and known.share >= OPEN_SHARE)),
    (_BAD, _if("short-circuit", lambda known: known.share is not None and known.share <= SHORT_SHARE)),
    (_BAD, _if("out-of-range", lambda known: known.beyond > BEYOND_MOST)),
    (_BAD, _if("below-zero", lambda known: known.value_pct is not None and known.value_pct < 0)),
    (_BAD, _if("above-porosity", lambda known: known.value_pct is not None and known.value_pct > known.porosity_pct)),
    (_BAD, _if("stuck", lambda known: known.unmoved >= UNMOVED_BAD)),
    (_STALE, _if("too-old", lambda known: known.age_s > known.max_age_s)),
    (_SUSPECT, _if("clamped", lambda known: known.beyond > 0)),
    (_SUSPECT, lambda known: known.pace),
    (_SUSPECT, _if("noisy", lambda known: known.spread_pct > SPREAD_MOST_PCT)),
    (_SUSPECT, _if("stuck", lambda known: known.unmoved >= UNMOVED_SUSPECT)),
    (_SUSPECT, _if("no-wetting", lambda known: known.unmoved_alone >= UNMOVED_ALONE)),
    (_SUSPECT, _if("drift", lambda known: known.drift_pct > DRIFT_MOST_PCT)),
    (_SUSPECT, lambda known: known.doubt),
)
"""The first row that gives a reason decides. There is no row for a value that stands still: dry soil does."""


def judge(known: Evidence) -> Verdict:
    """Return what a reading is worth by the evidence; good when nothing speaks against it."""
    for quality, holds in TABLE:
        if (reason := holds(known)) is not None:
            return Verdict(quality, reason)
    return GOOD
