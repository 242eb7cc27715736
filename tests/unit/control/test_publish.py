"""`Publisher`: what one publication writes, when it writes nothing, and who wins a race."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gitsync.bundle.statements import read_statement
from gitsync.bundle.verify import NO_MEMORY, verify
from gitsync.bundle.version import Bundle
from gitsync.control.feed import Feed
from gitsync.control.meters import Meters
from gitsync.control.publish import LEASE_LOST, PublishOptions
from gitsync.control.published import Published, assemble
from gitsync.control.records import Lease, Pointer, Publication, ReleaseKind, Retention
from gitsync.errors import Conflict, Unavailable
from gitsync.ids import DEFAULT_SOURCE, show_digest
from gitsync.store import LocalCache, SqlStore, StoreOptions
from tests.support.builders import NOW
from tests.support.clock import ManualClock
from tests.support.compiling import bundle_of
from tests.support.configrepo import tree_of
from tests.support.configs import FLEET, collector
from tests.support.control import SteeredSigner, a_bundle, a_publisher, lead, published
from tests.support.signing import ROOT

ACTOR = "token:admin"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    options = StoreOptions(f"sqlite:///{tmp_path / 'gitsync.db'}", lock_timeout=timedelta(milliseconds=50))
    async with await SqlStore.open(options) as store:
        yield store


@pytest.fixture
async def lease(store: SqlStore) -> Lease:
    return await lead(store)


async def test_a_publication_has_states_payloads_signed_statements_history_and_one_audit_line(
    store: SqlStore, lease: Lease
) -> None:
    meters, bundle = Meters(), a_bundle()
    pointer = await a_publisher(store, meters=meters).publish(bundle, lease, ACTOR)
    stored = await published(store)
    assert pointer == stored.pointer == Pointer(DEFAULT_SOURCE, int(NOW.timestamp()), 1, bundle.commit.id, lease.epoch)
    assert stored.release.kind is ReleaseKind.PUBLISH
    assert {one.path for one in stored.states} == {"agents", "gateways"}
    assert {one.digest for one in stored.payloads} == set(bundle.payloads)
    payloads = {one.digest: one for one in stored.payloads}
    for one in stored.statements:
        objects = payloads[one.config_hash].objects
        statement = verify(one.envelope, ROOT, NO_MEMORY, None, NOW, objects)
        assert (statement.revision, statement.commit.id) == (pointer.revision, bundle.commit.id)
        assert statement.expires - statement.issued == timedelta(days=14)
    assert len(stored.statements) == 2
    history = await store.list_transitions(DEFAULT_SOURCE, None, 10)
    assert {(one.path, one.transition.cause, one.actor) for one in history} == {
        ("agents", "commit", ACTOR),
        ("gateways", "commit", ACTOR),
    }
    ((_, audit),) = await store.list_audit(10)
    assert (audit.actor, audit.action, audit.outcome) == (ACTOR, "config_update", "success")
    assert audit.details["new_version"] == bundle.commit.id
    assert audit.details["revision"] == pointer.revision
    assert audit.details["config_hash"] == sorted(show_digest(one) for one in bundle.payloads)
    assert meters.releases == {"publish": 1}


async def test_a_bundle_that_changes_nothing_publishes_nothing(store: SqlStore, lease: Lease) -> None:
    publisher = a_publisher(store)
    first = await publisher.publish(a_bundle(), lease, ACTOR)
    assert await publisher.publish(a_bundle(), lease, ACTOR) is None
    assert (await published(store)).pointer == first


async def test_a_target_that_did_not_change_keeps_the_commit_where_it_first_appeared(
    store: SqlStore, lease: Lease
) -> None:
    publisher, first, second = a_publisher(store), a_bundle(4317), a_bundle(4400)
    await publisher.publish(first, lease, ACTOR)
    await publisher.publish(second, lease, ACTOR)
    stored = await published(store)
    origins = {one.path: one.origin.id for one in stored.versions if one.digest in {s.stable for s in stored.states}}
    assert origins == {"agents": second.commit.id, "gateways": first.commit.id}
    commits = {one.path: read_statement(one.envelope).commit.id for one in stored.statements if one.path == "gateways"}
    assert commits == {"gateways": first.commit.id}


async def test_going_back_is_a_new_revision_of_kind_back_with_the_old_version(store: SqlStore, lease: Lease) -> None:
    publisher = a_publisher(store)
    first = await publisher.publish(a_bundle(4317), lease, ACTOR)
    before = {one.path: one.stable for one in (await published(store)).states}
    second = await publisher.publish(a_bundle(4400), lease, ACTOR)
    third = await publisher.publish(a_bundle(4317), lease, ACTOR)
    assert first is not None
    assert second is not None
    assert third is not None
    # The clock stands still: revisions rise all the same.
    assert (second.revision, third.revision) == (first.revision + 1, first.revision + 2)
    stored = await published(store)
    assert stored.release.kind is ReleaseKind.BACK
    assert {one.path: one.stable for one in stored.states} == before


async def test_a_target_that_is_gone_is_not_stated_any_more_except_as_what_agents_may_return_to(
    store: SqlStore, lease: Lease
) -> None:
    publisher = a_publisher(store)
    await publisher.publish(a_bundle(), lease, ACTOR)
    await publisher.publish(a_bundle(without=["gateways/"]), lease, ACTOR)
    stored = await published(store)
    states = {one.path: one for one in stored.states}
    assert states["gateways"].stable is None
    causes = [(one.path, one.transition.cause) for one in await store.list_transitions(DEFAULT_SOURCE, "gateways", 9)]
    assert causes == [("gateways", "delete"), ("gateways", "commit")]


async def test_a_leader_that_lost_its_lease_writes_nothing(store: SqlStore, lease: Lease) -> None:
    await store.release_lease(lease)
    await lead(store, "replica-2")
    with pytest.raises(Conflict) as refusal:
        await a_publisher(store).publish(a_bundle(), lease, ACTOR)
    assert refusal.value.code == LEASE_LOST
    assert await store.load_published(DEFAULT_SOURCE) is None
    assert await store.list_audit(10) == []


class RacingStore:
    """A store in which somebody else publishes just before we do, once."""

    def __init__(self, store: SqlStore, lease: Lease) -> None:
        self._store = store
        self._lease = lease
        self.raced = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def publish(self, publication: Publication) -> Pointer:
        if not self.raced:
            self.raced = True
            assert await a_publisher(self._store).resign(DEFAULT_SOURCE, self._lease) is not None
        return await self._store.publish(publication)


async def test_who_loses_a_race_reads_again_and_decides_again(
    store: SqlStore, lease: Lease, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await a_publisher(store).publish(a_bundle(4317), lease, ACTOR)
    racing = RacingStore(store, lease)
    second = a_bundle(4400)
    pointer = await a_publisher(racing).publish(second, lease, ACTOR)  # type: ignore[arg-type]  # one method differs
    assert pointer is not None
    assert (racing.raced, pointer.head, pointer.seq) == (True, second.commit.id, 3)
    assert "deciding again" in caplog.text
    kinds = [str(one.kind) for one in await store.list_releases(DEFAULT_SOURCE, 9)]
    assert kinds == ["publish", "resign", "publish"]


async def test_a_locked_database_is_asked_again_and_then_given_up_with_nothing_written(
    store: SqlStore, lease: Lease, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = a_publisher(store, options=PublishOptions(commit_tries=2))
    other = sqlite3.connect(tmp_path / "gitsync.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked by another writer"):
        await publisher.publish(a_bundle(), lease, ACTOR)
    other.execute("ROLLBACK")
    other.close()
    assert "asking again" in caplog.text
    assert await store.load_published(DEFAULT_SOURCE) is None
    assert await publisher.publish(a_bundle(), lease, ACTOR) is not None


class ForgetfulStore:
    """A store whose first answer to `publish` is lost after the transaction was committed."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.calls = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def publish(self, publication: Publication) -> Pointer:
        self.calls += 1
        pointer = await self._store.publish(publication)
        if self.calls == 1:
            raise Unavailable("the connection was lost", code="store.unavailable")
        return pointer


async def test_a_lost_answer_to_commit_is_settled_without_a_second_revision(store: SqlStore, lease: Lease) -> None:
    forgetful = ForgetfulStore(store)
    pointer = await a_publisher(forgetful).publish(a_bundle(), lease, ACTOR)  # type: ignore[arg-type]  # one method differs
    assert forgetful.calls == 2
    assert pointer == (await published(store)).pointer
    assert len(await store.list_releases(DEFAULT_SOURCE, 9)) == 1


async def test_a_signer_that_is_away_publishes_nothing(store: SqlStore, lease: Lease) -> None:
    signer = SteeredSigner(error=Unavailable("the signer is away"))
    with pytest.raises(Unavailable, match="the signer is away"):
        await a_publisher(store, signer=signer).publish(a_bundle(), lease, ACTOR)
    assert await store.load_published(DEFAULT_SOURCE) is None


async def test_signing_again_changes_revision_and_times_and_nothing_else(store: SqlStore, lease: Lease) -> None:
    clock = ManualClock()
    publisher = a_publisher(store, clock)
    await publisher.publish(a_bundle(4317), lease, ACTOR)
    await publisher.publish(a_bundle(4400), lease, ACTOR)
    before = await published(store)
    clock.advance(timedelta(days=7).total_seconds())
    pointer = await publisher.resign(DEFAULT_SOURCE, lease)
    after = await published(store)
    assert pointer == after.pointer
    assert (after.release.kind, after.release.restores) == (ReleaseKind.RESIGN, before.pointer.revision)
    assert (after.states, after.versions, after.payloads) == (before.states, before.versions, before.payloads)
    assert after.pointer.head == before.pointer.head
    assert after.pointer.revision > before.pointer.revision
    audit = (await store.list_audit(1))[0][1]
    assert (audit.action, audit.actor, audit.outcome) == ("resign", "system", "success")

    def subjects(stored: object) -> list[tuple[str, str, str]]:
        return [(s.path, s.version.hex(), show_digest(s.config_hash)) for s in stored.statements]  # type: ignore[attr-defined]

    # The stable version and the one that agents may return to, each signed.
    assert subjects(after) == subjects(before)
    for one in after.statements:
        assert read_statement(one.envelope).issued == clock.now()


async def test_nothing_is_signed_again_before_anything_is_published(store: SqlStore, lease: Lease) -> None:
    assert await a_publisher(store).resign(DEFAULT_SOURCE, lease) is None


async def test_a_sweep_that_keeps_as_little_as_it_may_leaves_what_is_published_whole(
    store: SqlStore, lease: Lease
) -> None:
    clock = ManualClock()
    publisher = a_publisher(store, clock)
    for port in (4317, 4400, 4500):
        await publisher.publish(a_bundle(port), lease, ACTOR)
    before = await published(store)
    clock.advance(timedelta(days=3650).total_seconds())
    least = Retention(commits=1, revisions=1, attempts=1, audit_days=10_000, agents_silent_hours=1)
    assert await store.sweep(least, clock.now()) > 0
    assert await published(store) == before
    assert await publisher.resign(DEFAULT_SOURCE, lease) is not None
    # To the fallback, and further back.
    for port in (4400, 4317):
        pointer = await publisher.publish(a_bundle(port), lease, ACTOR)
        assert pointer is not None
        assert (await published(store)).release.kind is ReleaseKind.BACK


def with_connection(endpoint: str = "", port: int = 4317) -> Bundle:
    """The fleet of `a_bundle`; the agents' own metrics go to this endpoint."""
    files = {**FLEET, "agents/collector.yaml": collector(port)}
    if endpoint:
        files["agents/target.yaml"] += f"connection: {{ownMetrics: {{endpoint: {endpoint}}}}}\n"
    return bundle_of(tree_of(files, subject=f"own metrics to {endpoint} {port}"))


async def connections(store: SqlStore) -> dict[str, Any]:
    """Endpoint of the own metrics in the version in effect, by path; None without connection settings."""
    stored = await published(store)
    effective = {(one.path, one.stable) for one in stored.states}
    return {
        one.path: one.connection and one.connection["ownMetrics"]["endpoint"]
        for one in stored.versions
        if (one.path, one.digest) in effective
    }


async def test_a_commit_that_changes_only_connection_settings_takes_effect_and_moves_nothing(
    store: SqlStore, lease: Lease
) -> None:
    publisher, first = a_publisher(store), with_connection()
    await publisher.publish(first, lease, ACTOR)
    before = await published(store)
    commits = [first.commit.id]
    for number, endpoint in enumerate(["https://one/v1/metrics", "https://two/v1/metrics", ""], 2):
        bundle = with_connection(endpoint)
        pointer = await publisher.publish(bundle, lease, ACTOR)
        commits.append(bundle.commit.id)
        assert pointer is not None
        assert pointer.seq == number
        assert await connections(store) == {"agents": endpoint or None, "gateways": None}
    after = await published(store)
    assert after.states == before.states
    assert {one.digest: one.origin for one in after.versions} == {one.digest: one.origin for one in before.versions}
    assert after.payloads == before.payloads
    newest = (await store.list_transitions(DEFAULT_SOURCE, None, 1))[0]
    assert (newest.path, newest.transition.cause) == ("agents", "connection")
    assert newest.transition.before == newest.transition.after == before.states[0].stable
    history = await store.list_transitions(DEFAULT_SOURCE, "agents", 9)
    assert [one.commit for one in history] == commits[::-1], "each change has its own commit"


async def test_the_same_connection_settings_publish_nothing(store: SqlStore, lease: Lease) -> None:
    publisher = a_publisher(store)
    await publisher.publish(with_connection("https://one/v1"), lease, ACTOR)
    assert await publisher.publish(with_connection("https://one/v1"), lease, ACTOR) is None


async def test_going_back_to_an_older_version_takes_the_connection_settings_of_the_new_commit(
    store: SqlStore, lease: Lease
) -> None:
    publisher = a_publisher(store)
    await publisher.publish(with_connection("https://one/v1"), lease, ACTOR)
    await publisher.publish(with_connection("https://two/v1", port=4400), lease, ACTOR)
    await publisher.publish(with_connection("https://two/v1"), lease, ACTOR)
    stored = await published(store)
    assert stored.release.kind is ReleaseKind.BACK
    assert (await connections(store))["agents"] == "https://two/v1"


class LosingStore:
    """A store whose connection is lost at the first COMMIT: before it, or after it."""

    def __init__(self, store: SqlStore, *, written: bool) -> None:
        self._store = store
        self._written = written
        self.calls = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def publish(self, publication: Publication) -> Pointer:
        self.calls += 1
        if self.calls == 1:
            if self._written:
                await self._store.publish(publication)
            raise Unavailable("the connection was lost", code="store.unavailable")
        return await self._store.publish(publication)


@pytest.mark.parametrize("written", [False, True], ids=["before COMMIT", "after COMMIT"])
async def test_connection_settings_are_published_once_when_the_outcome_of_a_commit_is_unknown(
    store: SqlStore, lease: Lease, written: bool
) -> None:
    first = await a_publisher(store).publish(with_connection(), lease, ACTOR)
    losing = LosingStore(store, written=written)
    pointer = await a_publisher(losing).publish(with_connection("https://one/v1"), lease, ACTOR)  # type: ignore[arg-type]
    assert losing.calls == 2
    assert first is not None
    assert pointer == (await published(store)).pointer
    assert pointer is not None
    assert pointer.seq == first.seq + 1
    assert (await connections(store))["agents"] == "https://one/v1"
    assert len(await store.list_transitions(DEFAULT_SOURCE, "agents", 9)) == 2


async def test_another_server_serves_changed_connection_settings_and_so_does_a_restart_without_the_database(
    store: SqlStore, lease: Lease, tmp_path: Path
) -> None:
    seen: list[Published] = []
    cache = LocalCache(tmp_path / "cache.json")
    feed = Feed(store, cache, ManualClock(), seen.append)
    await a_publisher(store).publish(with_connection("https://one/v1"), lease, ACTOR)
    await feed.refresh()
    await a_publisher(store).publish(with_connection("https://two/v1"), lease, ACTOR)
    await feed.refresh()
    kept = await cache.load()
    assert kept is not None
    for one in (seen[-1], assemble(kept)):
        (version,) = [each for (target, _), each in one.desired.versions.items() if target.path == "agents"]
        assert version.connection == {"ownMetrics": {"endpoint": "https://two/v1", "headers": {}, "certificate": None}}
