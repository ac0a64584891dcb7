"""A farm's set-up file: its site, and the programs that it starts with."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.errors import ConfigError
from contract.settings import load_toml
from irrigation.model import Condition, DryDays, Farm, Group, Household, Program, Source, Window, Zone
from server.ledger import farms, rotas
from server.ledger.database import Ledger
from server.records import HouseholdRecord, HouseRules, ProgramRecord
from server.rules import ProgramRules, RotaRules
from server.shapes import planned


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class NodeName(_Strict):
    """What people call a board."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
    name: Annotated[str, Field(min_length=1, max_length=200)]


class HouseholdFile(_Strict):
    """A household, and who speaks for it."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    people: tuple[str, ...] = ()  # names of accounts


class RotaFile(RotaRules):
    """A rota as the file has it."""

    source_id: str


class ProgramFile(ProgramRules):
    """A program as the file has it."""

    id: str


class FarmFile(_Strict):
    """The whole file."""

    format: Literal[1] = 1
    id: str
    name: Annotated[str, Field(min_length=1, max_length=200)]
    cooperative: Annotated[str, Field(max_length=200)] = ""
    tz: str
    lat: float
    lon: float
    help_phone: Annotated[str, Field(max_length=64)] = ""
    report_every_s: Annotated[float, Field(ge=1, le=86_400)] = 60
    sources: tuple[Source, ...]
    zones: tuple[Zone, ...]
    nodes: tuple[NodeName, ...] = ()
    programs: tuple[ProgramFile, ...] = ()
    groups: tuple[Group, ...] = ()
    windows: tuple[Window, ...] = ()
    dry_days: DryDays | None = None
    conditions: tuple[Condition, ...] = ()
    households: tuple[HouseholdFile, ...] = ()
    rotas: tuple[RotaFile, ...] = ()

    def farm(self, programs: tuple[Program, ...] = ()) -> Farm:
        """The farm as the planner knows it; raise ValueError naming what does not fit together."""
        return Farm(
            id=self.id, name=self.name, tz=self.tz, lat=self.lat, lon=self.lon, sources=self.sources, zones=self.zones,
            programs=programs, groups=self.groups, windows=self.windows, dry_days=self.dry_days,
            conditions=self.conditions,
            households=tuple(Household(id=each.id, name=each.name) for each in self.households),
            rotas=tuple(each.rota(each.source_id) for each in self.rotas),
        )  # fmt: skip


def load_farm(ledger: Ledger, path: Path, now: datetime) -> str:
    """Add the farm of the file, or set up its site anew; return its id. Nothing is changed when it raises ConfigError.

    The file is the truth about the site: sources, zones, boards, households; and about groups, hours and days without
    water where it says anything of them. Programs and rotas belong to the people: those in the file are what a new farm
    begins with. A farm that is there already keeps its own, also what was changed or deleted.
    """
    file = load_toml(path, FarmFile)
    try:
        farm = file.farm()
        with ledger.begin() as tx:
            is_new = file.id not in farms.ids(tx)
            for zone in file.zones:
                owner = farms.zone_owner(tx, zone.id)
                if owner not in (None, file.id):
                    raise ConfigError(f"zone {zone.id}: the farm {owner!r} has a zone of that id; choose another")
            site = file.model_dump(include={
                "id", "name", "cooperative", "tz", "lat", "lon", "help_phone", "report_every_s",
            })  # fmt: skip
            names = {zone.node_id: zone.node_id for zone in file.zones} | {node.id: node.name for node in file.nodes}
            farms.put_site(tx, site, file.sources, file.zones, names)
            people = (HouseholdRecord(id=one.id, name=one.name, people=one.people) for one in file.households)
            rotas.put_households(tx, file.id, people)
            for rota in farm.rotas if is_new else ():
                rotas.put(tx, file.id, rota)
            if file.model_fields_set & {"groups", "windows", "dry_days", "conditions"}:
                house = HouseRules(
                    groups=file.groups, windows=file.windows, dry_days=file.dry_days, conditions=file.conditions
                )
                farms.set_rules(tx, file.id, house)
            for program in file.programs:
                owner = farms.program_owner(tx, program.id)
                if owner not in (None, file.id):
                    raise ConfigError(f"program {program.id}: the farm {owner!r} has a program of that id")
                if is_new:
                    record = ProgramRecord(
                        farm_id=file.id, version=1, updated_at=now, updated_by="load-farm",
                        planned=program.program(program.id, now),
                    )  # fmt: skip
                    farms.put_program(tx, record)
            stored = farms.get(tx, file.id)
            assert stored is not None  # noqa: S101
            known = {zone.id for zone in farm.zones}
            planned(replace(stored, programs=()))  # what people have set up since must fit the site
            for kept in stored.programs:
                for part in kept.zones:
                    if part.zone_id not in known:
                        raise ConfigError(f"zone {part.zone_id}: the program {kept.id!r} waters it; change that first")
    except ValueError as exc:
        raise ConfigError(f"{path}: {exc}") from None
    return file.id
