"""The server's ledger: what people decided and what happened, in SQLite or PostgreSQL."""
