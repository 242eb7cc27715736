from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from gitsync.bundle.version import EMPTY_SLOT, Slot
from gitsync.control.records import Pointer, ReleaseKind, StatementRecord
from gitsync.errors import Conflict, TrustError
from gitsync.ids import ConfigHash, SourceName
from gitsync.rollout.state import Transition
from gitsync.store import SqlStore
from gitsync.store.engine import SQLITE
from tests.store.builders import (
    NOW,
    SOURCE,
    TARGET,
    Leader,
    a_commit,
    a_commit_id,
    a_commit_record,
    a_hash,
    a_lease,
    a_payload,
    a_publication,
    a_state,
    a_statement,
    a_version,
    an_envelope,
)


async def test_before_the_first_publication_there_is_nothing(store: SqlStore) -> None:
    assert await store.load_published(SOURCE) is None
    assert list(await store.load_pointers()) == []


async def test_a_publication_is_loaded_as_it_was_written(store: SqlStore) -> None:
    publication = a_publication(await a_lease(store), texts={"a": "x: 1\n", "b/c": "x: 2\n"})
    pointer = await store.publish(publication)
    assert pointer == Pointer(SOURCE, publication.revision, 1, publication.head, publication.epoch)
    assert list(await store.load_pointers()) == [pointer]

    stored = await store.load_published(SOURCE)
    assert stored is not None
    assert stored.pointer == pointer
    assert set(stored.states) == set(publication.states)
    assert sorted(one.digest for one in stored.versions) == sorted(one.digest for one in publication.versions)
    assert {one.path: one for one in stored.versions} == {one.path: one for one in publication.versions}
    assert {one.digest: one for one in stored.payloads} == {one.digest: one for one in publication.payloads}
    assert set(stored.statements) == set(publication.statements)
    assert stored.release.kind is ReleaseKind.PUBLISH
    assert stored.release.request_id == publication.request_id
    assert stored.release.created_at == publication.created_at


async def test_a_loaded_payload_knows_where_its_values_came_from(store: SqlStore) -> None:
    publication = a_publication(await a_lease(store))
    await store.publish(publication)
    (payload,) = publication.payloads
    loaded = await store.load_payloads([payload.digest, a_hash("unknown")])
    assert list(loaded) == [payload.digest]
    assert loaded[payload.digest].provenance == payload.provenance


async def test_each_publication_raises_seq_by_one(store: SqlStore) -> None:
    leader = await Leader.of(store)
    for seq in (1, 2, 3):
        await leader.publish()
        assert leader.at is not None
        assert leader.at.seq == seq


async def test_states_that_did_not_change_stay(store: SqlStore) -> None:
    lease = await a_lease(store)
    first = a_publication(lease, 1, texts={"a": "x: 1\n", "b": "x: 2\n"})
    pointer = await store.publish(first)
    await store.publish(a_publication(lease, 2, read=pointer, texts={"b": "x: 3\n"}))
    stored = await store.load_published(SOURCE)
    assert stored is not None
    assert stored.states[0] == first.states[0]
    assert stored.states[1] != first.states[1]


async def test_resigning_writes_statements_only(store: SqlStore) -> None:
    lease = await a_lease(store)
    first = a_publication(lease, 1)
    pointer = await store.publish(first)
    again = replace(
        a_publication(lease, 2, read=pointer, texts={}),
        kind=ReleaseKind.RESIGN,
        statements=(a_statement(first.versions[0], "signed again"),),
    )
    await store.publish(again)
    stored = await store.load_published(SOURCE)
    assert stored is not None
    assert stored.states == first.states
    assert stored.statements == again.statements
    assert stored.release.kind is ReleaseKind.RESIGN


async def test_payloads_of_versions_not_in_use_are_not_loaded_but_the_versions_are(store: SqlStore) -> None:
    leader = await Leader.of(store)
    first = await leader.publish()
    second = await leader.publish()
    stored = await store.load_published(SOURCE)
    assert stored is not None
    assert {one.digest for one in stored.versions} == {first.versions[0].digest, second.versions[0].digest}
    assert stored.payloads == second.payloads


async def test_a_stale_seq_is_refused_and_nothing_is_written(store: SqlStore) -> None:
    leader = await Leader.of(store)
    first = await leader.publish()
    stale = a_publication(leader.lease, 2, read=None)
    with pytest.raises(Conflict, match="seq 0, which has moved to 1") as refused:
        await store.publish(stale)
    assert refused.value.code == "store.conflict"
    await _shows_only(store, first.revision)
    assert list(await store.load_payloads([stale.payloads[0].digest])) == []


async def test_a_seq_from_the_future_is_refused(store: SqlStore) -> None:
    lease = await a_lease(store)
    ahead = replace(a_publication(lease), seq_read=7)
    with pytest.raises(Conflict, match="moved to 0"):
        await store.publish(ahead)
    assert await store.load_published(SOURCE) is None


@pytest.mark.parametrize("step", [0, -1])
async def test_a_revision_that_does_not_rise_is_refused(store: SqlStore, step: int) -> None:
    leader = await Leader.of(store)
    first = await leader.publish()
    same = replace(a_publication(leader.lease, 2, read=leader.at), revision=first.revision + step)
    with pytest.raises(Conflict, match="revisions only rise") as refused:
        await store.publish(same)
    assert refused.value.code == "store.conflict"
    await _shows_only(store, first.revision)


async def test_without_the_lease_nothing_is_published(store: SqlStore) -> None:
    lease = await a_lease(store)
    await store.release_lease(lease)
    with pytest.raises(Conflict) as refused:
        await store.publish(a_publication(lease))
    assert refused.value.code == "store.lease_lost"
    assert await store.load_published(SOURCE) is None


async def test_an_expired_lease_does_not_publish(store: SqlStore) -> None:
    lease = await a_lease(store, ttl=timedelta(0))
    with pytest.raises(Conflict) as refused:
        await store.publish(a_publication(lease))
    assert refused.value.code == "store.lease_lost"


async def test_a_leader_of_an_older_epoch_is_fenced(store: SqlStore, other: SqlStore) -> None:
    old = await Leader.of(store)
    await old.publish()
    await store.release_lease(old.lease)
    new = Leader(other, await a_lease(other, "replica-2"), at=old.at, number=1)
    late = a_publication(old.lease, 3, read=old.at)
    with pytest.raises(Conflict) as refused:
        await store.publish(late)
    assert refused.value.code == "store.lease_lost"
    await new.publish()


async def test_of_two_publishers_with_the_same_seq_one_wins(store: SqlStore, other: SqlStore) -> None:
    leader = await Leader.of(store)
    await leader.publish()
    rivals = [a_publication(leader.lease, number, read=leader.at) for number in (2, 3)]
    outcomes = await _both(store.publish(rivals[0]), other.publish(rivals[1]))
    winners = [one for one in outcomes if isinstance(one, Pointer)]
    losers = [one for one in outcomes if isinstance(one, Conflict)]
    assert len(winners) == 1
    assert [one.code for one in losers] == ["store.conflict"]
    stored = await store.load_published(SOURCE)
    assert stored is not None
    assert stored.pointer == winners[0]
    assert stored.release.revision == winners[0].revision
    assert {one.config_hash for one in stored.statements} == {one.digest for one in stored.payloads}


async def test_of_two_first_publications_one_wins(store: SqlStore, other: SqlStore) -> None:
    lease = await a_lease(store)
    outcomes = await _both(store.publish(a_publication(lease, 1)), other.publish(a_publication(lease, 2)))
    assert sorted(type(one).__name__ for one in outcomes) == ["Conflict", "Pointer"]


async def test_the_same_request_again_returns_the_pointer_that_it_made(store: SqlStore) -> None:
    leader = await Leader.of(store)
    first = await leader.publish()
    made = leader.at
    await leader.publish()
    assert await store.publish(first) == made
    assert len(await store.list_releases(SOURCE, 10)) == 2


async def test_the_same_request_again_is_answered_even_when_the_lease_is_lost(store: SqlStore) -> None:
    leader = await Leader.of(store)
    first = await leader.publish()
    await store.release_lease(leader.lease)
    assert await store.publish(first) == leader.at


async def test_the_same_request_twice_at_once_is_written_once_and_answered_twice(
    store: SqlStore, other: SqlStore
) -> None:
    leader = await Leader.of(store)
    for number in range(1, 6):
        publication = a_publication(leader.lease, number, read=leader.at)
        first, second = await _both(store.publish(publication), other.publish(publication))
        assert first == second
        assert isinstance(first, Pointer)
        leader.at = first
    assert len(await store.list_releases(SOURCE, 10)) == 5


async def test_a_publication_that_fails_half_way_leaves_nothing(store: SqlStore) -> None:
    lease = await a_lease(store)
    publication = a_publication(lease)
    twice = replace(publication, statements=publication.statements * 2)  # breaks the primary key, late
    with pytest.raises(Conflict):
        await store.publish(twice)
    assert await store.load_published(SOURCE) is None
    assert list(await store.load_payloads([publication.payloads[0].digest])) == []
    assert list(await store.list_audit(10)) == []
    await store.publish(publication)


async def test_two_sources_are_published_independently(store: SqlStore) -> None:
    lease = await a_lease(store)
    east = SourceName("east")
    mine = a_publication(lease, 1)
    await store.publish(mine)
    theirs = replace(
        mine,
        source=east,
        request_id="request-east",
        versions=(replace(mine.versions[0], source=east),),
        states=(replace(mine.states[0], source=east),),
    )
    await store.publish(theirs)
    assert [one.source for one in await store.load_pointers()] == [SOURCE, east]
    assert len(await store.load_statements(mine.payloads[0].digest)) == 2


async def test_statements_of_a_payload_are_those_of_the_newest_revision(store: SqlStore) -> None:
    leader = await Leader.of(store)
    first = await leader.publish(texts={TARGET.path: "x: 1\n"})
    digest = first.payloads[0].digest
    assert [one.payload for one in await store.load_statements(digest)] == [b'{"revision":1}']
    await leader.publish(texts={TARGET.path: "x: 1\n"})
    assert [one.payload for one in await store.load_statements(digest)] == [b'{"revision":2}']
    await leader.publish(texts={TARGET.path: "x: 2\n"})
    assert list(await store.load_statements(digest)) == []


async def test_targets_that_share_a_payload_have_a_statement_each(store: SqlStore) -> None:
    publication = a_publication(await a_lease(store), texts={"a": "x: 1\n", "b": "x: 1\n"})
    await store.publish(publication)
    assert len(await store.load_statements(publication.payloads[0].digest)) == 2


async def test_slots_other_than_the_empty_one_come_back_too(store: SqlStore) -> None:
    lease = await a_lease(store)
    slot = Slot("blue", (("region", "eu"),), frozenset({1, 3}), frozenset({"team/logs"}))
    payload, other_payload = a_payload("x: 1\n"), a_payload("x: 2\n")
    version = a_version(payload, slots={EMPTY_SLOT: payload.digest, slot: other_payload.digest})
    statements = tuple(
        StatementRecord(version.path, version.digest, one, digest, an_envelope(str(one)))
        for one, digest in version.slots.items()
    )
    publication = replace(
        a_publication(lease, texts={}),
        versions=(version,),
        payloads=(payload, other_payload),
        statements=statements,
        states=(a_state(version.digest),),
    )
    await store.publish(publication)
    stored = await store.load_published(SOURCE)
    assert stored is not None
    assert set(stored.statements) == set(statements)
    assert {one.digest for one in stored.payloads} == {payload.digest, other_payload.digest}


async def test_releases_are_listed_newest_first_in_pages(store: SqlStore) -> None:
    leader = await Leader.of(store)
    revisions = [(await leader.publish()).revision for _ in range(5)]
    newest = await store.list_releases(SOURCE, 2)
    assert [one.revision for one in newest] == revisions[:2:-1]
    older = await store.list_releases(SOURCE, 10, before=newest[-1].revision)
    assert [one.revision for one in older] == revisions[2::-1]


async def test_a_release_says_what_it_restores(store: SqlStore) -> None:
    leader = await Leader.of(store)
    first = await leader.publish()
    await leader.publish(kind=ReleaseKind.BACK, restores=first.revision)
    newest = (await store.list_releases(SOURCE, 1))[0]
    assert (newest.kind, newest.restores) == (ReleaseKind.BACK, first.revision)


async def test_history_is_listed_newest_first_and_by_target(store: SqlStore) -> None:
    lease = await a_lease(store)
    pointer = await store.publish(a_publication(lease, 1, texts={"a": "x: 1\n", "b": "x: 1\n"}))
    gone = Transition("delete", a_state(None).stable, None, "the target was deleted", NOW)
    await store.publish(
        replace(a_publication(lease, 2, read=pointer, texts={}), transitions=(("a", gone),), actor="token:ada")
    )
    every = await store.list_transitions(SOURCE, None, 10)
    assert [(one.path, one.seq) for one in every] == [("a", 2), ("b", 1), ("a", 1)]
    mine = await store.list_transitions(SOURCE, "a", 10)
    assert mine[0].transition == gone
    assert mine[0].actor == "token:ada"
    assert [one.commit for one in mine] == [one.head for one in await store.list_releases(SOURCE, 10)]
    assert mine[0].subject is None, "the commit is not kept"
    await store.save_commit(a_commit_record(commit=a_commit(id=mine[0].commit, subject="Drop a")))
    assert (await store.list_transitions(SOURCE, "a", 1))[0].subject == "Drop a"
    assert len(await store.list_transitions(SOURCE, None, 1)) == 1


async def test_history_is_told_when_its_publication_is_not_kept_any_more(store: SqlStore) -> None:
    leader = await Leader.of(store)
    for _ in range(2):
        await leader.publish()
    async with store._db.write() as connection:
        await connection.execute(text("DELETE FROM release WHERE seq = 1"))
    newest, oldest = await store.list_transitions(SOURCE, None, 10)
    assert (newest.seq, oldest.seq) == (2, 1)
    assert newest.commit is not None
    assert (oldest.commit, oldest.subject) == (None, None)


async def _fill_history(store: SqlStore, number: int) -> None:
    """Publications with one line of history each, as few columns as there must be; the database knows how many."""
    columns = "source, revision, seq, epoch, kind, head, request_id, created_at"
    made = f"INSERT INTO release ({columns}) VALUES (:source, :seq, :seq, 1, 'publish', 'c', :request, 0)"
    columns = "source, seq, n, path, at, actor, cause, reason"
    happened = f"INSERT INTO transition ({columns}) VALUES (:source, :seq, 0, 'a', 0, 'system', 'commit', '')"
    async with store._db.write() as connection:
        for seq in range(1, number + 1):
            row = {"source": SOURCE, "seq": seq}
            await connection.execute(text(made), {**row, "request": f"request-{seq}"})
            await connection.execute(text(happened), row)
        await connection.execute(text("ANALYZE"))


@pytest.mark.parametrize("path", [None, "a"])
async def test_the_publication_of_a_line_of_history_is_found_by_an_index(store: SqlStore, path: str | None) -> None:
    await _fill_history(store, 500)
    asked: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    engine = store._db._reader.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        assert len(await store.list_transitions(SOURCE, path, 20)) == 20
    finally:
        event.remove(engine, "before_cursor_execute", note)
    ((statement, parameters),) = [one for one in asked if "FROM transition" in one[0]]
    explain = "EXPLAIN QUERY PLAN" if store._db.dialect == SQLITE else "EXPLAIN"
    async with store._db.read() as connection:
        rows = await connection.exec_driver_sql(f"{explain} {statement}", parameters)
        plan = "\n".join(str(row[-1]) for row in rows)
    assert "ix_release_source_seq" in plan
    assert "SCAN release" not in plan
    assert "Seq Scan on release" not in plan


async def test_a_payload_that_was_changed_in_the_database_is_not_served(store: SqlStore) -> None:
    publication = a_publication(await a_lease(store))
    await store.publish(publication)
    async with store._db.write() as connection:
        changed = ConfigHash(bytes(32))
        await connection.execute(text("UPDATE payload SET digest = :new"), {"new": changed})
    with pytest.raises(TrustError) as refused:
        await store.load_payloads([changed])
    assert refused.value.code == "store.digest"


async def test_the_published_state_is_read_from_one_moment(store: SqlStore, other: SqlStore) -> None:
    leader = await Leader.of(store)
    await leader.publish()
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(_publish_some(leader, 10))
        while not writing.done():
            stored = await other.load_published(SOURCE)
            assert stored is not None
            assert stored.release.revision == stored.pointer.revision
            assert {one.config_hash for one in stored.statements} == {one.digest for one in stored.payloads}


async def _publish_some(leader: Leader, count: int) -> None:
    for _ in range(count):
        await leader.publish()


async def _shows_only(store: SqlStore, revision: int) -> None:
    stored = await store.load_published(SOURCE)
    assert stored is not None
    assert stored.pointer.revision == revision
    assert [one.revision for one in await store.list_releases(SOURCE, 10)] == [revision]
    assert len(await store.list_audit(10)) == 1
    assert stored.pointer.head == a_commit_id(1)


async def _both(*calls: object) -> list[object]:
    async def outcome(call: object) -> object:
        try:
            return await call  # type: ignore[misc]
        except Conflict as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outcome(call)) for call in calls]
    return [task.result() for task in tasks]
