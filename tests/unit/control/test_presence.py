"""Who is here: silence, farewells, a full server, slow pollers, and links that say too much."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitsync.control.agents import AgentOptions
from gitsync.fleet.agent import AttemptState
from gitsync.fleet.assign import Reason
from gitsync.opamp.messages import Capability, ErrorType
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.builders import SUPERVISOR, a_hash, a_version
from tests.support.clock import ManualClock
from tests.support.fleet import FleetUnderTest, RecordingLink, TestAgent, a_fleet

TRANSPORTS = ["websocket", "http"]
BEATING = int(SUPERVISOR | Capability.REPORTS_HEARTBEAT)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetUnderTest]:
    async with a_fleet(tmp_path / "fleet.db", ManualClock()) as fleet:
        yield fleet


async def ready(fleet: FleetUnderTest, transport: str = "websocket", number: int = 1) -> TestAgent:
    agent = TestAgent(fleet, transport=transport, capabilities=BEATING, number=number).connect()
    await fleet.settle()
    agent.beat()
    return agent


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_silent_agent_is_said_to_be_disconnected_and_its_session_is_kept(
    fleet: FleetUnderTest, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent = await ready(fleet, transport)
    session = agent.live.session
    fleet.clock.advance(121)
    with caplog.at_level(logging.WARNING, "gitsync.agents"):
        fleet.agents.check()
        fleet.agents.check()
    assert [one.message.partition(":")[0] for one in caplog.records] == ["heartbeat timeout"]
    assert fleet.meters.heartbeat_timeouts == 1
    assert not agent.live.connected
    assert agent.live.session is session
    await fleet.journal.flush()
    (row,) = (await fleet.store.load_agents([agent.uid])).values()
    assert not row.connected


async def test_an_agent_that_polls_seldom_goes_on_in_its_sequence_and_is_offered(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet, "http")
    fleet.publish(a_version(text="a"))
    fleet.clock.advance(600)
    fleet.agents.check()
    assert not agent.live.connected
    agent.beat()
    assert [one.config_hash for one in agent.configs] == [a_hash("a")]
    assert agent.live.connected


async def test_after_an_hour_an_agent_that_is_gone_is_forgotten_here_and_known_in_the_store(
    fleet: FleetUnderTest,
) -> None:
    agent = await ready(fleet)
    fleet.agents.closed(agent.link)
    fleet.clock.advance(3_590)
    fleet.agents.check()
    assert fleet.agents.get(agent.uid) is not None
    fleet.clock.advance(20)
    fleet.agents.check()
    assert fleet.agents.get(agent.uid) is None
    await fleet.journal.flush()
    assert agent.uid in await fleet.store.load_agents([agent.uid])


async def test_a_full_server_makes_room_by_forgetting_who_left_first(tmp_path: Path) -> None:
    options = AgentOptions("replica-1", max_agents=2)
    async with a_fleet(tmp_path / "fleet.db", ManualClock(), options=options) as fleet:
        first, second = await ready(fleet, number=1), await ready(fleet, number=2)
        fleet.agents.closed(second.link)
        fleet.agents.closed(first.link)
        third = await ready(fleet, number=3)
        assert third.live.connected
        assert fleet.agents.get(second.uid) is None
        assert fleet.agents.get(first.uid) is not None


async def test_a_full_server_says_when_to_come_back(tmp_path: Path) -> None:
    options = AgentOptions("replica-1", max_agents=1)
    async with a_fleet(tmp_path / "fleet.db", ManualClock(), options=options) as fleet:
        await ready(fleet)
        refused = TestAgent(fleet, number=2).connect()
        error = refused.steps[-1].error
        assert error is not None
        assert error.type is ErrorType.UNAVAILABLE
        assert error.retry_after is not None
        assert 30 <= error.retry_after.total_seconds() <= 60


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_farewell_disconnects_at_once_and_a_second_one_is_harmless(
    fleet: FleetUnderTest, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent = await ready(fleet, transport)
    epoch = agent.live.conn_epoch
    with caplog.at_level(logging.INFO, "gitsync.agents"):
        agent.say(agent.client.disconnect())
        assert not agent.live.connected
        agent.say(agent.client.disconnect())
        agent.say(agent.client.disconnect())
    assert not agent.live.connected
    assert agent.live.conn_epoch == epoch
    assert [one.message for one in caplog.records] == ["Agent disconnected: 127.0.0.1:5000"]
    agent.say(agent.client.heartbeat())
    assert agent.live.connected


async def test_an_offer_that_is_never_answered_is_tried_again_after_ever_longer_times(fleet: FleetUnderTest) -> None:
    fleet.publish(a_version(text="a"))
    agent = await ready(fleet)
    for _ in range(3):  # each connection breaks right after the offer
        fleet.agents.closed(agent.link)
        agent.link = RecordingLink()
        fleet.agents.opened(agent.link)
        agent.say(agent.client.reconnected())
    assert agent.live.assignment is not None
    assert agent.live.assignment.reason is Reason.NO_ANSWER
    assert fleet.meters.config_updates["offered"] == 3
    waited: list[int] = []
    minutes = 0
    while len(waited) < 4:
        fleet.clock.advance(60)
        minutes += 1
        agent.beat()
        before = fleet.meters.config_updates["offered"]
        fleet.agents.check()
        if not fleet.agents.idle:
            await fleet.settle()
        if fleet.meters.config_updates["offered"] > before:
            waited.append(minutes)
            minutes = 0
    # Two minutes of each time are the deadline of the try before.
    assert [one // 10 for one in waited] == [1, 2, 4, 8]
    attempt = agent.live.agent.current
    assert attempt is not None
    assert attempt.state is AttemptState.OFFERED


async def test_a_link_that_says_too_much_is_told_once_and_then_not_read_for_a_while(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet)
    for _ in range(600):
        agent.beat()
    errors = [one.error for one in agent.steps if one.error is not None]
    assert [one.type for one in errors] == [ErrorType.UNAVAILABLE]
    assert errors[0].retry_after is not None
    assert fleet.meters.protocol_errors["opamp.throttled"] == 1
    assert agent.link.paused_for[0] == pytest.approx(5.0, abs=0.1)
    assert fleet.meters.throttled == len(agent.link.paused_for) > 1
    assert agent.live.connected
    fleet.clock.advance(60)
    pauses = len(agent.link.paused_for)
    agent.beat()
    assert len(agent.link.paused_for) == pauses


async def test_bytes_that_are_no_messages_are_throttled_like_messages(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet)
    for _ in range(600):
        fleet.agents.receive(agent.link, b"\xff")
    assert agent.link.paused_for


async def test_without_a_rate_nobody_is_throttled(tmp_path: Path) -> None:
    options = AgentOptions("replica-1", message_rate=0)
    async with a_fleet(tmp_path / "fleet.db", ManualClock(), options=options) as fleet:
        agent = await ready(fleet)
        for _ in range(2_000):
            agent.beat()
        assert agent.link.paused_for == []


async def test_a_request_for_a_certificate_is_refused_counted_and_logged_once(
    fleet: FleetUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.publish(a_version(text="a"))
    agent = TestAgent(fleet).connect()
    await fleet.settle()
    with caplog.at_level(logging.WARNING, "gitsync.agents"):
        for _ in range(3):
            agent.say(agent.client.request_certificate(b"pem"))
    errors = [one.error for one in agent.steps if one.error is not None]
    assert {(one.type, one.text) for one in errors} == {
        (ErrorType.BAD_REQUEST, "this server does not issue certificates yet")
    }
    assert agent.configs == []
    assert fleet.meters.protocol_errors["opamp.csr"] == 3
    assert len(caplog.records) == 1
    agent.beat()
    assert [one.config_hash for one in agent.configs] == [a_hash("a")]


async def test_the_bit_for_certificates_is_not_set(fleet: FleetUnderTest) -> None:
    agent = await ready(fleet)
    assert not agent.client.server_capabilities & pb.ServerCapabilities_AcceptsConnectionSettingsRequest


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_agents_that_are_gone_are_not_counted_for_their_target(fleet: FleetUnderTest, transport: str) -> None:
    fleet.publish(a_version(text="a"))
    stays, goes = await ready(fleet, transport, 1), await ready(fleet, transport, 2)
    assert sum(fleet.agents.counts().values()) == 2
    goes.say(goes.client.disconnect())
    assert list(fleet.agents.counts().values()) == [1]
    goes.beat()
    assert sum(fleet.agents.counts().values()) == 2
    fleet.clock.advance(119)
    stays.beat()
    fleet.clock.advance(2)
    fleet.agents.check()
    assert list(fleet.agents.counts().values()) == [1]
