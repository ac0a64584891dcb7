"""Sources, zones, programs, doses, timetables and decisions: one definition for rules, wire, API and configuration.

Plain frozen dataclasses. Each checks itself: a value out of range raises ValueError with a sentence that names
the field. `__pydantic_config__` makes the codecs at the rim refuse unknown fields; nothing here imports pydantic.
"""

import math
import re
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from typing import Any, ClassVar, Literal, NewType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FarmId = NewType("FarmId", str)
NodeId = NewType("NodeId", str)
ZoneId = NewType("ZoneId", str)
SourceId = NewType("SourceId", str)
ProgramId = NewType("ProgramId", str)
RunId = NewType("RunId", str)

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
_STRICT: dict[str, Any] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
MAX_MINUTES = 24 * 60
MAX_LITRES = 1_000_000


def slug(value: str, name: str) -> str:
    """Return `value` if it is an id of 1-48 of a-z, 0-9 and hyphen; raise ValueError naming `name` otherwise."""
    if not _SLUG.fullmatch(value):
        raise ValueError(f"{name} must be 1 to 48 of a-z, 0-9 and hyphen, not {value!r}")
    return value


def within(value: float, low: float, high: float, name: str, unit: str) -> float:
    """Return `value` if low ≤ value ≤ high; raise ValueError naming `name` and `unit` otherwise (NaN is outside)."""
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} must be between {low:.10g} and {high:.10g} {unit}, not {value:.10g}")
    return value


def aware(value: datetime, name: str) -> datetime:
    """Return `value` if it carries a time zone; raise ValueError naming `name` otherwise."""
    if value.tzinfo is None:
        raise ValueError(f"{name} must carry a time zone (UTC, as in 2026-11-23T05:30:00Z)")
    return value


def known_zone(value: str, name: str) -> str:
    """Return `value` if it is the name of a time zone; raise ValueError naming `name` otherwise."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError(f"{name} must be an IANA time zone such as Asia/Ho_Chi_Minh, not {value!r}") from exc
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """How much: exactly one of minutes, litres or until_moisture_pct; the latter two may carry `max_minutes`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    minutes: float | None = None
    litres: float | None = None
    until_moisture_pct: float | None = None
    max_minutes: float | None = None

    def __post_init__(self) -> None:
        given = [self.minutes, self.litres, self.until_moisture_pct]
        if sum(value is not None for value in given) != 1:
            raise ValueError("dose must have exactly one of minutes, litres or until_moisture_pct")
        if self.minutes is not None:
            within(self.minutes, 0.05, MAX_MINUTES, "dose.minutes", "min")
            if self.max_minutes is not None:
                raise ValueError("dose.max_minutes goes with litres or until_moisture_pct, not with minutes")
        if self.litres is not None:
            within(self.litres, 0.1, MAX_LITRES, "dose.litres", "L")
        if self.until_moisture_pct is not None:
            within(self.until_moisture_pct, 1, 70, "dose.until_moisture_pct", "%")
            if self.max_minutes is None:
                raise ValueError("dose.max_minutes is required with until_moisture_pct")
        if self.max_minutes is not None:
            within(self.max_minutes, 0.05, MAX_MINUTES, "dose.max_minutes", "min")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A tank, well, stream intake or main, and what it gives at most."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    id: str
    name: str
    capacity_l_min: float

    def __post_init__(self) -> None:
        slug(self.id, "source.id")
        within(self.capacity_l_min, 0.1, 100_000, f"source {self.id}: capacity_l_min", "L/min")


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One valve and the ground it waters. `flow_l_min` is the nominal flow; moisture is volumetric %."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    id: str
    name: str
    node_id: str
    channel: str
    source_id: str
    area_m2: float
    flow_l_min: float
    crop: str = ""
    emitters: str = "drip"
    has_meter: bool = False
    max_run_s: int = 3600
    moisture_low_pct: float = 28.0
    moisture_high_pct: float = 36.0
    sensors: tuple[str, ...] = ()  # ids of soil probes on the same node

    def __post_init__(self) -> None:
        for name in ("id", "node_id", "channel", "source_id"):
            slug(getattr(self, name), f"zone.{name}")
        within(self.area_m2, 0.01, 1_000_000, f"zone {self.id}: area_m2", "m²")
        within(self.flow_l_min, 0.01, 10_000, f"zone {self.id}: flow_l_min", "L/min")
        within(self.max_run_s, 1, 86_400, f"zone {self.id}: max_run_s", "s")
        within(self.moisture_low_pct, 0, 70, f"zone {self.id}: moisture_low_pct", "%")
        within(self.moisture_high_pct, self.moisture_low_pct, 70, f"zone {self.id}: moisture_high_pct", "%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """Due on these ISO weekdays, 1 = Monday … 7 = Sunday."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    kind: Literal["weekly"] = "weekly"
    days: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.days or any(day not in range(1, 8) for day in self.days) or len(set(self.days)) != len(self.days):
            raise ValueError("calendar.days must be different ISO weekdays from 1 (Monday) to 7 (Sunday), at least one")


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryNDays:
    """Due every `n` days counted from the farm-local date `anchor` (never before it)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    kind: Literal["every_n_days"] = "every_n_days"
    n: int
    anchor: date

    def __post_init__(self) -> None:
        within(self.n, 1, 366, "calendar.n", "days")


Calendar = Weekly | EveryNDays


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneDose:
    """A zone's part in a program."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    zone_id: str
    dose: Dose


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A rule: when (calendar and farm-local starts) and how much for each zone, one zone after the other.

    `since` is when this version was made: nothing that was due before it runs by it, so an edit never fires at once.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    id: str
    name: str
    calendar: Calendar
    starts: tuple[time, ...]
    zones: tuple[ZoneDose, ...]
    since: datetime
    enabled: bool = True

    def __post_init__(self) -> None:
        slug(self.id, "program.id")
        aware(self.since, "program.since")
        if not self.starts or len(set(self.starts)) != len(self.starts):
            raise ValueError("program.starts must hold at least one time of day, each only once")
        if any(start.tzinfo is not None or start.microsecond for start in self.starts):
            raise ValueError(
                "program.starts are farm-local times such as 05:30, without a time zone or part of a second"
            )
        if not self.zones or len({part.zone_id for part in self.zones}) != len(self.zones):
            raise ValueError("program.zones must name at least one zone, each only once")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Programs do not start before `until`; in an `emergency` nothing does, people's orders neither, until released."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    until: datetime
    reason: str = ""
    emergency: bool = False

    def __post_init__(self) -> None:
        aware(self.until, "hold.until")

    def covers(self, due: datetime) -> bool:
        """Whether what is due then does not start: skipped, not queued."""
        return self.emergency or due < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """All that planning needs to know of a farm and that people decide. `tz` is an IANA name; position in degrees."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    id: str
    name: str
    tz: str
    lat: float
    lon: float
    sources: tuple[Source, ...]
    zones: tuple[Zone, ...]
    programs: tuple[Program, ...] = ()
    hold: Hold | None = None
    skips: tuple[str, ...] = ()  # ids of due waterings that a person chose to skip

    def __post_init__(self) -> None:
        slug(self.id, "farm.id")
        known_zone(self.tz, "farm.tz")
        within(self.lat, -90, 90, "farm.lat", "°")
        within(self.lon, -180, 180, "farm.lon", "°")
        for name, things in (("sources", self.sources), ("zones", self.zones), ("programs", self.programs)):
            ids = [thing.id for thing in things]
            if len(set(ids)) != len(ids):
                raise ValueError(f"farm.{name} must have different ids, not {ids}")
        known = {source.id for source in self.sources}
        for zone in self.zones:
            if zone.source_id not in known:
                raise ValueError(f"zone {zone.id}: source_id {zone.source_id!r} is none of this farm's sources")
        zone_ids = {zone.id for zone in self.zones}
        for program in self.programs:
            for part in program.zones:
                if part.zone_id not in zone_ids:
                    raise ValueError(f"program {program.id}: zone_id {part.zone_id!r} is none of this farm's zones")
        channels = [(zone.node_id, zone.channel) for zone in self.zones]
        if len(set(channels)) != len(channels):
            raise ValueError("farm.zones must each have a node and channel of their own")

    def zone(self, zone_id: str) -> Zone:
        """Return that zone; raise KeyError if there is none."""
        return next((zone for zone in self.zones if zone.id == zone_id), None) or _missing(zone_id)

    def source(self, source_id: str) -> Source:
        """Return that source; raise KeyError if there is none."""
        return next((source for source in self.sources if source.id == source_id), None) or _missing(source_id)


def _missing(key: str) -> Any:
    raise KeyError(key)


class Rule(StrEnum):
    """Why a due watering is as it is; the app has a sentence for each, in three languages."""

    AS_PROGRAMMED = "as-programmed"
    SOURCE_BUSY = "source-busy"  # starts later, when the source has the flow
    HOLD = "hold"
    SKIPPED_BY_PERSON = "skipped-by-person"
    FLOW_ABOVE_SOURCE = "flow-above-source"  # the zone alone wants more than its source gives
    TOO_LATE = "too-late"  # found no place within the late window
    MISSED = "missed"  # nobody could start it in time
    CUT_TO_CAP = "cut-to-cap"  # the dose was longer than the zone's limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A concrete start in the timetable. `id` names the due watering, so that it runs once however often it is sent.

    `due` is when the program asked for it, `start` when it will open (UTC); `max_s` is the time cap of its lease.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    id: str
    program_id: str
    zone_id: str
    node_id: str
    channel: str
    due: datetime
    start: datetime
    max_s: int
    dose: Dose
    flow_l_min: float
    rule: Rule = Rule.AS_PROGRAMMED
    params: dict[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        aware(self.due, "entry.due")
        aware(self.start, "entry.start")
        within(self.max_s, 1, 86_400, f"entry {self.id}: max_s", "s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A due watering that will not run, and why."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    id: str
    program_id: str
    zone_id: str
    due: datetime
    rule: Rule
    params: dict[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        aware(self.due, "skip.due")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseEntry:
    """What a board does on each due day when its timetable has run out: a start that is safe whatever is due.

    `start` is farm-local, placed as if every program were due on the same day, so that no subset exceeds a source.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    program_id: str
    zone_id: str
    node_id: str
    channel: str
    calendar: Calendar
    start: time
    max_s: int
    dose: Dose
    due: time | None = None  # the program's own start, which names the due watering; None = the same as `start`
    flow_l_min: float = 0.0  # nominal; 0 = not told
    not_before: datetime | None = None  # a hold reaches until then: what is due before does not start

    def __post_init__(self) -> None:
        if self.not_before is not None:
            aware(self.not_before, "base entry.not_before")
        within(self.max_s, 1, 86_400, f"base entry {self.program_id} {self.zone_id}: max_s", "s")
        within(self.flow_l_min, 0, 10_000, f"base entry {self.program_id} {self.zone_id}: flow_l_min", "L/min")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """What was compiled: entries and skips until `valid_until`, and the base plan after it. `tz` is an IANA name."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    version: int
    compiled_at: datetime
    valid_until: datetime
    tz: str
    entries: tuple[Entry, ...]
    skipped: tuple[Skip, ...] = ()
    base: tuple[BaseEntry, ...] = ()

    def __post_init__(self) -> None:
        aware(self.compiled_at, "timetable.compiled_at")
        aware(self.valid_until, "timetable.valid_until")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRun:
    """A run under way that the planner must leave alone: it takes `flow_l_min` of its source until `until`.

    `entry_id` is the due watering that it carries out (None: a person's order), so that its program's next zone waits.
    `since` is for one still to come that nobody can take back, at a board out of hearing; None = it takes water now.
    """

    zone_id: str
    until: datetime
    flow_l_min: float
    entry_id: str | None = None
    since: datetime | None = None

    def __post_init__(self) -> None:
        aware(self.until, "active run.until")
        if self.since is not None:
            aware(self.since, "active run.since")
        within(self.flow_l_min, 0, 10_000, f"active run of zone {self.zone_id}: flow_l_min", "L/min")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanState:
    """What has happened: runs under way, and the ids of due waterings already started or settled."""

    active: tuple[ActiveRun, ...] = ()
    settled: frozenset[str] = frozenset()


class Result(StrEnum):
    """What became of a due watering."""

    RAN = "ran"
    CHANGED = "changed"
    SKIPPED = "skipped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The record of what became of a due watering and why. `params` holds the inputs with their units in the names."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    id: str
    program_id: str
    zone_id: str
    due: datetime
    result: Result
    rule: Rule
    params: dict[str, float | str] = field(default_factory=dict)
    run_id: str | None = None
