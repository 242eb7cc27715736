"""`Overview`: what the running process answers about agents that it serves no more."""

from __future__ import annotations

from pathlib import Path

from gitsync.control.feed import Feed
from gitsync.control.leader import Leadership
from gitsync.control.overview import Overview
from gitsync.fleet.assign import Reason
from gitsync.store import LocalCache
from tests.support.builders import a_hash, a_version
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
