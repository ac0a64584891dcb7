"""A soil probe as the board knows it: its samples go in, and a reading with its quality and reason comes out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from statistics import median

from contract.messages import Quality
from edge.control.calibration import Points, calibrated
from edge.control.drift import Drift
from edge.control.pace import Limits, Pace
from edge.control.quality import GOOD, Evidence, Verdict, judge
from edge.control.wetting import Unmoved, moved_by_itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a probe's readings are held against. Without `points` its raw value is the volumetric %."""

    points: Points | None = None
    porosity_pct: float = 60.0  # more water than pores cannot be
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What must survive a restart. It is of one calibration: another one begins anew."""

    points: tuple[tuple[float, float], ...] = ()
    unmoved: Unmoved = field(default_factory=Unmoved)
    drift: Drift = field(default_factory=Drift)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One reading. `value_pct` is None when there is none to tell; `at_s` is monotonic."""

    at_s: float
    quality: Quality
    reason: str | None = None
    value_pct: float | None = None
    raw: float | None = None

    def now(self, now_s: float, max_age_s: float) -> Verdict:
        """Return what it is worth by now: what was good or doubtful is stale when it is older than that."""
        if self.quality in (Quality.BAD, Quality.STALE):
            return Verdict(self.quality, self.reason)
        aged = judge(Evidence(age_s=now_s - self.at_s, max_age_s=max_age_s))
        return Verdict(self.quality, self.reason) if aged == GOOD else aged


@dataclass(slots=True)
class Probe:
    """One probe over time. Times are monotonic s."""

    expected: Expected
    memory: Memory = field(default_factory=Memory)
    last: Judged | None = None
    _pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        points = tuple(self.expected.points or ())
        if self.memory.points != points:
            self.memory = Memory(points=points)
        self._pace = Pace(self.expected.limits)

    def silent(self, fault: str, at_s: float) -> Judged:
        """Its driver had no value to give; `fault` is a stable code."""
        verdict = judge(Evidence(fault=fault))
        return self._keep(Judged(at_s=at_s, quality=verdict.quality, reason=verdict.reason))

    def heard(
        self,
        raws: Sequence[float],
        at_s: float,
        *,
        wet: bool,
        is_share: bool = False,
        doubt: str | None = None,
    ) -> Judged:
        """Take the samples of one reading, at least one; the median counts, so that one wild sample in three does not.

        `wet`: the zone is watered, or was so lately. `is_share`: of a converter's reference, at whose ends a broken or
        a shorted wire shows.
        """
        numbers = [raw for raw in raws if math.isfinite(raw)]
        if not numbers:
            return self._keep(Judged(at_s=at_s, quality=Quality.BAD, reason=judge(Evidence(finite=False)).reason))
        raw = median(numbers)
        value_pct, beyond = self._convert(raw)
        known = Evidence(
            doubt=doubt,
            share=raw if is_share else None,
            value_pct=value_pct,
            porosity_pct=self.expected.porosity_pct,
            beyond=beyond,
            spread_pct=median(abs(self._convert(one)[0] - value_pct) for one in numbers),
            drift_pct=self.memory.drift.pct,
        )
        if judge(known) == GOOD:  # what is in doubt already is nothing to hold the next one against
            known = replace(known, pace=self._pace.heard(value_pct, at_s, wet=wet))
            if known.pace is None and moved_by_itself(self.memory.unmoved, value_pct):
                self.memory = replace(self.memory, unmoved=Unmoved())
        unmoved = self.memory.unmoved
        verdict = judge(replace(known, unmoved=unmoved.behind, unmoved_alone=unmoved.alone))
        return self._keep(
            Judged(at_s=at_s, quality=verdict.quality, reason=verdict.reason, value_pct=value_pct, raw=raw)
        )

    def compared(self, day: date, others_pct: Sequence[float]) -> None:
        """Hold its last reading against the good ones of its zone's other probes; once for each reading."""
        if self.last is None or self.last.value_pct is None or self.last.reason not in (None, "drift"):
            return
        gap = self.last.value_pct - median(others_pct) if others_pct else None
        self.memory = replace(self.memory, drift=self.memory.drift.heard(day, self.last.value_pct, gap))

    def unmoved(self, evidence: Unmoved) -> None:
        """Take what the last watering said of it."""
        self.memory = replace(self.memory, unmoved=evidence)

    def _convert(self, raw: float) -> tuple[float, float]:
        if self.expected.points is None:
            return raw, 0.0
        found = calibrated(raw, self.expected.points)
        return found.value_pct, found.beyond

    def _keep(self, judged: Judged) -> Judged:
        self.last = judged
        return judged
