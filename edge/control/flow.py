"""What a zone's meter says about its valve and pipe: no flow, a burst, a leak, a flow at night, a broken meter. Pure.

A flow is never taken from less than a window of counted pulses, and a limit is passed only beyond what two pulses of
the meter could feign. Litres are the meter's monotone total, times monotonic seconds.

Expected flow (L/min), from the nominal flow q0 that people gave and the settled flows of the last `KEPT` good runs:

    q = q0                                          until `ENOUGH` good runs are known
    q = median(settled), within q0/4 .. 2 q0        from then on

Highest flow that is no burst: 2 q0 at first, for nominal flows are guesses; then min(1.4 q, 2 q0), so that learning
can not follow a growing leak for ever. 1.4 leaves room for the pressure of a neighbour that closes (Q ~ H^0.5 of an
emitter, Keller & Karmeli 1974: twice the head is 1.41 of the flow).
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

KEPT, ENOUGH = 9, 3
BURST_SHARE, GUESS_SHARE, LEAST_SHARE = 1.4, 2.0, 0.25
WINDOW_S = 10.0
SETTLED_S, SETTLED_PULSES = 30.0, 20  # what a settled flow must at least be counted from
RUN_ON_S = 5.0  # after closing the pipe may run out
LEAK_SHARE, LEAK_PULSES = 0.25, 3
LEAK_WINDOW_SHARE = 0.1  # of the night's window: a valve that does not hold is told sooner than a trickle
IMPOSSIBLE_SHARE = 2.0  # of what the source gives: an open pipe gives 1.41 of its rated flow


class Finding(StrEnum):
    """What is amiss."""

    NO_FLOW = "no-flow"
    BURST = "burst"
    LEAK = "leak"
    NIGHT_FLOW = "night-flow"
    BAD_METER = "meter-bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is known of a zone's flow. `source_l_min` is what its source gives; None: not told."""

    nominal_l_min: float | None = None
    settled_l_min: tuple[float, ...] = ()
    source_l_min: float | None = None

    @property
    def flow_l_min(self) -> float | None:
        """The flow that is expected; None without a nominal one."""
        nominal = self.nominal_l_min
        if nominal is None or len(self.settled_l_min) < ENOUGH:
            return nominal
        return min(max(median(self.settled_l_min[-KEPT:]), LEAST_SHARE * nominal), GUESS_SHARE * nominal)

    @property
    def highest_l_min(self) -> float | None:
        """The highest flow that is no burst; None without a nominal one."""
        if self.nominal_l_min is None or self.flow_l_min is None:
            return None
        guess = GUESS_SHARE * self.nominal_l_min
        return guess if len(self.settled_l_min) < ENOUGH else min(BURST_SHARE * self.flow_l_min, guess)

    @property
    def impossible_l_min(self) -> float | None:
        """More than any pipe of this source can pass: the meter counts what is no water."""
        return None if self.source_l_min is None else IMPOSSIBLE_SHARE * self.source_l_min

    def learn(self, settled_l_min: float) -> tuple[float, ...]:
        """Return the settled flows with one more good run's."""
        return (*self.settled_l_min, round(settled_l_min, 3))[-KEPT:]


@dataclass(slots=True, kw_only=True)
class OpenFlow:
    """A meter while its valve is open. `fill_s`: so long the empty lines fill, and nothing is judged but drought."""

    opened_s: float
    litres: float
    pulse_l: float
    no_flow_s: float
    fill_s: float
    flow_l_min: float | None = None  # over the last whole window
    _moved_s: float = field(init=False)
    _looked_s: float = field(init=False)
    _seen: deque[tuple[float, float]] = field(init=False, default_factory=deque)
    _filled: tuple[float, float] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._moved_s = self._looked_s = self.opened_s

    def look(self, litres: float, at_s: float, expected: Expected) -> Finding | None:
        """Take the meter's total; return what is amiss now."""
        if _jumps(litres - self.litres, at_s - self._looked_s, self.pulse_l, expected):
            return Finding.BAD_METER
        if litres > self.litres:
            self._moved_s = at_s
        self.litres = max(self.litres, litres)
        self._looked_s = at_s
        self._flow_of_window(at_s)
        if self._filled is None and at_s - self.opened_s >= self.fill_s:
            self._filled = (at_s, self.litres)
        if self.flow_l_min is not None:
            sure_l_min = self.flow_l_min - _feigned(self.pulse_l, WINDOW_S)
            if expected.impossible_l_min is not None and sure_l_min > expected.impossible_l_min:
                return Finding.BAD_METER
            begun_s = self._seen[0][0]
            past_filling = begun_s - self.opened_s >= self.fill_s
            if past_filling and expected.highest_l_min is not None and sure_l_min > expected.highest_l_min:
                return Finding.BURST
        return Finding.NO_FLOW if at_s - self._moved_s >= self.no_flow_s else None

    def settled_l_min(self, at_s: float) -> float | None:
        """Return the mean flow since the lines were full, up to now; None if that is too little to learn from."""
        if self._filled is None:
            return None
        since_s, since_l = self._filled
        if at_s - since_s < SETTLED_S or self.litres - since_l < SETTLED_PULSES * self.pulse_l:
            return None
        return (self.litres - since_l) / (at_s - since_s) * 60

    def _flow_of_window(self, at_s: float) -> None:
        self._seen.append((at_s, self.litres))
        while len(self._seen) > 1 and at_s - self._seen[1][0] >= WINDOW_S:
            self._seen.popleft()
        since_s, since_l = self._seen[0]
        if at_s - since_s >= WINDOW_S:
            self.flow_l_min = (self.litres - since_l) / (at_s - since_s) * 60


@dataclass(slots=True, kw_only=True)
class ClosedFlow:
    """A meter while its valve is closed: what runs then, nobody wants."""

    pulse_l: float
    night_s: float
    night_l_min: float
    _from_s: float | None = field(init=False, default=None)  # nothing counts before: the pipe runs out
    _leak: tuple[float, float] | None = field(init=False, default=None)  # (monotonic s, litres) that it is counted from
    _night: tuple[float, float] | None = field(init=False, default=None)

    def closed(self, at_s: float) -> None:
        """The valve has closed, now or at that moment to come: count anew, once the pipe has run out."""
        self._from_s = at_s + RUN_ON_S
        self._leak = self._night = None

    def look(self, litres: float, at_s: float, expected: Expected) -> Finding | None:
        """Take the meter's total; return what is amiss. Say `closed` to have it looked for anew."""
        if self._from_s is None:
            self.closed(at_s)  # the last life of this process may have left it open a moment ago
        if self._from_s is None or at_s < self._from_s:
            return None
        self._leak, self._night = self._leak or (at_s, litres), self._night or (at_s, litres)
        gone_s, gone_l = at_s - self._leak[0], litres - self._leak[1]
        if _jumps(gone_l, gone_s, self.pulse_l, expected):
            return Finding.BAD_METER
        leak_s = LEAK_WINDOW_SHARE * self.night_s
        least_l = LEAK_SHARE * (expected.flow_l_min or 0.0) * leak_s / 60
        if gone_l > 0 and gone_l >= max(LEAK_PULSES * self.pulse_l, least_l):
            return Finding.LEAK
        if gone_s < leak_s:
            return None  # a trickle is told from a valve that does not hold by what a whole window brings
        self._leak = (at_s, litres)
        gone_s, gone_l = at_s - self._night[0], litres - self._night[1]
        if gone_l > 0 and gone_l >= max(LEAK_PULSES * self.pulse_l, self.night_l_min * self.night_s / 60):
            return Finding.NIGHT_FLOW
        if gone_s >= self.night_s:
            self._night = (at_s, litres)
        return None


def _jumps(gone_l: float, gone_s: float, pulse_l: float, expected: Expected) -> bool:
    """Whether more was counted than can have flowed; a moment counts as a second, for pulses come in packs."""
    most_l_min = expected.impossible_l_min
    return most_l_min is not None and gone_l - LEAK_PULSES * pulse_l > most_l_min * max(gone_s, 1.0) / 60


def _feigned(pulse_l: float, window_s: float) -> float:
    """The flow that two pulses at a window's edges can feign, L/min."""
    return 2 * pulse_l / window_s * 60
