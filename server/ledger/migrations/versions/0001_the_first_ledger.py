"""The first ledger."""

import sqlalchemy as sa
from alembic import op

from server.ledger.tables import UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("all_farms", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_accounts")),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("zone_id", sa.String(length=48), nullable=True),
        sa.Column("node_id", sa.String(length=48), nullable=True),
        sa.Column("channel", sa.String(length=48), nullable=True),
        sa.Column("raised_at", UtcTime(), nullable=False),
        sa.Column("acknowledged_at", UtcTime(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=64), nullable=True),
        sa.Column("cleared_at", UtcTime(), nullable=True),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alerts_farm_id_cleared_at"), ["farm_id", "cleared_at"], unique=False)

    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("farm_id", sa.String(length=48), nullable=True),
        sa.Column("act", sa.String(length=48), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "decisions",
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("zone_id", sa.String(length=48), nullable=False),
        sa.Column("program_id", sa.String(length=48), nullable=False),
        sa.Column("due", UtcTime(), nullable=False),
        sa.Column("result", sa.String(length=16), nullable=False),
        sa.Column("rule", sa.String(length=48), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("run_id", sa.String(length=80), nullable=True),
        sa.PrimaryKeyConstraint("farm_id", "id", name=op.f("pk_decisions")),
    )
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_decisions_farm_id_due"), ["farm_id", "due"], unique=False)

    op.create_table(
        "farms",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("cooperative", sa.String(length=200), nullable=False),
        sa.Column("tz", sa.String(length=64), nullable=False),
        sa.Column("lat", sa.Float(), nullable=False),
        sa.Column("lon", sa.Float(), nullable=False),
        sa.Column("help_phone", sa.String(length=64), nullable=False),
        sa.Column("report_every_s", sa.Float(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("hold", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_farms")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("run_ids", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("account", "key", name=op.f("pk_idempotency_keys")),
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_keys_created_at"), ["created_at"], unique=False)

    op.create_table(
        "last_said",
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("farm_id", "channel", name=op.f("pk_last_said")),
    )
    op.create_table(
        "run_events",
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("boot_id", sa.String(length=80), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.String(length=80), nullable=False),
        sa.Column("node_id", sa.String(length=48), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("clock_trusted", sa.Boolean(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("farm_id", "boot_id", "seq", name=op.f("pk_run_events")),
    )
    with op.batch_alter_table("run_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_run_events_run_id"), ["run_id"], unique=False)

    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("zone_id", sa.String(length=48), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("dose", sa.JSON(), nullable=False),
        sa.Column("max_s", sa.Float(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("program_id", sa.String(length=48), nullable=True),
        sa.Column("entry_id", sa.String(length=80), nullable=True),
        sa.Column("command_id", sa.String(length=80), nullable=True),
        sa.Column("asked_at", UtcTime(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=True),
        sa.Column("opened_at", UtcTime(), nullable=True),
        sa.Column("closes_at", UtcTime(), nullable=True),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.Column("litres", sa.Float(), nullable=True),
        sa.Column("open_s", sa.Float(), nullable=True),
        sa.Column("has_meter", sa.Boolean(), nullable=False),
        sa.Column("reason_code", sa.String(length=80), nullable=True),
        sa.Column("reason_params", sa.JSON(), nullable=False),
        sa.Column("stop_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_runs_command_id"), ["command_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_runs_farm_id_ended_at"), ["farm_id", "ended_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_runs_zone_id_asked_at"), ["zone_id", "asked_at"], unique=False)

    op.create_table(
        "watermarks",
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("node_id", sa.String(length=48), nullable=False),
        sa.Column("boot_id", sa.String(length=80), nullable=False),
        sa.Column("lane", sa.String(length=16), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("farm_id", "node_id", "boot_id", "lane", name=op.f("pk_watermarks")),
    )
    op.create_table(
        "account_farms",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.name"], name=op.f("fk_account_farms_account"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["farm_id"], ["farms.id"], name=op.f("fk_account_farms_farm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("account", "farm_id", name=op.f("pk_account_farms")),
    )
    op.create_table(
        "nodes",
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["farm_id"], ["farms.id"], name=op.f("fk_nodes_farm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("farm_id", "id", name=op.f("pk_nodes")),
    )
    op.create_table(
        "programs",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["farm_id"], ["farms.id"], name=op.f("fk_programs_farm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_programs")),
    )
    with op.batch_alter_table("programs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_programs_farm_id"), ["farm_id"], unique=False)

    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name=op.f("fk_sessions_account"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sessions_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "skips",
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("entry_id", sa.String(length=80), nullable=False),
        sa.Column("due", UtcTime(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["farm_id"], ["farms.id"], name=op.f("fk_skips_farm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("farm_id", "entry_id", name=op.f("pk_skips")),
    )
    op.create_table(
        "sources",
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["farm_id"], ["farms.id"], name=op.f("fk_sources_farm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("farm_id", "id", name=op.f("pk_sources")),
    )
    op.create_table(
        "zones",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["farm_id"], ["farms.id"], name=op.f("fk_zones_farm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zones")),
    )
    with op.batch_alter_table("zones", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_zones_farm_id"), ["farm_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("zones", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_zones_farm_id"))

    op.drop_table("zones")
    op.drop_table("sources")
    op.drop_table("skips")
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sessions_expires_at"))

    op.drop_table("sessions")
    with op.batch_alter_table("programs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_programs_farm_id"))

    op.drop_table("programs")
    op.drop_table("nodes")
    op.drop_table("account_farms")
    op.drop_table("watermarks")
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_runs_zone_id_asked_at"))
        batch_op.drop_index(batch_op.f("ix_runs_farm_id_ended_at"))
        batch_op.drop_index(batch_op.f("ix_runs_command_id"))

    op.drop_table("runs")
    with op.batch_alter_table("run_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_run_events_run_id"))

    op.drop_table("run_events")
    op.drop_table("last_said")
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotency_keys_created_at"))

    op.drop_table("idempotency_keys")
    op.drop_table("farms")
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_decisions_farm_id_due"))

    op.drop_table("decisions")
    op.drop_table("audit")
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_alerts_farm_id_cleared_at"))

    op.drop_table("alerts")
    op.drop_table("accounts")
