"""Water now, and stop."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Query, Request

from irrigation.model import QueuePolicy
from server.api.body import RunProgram, Water, body, described, parsed, read
from server.api.doors import InFarm, InThisFarm, Key, Made, MaybeKey, OfProgram, OfRun, OfZone, SignedIn
from server.ledger import history
from server.queueing import waiting
from server.records import RunRecord
from server.shapes import Json

router = APIRouter(tags=["runs"])


@router.post("/zones/{zone_id}/runs", status_code=202, openapi_extra=described(Water))
async def water(
    request: Request, found: OfZone, account: SignedIn, made: Made, key: Key, given: Annotated[Water, body(Water)]
) -> Json:
    """Water a zone now, or with `queue` when its turn has come."""
    mark = await _mark(request)
    if given.queue is None:
        run = await made.watering.ask(account, found.farm, found.thing, given.dose, key=key, request=mark)
    else:
        run = await made.queueing.ask(account, found.farm, found.thing, given.dose, given.queue, key=key, request=mark)
    return found.farm.run_shape(run)


@router.get("/zones/{zone_id}/runs")
async def of_zone(found: OfZone, made: Made, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> Json:
    """A zone's runs, newest first."""
    with made.ledger.read() as connection:
        latest = history.runs_of_zone(connection, found.thing.id, limit)
    return {"runs": [found.farm.run_shape(run) for run in latest]}


@router.get("/runs/{run_id}")
async def one(found: OfRun) -> Json:
    """A run."""
    return _now(found)


@router.post("/runs/{run_id}/stop", status_code=202)
async def stop(found: OfRun, account: SignedIn, made: Made) -> Json:
    """End a run: said again until its valve is confirmed closed."""
    run = await made.watering.stop(account, found.farm, found.thing)
    return found.farm.run_shape(run)


@router.get("/farms/{farm_id}/queue")
async def queue(view: InThisFarm) -> Json:
    """What waits its turn, in the order in which it is expected; what will find none in its time comes last."""
    return {"queue": waiting(view)}


@router.get("/programs/{program_id}/run")
async def foresee(found: OfProgram, made: Made, queue: QueuePolicy = QueuePolicy.APPEND) -> Json:
    """What a program would give if it were run by hand now, and when each of its parts may expect its turn."""
    return {"parts": made.queueing.foreseen(found.farm, found.thing, queue)}


@router.post("/programs/{program_id}/run", status_code=202, openapi_extra=described(RunProgram))
async def run_program(request: Request, found: OfProgram, account: SignedIn, made: Made, key: MaybeKey) -> Json:
    """Water all that a program would give today, each zone in its turn."""
    given = await parsed(request, RunProgram) if await read(request) else RunProgram()
    mark = await _mark(request)
    asked = await made.queueing.ask_program(account, found.farm, found.thing, given.queue, key=key, request=mark)
    return {"runs": [found.farm.run_shape(run) for run in asked]}


async def _mark(request: Request) -> str:
    """What the same key must come with again: the path and the very bytes."""
    return hashlib.sha256(request.url.path.encode() + b"\0" + await read(request)).hexdigest()


def _now(found: InFarm[RunRecord]) -> Json:
    return found.farm.run_shape(found.thing)
