"""What each household of a rota was entitled to, has received, left and is owed; it adds up to the millilitre.

    entitled - lent + borrowed = received + not taken + owed - beyond

`owed` is what the source has not offered yet, `not taken` what it has offered and the household left, `beyond` what it
took above that: with orders out of its turn, or more than its share.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from irrigation.rota import Rota, ShareUnit
from irrigation.rounds import Round, Turn, on_offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Water that a zone of the household took. Not `metered`: valve-minutes x learned flow, and called so.

    `outside` is how many of the litres it took while it was not its turn: those that a person ordered.
    """

    household_id: str
    litres: float
    metered: bool
    outside: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterAccount:
    """One household's water in whole ml. `entitled` is its share by the rota, before what it lent and borrowed.

    `outside` is the part of what it received that it took out of its turn.
    """

    household_id: str
    entitled_ml: int = 0
    lent_ml: int = 0
    borrowed_ml: int = 0
    metered_ml: int = 0
    estimated_ml: int = 0
    outside_ml: int = 0
    offered_ml: int = 0

    @property
    def received_ml(self) -> int:
        """What it has taken, measured or estimated."""
        return self.metered_ml + self.estimated_ml

    @property
    def owed_ml(self) -> int:
        """What the source is still to offer it."""
        return self.entitled_ml - self.lent_ml + self.borrowed_ml - self.offered_ml

    @property
    def not_taken_ml(self) -> int:
        """What the source has offered and it left."""
        return max(0, self.offered_ml - self.received_ml)

    @property
    def beyond_ml(self) -> int:
        """What it took above what the source has offered it."""
        return max(0, self.received_ml - self.offered_ml)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundAccount:
    """What one round is for each household as of a moment; `end` None while it is the last that has begun."""

    round: Round
    end: datetime | None
    households: dict[str, WaterAccount]


def estimated_litres(open_s: float, learned_flow_l_min: float) -> float:
    """Return valve-minutes x learned flow, in L: what stands for a meter where there is none."""
    return open_s / 60 * learned_flow_l_min


def share_outside(turns: Iterable[Turn], household_id: str, start: datetime, end: datetime) -> float:
    """Return which share (0 to 1) of the time from `start` to `end` is in none of the household's turns."""
    whole = (end - start) / timedelta(seconds=1)
    if whole <= 0:
        return 0.0
    inside = sum(
        max(0.0, (min(end, last) - max(start, first)) / timedelta(seconds=1))
        for turn in turns
        if turn.household_id == household_id
        for first, last in turn.spans
    )
    return max(0.0, 1 - inside / whole)


def accounts(
    rota: Rota, capacity_l_min: float, begun: Iterable[Round], received: Iterable[Received], at: datetime
) -> dict[str, WaterAccount]:
    """Return the account of each household of the rota as of `at`, over the rounds `begun` and the water of them.

    A round counts with its whole share from its begin on: what is not offered yet is owed. Water of a household that
    has no share is passed over: it is not by turns.
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
        for turn in one.turns:
            account = found[turn.household_id]
            offered_ml = _offered_ml(account, rota, turn, capacity_l_min, at, litres)
            found[turn.household_id] = replace(account, offered_ml=offered_ml)
    for water in received:
        taken = found.get(water.household_id)
        if taken is None:
            continue
        outside_ml = taken.outside_ml + _ml(water.outside)
        if water.metered:
            taken = replace(taken, metered_ml=taken.metered_ml + _ml(water.litres), outside_ml=outside_ml)
        else:
            taken = replace(taken, estimated_ml=taken.estimated_ml + _ml(water.litres), outside_ml=outside_ml)
        found[water.household_id] = taken
    return found


def _offered_ml(
    account: WaterAccount, rota: Rota, turn: Turn, capacity_l_min: float, at: datetime, litres: float
) -> int:
    """Return what the account was offered with this turn: once it is over, to the ml what was due."""
    if turn.end is not None and turn.end <= at:
        return account.entitled_ml - account.lent_ml + account.borrowed_ml
    return account.offered_ml + _ml(on_offer(rota, turn, capacity_l_min, at) * litres)


def _ml(litres: float) -> int:
    return round(litres * 1000)
