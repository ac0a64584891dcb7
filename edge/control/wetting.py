"""Whether the probes of a zone saw its water: the evidence that one is stuck. Standing still without water is none."""

from collections.abc import Mapping
from dataclasses import dataclass

MOVED_PCT = 0.5  # between the lowest and the highest reading; less is the converter's own noise
OTHERS_MOVED_PCT = 2.0  # clear enough to say that water came
FULL_BELOW_PCT = 10.0  # this near to the porosity there is little left to rise


@dataclass(frozen=True, slots=True)
class Unmoved:
    """Waterings in a row that a probe did not see: `behind` others of its zone that did, or `alone`.

    `at_pct` is where it stood: when it leaves that by itself, with rain or with dryness, it is not stuck.
    """

    behind: int = 0
    alone: int = 0
    at_pct: float | None = None


@dataclass(slots=True)
class _Seen:
    first: float
    low: float
    high: float


class Wetting:
    """One watering of one zone and the time that it takes to reach the probes. Times are monotonic s.

    A watering that begins before the last has been waited for belongs to it.
    """

    def __init__(self, least_s: float, wait_s: float) -> None:
        """`least_s`: shorter waterings prove nothing. `wait_s`: how long after its end the water may still arrive."""
        self._least_s = least_s
        self._wait_s = wait_s
        self._open_since_s: float | None = None
        self._open_s = 0.0
        self._ended_s: float | None = None
        self._seen: dict[str, _Seen] = {}

    @property
    def wet(self) -> bool:
        """Whether water runs or may still be on its way to the probes."""
        return self._open_since_s is not None or self._ended_s is not None

    def opened(self, at_s: float) -> None:
        """Water runs."""
        if self._open_since_s is None:
            self._open_since_s = at_s

    def closed(self, at_s: float) -> None:
        """Water no longer runs."""
        if self._open_since_s is not None:
            self._open_s += at_s - self._open_since_s
            self._open_since_s, self._ended_s = None, at_s

    def heard(self, sensor: str, value_pct: float) -> None:
        """A probe of the zone said something believable."""
        if self.wet:
            seen = self._seen.setdefault(sensor, _Seen(value_pct, value_pct, value_pct))
            seen.low, seen.high = min(seen.low, value_pct), max(seen.high, value_pct)

    def settle(
        self, before: Mapping[str, Unmoved], at_s: float, *, porosity_pct: Mapping[str, float]
    ) -> dict[str, Unmoved]:
        """Return the changed evidence of the probes once the watering has been waited for; nothing before that."""
        if self._open_since_s is not None or self._ended_s is None or at_s - self._ended_s < self._wait_s:
            return {}
        seen, long_enough = self._seen, self._open_s >= self._least_s
        self._seen, self._open_s, self._ended_s = {}, 0.0, None
        if not long_enough:
            return {}
        moved = {sensor: one.high - one.low for sensor, one in seen.items()}
        after: dict[str, Unmoved] = {}
        for sensor, one in seen.items():
            known = before.get(sensor, Unmoved())
            if moved[sensor] >= MOVED_PCT:
                after[sensor] = Unmoved()
            elif any(change >= OTHERS_MOVED_PCT for other, change in moved.items() if other != sensor):
                after[sensor] = Unmoved(known.behind + 1, known.alone, one.first)
            elif len(seen) == 1 and one.first < porosity_pct[sensor] - FULL_BELOW_PCT:
                after[sensor] = Unmoved(known.behind, known.alone + 1, one.first)
        return after


def moved_by_itself(known: Unmoved, value_pct: float) -> bool:
    """Whether a probe that saw no water has since left its place, so that it is not stuck."""
    return known.at_pct is not None and abs(value_pct - known.at_pct) >= OTHERS_MOVED_PCT
