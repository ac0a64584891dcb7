"""The ledger's tables. migrations/versions holds the same as steps; a test compares the two."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC in and out, also where the database keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse a naive time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the ledger takes aware times only, not {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give UTC back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

accounts = Table(
    "accounts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("display_name", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("language", String(8), nullable=False),
    Column("all_farms", Boolean, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

farms = Table(
    "farms",
    metadata,
    Column("id", String(48), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("cooperative", String(200), nullable=False),
    Column("tz", String(64), nullable=False),
    Column("lat", Float, nullable=False),
    Column("lon", Float, nullable=False),
    Column("help_phone", String(64), nullable=False),
    Column("report_every_s", Float, nullable=False),
    Column("version", Integer, nullable=False),
    Column("hold", JSON(none_as_null=True), nullable=True),
    Column("rules", JSON(none_as_null=True), nullable=True),  # groups, windows, dry_days
    Column("forecast", JSON(none_as_null=True), nullable=True),
)

account_farms = Table(
    "account_farms",
    metadata,
    Column("account", String(64), ForeignKey("accounts.name", ondelete="CASCADE"), primary_key=True),
    Column("farm_id", String(48), ForeignKey("farms.id", ondelete="CASCADE"), primary_key=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("account", String(64), ForeignKey("accounts.name", ondelete="CASCADE"), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False, index=True),
)

sources = Table(
    "sources",
    metadata,
    Column("farm_id", String(48), ForeignKey("farms.id", ondelete="CASCADE"), primary_key=True),
    Column("id", String(48), primary_key=True),
    Column("place", Integer, nullable=False),
    Column("body", JSON, nullable=False),
)

zones = Table(
    "zones",
    metadata,
    # Zones and programs are addressed without their farm in the API, so their ids are the server's, not the farm's.
    Column("id", String(48), primary_key=True),
    Column("farm_id", String(48), ForeignKey("farms.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("place", Integer, nullable=False),
    Column("body", JSON, nullable=False),
)

households = Table(
    "households",
    metadata,
    Column("farm_id", String(48), ForeignKey("farms.id", ondelete="CASCADE"), primary_key=True),
    Column("id", String(48), primary_key=True),
    Column("place", Integer, nullable=False),
    Column("name", String(200), nullable=False),
    Column("people", JSON, nullable=False),  # names of accounts that speak for it
    Column("left_at", UtcTime),  # kept for the accounts of its rounds
)

zone_moves = Table(
    "zone_moves",
    metadata,
    # Whose a zone was until then: what it received before stays in that household's account.
    Column("farm_id", String(48), ForeignKey("farms.id", ondelete="CASCADE"), primary_key=True),
    Column("zone_id", String(48), primary_key=True),
    Column("at", UtcTime, primary_key=True),
    Column("household_id", String(48)),
)

rotas = Table(
    "rotas",
    metadata,
    # What has begun stays as it was: another rota has another anchor, and `ended_at` ends the turns at a source.
    Column("farm_id", String(48), ForeignKey("farms.id", ondelete="CASCADE"), primary_key=True),
    Column("source_id", String(48), primary_key=True),
    Column("anchor", UtcTime, primary_key=True),
    Column("body", JSON, nullable=False),  # unit, period, shares, hours, rations, shortages
    Column("ended_at", UtcTime),
)

agreements = Table(
    "agreements",
    metadata,
    # Swaps and loans of a rota's rounds; in force once both sides stand in `agreed`.
    Column("id", String(48), primary_key=True),
    Column("farm_id", String(48), ForeignKey("farms.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("source_id", String(48), nullable=False),
    Column("anchor", UtcTime, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("body", JSON, nullable=False),
    Column("agreed", JSON, nullable=False),
    Column("asked_by", String(64), nullable=False),
    Column("asked_at", UtcTime, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("farm_id", String(48), ForeignKey("farms.id", ondelete="CASCADE"), primary_key=True),
    Column("id", String(48), primary_key=True),
    Column("name", String(200), nullable=False),
)

programs = Table(
    "programs",
    metadata,
    Column("id", String(48), primary_key=True),
    Column("farm_id", String(48), ForeignKey("farms.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("body", JSON, nullable=False),  # calendar, starts, zones
    Column("version", Integer, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("updated_by", String(64), nullable=False),
)

skips = Table(
    "skips",
    metadata,
    Column("farm_id", String(48), ForeignKey("farms.id", ondelete="CASCADE"), primary_key=True),
    Column("entry_id", String(80), primary_key=True),
    Column("due", UtcTime, nullable=False),
    Column("by", String(64), nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("farm_id", String(48), nullable=False),
    Column("zone_id", String(48), nullable=False),
    Column("state", String(16), nullable=False),
    Column("dose", JSON, nullable=False),
    Column("max_s", Float, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("program_id", String(48)),
    Column("entry_id", String(80)),
    Column("command_id", String(80), index=True),
    Column("asked_at", UtcTime, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("opened_at", UtcTime),
    Column("closes_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("litres", Float),
    Column("open_s", Float),
    Column("has_meter", Boolean, nullable=False),
    Column("reason_code", String(80)),
    Column("reason_params", JSON, nullable=False),
    Column("stop_by", String(64)),
    Index(None, "farm_id", "ended_at"),
    Index(None, "zone_id", "asked_at"),
)

run_events = Table(
    "run_events",
    metadata,
    Column("farm_id", String(48), primary_key=True),
    Column("boot_id", String(80), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", String(80), nullable=False, index=True),
    Column("node_id", String(48), nullable=False),
    Column("state", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("clock_trusted", Boolean, nullable=False),
    Column("body", JSON, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("farm_id", String(48), primary_key=True),
    Column("id", String(80), primary_key=True),
    Column("zone_id", String(48), nullable=False),
    Column("program_id", String(48), nullable=False),
    Column("due", UtcTime, nullable=False),
    Column("result", String(16), nullable=False),
    Column("rule", String(48), nullable=False),
    Column("params", JSON, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("run_id", String(80)),
    Index(None, "farm_id", "due"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("farm_id", String(48), nullable=False),
    Column("kind", String(80), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("zone_id", String(48)),
    Column("node_id", String(48)),
    Column("channel", String(48)),
    Column("raised_at", UtcTime, nullable=False),
    Column("acknowledged_at", UtcTime),
    Column("acknowledged_by", String(64)),
    Column("cleared_at", UtcTime),
    Column("params", JSON, nullable=False),
    Index(None, "farm_id", "cleared_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("account", String(64), nullable=False),
    Column("farm_id", String(48)),
    Column("act", String(48), nullable=False),
    Column("subject", String(80), nullable=False),
    Column("detail", JSON, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("run_ids", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False, index=True),
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("farm_id", String(48), primary_key=True),
    Column("node_id", String(48), primary_key=True),
    Column("boot_id", String(80), primary_key=True),
    Column("lane", String(16), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

last_said = Table(
    "last_said",
    metadata,
    # What the gateway said last on its retained channels, for the time between our start and its next word.
    Column("farm_id", String(48), primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("payload", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)

stop_alls = Table(
    "stop_alls",
    metadata,
    # A wish to have every valve of a farm closed, until its gateway has taken it: a restart of ours does not lose it.
    Column("farm_id", String(48), primary_key=True),
    Column("id", String(80), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("until", UtcTime, nullable=False),
)
