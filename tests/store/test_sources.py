from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gitsync.control.records import SourceRecord, Verdict
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.errors import InvalidConfig
from gitsync.ids import CommitId, SourceName
from gitsync.store import SqlStore
from tests.store.builders import NOW, SOURCE, a_commit, a_commit_id, a_commit_record

RECORD = SourceRecord(SOURCE, "https://git.example.com/fleet.git", "main")


async def test_an_unknown_source_is_none(store: SqlStore) -> None:
    assert await store.load_source(SOURCE) is None


async def test_a_source_is_inserted_then_replaced(store: SqlStore) -> None:
    await store.save_source(RECORD)
    assert await store.load_source(SOURCE) == RECORD
    synced = replace(RECORD, head=a_commit_id(1), fetched_at=NOW, error="")
    await store.save_source(synced)
    assert await store.load_source(SOURCE) == synced


async def test_sources_are_told_apart_by_name(store: SqlStore) -> None:
    kept = {name: replace(RECORD, name=name, ref=name) for name in map(SourceName, ("west", "default", "east"))}
    for record in kept.values():
        await store.save_source(record)
    for name, record in kept.items():
        assert await store.load_source(name) == record


async def test_a_commit_comes_back_with_its_verdict_and_findings(store: SqlStore) -> None:
    finding = Diagnostic("agents/a.yaml", 3, 7, Severity.ERROR, "GS1001", "no such receiver", "did you mean otlp")
    record = a_commit_record(
        verdict=Verdict.REJECTED, diagnostics=(finding, finding), error="the history was rewritten"
    )
    await store.save_commit(record)
    assert await store.load_commit(SOURCE, record.commit.id) == record


async def test_a_commit_that_is_judged_again_keeps_when_it_was_first_seen(store: SqlStore) -> None:
    first = a_commit_record(verdict=Verdict.REJECTED)
    await store.save_commit(first)
    await store.save_commit(replace(first, verdict=Verdict.ACCEPTED, seen_at=first.seen_at + timedelta(hours=1)))
    again = await store.load_commit(SOURCE, first.commit.id)
    assert again == replace(first, verdict=Verdict.ACCEPTED)


async def test_a_commit_is_found_by_the_beginning_of_its_id(store: SqlStore) -> None:
    record = a_commit_record()
    await store.save_commit(record)
    assert await store.load_commit(SOURCE, record.commit.id[:4]) == record
    assert await store.load_commit(SOURCE, record.commit.id[:7].upper()) == record
    assert await store.load_commit(SourceName("east"), record.commit.id[:7]) is None
    assert await store.load_commit(SOURCE, "0000") is None


async def test_an_ambiguous_beginning_is_refused(store: SqlStore) -> None:
    for end in "ab":
        await store.save_commit(a_commit_record(commit=a_commit(id=CommitId("c0ffee" + end * 34))))
    with pytest.raises(InvalidConfig, match="several commits begin with c0ffee"):
        await store.load_commit(SOURCE, "c0ffee")
    assert await store.load_commit(SOURCE, "c0ffeea") is not None


async def test_a_whole_id_is_never_ambiguous(store: SqlStore) -> None:
    short, long = CommitId("c0ffee" * 6 + "aaaa"), CommitId("c0ffee" * 6 + "aaaa" + "b" * 24)
    for one in (short, long):
        await store.save_commit(a_commit_record(commit=a_commit(id=one)))
    found = await store.load_commit(SOURCE, short)
    assert found is not None
    assert found.commit.id == short


@pytest.mark.parametrize("prefix", ["", "abc", "main", "%%%%", "____", "abcg", "a" * 65])
async def test_what_is_no_beginning_of_an_id_is_refused(store: SqlStore, prefix: str) -> None:
    with pytest.raises(InvalidConfig, match="4 hex digits"):
        await store.load_commit(SOURCE, prefix)


async def test_commits_are_listed_newest_first_in_pages(store: SqlStore) -> None:
    for number in (2, 5, 1, 4, 3):
        await store.save_commit(a_commit_record(number))
    newest = await store.list_commits(SOURCE, 2)
    assert [one.commit.id for one in newest] == [a_commit_id(5), a_commit_id(4)]
    older = await store.list_commits(SOURCE, 10, before=newest[-1].seen_at)
    assert [one.commit.id for one in older] == [a_commit_id(3), a_commit_id(2), a_commit_id(1)]
    assert list(await store.list_commits(SourceName("east"), 10)) == []
    assert list(await store.list_commits(SOURCE, -1)) == []


async def test_text_that_no_database_can_keep_is_replaced(store: SqlStore) -> None:
    record = a_commit_record(
        commit=a_commit(subject="zero \0 byte", author="half \ud800 pair"), files=("caf\udce9.yaml",)
    )
    await store.save_commit(record)
    loaded = await store.load_commit(SOURCE, record.commit.id)
    assert loaded is not None
    assert loaded.commit.subject == "zero \ufffd byte"
    assert loaded.commit.author == "half ? pair"
    assert loaded.files == record.files
