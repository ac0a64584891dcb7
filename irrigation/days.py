"""On which days: calendars, seasons of the year, and days without water. Dates are farm-local."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Literal

from irrigation.bounds import STRICT, weekdays, within

_MONTH_DAY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
MAX_DATES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """Due on these ISO weekdays, 1 = Monday … 7 = Sunday. No "every other week": weeks 53 and 1 are both odd."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    kind: Literal["weekly"] = "weekly"
    days: tuple[int, ...]

    def __post_init__(self) -> None:
        weekdays(self.days or (0,), "calendar.days")


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryNDays:
    """Due every `n` days counted from the farm-local date `anchor` (never before it)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    kind: Literal["every_n_days"] = "every_n_days"
    n: int
    anchor: date

    def __post_init__(self) -> None:
        within(self.n, 1, 366, "calendar.n", "days")


@dataclass(frozen=True, slots=True, kw_only=True)
class OddDays:
    """Due on odd days of the month, without the 31st and 29 February, so that two never follow each other."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    kind: Literal["odd_days"] = "odd_days"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvenDays:
    """Due on even days of the month."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    kind: Literal["even_days"] = "even_days"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthDays:
    """Due on these days of the month, where it has them, and on its last day with `last`; never twice on one day."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    kind: Literal["month_days"] = "month_days"
    days: tuple[int, ...] = ()
    last: bool = False

    def __post_init__(self) -> None:
        if not (self.days or self.last) or len(set(self.days)) != len(self.days):
            raise ValueError("calendar.days must be different days of the month, at least one, or last must be true")
        for day in self.days:
            within(day, 1, 31, "calendar.days", "(day of the month)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """Due on these dates only: one dated run, or a few."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    kind: Literal["dates"] = "dates"
    dates: tuple[date, ...]

    def __post_init__(self) -> None:
        if not self.dates or len(set(self.dates)) != len(self.dates) or len(self.dates) > MAX_DATES:
            raise ValueError(f"calendar.dates must be different dates, 1 to {MAX_DATES} of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Due at the farm-local times of a cron expression of five fields; no starts beside it, 24 times a day at most."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    kind: Literal["cron"] = "cron"
    expression: str

    def __post_init__(self) -> None:
        from irrigation.cron import check  # a board never makes one, and does without the library

        check(self.expression)


Calendar = Weekly | EveryNDays | OddDays | EvenDays | MonthDays | Dates | Cron
BaseCalendar = Weekly | EveryNDays | Dates
"""What a board reckons with by itself; the other calendars come to it as dates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """A part of the year from `first` to `last`, both `MM-DD` and both included; it may wrap the new year."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    first: str
    last: str

    def __post_init__(self) -> None:
        for name in ("first", "last"):
            month_day(getattr(self, name), f"season.{name}")

    def has(self, day: date) -> bool:
        """Whether that date is in it. 29 February belongs to a season that spans or ends on it, in leap years."""
        at = f"{day:%m-%d}"
        return self.first <= at <= self.last if self.first <= self.last else at >= self.first or at <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class DryDays:
    """Days on which nothing is watered by a program: ISO weekdays, dates, or both."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    weekdays: tuple[int, ...] = ()
    dates: tuple[date, ...] = ()

    def __post_init__(self) -> None:
        weekdays(self.weekdays, "dry_days.weekdays")
        if len(self.dates) > MAX_DATES or len(set(self.dates)) != len(self.dates):
            raise ValueError(f"dry_days.dates must be different dates, {MAX_DATES} at most")

    def has(self, day: date) -> bool:
        """Whether that date is one of them."""
        return day.isoweekday() in self.weekdays or day in self.dates


def month_day(value: str, name: str) -> str:
    """Return `value` if it is a day of some year as MM-DD; raise ValueError naming `name` otherwise."""
    if not _MONTH_DAY.fullmatch(value) or int(value[3:]) > _LONGEST_MONTH[int(value[:2]) - 1]:
        raise ValueError(f"{name} must be a day of the year as MM-DD, such as 11-15, not {value!r}")
    return value


def in_season(seasons: tuple[Season, ...], day: date) -> bool:
    """Whether that date is in one of the seasons; without any the whole year is."""
    return not seasons or any(season.has(day) for season in seasons)
