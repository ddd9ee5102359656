"""How Alembic reaches the ledger: always over the connection that `daemon.ledger` hands it."""

from alembic import context

from daemon.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
