"""In what order the parts of a program's waterings come, so that one zone soaks while another waters."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the sequence: which zone's which part, and its start in s after the first if nothing is in the way."""

    zone: int
    part: int
    offset_s: int


def sequence(
    lengths_s: Sequence[Sequence[int]], soaks_s: Sequence[int], pause_s: int, *, together: bool = False
) -> tuple[Slot, ...]:
    """Return the parts of all zones (`lengths_s[zone][part]`) in order.

    Always the first zone in the given order that has soaked for `soaks_s[zone]`; when none has, the one that will have
    first: waiting is soaking. `pause_s` is the time from one end to the next start, negative to overlap; `together`,
    zones do not wait for one another.
    """
    ready = [0] * len(lengths_s)
    done = [0] * len(lengths_s)
    turn, found = 0, list[Slot]()
    while left := [zone for zone, lengths in enumerate(lengths_s) if done[zone] < len(lengths)]:
        soaked = (zone for zone in left if ready[zone] <= turn)
        soonest = min(left, key=lambda zone: ready[zone])
        zone = soonest if together else next(soaked, soonest)
        start = ready[zone] if together else max(turn, ready[zone])
        found.append(Slot(zone, done[zone], start))
        end = start + lengths_s[zone][done[zone]]
        ready[zone] = end + soaks_s[zone]
        done[zone] += 1
        turn = max(start, end + pause_s)
    return tuple(found)
