from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gitsync.control.records import Retention
from gitsync.errors import GitsyncError, TrustError
from gitsync.store import SqlStore
from tests.store.builders import NOW, a_uid, an_audit_entry
from tests.store.conftest import Place

LONG_AGO = NOW - timedelta(days=1_000)


async def test_lines_are_listed_newest_first_with_numbers_without_gaps(store: SqlStore) -> None:
    entries = [an_audit_entry(number) for number in range(5)]
    await store.append_audit(entries[:2])
    await store.append_audit(entries[2:])
    await store.append_audit([])
    assert list(await store.list_audit(3)) == [(5, entries[4]), (4, entries[3]), (3, entries[2])]
    assert list(await store.list_audit(10, before=3)) == [(2, entries[1]), (1, entries[0])]
    assert await store.verify_audit() == 5


async def test_a_line_comes_back_whole(store: SqlStore) -> None:
    entry = an_audit_entry(
        agent_uid=a_uid(1), remote_addr="192.0.2.1", outcome="failure", details={"n": [1, {"deep": None}], "ä": "ö"}
    )
    await store.append_audit([entry])
    assert list(await store.list_audit(1)) == [(1, entry)]


async def test_details_without_a_json_form_are_refused_and_nothing_is_added(store: SqlStore) -> None:
    with pytest.raises(GitsyncError, match="no JSON form"):
        await store.append_audit([an_audit_entry(1), an_audit_entry(2, details={"when": NOW})])
    assert await store.verify_audit() == 0


async def test_writers_at_the_same_time_make_one_chain(store: SqlStore, other: SqlStore) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task((store, other)[number % 2].append_audit([an_audit_entry(number)]))
    assert await store.verify_audit() == 20
    assert {entry for _, entry in _hashable(await store.list_audit(50))} == {f"commit {number}" for number in range(20)}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE seq = 2", "audit.changed"),
        ("UPDATE audit SET at = at + 1 WHERE seq = 2", "audit.changed"),
        ("UPDATE audit SET body = replace(body, '2', '3') WHERE seq = 2", "audit.changed"),
        ("DELETE FROM audit WHERE seq = 2", "audit.broken"),
    ],
)
async def test_what_was_done_to_the_log_behind_our_back_shows(
    store: SqlStore, place: Place, change: str, code: str
) -> None:
    await store.append_audit([an_audit_entry(number) for number in (1, 2, 3)])
    async with store._db.write() as connection:
        for trigger in ("audit_is_never_changed", "audit_is_kept"):
            on = " ON audit" if place.dialect == "postgresql" else ""
            await connection.execute(text(f"DROP TRIGGER {trigger}{on}"))
        await connection.execute(text(change))
    with pytest.raises(TrustError, match=r"audit line [23]") as found:
        await store.verify_audit()
    assert found.value.code == code


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET actor = 'nobody'",
        "UPDATE audit SET at = 0",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE seq = 1",
    ],
)
async def test_the_database_itself_refuses_to_change_or_delete_young_lines(store: SqlStore, change: str) -> None:
    # The floor is in database time; one line of the far future is young in every year.
    await store.append_audit([an_audit_entry(at=NOW + timedelta(days=40_000))])
    with pytest.raises(GitsyncError, match="audit lines are") as refused:
        async with store._db.write() as connection:
            await connection.execute(text(change))
    assert isinstance(refused.value.__cause__, DBAPIError)
    assert await store.verify_audit() == 1


async def test_the_log_cannot_be_truncated(store: SqlStore, place: Place) -> None:
    await store.append_audit([an_audit_entry()])
    statement = "TRUNCATE audit" if place.dialect == "postgresql" else "REPLACE INTO audit SELECT * FROM audit"
    if place.dialect == "sqlite":  # the same line again is young enough only when it says so
        await store.append_audit([an_audit_entry(at=NOW + timedelta(days=40_000))])
    with pytest.raises(GitsyncError, match="audit lines are"):
        async with store._db.write() as connection:
            await connection.execute(text(statement))


async def test_retention_cuts_whole_days_off_the_old_end_and_the_rest_is_a_chain(store: SqlStore) -> None:
    days = [LONG_AGO + timedelta(days=number) for number in range(500)]
    await store.append_audit([an_audit_entry(number, at=at) for number, at in enumerate(days, 1)])
    now = LONG_AGO + timedelta(days=499)
    assert await store.sweep(Retention(audit_days=400), now) == 99
    assert await store.verify_audit() == 401
    oldest = list(await store.list_audit(1_000))[-1]
    assert oldest[0] == 100
    assert oldest[1].at == now - timedelta(days=400)
    await store.append_audit([an_audit_entry(0)])
    assert (await store.list_audit(1))[0][0] == 501


async def test_the_last_line_stays_as_the_anchor_of_the_chain(store: SqlStore) -> None:
    await store.append_audit([an_audit_entry(number, at=LONG_AGO) for number in range(3)])
    assert await store.sweep(Retention(), NOW) == 2
    assert await store.verify_audit() == 1
    await store.append_audit([an_audit_entry(9)])
    assert await store.verify_audit() == 2


async def test_a_retention_of_no_days_still_keeps_the_floor(store: SqlStore) -> None:
    ages = (1_000, 29, 1)
    await store.append_audit([an_audit_entry(at=NOW - timedelta(days=age)) for age in ages])
    assert await store.sweep(Retention(audit_days=0), NOW) == 1
    assert await store.verify_audit() == 2


def _hashable(lines: object) -> list[tuple[int, str]]:
    return [(number, entry.reason) for number, entry in lines]  # type: ignore[attr-defined]
