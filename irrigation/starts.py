"""At what time of the day: clock times, sunrise and sunset, repeats, windows, and times to be finished by."""

from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar, Literal

from irrigation.bounds import STRICT, within


@dataclass(frozen=True, slots=True, kw_only=True)
class Sun:
    """Sunrise or sunset at the farm, moved by `offset_min` (before it when negative).

    On a day without it, in the polar summer and winter, `otherwise` counts; without that there is no start.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    sun: Literal["sunrise", "sunset"]
    offset_min: int = 0
    otherwise: time | None = None

    def __post_init__(self) -> None:
        within(self.offset_min, -360, 360, "start.offset_min", "min")
        if self.otherwise is not None:
            clock(self.otherwise, "start.otherwise is a farm-local time")


Start = time | Sun


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """After each start again every `every_min` minutes: `times` more, or until the clock shows `until`.

    An `until` that is not after the start is of the next day. Minutes are of elapsed time, also when clocks change.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    every_min: int
    times: int | None = None
    until: time | None = None

    def __post_init__(self) -> None:
        within(self.every_min, 5, 24 * 60, "repeat.every_min", "min")
        if (self.times is None) == (self.until is None):
            raise ValueError("repeat must have exactly one of times or until")
        if self.times is not None:
            within(self.times, 1, 288, "repeat.times", "(further starts)")
            within(self.times * self.every_min, 1, 24 * 60, "repeat.times x every_min", "min")
        if self.until is not None:
            clock(self.until, "repeat.until is a farm-local time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Part of each day from `begin` to `end`; past midnight when `end` is not after `begin`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    begin: Start
    end: Start

    def __post_init__(self) -> None:
        if self.begin == self.end:
            raise ValueError("window.begin and window.end must differ; leave the window out to allow the whole day")
        for at in (self.begin, self.end):
            if isinstance(at, time):
                clock(at, "window.begin and window.end are farm-local times")


class IfLate(StrEnum):
    """What happens to a program that cannot be finished by its time."""

    EARLIER = "earlier"
    SHORTEN = "shorten"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The program's starts are times to be finished by; what happens when it does not fit, by `if_late`.

    `earlier` begins earlier by `earlier_min` at most, `shorten` waters every zone less, and what even then does not fit
    is skipped, as by `skip`.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    if_late: IfLate = IfLate.EARLIER
    earlier_min: int = 240

    def __post_init__(self) -> None:
        within(self.earlier_min, 1, 12 * 60, "finish.earlier_min", "min")


def clock(at: time, what: str) -> time:
    """Return `at` if it is a whole second without a time zone; raise ValueError saying `what` it is otherwise."""
    if at.tzinfo is not None or at.microsecond:
        raise ValueError(f"{what} such as 05:30, without a time zone or part of a second")
    return at


@lru_cache(maxsize=1024)  # as in irrigation.identity
def start_key(start: Start, repeat: int = 0) -> str:
    """Return how a start is called in the ids of its due waterings: 0530, sunrise-m30, 0530r2 for its second repeat."""
    if isinstance(start, time):
        key = f"{start:%H%M%S}" if start.second else f"{start:%H%M}"
    else:
        moved = f"-{'m' if start.offset_min < 0 else 'p'}{abs(start.offset_min)}" if start.offset_min else ""
        key = start.sun + moved
    return f"{key}r{repeat}" if repeat else key
