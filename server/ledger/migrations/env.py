"""Runs the steps in versions/ over the connection that server.ledger.database gives."""

from alembic import context

from server.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
    render_as_batch=True,
)
context.run_migrations()
