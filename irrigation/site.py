"""What there is on a farm: sources, zones, and the groups of zones that share a pipe or a rule."""

from dataclasses import dataclass
from typing import Any, ClassVar

from irrigation.amount import CycleSoak
from irrigation.bounds import STRICT, slug, within
from irrigation.starts import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorAt:
    """A sensor, by the board that has it and its name there."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    node_id: str
    sensor: str

    def __post_init__(self) -> None:
        slug(self.node_id, "sensor.node_id")
        slug(self.sensor, "sensor.sensor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A tank, well, stream intake or main, and what it gives at most.

    `supply_before_s` is how long its pump or master valve runs before a zone's valve opens, `supply_after_s` how long
    after the last has closed. `power` are the hours with mains power for its pump (none = always). Below `low_pct`
    of its level nothing starts until it has risen to `enough_pct`; where no level is measured, and after the pump ran
    dry, it is given `recovery_min` to fill.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    id: str
    name: str
    capacity_l_min: float
    supply_before_s: int = 0
    supply_after_s: int = 0
    power: tuple[Window, ...] = ()
    low_pct: float | None = None
    enough_pct: float | None = None
    recovery_min: float = 30.0
    dry_after_s: int | None = None  # its pump may run for so long without water; a board may be stricter
    level: SensorAt | None = None  # what measures its level

    def __post_init__(self) -> None:
        slug(self.id, "source.id")
        within(self.capacity_l_min, 0.1, 100_000, f"source {self.id}: capacity_l_min", "L/min")
        within(self.supply_before_s, 0, 600, f"source {self.id}: supply_before_s", "s")
        within(self.supply_after_s, 0, 600, f"source {self.id}: supply_after_s", "s")
        within(self.recovery_min, 1, 24 * 60, f"source {self.id}: recovery_min", "min")
        if self.dry_after_s is not None:
            within(self.dry_after_s, 5, 3600, f"source {self.id}: dry_after_s", "s")
        if (self.low_pct is None) != (self.enough_pct is None):
            raise ValueError(f"source {self.id}: low_pct and enough_pct go together")
        if self.low_pct is not None and self.enough_pct is not None:
            within(self.low_pct, 0, 100, f"source {self.id}: low_pct", "%")
            within(self.enough_pct, self.low_pct, 100, f"source {self.id}: enough_pct", "%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """Who shares a source with others; its zones are watered in its turns."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    id: str
    name: str

    def __post_init__(self) -> None:
        slug(self.id, "household.id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One valve and the ground it waters. `flow_l_min` is the nominal flow; moisture is volumetric %.

    `efficiency` is the share of the water that the roots get (application efficiency Ea of FAO-56; drip 0.9). An
    `exclusive` zone has its source for itself. `cycle` splits its waterings, unless a program says otherwise.
    `household_id` is whose it is, where a source is shared by turns.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
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
    efficiency: float = 0.9
    exclusive: bool = False
    cycle: CycleSoak | None = None
    household_id: str | None = None

    def __post_init__(self) -> None:
        for name in ("id", "node_id", "channel", "source_id"):
            slug(getattr(self, name), f"zone.{name}")
        if self.household_id is not None:
            slug(self.household_id, f"zone {self.id}: household_id")
        within(self.area_m2, 0.01, 1_000_000, f"zone {self.id}: area_m2", "m²")
        within(self.flow_l_min, 0.01, 10_000, f"zone {self.id}: flow_l_min", "L/min")
        within(self.max_run_s, 1, 86_400, f"zone {self.id}: max_run_s", "s")
        within(self.moisture_low_pct, 0, 70, f"zone {self.id}: moisture_low_pct", "%")
        within(self.moisture_high_pct, self.moisture_low_pct, 70, f"zone {self.id}: moisture_high_pct", "%")
        within(self.efficiency, 0.1, 1, f"zone {self.id}: efficiency", "(share of the water)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Zones that share a limit: `max_l_min` of flow (an elevation, a pipe), `max_zones` at once (1 = in sequence)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    id: str
    zone_ids: tuple[str, ...]
    name: str = ""
    max_l_min: float | None = None
    max_zones: int | None = None

    def __post_init__(self) -> None:
        slug(self.id, "group.id")
        if not self.zone_ids or len(set(self.zone_ids)) != len(self.zone_ids):
            raise ValueError(f"group {self.id}: zone_ids must name at least one zone, each only once")
        if self.max_l_min is None and self.max_zones is None:
            raise ValueError(f"group {self.id} must have max_l_min or max_zones, or both")
        if self.max_l_min is not None:
            within(self.max_l_min, 0.1, 100_000, f"group {self.id}: max_l_min", "L/min")
        if self.max_zones is not None:
            within(self.max_zones, 1, 1000, f"group {self.id}: max_zones", "zones")
