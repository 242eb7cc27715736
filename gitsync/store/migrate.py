"""Brings the tables up to date at start; there is no other way, and no way back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from gitsync.errors import SettingsError, Unavailable
from gitsync.store.engine import POSTGRESQL, SQLITE, Database

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 0x6773_6D69_6772
"""PostgreSQL advisory lock of migrations ("gsmigr")."""
_PATIENCE = timedelta(seconds=15)
"""How long a start waits for another one's migration."""
_PAUSE_SECONDS = 0.1


async def migrate(db: Database) -> None:
    """Runs the missing revisions in one transaction.

    Crash argument: DDL is transactional in both dialects as we use them, so a crash leaves the tables as they were.
    Two starts at once: SQLite's write lock and PostgreSQL's advisory lock let one go first; the other then finds
    nothing to do.

    Raises:
        SettingsError: the tables were made by a newer program.
        Unavailable: the database is away, or another start takes too long.
    """
    # SQLite: while a first program turns a new file into WAL mode, a second one is refused at once, without the wait
    # that locks have otherwise. So it asks again for a while.
    clock = asyncio.get_running_loop().time
    deadline = clock() + (_PATIENCE.total_seconds() if db.dialect == SQLITE else 0)
    while True:
        try:
            return await _migrate_once(db)
        except Unavailable as error:
            if error.code != "store.locked" or clock() >= deadline:
                raise
        await asyncio.sleep(_PAUSE_SECONDS)


async def _migrate_once(db: Database) -> None:
    async with db.unprepared() as connection:
        if db.dialect == POSTGRESQL:
            patience = _PATIENCE // timedelta(milliseconds=1)
            await connection.execute(text(f"SET LOCAL lock_timeout = {patience}"))
            await connection.execute(text(f"SET LOCAL statement_timeout = {patience}"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        await connection.run_sync(_upgrade, db.place)


def configuration() -> Config:
    """Alembic's configuration: the scripts that lie beside this module, in a checkout as in an installed wheel."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def _upgrade(connection: Connection, place: str) -> None:
    config = configuration()
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current == scripts.get_current_head():
        return
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise SettingsError(
            f"the tables of {place} have revision {current}, which this program does not know",
            code="store.newer",
            hint="start the newer program that made them, or restore a backup from before it",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
