"""Shared water: rotas, turns, swaps and loans, and the account of each household."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field

from irrigation.model import Loan, Rota, Swap
from irrigation.rounds import Turn
from server import shapes
from server.api import telling
from server.api.body import Body, body, described
from server.api.doors import InThisFarm, Made, SignedIn
from server.api.telling import Language
from server.errors import Refused
from server.rules import RotaRules
from server.shapes import Json

router = APIRouter(tags=["turns"])

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
RoundNumber = Annotated[int, Field(ge=0, le=100_000)]
Amount = Annotated[float, Field(ge=0.1, le=10_000_000)]
Start = Annotated[datetime | None, Query(alias="from")]
Days = Annotated[int, Query(ge=1, le=60)]


class _AgreementBody(Body):
    """`household_id` is the side that asks; `anchor` names the rota whose round it is, without it the one in force."""

    anchor: AwareDatetime | None = None


class SwapBody(_AgreementBody):
    """Two households change places in a round."""

    kind: Literal["swap"]
    household_id: Id
    round: RoundNumber
    household_a: Id
    household_b: Id

    def asked(self) -> Swap:
        """The same for the rota, without an id of its own."""
        _differ(self.household_a, self.household_b, "household_b")
        return Swap(id="new", round=self.round, household_a=self.household_a, household_b=self.household_b)


class LoanBody(_AgreementBody):
    """One household lends another some of its share, in the rota's unit."""

    kind: Literal["loan"]
    household_id: Id
    round: RoundNumber
    lender: Id
    borrower: Id
    amount: Amount
    repaid_in: RoundNumber | None = None

    def asked(self) -> Loan:
        """The same for the rota, without an id of its own."""
        _differ(self.lender, self.borrower, "borrower")
        if self.repaid_in is not None and self.repaid_in <= self.round:
            raise Refused("bad-field", field="repaid_in", why="why.later-round")
        return Loan(
            id="new", round=self.round, lender=self.lender, borrower=self.borrower, amount=self.amount,
            repaid_in=self.repaid_in,
        )  # fmt: skip


class Speaker(Body):
    """The household that agrees."""

    household_id: Id


Asked = Annotated[SwapBody | LoanBody, Field(discriminator="kind")]


@router.get("/farms/{farm_id}/rotas")
async def rotas(view: InThisFarm, account: SignedIn, made: Made) -> Json:
    """The farm's rotas with what was agreed, its households, and those that the reader speaks for."""
    return shapes.rotas(view.farm, made.turns.mine(account, view))


@router.put("/farms/{farm_id}/sources/{source_id}/rota", openapi_extra=described(RotaRules))
async def set_rota(
    view: InThisFarm, source_id: str, account: SignedIn, made: Made, given: Annotated[RotaRules, body(RotaRules)]
) -> Json:
    """Set the turns at a source; managers only. What has begun stays as it was."""
    await made.turns.set_rota(account, view, source_id, given)
    return shapes.rotas(view.farm, made.turns.mine(account, view))


@router.delete("/farms/{farm_id}/sources/{source_id}/rota", status_code=204)
async def end_rota(view: InThisFarm, source_id: str, account: SignedIn, made: Made) -> None:
    """Let the source be everybody's again; managers only."""
    await made.turns.end_rota(account, view, source_id)


@router.post("/farms/{farm_id}/sources/{source_id}/rota/preview", openapi_extra=described(RotaRules))
async def preview(
    view: InThisFarm,
    source_id: str,
    made: Made,
    spoken: Language,
    given: Annotated[RotaRules, body(RotaRules)],
    start: Start = None,
    days: Days = 7,
) -> Json:
    """The turns as they would be with this rota, and what becomes of the programs of the source's zones."""
    now = made.now()
    first, last = _span(start or now, days)
    found, table = made.turns.preview(view, source_id, given, first, last)
    shown = telling.timetable(shapes.timetable(table, view.farm.zones, last), table, view, spoken)
    own = {zone.id for zone in view.farm.zones if zone.source_id == source_id}
    of_source = {name: [one for one in shown[name] if one["zone_id"] in own] for name in ("entries", "skipped")}
    return _turns(source_id, found, now) | {"timetable": shown | of_source}


@router.get("/farms/{farm_id}/sources/{source_id}/turns")
async def turns(view: InThisFarm, source_id: str, made: Made, start: Start = None, days: Days = 7) -> Json:
    """The turns at a source, from now on when nothing else is asked."""
    now = made.now()
    return _turns(source_id, made.turns.turns(view, source_id, *_span(start or now, days)), now)


@router.get("/farms/{farm_id}/sources/{source_id}/account")
async def account_of(
    view: InThisFarm, source_id: str, made: Made, rounds: Annotated[int, Query(ge=1, le=60)] = 6
) -> Json:
    """What each household was entitled to, received and is owed, in the last rounds, the newest first."""
    found = made.turns.accounts(view, source_id, rounds)
    return {
        "source_id": source_id,
        "at": shapes.iso(made.now()),
        "rounds": [shapes.round_account(rota, one) for rota, one in found],
    }


@router.post("/farms/{farm_id}/sources/{source_id}/agreements", status_code=201, openapi_extra=described(Asked))
async def ask(
    view: InThisFarm, source_id: str, account: SignedIn, made: Made, given: Annotated[SwapBody | LoanBody, body(Asked)]
) -> Json:
    """Ask another household for a swap or a loan; it holds when that has agreed."""
    made_of = await made.turns.ask(account, view, source_id, given.household_id, given.asked(), given.anchor)
    return shapes.agreement(made_of)


@router.post("/farms/{farm_id}/agreements/{agreement_id}/agree", openapi_extra=described(Speaker))
async def agree(
    view: InThisFarm, agreement_id: str, account: SignedIn, made: Made, given: Annotated[Speaker, body(Speaker)]
) -> Json:
    """Agree for a household."""
    return shapes.agreement(await made.turns.agree(account, view, agreement_id, given.household_id))


@router.delete("/farms/{farm_id}/agreements/{agreement_id}", status_code=204)
async def withdraw(view: InThisFarm, agreement_id: str, account: SignedIn, made: Made) -> None:
    """Take back or decline what only one side has agreed to."""
    await made.turns.withdraw(account, view, agreement_id)


def _turns(source_id: str, found: list[tuple[Rota, Turn]], now: datetime) -> Json:
    turns = [shapes.turn(rota, one, now) for rota, one in found]
    return {"source_id": source_id, "at": shapes.iso(now), "turns": turns}


def _span(start: datetime, days: int) -> tuple[datetime, datetime]:
    if start.tzinfo is None:
        raise Refused("bad-field", field="from", why="why.time")
    return start, start + timedelta(days=days)


def _differ(one: str, other: str, field: str) -> None:
    if one == other:
        raise Refused("bad-field", field=field, why="why.two-sides")
