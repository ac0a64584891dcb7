"""Timetables: what will run and what will not, each with its reason; and what became of it."""

from dataclasses import dataclass, field
from datetime import datetime, time
from enum import StrEnum
from typing import Any, ClassVar

from irrigation.amount import Dose
from irrigation.bounds import STRICT, aware, within
from irrigation.condition import ConditionKind
from irrigation.days import BaseCalendar
from irrigation.knowledge import Knowledge
from irrigation.queue import QueuePlace


class Rule(StrEnum):
    """Why a due watering is as it is; the app has a sentence for each, in three languages."""

    AS_PROGRAMMED = "as-programmed"
    SOURCE_BUSY = "source-busy"  # starts later, when the source has the flow
    HOLD = "hold"
    SKIPPED_BY_PERSON = "skipped-by-person"
    FLOW_ABOVE_SOURCE = "flow-above-source"  # the zone alone wants more than its source or group gives
    TOO_LATE = "too-late"  # found no place within the late window
    MISSED = "missed"  # nobody could start it in time
    CUT_TO_CAP = "cut-to-cap"  # the dose was longer than the zone's limit
    DRY_DAY = "dry-day"  # a day without water, of the farm or of the program
    WINDOW_OPENS = "window-opens"  # starts later, in the allowed hours
    OUTSIDE_WINDOW = "outside-window"  # no allowed hours within the late window
    NO_SUN = "no-sun"  # the sun does not rise or set that day, and no other time is given
    BELOW_LEAST = "below-least"  # adjusted to less than is useful; carried to the next
    NOT_FINISHED = "not-finished"  # cannot be finished by its time
    STARTED_EARLIER = "started-earlier"  # so as to be finished by its time
    SHORTENED = "shortened"  # so as to be finished by its time
    PROGRAM_CHANGED = "program-changed"  # people changed or deleted the program before this watering had begun
    SOURCE_LOW = "source-low"
    SOURCE_RAN_DRY = "source-ran-dry"
    TURN_COMES = "turn-comes"  # starts later, in its household's turn at the source
    OUTSIDE_TURN = "outside-turn"  # its household's turn does not come within the late window
    NO_SHARE = "no-share"  # its household has no share of a source that goes by turns
    MADE_UP = "made-up"  # the rest of a watering that trouble cut short
    NOT_MADE_UP = "not-made-up"
    PAUSED = "paused"  # starts later, when a person's pause is over
    RAIN_FALLEN = "rain-fallen"  # these are conditions' kinds; `source-low` above is one, too
    RAIN_FORECAST = "rain-forecast"
    SOIL_WET = "soil-wet"
    FROST = "frost"
    WIND = "wind"
    HEAT = "heat"
    NO_VALUE = "no-value"  # a condition had no value that is young enough, and says to skip then
    ASK_PERSON = "ask-person"  # … and says that it takes a person then


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A concrete start in the timetable. `id` names the due watering, so that it runs once however often it is sent.

    `due` is when the program asked for it, `start` when it will open (UTC); `max_s` is the time cap of its lease.
    A watering in parts has an entry for each; those after the first have ids that end in `.2`, `.3` …
    `awaits` is a condition whose value is still to come and without which it does not run: no board is told of it yet.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
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
    awaits: ConditionKind | None = None

    def __post_init__(self) -> None:
        aware(self.due, "entry.due")
        aware(self.start, "entry.start")
        if not 1 <= self.max_s <= 86_400:  # asked first: the name below is not for nothing
            within(self.max_s, 1, 86_400, f"entry {self.id}: max_s", "s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A due watering that will not run, and why."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
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

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    program_id: str
    zone_id: str
    node_id: str
    channel: str
    calendar: BaseCalendar
    start: time
    max_s: int
    dose: Dose
    due: time | None = None  # the program's own start, which names the due watering; None = the same as `start`
    flow_l_min: float = 0.0  # nominal; 0 = not told
    not_before: datetime | None = None  # a hold reaches until then: what is due before does not start
    key: str | None = None  # how ids call the program's start; None = by the clock time of `due`
    part: int = 1  # of a watering in parts

    def __post_init__(self) -> None:
        if self.not_before is not None:
            aware(self.not_before, "base entry.not_before")
        within(self.max_s, 1, 86_400, f"base entry {self.program_id} {self.zone_id}: max_s", "s")
        within(self.flow_l_min, 0, 10_000, f"base entry {self.program_id} {self.zone_id}: flow_l_min", "L/min")
        within(self.part, 1, 1000, f"base entry {self.program_id} {self.zone_id}: part", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """What was compiled: entries and skips until `valid_until`, and the base plan after it. `tz` is an IANA name.

    `known` is what it was compiled from, `queue` what people's queued waterings may expect; a board's part is without.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    version: int
    compiled_at: datetime
    valid_until: datetime
    tz: str
    entries: tuple[Entry, ...]
    skipped: tuple[Skip, ...] = ()
    base: tuple[BaseEntry, ...] = ()
    known: Knowledge | None = None
    queue: tuple[QueuePlace, ...] | None = None

    def __post_init__(self) -> None:
        aware(self.compiled_at, "timetable.compiled_at")
        aware(self.valid_until, "timetable.valid_until")


class Result(StrEnum):
    """What became of a due watering."""

    RAN = "ran"
    CHANGED = "changed"
    SKIPPED = "skipped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The record of what became of a due watering and why. `params` holds the inputs with their units in the names."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    id: str
    program_id: str
    zone_id: str
    due: datetime
    result: Result
    rule: Rule
    params: dict[str, float | str] = field(default_factory=dict)
    run_id: str | None = None
