"""The ledger's database: opened, migrated, and its errors translated."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Insert, Table, create_engine, event, insert, inspect, make_url, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from contract.errors import ConfigError
from server.errors import Unavailable

_MIGRATIONS = files("server.ledger") / "migrations"


class Ledger:
    """Short transactions, called directly on the loop. `url` is SQLAlchemy's: `sqlite:///PATH` or `postgresql+psycopg://…`."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            if parsed.get_backend_name() == "sqlite" and parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self._engine = create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as exc:
            raise ConfigError(f"ledger.url: {exc}") from None
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _durable)
            event.listen(self._engine, "begin", _immediate)

    def migrate(self) -> None:
        """Bring the schema to this version's; safe to repeat."""
        with self.begin() as tx:
            if _step(tx) == newest_step():
                return  # as at nearly every start: Alembic's import alone takes longer than all else here
            from alembic import command
            from alembic.config import Config

            config = Config()
            config.set_main_option("script_location", str(_MIGRATIONS))
            config.attributes["connection"] = tx
            command.upgrade(config, "head")

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction: committed (to disk) at the end of the block, undone when it raises."""
        try:
            with self._engine.begin() as tx:
                yield tx
        except DBAPIError as exc:
            raise Unavailable("ledger", str(exc.orig)) from exc

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read from, without a transaction."""
        try:
            with self._engine.connect() as connection:
                yield connection.execution_options(isolation_level="AUTOCOMMIT")
        except DBAPIError as exc:
            raise Unavailable("ledger", str(exc.orig)) from exc

    def check(self) -> None:
        """Return when the ledger answers; raise Unavailable otherwise."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()


def newest_step() -> str:
    """The number of the schema's last step: that of its file in migrations/versions."""
    return max(path.name for path in (_MIGRATIONS / "versions").iterdir() if path.name[0].isdigit()).partition("_")[0]


def _step(tx: Connection) -> str | None:
    """The step that the database stands at; None before the first."""
    if not inspect(tx).has_table("alembic_version"):
        return None
    return tx.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _durable(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours: see _immediate
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _immediate(connection: Connection) -> None:
    # A deferred transaction that reads first cannot become a writer when another process wrote in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def upsert(tx: Connection, table: Table, values: dict[str, Any] | list[dict[str, Any]], *, keep: bool = False) -> None:
    """Insert a row, or several of the same columns; replace those with their primary keys, or `keep` what is there."""
    names = tuple(values[0] if isinstance(values, list) else values)
    tx.execute(_upsert(table, tx.dialect.name, names, keep), values)


def add(tx: Connection, table: Table, values: dict[str, Any]) -> None:
    """Insert a row."""
    tx.execute(insert(table), values)


@cache
def _upsert(table: Table, dialect: str, names: tuple[str, ...], keep: bool) -> Insert:
    # Built once: building a statement costs more than running it, and every tap and every report has some.
    keys = [column.name for column in table.primary_key]
    statement = _insert(table, dialect)
    changed = {name: statement.excluded[name] for name in names if name not in keys}
    made: Insert = (
        statement.on_conflict_do_nothing(index_elements=keys)
        if keep or not changed
        else statement.on_conflict_do_update(index_elements=keys, set_=changed)
    )
    return made


def _insert(table: Table, dialect: str) -> Any:
    """An INSERT of the dialect's own kind; both know `excluded` and `on_conflict_do_...`."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # a ledger in SQLite starts without it

        return postgresql.insert(table)
    return sqlite.insert(table)
