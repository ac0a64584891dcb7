"""Request bodies: bounded, without NaN or duplicate keys, and exactly what the model asks."""

import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import cache
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from irrigation.model import Condition, Dose, DryDays, Expected, Group, QueuePolicy, Window
from server.errors import Refused
from server.planning import Draft
from server.records import HouseRules
from server.rules import ProgramRules

MAX_BODY = 64 * 1024

T = TypeVar("T")


class Body(BaseModel):
    """What all bodies share."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class SignIn(Body):
    """`POST /session`."""

    name: Annotated[str, Field(max_length=64)]
    password: Annotated[str, Field(max_length=1024)]


class Water(Body):
    """`POST /zones/{zone_id}/runs`."""

    dose: Dose
    queue: QueuePolicy | None = None


class RunProgram(Body):
    """`POST /programs/{program_id}/run`; it may come without a body."""

    queue: QueuePolicy = QueuePolicy.APPEND


class HoldBody(Body):
    """`PUT /farms/{farm_id}/hold`. With `emergency`, people's orders are refused too, until it is released.

    With `pause` all watering stops and goes on at `until`.
    """

    until: Annotated[str, Field(max_length=40)]
    reason: Annotated[str, Field(max_length=200)] = ""
    emergency: bool = False
    pause: bool = False


class ForecastBody(Body):
    """`PUT /farms/{farm_id}/forecast`: mm of rain expected in the first so many hours after it was issued."""

    issued_at: Annotated[str, Field(max_length=40)]
    rain: Annotated[tuple[Expected, ...], Field(min_length=1, max_length=24)]


class HouseRulesBody(Body):
    """`PUT /farms/{farm_id}/rules`: all of them."""

    groups: Annotated[tuple[Group, ...], Field(max_length=100)] = ()
    windows: Annotated[tuple[Window, ...], Field(max_length=24)] = ()
    dry_days: DryDays | None = None
    conditions: Annotated[tuple[Condition, ...], Field(max_length=12)] = ()

    def rules(self) -> HouseRules:
        """The same for the planner."""
        return HouseRules(groups=self.groups, windows=self.windows, dry_days=self.dry_days, conditions=self.conditions)


class ProgramBody(ProgramRules):
    """A program as it is added."""

    def draft(self) -> Draft:
        """The same for the planner."""
        return Draft(rules=self, id=getattr(self, "id", None), version=getattr(self, "version", None))


class ProgramEdit(ProgramBody):
    """A program as it was read and changed: what the server sets may stand in it, and only `version` counts.

    Settings that it does not name stay as they are.
    """

    version: Annotated[int, Field(ge=1)]
    id: str | None = None
    updated_at: str | None = None
    updated_by: str | None = None


class ProgramMaybe(ProgramBody):
    """A program in a preview, saved before or not."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")] | None = None
    version: int | None = None
    updated_at: str | None = None
    updated_by: str | None = None


class Preview(Body):
    """`POST /farms/{farm_id}/preview`."""

    programs: Annotated[tuple[ProgramMaybe, ...], Field(max_length=200)]


def body(model: type[T]) -> Any:
    """A dependency that gives the request's body as `model`."""

    async def parse(request: Request) -> T:
        return await parsed(request, model)

    typed: Callable[[Request], Awaitable[T]] = parse
    return Depends(typed)


async def parsed(request: Request, model: type[T]) -> T:
    """Return the request's body as `model`."""
    raw = await read(request)
    # First pydantic, whose parser bounds the depth; only then the look for duplicate keys, which recurses.
    value: T = _adapter(model).validate_json(raw)
    json.loads(raw, object_pairs_hook=_no_duplicates)
    return value


def _adapter(model: Any) -> TypeAdapter[Any]:
    return _made(model)


_made = cache(TypeAdapter[Any])


def described(model: Any) -> dict[str, Any]:
    """What OpenAPI shows of a body that `body` parses."""
    schema = TypeAdapter(model).json_schema(ref_template="#/$defs/{model}")
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def read(request: Request) -> bytes:
    """The body's bytes; raise Refused `too-large` as soon as it is."""
    known = request.scope.get("tuoi.body")
    if isinstance(known, bytes):
        return known
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > MAX_BODY:
        raise Refused("too-large", max_kb=float(MAX_BODY // 1024))
    raw = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            raw += chunk
            if len(raw) > MAX_BODY:
                raise Refused("too-large", max_kb=float(MAX_BODY // 1024))
    request.scope["tuoi.body"] = bytes(raw)
    return bytes(raw)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise Refused("bad-field", field=key, why="why.twice")
        seen.add(key)
