"""A scenario's file: the farm, what happens to it, and what is expected to run and to be decided."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contract.messages import Quantity
from irrigation.model import Farm

What = Literal[
    "gateway-down", "gateway-up", "board-down", "board-up", "line-down", "line-up", "clock", "hold", "release", "skip",
    "edit", "delete", "water", "stop", "fault", "mend", "reading",
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


class Scenario(_Strict):
    """`begin` to `end`, farm-local; `expect` has a line for each run, and for each decision that is none."""

    about: str = ""
    begin: datetime
    end: datetime
    farm: Farm
    days: Annotated[int, Field(ge=1, le=60)] = 14
    events: tuple[Happening, ...] = ()
    expect: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "Scenario":
        if not self.begin < self.end <= self.begin + timedelta(days=400):
            raise ValueError("end must be after begin, by 400 days at most")
        if any(at.tzinfo is not None for at in (self.begin, self.end, *(one.at for one in self.events))):
            raise ValueError("begin, end and the events' at are farm-local times, without an offset")
        return self

    def utc(self, local: datetime) -> datetime:
        """Return a farm-local moment in UTC."""
        return local.replace(tzinfo=ZoneInfo(self.farm.tz)).astimezone(ZoneInfo("UTC"))
