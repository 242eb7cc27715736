"""Alembic's environment: runs inside the transaction of the connection that `gitsync.store.migrate` hands over."""

from alembic import context

from gitsync.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
