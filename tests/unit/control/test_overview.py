"""`Overview`: what the running process answers about agents that it serves no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gitsync.bundle.statements import Release
from gitsync.control.agents import AgentOptions
from gitsync.control.feed import Feed
from gitsync.control.leader import Leadership
from gitsync.control.overview import Overview
from gitsync.errors import Conflict
from gitsync.fleet.assign import Reason
from gitsync.ids import DEFAULT_SOURCE
from gitsync.opamp.messages import Capability
from gitsync.store import LocalCache
from tests.support.builders import SUPERVISOR, a_commit, a_hash, a_uid, a_version
from tests.support.clock import ManualClock
from tests.support.fleet import FleetUnderTest, TestAgent, a_fleet

OLD, NEW = "receivers: {otlp: {}}\n", "receivers: {other: {}}\n"


def an_overview(fleet: FleetUnderTest, directory: Path) -> Overview:
    feed = Feed(fleet.store, LocalCache(directory / "cache.json"), fleet.clock, fleet.agents.set_published)
    leadership = Leadership(fleet.store, "replica-1")
    return Overview(fleet.store, fleet.meters, fleet.clock, fleet.agents, feed, leadership, {}, b"{}")


async def test_an_agent_that_went_away_before_a_publication_is_not_said_to_have_it(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    async with a_fleet(path) as fleet:
        fleet.publish(a_version(text=OLD), texts=[OLD])
        agent = TestAgent(fleet).connect()
        await fleet.settle()
        agent.beat()
        agent.apply()
        await fleet.settle()
        fleet.agents.closed(agent.link)
    async with a_fleet(path) as fleet:
        fleet.publish(a_version(text=NEW), texts=[NEW])
        (record,) = (await fleet.store.load_agents([agent.uid])).values()
        why = an_overview(fleet, tmp_path).explain(agent.uid, record)
        assert record.state == "applied"
        assert (why.state, why.reason, why.wanted) == ("pending", Reason.WANTED, a_hash(NEW))
        assert why.last_seen is None


async def test_of_two_servers_on_a_database_each_counts_its_own_agents(tmp_path: Path) -> None:
    path, clock = tmp_path / "fleet.db", ManualClock()
    async with (
        a_fleet(path, clock, options=AgentOptions("replica-1")) as here,
        a_fleet(path, clock, options=AgentOptions("replica-2")) as there,
    ):
        for number, fleet in enumerate((here, there, there), 1):
            fleet.publish(a_version(text=OLD), texts=[OLD])
            agent = TestAgent(fleet, number=number).connect()
            await fleet.settle()
            agent.beat()
            await fleet.journal.flush()
        release = Release(DEFAULT_SOURCE, 1, 1, "publish", a_commit().id, clock.now(), clock.now())
        counted: list[int] = []
        for fleet in (here, there):
            published = fleet.agents.published
            desired = replace(published.desired, releases={DEFAULT_SOURCE: release})
            fleet.agents.set_published(replace(published, desired=desired))
            (target,) = an_overview(fleet, tmp_path).targets()
            counted.append(sum(target.counts.values()))
        assert counted == [1, 2]


ABLE = int(SUPERVISOR | Capability.ACCEPTS_RESTART_COMMAND)


async def audited(fleet: FleetUnderTest) -> list[tuple[str, str, str, str]]:
    """Lines about restarts: actor, outcome, reason, address."""
    lines = [one for _, one in await fleet.store.list_audit(10) if one.action == "restart"]
    return [(one.actor, one.outcome, one.reason, one.remote_addr) for one in lines]


async def test_a_restart_is_audited_and_then_sent(tmp_path: Path) -> None:
    async with a_fleet(tmp_path / "fleet.db") as fleet:
        agent = TestAgent(fleet, capabilities=ABLE).connect()
        await fleet.settle()
        overview = an_overview(fleet, tmp_path)
        restart = await overview.restart(agent.uid, actor="token:1", remote_addr="192.0.2.1:5")
        assert restart.state == "sent"
        assert await audited(fleet) == [("token:1", "success", "", "192.0.2.1:5")]


async def test_an_agent_of_another_server_is_not_told_and_the_refusal_names_that_one(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    async with a_fleet(path, options=AgentOptions("replica-2")) as other:
        agent = TestAgent(other, capabilities=ABLE).connect()
        await other.settle()
        await other.journal.flush()
        async with a_fleet(path) as fleet:
            with pytest.raises(Conflict, match="another server, replica-2") as refused:
                await an_overview(fleet, tmp_path).restart(agent.uid, actor="token:1")
            assert refused.value.code == "agent.elsewhere"
            assert await audited(fleet) == [("token:1", "failure", "agent.elsewhere", "")]
        agent.hear()
        assert not any(one.restart for one in agent.steps)


async def test_a_refusal_is_audited_and_an_unknown_agent_is_not(tmp_path: Path) -> None:
    async with a_fleet(tmp_path / "fleet.db") as fleet:
        agent = TestAgent(fleet, capabilities=int(SUPERVISOR) & ~int(Capability.ACCEPTS_RESTART_COMMAND)).connect()
        await fleet.settle()
        overview = an_overview(fleet, tmp_path)
        with pytest.raises(Conflict):
            await overview.restart(agent.uid, actor="token:1")
        fleet.agents.closed(agent.link)
        await fleet.journal.flush()
        with pytest.raises(Conflict):
            await overview.restart(agent.uid, actor="token:1")
        with pytest.raises(KeyError):
            await overview.restart(a_uid(99), actor="token:1")
        assert [reason for _, _, reason, _ in await audited(fleet)] == ["agent.not-connected", "agent.capability"]
