"""What happens when the database is locked, away, or swallows an answer."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from gitsync.errors import SettingsError, Unavailable
from gitsync.store import SqlStore, StoreOptions
from gitsync.store.engine import database_micros, database_url
from tests.store.builders import SOURCE, a_lease, a_publication, a_record, an_audit_entry
from tests.store.conftest import Place
from tests.support.postgres import PostgresServer

SHORT = timedelta(milliseconds=200)


async def test_a_lock_that_another_process_holds_is_unavailable_in_bounded_time(tmp_path: Path) -> None:
    file = tmp_path / "gitsync.db"
    async with await SqlStore.open(StoreOptions(f"sqlite:///{file}", lock_timeout=SHORT)) as store:
        lease = await a_lease(store)
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        before = time.monotonic()
        with pytest.raises(Unavailable, match="locked") as refused:
            await store.publish(a_publication(lease))
        assert time.monotonic() - before < 5
        assert refused.value.code == "store.locked"
        assert refused.value.retry_after == timedelta(seconds=1)
        assert await store.load_published(SOURCE) is None, "readers are not blocked"
        holder.execute("ROLLBACK")
        holder.close()
        await store.publish(a_publication(lease))


async def test_a_row_lock_that_another_session_holds_is_unavailable_in_bounded_time(postgres_url: str) -> None:
    async with await SqlStore.open(StoreOptions(postgres_url, lock_timeout=SHORT)) as store:
        lease = await a_lease(store)
        pointer = await store.publish(a_publication(lease))
        async with await SqlStore.open(StoreOptions(postgres_url)) as other, other._db.write() as connection:
            await connection.execute(text("SELECT * FROM pointer FOR UPDATE"))
            with pytest.raises(Unavailable) as refused:
                await store.publish(a_publication(lease, 2, read=pointer))
            assert refused.value.code == "store.locked"
        await store.publish(a_publication(lease, 2, read=pointer))


async def test_a_call_that_is_cancelled_leaves_the_store_usable(tmp_path: Path) -> None:
    file = tmp_path / "gitsync.db"
    async with await SqlStore.open(StoreOptions(f"sqlite:///{file}")) as store:
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await store.append_audit([an_audit_entry()])
        holder.execute("ROLLBACK")
        holder.close()
        await store.append_audit([an_audit_entry()])
        assert await store.verify_audit() in (1, 2), "the cancelled one was written whole or not at all"


async def test_a_transaction_that_is_cancelled_is_rolled_back(store: SqlStore, other: SqlStore) -> None:
    entered = asyncio.Event()

    async def write_and_wait() -> None:
        async with store._db.write() as connection:
            await connection.execute(text("INSERT INTO lease VALUES ('x', 'y', 1, 1)"))
            entered.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(write_and_wait())
        await entered.wait()
        task.cancel()
    for one in (store, other):
        async with one._db.write() as connection:
            assert (await connection.execute(text("SELECT count(*) FROM lease"))).scalar_one() == 0


async def test_a_write_that_is_cancelled_at_any_step_gives_the_lock_back(tmp_path: Path) -> None:
    records = [a_record(number) for number in range(20)]
    kept = []  # cancelled tasks stay alive here, and with them the cursors in their tracebacks
    async with await SqlStore.open(StoreOptions(f"sqlite:///{tmp_path / 'gitsync.db'}", lock_timeout=SHORT)) as store:
        for steps in range(60):
            async with asyncio.TaskGroup() as group:
                task = group.create_task(store.save_agents(records, []))
                kept.append(task)
                for _ in range(steps):
                    # A step of the loop; every third one waits for something to happen, as the driver's thread does.
                    await (asyncio.to_thread(int) if steps % 3 == 0 else asyncio.sleep(0))
                task.cancel()
            await store.save_agents(records[:1], [])
    assert any(task.cancelled() for task in kept)


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    url = f"postgresql://somebody:s3cret@/gitsync?host={tmp_path}"
    with pytest.raises(Unavailable) as refused:
        await SqlStore.open(StoreOptions(url))
    assert refused.value.code == "store.unavailable"
    assert "s3cret" not in str(refused.value)


async def test_a_database_or_user_that_does_not_exist_is_a_setting_to_change(postgres: PostgresServer) -> None:
    for url in (postgres.url("missing"), postgres.url("postgres").replace("postgres@", "nobody@")):
        with pytest.raises(SettingsError, match="refuses us") as refused:
            await SqlStore.open(StoreOptions(url))
        assert refused.value.code == "store.refused"


async def test_a_server_that_restarts_is_away_and_then_back() -> None:
    server = PostgresServer()
    try:
        server.start()
        options = StoreOptions(server.url(await server.create_database()))
        async with await SqlStore.open(options) as store:
            lease = await a_lease(store)
            await store.publish(a_publication(lease))
            server.stop()
            calls = (store.load_pointers(), store.append_audit([an_audit_entry()]), store.save_agents([a_record()], []))
            for call in calls:
                with pytest.raises(Unavailable) as refused:
                    await call
                assert refused.value.code == "store.unavailable"
            server.start()
            assert len(await store.load_pointers()) == 1
            await store.append_audit([an_audit_entry()])
    finally:
        server.remove()


async def test_a_store_may_be_opened_while_its_server_is_away(caplog: pytest.LogCaptureFixture) -> None:
    server = PostgresServer()
    try:
        server.start()
        options = StoreOptions(server.url(await server.create_database()))
        server.stop()
        async with await SqlStore.open(options, must_answer=False) as store:
            assert "starting without the database" in caplog.text
            with pytest.raises(Unavailable):
                await store.load_pointers()
            server.start()
            async with asyncio.TaskGroup() as group:
                for number in range(5):
                    group.create_task(store.save_agents([a_record(number)], []))
            assert sum((await store.count_agents()).values()) == 5
    finally:
        server.remove()


async def test_an_answer_to_commit_that_was_lost_is_settled_by_the_request_id(
    postgres: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    server_socket = postgres.socket_directory / ".s.PGSQL.5432"
    async with (
        _commit_swallower(server_socket, tmp_path) as armed,
        await SqlStore.open(StoreOptions(postgres_url.replace(str(postgres.socket_directory), str(tmp_path)))) as store,
    ):
        publication = a_publication(await a_lease(store))
        armed.set()
        with pytest.raises(Unavailable) as refused:
            await store.publish(publication)
        assert refused.value.code == "store.unavailable"
        assert not armed.is_set(), "the proxy saw the COMMIT"
        pointer = await store.publish(publication)
        stored = await store.load_published(SOURCE)
        assert stored is not None
        assert stored.pointer == pointer
        assert len(await store.list_releases(SOURCE, 10)) == 1
        assert await store.verify_audit() == 1


async def test_database_time_is_in_microseconds_and_moves(store: SqlStore) -> None:
    async with store._db.read() as connection:
        first = (await connection.execute(database_micros().select())).scalar_one()
        second = (await connection.execute(database_micros().select())).scalar_one()
    assert abs(first / 1e6 - time.clock_gettime(time.CLOCK_REALTIME)) < 60
    assert second >= first


async def test_readers_of_sqlite_cannot_write(tmp_path: Path) -> None:
    async with await SqlStore.open(StoreOptions(f"sqlite:///{tmp_path / 'gitsync.db'}")) as store:
        with pytest.raises(Unavailable, match="readonly"):
            async with store._db.read() as connection:
                await connection.execute(text("DELETE FROM lease"))


async def test_sqlite_writes_survive_a_power_cut_by_its_settings(tmp_path: Path) -> None:
    async with await SqlStore.open(StoreOptions(f"sqlite:///{tmp_path / 'gitsync.db'}")) as store:
        async with store._db.write() as connection:
            settings = {
                name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
        assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_sessions_of_postgresql_have_limits_and_a_name(postgres_url: str) -> None:
    options = StoreOptions(postgres_url, application_name="gitsync/replica-1")
    async with await SqlStore.open(options) as store, store._db.read() as connection:
        shown = {
            name: (await connection.execute(text(f"SHOW {name}"))).scalar_one()
            for name in (
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "application_name",
                "transaction_isolation",
            )
        }
    assert shown == {
        "statement_timeout": "10s",
        "lock_timeout": "3s",
        "idle_in_transaction_session_timeout": "5s",
        "application_name": "gitsync/replica-1",
        "transaction_isolation": "repeatable read",
    }


async def test_a_foreign_key_holds(store: SqlStore) -> None:
    await store.save_agents([a_record(1)], [])
    async with store._db.write() as connection:
        await connection.execute(text("DELETE FROM agent"))
        for table in ("agent_label", "agent_status"):
            assert (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0


async def test_many_calls_at_once_wait_for_a_connection(store: SqlStore, place: Place) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(40):
            group.create_task(store.save_agents([a_record(number)], []))
            group.create_task(store.load_pointers())
    assert sum((await store.count_agents()).values()) == 40


def test_the_words_of_libpq_for_tls_are_understood() -> None:
    url = database_url("postgres://user:pw@db.example.com/gitsync?sslmode=verify-full")
    assert url.drivername == "postgresql+asyncpg"
    assert dict(url.query) == {"ssl": "verify-full"}


@asynccontextmanager
async def _commit_swallower(server: Path, directory: Path) -> AsyncIterator[asyncio.Event]:
    """A proxy below `directory`; once armed, it lets the next COMMIT through and loses its answer."""
    armed = asyncio.Event()

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server_to_us: bool, lost: asyncio.Event
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if server_to_us and lost.is_set():
                    break
                if not server_to_us and armed.is_set() and b"COMMIT" in data:
                    armed.clear()
                    lost.set()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lost = asyncio.Event()
        up_reader, up_writer = await asyncio.open_unix_connection(str(server))
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, up_writer, False, lost))
            group.create_task(pump(up_reader, writer, True, lost))

    listener = await asyncio.start_unix_server(serve, str(directory / ".s.PGSQL.5432"))
    async with listener:
        yield armed
