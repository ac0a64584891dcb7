"""Who may come in where: the session, and the farm, zone, run, program or alert that a path names.

What belongs to a farm that a person does not see does not exist for them: 404, on every route. All of these are
coroutines although they await nothing: FastAPI would run plain functions in threads, and a tap would pay for each.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Header, Request

from irrigation.model import Zone
from server.errors import Refused
from server.ledger import history
from server.records import Account, AlertRecord, ProgramRecord, RunRecord
from server.services import Services
from server.view import FarmView

T = TypeVar("T")

COOKIE = "tuoi_session"
_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


async def services(request: Request) -> Services:
    """What the process is made of."""
    made: Services = request.app.state.services
    return made


Made = Annotated[Services, Depends(services)]


async def changes_with_header(request: Request) -> None:
    """A request that changes something carries a header that a foreign site cannot set."""
    if request.method not in _READS and request.headers.get("x-tuoi") != "1":
        raise Refused("header-missing", field="X-Tuoi")


async def account(request: Request, made: Made) -> Account:
    """Whoever is signed in."""
    return made.doorkeeper.who(request.cookies.get(COOKIE))


SignedIn = Annotated[Account, Depends(account)]


async def farm(farm_id: str, who: SignedIn, made: Made) -> FarmView:
    """A farm that the person sees."""
    return _seen(made, who, farm_id)


@dataclass(frozen=True, slots=True)
class InFarm(Generic[T]):
    """A thing and the farm that it belongs to."""

    farm: FarmView
    thing: T


async def zone(zone_id: str, who: SignedIn, made: Made) -> InFarm[Zone]:
    """A zone of a farm that the person sees."""
    for view in made.live.views():
        if who.sees(view.farm.id):
            for one in view.farm.zones:
                if one.id == zone_id:
                    return InFarm(view, one)
    raise Refused("not-found")


async def program(program_id: str, who: SignedIn, made: Made) -> InFarm[ProgramRecord]:
    """A program of a farm that the person sees."""
    for view in made.live.views():
        if who.sees(view.farm.id):
            for one in view.farm.programs:
                if one.id == program_id:
                    return InFarm(view, one)
    raise Refused("not-found")


async def run(run_id: str, who: SignedIn, made: Made) -> InFarm[RunRecord]:
    """A run of a farm that the person sees."""
    with made.ledger.read() as connection:
        found = history.run(connection, run_id)
    if found is None:
        raise Refused("not-found")
    return InFarm(_seen(made, who, found.farm_id), found)


async def alert(alert_id: str, who: SignedIn, made: Made) -> InFarm[AlertRecord]:
    """An alert of a farm that the person sees."""
    with made.ledger.read() as connection:
        found = history.alert(connection, alert_id)
    if found is None:
        raise Refused("not-found")
    return InFarm(_seen(made, who, found.farm_id), found)


async def key_if_any(idempotency_key: Annotated[str | None, Header()] = None) -> str | None:
    """The name that the sender gave this order, so that it acts once."""
    if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
        raise Refused("key-missing", field="Idempotency-Key")
    return idempotency_key


async def key(given: Annotated[str | None, Depends(key_if_any)]) -> str:
    """The same where an order must have one."""
    if given is None:
        raise Refused("key-missing", field="Idempotency-Key")
    return given


def _seen(made: Services, who: Account, farm_id: str) -> FarmView:
    view = made.live.view(farm_id)
    if view is None or not who.sees(farm_id):
        raise Refused("not-found")
    return view


InThisFarm = Annotated[FarmView, Depends(farm)]
OfZone = Annotated[InFarm[Zone], Depends(zone)]
OfProgram = Annotated[InFarm[ProgramRecord], Depends(program)]
OfRun = Annotated[InFarm[RunRecord], Depends(run)]
OfAlert = Annotated[InFarm[AlertRecord], Depends(alert)]
Key = Annotated[str, Depends(key)]
MaybeKey = Annotated[str | None, Depends(key_if_any)]
