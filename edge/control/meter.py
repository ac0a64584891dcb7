"""Whether what a water meter counts can be believed: its pulses go in, a quality and its reason come out.

The count itself is told as it is. Nothing here can see a meter whose pulses are worth more than is configured, or that
loses half of them: that looks like less water, and what it means for the valve is `edge.control.flow`'s to find.
"""

from dataclasses import dataclass, field
from typing import Final

from contract.messages import Quality
from edge.control.quality import GOOD, Verdict

WINDOW_S = 10.0  # over which a flow is held against the most that can flow
SLACK_S, SLACK_PULSES = 2.0, 2  # what a late look and the pulses at a window's edges may feign
ABOVE_AFTER = 3  # windows in a row above the most: no jump any more, but a wrong unit
STILL_AFTER_S = 30.0  # open without a pulse

REASONS: Final[tuple[tuple[Quality, str], ...]] = (
    (Quality.BAD, "meter-above-physical"),  # for long: pulses_per_litre is wrong, or the contact chatters
    (Quality.SUSPECT, "meter-backwards"),  # restarted or broken: what it counted meanwhile is unknown
    (Quality.SUSPECT, "meter-jump"),  # more than can have flowed since the last look
    (Quality.SUSPECT, "meter-still"),  # dead, or there is no water
)
"""The worst first."""


@dataclass(slots=True, kw_only=True)
class MeterTruth:
    """One meter over time, by monotonic s. `most_l_min` is more than can flow through it; None = no limit is known."""

    per_litre: float
    most_l_min: float | None = None
    _last: tuple[float, int] | None = None  # (s, pulses) of the last look
    _window: tuple[float, int] = (0.0, 0)
    _above: int = 0  # windows in a row
    _jumped: bool = False  # in this window
    _still_s: float | None = None  # open since, or since the last pulse
    _seen: dict[str, float] = field(default_factory=dict)  # when each reason was last seen

    def look(self, pulses: int, at_s: float, *, is_open: bool, fell: bool = False) -> None:
        """Take its total of pulses. `is_open`: its valve lets water through. `fell`: its counter went backwards."""
        if fell:
            self._seen["meter-backwards"] = at_s
        if self._last is None:
            self._window = (at_s, pulses)
        turned = self._last is not None and pulses > self._last[1]
        self._last = (at_s, pulses)
        self._hold_against_most(pulses, at_s)
        if turned or not is_open:
            self._still_s = at_s if is_open else None
        elif self._still_s is None:
            self._still_s = at_s
        elif at_s - self._still_s >= STILL_AFTER_S:
            self._seen["meter-still"] = at_s

    def since(self, at_s: float) -> Verdict:
        """Return what its count is worth by all that was seen at or after that moment."""
        for quality, reason in REASONS:
            if self._seen.get(reason, -1.0) >= at_s:
                return Verdict(quality, reason)
        return GOOD

    def _hold_against_most(self, pulses: int, at_s: float) -> None:
        begun_s, begun = self._window
        if self.most_l_min is not None:
            most = self.most_l_min / 60 * self.per_litre * (at_s - begun_s + SLACK_S) + SLACK_PULSES
            if pulses - begun > most:
                self._jumped = True
                self._seen["meter-jump"] = at_s
                if self._above >= ABOVE_AFTER - 1:
                    self._seen["meter-above-physical"] = at_s
        if at_s - begun_s >= WINDOW_S:
            self._above = self._above + 1 if self._jumped else 0
            self._window, self._jumped = (at_s, pulses), False
