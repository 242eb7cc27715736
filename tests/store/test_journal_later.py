"""Records that are made when they are written: nothing is lost, however often and whenever an agent changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.control.records import AgentRecord, AttemptRecord, SyncState
from gitsync.errors import Unavailable
from gitsync.fleet.agent import Attempt, AttemptState
from gitsync.ids import AgentUid, ConfigHash
from gitsync.store import Journal, SqlStore
from gitsync.store.journal import AgentStore, JournalLimits
from tests.store.builders import NOW, a_record, a_uid, an_attempt

IDLE = JournalLimits(quiet_seconds=3600, interval_seconds=3600)
QUICK = JournalLimits(quiet_seconds=0.005, interval_seconds=0.01, longest_pause_seconds=0.05)
OFFERED, APPLYING, APPLIED = AttemptState.OFFERED, AttemptState.APPLYING, AttemptState.APPLIED
_Key = tuple[AgentUid, ConfigHash, int]


class Live:
    """An agent that changes, and makes its record when it is asked; always by the same object.

    Attributes:
        made: how often it was asked.
    """

    def __init__(self, journal: Journal, number: int = 1, epoch: int = 1_000) -> None:
        self.journal = journal
        self.now = a_record(number, conn_epoch=epoch)
        self.made = 0
        self.record = self._record

    def _record(self) -> AgentRecord:
        self.made += 1
        return self.now

    def note(self, current: Attempt | None = None, **changes: object) -> None:
        """Changes, and says so."""
        agent = self.now.agent if current is None else replace(self.now.agent, current=current)
        self.now = replace(self.now, agent=agent, **changes)  # type: ignore[arg-type]  # fields of a record
        self.journal.note_later(agent.uid, agent.current, self.record)


class Passing:
    """Hands everything on to a store, and does something before; the port `AgentStore`."""

    def __init__(self, store: AgentStore) -> None:
        self.store = store
        self.before_saving: Callable[[], None] = lambda: None
        self.before_keeping: Callable[[], None] = lambda: None

    async def load_agents(self, uids: Sequence[AgentUid]) -> Mapping[AgentUid, AgentRecord]:
        return await self.store.load_agents(uids)

    async def save_agents(
        self,
        records: Sequence[AgentRecord],
        attempts: Sequence[AttemptRecord],
        before: Mapping[AgentUid, AgentRecord] | None = None,
    ) -> None:
        act, self.before_saving = self.before_saving, lambda: None
        act()
        await self.store.save_agents(records, attempts, before)

    async def keep_blob(self, digest: bytes, kind: str, body: bytes, at: datetime) -> None:
        act, self.before_keeping = self.before_keeping, lambda: None
        act()
        await self.store.keep_blob(digest, kind, body, at)


def away() -> None:
    raise Unavailable("away")


def at(attempt: Attempt, state: AttemptState, seconds: int) -> Attempt:
    return replace(attempt, state=state, changed_at=NOW + timedelta(seconds=seconds))


async def stored(store: SqlStore, number: int = 1) -> AgentRecord | None:
    return (await store.load_agents([a_uid(number)])).get(a_uid(number))


async def history(store: SqlStore, number: int = 1) -> list[Attempt]:
    """Newest first."""
    return [one.attempt for one in await store.list_attempts(a_uid(number), 10)]


async def test_of_many_changes_in_one_batch_one_record_is_made_and_it_is_the_newest(store: SqlStore) -> None:
    journal = Journal(store, lambda: NOW, IDLE)
    live = Live(journal)
    for state in (SyncState.PENDING, SyncState.OFFERED, SyncState.FAILED, SyncState.APPLIED):
        live.note(state=state)
    assert (journal.waiting, live.made) == (1, 0)
    await journal.flush()
    assert live.made == 1
    assert await stored(store) == live.now


async def test_of_each_attempt_of_one_batch_the_newest_state_is_history(store: SqlStore) -> None:
    journal = Journal(store, lambda: NOW, IDLE)
    live = Live(journal)
    first, second = an_attempt("a"), an_attempt("b", offered_at=NOW + timedelta(seconds=9))
    for number, state in enumerate((OFFERED, APPLYING, APPLIED)):
        live.note(at(first, state, number))
        live.note(healthy=bool(number))
    live.note(at(second, OFFERED, 9))
    live.note(at(second, APPLYING, 10))
    live.note(state=SyncState.APPLYING)
    await journal.flush()
    assert await history(store) == [at(second, APPLYING, 10), at(first, APPLIED, 2)]
    live.note(at(second, APPLIED, 11))
    await journal.flush()
    assert await history(store) == [at(second, APPLIED, 11), at(first, APPLIED, 2)]
    assert await stored(store) == live.now


async def test_a_change_while_its_record_is_written_is_written_afterwards_by_itself(store: SqlStore) -> None:
    passing = Passing(store)
    async with Journal(passing, lambda: NOW, QUICK).running() as journal:
        live = Live(journal)
        passing.before_saving = lambda: live.note(at(an_attempt(), APPLIED, 5), state=SyncState.APPLIED)
        live.note(an_attempt(), state=SyncState.OFFERED)
        async with asyncio.timeout(10):
            while (found := await stored(store)) is None or found.state is not SyncState.APPLIED:
                await asyncio.sleep(0.005)
        assert await history(store) == [at(an_attempt(), APPLIED, 5)]


async def test_a_change_while_large_values_are_written_is_in_the_batch_that_follows(store: SqlStore) -> None:
    passing = Passing(store)
    journal = Journal(passing, lambda: NOW, IDLE)
    live = Live(journal)
    live.note(an_attempt(), state=SyncState.OFFERED)
    journal.note_blob(b"d" * 32, "effective", b"body")
    passing.before_keeping = lambda: live.note(at(an_attempt(), APPLIED, 5), state=SyncState.APPLIED)
    await journal.flush()
    assert await stored(store) == live.now
    assert live.now.state is SyncState.APPLIED
    assert await history(store) == [at(an_attempt(), APPLIED, 5)]
    assert journal.waiting == 0


@pytest.mark.parametrize("changes_meanwhile", [True, False])
async def test_what_changes_around_a_write_that_fails_is_not_lost(store: SqlStore, changes_meanwhile: bool) -> None:
    passing = Passing(store)
    journal = Journal(passing, lambda: NOW, IDLE)
    live = Live(journal)

    def fail() -> None:
        if changes_meanwhile:
            live.note(at(an_attempt(), APPLYING, 1), state=SyncState.APPLYING)
        away()

    passing.before_saving = fail
    live.note(an_attempt(), state=SyncState.OFFERED)
    with pytest.raises(Unavailable):
        await journal.flush()
    live.note(at(an_attempt(), APPLIED, 2), state=SyncState.APPLIED)
    live.note(healthy=True)
    await journal.flush()
    assert await stored(store) == live.now
    assert await history(store) == [at(an_attempt(), APPLIED, 2)]


async def test_an_agent_under_a_new_uid_has_two_rows_the_old_one_without_a_connection(store: SqlStore) -> None:
    journal = Journal(store, lambda: NOW, IDLE)
    live = Live(journal)
    live.note(an_attempt(), state=SyncState.OFFERED)
    journal.note(replace(live.now, connected=False))
    live.now = replace(live.now, agent=replace(live.now.agent, uid=a_uid(2)))
    live.note(state=SyncState.APPLIED)
    live.note(at(an_attempt(), APPLIED, 3))
    await journal.flush()
    old, new = await stored(store, 1), await stored(store, 2)
    assert old is not None
    assert (old.connected, old.state) == (False, SyncState.OFFERED)
    assert new == live.now
    assert (await history(store, 1), await history(store, 2)) == ([an_attempt()], [at(an_attempt(), APPLIED, 3)])


async def test_one_that_is_admitted_anew_takes_the_place_of_what_waits_of_it(store: SqlStore) -> None:
    journal = Journal(store, lambda: NOW, IDLE)
    before, again = Live(journal), Live(journal, epoch=2_000)
    before.note(an_attempt(), state=SyncState.OFFERED)
    before.note(connected=False)
    again.note(at(an_attempt(), APPLYING, 4), state=SyncState.APPLYING)
    again.note(at(an_attempt(), APPLIED, 5), state=SyncState.APPLIED)
    await journal.flush()
    assert await stored(store) == again.now
    assert before.made == 0
    assert await history(store) == [at(an_attempt(), APPLIED, 5)]


async def test_one_that_went_because_too_many_waited_waits_again_when_it_changes(store: SqlStore) -> None:
    journal = Journal(store, lambda: NOW, replace(IDLE, agents=1))
    live, other = Live(journal, 1), Live(journal, 2)
    live.note(state=SyncState.OFFERED)
    other.note(state=SyncState.OFFERED)
    assert (journal.waiting, journal.dropped) == (1, 1)
    live.note(state=SyncState.APPLIED)
    await journal.flush()
    assert await stored(store) == live.now


class Keeping:
    """A store in memory, of what this page needs: the newest row and the newest state of every attempt."""

    def __init__(self) -> None:
        self.rows: dict[AgentUid, AgentRecord] = {}
        self.attempts: dict[_Key, Attempt] = {}

    async def load_agents(self, uids: Sequence[AgentUid]) -> Mapping[AgentUid, AgentRecord]:
        return {uid: self.rows[uid] for uid in uids if uid in self.rows}

    async def save_agents(
        self,
        records: Sequence[AgentRecord],
        attempts: Sequence[AttemptRecord],
        before: Mapping[AgentUid, AgentRecord] | None = None,
    ) -> None:
        assert all(self.rows[uid] == one for uid, one in (before or {}).items()), "what it says was stored, was"
        self.rows |= {one.agent.uid: one for one in records}
        self.attempts |= {(one.uid, one.attempt.digest, one.attempt.revision): one.attempt for one in attempts}

    async def keep_blob(self, digest: bytes, kind: str, body: bytes, at: datetime) -> None:
        pass


changes = st.tuples(
    st.sampled_from(["note", "attempt", "attempt", "leave", "return"]), st.integers(1, 2), st.sampled_from("abc")
)
steps = st.one_of(
    changes, changes, changes, st.just("flush"), st.tuples(st.just("fail"), st.lists(changes, max_size=3))
)
Step = str | tuple[str, list[tuple[str, int, str]]] | tuple[str, int, str]


@settings(deadline=None, max_examples=300)
@given(st.lists(steps, max_size=25))
def test_whatever_happens_rows_are_the_newest_and_history_has_the_newest_state_of_every_attempt(
    script: list[Step],
) -> None:
    asyncio.run(_follow(script))


async def _follow(script: list[Step]) -> None:
    keeping = Keeping()
    passing = Passing(keeping)
    journal = Journal(passing, lambda: NOW, IDLE)
    agents = {number: Live(journal, number) for number in (1, 2)}
    expected: dict[_Key, Attempt] = {}
    noted: set[int] = set()
    count = 0

    def change(kind: str, number: int, text: str) -> None:
        nonlocal count
        count += 1
        live = agents[number]
        noted.add(number)
        match kind:
            case "attempt":
                attempt = at(an_attempt(text), list(AttemptState)[count % 4], count)
                expected[a_uid(number), attempt.digest, attempt.revision] = attempt
                live.note(attempt)
            case "leave":
                live.note(connected=False)
            case "return":
                agents[number] = Live(journal, number, epoch=1_000 + count)
                agents[number].note(live.now.agent.current)
            case _:
                live.note(error=f"change {count}")

    def fail(those: list[tuple[str, int, str]]) -> Callable[[], None]:
        def act() -> None:
            for one in those:
                change(*one)
            away()

        return act

    for step in script:
        match step:
            case "flush":
                await journal.flush()
            case ("fail", list() as those):
                passing.before_saving = fail(those)
                if journal.waiting:
                    with pytest.raises(Unavailable):
                        await journal.flush()
                passing.before_saving = lambda: None
            case (str() as kind, int() as number, str() as text):
                change(kind, number, text)
    await journal.flush()
    assert keeping.rows == {a_uid(number): agents[number].now for number in noted}
    assert keeping.attempts == expected
    assert (journal.waiting, journal.dropped) == (0, 0)
