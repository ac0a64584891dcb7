"""A source's flow over time: how much is promised when, and the first moment at which more fits."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_BEFORE_ALL = -(1 << 62)


class FlowProfile:
    """What is taken from something that gives `capacity`, as steps over time. Times and flows are whole numbers.

    Work is proportional to the steps after the moment asked for.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._times = [_BEFORE_ALL]  # _levels[i] is taken from _times[i] to _times[i + 1]; the last level is 0
        self._levels = [0]

    def earliest(self, ready: int, length: int, flow: int) -> int:
        """Return the first t ≥ ready with `flow` free during [t, t + length); flow must not be above capacity."""
        start = ready
        times, levels, room = self._times, self._levels, self.capacity - flow
        step = bisect_right(times, ready) - 1
        end, steps = start + length, len(times)
        while step < steps and times[step] < end:
            if levels[step] > room:
                start = times[step + 1]
                end = start + length
            step += 1
        return start

    def take(self, start: int, end: int, flow: int) -> None:
        """Promise `flow` during [start, end), if that is not empty. It may exceed the capacity: facts are facts."""
        if start >= end:
            return
        first, last = self._cut(start), self._cut(end)
        for step in range(first, last):
            self._levels[step] += flow

    def _cut(self, at: int) -> int:
        """Make a step begin at that moment and return its place."""
        place = bisect_right(self._times, at) - 1
        if self._times[place] == at:
            return place
        self._times.insert(place + 1, at)
        self._levels.insert(place + 1, self._levels[place])
        return place + 1


def micro(flow_l_min: float) -> int:
    """Return the flow in whole millionths of L/min, in which sums are exact."""
    return round(flow_l_min * 1_000_000)


class Claim(NamedTuple):
    """So much `flow` of something, from a start for as long as asked and `more`, wherever it is put."""

    of: FlowProfile
    flow: int
    more: int = 0


def first_free(claims: Sequence[Claim], ready: int, length: int) -> int:
    """Return the first t ≥ ready at which every claim fits during [t, t + length + its more)."""
    start, fits, place = ready, 0, 0
    while fits < len(claims):
        of, flow, more = claims[place]
        found = of.earliest(start, length + more, flow)
        fits = fits + 1 if found == start else 1
        start, place = found, (place + 1) % len(claims)
    return start


def only_within(spans: Iterable[tuple[int, int]]) -> FlowProfile:
    """Return a profile of capacity 1 that is taken outside the spans (begin, end), up to the end of the last of them.

    What is after the last span counts as free: lay out more than is looked at.
    """
    profile = FlowProfile(1)
    closed = _BEFORE_ALL
    for begin, end in sorted(spans):
        if begin > closed:
            profile.take(closed, begin, 1)
        closed = max(closed, end)
    return profile
