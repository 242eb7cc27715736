from __future__ import annotations

import asyncio
from datetime import timedelta

from gitsync.store import SqlStore
from tests.store.builders import TTL

OVER = timedelta(0)


async def test_a_free_lease_is_given_with_the_first_epoch(store: SqlStore) -> None:
    lease = await store.acquire_lease("leader", "one", TTL)
    assert lease is not None
    assert (lease.name, lease.holder, lease.epoch) == ("leader", "one", 1)


async def test_a_held_lease_is_refused_to_another_holder(store: SqlStore, other: SqlStore) -> None:
    await store.acquire_lease("leader", "one", TTL)
    assert await other.acquire_lease("leader", "two", TTL) is None


async def test_an_expired_lease_goes_to_another_holder_with_a_higher_epoch(store: SqlStore) -> None:
    first = await store.acquire_lease("leader", "one", OVER)
    second = await store.acquire_lease("leader", "two", TTL)
    assert first is not None
    assert second is not None
    assert second.epoch > first.epoch


async def test_a_holder_that_was_killed_takes_its_own_lease_again_with_a_new_epoch(store: SqlStore) -> None:
    first = await store.acquire_lease("leader", "one", TTL)
    again = await store.acquire_lease("leader", "one", TTL)
    assert first is not None
    assert again is not None
    assert again.epoch == first.epoch + 1
    assert await store.renew_lease(first, TTL) is None


async def test_renewing_keeps_the_epoch_and_moves_the_end(store: SqlStore) -> None:
    lease = await store.acquire_lease("leader", "one", TTL)
    assert lease is not None
    renewed = await store.renew_lease(lease, 2 * TTL)
    assert renewed is not None
    assert renewed.epoch == lease.epoch
    assert renewed.expires_at > lease.expires_at


async def test_an_expired_lease_cannot_be_renewed(store: SqlStore) -> None:
    lease = await store.acquire_lease("leader", "one", OVER)
    assert lease is not None
    assert await store.renew_lease(lease, TTL) is None


async def test_a_released_lease_is_free_and_its_epoch_still_rises(store: SqlStore) -> None:
    lease = await store.acquire_lease("leader", "one", TTL)
    assert lease is not None
    await store.release_lease(lease)
    assert await store.renew_lease(lease, TTL) is None
    taken = await store.acquire_lease("leader", "two", TTL)
    assert taken is not None
    assert taken.epoch == lease.epoch + 1


async def test_releasing_a_lost_lease_does_not_take_it_from_the_new_holder(store: SqlStore) -> None:
    lost = await store.acquire_lease("leader", "one", OVER)
    held = await store.acquire_lease("leader", "two", TTL)
    assert lost is not None
    assert held is not None
    await store.release_lease(lost)
    assert await store.renew_lease(held, TTL) is not None


async def test_leases_of_different_names_do_not_touch_each_other(store: SqlStore) -> None:
    assert await store.acquire_lease("leader", "one", TTL) is not None
    assert await store.acquire_lease("sweep", "two", TTL) is not None


async def test_of_many_that_ask_at_once_exactly_one_gets_it(store: SqlStore, other: SqlStore) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task((store, other)[number % 2].acquire_lease("leader", f"holder-{number}", TTL))
            for number in range(8)
        ]
    assert sum(task.result() is not None for task in tasks) == 1
