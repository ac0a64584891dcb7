"""Counted water: what pulses mean, over restarts, and never less than before."""

from edge.control.meter import MeterTruth
from edge.control.quality import Verdict
from edge.hardware.ports import PulseCounter
from irrigation.water import Count, pulses_between

IMPOSSIBLE_TIMES = 10.0  # the zone's nominal flow: more is no water, where the meter's own most is not known


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

    def __init__(
        self,
        counter: PulseCounter,
        pulses_per_litre: float,
        litres_before: float,
        most_l_min: float | None = None,
    ) -> None:
        self._tally = Tally(counter)
        self._per_litre = pulses_per_litre
        self._before = litres_before
        self._most_l_min = most_l_min
        self._truth = MeterTruth(per_litre=pulses_per_litre)

    def litres(self) -> float:
        """Return the monotone total in L."""
        return self._before + self._tally.total() / self._per_litre

    def recalibrate(self, pulses_per_litre: float) -> None:
        """From now on count so many pulses for a litre; what was counted stays."""
        self._before = self.litres() - self._tally.total() / pulses_per_litre
        self._per_litre = pulses_per_litre
        self._truth = MeterTruth(per_litre=pulses_per_litre)

    def pulses(self) -> int:
        """Return the same total in pulses."""
        return round(self.litres() * self._per_litre)

    def look(self, at_s: float, *, is_open: bool, nominal_l_min: float | None) -> None:
        """See whether what it counts can be water: often while its valve is open, and now and then otherwise.

        `nominal_l_min` is the zone's flow, where the farm has told it.
        """
        impossible = None if nominal_l_min is None else IMPOSSIBLE_TIMES * nominal_l_min
        self._truth.most_l_min = self._most_l_min or impossible
        pulses = self.pulses()
        fell, self._tally.lost_count = self._tally.lost_count, False  # then some water is missing in the total
        self._truth.look(pulses, at_s, is_open=is_open, fell=fell)

    def since(self, at_s: float) -> Verdict:
        """Return what its litres since that monotonic moment are worth."""
        return self._truth.since(at_s)


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
