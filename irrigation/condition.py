"""What must hold for a due watering to run: rain, soil, frost, wind, heat and the source, each by one threshold.

A condition *stops* when its value reaches `limit`, and lets go when the value has come back to `release`: between the
two it stays as it was, so that a value that trembles at the limit does not switch. A value counts until it is
`max_age_min` old; what happens without one is said by `missing`. Nothing here ever adds water.

What is due in the future is judged by the value that there is, if that will still be young enough; otherwise its value
is still to come, until `LEAD` before it is due. Then it counts as missing: boards start on their own at the due moment,
so what they are not to start they must be told before.

    kind           stops when its value is        value                                        unit
    rain-fallen    at the limit or above          rain of the last `hours`                     mm
    rain-forecast  at the limit or above          rain expected in the next `hours`            mm
    soil-wet       at the limit or above          the zone's soil moisture                     volumetric %
    frost          at the limit or below          air temperature                              degC
    wind           at the limit or above          mean wind                                    m/s
    heat           at the limit or above          air temperature                              degC
    source-low     at the limit or below          level of the zone's source                   %
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from irrigation.bounds import STRICT, aware, within

LEAD = timedelta(minutes=2)


class ConditionKind(StrEnum):
    """What a condition looks at."""

    RAIN_FALLEN = "rain-fallen"
    RAIN_FORECAST = "rain-forecast"
    SOIL_WET = "soil-wet"
    FROST = "frost"
    WIND = "wind"
    HEAT = "heat"
    SOURCE_LOW = "source-low"


class Missing(StrEnum):
    """What becomes of a due watering whose condition has no value that is young enough."""

    RUN = "run"  # as the program says
    SKIP = "skip"
    ASK = "ask"  # not without a person: skipped, and they are told that they may water


class Subject(StrEnum):
    """Whose value a condition needs."""

    FARM = "farm"
    ZONE = "zone"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Kind:
    """The row of a kind: on which side of its limit it stops, whose value, its unit and range, and whether of hours."""

    stops_above: bool
    subject: Subject
    unit: str
    low: float
    high: float
    max_age_min: float
    of_hours: bool = False


KINDS: Mapping[ConditionKind, Kind] = MappingProxyType(
    {
        ConditionKind.RAIN_FALLEN: Kind(True, Subject.FARM, "mm", 0.1, 500, 180, of_hours=True),  # noqa: FBT003
        ConditionKind.RAIN_FORECAST: Kind(True, Subject.FARM, "mm", 0.1, 500, 720, of_hours=True),  # noqa: FBT003
        ConditionKind.SOIL_WET: Kind(True, Subject.ZONE, "%", 1, 70, 120),  # noqa: FBT003
        ConditionKind.FROST: Kind(False, Subject.FARM, "degC", -20, 15, 90),  # noqa: FBT003
        ConditionKind.WIND: Kind(True, Subject.FARM, "m/s", 0.5, 40, 60),  # noqa: FBT003
        ConditionKind.HEAT: Kind(True, Subject.FARM, "degC", 20, 55, 60),  # noqa: FBT003
        ConditionKind.SOURCE_LOW: Kind(False, Subject.SOURCE, "%", 0, 100, 60),  # noqa: FBT003
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of a program. `release` None = the limit itself; `max_age_min` None = the kind's own."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    kind: ConditionKind
    limit: float
    release: float | None = None
    hours: int | None = None
    max_age_min: float | None = None
    missing: Missing = Missing.RUN

    def __post_init__(self) -> None:
        row = KINDS[self.kind]
        name = f"condition {self.kind}"
        within(self.limit, row.low, row.high, f"{name}: limit", row.unit)
        if self.release is not None:
            side = "at most" if row.stops_above else "at least"
            if (self.release > self.limit) if row.stops_above else (self.release < self.limit):
                raise ValueError(
                    f"{name}: release must be {side} the limit {self.limit:g} {row.unit}, not {self.release:g}"
                )
            within(self.release, min(row.low, 0), row.high, f"{name}: release", row.unit)
        if row.of_hours:
            within(24 if self.hours is None else self.hours, 1, 168, f"{name}: hours", "h")
        elif self.hours is not None:
            raise ValueError(f"{name}: hours goes with rain-fallen and rain-forecast, not with {self.kind}")
        if self.max_age_min is not None:
            within(self.max_age_min, 1, 10_080, f"{name}: max_age_min", "min")

    @property
    def of_hours(self) -> int | None:
        """Over how many hours the value is summed; None for kinds that have no span."""
        return (self.hours or 24) if KINDS[self.kind].of_hours else None

    @property
    def max_age(self) -> timedelta:
        """How old a value may be when the watering is due."""
        return timedelta(minutes=self.max_age_min or KINDS[self.kind].max_age_min)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A value that conditions may use, as of `at`. `subject_id` is the zone's or source's id; None for the farm's.

    `partial`: not all of its hours were heard, so that the sum is at least this: it may stop, but lets nothing pass.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    kind: ConditionKind
    value: float
    at: datetime
    subject_id: str | None = None
    hours: int | None = None
    partial: bool = False

    def __post_init__(self) -> None:
        aware(self.at, "observed.at")
        within(self.value, -1000, 100_000, f"observed {self.kind}: value", KINDS[self.kind].unit)


def distinct(conditions: tuple[Condition, ...], name: str) -> tuple[Condition, ...]:
    """Return `conditions` if no two look at the same; raise ValueError naming `name` otherwise."""
    looks = [(one.kind, one.of_hours) for one in conditions]
    if len(set(looks)) != len(looks):
        raise ValueError(f"{name} must each look at something else: one of a kind, or of a kind and its hours")
    return conditions


class Answer(StrEnum):
    """What a condition says of a due watering."""

    PASSES = "passes"
    STOPS = "stops"
    MISSING = "missing"  # no value that is young enough
    LATER = "later"  # due in the future: its value is still to come


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One condition's answer with what it saw. `age_min` is the value's age when the watering is due."""

    condition: Condition
    answer: Answer
    value: float | None = None
    age_min: float | None = None


def key(condition: Condition, subject_id: str | None) -> str:
    """Return the name under which a condition's latch is remembered: equal conditions on one subject share it.

    Conditions of different ages are not equal: a value that comes after a silence lets go of the one, not of the other.
    """
    release = condition.limit if condition.release is None else condition.release
    span = f"{condition.of_hours or ''}:{condition.max_age / timedelta(minutes=1):g}"
    return f"{condition.kind}:{span}:{condition.limit:g}:{release:g}:{subject_id or ''}"


def judge(
    condition: Condition, seen: Observed | None, due: datetime, now: datetime, *, latched_at: datetime | None = None
) -> Judged:
    """Return what a condition says, as far as is known at `now`, of a watering that is due at `due`.

    `seen` is the youngest value of its kind and subject, or None; `latched_at` is the time of the value at which it
    stopped last without letting go since, None when it has let go.
    """
    age = None if seen is None else max(timedelta(0), max(due, now) - seen.at)
    age_min = None if age is None else round(age / timedelta(minutes=1), 1)
    if seen is not None and age is not None and age <= condition.max_age:
        if stopped(condition, seen.value, latched=_holds(condition, latched_at, seen)):
            return Judged(condition=condition, answer=Answer.STOPS, value=seen.value, age_min=age_min)
        if not seen.partial:
            return Judged(condition=condition, answer=Answer.PASSES, value=seen.value, age_min=age_min)
    return Judged(condition=condition, answer=Answer.LATER if due - now > LEAD else Answer.MISSING, age_min=age_min)


def stopped(condition: Condition, value: float, *, latched: bool) -> bool:
    """Return whether the condition stops at that value, having stopped before or not."""
    limit = condition.limit
    release = limit if condition.release is None else condition.release
    if KINDS[condition.kind].stops_above:
        return value >= limit or (latched and value > release)
    return value <= limit or (latched and value < release)


def latched(
    conditions: Iterable[tuple[Condition, str | None]], observed: Collection[Observed], before: Mapping[str, datetime]
) -> dict[str, datetime]:
    """Return the keys of the conditions (with their subjects) that stop by `observed`, given those before it.

    `observed` holds one value at most of each kind, subject and hours. With each key goes the time of the value at
    which it stopped. A latch that no value came to hold within its condition's maximum age lets go with the next value:
    what was measured before a long silence decides nothing after it. A condition without a value keeps its latch; one
    that nobody has any more loses it.
    """
    found: dict[str, datetime] = {}
    seen = {(one.kind, one.subject_id, one.hours): one for one in observed}
    for condition, subject_id in conditions:
        name = key(condition, subject_id)
        value, was = seen.get((condition.kind, subject_id, condition.of_hours)), before.get(name)
        if value is not None and stopped(condition, value.value, latched=_holds(condition, was, value)):
            found[name] = max(value.at, was or value.at)
        elif was is not None and (
            value is None or value.at <= was or (value.partial and _holds(condition, was, value))
        ):
            found[name] = was
    return found


def _holds(condition: Condition, latched_at: datetime | None, seen: Observed) -> bool:
    """Whether a latch still holds when this value comes."""
    return latched_at is not None and seen.at - latched_at <= condition.max_age
