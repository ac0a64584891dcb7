"""How much: doses, their adjustment over the year, and the splitting of a dose into cycles with soak between."""

from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Any, ClassVar

from irrigation.bounds import STRICT, aware, slug, within
from irrigation.days import month_day

MAX_MINUTES = 24 * 60
MAX_LITRES = 1_000_000
MAX_DEPTH_MM = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """How much: exactly one of minutes, litres, depth_mm or until_moisture_pct; `max_minutes` bounds the others.

    `depth_mm` is the net depth that the roots are to get. A dose "until moisture" may have a second threshold: with
    `start_below_pct` it waters only soil that is drier than that.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    minutes: float | None = None
    litres: float | None = None
    depth_mm: float | None = None
    until_moisture_pct: float | None = None
    max_minutes: float | None = None
    start_below_pct: float | None = None

    def __post_init__(self) -> None:
        given = [self.minutes, self.litres, self.depth_mm, self.until_moisture_pct]
        if sum(value is not None for value in given) != 1:
            raise ValueError("dose must have exactly one of minutes, litres, depth_mm or until_moisture_pct")
        if self.minutes is not None:
            within(self.minutes, 0.05, MAX_MINUTES, "dose.minutes", "min")
            if self.max_minutes is not None:
                raise ValueError("dose.max_minutes goes with litres, depth_mm or until_moisture_pct, not with minutes")
        if self.litres is not None:
            within(self.litres, 0.1, MAX_LITRES, "dose.litres", "L")
        if self.depth_mm is not None:
            within(self.depth_mm, 0.1, MAX_DEPTH_MM, "dose.depth_mm", "mm")
        if self.until_moisture_pct is not None:
            within(self.until_moisture_pct, 1, 70, "dose.until_moisture_pct", "%")
            if self.max_minutes is None:
                raise ValueError("dose.max_minutes is required with until_moisture_pct")
        if self.max_minutes is not None:
            within(self.max_minutes, 0.05, MAX_MINUTES, "dose.max_minutes", "min")
        if self.start_below_pct is not None:
            if self.until_moisture_pct is None:
                raise ValueError("dose.start_below_pct goes with until_moisture_pct")
            within(self.start_below_pct, 1, self.until_moisture_pct, "dose.start_below_pct", "%")


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleSoak:
    """Water at most `on_minutes` at a time and let it soak for `soak_minutes` at least; other zones fill the wait."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    on_minutes: float
    soak_minutes: float

    def __post_init__(self) -> None:
        within(self.on_minutes, 0.5, MAX_MINUTES, "cycle.on_minutes", "min")
        within(self.soak_minutes, 0, 12 * 60, "cycle.soak_minutes", "min")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """The share of the dose in % on a day of the year (MM-DD); between two points it runs straight."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    day: str
    pct: float

    def __post_init__(self) -> None:
        month_day(self.day, "adjust.curve.day")
        within(self.pct, 0, 400, "adjust.curve.pct", "%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjust:
    """How much of the dose is given: `pct` all year, `months_pct` January to December, or a `curve` over the year.

    Always of the dose as programmed, never of what was given last. A watering below `least_minutes` is skipped; it is
    given in whole steps of `step_s`. What is left out by either is carried to the zone's next due watering.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    pct: float | None = None
    months_pct: tuple[float, ...] | None = None
    curve: tuple[CurvePoint, ...] | None = None
    least_minutes: float = 2.0
    step_s: int = 1

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.pct, self.months_pct, self.curve)) != 1:
            raise ValueError("adjust must have exactly one of pct, months_pct or curve")
        if self.pct is not None:
            within(self.pct, 0, 400, "adjust.pct", "%")
        if self.months_pct is not None:
            if len(self.months_pct) != 12:
                raise ValueError(f"adjust.months_pct must have 12 shares from January on, not {len(self.months_pct)}")
            for pct in self.months_pct:
                within(pct, 0, 400, "adjust.months_pct", "%")
        if self.curve is not None:
            days = [point.day for point in self.curve]
            if not days or days != sorted(set(days)):
                raise ValueError(
                    "adjust.curve must have at least one point, each on another day, in the order of the year"
                )
        within(self.least_minutes, 0, 120, "adjust.least_minutes", "min")
        within(self.step_s, 1, 3600, "adjust.step_s", "s")

    @property
    def most_pct(self) -> float:
        """The largest share of the year in %."""
        return max(self.months_pct or [point.pct for point in self.curve or ()] or [self.pct or 0.0])

    def pct_on(self, day: date) -> float:
        """Return the share in % on that date."""
        if self.pct is not None:
            return self.pct
        if self.months_pct is not None:
            return self.months_pct[day.month - 1]
        return _on_curve(self.curve or (), day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a program still owes a zone, in s of watering at the zone's flow, for having been too little to give.

    `by` is the due watering that left it and `due` when that was due: an older one never takes its place. What was owed
    before it is kept for its own later parts.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    program_id: str
    zone_id: str
    seconds: float
    before_s: float
    by: str
    due: datetime

    def __post_init__(self) -> None:
        slug(self.program_id, "carried.program_id")
        slug(self.zone_id, "carried.zone_id")
        within(self.seconds, 0, 86_400, "carried.seconds", "s")
        within(self.before_s, 0, 86_400, "carried.before_s", "s")
        aware(self.due, "carried.due")


def _on_curve(curve: tuple[CurvePoint, ...], day: date) -> float:
    """Straight between the two points around that date, over the new year too."""
    at = _day_of(f"{day:%m-%d}")
    points = [(_day_of(point.day), point.pct) for point in curve]
    points = [(points[-1][0] - _YEAR, points[-1][1]), *points, (points[0][0] + _YEAR, points[0][1])]
    for (begin, low), (end, high) in pairwise(points):
        if begin <= at <= end:
            return low + (high - low) * (at - begin) / (end - begin)
    raise AssertionError("a day of the year lies between two points of a closed curve")


_YEAR = 366


def _day_of(month_day_: str) -> int:
    """The day of a leap year, from 1: every date has one of its own."""
    return date(2028, int(month_day_[:2]), int(month_day_[3:])).timetuple().tm_yday
