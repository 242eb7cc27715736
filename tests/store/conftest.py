"""One suite over both databases: `store` is an SqlStore on SQLite, then one on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from gitsync.store import SqlStore, StoreOptions
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole run (one per worker when the run is spread)."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'gitsync.db'}"


@pytest.fixture
async def postgres_url(postgres: PostgresServer) -> AsyncIterator[str]:
    name = await postgres.create_database()
    yield postgres.url(name)
    await postgres.drop_database(name)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with tables and nothing in them: copying it is quicker than making them for each test."""
    file = tmp_path_factory.mktemp("migrated") / "gitsync.db"
    asyncio.run(_migrate(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def migrated_database(postgres: PostgresServer) -> str:
    """The same on PostgreSQL, as a template."""

    async def make() -> str:
        name = await postgres.create_database()
        await _migrate(postgres.url(name))
        return name

    return asyncio.run(make())


async def _migrate(url: str) -> None:
    async with await SqlStore.open(StoreOptions(url)):
        pass


@dataclass(frozen=True, slots=True)
class Place:
    """A database."""

    dialect: str
    options: StoreOptions


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_place(request: pytest.FixtureRequest) -> Place:
    """A database without tables."""
    return _place(request, "sqlite_url", "postgres_url")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Place:
    """A database with empty tables."""
    return _place(request, "migrated_sqlite_url", "migrated_postgres_url")


@pytest.fixture
def migrated_sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'gitsync.db')}"


@pytest.fixture
async def migrated_postgres_url(postgres: PostgresServer, migrated_database: str) -> AsyncIterator[str]:
    name = await postgres.create_database(template=migrated_database)
    yield postgres.url(name)
    await postgres.drop_database(name)


def _place(request: pytest.FixtureRequest, sqlite: str, postgresql: str) -> Place:
    url = request.getfixturevalue(sqlite if request.param == "sqlite" else postgresql)
    return Place(request.param, StoreOptions(url, lock_timeout=timedelta(seconds=2)))


@pytest.fixture
async def store(place: Place) -> AsyncIterator[SqlStore]:
    async with await SqlStore.open(place.options) as opened:
        yield opened


@pytest.fixture
async def other(place: Place, store: SqlStore) -> AsyncIterator[SqlStore]:
    """A second program on the same database."""
    async with await SqlStore.open(place.options) as opened:
        yield opened
