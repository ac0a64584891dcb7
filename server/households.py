"""The households of a farm as a manager keeps them: who speaks for each, whose each zone is, and when one leaves."""

import secrets
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from irrigation.model import Rota, Source, Zone
from server.errors import Refused
from server.gateways import Gateways
from server.ledger import accounts, farms, rotas
from server.ledger.database import Ledger
from server.records import Account, FarmRecord, HouseholdRecord, slug_of
from server.turns import Turns, manages
from server.view import FarmView

LONGEST_NAME = 60
MAX_HOUSEHOLDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A household as a manager writes it; of `people` and `zones`, None leaves what is."""

    name: str
    people: tuple[str, ...] | None = None
    zones: tuple[str, ...] | None = None


class Households:
    """Every change raises the farm's version and goes to its gateway; only managers make one."""

    def __init__(self, ledger: Ledger, gateways: Gateways, turns: Turns, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._gateways = gateways
        self._turns = turns
        self._now = now

    def speakers(self, account: Account, view: FarmView) -> Sequence[Account]:
        """The farmers of the farm, who may speak for a household."""
        manages(account)
        with self._ledger.read() as connection:
            return accounts.farmers_of(connection, view.farm.id)

    def has_turns(self, view: FarmView, household: HouseholdRecord) -> list[Source]:
        """The sources at which it has turns, in force or to begin."""
        shared = {rota.source_id for rota in self._turns.ahead(view) if _shares(rota, household.id)}
        return [source for source in view.farm.sources if source.id in shared]

    async def add(self, account: Account, view: FarmView, wanted: Wanted) -> HouseholdRecord:
        """Add a household at the end; it has neither zones nor people unless they are named."""
        manages(account)
        if len(view.farm.households) >= MAX_HOUSEHOLDS:
            raise Refused("too-many-households", max=float(MAX_HOUSEHOLDS))
        name = _name(view.farm, wanted.name)
        made = HouseholdRecord(id=_new_id(view.farm, name), name=name)
        return await self._put(account, view, made, wanted, "household-add")

    async def change(self, account: Account, view: FarmView, household_id: str, wanted: Wanted) -> HouseholdRecord:
        """Give a household another name, other people or other zones, taking these from whose they are."""
        manages(account)
        known = present(view.farm, household_id)
        made = replace(known, name=_name(view.farm, wanted.name, but=household_id))
        return await self._put(account, view, made, wanted, "household-change")

    async def remove(self, account: Account, view: FarmView, household_id: str, *, forgo: bool) -> None:
        """Let a household leave. One that had turns keeps its name, for the accounts of its rounds.

        Refused while it has turns, in force or to begin, or zones; and, unless `forgo`, while it is owed water or owes
        some.
        """
        manages(account)
        leaving = present(view.farm, household_id)
        if sources := self.has_turns(view, leaving):
            raise Refused("household-has-turns", name=leaving.name, source=sources[0].name)
        if zones := [zone.name for zone in view.farm.zones if zone.household_id == household_id]:
            raise Refused("household-has-zones", name=leaving.name, zones=", ".join(zones))
        for source_id, litres in ({} if forgo else self._turns.balance(view, household_id)).items():
            source = next(each.name for each in view.farm.sources if each.id == source_id)
            code = "household-owed" if litres > 0 else "household-owes"
            raise Refused(code, name=leaving.name, source=source, litres=float(round(abs(litres))))
        had_turns = any(_shares(rota, household_id) for rota in view.farm.rotas)
        now = self._now()
        with self._ledger.begin() as tx:
            if had_turns:
                rotas.put_household(tx, view.farm.id, replace(leaving, people=(), left_at=now))
            else:
                rotas.drop_household(tx, view.farm.id, household_id)
            farm = farms.commit(tx, now, account.name, view.farm.id, "household-remove", household_id)
        await self._gateways.changed(farm)

    async def _put(
        self, account: Account, view: FarmView, made: HouseholdRecord, wanted: Wanted, act: str
    ) -> HouseholdRecord:
        known_zones = {zone.id for zone in view.farm.zones}
        for place, zone_id in enumerate(wanted.zones or ()):
            if zone_id not in known_zones:
                raise Refused("unknown-zone", field=f"zones.{place}", zone=zone_id)
        if wanted.people is not None:
            known = {one.name for one in self.speakers(account, view)} | {*made.people}
            for place, name in enumerate(wanted.people):
                if name not in known:
                    raise Refused("unknown-person", field=f"people.{place}", name=name)
            made = replace(made, people=tuple(dict.fromkeys(wanted.people)))
        moved = () if wanted.zones is None else _moved(view.farm, made.id, wanted.zones)
        now = self._now()
        with self._ledger.begin() as tx:
            rotas.put_household(tx, view.farm.id, made)
            for zone, whose in moved:
                rotas.note_move(tx, view.farm.id, zone, now)
                farms.put_zone(tx, view.farm.id, replace(zone, household_id=whose))
            farm = farms.commit(tx, now, account.name, view.farm.id, act, made.id)
        await self._gateways.changed(farm)
        return made


def present(farm: FarmRecord, household_id: str) -> HouseholdRecord:
    """The household of that id that has not left; raise Refused `not-found` when there is none."""
    found = next((one for one in farm.households if one.id == household_id and one.left_at is None), None)
    if found is None:
        raise Refused("not-found")
    return found


def _moved(farm: FarmRecord, household_id: str, zone_ids: Sequence[str]) -> list[tuple[Zone, str | None]]:
    """The zones that become that household's, or nobody's, each with whose it becomes."""
    becomes = {zone.id: household_id if zone.id in zone_ids else None for zone in farm.zones}
    return [
        (zone, becomes[zone.id])
        for zone in farm.zones
        if becomes[zone.id] != zone.household_id and household_id in (becomes[zone.id], zone.household_id)
    ]


def _name(farm: FarmRecord, given: str, *, but: str = "") -> str:
    """The name with single spaces; raise Refused when it is none, or another household's."""
    name = unicodedata.normalize("NFC", " ".join(given.split()))
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise Refused("household-name", field="name", max=float(LONGEST_NAME))
    for one in farm.households:
        if one.id != but and one.left_at is None and one.name.casefold() == name.casefold():
            raise Refused("household-name-taken", field="name", name=one.name)
    return name


def _new_id(farm: FarmRecord, name: str) -> str:
    stem = slug_of(name) or "household"
    return stem if all(one.id != stem for one in farm.households) else f"{stem}-{secrets.token_hex(4)}"


def _shares(rota: Rota, household_id: str) -> bool:
    return any(share.household_id == household_id for share in rota.shares)
