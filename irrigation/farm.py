"""A farm as people have decided it: its site, its programs, and what holds them back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from irrigation.bounds import STRICT, aware, known_zone, slug, within
from irrigation.condition import Condition, distinct
from irrigation.days import DryDays
from irrigation.forecast import Forecast
from irrigation.program import Program
from irrigation.rota import Rota
from irrigation.site import Group, Household, Source, Zone
from irrigation.starts import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Programs do not start before `until`; in an `emergency` nothing does, people's orders neither, until released.

    In a `pause` nothing waters before `until`, and nothing is skipped: what was under way and what falls due waits.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    until: datetime
    reason: str = ""
    emergency: bool = False
    pause: bool = False

    def __post_init__(self) -> None:
        aware(self.until, "hold.until")
        if self.pause and self.emergency:
            raise ValueError("hold.pause does not go with hold.emergency, which lasts until it is released")

    def covers(self, due: datetime) -> bool:
        """Whether what is due then does not start: skipped, not queued."""
        return self.emergency or (due < self.until and not self.pause)

    def paused(self, now: datetime) -> bool:
        """Whether all watering waits: a pause ends by itself."""
        return self.pause and now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """All that planning needs to know of a farm and that people decide. `tz` is an IANA name; position in degrees.

    `windows`, `dry_days`, `conditions` and the turns of `rotas` bind every program; people's own orders they do not. Of
    several rotas at one source each holds from its anchor until the next one's.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
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
    groups: tuple[Group, ...] = ()
    windows: tuple[Window, ...] = ()
    dry_days: DryDays | None = None
    households: tuple[Household, ...] = ()
    rotas: tuple[Rota, ...] = ()
    conditions: tuple[Condition, ...] = ()
    forecast: Forecast | None = None

    def __post_init__(self) -> None:
        slug(self.id, "farm.id")
        known_zone(self.tz, "farm.tz")
        within(self.lat, -90, 90, "farm.lat", "°")
        within(self.lon, -180, 180, "farm.lon", "°")
        distinct(self.conditions, "farm.conditions")
        for name in ("sources", "zones", "programs", "groups", "households"):
            ids = [thing.id for thing in getattr(self, name)]
            if len(set(ids)) != len(ids):
                raise ValueError(f"farm.{name} must have different ids, not {ids}")
        known = {source.id for source in self.sources}
        for zone in self.zones:
            if zone.source_id not in known:
                raise ValueError(f"zone {zone.id}: source_id {zone.source_id!r} is none of this farm's sources")
        self._check_zone_ids()
        self._check_households()
        channels = [(zone.node_id, zone.channel) for zone in self.zones]
        if len(set(channels)) != len(channels):
            raise ValueError("farm.zones must each have a node and channel of their own")

    def _check_zone_ids(self) -> None:
        known = {zone.id for zone in self.zones}
        for program in self.programs:
            for part in program.zones:
                if part.zone_id not in known:
                    raise ValueError(f"program {program.id}: zone_id {part.zone_id!r} is none of this farm's zones")
        for group in self.groups:
            for zone_id in group.zone_ids:
                if zone_id not in known:
                    raise ValueError(f"group {group.id}: zone_id {zone_id!r} is none of this farm's zones")

    def _check_households(self) -> None:
        sources, households = {each.id for each in self.sources}, {each.id for each in self.households}
        named = [(f"zone {zone.id}", zone.household_id) for zone in self.zones if zone.household_id is not None]
        for rota in self.rotas:
            if rota.source_id not in sources:
                raise ValueError(f"rota: source_id {rota.source_id!r} is none of this farm's sources")
            named += [(f"rota of {rota.source_id}", share.household_id) for share in rota.shares]
        for who, household_id in named:
            if household_id not in households:
                raise ValueError(f"{who}: household_id {household_id!r} is none of this farm's households")
        begins = [(rota.source_id, rota.anchor) for rota in self.rotas]
        if len(set(begins)) != len(begins):
            raise ValueError("farm.rotas of one source must begin at different times (anchor)")

    def rotas_of(self, source_id: str) -> tuple[Rota, ...]:
        """Return that source's rotas in the order in which they come into force; none = it is not shared by turns."""
        return tuple(sorted((each for each in self.rotas if each.source_id == source_id), key=lambda each: each.anchor))

    def zone(self, zone_id: str) -> Zone:
        """Return that zone; raise KeyError if there is none."""
        return next((zone for zone in self.zones if zone.id == zone_id), None) or _missing(zone_id)

    def source(self, source_id: str) -> Source:
        """Return that source; raise KeyError if there is none."""
        return next((source for source in self.sources if source.id == source_id), None) or _missing(source_id)


def _missing(key: str) -> Any:
    raise KeyError(key)
