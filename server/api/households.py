"""The households that share a farm's sources: for its managers."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from server import shapes
from server.api.body import Body, body, described
from server.api.doors import InThisFarm, Made, SignedIn
from server.households import Wanted
from server.shapes import Json

router = APIRouter(tags=["households"])

Id = Annotated[str, Field(max_length=48)]


class HouseholdBody(Body):
    """A household: its name, the accounts that speak for it, its zones. What is not named stays as it is."""

    name: Annotated[str, Field(max_length=1000)]
    people: Annotated[tuple[Id, ...], Field(max_length=100)] | None = None
    zones: Annotated[tuple[Id, ...], Field(max_length=1000)] | None = None

    def wanted(self) -> Wanted:
        """The same for the rules."""
        return Wanted(name=self.name, people=self.people, zones=self.zones)


Given = Annotated[HouseholdBody, body(HouseholdBody)]


@router.get("/farms/{farm_id}/households")
async def households(view: InThisFarm, account: SignedIn, made: Made) -> Json:
    """The households that have not left, and the farmers who may speak for one."""
    farmers = made.households.speakers(account, view)
    present = [one for one in view.farm.households if one.left_at is None]
    return {
        "households": [shapes.household(view.farm, one, made.households.has_turns(view, one)) for one in present],
        "farmers": [{"name": one.name, "display_name": one.display_name} for one in farmers],
    }


@router.post("/farms/{farm_id}/households", status_code=201, openapi_extra=described(HouseholdBody))
async def add(view: InThisFarm, account: SignedIn, made: Made, given: Given) -> Json:
    """Add a household."""
    one = await made.households.add(account, view, given.wanted())
    return shapes.household(view.farm, one, made.households.has_turns(view, one))


@router.put("/farms/{farm_id}/households/{household_id}", openapi_extra=described(HouseholdBody))
async def change(view: InThisFarm, household_id: str, account: SignedIn, made: Made, given: Given) -> Json:
    """Give a household another name, other people or other zones."""
    one = await made.households.change(account, view, household_id, given.wanted())
    return shapes.household(view.farm, one, made.households.has_turns(view, one))


@router.delete("/farms/{farm_id}/households/{household_id}", status_code=204)
async def remove(
    view: InThisFarm,
    household_id: str,
    account: SignedIn,
    made: Made,
    balance: Annotated[Literal["settled"] | None, Query()] = None,
) -> None:
    """Let a household leave that has neither turns nor zones; with a balance only when it is said to be settled."""
    await made.households.remove(account, view, household_id, forgo=balance is not None)
