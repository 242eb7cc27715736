"""What becomes known of live agents reaches the store, whatever becomes of them, and they leave nothing behind."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitsync.control.agents import AgentOptions
from gitsync.control.connected import ConnectedAgent
from gitsync.control.records import AgentRecord
from gitsync.fleet.agent import AttemptState
from gitsync.ids import AgentUid
from gitsync.opamp.client import ClientState
from gitsync.opamp.messages import ComponentHealth, ConfigStatus
from gitsync.store import JournalLimits
from tests.support.builders import SUPERVISOR, a_hash, a_version
from tests.support.clock import ManualClock
from tests.support.fleet import FleetUnderTest, TestAgent, a_fleet

APPLYING, APPLIED = ConfigStatus.APPLYING, ConfigStatus.APPLIED


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetUnderTest]:
    async with a_fleet(tmp_path / "fleet.db", ManualClock(), options=AgentOptions("replica-1", max_agents=1)) as fleet:
        yield fleet


async def ready(fleet: FleetUnderTest, number: int = 1) -> TestAgent:
    agent = TestAgent(fleet, number=number).connect()
    await fleet.settle()
    agent.beat()
    return agent


async def stored(fleet: FleetUnderTest, uid: AgentUid) -> AgentRecord:
    await fleet.journal.flush()
    return (await fleet.store.load_agents([uid]))[uid]


async def history(fleet: FleetUnderTest, uid: AgentUid) -> list[tuple[bytes, AttemptState]]:
    """Newest first."""
    return [(one.attempt.digest, one.attempt.state) for one in await fleet.store.list_attempts(uid, 10)]


async def test_a_publication_is_one_record_however_many_changes_it_makes(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet)
    await fleet.journal.flush()
    fleet.publish(a_version(text="a"))
    await fleet.settle()
    agent.hear()
    made = agent.live.record
    agent.apply()
    await fleet.settle()
    assert agent.live.record is made is not None
    assert fleet.journal.waiting == 1
    row = await stored(fleet, agent.uid)
    assert row.agent == agent.live.agent
    assert (row.agent.labels, row.state) == (agent.live.agent.labels, agent.live.state)
    ((digest, state),) = await history(fleet, agent.uid)
    assert digest == a_hash("a")
    assert state in (AttemptState.APPLIED, AttemptState.PROVEN)


async def test_what_changes_between_two_batches_is_in_the_second(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet)
    fleet.publish(a_version(text="a"))
    await fleet.settle()
    agent.hear()
    assert (await stored(fleet, agent.uid)).agent == agent.live.agent
    assert await history(fleet, agent.uid) == [(a_hash("a"), AttemptState.OFFERED)]
    agent.say(agent.client.report_status(a_hash("a"), APPLYING))
    assert (await stored(fleet, agent.uid)).agent == agent.live.agent
    assert await history(fleet, agent.uid) == [(a_hash("a"), AttemptState.APPLYING)]
    agent.fail("exit code 7")
    assert (await stored(fleet, agent.uid)).agent.error == "exit code 7"
    assert await history(fleet, agent.uid) == [(a_hash("a"), AttemptState.FAILED)]


async def test_two_configurations_in_one_batch_are_both_history(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet)
    for text in ("a", "b"):
        fleet.clock.advance(1)
        fleet.publish(a_version(text=text))
        await fleet.settle()
        agent.hear()
        agent.apply()
    await fleet.settle()
    await fleet.journal.flush()
    assert [digest for digest, _ in await history(fleet, agent.uid)] == [a_hash("b"), a_hash("a")]
    assert not any(state.is_open for _, state in await history(fleet, agent.uid))


async def test_a_renamed_agent_is_stored_under_both_uids_and_connected_under_the_new_one(fleet: FleetUnderTest) -> None:
    agent = TestAgent(fleet)
    agent.client = ClientState(
        agent.uid,
        {"service.name": "otelcol"},
        {},
        int(SUPERVISOR),
        health=ComponentHealth(healthy=True),
        request_uid=True,
    )
    agent.connect()
    old = agent.uid
    await fleet.settle()
    agent.hear()
    agent.beat()
    new = agent.uid = agent.client.uid
    assert new != old
    await fleet.settle()
    fleet.publish(a_version(text="a"))
    await fleet.settle()
    agent.hear()
    agent.apply()
    before, now = await stored(fleet, old), await stored(fleet, new)
    assert not before.connected
    assert (now.connected, now.agent) == (True, agent.live.agent)
    assert ([one for one, _ in await history(fleet, new)], await history(fleet, old)) == ([a_hash("a")], [])


async def test_an_agent_that_was_forgotten_goes_on_from_its_row_when_it_is_admitted_anew(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet)
    fleet.publish(a_version(text="a"))
    await fleet.settle()
    agent.hear()
    agent.apply()
    first = agent.live
    fleet.agents.closed(agent.link)
    other = await ready(fleet, number=2)  # takes the only place; what is known of the first one still waits
    assert fleet.agents.get(agent.uid) is None
    fleet.agents.closed(other.link)
    fleet.clock.advance(1)
    agent.connect()
    await fleet.settle()
    agent.beat()
    assert agent.live is not first
    assert agent.live.agent.last_good == first.agent.last_good
    row = await stored(fleet, agent.uid)
    assert (row.connected, row.conn_epoch, row.agent) == (True, agent.live.conn_epoch, agent.live.agent)
    assert [digest for digest, _ in await history(fleet, agent.uid)] == [a_hash("a")]
    assert not (await stored(fleet, other.uid)).connected


@contextmanager
def without_collector() -> Iterator[None]:
    """What forms a cycle stays."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def in_memory(uid: AgentUid) -> int:
    """How many live agents there are of this uid."""
    return sum(type(one) is ConnectedAgent and one.agent.uid == uid for one in gc.get_objects())


async def test_of_agents_that_are_forgotten_nothing_stays_until_the_collector_looks(tmp_path: Path) -> None:
    limits = JournalLimits(known_agents=1)
    options = AgentOptions("replica-1", max_agents=1)
    async with a_fleet(tmp_path / "fleet.db", ManualClock(), options=options, limits=limits) as fleet:
        with without_collector():
            agent = await ready(fleet, number=987_654)  # a uid that no other test of this process leaves behind
            uid = agent.uid
            assert in_memory(uid) == 1
            fleet.agents.closed(agent.link)
            del agent
            await fleet.journal.flush()
            await ready(fleet, number=2)
            await fleet.journal.flush()
            assert fleet.agents.get(uid) is None
            assert in_memory(uid) == 0
