"""What each household of a rota was entitled to, has received and is owed; it adds up to the millilitre."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from irrigation.rota import Rota, Round, ShareUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Water that a zone of the household took. Not `metered`: valve-minutes x learned flow, and called so."""

    household_id: str
    at: datetime
    litres: float
    metered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterAccount:
    """One household's water in whole ml. `entitled` is its share by the rota, before what it lent and borrowed."""

    household_id: str
    entitled_ml: int = 0
    lent_ml: int = 0
    borrowed_ml: int = 0
    metered_ml: int = 0
    estimated_ml: int = 0

    @property
    def received_ml(self) -> int:
        """What it has taken, measured or estimated."""
        return self.metered_ml + self.estimated_ml

    @property
    def owed_ml(self) -> int:
        """What is still to come to it; below 0 = it took more than its share."""
        return self.entitled_ml - self.lent_ml + self.borrowed_ml - self.received_ml


def estimated_litres(open_s: float, learned_flow_l_min: float) -> float:
    """Return valve-minutes x learned flow, in L: what stands for a meter where there is none."""
    return open_s / 60 * learned_flow_l_min


def accounts(
    rota: Rota, capacity_l_min: float, begun: Iterable[Round], received: Iterable[Received]
) -> dict[str, WaterAccount]:
    """Return the account of each household of the rota over the rounds `begun` and the water `received` in them.

    A round counts with its whole share from its begin on: what is owed meanwhile is what is still to come. Water of a
    household that has no share is passed over: it is not by turns.
    """
    litres = capacity_l_min if rota.unit is ShareUnit.MINUTES else 1.0
    found = {share.household_id: WaterAccount(household_id=share.household_id) for share in rota.shares}
    for one in begun:
        for household_id, amount in one.entitled.items():
            account = found[household_id]
            found[household_id] = replace(account, entitled_ml=account.entitled_ml + _ml(amount * litres))
        for transfer in one.transfers:
            amount_ml = _ml(transfer.amount * litres)
            giver, taker = found[transfer.giver], found[transfer.taker]
            found[transfer.giver] = replace(giver, lent_ml=giver.lent_ml + amount_ml)
            found[transfer.taker] = replace(taker, borrowed_ml=taker.borrowed_ml + amount_ml)
    for water in received:
        taken = found.get(water.household_id)
        if taken is not None and water.metered:
            found[water.household_id] = replace(taken, metered_ml=taken.metered_ml + _ml(water.litres))
        elif taken is not None:
            found[water.household_id] = replace(taken, estimated_ml=taken.estimated_ml + _ml(water.litres))
    return found


def _ml(litres: float) -> int:
    return round(litres * 1000)
