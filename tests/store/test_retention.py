from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import text

from gitsync.control.records import ReleaseKind, Retention, SourceRecord
from gitsync.rollout.cohort import Cohort
from gitsync.rollout.plan import Plan
from gitsync.rollout.state import Phase, Pin, Quarantined, Rollout
from gitsync.store import SqlStore
from tests.store.builders import (
    NOW,
    SOURCE,
    TARGET,
    Leader,
    a_commit_id,
    a_commit_record,
    a_hash,
    a_payload,
    a_record,
    a_state,
    a_uid,
    a_version,
    an_attempt,
    an_attempt_record,
)

LITTLE = Retention(commits=1, revisions=1, attempts=1)
LATER = NOW + timedelta(hours=1)


async def test_an_empty_store_has_nothing_to_drop(store: SqlStore) -> None:
    assert await store.sweep(Retention(), NOW) == 0


async def test_what_is_published_survives_every_sweep(store: SqlStore) -> None:
    leader = await Leader.of(store)
    for _ in range(3):
        await leader.publish(kept=1)
    before = await store.load_published(SOURCE)
    assert await store.sweep(Retention(commits=0, revisions=0, attempts=0, audit_days=0), LATER) > 0
    assert await store.load_published(SOURCE) == before
    assert await store.sweep(LITTLE, LATER) == 0


async def test_versions_and_payloads_that_nothing_names_go(store: SqlStore) -> None:
    leader = await Leader.of(store)
    old = await leader.publish(kept=1)
    await leader.publish(kept=1)
    await store.sweep(LITTLE, LATER)
    assert list(await store.load_payloads([old.payloads[0].digest])) == []
    assert await _count(store, "target_version") == 1
    assert await _count(store, "version_slot") == 1


async def test_completed_versions_and_their_payloads_stay(store: SqlStore) -> None:
    leader = await Leader.of(store)
    published = [await leader.publish() for _ in range(4)]
    await store.sweep(LITTLE, LATER)
    digests = [one.payloads[0].digest for one in published]
    assert len(await store.load_payloads(digests)) == 4


async def test_everything_that_a_state_names_stays(store: SqlStore) -> None:
    leader = await Leader.of(store)
    published = [await leader.publish(kept=1) for _ in range(8)]
    stable, fallback, waiting, baseline, candidate, pinned, quarantined, head = (
        one.versions[0].digest for one in published
    )
    state = a_state(
        stable,
        fallback=fallback,
        waiting=waiting,
        head=head,
        rollout=Rollout("r", baseline, candidate, Plan(), Phase.PAUSED, Cohort(0, 0), NOW),
        pin=Pin(a_commit_id(6), pinned, {}, "token:ada", "by hand"),
        quarantine=(Quarantined(quarantined, 1, {"a.yaml": None}, NOW, "5 of 9 failed"),),
        completed=(),
    )
    await leader.publish(texts={}, states=(state,))
    await store.sweep(LITTLE, LATER)
    stored = await store.load_published(SOURCE)
    assert stored is not None
    assert len(stored.versions) == 8
    assert len(await store.load_payloads([one.payloads[0].digest for one in published])) == 8


async def test_payloads_that_agents_still_need_stay(store: SqlStore) -> None:
    leader = await Leader.of(store)
    published = [await leader.publish(kept=1) for _ in range(5)]
    last_good, current, wanted, nobodys, _ = (one.payloads[0].digest for one in published)
    await store.save_agents(
        [
            a_record(1, last_good=last_good, connected=False),
            a_record(2, current=replace(an_attempt(), digest=current)),
            a_record(3, wanted=wanted),
        ],
        [],
    )
    await store.sweep(LITTLE, NOW + timedelta(days=365))
    kept = await store.load_payloads([last_good, current, wanted, nobodys])
    assert set(kept) == {last_good, current, wanted}


async def test_a_payload_that_another_version_shares_stays(store: SqlStore) -> None:
    leader = await Leader.of(store)
    first = await leader.publish(kept=1)
    await leader.publish(kept=1, texts={TARGET.path: "x: 1\n"})
    shared = a_version(first.payloads[0], selector=None)
    await leader.publish(kept=1, versions=(shared,), payloads=(), statements=())
    await store.sweep(LITTLE, LATER)
    assert len(await store.load_payloads([first.payloads[0].digest])) == 1


async def test_statements_of_the_newest_revisions_are_kept_and_releases_too(store: SqlStore) -> None:
    leader = await Leader.of(store)
    published = [await leader.publish() for _ in range(5)]
    await store.sweep(Retention(revisions=2), LATER)
    assert await _count(store, "statement") == 2
    assert [one.revision for one in await store.list_releases(SOURCE, 10)] == [
        one.revision for one in reversed(published)
    ]


async def test_the_newest_commits_are_kept(store: SqlStore) -> None:
    for number in range(1, 6):
        await store.save_commit(a_commit_record(number))
    assert await store.sweep(Retention(commits=2), LATER) == 3
    assert [one.commit.id for one in await store.list_commits(SOURCE, 10)] == [a_commit_id(5), a_commit_id(4)]


async def test_commits_that_something_refers_to_are_kept(store: SqlStore) -> None:
    for number in range(1, 10):
        await store.save_commit(a_commit_record(number))
    await store.save_source(SourceRecord(SOURCE, "https://git.example.com/fleet.git", "main", head=a_commit_id(8)))
    leader = await Leader.of(store)
    first = await leader.publish()
    digest = first.versions[0].digest
    pin = Pin(a_commit_id(5), digest, {}, "token:ada", "by hand")
    await leader.publish(texts={}, kind=ReleaseKind.PIN, head=a_commit_id(3), states=(a_state(digest, pin=pin),))
    await store.sweep(Retention(commits=1), LATER)
    kept = {one.commit.id for one in await store.list_commits(SOURCE, 10)}
    assert kept == {a_commit_id(number) for number in (1, 3, 5, 8, 9)}


async def test_the_newest_attempts_of_each_agent_are_kept(store: SqlStore) -> None:
    for number in (1, 2):
        await store.save_agents(
            [], [an_attempt_record(number, f"c{n}", offered_at=NOW + timedelta(minutes=n)) for n in range(5)]
        )
    assert await store.sweep(Retention(attempts=2), LATER) == 6
    newest = [one.attempt.digest for one in await store.list_attempts(a_uid(1), 10)]
    assert newest == [a_hash("c4"), a_hash("c3")]


async def test_blobs_that_no_agent_has_go_after_a_day(store: SqlStore) -> None:
    for name in ("effective", "components", "young", "old"):
        at = NOW if name != "young" else NOW + timedelta(days=2)
        await store.keep_blob(a_hash(name), "effective", name.encode(), at)
    await store.save_agents([a_record(1, effective=a_hash("effective"), components=a_hash("components"))], [])
    assert await store.sweep(Retention(), NOW + timedelta(days=2)) == 1
    kept = [name for name in ("effective", "components", "young", "old") if await store.load_blob(a_hash(name))]
    assert kept == ["effective", "components", "young"]


async def test_sweeping_while_publishing_never_takes_what_is_published(store: SqlStore, other: SqlStore) -> None:
    leader = await Leader.of(store)

    async def publish() -> None:
        # Back and forth between two contents: each is unnamed, and a candidate for the sweep, every other time.
        for number in range(12):
            await leader.publish(kept=1, texts={TARGET.path: f"x: {number % 2}\n"})

    async with asyncio.TaskGroup() as group:
        publishing = group.create_task(publish())
        while not publishing.done():
            await other.sweep(LITTLE, LATER)
    stored = await store.load_published(SOURCE)
    assert stored is not None
    assert [one.digest for one in stored.payloads] == [a_payload("x: 1\n").digest]
    assert len(stored.versions) == 1


async def _count(store: SqlStore, table: str) -> int:
    async with store._db.read() as connection:
        return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())
