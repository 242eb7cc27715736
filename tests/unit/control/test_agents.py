"""`Agents`: conversations with agents, with everything real but the socket."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from gitsync.control.agents import AgentOptions
from gitsync.fleet.agent import AttemptState
from gitsync.fleet.assign import Reason
from gitsync.labels import Selector
from gitsync.opamp.messages import ATTESTATION_CAPABILITY, Capability, ConfigStatus, ErrorType
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.builders import SUPERVISOR, a_hash, a_uid, a_version, later
from tests.support.clock import ManualClock
from tests.support.fleet import FleetUnderTest, RecordingLink, TestAgent, a_fleet, connected_count

TRANSPORTS = ["websocket", "http"]
A = "receivers: {}\n"


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetUnderTest]:
    async with a_fleet(tmp_path / "fleet.db") as fleet:
        yield fleet


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_agent_is_offered_its_configuration_after_its_second_message(
    fleet: FleetUnderTest, transport: str
) -> None:
    fleet.publish(a_version(text="a"))
    agent = TestAgent(fleet, transport=transport).connect()
    assert agent.configs == []
    await fleet.settle()
    agent.hear()
    assert agent.configs == []
    agent.beat()
    assert [one.config_hash for one in agent.configs] == [a_hash("a")]
    agent.beat()
    assert len(agent.configs) == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_publication_reaches_a_websocket_at_once_and_a_poll_with_its_answer(
    fleet: FleetUnderTest, transport: str
) -> None:
    fleet.publish(a_version(text="a"))
    agent = TestAgent(fleet, transport=transport).connect()
    await fleet.settle()
    agent.beat()
    agent.apply()
    fleet.publish(a_version(text="b"))
    await fleet.settle()
    agent.hear()
    assert len(agent.configs) == (2 if transport == "websocket" else 1)
    agent.beat()
    assert [one.config_hash for one in agent.configs] == [a_hash("a"), a_hash("b")]


async def test_nothing_is_offered_before_the_stored_row_is_loaded(fleet: FleetUnderTest) -> None:
    fleet.publish(a_version(text="a"))
    agent = TestAgent(fleet).connect()
    agent.beat()
    assert agent.live.session.offers_open
    assert agent.configs == []
    await fleet.settle()
    agent.hear()
    assert len(agent.configs) == 1


async def test_a_failure_that_was_stored_is_remembered_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    async with a_fleet(path) as fleet:
        fleet.publish(a_version(text="a"))
        agent = TestAgent(fleet).connect()
        await fleet.settle()
        agent.beat()
        agent.fail()
        assert agent.live.agent.failed == (a_hash("a"),)
    async with a_fleet(path) as fleet:
        fleet.publish(a_version(text="a"))
        again = TestAgent(fleet).connect()
        await fleet.settle()
        again.beat()
        assert again.configs == []
        assert again.live.assignment is not None
        assert again.live.assignment.reason is Reason.ALL_FAILED


async def test_an_agent_without_a_target_is_answered_and_offered_nothing(fleet: FleetUnderTest) -> None:
    fleet.publish(a_version(text="a", selector=Selector.labels(role="other")))
    agent = TestAgent(fleet).connect()
    await fleet.settle()
    agent.beat()
    agent.beat()
    assert agent.configs == []
    assert len(agent.steps) >= 3


async def test_before_anything_is_published_agents_are_answered_and_offered_later(fleet: FleetUnderTest) -> None:
    agent = TestAgent(fleet).connect()
    await fleet.settle()
    agent.beat()
    assert agent.configs == []
    fleet.publish(a_version(text="a"))
    await fleet.settle()
    agent.hear()
    assert len(agent.configs) == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_failed_configuration_is_replaced_by_the_last_good_one(fleet: FleetUnderTest, transport: str) -> None:
    good, bad = "receivers: {otlp: {}}\n", "receivers: {other: {}}\n"
    fleet.publish(a_version(text=good), texts=[good])
    agent = TestAgent(fleet, transport=transport).connect()
    await fleet.settle()
    agent.beat()
    agent.apply()
    await fleet.settle()
    assert agent.live.agent.last_good == a_hash(good)
    fleet.publish(a_version(text=bad), texts=[bad])
    # The last good payload is not in use any more: it comes from the store.
    from tests.support.builders import a_payload

    fleet.agents.published.payloads.update({a_hash(good): a_payload(good)})  # type: ignore[attr-defined]
    fleet.agents.set_published(fleet.agents.published)
    await fleet.settle()
    agent.beat()
    agent.fail()
    agent.beat()
    assert [one.config_hash for one in agent.configs] == [a_hash(good), a_hash(bad), a_hash(good)]
    agent.apply()
    await fleet.settle()
    assert agent.live.agent.current is not None
    assert agent.live.agent.current.state is AttemptState.PROVEN
    assert agent.live.state == "failed"


async def test_an_agent_that_verifies_is_never_given_a_configuration_without_its_statement(
    fleet: FleetUnderTest,
) -> None:
    fleet.publish(a_version(text="a"))
    agent = TestAgent(fleet, custom=[ATTESTATION_CAPABILITY]).connect()
    await fleet.settle()
    agent.beat()
    assert agent.configs == []


async def test_bytes_that_are_no_message_get_a_readable_answer(fleet: FleetUnderTest) -> None:
    agent = TestAgent(fleet).connect()
    (answer,) = fleet.agents.receive(agent.link, b"\xff\xff\xff")
    reply = pb.ServerToAgent.FromString(answer)
    assert reply.error_response.type == pb.ServerErrorResponseType_BadRequest
    assert reply.error_response.error_message
    agent.beat()
    assert fleet.meters.protocol_errors.total() == 1


async def test_the_newer_of_two_links_of_one_agent_wins(fleet: FleetUnderTest) -> None:
    agent = TestAgent(fleet).connect()
    await fleet.settle()
    older = agent.link
    agent.connect()
    assert older.is_open
    assert agent.live.link is agent.link
    fleet.agents.closed(older)
    assert agent.live.connected


async def test_a_closed_socket_disconnects_its_agents(fleet: FleetUnderTest) -> None:
    agent = TestAgent(fleet).connect()
    await fleet.settle()
    fleet.agents.closed(agent.link)
    assert not agent.live.connected
    assert connected_count(fleet.agents) == 0
    await fleet.journal.flush()
    (row,) = (await fleet.store.load_agents([agent.uid])).values()
    assert not row.connected


async def test_several_agents_may_share_a_socket(fleet: FleetUnderTest) -> None:
    fleet.publish(a_version(text="a"))
    first, second = TestAgent(fleet, number=1).connect(), TestAgent(fleet, number=2)
    second.link = first.link
    second.say(second.client.first_message())
    await fleet.settle()
    first.beat()
    second.beat()
    assert [len(one.configs) for one in (first, second)] == [1, 1]
    fleet.agents.closed(first.link)
    assert connected_count(fleet.agents) == 0


async def test_a_silent_agent_is_taken_for_gone_and_comes_back(tmp_path: Path) -> None:
    clock = ManualClock()
    async with a_fleet(tmp_path / "fleet.db", clock) as fleet:
        agent = TestAgent(fleet, transport="http").connect()
        await fleet.settle()
        clock.advance(60)
        fleet.agents.check()
        assert connected_count(fleet.agents) == 1
        clock.advance(180)
        fleet.agents.check()
        assert connected_count(fleet.agents) == 0
        assert fleet.meters.heartbeat_timeouts == 1
        agent.beat()
        assert connected_count(fleet.agents) == 1


async def test_an_offer_without_answer_is_repeated_and_then_flagged(tmp_path: Path) -> None:
    clock = ManualClock()
    async with a_fleet(tmp_path / "fleet.db", clock) as fleet:
        fleet.publish(a_version(text="a"))
        agent = TestAgent(fleet).connect()
        await fleet.settle()
        agent.beat()
        for _ in range(4):
            clock.advance(100)
            agent.beat()
            clock.advance(100)
            fleet.agents.check()
        assert fleet.meters.config_updates["offered"] == 3
        assert agent.live.assignment is not None
        assert agent.live.assignment.reason is Reason.NO_ANSWER


async def test_what_an_agent_says_is_counted_and_stored(fleet: FleetUnderTest) -> None:
    fleet.publish(a_version(text="a"))
    agent = TestAgent(fleet, {"role": "agent"}).connect()
    await fleet.settle()
    agent.beat()
    agent.apply()
    assert fleet.meters.config_updates["offered"] == fleet.meters.config_updates["applied"] == 1
    assert {key[1] for key in fleet.agents.counts()} == {"applied"}
    await fleet.journal.flush()
    (row,) = (await fleet.store.load_agents([agent.uid])).values()
    assert row.state == "applied"
    assert row.agent.labels.reported["role"] == "agent"
    assert row.agent.reported is not None
    assert row.agent.reported.status is ConfigStatus.APPLIED


async def test_when_an_agent_was_last_seen_counts_heartbeats_too(tmp_path: Path) -> None:
    clock = ManualClock()
    async with a_fleet(tmp_path / "fleet.db", clock) as fleet:
        agent = TestAgent(fleet).connect()
        await fleet.settle()
        clock.advance(25)
        agent.beat()
        clock.advance(5)
        assert fleet.agents.last_seen(agent.live) == later(25)


async def test_a_peer_that_invents_agents_is_stopped(fleet: FleetUnderTest) -> None:
    first = TestAgent(fleet).connect()
    for number in range(2, 1_100):
        other = TestAgent(fleet, number=number)
        other.link = first.link
        other.say(other.client.first_message())
    assert connected_count(fleet.agents) == 1_000
    assert fleet.meters.protocol_errors["opamp.too-many-agents"] == 99


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_agent_that_asks_for_a_uid_is_told_in_the_answer(fleet: FleetUnderTest, transport: str) -> None:
    fleet.publish(a_version(text="a"))
    agent = TestAgent(fleet, transport=transport)
    agent.link = RecordingLink(transport)
    fleet.agents.opened(agent.link)
    asking = pb.AgentToServer.FromString(agent.client.first_message())
    asking.flags = pb.AgentToServerFlags_RequestInstanceUid
    agent.say(asking.SerializeToString())
    old, agent.uid = agent.uid, a_uid(1_001)
    agent.beat()  # before the stored row of the old uid was loaded
    await fleet.settle()
    agent.beat()
    agent.hear()
    assert fleet.agents.get(old) is None
    assert connected_count(fleet.agents) == 1
    assert [one.config_hash for one in agent.configs] == [a_hash("a")]


async def test_nobody_stays_connected_under_a_uid_that_was_given_up(fleet: FleetUnderTest) -> None:
    fleet.publish(a_version(text="a"))
    agent = TestAgent(fleet).connect()
    await fleet.settle()
    await fleet.journal.flush()
    asking = pb.AgentToServer.FromString(agent.client.heartbeat())
    asking.flags = pb.AgentToServerFlags_RequestInstanceUid
    agent.say(asking.SerializeToString())
    agent.beat()
    await fleet.journal.flush()
    rows = await fleet.store.load_agents([agent.uid, a_uid(1_001)])
    assert {uid: row.connected for uid, row in rows.items()} == {agent.uid: False, a_uid(1_001): True}


async def test_an_agent_that_left_comes_back_on_the_socket_of_its_proxy(fleet: FleetUnderTest) -> None:
    fleet.publish(a_version(text="a"))
    first, second = TestAgent(fleet, number=1).connect(), TestAgent(fleet, number=2)
    second.link = first.link
    second.say(second.client.first_message())
    await fleet.settle()
    first.say(first.client.disconnect())
    assert connected_count(fleet.agents) == 1
    first.say(first.client.reconnected())
    first.beat()
    assert connected_count(fleet.agents) == 2
    assert [one.config_hash for one in first.configs] == [a_hash("a")]


async def test_a_silent_agent_does_not_take_its_proxy_s_socket_with_it(tmp_path: Path) -> None:
    clock = ManualClock()
    async with a_fleet(tmp_path / "fleet.db", clock) as fleet:
        beating = int(SUPERVISOR | Capability.REPORTS_HEARTBEAT)
        first = TestAgent(fleet, number=1, capabilities=beating).connect()
        second = TestAgent(fleet, number=2, capabilities=beating)
        second.link = first.link
        second.say(second.client.first_message())
        await fleet.settle()
        clock.advance(200)
        second.beat()
        fleet.agents.check()
        assert not first.live.connected
        assert first.link.is_open
        clock.advance(200)
        fleet.agents.check()
        assert not first.link.is_open


async def test_a_broken_stored_row_keeps_no_other_agent_waiting(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    async with a_fleet(path) as fleet:
        for number in (1, 2, 3):
            TestAgent(fleet, number=number).connect()
        await fleet.settle()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE agent_status SET body = '{' WHERE uid = ?", [a_uid(2)])
    async with a_fleet(path) as fleet:
        fleet.publish(a_version(text="a"))
        agents = [TestAgent(fleet, number=number).connect() for number in (1, 2, 3)]
        await fleet.settle()
        for one in agents:
            one.beat()
        assert [len(one.configs) for one in agents] == [1, 1, 1]


async def test_a_server_that_is_full_says_so_to_agents_that_it_does_not_know(tmp_path: Path) -> None:
    async with a_fleet(tmp_path / "fleet.db", options=AgentOptions("replica-1", max_agents=2)) as fleet:
        agents = [TestAgent(fleet, number=number, transport="http").connect() for number in (1, 2, 3)]
        assert connected_count(fleet.agents) == 2
        assert fleet.meters.protocol_errors["opamp.full"] == 1
        agents[0].beat()
        assert fleet.meters.protocol_errors["opamp.full"] == 1
        error = agents[2].steps[-1].error
        assert error is not None
        assert error.type is ErrorType.UNAVAILABLE


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_agent_that_is_away_is_not_shown_as_having_what_came_since(
    fleet: FleetUnderTest, transport: str
) -> None:
    good, newer = "receivers: {otlp: {}}\n", "receivers: {other: {}}\n"
    fleet.publish(a_version(text=good), texts=[good])
    agent = TestAgent(fleet, transport=transport).connect()
    await fleet.settle()
    agent.beat()
    agent.apply()
    await fleet.settle()
    agent.say(agent.client.disconnect())
    fleet.agents.closed(agent.link)
    assert agent.live.state == "applied"
    fleet.publish(a_version(text=newer), texts=[newer])
    await fleet.settle()
    assert agent.live.state == "pending"
