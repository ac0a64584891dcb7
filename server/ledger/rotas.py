"""Households, rotas and agreements in the ledger."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, and_, delete, insert, select, update

from irrigation.model import Loan, Rota, Swap
from server.ledger.database import add, upsert
from server.ledger.tables import agreements, households, rotas
from server.records import HouseholdRecord

_ROTA: TypeAdapter[Rota] = TypeAdapter(Rota)
_KINDS = {"swap": Swap, "loan": Loan}
_ITS_OWN = {"id", "agreed"}  # columns of an agreement, no part of its body


def put_households(tx: Connection, farm_id: str, found: Iterable[HouseholdRecord]) -> None:
    """Set the households of a farm."""
    tx.execute(delete(households).where(households.c.farm_id == farm_id))
    rows = [
        {"farm_id": farm_id, "id": one.id, "place": place, "name": one.name, "people": list(one.people)}
        for place, one in enumerate(found)
    ]
    if rows:
        tx.execute(insert(households), rows)


def households_of(connection: Connection, farm_id: str) -> tuple[HouseholdRecord, ...]:
    """A farm's households, in order."""
    query = select(households).where(households.c.farm_id == farm_id).order_by(households.c.place)
    return tuple(
        HouseholdRecord(id=row.id, name=row.name, people=tuple(row.people)) for row in connection.execute(query)
    )


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
