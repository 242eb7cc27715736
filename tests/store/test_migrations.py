from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from gitsync.errors import SettingsError
from gitsync.store import SqlStore, StoreOptions
from gitsync.store.migrate import configuration
from gitsync.store.migrations.versions import r0001_tables
from gitsync.store.tables import AUDIT_FLOOR_DAYS, metadata
from tests.store.builders import SOURCE, TTL, Leader, a_lease
from tests.store.conftest import Place


async def test_the_migrated_tables_equal_the_metadata(store: SqlStore) -> None:
    def differences(connection: Connection) -> list[object]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with store._db.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_keys_and_foreign_keys_equal_the_metadata_too(store: SqlStore) -> None:
    def keys(connection: Connection) -> dict[str, object]:
        found = inspect(connection)
        return {
            name: (
                found.get_pk_constraint(name)["constrained_columns"],
                sorted(one["constrained_columns"] for one in found.get_foreign_keys(name)),
                sorted(one["column_names"] for one in found.get_unique_constraints(name)),
            )
            for name in metadata.tables
        }

    expected = {
        name: (
            [column.name for column in table.primary_key],
            sorted([column.name for column in one.columns] for one in table.foreign_key_constraints),
            sorted([column.name] for column in table.columns if column.unique),
        )
        for name, table in metadata.tables.items()
    }
    async with store._db.read() as connection:
        assert await connection.run_sync(keys) == expected


async def test_opening_again_changes_nothing_and_keeps_what_is_there(store: SqlStore, place: Place) -> None:
    await a_lease(store)
    async with await SqlStore.open(place.options) as again:
        assert await again.acquire_lease("leader", "somebody else", TTL) is None


async def test_tables_of_the_program_before_are_brought_up_to_date_and_keep_their_rows(
    store: SqlStore, place: Place
) -> None:
    publication = await (await Leader.of(store)).publish()
    async with store._db.write() as connection:
        await connection.execute(text("DROP INDEX ix_release_source_seq"))
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    async with await SqlStore.open(place.options) as again:
        assert [one.revision for one in await again.list_releases(SOURCE, 10)] == [publication.revision]
    await test_the_migrated_tables_equal_the_metadata(store)


async def test_programs_that_start_at_once_do_not_collide(empty_place: Place) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(SqlStore.open(empty_place.options)) for _ in range(4)]
    stores = [task.result() for task in tasks]
    try:
        for one in stores:
            assert list(await one.load_pointers()) == []
    finally:
        for one in stores:
            await one.close()


async def test_tables_of_a_newer_program_are_refused_and_left_alone(place: Place) -> None:
    async with await SqlStore.open(place.options) as store, store._db.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match=r"9999.*newer program") as refused:
        await SqlStore.open(place.options)
    assert refused.value.code == "store.newer"


def test_there_is_one_line_of_revisions() -> None:
    scripts = ScriptDirectory.from_config(configuration())
    assert len(scripts.get_heads()) == 1
    assert [one.down_revision for one in scripts.walk_revisions()][-1] is None


def test_the_floor_of_the_triggers_is_the_one_that_retention_knows() -> None:
    assert r0001_tables.AUDIT_FLOOR_DAYS == AUDIT_FLOOR_DAYS


async def test_a_missing_directory_is_a_setting_to_change(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"directory of the store .* does not exist"):
        await SqlStore.open(StoreOptions(f"sqlite:///{tmp_path / 'missing' / 'gitsync.db'}"))


async def test_a_file_that_is_no_database_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "gitsync.db"
    file.write_bytes(b"precious notes, not a database\n" * 100)
    with pytest.raises(SettingsError, match="file is not a database") as refused:
        await SqlStore.open(StoreOptions(f"sqlite:///{file}"))
    assert refused.value.code == "store.broken"
    assert file.read_bytes().startswith(b"precious notes")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "cannot be read"),
        ("not a url with s3cret", "cannot be read"),
        ("mysql://root:s3cret@host/db", "names the database 'mysql'"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
async def test_a_url_that_cannot_be_used_is_refused_without_showing_it(url: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        await SqlStore.open(StoreOptions(url))
    assert "s3cret" not in str(refused.value)
