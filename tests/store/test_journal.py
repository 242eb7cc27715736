from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from gitsync.control.records import AgentRecord, AttemptRecord, SyncState
from gitsync.errors import Unavailable
from gitsync.fleet.agent import AttemptState
from gitsync.ids import AgentUid
from gitsync.store import Journal, SqlStore, StoreOptions
from gitsync.store.journal import JournalLimits
from tests.store.builders import NOW, a_hash, a_record, a_uid, an_attempt

QUICK = JournalLimits(quiet_seconds=0.005, interval_seconds=0.01, longest_pause_seconds=0.05)
IDLE = JournalLimits(quiet_seconds=3600, interval_seconds=3600)


def a_journal(store: SqlStore, limits: JournalLimits = QUICK) -> Journal:
    return Journal(store, lambda: NOW, limits)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Waits, a few seconds at most, until the condition holds."""
    async with asyncio.timeout(10):
        while not await holds():
            await asyncio.sleep(0.005)


async def stored(store: SqlStore, number: int = 1) -> SyncState | None:
    row = (await store.load_agents([a_uid(number)])).get(a_uid(number))
    return None if row is None else row.state


async def test_a_noted_record_is_stored_within_the_interval(store: SqlStore) -> None:
    async with a_journal(store).running() as journal:
        journal.note(a_record(1))
        await until(lambda: _equals(stored(store), SyncState.PENDING))
    assert journal.waiting == 0


async def test_of_many_records_of_one_agent_the_newest_is_one_row(store: SqlStore) -> None:
    journal = a_journal(store)
    for state in (SyncState.PENDING, SyncState.OFFERED, SyncState.APPLIED):
        journal.note(a_record(1, state=state))
    assert journal.waiting == 1
    await journal.flush()
    assert await stored(store) is SyncState.APPLIED


async def test_a_record_of_an_older_connection_does_not_replace_a_newer_one(store: SqlStore) -> None:
    journal = a_journal(store)
    journal.note(a_record(1, conn_epoch=2_000))
    journal.note(a_record(1, conn_epoch=1_000, connected=False, state=SyncState.FAILED))
    await journal.flush()
    assert await stored(store) is SyncState.PENDING


async def test_many_waiting_agents_are_written_before_the_interval_ends(store: SqlStore) -> None:
    limits = replace(IDLE, full_at=20, batch=7)
    async with a_journal(store, limits).running() as journal:
        for number in range(20):
            journal.note(a_record(number))
        await until(lambda: _equals(_count(store), 20))


async def test_what_waits_at_the_end_is_written(store: SqlStore) -> None:
    async with a_journal(store, IDLE).running() as journal:
        journal.note(a_record(1))
    assert await stored(store) is SyncState.PENDING


async def test_what_waits_is_written_even_when_the_block_is_cancelled(store: SqlStore) -> None:
    noted = asyncio.Event()

    async def serve() -> None:
        async with a_journal(store, IDLE).running() as journal:
            journal.note(a_record(1))
            noted.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve())
        await noted.wait()
        task.cancel()
    assert await stored(store) is SyncState.PENDING


async def test_the_newest_record_is_loaded_before_it_is_stored(store: SqlStore) -> None:
    journal = a_journal(store)
    await store.save_agents([a_record(1), a_record(2)], [])
    applied = a_record(1, state=SyncState.APPLIED)
    journal.note(applied)
    assert await journal.load(a_uid(1)) == applied
    assert await journal.load(a_uid(2)) == a_record(2)
    assert await journal.load(a_uid(3)) is None
    assert await journal.load_agents([a_uid(1), a_uid(2), a_uid(3)]) == {a_uid(1): applied, a_uid(2): a_record(2)}


async def test_attempts_are_recorded_from_the_current_one_of_each_record(store: SqlStore) -> None:
    journal = a_journal(store)
    offered = an_attempt("a")
    applied = replace(offered, state=AttemptState.APPLIED, changed_at=NOW + timedelta(seconds=1))
    second = an_attempt("b", offered_at=NOW + timedelta(seconds=2), changed_at=NOW + timedelta(seconds=2))
    for current in (None, offered, applied, second):
        journal.note(a_record(1, current=current))
    await journal.flush()
    assert [one.attempt for one in await store.list_attempts(a_uid(1), 10)] == [second, applied]


async def test_an_attempt_that_did_not_change_is_written_once(store: SqlStore) -> None:
    journal = a_journal(store)
    journal.note(a_record(1, current=an_attempt()))
    await journal.flush()
    async with store._db.write() as connection:
        await connection.execute(text("DELETE FROM attempt"))
    journal.note(a_record(1, current=an_attempt(), healthy=False))
    await journal.flush()
    assert list(await store.list_attempts(a_uid(1), 10)) == []


async def test_blobs_are_kept_once(store: SqlStore) -> None:
    journal = a_journal(store)
    digest = a_hash("x")
    journal.note_blob(digest, "effective", b"receivers: {}\n")
    journal.note_blob(digest, "effective", b"receivers: {}\n")
    await journal.flush()
    assert await store.load_blob(digest) == b"receivers: {}\n"
    async with store._db.write() as connection:
        await connection.execute(text("DELETE FROM blob"))
    journal.note_blob(digest, "effective", b"receivers: {}\n")
    await journal.flush()
    assert await store.load_blob(digest) is None


async def test_during_an_outage_the_newest_of_each_is_kept_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "gitsync.db"
    options = StoreOptions(f"sqlite:///{file}", lock_timeout=timedelta(milliseconds=20))
    async with await SqlStore.open(options) as store:
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with caplog.at_level(logging.INFO, "gitsync.store.journal"):
            async with a_journal(store).running() as journal:
                journal.note(a_record(1, current=an_attempt("a")))
                journal.note_blob(a_hash("x"), "effective", b"body")
                await until(lambda: _value("not stored for now" in caplog.text))
                journal.note(a_record(1, state=SyncState.APPLIED, current=an_attempt("b")))
                journal.note(a_record(2))
                with pytest.raises(Unavailable):
                    await journal.flush()
                assert journal.waiting == 2
                holder.execute("ROLLBACK")
                holder.close()
                await until(lambda: _value("stored again" in caplog.text))
                assert journal.waiting == 0
        assert await stored(store) is SyncState.APPLIED
        assert await stored(store, 2) is SyncState.PENDING
        assert await store.load_blob(a_hash("x")) == b"body"
        assert len(await store.list_attempts(a_uid(1), 10)) == 2
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "not stored for now" in caplog.messages[0]
    assert "stored again" in caplog.messages[-1]


class AwayStore:
    """A store that is away, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def load_agents(self, uids: Sequence[AgentUid]) -> Mapping[AgentUid, AgentRecord]:
        raise Unavailable("away")

    async def save_agents(
        self,
        records: Sequence[AgentRecord],
        attempts: Sequence[AttemptRecord],
        before: Mapping[AgentUid, AgentRecord] | None = None,
    ) -> None:
        self.asked += 1
        raise Unavailable("away")

    async def keep_blob(self, digest: bytes, kind: str, body: bytes, at: datetime) -> None:
        raise Unavailable("away")


async def test_during_an_outage_further_records_do_not_make_it_try_more_often() -> None:
    away = AwayStore()
    limits = JournalLimits(interval_seconds=0.01, longest_pause_seconds=3600, full_at=1)
    async with Journal(away, lambda: NOW, limits).running() as journal:
        journal.note(a_record(0))
        await until(lambda: _value(away.asked > 0))
        before = away.asked
        for number in range(500):
            journal.note(a_record(number))
            await asyncio.sleep(0)
        assert away.asked - before < 50


async def test_what_is_noted_while_a_batch_fails_is_not_overwritten_by_it(tmp_path: Path) -> None:
    file = tmp_path / "gitsync.db"
    options = StoreOptions(f"sqlite:///{file}", lock_timeout=timedelta(milliseconds=200))
    async with await SqlStore.open(options) as store:
        journal = a_journal(store)
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        journal.note(a_record(1))
        async with asyncio.TaskGroup() as group:
            flushing = group.create_task(_unavailable(journal.flush()))
            await until(lambda: _value(len(journal._writing) == 1))
            assert await journal.load(a_uid(1)) == a_record(1)
            journal.note(a_record(1, state=SyncState.FAILED))
        assert flushing.result()
        holder.execute("ROLLBACK")
        holder.close()
        await journal.flush()
        assert await stored(store) is SyncState.FAILED


async def test_a_flush_that_is_cancelled_loses_nothing(store: SqlStore) -> None:
    journal = a_journal(store)
    for number in range(50):
        journal.note(a_record(number))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(journal.flush())
        await until(lambda: _value(len(journal._writing) == 50))
        task.cancel()
    assert journal.waiting == 50
    await journal.flush()
    assert await _count(store) == 50


async def test_a_state_that_the_database_refuses_is_given_up_and_the_others_are_stored(
    store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    journal = a_journal(store)
    for number in range(10):
        journal.note(a_record(number, current=an_attempt()))
    journal.note(a_record(3, current=an_attempt(), conn_epoch=2**80))
    await journal.flush()
    assert await _count(store) == 9
    assert journal.waiting == 0
    assert journal.dropped == 1
    assert "given up" in caplog.text
    assert len(await store.list_attempts(a_uid(3), 1)) == 1


async def test_a_long_outage_is_bounded_in_memory(store: SqlStore) -> None:
    limits = replace(IDLE, agents=10, attempts=5, blob_bytes=100)
    journal = a_journal(store, limits)
    for number in range(12):
        journal.note(a_record(number, current=an_attempt(str(number))))
        journal.note_blob(a_hash(str(number)), "effective", bytes(30))
    assert journal.waiting == 10
    assert journal.dropped == 2 + 7 + 9
    await journal.flush()
    assert await stored(store, 0) is None
    assert await stored(store, 11) is SyncState.PENDING
    assert await store.load_blob(a_hash("11")) == bytes(30)


async def test_loading_an_unknown_agent_while_the_store_is_away_says_so(tmp_path: Path) -> None:
    async with await SqlStore.open(StoreOptions(f"sqlite:///{tmp_path / 'gitsync.db'}")) as store:
        journal = a_journal(store)
        journal.note(a_record(1))
        for one in tmp_path.iterdir():
            one.unlink()
        (tmp_path / "gitsync.db").mkdir()
        await store._db.close()
        assert await journal.load(a_uid(1)) == a_record(1)
        with pytest.raises(Unavailable):
            await journal.load(a_uid(2))


async def _equals(call: Awaitable[object], expected: object) -> bool:
    return await call == expected


async def _value(value: bool) -> bool:
    return value


async def _unavailable(call: Awaitable[None]) -> bool:
    with pytest.raises(Unavailable):
        await call
    return True


async def _count(store: SqlStore) -> int:
    return sum((await store.count_agents()).values())


async def test_every_batch_that_could_not_be_written_is_counted() -> None:
    class Away:
        async def load_agents(self, uids: object) -> dict[object, object]:
            return {}

        async def save_agents(self, records: object, attempts: object, before: object = None) -> None:
            raise Unavailable("the store is away")

        async def keep_blob(self, digest: bytes, kind: str, body: bytes, at: object) -> None:
            raise Unavailable("the store is away")

    failures: list[int] = []
    two = asyncio.Event()

    def failed() -> None:
        failures.append(1)
        if len(failures) == 2:
            two.set()

    limits = JournalLimits(interval_seconds=0.01, longest_pause_seconds=0.01)
    journal = Journal(Away(), lambda: NOW, limits, failed)  # type: ignore[arg-type]
    journal.note_blob(b"d" * 32, "effective", b"body")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(journal.run(), name="journal")
        async with asyncio.timeout(10):
            await two.wait()
        running.cancel()


async def test_what_another_server_stored_of_a_later_connection_is_newer_than_what_waits_here(store: SqlStore) -> None:
    here, there = a_journal(store), a_journal(store)
    here.note(a_record(1, conn_epoch=1_000, connected=False))
    there.note(a_record(1, conn_epoch=2_000, state=SyncState.FAILED))
    await there.flush()
    found = await here.load_agents([a_uid(1)])
    assert (found[a_uid(1)].conn_epoch, found[a_uid(1)].state) == (2_000, SyncState.FAILED)
    here.note(a_record(1, conn_epoch=3_000, state=SyncState.APPLIED))
    assert (await here.load_agents([a_uid(1)]))[a_uid(1)].state is SyncState.APPLIED


class LosingStore(AwayStore):
    """Writes what it is given; while it `loses`, nobody hears that it did."""

    def __init__(self, store: SqlStore) -> None:
        super().__init__()
        self._store = store
        self.loses = False

    async def save_agents(
        self,
        records: Sequence[AgentRecord],
        attempts: Sequence[AttemptRecord],
        before: Mapping[AgentUid, AgentRecord] | None = None,
    ) -> None:
        await self._store.save_agents(records, attempts, before)
        if self.loses:
            raise Unavailable("the answer was lost")


async def test_a_write_whose_answer_was_lost_does_not_hide_that_the_state_is_what_it_was_before(
    store: SqlStore,
) -> None:
    losing = LosingStore(store)
    journal = Journal(losing, lambda: NOW, IDLE)
    first = a_record(1, state=SyncState.APPLIED)
    journal.note(first)
    await journal.flush()
    losing.loses = True
    journal.note(replace(first, state=SyncState.OFFERED))
    with pytest.raises(Unavailable):
        await journal.flush()
    assert await stored(store) is SyncState.OFFERED
    losing.loses = False
    journal.note(first)
    await journal.flush()
    assert await stored(store) is SyncState.APPLIED
