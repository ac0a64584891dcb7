"""The rain that somebody expects, as people told it: from when, and how much over how many hours."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, ClassVar

from irrigation.bounds import STRICT, aware, within
from irrigation.condition import ConditionKind, Observed


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """So much rain, mm, in the first `hours` of a forecast."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    hours: int
    mm: float

    def __post_init__(self) -> None:
        within(self.hours, 1, 168, "forecast.rain: hours", "h")
        within(self.mm, 0, 1000, "forecast.rain: mm", "mm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A forecast of rain; its age counts from when it was issued. All its sums begin then, so longer ones hold more."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    issued_at: datetime
    rain: tuple[Expected, ...]

    def __post_init__(self) -> None:
        aware(self.issued_at, "forecast.issued_at")
        if not self.rain:
            raise ValueError("forecast.rain must say at least once how many mm are expected in how many hours")
        for one, other in pairwise(sorted(self.rain, key=lambda each: each.hours)):
            if one.hours == other.hours or one.mm > other.mm:
                raise ValueError(
                    f"forecast.rain must have different hours, and no less mm in more of them: {one.mm:g} mm in "
                    f"{one.hours} h and {other.mm:g} mm in {other.hours} h"
                )

    def observed(self, hours: Iterable[int]) -> tuple[Observed, ...]:
        """Return what conditions over so many hours see: where it names fewer, at least what falls in those."""
        found = []
        for wanted in sorted(hours):
            within_them = [one for one in self.rain if one.hours <= wanted]
            if within_them:
                longest = max(within_them, key=lambda one: one.hours)
                found.append(
                    Observed(
                        kind=ConditionKind.RAIN_FORECAST, value=longest.mm, at=self.issued_at, hours=wanted,
                        partial=longest.hours < wanted,
                    )
                )  # fmt: skip
        return tuple(found)
