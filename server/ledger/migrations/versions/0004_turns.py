"""Households, the rotas of shared sources, and what households agree on."""

import sqlalchemy as sa
from alembic import op

from server.ledger.tables import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "households",
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("people", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["farm_id"], ["farms.id"], name=op.f("fk_households_farm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("farm_id", "id", name=op.f("pk_households")),
    )
    op.create_table(
        "rotas",
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("source_id", sa.String(length=48), nullable=False),
        sa.Column("anchor", UtcTime(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["farm_id"], ["farms.id"], name=op.f("fk_rotas_farm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("farm_id", "source_id", "anchor", name=op.f("pk_rotas")),
    )
    op.create_table(
        "agreements",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("source_id", sa.String(length=48), nullable=False),
        sa.Column("anchor", UtcTime(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("agreed", sa.JSON(), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["farm_id"], ["farms.id"], name=op.f("fk_agreements_farm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreements")),
    )
    op.create_index(op.f("ix_agreements_farm_id"), "agreements", ["farm_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_agreements_farm_id"), table_name="agreements")
    op.drop_table("agreements")
    op.drop_table("rotas")
    op.drop_table("households")
