"""`SqlStore`: all subjects over one database."""

from __future__ import annotations

import logging
from types import TracebackType

from gitsync.errors import Unavailable
from gitsync.store.agents import Agents
from gitsync.store.audit import AuditLog
from gitsync.store.engine import Database, StoreOptions, database_url, require_directory
from gitsync.store.leases import Leases
from gitsync.store.migrate import migrate
from gitsync.store.releases import Releases
from gitsync.store.retention import Sweeper
from gitsync.store.sources import Sources

logger = logging.getLogger(__name__)


class SqlStore(Leases, Sources, Releases, Agents, AuditLog, Sweeper):
    """The driver of the port `Store`, on SQLite or PostgreSQL; made by `open`, ended by `close`."""

    __slots__ = ()

    @classmethod
    async def open(cls, options: StoreOptions, *, must_answer: bool = True) -> SqlStore:
        """Connects, brings the tables up to date, and returns the store.

        Several programs may do so at once: one migrates, the others wait for it.

        Args:
            options: where the database is.
            must_answer: False also returns a store whose database is away; its calls raise `Unavailable` until the
                database is back, and the first one then brings the tables up to date.

        Raises:
            SettingsError: the URL, user or directory is wrong, or the tables were made by a newer program.
            Unavailable: the database is away or locked; trying again later may help.
        """
        require_directory(database_url(options.url))
        db = Database(options, migrate)
        try:
            await db.ready()
        except BaseException as error:  # also when cancelled: connections must not outlive a failed start
            if isinstance(error, Unavailable) and not must_answer:
                logger.warning("starting without the database: %s", error)
            else:
                await db.close()
                raise
        return cls(db)

    async def close(self) -> None:
        """Closes every connection."""
        await self._db.close()

    async def __aenter__(self) -> SqlStore:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
