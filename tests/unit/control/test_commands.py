"""Restart commands: how they reach an agent, and what is known of what became of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitsync.control.agents import AgentOptions
from gitsync.errors import Conflict
from gitsync.fleet.agent import CommandState
from gitsync.opamp.messages import Capability, ComponentHealth
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.builders import SUPERVISOR, a_hash, a_uid, a_version
from tests.support.clock import ManualClock
from tests.support.fleet import FleetUnderTest, RecordingLink, TestAgent, a_fleet

TRANSPORTS = ["websocket", "http"]
ABLE = int(SUPERVISOR | Capability.ACCEPTS_RESTART_COMMAND)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetUnderTest]:
    async with a_fleet(tmp_path / "fleet.db") as fleet:
        yield fleet


async def ready(fleet: FleetUnderTest, transport: str = "websocket", capabilities: int = ABLE) -> TestAgent:
    """A connected agent that may be told anything."""
    agent = TestAgent(fleet, transport=transport, capabilities=capabilities).connect()
    await fleet.settle()
    agent.beat()
    return agent


def restarts(agent: TestAgent) -> int:
    """How often it was told to restart."""
    agent.hear()
    return sum(one.restart for one in agent.steps)


def state(agent: TestAgent) -> CommandState | None:
    restart = agent.live.agent.restart
    return None if restart is None else restart.state


async def test_the_command_goes_out_at_once_on_a_websocket_and_alone(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet)
    restart = fleet.agents.restart(agent.uid)
    assert restart.state is CommandState.SENT
    (sent,) = agent.link.sent
    message = pb.ServerToAgent.FromString(sent)
    assert {field.name for field, _ in message.ListFields()} == {"instance_uid", "command"}
    assert restarts(agent) == 1


async def test_the_command_takes_the_place_of_the_answer_to_a_poll_and_an_offer_waits(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet, "http")
    fleet.publish(a_version(text="a"))
    assert fleet.agents.restart(agent.uid).state is CommandState.REQUESTED
    agent.beat()
    assert (restarts(agent), agent.configs) == (1, [])
    assert state(agent) is CommandState.SENT
    agent.beat()
    assert (restarts(agent), [one.config_hash for one in agent.configs]) == (1, [a_hash("a")])


async def test_a_poll_that_is_asked_something_gets_the_command_with_the_next_answer(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet, "http")
    fleet.agents.restart(agent.uid)
    agent.live.session.request_full_state()
    agent.beat()  # is asked, and answers: that answer's answer is free
    assert restarts(agent) == 1
    assert state(agent) is CommandState.SENT


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_sign_is_taken_for_the_result_and_counted(fleet: FleetUnderTest, transport: str) -> None:
    agent = await ready(fleet, transport)
    fleet.agents.restart(agent.uid)
    agent.beat()
    agent.say(agent.client.report_health(ComponentHealth(healthy=False)))
    assert state(agent) is CommandState.SENT
    agent.say(agent.client.report_health(ComponentHealth(healthy=True)))
    assert state(agent) is CommandState.RESTARTED
    counted = {result: fleet.meters.commands["restart", result] for result in ("requested", "sent", "restarted")}
    assert counted == {"requested": 1, "sent": 1, "restarted": 1}


async def test_a_new_process_of_the_agent_is_a_sign(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet)
    fleet.agents.restart(agent.uid)
    fleet.agents.closed(agent.link)
    TestAgent(fleet, capabilities=ABLE).connect()
    assert state(agent) is CommandState.RESTARTED


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_without_a_sign_there_is_none_after_a_while(tmp_path: Path, transport: str) -> None:
    clock = ManualClock()
    async with a_fleet(tmp_path / "fleet.db", clock) as fleet:
        agent = await ready(fleet, transport)
        fleet.agents.restart(agent.uid)
        agent.beat()
        for _ in range(5):
            clock.advance(30)
            agent.beat()
            fleet.agents.check()
        assert state(agent) is CommandState.NO_SIGN
        assert restarts(agent) == 1


async def test_a_poll_that_does_not_come_in_time_is_not_told_later(tmp_path: Path) -> None:
    clock = ManualClock()
    async with a_fleet(tmp_path / "fleet.db", clock, options=AgentOptions("replica-1")) as fleet:
        agent = await ready(fleet, "http")
        fleet.agents.restart(agent.uid)
        clock.advance(121)
        fleet.agents.check()
        agent.beat()
        agent.beat()
        assert (state(agent), restarts(agent)) == (CommandState.NO_SIGN, 0)


async def test_a_second_request_while_one_is_under_way_is_the_same_command(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet)
    first = fleet.agents.restart(agent.uid)
    assert fleet.agents.restart(agent.uid) == first
    assert restarts(agent) == 1


async def test_an_agent_that_does_not_take_the_command_is_not_sent_it(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet, capabilities=int(SUPERVISOR) & ~int(Capability.ACCEPTS_RESTART_COMMAND))
    with pytest.raises(Conflict, match="does not declare AcceptsRestartCommand") as refused:
        fleet.agents.restart(agent.uid)
    assert refused.value.code == "agent.capability"
    assert agent.link.sent == []


async def test_an_agent_that_is_away_or_unknown_cannot_be_told(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet)
    fleet.agents.closed(agent.link)
    for uid in (agent.uid, a_uid(99)):
        with pytest.raises(Conflict, match="not connected"):
            fleet.agents.restart(uid)


async def test_an_agent_whose_connection_is_closing_is_refused_and_told_when_it_is_back(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet)
    agent.link.close(1001, "bye")  # the end of the socket is still on its way
    with pytest.raises(Conflict) as refused:
        fleet.agents.restart(agent.uid)
    assert refused.value.code == "agent.not-connected"
    assert (state(agent), agent.link.sent) == (None, [])
    fleet.agents.closed(agent.link)
    agent.connect()
    assert fleet.agents.restart(agent.uid).state is CommandState.SENT
    assert restarts(agent) == 1


async def test_a_command_is_not_repeated_by_the_next_process_of_the_server(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    async with a_fleet(path) as fleet:
        polling = await ready(fleet, "http")
        fleet.agents.restart(polling.uid)
        assert state(polling) is CommandState.REQUESTED
    async with a_fleet(path) as fleet:
        again = TestAgent(fleet, transport="http", capabilities=ABLE).connect()
        await fleet.settle()
        again.beat()
        again.beat()
        assert (state(again), restarts(again)) == (CommandState.NO_SIGN, 0)


async def test_what_was_sent_by_one_process_of_the_server_is_judged_by_the_next(tmp_path: Path) -> None:
    path, clock = tmp_path / "fleet.db", ManualClock()
    async with a_fleet(path, clock) as fleet:
        agent = await ready(fleet)
        fleet.agents.restart(agent.uid)
    async with a_fleet(path, clock) as fleet:
        again = TestAgent(fleet, capabilities=ABLE)
        again.link = RecordingLink()
        fleet.agents.opened(again.link)
        again.say(again.client.reconnected())
        await fleet.settle()
        assert state(again) is CommandState.SENT
        clock.advance(121)
        fleet.agents.check()
        assert state(again) is CommandState.NO_SIGN
        assert restarts(again) == 0
