"""`Leadership`: one process at a time leads, and a database that is away or refuses us ends nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from gitsync.control.leader import LEASE, TTL, Leadership
from gitsync.control.records import Lease
from gitsync.errors import GitsyncError, SettingsError, Unavailable
from gitsync.store import SqlStore, StoreOptions
from tests.support.control import lead
from tests.support.service import until


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with await SqlStore.open(StoreOptions(f"sqlite:///{tmp_path / 'gitsync.db'}")) as store:
        yield store


@asynccontextmanager
async def running(leadership: Leadership) -> AsyncIterator[None]:
    """The leadership's task inside the block."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(leadership.run(), name="leader")
        try:
            yield
        finally:
            task.cancel()


async def test_who_comes_first_leads_and_the_other_waits(store: SqlStore) -> None:
    one, two = Leadership(store, "replica-1"), Leadership(store, "replica-2")
    async with running(one):
        lease = await one.wait()
        assert (lease.name, lease.holder) == (LEASE, "replica-1")
        async with running(two):
            assert await store.acquire_lease(LEASE, "replica-3", TTL) is None
            assert two.lease is None


async def test_a_leader_that_stops_gives_the_lease_back_and_the_next_one_has_a_higher_epoch(store: SqlStore) -> None:
    one, two = Leadership(store, "replica-1"), Leadership(store, "replica-2")
    async with asyncio.TaskGroup() as tasks:
        leading = tasks.create_task(one.run(), name="one")
        first = await one.wait()
        waiting = tasks.create_task(two.run(), name="two")
        leading.cancel()
        async with asyncio.timeout(TTL.total_seconds() / 2):
            assert (await two.wait()).epoch == first.epoch + 1
        waiting.cancel()


async def test_a_restarted_leader_takes_its_own_lease_back_at_once(store: SqlStore) -> None:
    before = await lead(store, "replica-1")
    again = Leadership(store, "replica-1")
    async with running(again):
        assert (await again.wait()).epoch == before.epoch + 1


async def test_a_leader_whose_write_was_refused_leads_no_more(store: SqlStore) -> None:
    one = Leadership(store, "replica-1")
    async with running(one):
        await one.wait()
        one.lost()
        assert one.lease is None


class TroubledStore:
    """A store whose leases fail with `error` while it is set."""

    def __init__(self, store: SqlStore, error: GitsyncError | None) -> None:
        self._store = store
        self.error = error
        self.calls = 0

    async def acquire_lease(self, name: str, holder: str, ttl: timedelta) -> Lease | None:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return await self._store.acquire_lease(name, holder, ttl)

    async def renew_lease(self, lease: Lease, ttl: timedelta) -> Lease | None:
        return await self._store.renew_lease(lease, ttl)

    async def release_lease(self, lease: Lease) -> None:
        if self.error is not None:
            raise self.error
        await self._store.release_lease(lease)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("the database is not available"),
        SettingsError("the database refuses us", code="store.refused"),
    ],
)
async def test_a_database_that_is_away_or_refuses_us_is_said_once_and_tried_again(
    store: SqlStore, error: GitsyncError, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    troubled = TroubledStore(store, error)
    leadership = Leadership(troubled, "replica-1")  # type: ignore[arg-type]  # only what it calls
    async with running(leadership):
        await until(lambda: troubled.calls == 2)
        assert leadership.lease is None
        assert caplog.text.count("cannot take or renew the leader's lease") == 1
        troubled.error = None
        await until(lambda: leadership.lease)
        assert "leading, epoch 1" in caplog.text
        troubled.error = error
    assert "it runs out by itself" in caplog.text
