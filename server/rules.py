"""A program's rules as people write them: in the API and in a farm's set-up file."""

import re
from datetime import UTC, datetime, time
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from irrigation.model import (
    Adjust,
    AfterTrouble,
    Calendar,
    Condition,
    DryDays,
    Finish,
    Order,
    Program,
    Ration,
    Repeat,
    Rota,
    Season,
    Share,
    ShareUnit,
    Shortage,
    Sun,
    Window,
    ZoneDose,
)
from server.records import HouseRules

Json = dict[str, Any]
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _start(value: Any, as_sun: ValidatorFunctionWrapHandler) -> Any:
    """A clock time, or else the sun's: one sentence when it is neither."""
    if isinstance(value, str):
        return _clock(value)
    if isinstance(value, dict) and isinstance(value.get("otherwise"), str):
        value = value | {"otherwise": _clock(value["otherwise"])}  # JSON ends at this validator, and its texts with it
    return as_sun(value)


def _clock(text: str) -> time:
    if not _CLOCK.fullmatch(text):
        raise ValueError("a time of day such as 05:30 is needed, or a sunrise or sunset")
    return time.fromisoformat(text)


ClockField = Annotated[time, BeforeValidator(lambda value: _clock(value) if isinstance(value, str) else value)]
StartField = Annotated[Sun, WrapValidator(_start)]

OPTIONAL: Json = {
    "repeat": None, "seasons": (), "dry_days": None, "windows": (), "finish": None, "adjust": None,
    "order": Order.GIVEN, "pause_s": 0, "priority": 2,
    "after_trouble": AfterTrouble.SKIP, "conditions": (),
}  # fmt: skip
"""What a program need not say, and what it means then."""

_ROTA: TypeAdapter[Rota] = TypeAdapter(Rota)
_PROGRAM: TypeAdapter[Program] = TypeAdapter(Program)
_HOUSE: TypeAdapter[HouseRules] = TypeAdapter(HouseRules)


class ProgramRules(BaseModel):
    """When and how much, and the name that people give it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
    name: Annotated[str, Field(min_length=1, max_length=200)]
    enabled: bool = True
    calendar: Annotated[Calendar, Field(discriminator="kind")]
    starts: Annotated[tuple[StartField, ...], Field(max_length=24)] = ()
    zones: Annotated[tuple[ZoneDose, ...], Field(min_length=1, max_length=100)]
    repeat: Repeat | None = None
    seasons: Annotated[tuple[Season, ...], Field(max_length=24)] = ()
    dry_days: DryDays | None = None
    windows: Annotated[tuple[Window, ...], Field(max_length=24)] = ()
    finish: Finish | None = None
    adjust: Adjust | None = None
    order: Order = Order.GIVEN
    pause_s: int = 0
    priority: int = 2
    after_trouble: AfterTrouble = AfterTrouble.SKIP
    conditions: Annotated[tuple[Condition, ...], Field(max_length=12)] = ()

    def program(self, id: str, since: datetime, kept: Program | None = None) -> Program:
        """Return the planner's form; raise ValueError naming the field that is out of range.

        What an edit does not name at all stays as `kept` has it: an app of yesterday destroys nothing.
        """
        said = {name: getattr(self, name) for name in ("name", "enabled", "calendar", "starts", "zones", *OPTIONAL)}
        if kept is not None:
            said |= {name: getattr(kept, name) for name in OPTIONAL.keys() - self.model_fields_set}
        return Program(id=id, since=since, **said)


class RotaRules(BaseModel):
    """The turns at a source as people set them; what households agree on is not among them."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
    unit: ShareUnit
    anchor: AwareDatetime
    period_days: Annotated[int, Field(ge=1, le=366)]
    shares: Annotated[tuple[Share, ...], Field(min_length=1, max_length=200)]
    hours: tuple[ClockField, ClockField] | None = None
    rations: Annotated[tuple[Ration, ...], Field(max_length=50)] = ()
    shortages: Annotated[tuple[Shortage, ...], Field(max_length=500)] = ()

    def rota(self, source_id: str) -> Rota:
        """Return the planner's form; raise ValueError naming the field that is out of range."""
        return Rota(
            source_id=source_id, unit=self.unit, anchor=self.anchor.astimezone(UTC), period_days=self.period_days,
            shares=self.shares, hours=self.hours, rations=self.rations, shortages=self.shortages,
        )  # fmt: skip


def rota_body(rota: Rota) -> Json:
    """Return a rota as JSON, with the agreements."""
    short: Json = _without_seconds(_ROTA.dump_python(rota, mode="json", exclude_none=True))
    return short


def body(program: Program) -> Json:
    """Return the rules as JSON: calendar, starts, zones, and what else the program says."""
    whole = _PROGRAM.dump_python(program, mode="json", exclude_none=True)
    said = (
        "calendar",
        "starts",
        "zones",
        *(name for name, usual in OPTIONAL.items() if getattr(program, name) != usual),
    )
    short: Json = _without_seconds({name: whole[name] for name in said})
    return short


def house_body(house: HouseRules) -> Json:
    """Return what binds every program of a farm as JSON."""
    short: Json = _without_seconds(_HOUSE.dump_python(house, mode="json", exclude_none=True))
    return short


def house_from_body(rules: Json) -> HouseRules:
    """Return the rules of `house_body`; raise ValueError when they are none."""
    return _HOUSE.validate_python(rules, strict=False)


def from_body(rules: Json, **more: Any) -> Program:
    """Return the program of `body`, with its id, name and so on; raise ValueError when it is none."""
    return _PROGRAM.validate_python(rules | more, strict=False)


def _without_seconds(value: Any) -> Any:
    """Clock times as people write them, 05:30, where they have no seconds."""
    if isinstance(value, dict):
        return {name: _without_seconds(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_seconds(inner) for inner in value]
    whole_minute = isinstance(value, str) and len(value) == 8 and value[2] == value[5] == ":" and value.endswith(":00")
    return value[:5] if whole_minute else value
