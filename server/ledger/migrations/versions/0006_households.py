"""Households that people change: when one left, and whose a zone was before it became another's."""

import sqlalchemy as sa
from alembic import op

from server.ledger.tables import UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("households", sa.Column("left_at", UtcTime(), nullable=True))
    op.create_table(
        "zone_moves",
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("zone_id", sa.String(length=48), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("household_id", sa.String(length=48), nullable=True),
        sa.ForeignKeyConstraint(["farm_id"], ["farms.id"], name=op.f("fk_zone_moves_farm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("farm_id", "zone_id", "at", name=op.f("pk_zone_moves")),
    )


def downgrade() -> None:
    op.drop_table("zone_moves")
    op.drop_column("households", "left_at")
