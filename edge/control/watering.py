"""One run on its board, as a pure machine: what the guard and the meter say goes in, state and wishes come out.

opening --guard opened--> open --meter turns--> watering --dose, stop, deadline--> closing --closed, still--> an end
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from contract.messages import Reason
from edge.control.order import Order
from irrigation.run import RunState, advance

STILL_AFTER_S = 10.0  # a meter that turned and stands now: back to open
SETTLE_S = 0.4  # after closing the meter runs out; still for so long = flow is zero
NO_DOSE = frozenset({"meter-above-physical", "meter-jump", "meter-backwards"})  # litres that end no dose
SETTLE_MOST_S = 5.0  # longer than this it is no meter running out; a leak is `edge.control.flow`'s to find

_BY_CAUSE = {
    "deadline": (RunState.DONE, None),
    "not-renewed": (RunState.INTERRUPTED, "not-renewed"),
    "agent-gone": (RunState.INTERRUPTED, "restarted"),
    "ending": (RunState.INTERRUPTED, "guard-ended"),
    "told": (RunState.STOPPED, "stopped"),
    "locked": (RunState.INTERRUPTED, "locked"),
    "no-reserve": (RunState.INTERRUPTED, "no-reserve"),
    "line-fault": (RunState.FAILED, "line-fault"),
    "close-failed": (RunState.INTERRUPTED, "neighbour-close-failed"),
}


def by_cause(cause: str | None) -> tuple[RunState, str | None]:
    """Return how a run ends that the guard closed for that cause, and the reason's code, if nobody decided before."""
    return _BY_CAUSE.get(cause or "", (RunState.INTERRUPTED, "closed-by-guard"))


@dataclass(slots=True, kw_only=True)
class Watering:
    """A run under way. Times `_s` are monotonic; litres are counted since the valve opened, None without a meter."""

    order: Order
    state: RunState = RunState.OPENING
    opened_at: datetime | None = None
    closes_at: datetime | None = None
    opened_s: float = 0.0
    litres: float | None = None
    flow_l_min: float | None = None
    open_s: float | None = None
    again_s: float | None = None  # when the guard is asked again to open it
    ending: tuple[RunState, Reason | None] | None = None  # decided why it ends; the end is told when it is closed
    closed_s: float | None = None
    _moved_s: float = 0.0  # when the meter last turned
    _last: tuple[float, float] | None = None  # (monotonic s, litres) that the flow is counted from

    def opened(self, now: datetime, closes_at: datetime, at_s: float, *, metered: bool) -> None:
        """The guard confirmed the valve."""
        self.state = advance(self.state, RunState.OPEN)
        self.opened_at, self.closes_at = now, closes_at
        self.opened_s = self._moved_s = at_s
        if metered:
            self.litres, self.flow_l_min, self._last = 0.0, 0.0, (at_s, 0.0)

    def metered(self, litres: float, at_s: float) -> bool:
        """Take the meter's litres since opening; return whether the state changed."""
        if self.litres is None or self._last is None:
            return False
        turned = litres > self.litres
        since_s, since_l = self._last
        if at_s - since_s >= 1.0:
            self.flow_l_min = max(0.0, litres - since_l) / (at_s - since_s) * 60
            self._last = (at_s, litres)
        self.litres = max(self.litres, litres)
        if turned:
            self._moved_s = at_s
            return self._move_if(RunState.OPEN, RunState.WATERING)
        if at_s - self._moved_s >= STILL_AFTER_S:
            self.flow_l_min = 0.0
            return self._move_if(RunState.WATERING, RunState.OPEN)
        return False

    def distrust_meter(self) -> None:
        """The meter counts what is no water: its litres are not known, as if there were none."""
        self.litres = self.flow_l_min = self._last = None
        self._move_if(RunState.WATERING, RunState.OPEN)

    def dose_reached(self, moisture_pct: float | None) -> bool:
        """Whether litres or moisture have come to what was asked for; minutes are the guard's deadline."""
        dose = self.order.dose
        if dose.litres is not None and self.litres is not None:
            return self.litres >= dose.litres
        return (
            dose.until_moisture_pct is not None and moisture_pct is not None and moisture_pct >= dose.until_moisture_pct
        )

    def dose_ends(
        self, moistures_pct: Sequence[float], *, probes_lost: str | None, meter_doubt: str | None
    ) -> tuple[RunState, Reason | None] | None:
        """Return how what was measured ends the run now; None while it goes on.

        `moistures_pct` are those of the zone's good and fresh probes: the dose must be reached everywhere.
        `probes_lost` is why none of them can be waited for any longer: then nobody can say when it is enough, and less
        water is right.
        """
        dose = self.order.dose
        by_meter = dose.litres is not None and self.litres is not None
        if self.dose_reached(min(moistures_pct, default=None)):
            return None if by_meter and meter_doubt in NO_DOSE else (RunState.DONE, None)
        if dose.until_moisture_pct is not None and probes_lost is not None:
            return RunState.INTERRUPTED, Reason(code="probe-lost", params={"reason": probes_lost})
        return None

    def cap_code(self, meter_doubt: str | None) -> str:
        """Return the code of a run that its lease ends before its dose: why the meter did not, or that time was up."""
        return meter_doubt if meter_doubt is not None and self.order.dose.litres is not None else "time-cap"

    def wanted_more(self) -> bool:
        """Whether the lease ends it before what was asked for could be measured: litres by a meter, or moisture."""
        dose = self.order.dose
        return dose.until_moisture_pct is not None or (dose.litres is not None and self.litres is not None)

    def end(self, state: RunState, reason: Reason | None = None) -> bool:
        """Decide the end, if none is decided yet; return whether the run moved to closing by it."""
        if self.ending is None:
            self.ending = (state, reason)
        if self.state is RunState.CLOSING:
            return False
        self.state = advance(self.state, RunState.CLOSING)
        return True

    def closed(self, open_s: float, at_s: float) -> None:
        """The guard confirmed that the valve is closed; the end is told when the meter stands still."""
        self.open_s, self.closed_s = open_s, at_s
        self._moved_s = at_s

    def settled(self, at_s: float) -> bool:
        """Whether the valve is closed and the meter has run out, so that the end can be told."""
        if self.closed_s is None:
            return False
        return bool(self.litres is None or at_s - self._moved_s >= SETTLE_S or at_s - self.closed_s >= SETTLE_MOST_S)

    def finish(self) -> tuple[RunState, Reason | None]:
        """Move to the decided end and return it with its reason."""
        state, reason = self.ending or (RunState.INTERRUPTED, None)
        self.state = advance(self.state, state)
        self.flow_l_min = None if self.litres is None else 0.0
        return state, reason

    def _move_if(self, state: RunState, to: RunState) -> bool:
        if self.state is not state:
            return False
        self.state = advance(state, to)
        return True
