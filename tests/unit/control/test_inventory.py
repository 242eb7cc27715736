"""Components of builds: asked for once over all agents, and looked up before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitsync.control.inventory import BUILDS_ASKED, stored_key
from gitsync.opamp.client import ClientState
from gitsync.opamp.messages import Capability, Component
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.builders import SUPERVISOR, a_uid
from tests.support.clock import ManualClock
from tests.support.fleet import FleetUnderTest, TestAgent, a_fleet

BUILD = {"receivers": Component(members={"otlp": Component()})}
COMPONENTS = 2


class Built(TestAgent):
    """An agent that reports its components, or says nothing when it is asked for them.

    Attributes:
        asked: how often it was asked.
    """

    def __init__(
        self, fleet: FleetUnderTest, number: int, *, transport: str = "websocket", answers: bool = True
    ) -> None:
        super().__init__(fleet, number=number, transport=transport)
        self.asked = 0
        self._answers = answers
        self.client = ClientState(
            a_uid(number),
            {"service.name": "otelcol"},
            {},
            int(SUPERVISOR | Capability.REPORTS_AVAILABLE_COMPONENTS | Capability.REPORTS_HEARTBEAT),
            components=BUILD,
            components_hash=b"build",
        )

    def _take(self, data: bytes) -> None:
        flags = pb.ServerToAgent.FromString(data).flags
        self.asked += bool(flags & COMPONENTS)
        if self._answers or not flags & COMPONENTS:
            super()._take(data)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetUnderTest]:
    async with a_fleet(tmp_path / "fleet.db", ManualClock()) as fleet:
        yield fleet


async def settled(fleet: FleetUnderTest, *agents: Built) -> None:
    await fleet.settle()
    for one in agents:
        one.hear()
        one.beat()
    await fleet.settle()


@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_of_many_agents_with_one_build_one_is_asked(fleet: FleetUnderTest, transport: str) -> None:
    agents = [Built(fleet, number, transport=transport) for number in range(1, 51)]
    for one in agents:
        one.connect()
    await settled(fleet, *agents)
    assert sum(one.asked for one in agents) == 1
    late = Built(fleet, 99, transport=transport)
    late.connect()
    await settled(fleet, late)
    assert late.asked == 0
    await fleet.journal.flush()
    assert await fleet.store.load_blob(stored_key(b"build")) is not None


async def test_what_is_stored_is_not_asked_for_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    async with a_fleet(path) as fleet:
        agent = Built(fleet, 1)
        agent.connect()
        await settled(fleet, agent)
        assert agent.asked == 1
    async with a_fleet(path) as fleet:
        agents = [Built(fleet, number) for number in (1, 2, 3)]
        for one in agents:
            one.connect()
        await settled(fleet, *agents)
        assert [one.asked for one in agents] == [0, 0, 0]


async def test_when_the_one_that_was_asked_leaves_another_one_is(fleet: FleetUnderTest) -> None:
    silent, other = Built(fleet, 1, answers=False), Built(fleet, 2)
    silent.connect()
    other.connect()
    await settled(fleet, silent, other)
    assert (silent.asked, other.asked) == (1, 0)
    fleet.agents.closed(silent.link)
    await settled(fleet, other)
    assert other.asked == 1


async def test_an_agent_that_does_not_answer_is_asked_once_and_then_another_one(fleet: FleetUnderTest) -> None:
    silent, other = Built(fleet, 1, answers=False), Built(fleet, 2, answers=False)
    silent.connect()
    other.connect()
    await settled(fleet, silent, other)
    for _ in range(10):
        fleet.clock.advance(31)
        silent.beat()
        other.beat()
        fleet.agents.check()
        await settled(fleet, silent, other)
    assert (silent.asked, other.asked) == (1, 1)


async def test_an_agent_that_reconnects_unanswered_may_be_asked_again(fleet: FleetUnderTest) -> None:
    agent = Built(fleet, 1, answers=False)
    agent.connect()
    await settled(fleet, agent)
    fleet.agents.closed(agent.link)
    agent.connect()
    await settled(fleet, agent)
    assert agent.asked == 2


async def test_an_agent_that_does_not_count_is_not_asked_in_a_loop(fleet: FleetUnderTest) -> None:
    agent = Built(fleet, 1, transport="http", answers=False)
    agent.connect()
    await fleet.settle()
    for at in range(20):
        agent.client._sequence_num = 0  # it does not count
        agent.say(agent.client.report_health(agent.client._health.__class__(healthy=bool(at % 2))))
        await fleet.settle()
    assert agent.asked == 1


async def test_invented_builds_are_bounded(fleet: FleetUnderTest) -> None:
    agent = Built(fleet, 1)
    agent.connect()
    await fleet.settle()
    for number in range(1_500):
        fleet.clock.advance(0.1)
        message = pb.AgentToServer.FromString(agent.client.heartbeat())
        message.available_components.hash = number.to_bytes(4)
        agent.say(message.SerializeToString())
    await fleet.settle()
    assert len(fleet.agents._inventory._questions) <= 1_000


async def test_builds_that_nobody_tells_of_do_not_keep_others_from_being_asked_for(fleet: FleetUnderTest) -> None:
    for number in range(1, BUILDS_ASKED + 1):
        invented = Built(fleet, number, answers=False)
        invented.client = ClientState(
            a_uid(number),
            {"service.name": "otelcol"},
            {},
            int(SUPERVISOR | Capability.REPORTS_AVAILABLE_COMPONENTS),
            components=BUILD,
            components_hash=b"invented-%d" % number,
        )
        invented.connect()
    await fleet.settle()
    fleet.clock.advance(31)
    fleet.agents.check()
    fleet.agents.check()
    agent = Built(fleet, BUILDS_ASKED + 1)
    agent.connect()
    await settled(fleet, agent)
    assert agent.asked == 1
