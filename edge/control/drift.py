"""Whether a probe has slowly gone wrong, by daily means: against the other probes of its zone, or its own first year.

What it can not do: tell which of two probes drifts (both become suspect), see a drift that all probes of a zone share,
or tell drift from a soil that has changed (a ditch, a mulch). Hence it is a doubt and never a verdict, and a new
calibration begins the evidence anew. A probe that is alone in its zone is held against its own first year, which has
seen every season; before that year is over nothing is said of it.
"""

from dataclasses import dataclass, replace
from datetime import date
from statistics import median

WEEK = 7
YEAR = 365
LEAST_READINGS = 12  # of a day, so that it counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Evidence over days. A gap is the probe's value less the median of the other good probes of its zone, in %."""

    day: date | None = None
    count: int = 0
    sum_pct: float = 0.0
    gaps: int = 0
    sum_gap_pct: float = 0.0
    first_gaps: tuple[float, ...] = ()  # daily, of the first week
    last_gaps: tuple[float, ...] = ()  # daily, of the last week
    days: int = 0  # of the year that the envelope was learned in
    low_pct: float = 0.0
    high_pct: float = 0.0
    last_pct: tuple[float, ...] = ()  # daily means of the last week

    def heard(self, day: date, value_pct: float, gap_pct: float | None) -> "Drift":
        """Take a reading of that day; a day that has ended becomes a daily mean."""
        known = self if day == self.day else replace(self.ended(), day=day, count=0, sum_pct=0.0, gaps=0, sum_gap_pct=0)
        known = replace(known, count=known.count + 1, sum_pct=known.sum_pct + value_pct)
        if gap_pct is None:
            return known
        return replace(known, gaps=known.gaps + 1, sum_gap_pct=known.sum_gap_pct + gap_pct)

    def ended(self) -> "Drift":
        """Return the evidence with the day at hand closed."""
        known = self
        if self.gaps >= LEAST_READINGS:
            gap = self.sum_gap_pct / self.gaps
            if len(self.first_gaps) < WEEK:
                known = replace(known, first_gaps=(*self.first_gaps, gap))
            else:
                known = replace(known, last_gaps=(*self.last_gaps, gap)[-WEEK:])
        if self.count < LEAST_READINGS:
            return known
        mean = self.sum_pct / self.count
        known = replace(known, last_pct=(*self.last_pct, mean)[-WEEK:])
        if self.days >= YEAR:
            return known
        low, high = (min(self.low_pct, mean), max(self.high_pct, mean)) if self.days else (mean, mean)
        return replace(known, days=self.days + 1, low_pct=low, high_pct=high)

    @property
    def pct(self) -> float:
        """How far it has drifted, volumetric %; 0 while there is too little to say."""
        if len(self.last_gaps) == WEEK:
            return abs(median(self.last_gaps) - median(self.first_gaps))
        if self.days < YEAR or len(self.last_pct) < WEEK:
            return 0.0
        return min(max(self.low_pct - mean, mean - self.high_pct, 0.0) for mean in self.last_pct)
