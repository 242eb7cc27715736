"""Connection settings between server and agents: complete, once, and followed up, over both transports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from gitsync.control.agents import AgentOptions
from gitsync.control.service import ConnectionStatus
from gitsync.fleet.agent import AttemptState
from gitsync.fleet.connection import OfferState
from gitsync.ids import show_uid
from gitsync.opamp.messages import Capability, ComponentHealth, ConfigStatus, ServerCapability
from tests.support.builders import a_version
from tests.support.clock import ManualClock
from tests.support.connections import (
    LOGS,
    METRICS,
    MOVABLE,
    MOVE,
    MOVE_AGAIN,
    OWN,
    TELLING,
    KnownSecrets,
    MovingAgent,
    certificate_secrets,
    connecting,
)
from tests.support.fleet import FleetUnderTest, a_fleet

SECURE = """
opamp:
  endpoint: wss://localhost:4320/v1/opamp
  headers: {Authorization: "Bearer ${secret:token}"}
  certificate: {cert: "${secret:agent.crt}", key: "${secret:agent.key}", ca: "${secret:ca.crt}"}
"""
TRANSPORTS = pytest.mark.parametrize("transport", ["websocket", "http"])


@pytest.fixture
def secrets() -> KnownSecrets:
    return KnownSecrets(token="abc", **certificate_secrets())


@pytest.fixture
async def fleet(tmp_path: Path, secrets: KnownSecrets) -> AsyncIterator[FleetUnderTest]:
    async with a_fleet(tmp_path / "gitsync.db", secrets=secrets) as fleet:
        yield fleet


async def settled(fleet: FleetUnderTest, *agents: MovingAgent) -> None:
    """Until nobody is owed anything; polling agents ask."""
    await fleet.settle()
    for one in agents:
        if one.transport == "http":
            one.beat()
        one.hear()
    await fleet.settle()


async def running(
    fleet: FleetUnderTest, count: int = 1, *, transport: str = "websocket", bits: int = 0
) -> list[MovingAgent]:
    """Agents that run what their target wants."""
    agents = [MovingAgent(fleet, number=number, transport=transport, bits=bits) for number in range(1, count + 1)]
    for one in agents:
        one.connect()
    await settled(fleet, *agents)
    for one in agents:
        one.beat()
        one.apply()
    await settled(fleet, *agents)
    for one in agents:
        assert one.live.agent.current is not None
        assert not one.live.agent.current.state.is_open
    return agents


def status(fleet: FleetUnderTest) -> ConnectionStatus:
    (target,) = fleet.agents.published.desired.states
    found = fleet.agents.connection_status(target)
    assert found is not None
    return found


# ── What is offered ─────────────────────────────────────────────────────────────────────────────────────────


@TRANSPORTS
async def test_an_agent_that_runs_its_configuration_is_told_where_to_connect_in_a_message_without_configuration(
    fleet: FleetUnderTest, transport: str
) -> None:
    fleet.publish(connecting(SECURE))
    await fleet.settle()
    (agent,) = await running(fleet, transport=transport)
    (offer,) = agent.offers
    assert len(offer.hash) == 32
    assert offer.opamp.destination_endpoint == "wss://localhost:4320/v1/opamp"
    assert offer.opamp.heartbeat_interval_seconds == 30
    assert [(one.key, one.value) for one in offer.opamp.headers.headers] == [("Authorization", "Bearer abc")]
    certificate = offer.opamp.certificate
    assert certificate.cert.startswith(b"-----BEGIN CERTIFICATE-----")
    assert certificate.ca_cert.endswith(b"-----END CERTIFICATE-----\n")
    assert b"PRIVATE KEY" in certificate.private_key
    assert agent.mixed == []
    assert agent.known.state is OfferState.OFFERED
    assert agent.client.server_capabilities & ServerCapability.OFFERS_CONNECTION_SETTINGS


@TRANSPORTS
async def test_nothing_is_offered_while_a_configuration_is_on_its_way(fleet: FleetUnderTest, transport: str) -> None:
    fleet.publish(connecting(MOVE))
    agent = MovingAgent(fleet, transport=transport).connect()
    await settled(fleet, agent)
    agent.beat()
    await settled(fleet, agent)
    assert len(agent.configs) == 1
    assert agent.offers == []
    agent.apply()
    await settled(fleet, agent)
    assert len(agent.offers) == 1


@pytest.mark.parametrize(
    ("bits", "sections"),
    [
        (MOVABLE, {"opamp"}),
        (MOVABLE & ~Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS | OWN, {"own_metrics", "own_logs"}),
        (MOVABLE | Capability.REPORTS_OWN_METRICS, {"opamp", "own_metrics"}),
        (MOVABLE | Capability.ACCEPTS_OTHER_CONNECTION_SETTINGS, {"opamp", "other_connections"}),
    ],
)
async def test_an_agent_is_offered_only_what_its_capabilities_name(
    fleet: FleetUnderTest, bits: int, sections: set[str]
) -> None:
    fleet.publish(connecting(MOVE, METRICS, LOGS, 'other: {db: {endpoint: "db:5432", settings: {a: b}}}'))
    (agent,) = await running(fleet, bits=int(bits))
    assert {field.name for field, _ in agent.offers[-1].ListFields()} == {"hash", *sections}


async def test_an_agent_that_can_take_no_connection_settings_is_offered_none(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(MOVE, METRICS))
    bits = MOVABLE & ~Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS
    (agent,) = await running(fleet, bits=int(bits))
    assert agent.offers == []


async def test_an_agent_that_moves_to_a_target_without_settings_is_left_alone(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(METRICS))
    (agent,) = await running(fleet, bits=int(MOVABLE | OWN))
    fleet.publish(a_version())
    await settled(fleet, agent)
    assert len(agent.offers) == 1


async def test_own_telemetry_travels_as_one_when_one_of_it_changes(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(METRICS))
    (agent,) = await running(fleet, bits=int(MOVABLE | OWN))
    fleet.publish(connecting(METRICS, LOGS))
    await settled(fleet, agent)
    assert [field.name for field, _ in agent.offers[1].ListFields()] == ["hash", "own_metrics", "own_logs"]
    assert agent.offers[0].hash != agent.offers[1].hash


async def test_a_changed_section_is_offered_without_the_others(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(MOVE))
    (agent,) = await running(fleet, bits=int(MOVABLE | OWN))
    agent.move()
    fleet.publish(connecting(MOVE, METRICS))
    await settled(fleet, agent)
    assert [field.name for field, _ in agent.offers[1].ListFields()] == ["hash", "own_metrics"]
    assert len(agent.configs) == 1, "connection settings move no configuration"


# ── Complete, or not made ───────────────────────────────────────────────────────────────────────────────────


async def test_a_secret_that_is_not_there_is_said_and_nothing_is_offered_until_it_is(
    fleet: FleetUnderTest, secrets: KnownSecrets, caplog: pytest.LogCaptureFixture
) -> None:
    token = secrets.texts.pop("token")
    fleet.publish(connecting(SECURE))
    with caplog.at_level(logging.WARNING):
        (agent,) = await running(fleet)
    assert agent.offers == []
    assert status(fleet).problem == "the secret token is not there"
    assert "target agents: connection settings are not offered: the secret token is not there" in caplog.text
    secrets.texts["token"] = token
    await fleet.read_secrets()
    await settled(fleet, agent)
    assert len(agent.offers) == 1
    assert status(fleet) == ConnectionStatus(waiting=1)


async def test_a_renewed_secret_is_offered_and_the_same_one_is_not(
    fleet: FleetUnderTest, secrets: KnownSecrets
) -> None:
    fleet.publish(connecting(SECURE))
    (agent,) = await running(fleet)
    agent.move()
    await fleet.read_secrets()
    await settled(fleet, agent)
    assert len(agent.offers) == 1
    secrets.texts["token"] = "def"
    await fleet.read_secrets()
    await settled(fleet, agent)
    assert agent.offers[1].opamp.headers.headers[0].value == "Bearer def"


async def test_a_certificate_whose_key_is_another_one_is_never_offered(
    fleet: FleetUnderTest, secrets: KnownSecrets
) -> None:
    secrets.texts["agent.crt"] = secrets.texts["ca.crt"]
    fleet.publish(connecting(SECURE))
    (agent,) = await running(fleet)
    assert agent.offers == []
    assert status(fleet).problem == "opamp.certificate: key is not that of cert"


# ── Never repeated ──────────────────────────────────────────────────────────────────────────────────────────


@TRANSPORTS
async def test_an_offer_is_not_repeated_when_the_agent_speaks_or_something_is_published(
    fleet: FleetUnderTest, transport: str
) -> None:
    fleet.publish(connecting(MOVE))
    (agent,) = await running(fleet, transport=transport)
    for _ in range(3):
        agent.beat()
    agent.say(agent.client.report_health(ComponentHealth(healthy=True, status="fine")))
    fleet.publish(connecting(MOVE))
    await settled(fleet, agent)
    assert len(agent.offers) == 1


async def test_a_broken_line_is_no_proof_and_no_reason_to_repeat(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(MOVE))
    (agent,) = await running(fleet)
    agent.drop()
    agent.beat()
    await settled(fleet, agent)
    assert len(agent.offers) == 1
    assert agent.known.state is OfferState.OFFERED


@TRANSPORTS
async def test_a_restart_of_the_server_repeats_nothing_and_goes_on_waiting(tmp_path: Path, transport: str) -> None:
    clock, path = ManualClock(), tmp_path / "gitsync.db"
    async with a_fleet(path, clock) as fleet:
        fleet.publish(connecting(MOVE))
        (agent,) = await running(fleet, transport=transport)
        assert len(agent.offers) == 1
    async with a_fleet(path, clock) as fleet:
        fleet.publish(connecting(MOVE))
        agent._fleet = fleet
        agent.connect_again()
        agent.beat()
        await settled(fleet, agent)
        assert len(agent.offers) == 1
        assert agent.known.awaits_return
        assert status(fleet).waiting == 1
        agent.move()
        await settled(fleet, agent)
        assert agent.known.state is OfferState.DONE
        assert len(agent.offers) == 1


async def test_an_agent_that_reports_other_settings_is_offered_them_once_again(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(METRICS))
    (agent,) = await running(fleet, bits=int(MOVABLE | OWN | TELLING))
    agent.tell(ConfigStatus.APPLIED)
    assert agent.known.state is OfferState.DONE
    for _ in range(2):
        agent.tell(ConfigStatus.APPLIED, hash_=b"other")
        await settled(fleet, agent)
    assert len(agent.offers) == 2
    assert agent.offers[0] == agent.offers[1]


async def test_settings_that_failed_are_not_offered_again_until_they_change(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(METRICS))
    (agent,) = await running(fleet, bits=int(MOVABLE | OWN | TELLING))
    agent.tell(ConfigStatus.FAILED)
    await settled(fleet, agent)
    assert agent.live.agent.flag == "connection-failed"
    assert agent.known.error == "no route"
    agent.tell(ConfigStatus.APPLIED, hash_=b"other")
    await settled(fleet, agent)
    assert len(agent.offers) == 1
    fleet.publish(connecting(LOGS))
    await settled(fleet, agent)
    assert len(agent.offers) == 2
    assert agent.live.agent.flag is None


# ── Done on the new connection ──────────────────────────────────────────────────────────────────────────────


@TRANSPORTS
async def test_settings_are_done_when_the_client_starts_over_on_a_new_connection(
    fleet: FleetUnderTest, transport: str
) -> None:
    fleet.publish(connecting(MOVE))
    (agent,) = await running(fleet, transport=transport)
    assert agent.live.session.heartbeat_seconds == 30
    agent.move()
    await settled(fleet, agent)
    assert agent.known.state is OfferState.DONE
    assert agent.live.session.heartbeat_seconds == 45
    assert status(fleet) == ConnectionStatus(done=1)
    assert fleet.meters.connection_offers == {"offered": 1, "done": 1}


async def test_an_agent_that_says_applied_on_its_old_socket_has_proven_nothing(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(MOVE))
    (agent,) = await running(fleet, bits=int(MOVABLE | TELLING))
    agent.tell(ConfigStatus.APPLIED)
    agent.beat()
    await settled(fleet, agent)
    assert agent.known.state is OfferState.REPORTED


async def test_a_poll_after_applied_is_the_proof_of_an_agent_that_polls(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(MOVE))
    (agent,) = await running(fleet, transport="http", bits=int(MOVABLE | TELLING))
    agent.tell(ConfigStatus.APPLIED)
    assert agent.known.state is OfferState.REPORTED
    agent.beat()
    assert agent.known.state is OfferState.DONE


@TRANSPORTS
async def test_the_default_heartbeat_is_back_when_the_agent_s_process_starts_again(
    fleet: FleetUnderTest, transport: str
) -> None:
    fleet.publish(connecting(MOVE))
    (agent,) = await running(fleet, transport=transport)
    agent.move()
    await settled(fleet, agent)
    assert agent.live.session.heartbeat_seconds == 45
    fleet.clock.advance(10)
    agent.move(health=ComponentHealth(healthy=True))
    await settled(fleet, agent)
    assert agent.live.session.heartbeat_seconds == 30
    assert len(agent.offers) == 1


async def test_the_heartbeat_in_force_is_known_after_a_restart_of_the_server(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "gitsync.db"
    async with a_fleet(path, clock) as fleet:
        fleet.publish(connecting(MOVE))
        (agent,) = await running(fleet)
        agent.move()
        await settled(fleet, agent)
    async with a_fleet(path, clock) as fleet:
        fleet.publish(connecting(MOVE))
        agent._fleet = fleet
        agent.connect_again()
        await settled(fleet, agent)
        assert agent.live.session.heartbeat_seconds == 45


async def test_the_empty_health_of_a_client_that_was_made_to_start_over_does_not_hide_the_last_real_one(
    fleet: FleetUnderTest,
) -> None:
    fleet.publish(connecting(MOVE))
    (agent,) = await running(fleet)
    agent.move()
    await settled(fleet, agent)
    assert agent.live.agent.healthy is True
    text = "receivers: {otlp: }"
    fleet.publish(connecting(MOVE, version=a_version(text=text)), texts=[text])
    await settled(fleet, agent)
    agent.apply()
    await settled(fleet, agent)
    assert agent.live.agent.current is not None
    assert agent.live.agent.current.state is AttemptState.PROVEN
    agent.say(agent.client.report_health(ComponentHealth(healthy=False, last_error="out of memory")))
    assert agent.live.agent.healthy is False
    agent.say(agent.client.report_health(ComponentHealth(healthy=True)))
    agent.say(agent.client.report_health(ComponentHealth(healthy=False)))
    assert agent.live.agent.healthy is False


# ── One first, then as many as are back ─────────────────────────────────────────────────────────────────────


@TRANSPORTS
async def test_one_agent_goes_first_and_then_as_many_at_a_time_as_are_back(
    fleet: FleetUnderTest, transport: str
) -> None:
    fleet.publish(connecting(MOVE))
    agents = await running(fleet, 8, transport=transport)
    offered = []
    for _ in range(4):
        await settled(fleet, *agents)
        away = [one for one in agents if one.offers and one.known.awaits_return]
        offered.append(len(away))
        for one in away:
            one.move()
    assert offered == [1, 1, 2, 4]
    await settled(fleet, *agents)
    assert status(fleet) == ConnectionStatus(done=8)


@TRANSPORTS
async def test_nobody_follows_an_agent_that_does_not_come_back(
    fleet: FleetUnderTest, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.publish(connecting(MOVE))
    agents = await running(fleet, 3, transport=transport)
    (first,) = [one for one in agents if one.offers]
    assert status(fleet).held == 2
    fleet.clock.advance(121)
    for one in agents:
        one.beat()
    with caplog.at_level(logging.WARNING):
        fleet.agents.check()
    await settled(fleet, *agents)
    assert [len(one.offers) for one in agents].count(0) == 2
    assert first.known.state is OfferState.LOST
    assert first.live.agent.flag == "connection-lost"
    assert (status(fleet).bad, status(fleet).waiting) == (1, 0)
    assert status(fleet).problem == f"stopped: agent {show_uid(first.uid)} failed, or did not come back"
    assert "target agents offers them to nobody else" in caplog.text
    assert fleet.meters.connection_offers == {"offered": 1, "lost": 1}


async def test_other_settings_begin_with_one_agent_again_and_the_lost_one_may_take_them(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(MOVE))
    agents = await running(fleet, 2)
    fleet.clock.advance(121)
    for one in agents:
        one.beat()
    fleet.agents.check()
    await settled(fleet, *agents)
    fleet.publish(connecting(MOVE_AGAIN))
    await settled(fleet, *agents)
    assert status(fleet) == ConnectionStatus(waiting=1, held=1)


async def test_an_agent_that_fails_stops_the_others(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(MOVE))
    agents = await running(fleet, 2, bits=int(MOVABLE | TELLING))
    (first,) = [one for one in agents if one.offers]
    first.tell(ConfigStatus.FAILED)
    await settled(fleet, *agents)
    assert status(fleet).bad == 1
    assert sum(len(one.offers) for one in agents) == 1


async def test_an_agent_that_left_and_did_not_come_back_is_lost_in_its_stored_row_too(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "gitsync.db"
    async with a_fleet(path, clock) as fleet:
        fleet.publish(connecting(MOVE))
        (agent,) = await running(fleet)
        fleet.agents.closed(agent.link)
        clock.advance(4000)
        fleet.agents.check()
        fleet.agents.check()
        await settled(fleet)
        assert status(fleet).bad == 1
        await fleet.journal.flush()
        row = (await fleet.store.load_agents([agent.uid]))[agent.uid]
        assert row.agent.connection is not None
        assert row.agent.connection.state is OfferState.LOST


async def test_secrets_are_looked_at_again_without_being_asked(tmp_path: Path, secrets: KnownSecrets) -> None:
    token = secrets.texts.pop("token")
    options = AgentOptions("replica-1", check_interval=timedelta(milliseconds=10))
    async with a_fleet(tmp_path / "gitsync.db", options=options, secrets=secrets) as fleet:
        fleet.publish(connecting(SECURE))
        (agent,) = await running(fleet)
        assert agent.offers == []
        secrets.texts["token"] = token
        async with asyncio.timeout(10):
            while not agent.offers:
                await asyncio.sleep(0.01)
                agent.hear()


async def test_agents_that_are_away_do_not_keep_others_from_following(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(MOVE))
    agents = await running(fleet, 4)
    (first,) = [one for one in agents if one.offers]
    others = [one for one in agents if one is not first]
    fleet.agents.closed(others[0].link)
    fleet.agents.closed(others[1].link)
    first.move()
    await settled(fleet, others[2])
    assert len(others[2].offers) == 1
    others[2].move()
    others[0].connect_again()
    others[0].beat()
    await settled(fleet, others[0])
    assert len(others[0].offers) == 1


async def test_a_missing_secret_does_not_make_forgotten_that_an_agent_was_lost(
    fleet: FleetUnderTest, secrets: KnownSecrets
) -> None:
    fleet.publish(connecting(SECURE))
    agents = await running(fleet, 2)
    fleet.clock.advance(121)
    for one in agents:
        one.beat()
    fleet.agents.check()
    token = secrets.texts.pop("token")
    await fleet.read_secrets()
    secrets.texts["token"] = token
    await fleet.read_secrets()
    await settled(fleet, *agents)
    assert status(fleet).bad == 1
    assert sum(len(one.offers) for one in agents) == 1


async def test_a_suspended_target_tells_nobody_where_to_connect(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(MOVE, version=a_version()))
    agent = MovingAgent(fleet).connect()
    await settled(fleet, agent)
    agent.beat()
    fleet.publish(connecting(MOVE, version=a_version(suspend=True)))
    agent.apply()
    await settled(fleet, agent)
    assert agent.offers == []


async def test_the_time_without_a_server_is_not_counted_against_an_agent(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "gitsync.db"
    async with a_fleet(path, clock) as fleet:
        fleet.publish(connecting(MOVE))
        (agent,) = await running(fleet)
    clock.advance(4000)
    async with a_fleet(path, clock) as fleet:
        fleet.publish(connecting(MOVE))
        agent._fleet = fleet
        agent.start_over()
        await settled(fleet, agent)
        assert agent.known.state is OfferState.DONE
        assert status(fleet) == ConnectionStatus(done=1)


async def test_an_agent_that_comes_back_too_late_proves_nothing_any_more(fleet: FleetUnderTest) -> None:
    fleet.publish(connecting(MOVE))
    (agent,) = await running(fleet)
    fleet.clock.advance(121)
    agent.move()
    await settled(fleet, agent)
    assert agent.known.state is OfferState.LOST
    assert status(fleet).bad == 1
    assert len(agent.offers) == 1


async def test_an_agent_that_is_back_at_another_server_is_not_lost(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "gitsync.db"
    async with a_fleet(path, clock) as first, a_fleet(path, clock, options=AgentOptions("replica-2")) as second:
        for fleet in (first, second):
            fleet.publish(connecting(MOVE))
        (agent,) = await running(first)
        first.agents.closed(agent.link)
        await first.journal.flush()
        agent._fleet = second
        agent.start_over()
        await settled(second, agent)
        assert agent.known.state is OfferState.DONE
        assert len(agent.offers) == 1
        await second.journal.flush()
        clock.advance(121)
        first.agents.check()
        await settled(first)
        assert (status(first).done, status(first).bad, status(first).waiting) == (1, 0, 0)
        await first.journal.flush()
        row = (await second.store.load_agents([agent.uid]))[agent.uid]
        assert row.agent.connection is not None
        assert row.agent.connection.state is OfferState.DONE
