"""A farm's set-up file: its site, and the programs that it starts with."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from contract.errors import ConfigError
from contract.settings import load_toml
from irrigation.model import Condition, DryDays, Farm, Group, Household, Program, Rota, Source, Window, Zone
from server.ledger import farms, rotas
from server.ledger.database import Ledger
from server.records import FarmRecord, HouseholdRecord, HouseRules, ProgramRecord
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

    The file is the truth about the site: sources, zones, boards; and about groups, hours and days without water where
    it says anything of them. Programs, rotas, households and whose a zone is belong to the people: those in the file
    are what a new farm begins with, and a new zone brings its household along. A farm that is there already keeps its
    own, also what was changed or deleted.
    """
    file = load_toml(path, FarmFile)
    try:
        farm = file.farm()
        with ledger.begin() as tx:
            known = farms.get(tx, file.id)
            is_new = known is None
            for zone in file.zones:
                owner = farms.zone_owner(tx, zone.id)
                if owner not in (None, file.id):
                    raise ConfigError(f"zone {zone.id}: the farm {owner!r} has a zone of that id; choose another")
            site = file.model_dump(include={
                "id", "name", "cooperative", "tz", "lat", "lon", "help_phone", "report_every_s",
            })  # fmt: skip
            names = {zone.node_id: zone.node_id for zone in file.zones} | {node.id: node.name for node in file.nodes}
            zones = file.zones if known is None else _as_people_have_them(file.zones, known)
            farms.put_site(tx, site, file.sources, zones, names)
            _put_people(tx, file, farm.rotas, {zone.household_id for zone in zones}, known)
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
                    made = ProgramRecord(
                        farm_id=file.id, version=1, updated_at=now, updated_by="load-farm",
                        planned=program.program(program.id, now),
                    )  # fmt: skip
                    farms.put_program(tx, made)
            stored = farms.get(tx, file.id)
            assert stored is not None  # noqa: S101
            of_file = {zone.id for zone in farm.zones}
            planned(replace(stored, programs=()))  # what people have set up since must fit the site
            for kept in stored.programs:
                for part in kept.zones:
                    if part.zone_id not in of_file:
                        raise ConfigError(f"zone {part.zone_id}: the program {kept.id!r} waters it; change that first")
    except ValueError as exc:
        raise ConfigError(f"{path}: {exc}") from None
    return file.id


def _put_people(
    tx: Connection, file: FarmFile, first: tuple[Rota, ...], needed: set[str | None], known: FarmRecord | None
) -> None:
    """Keep the households and rotas of a new farm; of one that is there, the households that its zones lack."""
    there = set() if known is None else {one.id for one in known.households}
    for one in file.households:
        if known is None or (one.id in needed and one.id not in there):
            rotas.put_household(tx, file.id, HouseholdRecord(id=one.id, name=one.name, people=one.people))
    for rota in first if known is None else ():
        rotas.put(tx, file.id, rota)


def _as_people_have_them(zones: tuple[Zone, ...], known: FarmRecord) -> tuple[Zone, ...]:
    """The file's zones; those that the farm has keep the household that people gave them."""
    whose = {zone.id: zone.household_id for zone in known.zones}
    return tuple(replace(zone, household_id=whose.get(zone.id, zone.household_id)) for zone in zones)
