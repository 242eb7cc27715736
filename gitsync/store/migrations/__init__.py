"""Alembic's scripts: one environment and the revisions, run by `gitsync.store.migrate` only."""
