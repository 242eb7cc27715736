"""`Feed`: what is published comes whole or not at all, and something serves whatever happens to the store."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gitsync.bundle.statements import read_statement
from gitsync.control.feed import Feed
from gitsync.control.published import Published, assemble
from gitsync.control.records import Lease, Pointer, StoredSource
from gitsync.errors import TrustError, Unavailable
from gitsync.ids import DEFAULT_SOURCE, SourceName
from gitsync.store import LocalCache, SqlStore, StoreOptions
from tests.support.clock import ManualClock
from tests.support.control import a_bundle, a_publisher, lead, published

ACTOR = "system"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with await SqlStore.open(StoreOptions(f"sqlite:///{tmp_path / 'gitsync.db'}")) as store:
        yield store


@pytest.fixture
async def lease(store: SqlStore) -> Lease:
    return await lead(store)


class FailingStore:
    """A store that is away, or too slow, while `error` is set; with `older`, one that was put back to that."""

    def __init__(self, store: SqlStore, error: Exception | None = None) -> None:
        self._store = store
        self.error = error
        self.older: StoredSource | None = None

    async def load_pointers(self) -> Sequence[Pointer]:
        if self.error is not None:
            raise self.error
        return await self._store.load_pointers() if self.older is None else [self.older.pointer]

    async def load_published(self, source: SourceName) -> StoredSource | None:
        return await self._store.load_published(source) if self.older is None else self.older


class FeedUnderTest:
    """A feed with everything that it delivered."""

    def __init__(self, store: object, directory: Path, clock: ManualClock | None = None) -> None:
        self.delivered: list[Published] = []
        self.cache = LocalCache(directory / "cache.json")
        self.feed = Feed(
            store,  # type: ignore[arg-type]  # a real one, or one that fails in front of it
            self.cache,
            clock or ManualClock(),
            self.delivered.append,
            interval=timedelta(milliseconds=10),
        )

    @property
    def revision(self) -> int:
        """What is in effect."""
        return self.delivered[-1].revision(DEFAULT_SOURCE) if self.delivered else 0


AWAY = Unavailable("the database is not available", code="store.unavailable")


async def test_what_is_published_is_delivered_once_and_again_when_it_changes(
    store: SqlStore, lease: Lease, tmp_path: Path
) -> None:
    publisher, fed = a_publisher(store), FeedUnderTest(store, tmp_path)
    await publisher.publish(a_bundle(4317), lease, ACTOR)
    for _ in range(3):
        await fed.feed.refresh()
    assert len(fed.delivered) == 1
    second = await publisher.publish(a_bundle(4400), lease, ACTOR)
    await fed.feed.refresh()
    assert second is not None
    assert (len(fed.delivered), fed.revision) == (2, second.revision)
    (kept,) = await fed.cache.load() or ()
    stored = await published(store)
    assert (kept.pointer, kept.states, kept.statements) == (stored.pointer, stored.states, stored.statements)


async def test_before_the_first_publication_it_is_ready_with_nothing(store: SqlStore, tmp_path: Path) -> None:
    fed = FeedUnderTest(store, tmp_path)
    before = fed.feed.ready
    await fed.feed.refresh()
    assert (before, fed.feed.ready) == (False, True)
    assert fed.delivered[-1].desired.states == {}


async def test_a_doorbell_makes_it_look_at_once_and_polling_finds_what_nobody_rang_for(
    store: SqlStore, lease: Lease, tmp_path: Path
) -> None:
    publisher, fed = a_publisher(store), FeedUnderTest(store, tmp_path)
    running = asyncio.get_running_loop().create_task(fed.feed.run())
    try:
        async with asyncio.timeout(10):
            first = await publisher.publish(a_bundle(4317), lease, ACTOR)
            assert first is not None
            while fed.revision != first.revision:
                await asyncio.sleep(0.001)
            second = await publisher.publish(a_bundle(4400), lease, ACTOR)
            assert second is not None
            fed.feed.ring()
            while fed.revision != second.revision:
                await asyncio.sleep(0.001)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)  # noqa: TID251 - one task that was cancelled


async def test_while_the_store_is_away_the_last_release_stays_and_it_is_said_once(
    store: SqlStore, lease: Lease, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    failing = FailingStore(store)
    fed = FeedUnderTest(failing, tmp_path)
    await a_publisher(store).publish(a_bundle(), lease, ACTOR)
    await fed.feed.refresh()
    failing.error = AWAY
    for _ in range(3):
        await fed.feed.refresh()
    assert (len(fed.delivered), fed.feed.ready) == (1, True)
    assert "the database is away, the last release keeps serving" in fed.feed.error
    assert caplog.text.count("the database is away") == 1
    failing.error = None
    await fed.feed.refresh()
    assert (fed.feed.error, len(fed.delivered)) == ("", 1)
    assert "the database can be used again" in caplog.text


async def test_a_start_without_the_store_serves_what_was_kept_and_then_what_is_published(
    store: SqlStore, lease: Lease, tmp_path: Path
) -> None:
    publisher = a_publisher(store)
    first = await publisher.publish(a_bundle(4317), lease, ACTOR)
    await FeedUnderTest(store, tmp_path).feed.refresh()
    second = await publisher.publish(a_bundle(4400), lease, ACTOR)
    assert first is not None
    assert second is not None
    failing = FailingStore(store, AWAY)
    fed = FeedUnderTest(failing, tmp_path)
    await fed.feed.refresh()
    assert (fed.revision, fed.feed.ready) == (first.revision, True)
    failing.error = None
    await fed.feed.refresh()
    assert fed.revision == second.revision


@pytest.mark.parametrize("error", [AWAY, TimeoutError()])
async def test_a_first_start_without_the_store_is_not_ready(store: SqlStore, tmp_path: Path, error: Exception) -> None:
    failing = FailingStore(store, error)
    fed = FeedUnderTest(failing, tmp_path)
    await fed.feed.refresh()
    assert (fed.delivered, fed.feed.ready) == ([], False)
    assert fed.feed.error.startswith("the database is away")


def tamper(database: Path) -> None:
    """Changes one byte of each payload."""
    connection = sqlite3.connect(database, isolation_level=None)
    for digest, objects in connection.execute("SELECT digest, objects FROM payload").fetchall():
        at = objects.index('"body":"') + len('"body":"')
        other = "Z" if objects[at] != "Z" else "Y"
        connection.execute(
            "UPDATE payload SET objects = ? WHERE digest = ?", (objects[:at] + other + objects[at + 1 :], digest)
        )
    connection.close()


async def test_a_store_with_a_changed_payload_is_not_followed_nor_at_a_start(
    store: SqlStore, lease: Lease, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publisher, fed = a_publisher(store), FeedUnderTest(store, tmp_path)
    first = await publisher.publish(a_bundle(4317), lease, ACTOR)
    assert first is not None
    await fed.feed.refresh()
    await publisher.publish(a_bundle(4400), lease, ACTOR)
    tamper(tmp_path / "gitsync.db")
    await fed.feed.refresh()
    assert (fed.revision, fed.feed.ready) == (first.revision, True)
    assert "what is stored cannot be used, the last good release keeps serving" in caplog.text
    again = FeedUnderTest(store, tmp_path)
    await again.feed.refresh()
    assert (again.revision, again.feed.ready) == (first.revision, True)
    assert "has other contents" in again.feed.error


async def test_a_kept_release_that_was_changed_on_the_disk_is_not_served(
    store: SqlStore, lease: Lease, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await a_publisher(store).publish(a_bundle(), lease, ACTOR)
    await FeedUnderTest(store, tmp_path).feed.refresh()
    cache = tmp_path / "cache.json"
    content = bytearray(cache.read_bytes())
    content[len(content) // 2] ^= 1
    cache.write_bytes(content)
    failing = FailingStore(store, AWAY)
    fed = FeedUnderTest(failing, tmp_path)
    await fed.feed.refresh()
    assert (fed.delivered, fed.feed.ready) == ([], False)
    assert "is not used" in caplog.text


async def test_a_store_that_was_put_back_to_an_older_state_is_not_followed_until_something_newer_is_published(
    store: SqlStore, lease: Lease, tmp_path: Path
) -> None:
    restored = FailingStore(store)
    publisher, fed = a_publisher(store), FeedUnderTest(restored, tmp_path)
    first = await publisher.publish(a_bundle(4317), lease, ACTOR)
    older = await published(store)
    second = await publisher.publish(a_bundle(4400), lease, ACTOR)
    assert first is not None
    assert second is not None
    await fed.feed.refresh()
    restored.older = older
    await fed.feed.refresh()
    assert fed.revision == second.revision
    assert f"revision {first.revision} of source default, older than revision {second.revision}" in fed.feed.error
    restored.older = None
    third = await publisher.publish(a_bundle(4500), lease, ACTOR)
    assert third is not None
    await fed.feed.refresh()
    assert (fed.revision, fed.feed.error) == (third.revision, "")


async def test_an_expired_release_is_served_with_a_warning(
    store: SqlStore, lease: Lease, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    pointer = await a_publisher(store, clock).publish(a_bundle(), lease, ACTOR)
    assert pointer is not None
    clock.advance(timedelta(days=14).total_seconds())
    fed = FeedUnderTest(store, tmp_path, clock)
    await fed.feed.refresh()
    assert fed.revision == pointer.revision
    assert f"revision {pointer.revision} of source default expired at" in caplog.text


async def test_a_disk_that_keeps_nothing_does_not_stop_anybody(
    store: SqlStore, lease: Lease, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fed = FeedUnderTest(store, tmp_path / "gone")
    (tmp_path / "gone").write_text("a file where the directory should be")
    await a_publisher(store).publish(a_bundle(), lease, ACTOR)
    await fed.feed.refresh()
    assert (len(fed.delivered), fed.feed.error) == (1, "")
    assert "the release cannot be kept on this machine's disk" in caplog.text


# ── assemble ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def stored(store: SqlStore, lease: Lease) -> StoredSource:
    await a_publisher(store).publish(a_bundle(), lease, ACTOR)
    return await published(store)


async def test_what_is_assembled_has_every_statement_by_target_and_payload(stored: StoredSource) -> None:
    made = assemble([stored])
    release = made.desired.releases[DEFAULT_SOURCE]
    assert (release.revision, release.head, release.seq) == (stored.pointer.revision, stored.pointer.head, 1)
    assert release.expires - release.issued == timedelta(days=14)
    for (target, digest), envelope in made.statements.items():
        statement = read_statement(envelope)
        assert (statement.path, statement.config_hash) == (target.path, f"sha256:{digest.hex()}")
    assert len(made.statements) == 2


async def test_a_statement_about_another_configuration_is_refused(stored: StoredSource) -> None:
    one, two = stored.statements
    swapped = replace(stored, statements=(replace(one, envelope=two.envelope), two))
    with pytest.raises(TrustError) as refusal:
        assemble([swapped])
    assert refusal.value.code == "store.statement"


async def test_a_payload_under_the_digest_of_another_one_is_refused(stored: StoredSource) -> None:
    one, two = stored.payloads
    swapped = replace(stored, payloads=(replace(one, objects=two.objects), two))
    with pytest.raises(TrustError) as refusal:
        assemble([swapped])
    assert refusal.value.code == "store.payload"


@pytest.mark.parametrize("missing", ["versions", "payloads"])
async def test_a_release_with_a_part_missing_is_refused(stored: StoredSource, missing: str) -> None:
    with pytest.raises(TrustError, match="is in use, but not stored whole") as refusal:
        assemble([replace(stored, **{missing: getattr(stored, missing)[1:]})])
    assert refusal.value.code == "store.incomplete"
