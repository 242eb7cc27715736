"""Agents that go from one server to another and come back: two servers on one store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitsync.control.agents import AgentOptions
from gitsync.control.records import AgentRecord
from gitsync.opamp.messages import Capability
from tests.support.builders import SUPERVISOR, a_hash, a_version
from tests.support.clock import ManualClock
from tests.support.fleet import FleetUnderTest, RecordingLink, TestAgent, a_fleet

BEATING = int(SUPERVISOR | Capability.REPORTS_HEARTBEAT | Capability.ACCEPTS_RESTART_COMMAND)
Pair = tuple[FleetUnderTest, FleetUnderTest]


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Pair]:
    clock = ManualClock()
    path = tmp_path / "fleet.db"
    async with (
        a_fleet(path, clock, options=AgentOptions("replica-1")) as one,
        a_fleet(path, clock, options=AgentOptions("replica-2")) as two,
    ):
        yield one, two


async def go(agent: TestAgent, to: FleetUnderTest) -> None:
    """The agent's connection ends, what its server knows is stored, and it connects to a server and goes on."""
    await leave(agent)
    agent._fleet = to
    agent.link = RecordingLink()
    to.agents.opened(agent.link)
    agent.say(agent.client.reconnected())
    agent.beat()
    await to.settle()
    agent.beat()


async def leave(agent: TestAgent) -> None:
    agent._fleet.agents.closed(agent.link)
    await agent._fleet.settle()
    await agent._fleet.journal.flush()
    agent._fleet.clock.advance(5)


async def started(fleet: FleetUnderTest) -> TestAgent:
    """An agent that runs "a"."""
    fleet.publish(a_version(text="a"))
    agent = TestAgent(fleet, capabilities=BEATING).connect()
    await fleet.settle()
    agent.beat()
    agent.apply()
    await fleet.settle()
    return agent


async def test_what_failed_at_another_server_is_not_offered_again_by_the_one_that_knew_the_agent(servers: Pair) -> None:
    one, two = servers
    agent = await started(one)
    two.publish(a_version(text="b"))
    await go(agent, two)
    assert agent.configs[-1].config_hash == a_hash("b")
    agent.fail()
    one.publish(a_version(text="b"))
    await go(agent, one)
    await one.settle()
    agent.hear()
    assert [one.config_hash for one in agent.configs].count(a_hash("b")) == 1
    assert agent.live.agent.failed == (a_hash("b"),)
    await leave(agent)
    (row,) = (await one.store.load_agents([agent.uid])).values()
    assert (row.replica_id, row.agent.failed) == ("replica-1", (a_hash("b"),))


async def test_an_agent_that_went_nowhere_else_is_not_looked_up_again(servers: Pair) -> None:
    one, _ = servers
    agent = await started(one)
    await leave(agent)
    agent.link = RecordingLink()
    one.agents.opened(agent.link)
    agent.say(agent.client.reconnected())
    assert agent.live.backlog is None


async def test_a_new_process_of_an_agent_that_went_nowhere_else_keeps_what_is_known(servers: Pair) -> None:
    one, _ = servers
    agent = await started(one)
    one.agents.restart(agent.uid)
    await leave(agent)
    again = TestAgent(one, capabilities=BEATING).connect()
    assert again.live.backlog is not None
    await one.settle()
    known = agent.live.agent
    assert known.current is not None
    assert known.current.digest == a_hash("a")
    assert known.restart is not None
    assert known.restart.sign == "its sequence began again"


async def test_a_server_that_is_alone_needs_no_row_of_an_agent_that_it_knows(tmp_path: Path) -> None:
    options = AgentOptions("replica-1", is_alone=True)
    async with a_fleet(tmp_path / "fleet.db", ManualClock(), options=options) as fleet:
        agent = await started(fleet)
        await leave(agent)
        agent.connect()
        assert agent.live.backlog is None


async def test_a_row_that_comes_late_does_not_take_the_agent_from_the_server_that_it_went_to(servers: Pair) -> None:
    one, two = servers
    agent = TestAgent(one, capabilities=BEATING)
    agent.link = RecordingLink()
    one.agents.opened(agent.link)
    agent.say(agent.client.first_message())
    one.agents.closed(agent.link)  # before its row was looked for
    late = agent.live
    one.clock.advance(5)
    agent._fleet = two
    agent.connect()
    row = await _stored(two, agent)
    one.agents.recall(late, row)
    await one.journal.flush()
    (found,) = (await one.store.load_agents([agent.uid])).values()
    assert (found.replica_id, found.connected) == ("replica-2", True)


async def _stored(fleet: FleetUnderTest, agent: TestAgent) -> AgentRecord:
    await fleet.settle()
    await fleet.journal.flush()
    return (await fleet.store.load_agents([agent.uid]))[agent.uid]
