"""What the ledger keeps, as frozen values between the layers."""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from contract.messages import Reason
from irrigation.model import (
    Condition,
    Dose,
    DryDays,
    Forecast,
    Group,
    Hold,
    Program,
    Rota,
    Source,
    Window,
    Zone,
    ZoneDose,
)
from irrigation.run import RunState

Params = dict[str, float | str]


def slug_of(name: str) -> str:
    """What an id may have of a name that people gave: a-z, 0-9 and single hyphens, 36 of them at most; may be none."""
    plain = unicodedata.normalize("NFKD", name.lower().replace("đ", "d")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:36].strip("-")


class Role(StrEnum):
    """What a person may do; farmers see their own farms only."""

    FARMER = "farmer"
    TECHNICIAN = "technician"
    MANAGER = "manager"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person. `farms` is None for those of the cooperative's staff who see every farm."""

    name: str
    display_name: str
    role: Role
    language: str
    farms: frozenset[str] | None

    def sees(self, farm_id: str) -> bool:
        """Whether this farm exists for this person."""
        return self.farms is None or farm_id in self.farms


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRecord:
    """A program as people edit it, with who changed it last; `planned` is the rule itself."""

    farm_id: str
    version: int
    updated_at: datetime
    updated_by: str
    planned: Program

    @property
    def id(self) -> str:
        """The program's id."""
        return self.planned.id

    @property
    def name(self) -> str:
        """What people call it."""
        return self.planned.name

    @property
    def zones(self) -> tuple[ZoneDose, ...]:
        """What it gives each zone."""
        return self.planned.zones


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseRules:
    """What binds every program of a farm: groups of zones with limits, allowed hours, dry days, conditions."""

    groups: tuple[Group, ...] = ()
    windows: tuple[Window, ...] = ()
    dry_days: DryDays | None = None
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseholdRecord:
    """Who shares a source with others; `people` are the names of the accounts that speak for it.

    One that has left is kept for the accounts of the rounds that it had.
    """

    id: str
    name: str
    people: tuple[str, ...] = ()
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmRecord:
    """A farm as people have set it up; `version` rises with every change that the gateway must hear of."""

    id: str
    name: str
    cooperative: str
    tz: str
    lat: float
    lon: float
    help_phone: str
    version: int
    report_every_s: float
    sources: tuple[Source, ...]
    zones: tuple[Zone, ...]
    node_names: dict[str, str]
    programs: tuple[ProgramRecord, ...]
    hold: Hold | None
    skips: tuple[str, ...]
    groups: tuple[Group, ...] = ()
    windows: tuple[Window, ...] = ()
    dry_days: DryDays | None = None
    conditions: tuple[Condition, ...] = ()
    forecast: Forecast | None = None
    households: tuple[HouseholdRecord, ...] = ()
    rotas: tuple[Rota, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One watering as far as the server has heard. `at` is the time of the last change of state."""

    id: str
    farm_id: str
    zone_id: str
    state: RunState
    dose: Dose
    max_s: float
    actor: str
    origin: str  # person, program, base_plan
    asked_at: datetime
    at: datetime
    has_meter: bool
    program_id: str | None = None
    entry_id: str | None = None
    command_id: str | None = None
    expires_at: datetime | None = None
    opened_at: datetime | None = None
    closes_at: datetime | None = None
    ended_at: datetime | None = None
    litres: float | None = None
    open_s: float | None = None
    reason_code: str | None = None
    reason_params: Params = field(default_factory=dict)
    stop_by: str | None = None  # who wants it ended; kept until it has ended


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAllRecord:
    """A wish to have every valve of a farm closed, said again until `until` or until the gateway has taken it."""

    farm_id: str
    id: str
    actor: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    """A condition that a person must know about."""

    id: str
    farm_id: str
    kind: str
    severity: str  # warning, critical
    raised_at: datetime
    zone_id: str | None = None
    node_id: str | None = None
    channel: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    cleared_at: datetime | None = None
    params: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetRecord:
    """Somebody asked to have a valve unlocked; `refused` says why it was not."""

    node_id: str
    channel: str
    by: str
    at: datetime
    command_id: str
    refused: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """What became of a due watering, and when the server was told."""

    id: str
    farm_id: str
    zone_id: str
    program_id: str
    due: datetime
    result: str
    rule: str
    at: datetime
    params: Params = field(default_factory=dict)
    run_id: str | None = None
