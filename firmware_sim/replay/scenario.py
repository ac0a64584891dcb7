"""A scenario's file: the farm, what happens to it, and what is expected to run and to be decided."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contract.messages import Quantity
from edge.hardware.drivers.analog import Capacitive
from irrigation.model import Farm

What = Literal[
    "gateway-down", "gateway-up", "board-down", "board-up", "line-down", "line-up", "clock", "hold", "release", "skip",
    "edit", "delete", "water", "stop", "fault", "mend", "reading", "raw", "meter-back",
]  # fmt: skip


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Happening(_Strict):
    """Something that happens at a farm-local moment. Which of the other fields it needs follows from `do`."""

    at: datetime
    do: What
    node: str = ""
    zone: str = ""
    program: str = ""
    minutes: float = 0
    hours: float = 0
    who: str = "gateway"
    reason: str = ""
    set: dict[str, object] = {}
    quantity: Quantity = Quantity.SOIL_MOISTURE
    sensor: str = ""
    value: float = 0
    unit: str = ""
    litres: Annotated[float, Field(ge=0)] = 0


class MeterAt(_Strict):
    """A zone's meter, which ends doses in litres. `flow_l_min` is what flows in truth; None: the zone's own."""

    zone: str
    pulses_per_litre: Annotated[float, Field(gt=0, le=10_000)]
    flow_l_min: Annotated[float, Field(gt=0, le=10_000)] | None = None


class ProbeAt(Capacitive):
    """A soil probe of a board, as in that board's own file: `points` are (share of the reference, volumetric %)."""

    node: str


class Scenario(_Strict):
    """`begin` to `end`, farm-local; `expect` has a line for each run, and for each decision that is none."""

    about: str = ""
    begin: datetime
    end: datetime
    farm: Farm
    days: Annotated[int, Field(ge=1, le=60)] = 14
    meters: tuple[MeterAt, ...] = ()
    probes: tuple[ProbeAt, ...] = ()
    events: tuple[Happening, ...] = ()
    expect: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "Scenario":
        if not self.begin < self.end <= self.begin + timedelta(days=400):
            raise ValueError("end must be after begin, by 400 days at most")
        if any(at.tzinfo is not None for at in (self.begin, self.end, *(one.at for one in self.events))):
            raise ValueError("begin, end and the events' at are farm-local times, without an offset")
        return self

    @model_validator(mode="after")
    def _can_measure(self) -> "Scenario":
        zones, nodes = {zone.id: zone for zone in self.farm.zones}, {zone.node_id for zone in self.farm.zones}
        for meter in self.meters:
            if meter.zone not in zones or not zones[meter.zone].has_meter:
                raise ValueError(f"meters: zone must be one that has_meter, not {meter.zone!r}")
        for probe in self.probes:
            if probe.node not in nodes:
                raise ValueError(f"probes: node must be the board of a zone, not {probe.node!r}")
        metered, probed = {one.zone for one in self.meters}, {(one.node, one.sensor) for one in self.probes}
        for event in self.events:
            if event.do == "meter-back" and event.zone not in metered:
                raise ValueError(f"events: meter-back needs a zone that [[meters]] has, not {event.zone!r}")
            if event.do == "raw" and (event.node, event.sensor) not in probed:
                raise ValueError(
                    f"events: raw needs a probe that [[probes]] has, not {event.sensor!r} of {event.node!r}"
                )
        return self

    def utc(self, local: datetime) -> datetime:
        """Return a farm-local moment in UTC."""
        return local.replace(tzinfo=ZoneInfo(self.farm.tz)).astimezone(ZoneInfo("UTC"))
