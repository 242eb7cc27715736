"""Connections: engines with the right settings per dialect, transactions, database time, translated errors.

SQLite has one writer connection (`BEGIN IMMEDIATE`, WAL, synchronous FULL: a publication that was answered survives a
power cut) and a few readers that cannot write. PostgreSQL has one small pool. In both, a call ends within
`StoreOptions.call_timeout`, whatever the database does.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from weakref import WeakSet

import aiosqlite
import asyncpg
from sqlalchemy import BigInteger, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from gitsync.errors import Conflict, GitsyncError, SettingsError, Unavailable

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
_DRIVERS = {SQLITE: "sqlite+aiosqlite", POSTGRESQL: "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}

# What comes out of the drivers. The last two are values that fit no column.
_FOREIGN = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
    OverflowError,
    UnicodeError,
)

_THREAD_SECONDS = 2.0
Insert = sqlite.Insert | postgresql.Insert
"""An INSERT that may say what happens on a conflict; both dialects write it the same way."""


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How the database is reached.

    Attributes:
        url: `sqlite:///relative`, `sqlite:////absolute`, or `postgresql://user:password@host/database`.
        application_name: what PostgreSQL shows for our connections.
        pool_size: connections to PostgreSQL, or readers of SQLite.
        lock_timeout: how long a write waits for another writer.
        statement_timeout: how long PostgreSQL works on one statement.
        idle_timeout: how long PostgreSQL waits for us inside a transaction, so that a frozen process holds no locks.
        connect_timeout: how long a new connection may take.
        call_timeout: end of everything, also when the network swallows packets.
    """

    url: str
    application_name: str = "gitsync"
    pool_size: int = 4
    lock_timeout: timedelta = timedelta(seconds=3)
    statement_timeout: timedelta = timedelta(seconds=10)
    idle_timeout: timedelta = timedelta(seconds=5)
    connect_timeout: timedelta = timedelta(seconds=5)
    call_timeout: timedelta = timedelta(seconds=20)


class database_micros(FunctionElement[int]):  # noqa: N801 - named like the SQL function that it is
    """The database's clock in microseconds since 1970, read when the statement runs."""

    type = BigInteger()
    inherit_cache = True


@compiles(database_micros, SQLITE)
def _sqlite_micros(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


@compiles(database_micros, POSTGRESQL)
def _postgresql_micros(_element: Any, _compiler: Any, **_options: Any) -> str:
    # clock_timestamp(), not now(): a statement that waited for a lock must see the time after the wait.
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"


def micros(duration: timedelta) -> int:
    """A duration in the unit of database time."""
    return duration // timedelta(microseconds=1)


class Database:
    """Both engines of one database, and how transactions are made on them."""

    __slots__ = ("_prepare", "_prepared", "_reader", "_threads", "_turn", "_writer", "dialect", "options", "place")

    def __init__(self, options: StoreOptions, prepare: Callable[[Database], Awaitable[None]]) -> None:
        """Makes the engines; connects nowhere.

        Args:
            options: where the database is.
            prepare: what must have succeeded once before the first transaction.

        Raises:
            SettingsError: the URL cannot be used.
        """
        url = database_url(options.url)
        self.options = options
        self._prepare = prepare
        self._prepared = False
        self._turn = asyncio.Lock()
        self.dialect = url.get_backend_name()
        self.place = url.set(drivername=self.dialect).render_as_string(hide_password=True)
        self._threads: WeakSet[Thread] = WeakSet()
        if self.dialect == SQLITE:
            self._writer = _sqlite_engine(url, options, self._threads, writes=True)
            self._reader = _sqlite_engine(url, options, self._threads, writes=False)
        else:
            self._writer = self._reader = _postgresql_engine(url, options)

    def insert(self, table: Table) -> Insert:
        """An INSERT into the table with `on_conflict_do_…`."""
        return sqlite.insert(table) if self.dialect == SQLITE else postgresql.insert(table)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that reads one consistent state.

        Raises:
            Unavailable: the database is away or too slow.
        """
        await self.ready()
        with self._translated():
            async with asyncio.timeout(self.options.call_timeout.total_seconds()):
                async with self._reader.connect() as connection:
                    if self.dialect == POSTGRESQL:
                        await connection.execution_options(isolation_level="REPEATABLE READ")
                    async with connection.begin():
                        yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end of the block, and rolled back when the block raises.

        Raises:
            Unavailable: the database is away, locked or too slow; whether the block was committed is unknown when
                the answer to COMMIT was lost.
            Conflict: another writer inserted the same row.
        """
        await self.ready()
        async with self.unprepared() as connection:
            yield connection

    async def ready(self) -> None:
        """Prepares the database once; nothing happens afterwards.

        Raises:
            Unavailable: the database is away; the next call tries again.
            SettingsError: its tables were made by a newer program, or it refuses us.
        """
        if self._prepared:
            return
        async with self._turn:
            if not self._prepared:
                await self._prepare(self)
                self._prepared = True

    @asynccontextmanager
    async def unprepared(self) -> AsyncIterator[AsyncConnection]:
        """As `write`, before the database is prepared: for what prepares it."""
        with self._translated():
            async with (
                asyncio.timeout(self.options.call_timeout.total_seconds()),
                self._writer.begin() as connection,
            ):
                yield connection

    async def close(self) -> None:
        """Closes every connection."""
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()
        # The driver closes a connection of a cancelled call without waiting: its thread would answer a loop that is
        # closed by then.
        for thread in self._threads:
            await asyncio.to_thread(thread.join, _THREAD_SECONDS)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except _FOREIGN as error:
            raise translate(error, self.place) from error


class Subject:
    """One group of tables and what is done with them; `SqlStore` puts them together."""

    __slots__ = ("_db",)

    def __init__(self, db: Database) -> None:
        self._db = db


def translate(error: BaseException, place: str) -> GitsyncError:
    """Our error for one of the database's; `SettingsError` is for what waiting cannot heal."""
    cause = _cause(error)
    text = " ".join(str(cause).split())
    if isinstance(error, PoolTimeout):
        return Unavailable(f"the database {place} is busy: no connection became free", code="store.locked")
    if _is_lock(cause, text):
        return Unavailable(
            f"the database {place} is locked by another writer: {text}",
            code="store.locked",
            retry_after=timedelta(seconds=1),
        )
    if isinstance(error, TimeoutError):
        return Unavailable(f"the database {place} did not answer in time", code="store.unavailable")
    if isinstance(cause, asyncpg.InvalidAuthorizationSpecificationError | asyncpg.InvalidCatalogNameError):
        return SettingsError(
            f"the database {place} refuses us: {text}",
            code="store.refused",
            hint="check user, password and database name in the store's url",
        )
    if "file is not a database" in text or "disk image is malformed" in text:
        return SettingsError(
            f"the database {place} is broken: {text}",
            code="store.broken",
            hint="restore a backup, or name another file in the store's url",
        )
    if isinstance(error, IntegrityError):
        return Conflict(f"another writer was first in {place}: {text}", code="store.conflict")
    if isinstance(error, OperationalError | InterfaceError) or _is_away(error, cause):
        return Unavailable(f"the database {place} is not available: {text}", code="store.unavailable")
    return GitsyncError(f"the database {place} refused a statement: {text}", code="store.failed")


def _cause(error: BaseException) -> BaseException:
    """The driver's own exception below the layers that wrapped it."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return cause


def _is_lock(cause: BaseException, text: str) -> bool:
    if isinstance(cause, asyncpg.LockNotAvailableError | asyncpg.DeadlockDetectedError | asyncpg.SerializationError):
        return True
    return "database is locked" in text or "database table is locked" in text


def _is_away(error: BaseException, cause: BaseException) -> bool:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    away = (
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
        asyncpg.InsufficientResourcesError,
        asyncpg.IdleInTransactionSessionTimeoutError,
        asyncpg.InterfaceError,
        OSError,
    )
    return isinstance(cause, away)


def database_url(text: str) -> URL:
    """The URL with the driver that we use.

    Raises:
        SettingsError: not a database URL, another database, or SQLite without a file.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        # The text is not repeated: it may hold a password.
        raise SettingsError(
            "the store's url cannot be read",
            code="store.url",
            hint="write sqlite:////path/to/gitsync.db or postgresql://user:password@host/database",
        ) from None
    backend = url.get_backend_name()
    if backend not in _DRIVERS:
        raise SettingsError(
            f"the store's url names the database {backend!r}",
            code="store.url",
            hint="use sqlite or postgresql",
        )
    if backend == SQLITE and url.database in (None, "", ":memory:"):
        raise SettingsError(
            "the store's url names no file", code="store.url", hint="write sqlite:////path/to/gitsync.db"
        )
    url = url.set(drivername=_DRIVERS[backend])
    if "sslmode" in url.query:  # libpq's word, which people know; asyncpg calls it ssl
        url = url.update_query_dict({"ssl": url.query["sslmode"]}).difference_update_query(["sslmode"])
    return url


def require_directory(url: URL) -> None:
    """Checks before the first connection that an SQLite file could exist.

    Raises:
        SettingsError: its directory is missing.
    """
    if url.get_backend_name() == SQLITE and not Path(str(url.database)).parent.is_dir():
        raise SettingsError(
            f"the directory of the store {url.database} does not exist",
            code="store.url",
            hint="create it, or change the store's url",
        )


class _SqliteConnection(sqlite3.Connection):
    """A connection that ends its transaction when it is closed.

    Of a call that was cancelled a cursor may still be alive somewhere (in a traceback, say); SQLite then keeps a closed
    connection's transaction, and with it the write lock, until the garbage collector finds that cursor.
    """

    def close(self) -> None:
        """Rolls back what was not committed, then closes."""
        with suppress(sqlite3.Error):
            self.rollback()
        super().close()


def _sqlite_engine(url: URL, options: StoreOptions, threads: WeakSet[Thread], *, writes: bool) -> AsyncEngine:
    def create(*arguments: Any, **options: Any) -> aiosqlite.Connection:
        connection = aiosqlite.connect(*arguments, **options)
        connection._thread.daemon = True
        threads.add(connection._thread)
        return connection

    engine = create_async_engine(
        url,
        # The driver's own handling of transactions is off: we say BEGIN ourselves (DDL is transactional then, too).
        connect_args={
            "isolation_level": None,
            "timeout": options.lock_timeout.total_seconds(),
            "factory": _SqliteConnection,
            "async_creator_fn": create,
        },
        pool_size=1 if writes else options.pool_size,
        max_overflow=0,
        pool_timeout=options.lock_timeout.total_seconds(),
    )
    settings = ["journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON"]
    if not writes:
        settings.append("query_only=ON")

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for setting in settings:
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    # IMMEDIATE: a writer waits at the start, never half way (an upgrade of a read lock fails at once).
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgresql_engine(url: URL, options: StoreOptions) -> AsyncEngine:
    return create_async_engine(
        url,
        connect_args={
            "timeout": options.connect_timeout.total_seconds(),
            "command_timeout": options.statement_timeout.total_seconds() + 5,
            "server_settings": _session_settings(options),
        },
        pool_size=options.pool_size,
        max_overflow=0,
        pool_timeout=options.connect_timeout.total_seconds(),
        pool_pre_ping=True,
    )


def _session_settings(options: StoreOptions) -> Mapping[str, str]:
    def milliseconds(duration: timedelta) -> str:
        return str(duration // timedelta(milliseconds=1))

    return {
        "application_name": options.application_name,
        "statement_timeout": milliseconds(options.statement_timeout),
        "lock_timeout": milliseconds(options.lock_timeout),
        "idle_in_transaction_session_timeout": milliseconds(options.idle_timeout),
        # A peer that vanished is noticed within seconds, and its locks go with it.
        "tcp_user_timeout": "5000",
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "1",
        "tcp_keepalives_count": "5",
    }
