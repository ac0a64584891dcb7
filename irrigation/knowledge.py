"""What has happened and what was measured, as far as planning must know."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from irrigation.after_trouble import MakeUp
from irrigation.amount import Carried
from irrigation.bounds import STRICT, aware, within
from irrigation.condition import Observed
from irrigation.program import Program
from irrigation.queue import Queued
from irrigation.rota import Shortage


class Trouble(StrEnum):
    """Why a source gives nothing for now."""

    LOW = "low"
    RAN_DRY = "ran-dry"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTrouble:
    """A source that gives nothing, since when, and by what measure (its level in %, where that is what is wrong)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    kind: Trouble
    since: datetime
    level_pct: float | None = None

    def __post_init__(self) -> None:
        aware(self.since, "source trouble.since")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moisture:
    """The moisture of a zone's soil, volumetric %, and when it was measured."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    pct: float
    at: datetime

    def __post_init__(self) -> None:
        aware(self.at, "moisture.at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """A program as it was until people changed it or took it away, at `until`: what had begun by it is its to end."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    program: Program
    until: datetime

    def __post_init__(self) -> None:
        aware(self.until, "former.until")


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What was learned and measured, by zone or source id: flows in L/min, moistures, troubles; and what waits.

    `shortages` are the troubles that are over, of sources that are shared by turns: those turns have moved for good.
    `observed` is the weather and the levels; soil is in `moistures`. `latches` are the conditions that stopped and have
    not let go (`irrigation.condition.key`), each with the time of the value that it last stopped at.
    `former` are programs as they were before edits of the last day.

    The gateway has it; it stands in the timetable, so that a preview elsewhere starts from the same.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    flows_l_min: dict[str, float] = field(default_factory=dict)
    carried: tuple[Carried, ...] = ()
    moistures: dict[str, Moisture] = field(default_factory=dict)
    troubles: dict[str, SourceTrouble] = field(default_factory=dict)
    shortages: dict[str, tuple[Shortage, ...]] = field(default_factory=dict)
    make_ups: tuple[MakeUp, ...] = ()
    observed: tuple[Observed, ...] = ()
    latches: dict[str, datetime] = field(default_factory=dict)
    former: tuple[Former, ...] = ()
    queue: tuple[Queued, ...] = ()

    def __post_init__(self) -> None:
        for zone_id, flow in self.flows_l_min.items():
            within(flow, 0.01, 10_000, f"learned flow of zone {zone_id}", "L/min")


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
    """What has happened: runs under way, the ids of due waterings already started or settled, and what is known.

    `ended` says when the run of a due watering ended: soak and pauses count from it. `shortened_pct` is to how much one
    was shortened, so that the rest of its program is too; `owed_s` what was carried to it, so that its later parts are
    as they were. Those of the last day suffice. Nothing is placed before `not_before`.
    """

    active: tuple[ActiveRun, ...] = ()
    settled: frozenset[str] = frozenset()
    ended: dict[str, datetime] = field(default_factory=dict)
    shortened_pct: dict[str, float] = field(default_factory=dict)
    owed_s: dict[str, float] = field(default_factory=dict)
    known: Knowledge = Knowledge()
    not_before: datetime | None = None
