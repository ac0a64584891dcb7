"""Water from counted pulses: a monotone counter over elapsed time, never a rate times a poll interval."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Count(StrEnum):
    """How a meter's counter moved between two readings."""

    FORWARD = "forward"  # or not at all
    WRAPPED = "wrapped"  # past its largest value, once
    BACKWARDS = "backwards"  # reset, or broken: what was counted meanwhile is unknown


@dataclass(frozen=True, slots=True)
class Pulses:
    """Pulses between two readings of a counter; 0 and BACKWARDS when they cannot be told."""

    delta: int
    count: Count


def pulses_between(before: int, after: int, *, wraps_at: int | None = None) -> Pulses:
    """Return how far a counter moved from `before` to `after`, both at least 0.

    A counter that starts again at 0 after `wraps_at` - 1 is taken to have wrapped if that means less than half a turn.
    """
    if after >= before:
        return Pulses(after - before, Count.FORWARD)
    if wraps_at is not None and (turned := after + wraps_at - before) < wraps_at / 2:
        return Pulses(turned, Count.WRAPPED)
    return Pulses(0, Count.BACKWARDS)


def litres(pulses: int, pulses_per_litre: float) -> float:
    """Return the litres that so many pulses mean; ValueError unless they are 0 or more and the factor above 0."""
    if pulses < 0:
        raise ValueError(f"pulses must be at least 0, not {pulses}")
    if not (math.isfinite(pulses_per_litre) and pulses_per_litre > 0):
        raise ValueError(f"pulses_per_litre must be above 0, not {pulses_per_litre:g}")
    return pulses / pulses_per_litre


def flow_l_min(pulses_delta: int, pulses_per_litre: float, elapsed_s: float) -> float:
    """Return the mean flow in L/min over `elapsed_s` monotonic seconds; ValueError unless that is above 0."""
    if not (math.isfinite(elapsed_s) and elapsed_s > 0):
        raise ValueError(f"elapsed_s must be above 0 s, not {elapsed_s:g}")
    return litres(pulses_delta, pulses_per_litre) * 60 / elapsed_s
