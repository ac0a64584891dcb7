"""Programs: what people have written down of when and how much."""

from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum
from typing import Any, ClassVar

from irrigation.after_trouble import AfterTrouble
from irrigation.amount import Adjust, CycleSoak, Dose
from irrigation.bounds import STRICT, aware, slug, within
from irrigation.condition import Condition, distinct
from irrigation.days import Calendar, Cron, DryDays, Season
from irrigation.starts import Finish, Repeat, Start, Window, clock

FIRST_PRIORITY, LAST_PRIORITY = 1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneDose:
    """A zone's part in a program; `cycle` in place of the zone's own."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    zone_id: str
    dose: Dose
    cycle: CycleSoak | None = None


class Order(StrEnum):
    """In what order a program waters its zones."""

    GIVEN = "given"
    DRIEST_FIRST = "driest-first"  # by measured moisture against each zone's lower limit; unmeasured ones last
    TOGETHER = "together"  # as many at once as source and groups allow


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A rule: when (calendar and farm-local starts) and how much for each zone, one zone after the other.

    `since` is when this version was made: nothing that was due before it runs by it, so an edit never fires at once.
    `pause_s` is the time between two zones; negative, they overlap. Priority 1 comes first where programs compete.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    id: str
    name: str
    calendar: Calendar
    starts: tuple[Start, ...]
    zones: tuple[ZoneDose, ...]
    since: datetime
    enabled: bool = True
    repeat: Repeat | None = None
    seasons: tuple[Season, ...] = ()
    dry_days: DryDays | None = None
    windows: tuple[Window, ...] = ()
    finish: Finish | None = None
    adjust: Adjust | None = None
    order: Order = Order.GIVEN
    pause_s: int = 0
    priority: int = 2
    after_trouble: AfterTrouble = AfterTrouble.SKIP
    conditions: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        slug(self.id, "program.id")
        aware(self.since, "program.since")
        self._check_starts()
        if not self.zones or len({part.zone_id for part in self.zones}) != len(self.zones):
            raise ValueError("program.zones must name at least one zone, each only once")
        within(self.pause_s, -600, 3600, "program.pause_s", "s")
        within(self.priority, FIRST_PRIORITY, LAST_PRIORITY, "program.priority", "(1 = first)")
        distinct(self.conditions, "program.conditions")

    def _check_starts(self) -> None:
        if isinstance(self.calendar, Cron):
            if self.starts or self.repeat is not None:
                raise ValueError(
                    "program.starts and program.repeat do not go with a cron calendar, which has its own times"
                )
        elif not self.starts or len(set(self.starts)) != len(self.starts):
            raise ValueError("program.starts must hold at least one time of day, each only once")
        for start in self.starts:
            if isinstance(start, time):
                clock(start, "program.starts are farm-local times")
        if self.repeat is not None and self.finish is not None:
            raise ValueError("program.repeat does not go with program.finish: repeats count from a start")
