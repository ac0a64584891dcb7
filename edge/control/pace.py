"""How fast soil moisture can change, and what became of a change that was faster: a jump is doubted until it stays."""

from collections import deque
from dataclasses import dataclass, field

REMEMBERED_S, EVERY_S = 3600.0, 300.0
STEP_UP_PCT, STEP_DOWN_PCT = 10.0, 5.0  # at once, on top of the hourly pace: a wetting front passes, drainage begins
SAME_PCT = 3.0  # readings of a new level that differ by less agree on it
BELIEVED_AFTER = 3  # readings that agree on a new level


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that the soil of a probe changes in an hour, volumetric %. While it is watered it may rise at any pace.

    Falling: a saturated loam drains 6 % in its first hours (AquaCrop, see firmware_sim.plant.soil), a sand three times
    that. Rising: rain that nobody measured, through cracks to the probe.
    """

    rise_pct_h: float = 60.0
    fall_pct_h: float = 20.0


@dataclass(slots=True)
class Pace:
    """The believed readings of the last hour, and a new level that is not believed yet. Times are monotonic s."""

    limits: Limits
    _believed: deque[tuple[float, float]] = field(default_factory=deque)
    _last: tuple[float, float] | None = None
    _doubted: list[float] = field(default_factory=list)

    def heard(self, value_pct: float, at_s: float, *, wet: bool) -> str | None:
        """Take the next reading; return why it is doubted: `jump` against the last one, `too-fast` over the hour.

        A level that three readings in a row agree on is believed: somebody has moved the probe, or the soil did it.
        """
        reason = self._doubt(value_pct, at_s, wet=wet)
        if reason is not None:
            if self._doubted and abs(self._doubted[-1] - value_pct) > SAME_PCT:
                self._doubted.clear()
            self._doubted.append(value_pct)
            if len(self._doubted) < BELIEVED_AFTER:
                return reason
            self._believed.clear()
        self._doubted.clear()
        if wet:  # what it has risen by is explained, also when the water has long run off
            self._believed = deque(before for before in self._believed if before[1] >= value_pct)
        self._believe(value_pct, at_s)
        return None

    def _doubt(self, value_pct: float, at_s: float, *, wet: bool) -> str | None:
        if self._last is not None and self._exceeds(self._last, value_pct, at_s, wet=wet):
            return "jump"
        while self._believed and at_s - self._believed[0][0] > REMEMBERED_S:
            self._believed.popleft()
        if any(self._exceeds(before, value_pct, at_s, wet=wet) for before in self._believed):
            return "too-fast"
        return None

    def _exceeds(self, before: tuple[float, float], value_pct: float, at_s: float, *, wet: bool) -> bool:
        hours = max(0.0, at_s - before[0]) / 3600
        change = value_pct - before[1]
        if change > 0:
            return not wet and change > STEP_UP_PCT + self.limits.rise_pct_h * hours
        return -change > STEP_DOWN_PCT + self.limits.fall_pct_h * hours

    def _believe(self, value_pct: float, at_s: float) -> None:
        self._last = (at_s, value_pct)
        if not self._believed or at_s - self._believed[-1][0] >= EVERY_S:
            self._believed.append(self._last)
