"""Counted water: what pulses mean, over restarts, and never less than before."""

from edge.hardware.ports import PulseCounter
from irrigation.water import Count, pulses_between


class Tally:
    """Pulses since this board's counter began, over restarts; never falls, whatever the counter does."""

    def __init__(self, counter: PulseCounter, before: int = 0) -> None:
        self._counter = counter
        self._seen = counter.count()
        self._total = before
        self.lost_count = False
        """Whether the counter has fallen since this was last set False: what it counted meanwhile is unknown."""

    def total(self) -> int:
        """Return all pulses so far."""
        now = self._counter.count()
        moved = pulses_between(self._seen, now)
        self._seen = now
        self._total += moved.delta
        self.lost_count |= moved.count is Count.BACKWARDS
        return self._total


class Meter:
    """A flow meter: litres since this board's counter began, over restarts; never falls."""

    def __init__(self, counter: PulseCounter, pulses_per_litre: float, litres_before: float) -> None:
        self._tally = Tally(counter)
        self._per_litre = pulses_per_litre
        self._before = litres_before

    def litres(self) -> float:
        """Return the monotone total in L."""
        return self._before + self._tally.total() / self._per_litre

    def recalibrate(self, pulses_per_litre: float) -> None:
        """From now on count so many pulses for a litre; what was counted stays."""
        self._before = self.litres() - self._tally.total() / pulses_per_litre
        self._per_litre = pulses_per_litre

    def fell(self) -> bool:
        """Whether the counter has fallen since this was last asked: some water is missing in the total."""
        fell, self._tally.lost_count = self._tally.lost_count, False
        return fell


class RainGauge:
    """A tipping bucket: every tip is told once, over restarts. `untold_before` are tips that the last life kept."""

    def __init__(self, counter: PulseCounter, mm_per_tip: float, untold_before: int) -> None:
        self._tally = Tally(counter, untold_before)
        self._mm_per_tip = mm_per_tip
        self._told = 0

    def untold(self) -> int:
        """Return the tips that `take` has not given out yet, to be kept for the next life."""
        return self._tally.total() - self._told

    def take(self) -> float:
        """Return the rain in mm since this was last asked."""
        tips = self.untold()
        self._told += tips
        return tips * self._mm_per_tip
