"""Wishes to close everything survive a restart of the server."""

import sqlalchemy as sa
from alembic import op

from server.ledger.tables import UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stop_alls",
        sa.Column("farm_id", sa.String(length=48), nullable=False),
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("until", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("farm_id", name=op.f("pk_stop_alls")),
    )


def downgrade() -> None:
    op.drop_table("stop_alls")
