"""Households, rotas and agreements in the ledger."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, and_, delete, select, update

from irrigation.model import Loan, Rota, Swap, Zone
from server.ledger.database import add, upsert
from server.ledger.tables import agreements, households, rotas, zone_moves
from server.records import HouseholdRecord

_ROTA: TypeAdapter[Rota] = TypeAdapter(Rota)
_KINDS = {"swap": Swap, "loan": Loan}
_ITS_OWN = {"id", "agreed"}  # columns of an agreement, no part of its body


@dataclass(frozen=True, slots=True)
class Moves:
    """Whose each zone was before it became another's, the earliest move first."""

    of_zone: Mapping[str, list[tuple[datetime, str | None]]]

    def as_of(self, zone: Zone, at: datetime) -> Zone:
        """The zone with the household that it had then."""
        before = (whose for moved_at, whose in self.of_zone.get(zone.id, ()) if at < moved_at)
        return replace(zone, household_id=next(before, zone.household_id))


def put_household(tx: Connection, farm_id: str, one: HouseholdRecord) -> None:
    """Add a household at the end, or change the one of that id."""
    own = households.c.farm_id == farm_id
    places = tx.execute(select(households.c.id, households.c.place).where(own)).all()
    place = next((row.place for row in places if row.id == one.id), max((row.place for row in places), default=-1) + 1)
    upsert(tx, households, {
        "farm_id": farm_id, "id": one.id, "place": place, "name": one.name, "people": list(one.people),
        "left_at": one.left_at,
    })  # fmt: skip


def drop_household(tx: Connection, farm_id: str, household_id: str) -> None:
    """Forget a household that no rota names."""
    tx.execute(delete(households).where(households.c.farm_id == farm_id, households.c.id == household_id))


def households_of(connection: Connection, farm_id: str) -> tuple[HouseholdRecord, ...]:
    """A farm's households, in order, those that have left too."""
    query = select(households).where(households.c.farm_id == farm_id).order_by(households.c.place)
    return tuple(
        HouseholdRecord(id=row.id, name=row.name, people=tuple(row.people), left_at=row.left_at)
        for row in connection.execute(query)
    )


def note_move(tx: Connection, farm_id: str, zone: Zone, at: datetime) -> None:
    """Keep whose a zone is until now, so that its water until then stays in that household's account."""
    row = {"farm_id": farm_id, "zone_id": zone.id, "at": at, "household_id": zone.household_id}
    upsert(tx, zone_moves, row, keep=True)


def moves_of(connection: Connection, farm_id: str) -> Moves:
    """How the zones of a farm came from one household to another."""
    found: dict[str, list[tuple[datetime, str | None]]] = {}
    for row in connection.execute(select(zone_moves).where(zone_moves.c.farm_id == farm_id).order_by(zone_moves.c.at)):
        found.setdefault(row.zone_id, []).append((row.at, row.household_id))
    return Moves(found)


def of_farm(connection: Connection, farm_id: str) -> tuple[Rota, ...]:
    """A farm's rotas that have not been ended, with what was agreed in the order in which it was asked."""
    asked = select(agreements).where(agreements.c.farm_id == farm_id)
    made: dict[tuple[str, datetime], list[Swap | Loan]] = {}
    for row in connection.execute(asked.order_by(agreements.c.asked_at, agreements.c.id)):
        one: Swap | Loan = _KINDS[row.kind](id=row.id, agreed=tuple(row.agreed), **row.body)
        made.setdefault((row.source_id, row.anchor), []).append(one)
    query = select(rotas).where(rotas.c.farm_id == farm_id, rotas.c.ended_at.is_(None))
    found = []
    for row in connection.execute(query.order_by(rotas.c.source_id, rotas.c.anchor)):
        own = made.get((row.source_id, row.anchor), [])
        both = {
            "swaps": tuple(one for one in own if isinstance(one, Swap)),
            "loans": tuple(one for one in own if isinstance(one, Loan)),
        }
        found.append(_ROTA.validate_python(row.body | both, strict=False))
    return tuple(found)


def put(tx: Connection, farm_id: str, rota: Rota) -> None:
    """Add a rota, or change the one of that source and anchor; what was agreed is kept by itself."""
    body = _ROTA.dump_python(rota, mode="json", exclude_none=True, exclude={"swaps", "loans"})
    key = {"farm_id": farm_id, "source_id": rota.source_id, "anchor": rota.anchor}
    upsert(tx, rotas, key | {"body": body, "ended_at": None})


def drop(tx: Connection, farm_id: str, rota: Rota) -> None:
    """Forget a rota that has not begun, and what was agreed on it."""
    for table in (rotas, agreements):
        tx.execute(delete(table).where(_same(table, farm_id, rota)))


def end(tx: Connection, farm_id: str, rota: Rota, at: datetime) -> None:
    """Keep a rota as it was, in force no more."""
    tx.execute(update(rotas).where(_same(rotas, farm_id, rota)).values(ended_at=at))


def ask(tx: Connection, farm_id: str, rota: Rota, asked: Swap | Loan, by: str, at: datetime) -> None:
    """Keep what one household asks of another."""
    add(tx, agreements, {
        "id": asked.id, "farm_id": farm_id, "source_id": rota.source_id, "anchor": rota.anchor,
        "kind": "swap" if isinstance(asked, Swap) else "loan",
        "body": {name: value for name, value in asdict(asked).items() if name not in _ITS_OWN},
        "agreed": list(asked.agreed), "asked_by": by, "asked_at": at,
    })  # fmt: skip


def agree(tx: Connection, agreement_id: str, agreed: Iterable[str]) -> None:
    """Keep who has agreed."""
    tx.execute(update(agreements).where(agreements.c.id == agreement_id).values(agreed=list(agreed)))


def withdraw(tx: Connection, agreement_id: str) -> None:
    """Forget what was asked."""
    tx.execute(delete(agreements).where(agreements.c.id == agreement_id))


def _same(table: Any, farm_id: str, rota: Rota) -> Any:
    return and_(
        table.c.farm_id == farm_id, table.c.source_id == rota.source_id, table.c.anchor == rota.anchor
    )  # fmt: skip
