"""`SourceSync`: passes from fetch to publication, what rings them, and what they leave behind when they fail."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gitsync.bundle.version import Bundle, CompileResult, Need
from gitsync.collector.node import Origin
from gitsync.control.connected import components_body
from gitsync.control.inventory import COMPONENTS, stored_key
from gitsync.control.leader import Leadership
from gitsync.control.meters import Meters
from gitsync.control.records import SourceRecord, Verdict
from gitsync.control.sync import ANNOUNCED_TRIES, LOUD_AFTER, SourceSync, SyncOptions
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.errors import SettingsError, Unavailable
from gitsync.ids import DEFAULT_SOURCE, CommitId
from gitsync.opamp.messages import Component
from gitsync.store import SqlStore, StoreOptions
from tests.store.builders import NOW, TARGET, a_record
from tests.support.clock import FixedRandom, ManualClock
from tests.support.configrepo import tree_of
from tests.support.configs import FLEET
from tests.support.control import DirectCompiler, SteeredRepository, a_publisher, a_tree, lead, published
from tests.support.service import until

ACTOR = "token:admin"
BAD = tree_of({**FLEET, "agents/collector.yaml": "receivers: [unclosed\n"}, subject="broken")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with await SqlStore.open(StoreOptions(f"sqlite:///{tmp_path / 'gitsync.db'}")) as store:
        yield store


class SyncUnderTest:
    """A source with a steered repository on a real store, while it runs."""

    def __init__(self, store: SqlStore, **options: Any) -> None:
        self.store = store
        self.repository = SteeredRepository()
        self.repository.push(a_tree(4317))
        self.compiler = DirectCompiler()
        self.meters = Meters()
        self.leadership = Leadership(store, "replica-1")
        self.rung: list[int] = []
        settings = {"interval": timedelta(hours=1), "announced_pause": timedelta(milliseconds=1), **options}
        self.sync = SourceSync(
            DEFAULT_SOURCE,
            SyncOptions("https://git.example/config.git", "main", **settings),
            self.repository,
            self.compiler,
            a_publisher(store, meters=self.meters),
            store,
            self.leadership,
            self.meters,
            ManualClock(),
            FixedRandom(),
            lambda: self.rung.append(1),
        )
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def fetches(self) -> int:
        return len(self.repository.fetched)

    async def head(self) -> CommitId:
        """The published commit."""
        return (await published(self.store)).pointer.head

    async def pass_(self) -> str:
        """One pass from its beginning; what came of it."""
        async with asyncio.timeout(10):
            return str((await self.sync.sync(actor=ACTOR)).outcome)

    async def __aenter__(self) -> SyncUnderTest:
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self.leadership.run(), name="leader"),
            loop.create_task(self.sync.run(), name="sync"),
        ]
        await until(lambda: self.fetches)
        return self

    async def __aexit__(self, *exception: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for task in self._tasks:
            assert task.cancelled(), task.exception()


@pytest.fixture
async def under_test(store: SqlStore) -> AsyncIterator[SyncUnderTest]:
    async with SyncUnderTest(store) as made:
        await until(lambda: made.rung)
        yield made


# ── Verdicts ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_head_is_published_at_the_start_and_written_down(under_test: SyncUnderTest) -> None:
    head = under_test.repository.trees[-1].commit.id
    assert await under_test.head() == head
    record = await under_test.store.load_commit(DEFAULT_SOURCE, head[:8])
    assert record is not None
    assert (record.verdict, set(FLEET) <= set(record.files)) == (Verdict.ACCEPTED, True)
    source = await under_test.store.load_source(DEFAULT_SOURCE)
    assert source is not None
    assert (source.head, source.error, source.url) == (head, "", "https://git.example/config.git")
    assert under_test.meters.syncs[DEFAULT_SOURCE, "success"] == 1
    assert under_test.meters.source_ready[DEFAULT_SOURCE]


async def test_a_head_that_was_judged_is_not_compiled_again(under_test: SyncUnderTest) -> None:
    assert await under_test.pass_() == "noop"
    assert await under_test.pass_() == "noop"
    assert len(under_test.compiler.compiled) == 1
    assert under_test.meters.syncs[DEFAULT_SOURCE, "noop"] == 2


async def test_a_new_head_is_published_with_the_name_of_who_asked(under_test: SyncUnderTest) -> None:
    head = under_test.repository.push(a_tree(4400))
    assert await under_test.pass_() == "published"
    assert await under_test.head() == head
    ((_, newest), *_) = await under_test.store.list_audit(1)
    assert (newest.actor, newest.outcome) == (ACTOR, "success")
    assert under_test.rung == [1, 1]


async def test_a_bad_head_is_rejected_once_with_everything_written_down_and_nothing_published(
    under_test: SyncUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    before = await under_test.head()
    bad = under_test.repository.push(BAD)
    assert await under_test.pass_() == "rejected"
    assert await under_test.head() == before
    record = await under_test.store.load_commit(DEFAULT_SOURCE, bad)
    assert record is not None
    assert record.verdict is Verdict.REJECTED
    assert {one.path for one in record.diagnostics} == {"agents/collector.yaml"}
    assert "agents/collector.yaml:" in caplog.text
    assert "the last release keeps serving" in caplog.text
    ((_, audit), *_) = await under_test.store.list_audit(1)
    assert (audit.action, audit.outcome, audit.details["commit"]) == ("config_update", "failure", bad)
    assert sum(under_test.meters.validation_errors.values()) == len(record.diagnostics)
    caplog.clear()
    assert await under_test.pass_() == "rejected"
    assert caplog.text == ""
    assert (len(under_test.compiler.compiled), under_test.meters.syncs[DEFAULT_SOURCE, "rejected"]) == (2, 1)
    good = under_test.repository.push(a_tree(4401))
    assert await under_test.pass_() == "published"
    assert await under_test.head() == good


async def test_a_rewritten_history_is_refused_loudly_and_again_after_a_restart(
    under_test: SyncUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    before = await under_test.head()
    under_test.repository.rewritten = True
    under_test.repository.push(a_tree(4400))
    assert await under_test.pass_() == "refused"
    assert "was rewritten" in under_test.sync.record.error
    assert "was rewritten" in caplog.text
    assert (await under_test.head(), len(under_test.compiler.compiled)) == (before, 1)
    assert await under_test.pass_() == "refused"
    assert "was rewritten" in under_test.sync.record.error
    under_test.repository.rewritten = False
    good = under_test.repository.push(a_tree(4401))
    assert await under_test.pass_() == "published"
    assert (await under_test.head(), under_test.sync.record.error) == (good, "")


async def test_a_rewritten_history_is_followed_when_that_is_allowed(store: SqlStore) -> None:
    async with SyncUnderTest(store, allow_rewrite=True) as made:
        await until(lambda: made.rung)
        made.repository.rewritten = True
        head = made.repository.push(a_tree(4400))
        assert await made.pass_() == "published"
        assert await made.head() == head


async def test_a_commit_that_the_validator_could_not_finish_is_judged_again(under_test: SyncUnderTest) -> None:
    crashed = Diagnostic("", 0, 0, Severity.ERROR, "GS0699", "the validator crashed on this commit", "")
    under_test.compiler.answers.append(CompileResult(None, (crashed,)))
    head = under_test.repository.push(a_tree(4400))
    assert await under_test.pass_() == "rejected"
    assert await under_test.pass_() == "published"
    assert await under_test.head() == head


async def test_a_refused_commit_is_not_judged_again_because_agents_held_the_one_before_it(
    under_test: SyncUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    under_test.repository.push(a_tree(4400))
    kafka = Need("exporters", "kafka", frozenset({"kafka"}), Origin("agents/collector.yaml", 7, 3))
    body = components_body({"exporters": Component({}, {"otlp": Component({}, {})})})
    await under_test.store.keep_blob(stored_key(b"small"), COMPONENTS, body, NOW)
    await under_test.store.save_agents([a_record(1, components=b"small")], [])
    bundle = Bundle(TARGET.source, under_test.repository.trees[-1].commit, {}, {})
    under_test.compiler.answers.append(CompileResult(bundle, (), (), {TARGET.path: (kafka,)}, Severity.ERROR))
    assert await under_test.pass_() == "rejected"
    under_test.repository.rewritten = True
    under_test.repository.push(a_tree(4401))
    assert await under_test.pass_() == "refused"
    await under_test.store.save_agents([a_record(1)], [])
    caplog.clear()
    assert await under_test.pass_() == "refused"
    assert "was rewritten" not in caplog.text


async def test_a_head_that_the_database_lost_is_published_again_without_a_new_commit(
    under_test: SyncUnderTest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backup = tmp_path / "backup.db"
    copy_database(tmp_path / "gitsync.db", backup)
    head = under_test.repository.push(a_tree(4400))
    assert await under_test.pass_() == "published"
    before = (await published(under_test.store)).pointer
    copy_database(backup, tmp_path / "gitsync.db")
    assert await under_test.head() != head
    assert await under_test.pass_() == "published"
    after = (await published(under_test.store)).pointer
    assert (after.head, after.revision >= before.revision) == (head, True)
    assert "the database is back at an older state" in caplog.text
    assert await under_test.pass_() == "noop"


def copy_database(source: Path, to: Path) -> None:
    """As an operator restores a backup."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(to)) as two:
        one.backup(two)


# ── Bells ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_rings_that_come_while_a_pass_runs_make_one_more_pass_for_the_newest_head(
    under_test: SyncUnderTest,
) -> None:
    under_test.compiler.gate.clear()
    under_test.repository.push(a_tree(4400))
    under_test.sync.ring()
    await until(lambda: len(under_test.compiler.compiled) == 2)
    for port in (4401, 4402, 4403):
        newest = under_test.repository.push(a_tree(port))
        under_test.sync.ring()
    under_test.compiler.gate.set()
    await until(lambda: len(under_test.rung) == 3)
    assert (await under_test.head(), len(under_test.compiler.compiled)) == (newest, 3)


async def test_everybody_who_waits_is_told_about_a_pass_that_began_after_the_question(
    under_test: SyncUnderTest,
) -> None:
    under_test.compiler.gate.clear()
    under_test.repository.push(a_tree(4400))
    under_test.sync.ring()
    await until(lambda: len(under_test.compiler.compiled) == 2)
    newest = under_test.repository.push(a_tree(4401))
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(under_test.sync.sync(actor=ACTOR), name=f"ask-{one}") for one in range(2)]
        impatient = tasks.create_task(under_test.sync.sync(actor=ACTOR), name="impatient")
        await asyncio.sleep(0)
        impatient.cancel()
        under_test.compiler.gate.set()
    assert [one.result().commit for one in asked] == [newest, newest]
    assert [one.result().outcome for one in asked] == ["published", "published"]


async def test_a_repository_that_says_that_it_changed_is_looked_at(under_test: SyncUnderTest) -> None:
    head = under_test.repository.push(a_tree(4400))
    under_test.repository.changes.put_nowait(None)
    await until(lambda: len(under_test.rung) == 2)
    assert await under_test.head() == head


async def test_polling_finds_what_nobody_rang_for(store: SqlStore) -> None:
    async with SyncUnderTest(store, interval=timedelta(milliseconds=20)) as made:
        await until(lambda: made.rung)
        head = made.repository.push(a_tree(4400))
        await until(lambda: len(made.rung) == 2)
        assert await made.head() == head


async def test_an_announced_commit_that_is_late_is_looked_for_again(under_test: SyncUnderTest) -> None:
    late = a_tree(4400)
    before = under_test.fetches
    under_test.sync.ring(late.commit.id)
    await until(lambda: under_test.fetches >= before + 2)
    assert under_test.repository.fetched[-1] == late.commit.id
    under_test.repository.push(late)
    await until(lambda: len(under_test.rung) == 2)
    assert await under_test.head() == late.commit.id
    assert await under_test.pass_() == "noop"
    assert under_test.repository.fetched[-1] is None


async def test_an_announced_commit_that_never_comes_is_given_up_with_a_word(
    under_test: SyncUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = under_test.fetches
    under_test.sync.ring(CommitId("f" * 40))
    await until(lambda: "announced commit ffffffffffff is not on main" in caplog.text)
    assert under_test.repository.fetched[before:] == ["f" * 40] * ANNOUNCED_TRIES
    assert await under_test.pass_() == "noop"
    assert under_test.repository.fetched[-1] is None


async def test_while_the_host_is_away_an_announced_commit_is_not_asked_for_without_pause(
    under_test: SyncUnderTest,
) -> None:
    under_test.repository.error = Unavailable("the host does not answer")
    before = under_test.fetches
    under_test.sync.ring(CommitId("f" * 40))
    await until(lambda: under_test.sync.record.error)
    # The pause is that of a failure (2 s, 4 s, ...), not the millisecond of an announcement.
    with pytest.raises(TimeoutError):
        await until(lambda: under_test.fetches > before + 1, 0.05)


# ── Failures ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_failure_is_written_down_counted_said_once_and_over_when_it_works_again(
    under_test: SyncUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = await under_test.head()
    under_test.repository.error = Unavailable("the host does not answer")
    for _ in range(LOUD_AFTER + 1):
        assert await under_test.pass_() == "error"
    said = [one for one in caplog.records if "the host does not answer" in one.getMessage()]
    assert [one.levelname for one in said] == ["WARNING", "ERROR"]
    source = await under_test.store.load_source(DEFAULT_SOURCE)
    assert source is not None
    assert (source.error, await under_test.head()) == ("the host does not answer", before)
    assert under_test.meters.syncs[DEFAULT_SOURCE, "error"] == LOUD_AFTER + 1
    assert not under_test.meters.source_ready[DEFAULT_SOURCE]
    under_test.repository.error = None
    assert await under_test.pass_() == "noop"
    assert "source default: it works again" in caplog.text
    assert under_test.sync.record.error == ""
    assert under_test.meters.source_ready[DEFAULT_SOURCE]


async def test_what_the_operator_must_change_is_an_error_at_once(
    under_test: SyncUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    under_test.repository.error = SettingsError("the token is refused", hint="renew it")
    assert await under_test.pass_() == "error"
    (said,) = [one for one in caplog.records if "the token is refused (renew it)" in one.getMessage()]
    assert said.levelname == "ERROR"


async def test_the_same_failure_is_said_again_by_the_next_process(
    store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        caplog.clear()
        made = SyncUnderTest(store)
        made.repository.error = Unavailable("the host does not answer")
        async with made:
            await until(lambda: "the host does not answer" in caplog.text)


async def test_a_pass_that_takes_too_long_is_a_failure(store: SqlStore) -> None:
    made = SyncUnderTest(store, timeout=timedelta(milliseconds=50))
    made.compiler.gate.clear()
    async with made:
        await until(lambda: made.sync.record.error)
        assert "the sync took longer than" in made.sync.record.error
    patient = SyncUnderTest(store)
    async with patient:
        await until(lambda: patient.sync.last.outcome == "published")


async def test_a_server_that_does_not_lead_waits_without_counting_failures(store: SqlStore) -> None:
    lease = await lead(store, "replica-2")
    made = SyncUnderTest(store, timeout=timedelta(milliseconds=20))
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(made.leadership.run()), loop.create_task(made.sync.run())]
    try:
        with pytest.raises(TimeoutError):
            await until(lambda: made.fetches or made.sync.record.error, 0.1)
        assert made.meters.syncs == {}
        await store.release_lease(lease)
        await until(lambda: made.fetches)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_server_that_does_not_lead_shows_what_the_leader_wrote(store: SqlStore) -> None:
    await lead(store, "replica-2")
    made = SyncUnderTest(store, follow_interval=timedelta(milliseconds=10))
    task = asyncio.get_running_loop().create_task(made.sync.run())
    try:
        head = CommitId("a" * 40)
        await store.save_source(SourceRecord(DEFAULT_SOURCE, "file:///another", "main", head, error="away"))
        await until(lambda: made.sync.record.head == head)
        assert (made.sync.record.error, made.sync.record.url) == ("away", "https://git.example/config.git")
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_leader_that_was_replaced_while_it_compiled_publishes_nothing_and_knows_it(
    under_test: SyncUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    before = await under_test.head()
    lease = await under_test.leadership.wait()
    under_test.compiler.gate.clear()
    under_test.repository.push(a_tree(4400))
    under_test.sync.ring()
    await until(lambda: len(under_test.compiler.compiled) == 2)
    await under_test.store.release_lease(lease)
    await lead(under_test.store, "replica-2")
    under_test.compiler.gate.set()
    await until(lambda: "the leader's lease" in caplog.text)
    assert (await under_test.head(), under_test.leadership.lease) == (before, None)


async def test_who_waits_on_a_server_that_leads_no_more_is_told_so(store: SqlStore) -> None:
    await lead(store, "another")
    made = SyncUnderTest(store, follow_interval=timedelta(milliseconds=10))
    running = asyncio.get_running_loop().create_task(made.sync.run())
    with pytest.raises(Unavailable) as refused:
        await made.pass_()
    running.cancel()
    await asyncio.wait([running])
    assert refused.value.code == "leader.none"


async def test_an_error_that_nobody_foresaw_fails_the_pass_and_not_the_service(
    under_test: SyncUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    under_test.repository.trees.clear()  # there is no newest commit to be found in it: an IndexError
    assert await under_test.pass_() == "error"
    assert "IndexError" in caplog.text
    assert "internal error" in under_test.sync.record.error
    under_test.repository.push(a_tree(4318))
    assert await under_test.pass_() == "published"
