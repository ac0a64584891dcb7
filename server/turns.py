"""Shared water as people see it: rotas, the turns that come of them, what households agree on, and their accounts."""

import math
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from irrigation.model import Knowledge, Loan, Rota, ShareUnit, Source, Swap, Timetable, Zone
from irrigation.planner import compile_timetable
from irrigation.rounds import Round, Turn
from irrigation.turns import rotas_in_force, rounds_in_force
from irrigation.water_account import Received, RoundAccount, accounts, estimated_litres, share_outside
from server.errors import Refused
from server.gateways import Gateways
from server.ledger import farms, history, rotas
from server.ledger.database import Ledger
from server.records import Account, Role, RunRecord
from server.rules import RotaRules
from server.shapes import planned
from server.view import FarmView

MAX_AGREEMENTS = 500
"""A rota may have so many, past ones too."""
LONGEST_AHEAD = timedelta(days=366)
PLAN_DAYS = 14
"""What other turns make of the programs is told so far ahead, as a program's preview is."""


class Turns:
    """Every change raises the farm's version and goes to its gateway."""

    def __init__(self, ledger: Ledger, gateways: Gateways, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._gateways = gateways
        self._now = now

    # --- what is asked ---

    def turns(self, view: FarmView, source_id: str, start: datetime, end: datetime) -> list[tuple[Rota, Turn]]:
        """The turns at a source that reach into that span, by all that the gateway has told, each with its rota."""
        return _within(self._rounds(view, source_id, end), start, end)

    def preview(
        self, view: FarmView, source_id: str, rules: RotaRules, start: datetime, end: datetime
    ) -> tuple[list[tuple[Rota, Turn]], Timetable]:
        """What `set_rota` would make of the turns in that span, and of the programs as far as a plan goes.

        By the functions that the gateway plans with; nothing is changed. Raise Refused as `set_rota` does.
        """
        now = self._now()
        wanted, instead_of = self._wanted(view, source_id, rules)
        farm = planned(view.farm)
        farm = replace(farm, rotas=(*(each for each in farm.rotas if each not in instead_of), wanted))
        in_force = rotas_in_force(farm, source_id, _known(view), now)
        found = _within(rounds_in_force(in_force, _source(view, source_id), farm.tz, end), start, end)
        days = min(PLAN_DAYS, max(1, math.ceil((end - now) / timedelta(days=1))))
        return found, compile_timetable(farm, view.plan_state(now), now, days=days, version=0)

    def accounts(self, view: FarmView, source_id: str, count: int) -> list[tuple[Rota, RoundAccount]]:
        """The accounts of the last `count` rounds that have begun, each with its rota, the newest first."""
        now = self._now()
        begun = self._rounds(view, source_id, now)
        kept = list(zip(begun, [one.start for _, one in begun[1:]] + [None], strict=True))[-count:]
        if not kept:
            return []
        with self._ledger.read() as connection:
            ended = history.runs_ended(connection, view.farm.id, kept[0][0][1].start, now)
            moves = rotas.moves_of(connection, view.farm.id)
        zones = {zone.id: zone for zone in view.farm.zones if zone.source_id == source_id}
        known, turns = _known(view), [turn for _, one in begun for turn in one.turns]
        runs = [(run, _opened(run)) for run in ended if run.zone_id in zones]
        found = []
        for (rota, one), end in kept:
            water = [
                _received(run, moves.as_of(zones[run.zone_id], at), known, turns)
                for run, at in runs
                if one.start <= at and (end is None or at < end)
            ]
            capacity = _source(view, source_id).capacity_l_min
            households = accounts(rota, capacity, [one], water, now)
            found.append((rota, RoundAccount(round=one, end=end, households=households)))
        return found[::-1]

    def mine(self, account: Account, view: FarmView) -> list[str]:
        """The households that the person speaks for by name."""
        return [one.id for one in view.farm.households if account.name in one.people]

    def ahead(self, view: FarmView) -> list[Rota]:
        """The rotas of the farm that are in force or to begin."""
        now, farm = self._now(), planned(view.farm)
        found = []
        for source_id in {rota.source_id for rota in farm.rotas}:
            held = farm.rotas_of(source_id)
            begun = [each for each in held if each.anchor <= now]
            found += [*begun[-1:], *held[len(begun) :]]
        return found

    def balance(self, view: FarmView, household_id: str) -> dict[str, float]:
        """What the household is owed (above 0) or owes (below) at each source, in litres; where it is quits, nothing.

        Owed is what its last round there has not offered it, and what it has lent and not got back.
        """
        found = {}
        for source in view.farm.sources:
            own = [
                (rota, one)
                for rota, one in (self._rounds(view, source.id, self._now()) if _held(view, source.id) else ())
                if household_id in one.entitled
            ]
            if not own:
                continue
            rota, last = own[-1]
            litres = accounts(rota, source.capacity_l_min, [last], (), self._now())[household_id].owed_ml / 1000
            lasting = {loan.id for loan in rota.loans if loan.repaid_in is not None}
            per_unit = source.capacity_l_min if rota.unit is ShareUnit.MINUTES else 1.0
            for each in (
                each for held, one in own if held is rota for each in one.transfers if each.loan_id in lasting
            ):
                litres += per_unit * each.amount * ((each.giver == household_id) - (each.taker == household_id))
            if abs(litres) >= 1:
                found[source.id] = litres
        return found

    # --- what is decided ---

    async def set_rota(self, account: Account, view: FarmView, source_id: str, rules: RotaRules) -> None:
        """Set the turns at a source. What has begun stays: other turns begin at an anchor to come, rations too."""
        manages(account)
        wanted, instead_of = self._wanted(view, source_id, rules)
        with self._ledger.begin() as tx:
            for each in instead_of:
                if each.anchor != wanted.anchor or _shape(each) != _shape(wanted):
                    rotas.drop(tx, view.farm.id, each)
            rotas.put(tx, view.farm.id, wanted)
            farm = farms.commit(tx, self._now(), account.name, view.farm.id, "rota", source_id)
        await self._gateways.changed(farm)

    async def end_rota(self, account: Account, view: FarmView, source_id: str) -> None:
        """Let the source be everybody's again, from now on."""
        manages(account)
        now, held = self._now(), _held(view, source_id)
        if not held:
            raise Refused("not-found")
        with self._ledger.begin() as tx:
            for each in held:
                if each.anchor > now:
                    rotas.drop(tx, view.farm.id, each)
                else:
                    rotas.end(tx, view.farm.id, each, now)
            farm = farms.commit(tx, self._now(), account.name, view.farm.id, "rota-end", source_id)
        await self._gateways.changed(farm)

    async def ask(
        self,
        account: Account,
        view: FarmView,
        source_id: str,
        household_id: str,
        asked: Swap | Loan,
        anchor: datetime | None = None,
    ) -> Swap | Loan:
        """Ask another household for a swap or a loan; the asking side agrees by it. Its id is new.

        `anchor` is that of the rota whose round it is about; None = of the one in force.
        """
        rota = self._in_force(view, source_id) if anchor is None else self._begins(view, source_id, anchor)
        sides = _sides(asked)
        for field, side in sides.items():
            if side not in {share.household_id for share in rota.shares}:
                raise Refused("bad-field", field=field, why="why.unknown-household")
        if household_id not in sides.values():
            raise Refused("bad-field", field="household_id", why="why.one-side")
        self._speaks(account, view, household_id)
        self._to_come(view, source_id, rota, asked)
        if len(rota.swaps) + len(rota.loans) >= MAX_AGREEMENTS:
            raise Refused("too-many-agreements", max=float(MAX_AGREEMENTS))
        kind = "swap" if isinstance(asked, Swap) else "loan"
        made = replace(asked, id=f"{kind}-{secrets.token_hex(6)}", agreed=(household_id,))
        now = self._now()
        with self._ledger.begin() as tx:
            rotas.ask(tx, view.farm.id, rota, made, account.name, now)
            farm = farms.commit(tx, self._now(), account.name, view.farm.id, f"{kind}-ask", made.id)
        await self._gateways.changed(farm)
        return made

    async def agree(self, account: Account, view: FarmView, agreement_id: str, household_id: str) -> Swap | Loan:
        """Agree to what was asked, for one of its sides; agreed twice is agreed."""
        rota, asked = self._asked(view, agreement_id)
        if household_id not in _sides(asked).values():
            raise Refused("bad-field", field="household_id", why="why.one-side")
        self._speaks(account, view, household_id)
        if household_id in asked.agreed:
            return asked
        self._to_come(view, rota.source_id, rota, asked)
        made = replace(asked, agreed=(*asked.agreed, household_id))
        with self._ledger.begin() as tx:
            rotas.agree(tx, asked.id, made.agreed)
            farm = farms.commit(tx, self._now(), account.name, view.farm.id, "agree", asked.id)
        await self._gateways.changed(farm)
        return made

    async def withdraw(self, account: Account, view: FarmView, agreement_id: str) -> None:
        """Take back, or decline, what only one side has agreed to."""
        _, asked = self._asked(view, agreement_id)
        if not any(self._may_speak(account, view, side) for side in _sides(asked).values()):
            raise Refused("not-your-household", field="agreement_id")
        if asked.in_force:
            raise Refused("agreed-already")
        with self._ledger.begin() as tx:
            rotas.withdraw(tx, asked.id)
            farm = farms.commit(tx, self._now(), account.name, view.farm.id, "withdraw", asked.id)
        await self._gateways.changed(farm)

    # --- how ---

    def _wanted(self, view: FarmView, source_id: str, rules: RotaRules) -> tuple[Rota, list[Rota]]:
        """The rota that the rules make, and those whose place it takes; raise Refused when there can be none such."""
        now, held = self._now(), _held(view, source_id)
        households = {each.id for each in view.farm.households if each.left_at is None}
        for place, share in enumerate(rules.shares):
            if share.household_id not in households:
                raise Refused("bad-field", field=f"shares.{place}.household_id", why="why.unknown-household")
        try:
            wanted = rules.rota(source_id)
        except ValueError as exc:
            raise Refused("bad-field", field=str(exc).split()[0].removeprefix("rota."), why=str(exc)) from None
        same = next((each for each in held if _shape(each) == _shape(wanted)), None)
        if same is None and not now <= wanted.anchor <= now + LONGEST_AHEAD:
            raise Refused("bad-field", field="anchor", why="why.ahead")
        if same is not None:
            wanted = replace(wanted, swaps=same.swaps, loans=same.loans)
            before, after = (self._begun(view, source_id, rota) for rota in (same, wanted))
            if any(one.entitled != other.entitled for one, other in zip(before, after, strict=False)):
                raise Refused("bad-field", field="rations", why="why.ahead")
        return wanted, [each for each in held if each is same or each.anchor > now]

    def _rounds(self, view: FarmView, source_id: str, until: datetime) -> list[tuple[Rota, Round]]:
        if not _held(view, source_id):
            raise Refused("not-found")
        farm, source = planned(view.farm), _source(view, source_id)
        in_force = rotas_in_force(farm, source_id, _known(view), self._now())
        return list(rounds_in_force(in_force, source, farm.tz, until))

    def _begun(self, view: FarmView, source_id: str, rota: Rota) -> list[Round]:
        in_force = rounds_in_force([rota], _source(view, source_id), view.farm.tz, self._now())
        return [one for _, one in in_force]

    def _in_force(self, view: FarmView, source_id: str) -> Rota:
        held, now = _held(view, source_id), self._now()
        if not held:
            raise Refused("not-found")
        return next((each for each in reversed(held) if each.anchor <= now), held[0])

    def _begins(self, view: FarmView, source_id: str, anchor: datetime) -> Rota:
        found = next((each for each in _held(view, source_id) if each.anchor == anchor), None)
        if found is None:
            raise Refused("bad-field", field="anchor", why="why.no-turns")
        return found

    def _to_come(self, view: FarmView, source_id: str, rota: Rota, asked: Swap | Loan) -> None:
        """Refuse what is about a round that has begun, one that never will, or one too far ahead to be talked of."""
        first = self._rounds_before(view, rota, self._now())
        if asked.round < first:
            raise Refused("round-begun", field="round", first=float(first))
        last = first + LONGEST_AHEAD // timedelta(days=rota.period_days)
        others = [each.anchor for each in _held(view, source_id) if each.anchor > rota.anchor]
        cut = self._rounds_before(view, rota, min(others)) if others else None
        repaid_in = asked.repaid_in if isinstance(asked, Loan) else None
        for field, number in (("round", asked.round), ("repaid_in", repaid_in)):
            if number is not None and cut is not None and number >= cut:
                raise Refused("bad-field", field=field, why="why.other-turns")
            if number is not None and number > last:
                raise Refused("bad-field", field=field, why="why.too-far")

    def _rounds_before(self, view: FarmView, rota: Rota, until: datetime) -> int:
        found = self._rounds(view, rota.source_id, until)
        return max((one.number for held, one in found if held.anchor == rota.anchor), default=-1) + 1

    def _asked(self, view: FarmView, agreement_id: str) -> tuple[Rota, Swap | Loan]:
        for rota in view.farm.rotas:
            made: tuple[Swap | Loan, ...] = (*rota.swaps, *rota.loans)
            for one in made:
                if one.id == agreement_id:
                    return rota, one
        raise Refused("not-found")

    def _may_speak(self, account: Account, view: FarmView, household_id: str) -> bool:
        return account.role is Role.MANAGER or household_id in self.mine(account, view)

    def _speaks(self, account: Account, view: FarmView, household_id: str) -> None:
        if not self._may_speak(account, view, household_id):
            raise Refused("not-your-household", field="household_id")


def manages(account: Account) -> None:
    """Raise Refused `not-allowed` for whoever is no manager."""
    if account.role is not Role.MANAGER:
        raise Refused("not-allowed")


def _within(found: Iterable[tuple[Rota, Round]], start: datetime, end: datetime) -> list[tuple[Rota, Turn]]:
    turns = ((rota, turn) for rota, one in found for turn in one.turns)
    return [
        (rota, turn) for rota, turn in turns if turn.start < end and (turn.end is None or turn.spans[-1][1] > start)
    ]


def _held(view: FarmView, source_id: str) -> tuple[Rota, ...]:
    _source(view, source_id)
    return planned(view.farm).rotas_of(source_id)


def _source(view: FarmView, source_id: str) -> Source:
    found = next((each for each in view.farm.sources if each.id == source_id), None)
    if found is None:
        raise Refused("not-found")
    return found


def _known(view: FarmView) -> Knowledge:
    return (view.plan.known if view.plan is not None else None) or Knowledge()


def _shape(rota: Rota) -> tuple[object, ...]:
    return rota.unit, rota.anchor, rota.period_days, rota.shares, rota.hours


def _sides(asked: Swap | Loan) -> dict[str, str]:
    """The two households by the names of their fields."""
    if isinstance(asked, Swap):
        return {"household_a": asked.household_a, "household_b": asked.household_b}
    return {"lender": asked.lender, "borrower": asked.borrower}


def _opened(run: RunRecord) -> datetime:
    ended = run.ended_at or run.at
    return run.opened_at or ended - timedelta(seconds=run.open_s or 0)


def _received(run: RunRecord, zone: Zone, known: Knowledge, turns: Iterable[Turn]) -> Received:
    opened, ended = _opened(run).astimezone(UTC), (run.ended_at or run.at).astimezone(UTC)
    metered = run.litres is not None and run.has_meter
    litres = run.litres if run.litres is not None and metered else estimated_litres(
        run.open_s if run.open_s is not None else (ended - opened).total_seconds(),
        known.flows_l_min.get(zone.id, zone.flow_l_min),
    )  # fmt: skip
    outside = litres * share_outside(turns, zone.household_id or "", opened, ended)
    return Received(household_id=zone.household_id or "", litres=litres, metered=metered, outside=outside)
