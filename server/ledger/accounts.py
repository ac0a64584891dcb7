"""Accounts and sessions in the ledger."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from server.ledger.database import add, upsert
from server.ledger.tables import account_farms, accounts, audit, sessions
from server.records import Account, Role


def find(connection: Connection, name: str) -> tuple[Account, str] | None:
    """The person of that name and the hash of their password."""
    row = connection.execute(select(accounts).where(accounts.c.name == name)).first()
    return None if row is None else (_account(connection, row), row.password_hash)


def put(tx: Connection, account: Account, password_hash: str, now: datetime) -> None:
    """Add a person, or change one; a changed password ends their sessions."""
    upsert(tx, accounts, {
        "name": account.name, "display_name": account.display_name, "role": account.role.value,
        "language": account.language, "all_farms": account.farms is None, "password_hash": password_hash,
        "created_at": now,
    })  # fmt: skip
    tx.execute(delete(account_farms).where(account_farms.c.account == account.name))
    tx.execute(delete(sessions).where(sessions.c.account == account.name))
    if account.farms:
        rows = [{"account": account.name, "farm_id": farm} for farm in sorted(account.farms)]
        tx.execute(insert(account_farms), rows)


def farmers_of(connection: Connection, farm_id: str) -> tuple[Account, ...]:
    """The farmers of a farm, by name."""
    of_farm = select(accounts).join(account_farms, account_farms.c.account == accounts.c.name)
    query = of_farm.where(account_farms.c.farm_id == farm_id, accounts.c.role == Role.FARMER.value)
    return tuple(_account(connection, row) for row in connection.execute(query.order_by(accounts.c.name)).all())


def open_session(tx: Connection, token_hash: str, name: str, now: datetime, expires_at: datetime) -> None:
    """Keep a new session, and forget those that have expired."""
    tx.execute(delete(sessions).where(sessions.c.expires_at < now))
    add(tx, sessions, {"token_hash": token_hash, "account": name, "created_at": now, "expires_at": expires_at})


# Asked with every request: built once, because building a statement costs more than running it.
_BY_SESSION = (
    select(accounts)
    .join(sessions, sessions.c.account == accounts.c.name)
    .where(sessions.c.token_hash == bindparam("token_hash"), sessions.c.expires_at > bindparam("now"))
)
_FARMS_OF = select(account_farms.c.farm_id).where(account_farms.c.account == bindparam("name"))


def by_session(connection: Connection, token_hash: str, now: datetime) -> Account | None:
    """Whose session this is; None when there is none or it has expired."""
    row = connection.execute(_BY_SESSION, {"token_hash": token_hash, "now": now}).first()
    return None if row is None else _account(connection, row)


def close_session(tx: Connection, token_hash: str) -> None:
    """Forget a session."""
    tx.execute(delete(sessions).where(sessions.c.token_hash == token_hash))


def write_down(
    tx: Connection, now: datetime, account: str, farm_id: str | None, act: str, subject: str, **detail: Any
) -> None:
    """Keep who did what, in the transaction that does it."""
    values = {"at": now, "account": account, "farm_id": farm_id, "act": act, "subject": subject, "detail": detail}
    add(tx, audit, values)


def _account(connection: Connection, row: Row[Any]) -> Account:
    farms = None
    if not row.all_farms:
        farms = frozenset(connection.execute(_FARMS_OF, {"name": row.name}).scalars())
    return Account(
        name=row.name, display_name=row.display_name, role=Role(row.role), language=row.language, farms=farms
    )
