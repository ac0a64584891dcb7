"""The forecast of rain that people give a farm."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("farms", sa.Column("forecast", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("farms", "forecast")
