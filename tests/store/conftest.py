"""One suite over both databases: `store` is an SqlStore on SQLite, then one on a real PostgreSQL."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Place:
    """An empty database."""

    dialect: str
    options: StoreOptions


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Place:
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
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
