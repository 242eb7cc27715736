"""Health and packages from an agent's message to the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitsync.control.agents import CAPABILITIES
from gitsync.fleet.health import metrics, status_of
from gitsync.opamp.messages import ComponentHealth, PackageStatus, ServerCapability
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.fleet import FleetUnderTest, TestAgent, a_fleet

REFUSED = ComponentHealth(False, "StatusRecoverableError", "connection refused")
HEALTH = ComponentHealth(
    True, "StatusOK", start_time_unix_nano=1, components={"exporter:otlp": REFUSED}, attributes={"queue_size": "1"}
)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetUnderTest]:
    async with a_fleet(tmp_path / "fleet.db") as fleet:
        yield fleet


async def settled(fleet: FleetUnderTest) -> TestAgent:
    """An agent that has said everything, of which everything is stored."""
    agent = TestAgent(fleet).connect()
    await fleet.settle()
    agent.beat()
    agent.say(agent.client.report_health(HEALTH))
    await fleet.journal.flush()
    return agent


async def test_health_is_stored_as_it_is_judged(fleet: FleetUnderTest) -> None:
    agent = await settled(fleet)
    stored = (await fleet.store.load_agents([agent.uid]))[agent.uid].agent
    assert str(status_of(stored)) == "Degraded(exporter:otlp: connection refused)"
    assert metrics(stored.health) == {"queue_size": 1.0}
    assert stored.health == agent.live.agent.health


async def test_numbers_that_change_are_known_at_once_and_stored_once_a_minute(fleet: FleetUnderTest) -> None:
    agent = await settled(fleet)
    for number in range(3):
        fleet.clock.advance(19)
        agent.say(agent.client.report_health(replace(HEALTH, attributes={"queue_size": str(number + 2)})))
        assert metrics(agent.live.agent.health) == {"queue_size": number + 2.0}
        assert fleet.journal.waiting == 0
    fleet.clock.advance(19)
    agent.say(agent.client.report_health(replace(HEALTH, attributes={"queue_size": "99"})))
    assert fleet.journal.waiting == 1


async def test_a_change_for_the_worse_is_stored_at_once(fleet: FleetUnderTest) -> None:
    agent = await settled(fleet)
    agent.say(agent.client.report_health(replace(HEALTH, healthy=False, last_error="Collector is not responding")))
    assert fleet.journal.waiting == 1
    assert str(status_of(agent.live.agent)) == "Unhealthy(Collector is not responding)"


async def test_reported_packages_are_accepted_and_stored(fleet: FleetUnderTest) -> None:
    assert CAPABILITIES & ServerCapability.ACCEPTS_PACKAGES_STATUS
    assert not CAPABILITIES & ServerCapability.OFFERS_PACKAGES
    agent = await settled(fleet)
    message = pb.AgentToServer.FromString(agent.client.heartbeat())
    message.package_statuses.packages["plugin"].agent_has_version = "1.2.0"
    message.package_statuses.packages["plugin"].status = pb.PackageStatusEnum_InstallFailed
    message.package_statuses.packages["plugin"].error_message = "no space"
    agent.say(message.SerializeToString())
    await fleet.journal.flush()
    stored = (await fleet.store.load_agents([agent.uid]))[agent.uid].agent.packages
    assert stored is not None
    one = stored.packages["plugin"]
    assert (one.version, one.status, one.error) == ("1.2.0", PackageStatus.INSTALL_FAILED, "no space")
