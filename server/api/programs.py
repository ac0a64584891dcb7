"""Programs, what they will do, and why they did what they did."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from server import shapes
from server.api import telling
from server.api.body import Preview, ProgramBody, ProgramEdit, body, described
from server.api.doors import InThisFarm, Made, OfProgram, SignedIn
from server.api.telling import Language
from server.ledger import history
from server.shapes import Json

router = APIRouter(tags=["programs"])

Days = Annotated[int, Query(ge=1, le=14)]


@router.get("/farms/{farm_id}/programs")
async def all_of_farm(view: InThisFarm) -> Json:
    """A farm's programs."""
    return {"programs": [shapes.program(program) for program in view.farm.programs]}


@router.post("/farms/{farm_id}/programs", status_code=201, openapi_extra=described(ProgramBody))
async def create(
    view: InThisFarm, account: SignedIn, made: Made, given: Annotated[ProgramBody, body(ProgramBody)]
) -> Json:
    """Add a program."""
    return shapes.program(await made.planning.create(account, view, given.draft()))


@router.get("/programs/{program_id}")
async def one(found: OfProgram) -> Json:
    """A program."""
    return shapes.program(found.thing)


@router.put("/programs/{program_id}", openapi_extra=described(ProgramEdit))
async def edit(
    found: OfProgram, account: SignedIn, made: Made, given: Annotated[ProgramEdit, body(ProgramEdit)]
) -> Json:
    """Change a program; wants the version that was read."""
    return shapes.program(await made.planning.edit(account, found.farm, found.thing, given.draft()))


@router.delete("/programs/{program_id}", status_code=204)
async def delete(found: OfProgram, account: SignedIn, made: Made) -> None:
    """Take a program away."""
    await made.planning.delete(account, found.farm, found.thing)


@router.post("/programs/{program_id}/skip-next")
async def skip_next(found: OfProgram, account: SignedIn, made: Made) -> Json:
    """Skip the next watering of a program."""
    entry_id, start = await made.planning.skip_next(account, found.farm, found.thing)
    return {"skipped": {"entry_id": entry_id, "start": shapes.iso(start)}}


@router.get("/farms/{farm_id}/timetable")
async def timetable(view: InThisFarm, made: Made, spoken: Language, days: Days = 7) -> Json:
    """What the gateway compiled and the boards hold."""
    until = made.now() + timedelta(days=days)
    table = made.planning.timetable(view)
    return telling.timetable(shapes.timetable(table, view.farm.zones, until), table, view, spoken)


@router.post("/farms/{farm_id}/preview", openapi_extra=described(Preview))
async def preview(
    view: InThisFarm, made: Made, spoken: Language, given: Annotated[Preview, body(Preview)], days: Days = 7
) -> Json:
    """What would run with these programs, compiled by the same function."""
    table = made.planning.preview(view, [program.draft() for program in given.programs], days)
    shown = shapes.timetable(table, view.farm.zones, made.now() + timedelta(days=days))
    return telling.timetable(shown, table, view, spoken)


@router.get("/farms/{farm_id}/decisions")
async def decisions(
    view: InThisFarm,
    made: Made,
    spoken: Language,
    zone_id: Annotated[str | None, Query(max_length=48)] = None,
    start: Annotated[datetime | None, Query(alias="from")] = None,
    end: Annotated[datetime | None, Query(alias="to")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Json:
    """What became of each due watering, and why; the last 30 days when nothing else is asked."""
    first, last = made.history.window(start, end, timedelta(days=30))
    with made.ledger.read() as connection:
        found = history.decisions_between(connection, view.farm.id, zone_id, first, last, limit)
    return {"decisions": [telling.decision(decision, view, spoken) for decision in found]}
