from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from gitsync.control.records import AgentFilter, AgentRecord, Retention, SyncState
from gitsync.fleet.agent import AttemptState, Reported
from gitsync.fleet.assign import Reason
from gitsync.ids import AgentUid, SourceName, TargetId
from gitsync.labels import RankedLabels, parse_selector
from gitsync.opamp.messages import ComponentHealth, ConfigStatus
from gitsync.store import SqlStore
from tests.store.builders import (
    NOW,
    TARGET,
    a_hash,
    a_record,
    a_uid,
    an_attempt,
    an_attempt_record,
)

SECOND = timedelta(seconds=1)


async def test_an_unknown_agent_is_left_out(store: SqlStore) -> None:
    await store.save_agents([a_record(1)], [])
    assert list(await store.load_agents([a_uid(1), a_uid(2)])) == [a_uid(1)]
    assert list(await store.load_agents([])) == []


async def test_an_agent_comes_back_whole(store: SqlStore) -> None:
    health = ComponentHealth(
        False,
        "StatusPermanentError",
        "disk full",
        2**63,
        5,
        {"receiver:otlp": ComponentHealth(True)},
        {"queue_size": "7"},
    )
    record = a_record(
        labels=RankedLabels({"env": "prod"}, {"team": "x"}, {"site": "y"}, {"env": "dev"}),
        capabilities=0xFFFF_FFFF_FFFF_FFFF,
        reported=Reported(a_hash("b"), ConfigStatus.FAILED, "no such exporter"),
        current=an_attempt(state=AttemptState.FAILED, error="no", tries=2, applying_at=NOW, failed_at=NOW + SECOND),
        last_good=a_hash("a"),
        failed=(a_hash("b"), a_hash("c")),
        wanted=a_hash("b"),
        health=health,
        effective=a_hash("effective"),
        contained=False,
        components=b"\x01\x02",
        started_at=NOW,
        flag="blocked",
        state=SyncState.FAILED,
        reason="failed_before",
        healthy=False,
        error="no such exporter",
        transport="http",
        connected=False,
    )
    await store.save_agents([record], [])
    assert await store.load_agents([a_uid(1)]) == {a_uid(1): record}


async def test_an_agent_about_which_nothing_is_known_comes_back_whole(store: SqlStore) -> None:
    record = a_record(target=None, labels=RankedLabels(), identifying_keys=(), capabilities=0)
    await store.save_agents([record], [])
    assert await store.load_agents([a_uid(1)]) == {a_uid(1): record}


async def test_a_record_replaces_the_one_of_the_same_connection(store: SqlStore) -> None:
    await store.save_agents([a_record(1)], [])
    newer = a_record(1, state=SyncState.APPLIED, last_good=a_hash("x"), remote_addr="192.0.2.9:1")
    await store.save_agents([newer], [])
    assert await store.load_agents([a_uid(1)]) == {a_uid(1): newer}


async def test_a_record_of_an_older_connection_changes_nothing(store: SqlStore) -> None:
    newer = a_record(1, conn_epoch=2_000, replica_id="replica-2")
    late = a_record(1, conn_epoch=1_000, connected=False, labels=RankedLabels({"env": "dev"}), state=SyncState.FAILED)
    await store.save_agents([newer], [])
    await store.save_agents([late, a_record(2)], [])
    assert await store.load_agents([a_uid(1), a_uid(2)]) == {a_uid(1): newer, a_uid(2): a_record(2)}
    assert len(await store.list_agents(AgentFilter(selector=parse_selector("env=dev")))) == 0


async def test_of_two_records_in_one_batch_the_higher_connection_wins(store: SqlStore) -> None:
    high, low = a_record(1, conn_epoch=2_000), a_record(1, conn_epoch=1_000, state=SyncState.FAILED)
    last = a_record(1, conn_epoch=2_000, state=SyncState.APPLIED)
    await store.save_agents([high, last, low], [])
    assert await store.load_agents([a_uid(1)]) == {a_uid(1): last}


async def test_labels_follow_the_newest_record(store: SqlStore) -> None:
    await store.save_agents([a_record(1, labels=RankedLabels({"env": "prod", "zone": "a"}))], [])
    await store.save_agents([a_record(1, labels=RankedLabels({"env": "dev"}))], [])
    assert await _selected(store, "env=prod") == []
    assert await _selected(store, "zone") == []
    assert await _selected(store, "env=dev") == [1]


async def test_labels_that_did_not_change_are_not_written_again(store: SqlStore) -> None:
    await store.save_agents([a_record(1)], [])
    async with store._db.write() as connection:
        await connection.execute(text("DELETE FROM agent_label"))
    await store.save_agents([a_record(1, state=SyncState.APPLIED)], [])
    async with store._db.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM agent_label"))).scalar_one() == 0


@pytest.mark.parametrize(
    ("selector", "numbers"),
    [
        ("", [1, 2, 3, 4]),
        ("env=prod", [1, 2]),
        ("env in (prod,dev)", [1, 2, 3]),
        ("env!=prod", [3, 4]),
        ("env notin (prod,dev)", [4]),
        ("env", [1, 2, 3]),
        ("!env", [4]),
        ("env=prod,zone=a", [1]),
        ("env=prod,!zone", []),
        ("env=staging", []),
        ("zone=b", [2]),
        ("env in (' OR 1=1 --)", []),
    ],
)
async def test_a_selector_filters_as_it_matches(store: SqlStore, selector: str, numbers: list[int]) -> None:
    labels = {
        1: RankedLabels({"env": "prod", "zone": "a"}),
        2: RankedLabels({"env": "staging", "zone": "b"}, certificate={"env": "prod"}),
        3: RankedLabels({"env": "prod"}, operator={"env": "staging"}, token={"env": "dev"}),
        4: RankedLabels({"host.name": "h"}),
    }
    await store.save_agents([a_record(number, labels=one) for number, one in labels.items()], [])
    parsed = parse_selector(selector)
    assert sorted(number for number, one in labels.items() if parsed.matches(one.effective())) == numbers
    assert await _selected(store, selector) == numbers


@pytest.mark.parametrize(
    ("selector", "numbers"),
    [
        ("env=prod", [1, 2]),
        ("env!=prod", [3, 4]),
        ("env in (dev,prod)", [1, 2, 3]),
        ("env", [1, 2, 3]),
        ("!env", [4]),
        ("stage=dev", []),
    ],
)
async def test_a_selector_may_use_aliases_and_an_own_label_comes_first(
    store: SqlStore, selector: str, numbers: list[int]
) -> None:
    labels = {1: {"stage": "prod"}, 2: {"old.stage": "prod"}, 3: {"env": "dev", "old.stage": "prod"}, 4: {"x": "y"}}
    await store.save_agents([a_record(number, labels=RankedLabels(one)) for number, one in labels.items()], [])
    query = AgentFilter(selector=parse_selector(selector), aliases={"env": ("stage", "old.stage")})
    assert {one.agent.uid for one in await store.list_agents(query)} == {a_uid(number) for number in numbers}


async def test_lists_filter_by_target_state_and_presence(store: SqlStore) -> None:
    east = TargetId(SourceName("east"), TARGET.path)
    await store.save_agents(
        [
            a_record(1, state=SyncState.APPLIED),
            a_record(2, state=SyncState.FAILED, connected=False),
            a_record(3, target=east),
            a_record(4, target=None),
        ],
        [],
    )

    async def numbers(query: AgentFilter) -> list[int]:
        return _numbers(await store.list_agents(query))

    assert await numbers(AgentFilter(target=TARGET)) == [1, 2]
    assert await numbers(AgentFilter(target=east)) == [3]
    assert await numbers(AgentFilter(state=SyncState.APPLIED)) == [1]
    assert await numbers(AgentFilter(connected=True)) == [1, 3, 4]
    assert await numbers(AgentFilter(connected=False)) == [2]
    assert await numbers(AgentFilter(target=TARGET, state=SyncState.FAILED, connected=False)) == [2]


async def test_pages_of_a_list_have_every_agent_once(store: SqlStore) -> None:
    await store.save_agents([a_record(number) for number in range(10)], [])
    seen, after = [], None
    while page := await store.list_agents(AgentFilter(limit=3, after=after)):
        assert len(page) <= 3
        seen += [one.agent.uid for one in page]
        after = page[-1].agent.uid
    assert seen == sorted(a_uid(number) for number in range(10))


async def test_five_thousand_agents_are_saved_counted_and_listed_up_to_the_limit(store: SqlStore) -> None:
    records = [a_record(number) for number in range(5_100)]
    attempts = [an_attempt_record(number) for number in range(5_100)]
    await store.save_agents(records, attempts)
    changed = [replace(one, state=SyncState.APPLIED) for one in records[:4_000]]
    await store.save_agents(changed, [])
    assert await store.count_agents() == {(TARGET, SyncState.APPLIED): 4_000, (TARGET, SyncState.PENDING): 1_100}
    assert len(await store.list_agents(AgentFilter(limit=1_000_000))) == 5_000
    assert len(await store.load_agents([one.agent.uid for one in records])) == 5_100


async def test_counts_are_by_target_and_state(store: SqlStore) -> None:
    await store.save_agents(
        [a_record(1), a_record(2), a_record(3, state=SyncState.APPLIED), a_record(4, target=None)], []
    )
    assert await store.count_agents() == {
        (TARGET, SyncState.PENDING): 2,
        (TARGET, SyncState.APPLIED): 1,
        (None, SyncState.PENDING): 1,
    }


async def test_builds_are_counted_by_target_for_agents_that_report_their_components(store: SqlStore) -> None:
    other = TargetId(SourceName("other"), "agents")
    records = [
        a_record(1, components=b"one"),
        a_record(2, components=b"one"),
        a_record(3, components=b"two"),
        a_record(4, components=None),
        a_record(5, components=b"one", target=other),
    ]
    await store.save_agents(records, [])
    assert await store.count_builds(TARGET.source) == {(TARGET.path, b"one"): 2, (TARGET.path, b"two"): 1}
    await store.sweep(Retention(), NOW + timedelta(days=30))
    assert set(await store.count_builds(other.source)) <= {("agents", b"one")}


async def test_an_agent_that_lost_its_target_is_counted_without_one_and_keeps_its_memory(store: SqlStore) -> None:
    await store.save_agents([a_record(1, reason=str(Reason.NO_TARGET))], [])
    assert await store.count_agents() == {(None, SyncState.PENDING): 1}
    assert await store.list_agents(AgentFilter(target=TARGET)) == []
    (row,) = await store.list_agents(AgentFilter())
    assert row.agent.target == TARGET


async def test_agents_that_are_silent_for_long_leave_lists_and_counts_until_they_return(store: SqlStore) -> None:
    gone = a_record(1, connected=False)
    await store.save_agents([gone, a_record(2)], [])
    await store.sweep(Retention(), NOW + timedelta(hours=23))
    assert len(await store.list_agents(AgentFilter())) == 2
    await store.sweep(Retention(), NOW + timedelta(hours=25))
    assert _numbers(await store.list_agents(AgentFilter())) == [2]
    assert sum((await store.count_agents()).values()) == 1
    assert await store.load_agents([a_uid(1)]) == {a_uid(1): gone}
    await store.save_agents([replace(gone, connected=True)], [])
    assert _numbers(await store.list_agents(AgentFilter())) == [1, 2]


async def test_after_a_crash_the_agents_of_a_replica_are_not_connected(store: SqlStore) -> None:
    await store.save_agents(
        [a_record(1), a_record(2), a_record(3, connected=False), a_record(4, replica_id="replica-2")], []
    )
    at = NOW + timedelta(minutes=5)
    assert await store.mark_disconnected("replica-1", at) == 2
    assert await store.mark_disconnected("replica-1", at) == 0
    rows = await store.load_agents([a_uid(number) for number in (1, 3, 4)])
    assert (rows[a_uid(1)].connected, rows[a_uid(1)].last_seen_at) == (False, at)
    assert rows[a_uid(3)].last_seen_at == NOW
    assert rows[a_uid(4)].connected


async def test_attempts_are_listed_newest_first_and_follow_their_progress(store: SqlStore) -> None:
    first = an_attempt_record(1, "one")
    second = an_attempt_record(1, "two", offered_at=NOW + SECOND, changed_at=NOW + SECOND)
    await store.save_agents([], [first, second])
    applied = an_attempt_record(
        1, "one", state=AttemptState.APPLIED, changed_at=NOW + 2 * SECOND, applied_at=NOW + 2 * SECOND, tries=2
    )
    await store.save_agents([], [applied])
    assert list(await store.list_attempts(a_uid(1), 10)) == [second, applied]
    assert list(await store.list_attempts(a_uid(1), 1)) == [second]
    assert list(await store.list_attempts(a_uid(2), 10)) == []


async def test_an_attempt_that_comes_late_does_not_undo_a_newer_one(store: SqlStore) -> None:
    newer = an_attempt_record(1, state=AttemptState.FAILED, changed_at=NOW + SECOND, error="no")
    await store.save_agents([], [newer])
    await store.save_agents([], [an_attempt_record(1)])
    assert list(await store.list_attempts(a_uid(1), 10)) == [newer]


async def test_hostile_texts_of_an_agent_neither_fail_nor_block_the_batch(store: SqlStore) -> None:
    hostile = a_record(
        1,
        labels=RankedLabels({"k" * 100_000: "v" * 100_000, "zero\0": "\0", "half\ud800": "\ud800", "env": "prod"}),
        remote_addr="\0",
        reason="x\ud800",
        error="e" * 100_000,
    )
    await store.save_agents([hostile, a_record(2)], [an_attempt_record(1, error="\0")])
    assert await _selected(store, "env=prod") == [1, 2]
    loaded = (await store.load_agents([a_uid(1)]))[a_uid(1)]
    assert loaded.agent.labels == hostile.agent.labels


async def test_a_blob_is_kept_once_and_found_by_its_digest(store: SqlStore) -> None:
    digest = a_hash("effective")
    await store.keep_blob(digest, "effective", b"receivers: {}\n", NOW)
    await store.keep_blob(digest, "effective", b"receivers: {}\n", NOW + SECOND)
    assert await store.load_blob(digest) == b"receivers: {}\n"
    assert await store.load_blob(a_hash("other")) is None


async def _selected(store: SqlStore, selector: str) -> list[int]:
    return _numbers(await store.list_agents(AgentFilter(selector=parse_selector(selector))))


def _numbers(records: object) -> list[int]:
    known = {a_uid(number): number for number in range(100)}
    numbers = [known[one.agent.uid] for one in records]  # type: ignore[attr-defined]
    assert not [number for number, times in Counter(numbers).items() if times > 1]
    return sorted(numbers)


# ── Only what differs ───────────────────────────────────────────────────────────────────────────────────────


def _known(*records: AgentRecord) -> dict[AgentUid, AgentRecord]:
    return {one.agent.uid: one for one in records}


async def _row(store: SqlStore, number: int) -> AgentRecord:
    uid = a_uid(number)
    return (await store.load_agents([uid]))[uid]


async def test_a_status_that_changed_is_written_alone_and_the_rest_stays(store: SqlStore) -> None:
    before = a_record(1)
    await store.save_agents([before], [])
    after = replace(before, agent=replace(before.agent, error="disk full"), state=SyncState.FAILED, error="disk full")
    await store.save_agents([after], [], _known(before))
    assert await _row(store, 1) == after


async def test_a_new_connection_is_written_without_touching_labels_and_status(store: SqlStore) -> None:
    before = a_record(1)
    await store.save_agents([before], [])
    after = replace(before, conn_epoch=before.conn_epoch + 5, remote_addr="10.0.0.9:1", connected=False)
    await store.save_agents([after], [], _known(before))
    assert await _row(store, 1) == after
    assert await store.list_agents(AgentFilter(selector=parse_selector("env=prod"))) == [after]


async def test_labels_that_changed_are_written_whole(store: SqlStore) -> None:
    before = a_record(1)
    await store.save_agents([before], [])
    labels = RankedLabels({"env": "dev"})
    after = replace(before, agent=replace(before.agent, labels=labels, identifying_keys=()))
    await store.save_agents([after], [], _known(before))
    assert await store.list_agents(AgentFilter(selector=parse_selector("env=dev"))) == [after]
    assert await store.list_agents(AgentFilter(selector=parse_selector("env=prod"))) == []


async def test_a_status_of_an_agent_that_moved_to_another_replica_is_not_written_over_its_newer_one(
    store: SqlStore, other: SqlStore
) -> None:
    before = a_record(1)
    await store.save_agents([before], [])
    theirs = replace(before, conn_epoch=before.conn_epoch + 1, replica_id="replica-2", state=SyncState.APPLIED)
    await other.save_agents([theirs], [])
    late = replace(before, agent=replace(before.agent, error="late"), state=SyncState.FAILED)
    await store.save_agents([late], [], _known(before))
    assert await _row(store, 1) == theirs


async def test_what_another_replica_changed_meanwhile_is_replaced_whole_when_the_agent_comes_back(
    store: SqlStore, other: SqlStore
) -> None:
    before = a_record(1)
    await store.save_agents([before], [])
    labels = RankedLabels({"env": "dev"})
    theirs = replace(
        before, conn_epoch=before.conn_epoch + 1, agent=replace(before.agent, labels=labels, identifying_keys=())
    )
    await other.save_agents([theirs], [])
    back = replace(before, conn_epoch=before.conn_epoch + 2)
    await store.save_agents([back], [], _known(before))
    assert await store.list_agents(AgentFilter(selector=parse_selector("env=prod"))) == [back]


async def test_a_row_that_was_removed_is_written_whole_again(store: SqlStore) -> None:
    before = a_record(1)
    after = replace(before, state=SyncState.APPLIED)
    await store.save_agents([after], [], _known(before))
    assert await _row(store, 1) == after
