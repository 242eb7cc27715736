"""A supervisor that says APPLIED and runs something else: real sockets, a real store, time that the test moves."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gitsync.control.agents import AgentOptions
from gitsync.control.connected import ConnectedAgent
from gitsync.fleet.agent import AttemptState
from gitsync.fleet.observe import EFFECT_PATIENCE
from gitsync.ids import show_digest, show_uid
from gitsync.lab.agent import SimulatedAgent
from gitsync.lab.profile import Fault
from gitsync.server.opamp import ListenerOptions, OpampListener
from tests.support.builders import a_hash, a_version
from tests.support.clock import ManualClock
from tests.support.conformance import BOTH, Via
from tests.support.conformance_agent import make_agent, on_socket
from tests.support.fleet import FleetUnderTest, a_fleet
from tests.support.service import until

TEXT = "receivers:\n  otlp: {}\n"
SECONDS = EFFECT_PATIENCE.total_seconds() + 1


class Conversation:
    """One simulated agent and the server that it talks to."""

    def __init__(self, fleet: FleetUnderTest, agent: SimulatedAgent) -> None:
        self.fleet = fleet
        self.agent = agent

    @property
    def live(self) -> ConnectedAgent:
        """What the server knows."""
        one = self.fleet.agents.get(self.agent.profile.uid)
        assert one is not None
        return one

    @property
    def state(self) -> AttemptState | None:
        return None if self.live.agent.current is None else self.live.agent.current.state

    def pass_time(self, seconds: float = SECONDS) -> None:
        """Time passes, and the server looks for who is owed something."""
        self.fleet.clock.advance(seconds)
        self.fleet.agents.check()

    async def exchange(self) -> None:
        """What waits for the agent's next word is done with it."""
        for _ in range(3):
            await self.fleet.settle()
            heard = self.agent.progress.heard
            self.agent.heartbeat()
            await until(lambda heard=heard: self.agent.progress.heard > heard, 10)  # type: ignore[misc]
        await self.fleet.settle()


@asynccontextmanager
async def served(agent: SimulatedAgent, via: Via, database: Path, clock: ManualClock) -> AsyncIterator[Conversation]:
    """The agent, connected to a server that has a configuration for it."""
    async with a_fleet(database, clock, options=AgentOptions("replica-1")) as fleet:
        fleet.publish(a_version(text=TEXT), texts=[TEXT])
        listener = OpampListener(ListenerOptions(), fleet.agents, fleet.meters)
        await listener.start()
        try:
            async with on_socket(agent, via, listener.url):
                await until(lambda: agent.progress.connected)
                talk = Conversation(fleet, agent)
                await talk.exchange()
                yield talk
        finally:
            await listener.stop(0.0)


@asynccontextmanager
async def contradicting(fault: Fault, via: Via, database: Path) -> AsyncIterator[Conversation]:
    """An agent that says that it applied its configuration, and reports to run something else."""
    async with served(make_agent(fault, via), via, database, ManualClock()) as talk:
        await until(lambda: talk.live.agent.contained is False)
        assert talk.state is AttemptState.APPLIED
        yield talk


@pytest.mark.parametrize("via", BOTH)
async def test_an_offer_that_was_lost_in_the_agents_start_is_made_once_more_and_then_proven(
    via: Via, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with contradicting(Fault.OVERWRITES, via, tmp_path / "gitsync.db") as talk:
        talk.pass_time(SECONDS - 2)
        await talk.exchange()
        assert talk.agent.progress.offers == 1, "it may come yet"
        assert talk.live.agent.flag is None
        talk.pass_time(2)
        await talk.exchange()
        await until(lambda: talk.state is AttemptState.PROVEN)
        assert talk.agent.progress.offers == talk.fleet.meters.config_updates["offered"] == 2
        assert talk.live.agent.last_good == a_hash(TEXT)
        assert (talk.live.agent.flag, talk.live.state) == (None, "applied")
        (line,) = [one for one in caplog.records if "is offered once more" in one.getMessage()]
        assert line.levelno == logging.WARNING
        assert show_uid(talk.agent.profile.uid) in line.getMessage()
        assert show_digest(a_hash(TEXT)) in line.getMessage()
        for _ in range(3):
            talk.pass_time()
            await talk.exchange()
        assert talk.agent.progress.offers == 2


@pytest.mark.parametrize("via", BOTH)
async def test_an_agent_that_never_comes_round_is_offered_it_twice_and_flagged_until_something_else_is_wanted(
    via: Via, tmp_path: Path
) -> None:
    async with contradicting(Fault.PRETENDS, via, tmp_path / "gitsync.db") as talk:
        talk.pass_time()
        await talk.exchange()
        assert talk.agent.progress.offers == 2
        assert talk.live.agent.flag is None, "it is given the same time again"
        for _ in range(5):
            talk.pass_time()
            await talk.exchange()
        assert talk.agent.progress.offers == talk.fleet.meters.config_updates["offered"] == 2
        assert talk.fleet.meters.config_updates["no_answer"] == 0
        assert talk.live.assignment is not None
        assert talk.live.assignment.reason == talk.live.agent.flag == "not-in-effect"
        assert talk.live.state == "applied"
        await talk.fleet.journal.flush()
        (row,) = (await talk.fleet.store.load_agents([talk.agent.profile.uid])).values()
        assert (row.agent.flag, row.reason) == ("not-in-effect", "not-in-effect")
        assert row.agent.current == talk.live.agent.current
        other = TEXT + "  zipkin: {}\n"
        talk.fleet.publish(a_version(text=other), texts=[other])
        await talk.exchange()
        assert talk.agent.progress.offers == 3
        assert talk.live.agent.flag is None


@pytest.mark.parametrize("via", BOTH)
async def test_a_server_that_starts_again_does_not_repeat_what_the_one_before_it_did(via: Via, tmp_path: Path) -> None:
    database = tmp_path / "gitsync.db"
    async with contradicting(Fault.PRETENDS, via, database) as talk:
        talk.pass_time()
        await talk.exchange()
        assert talk.agent.progress.offers == 2
        agent, clock = talk.agent, talk.fleet.clock
    async with served(agent, via, database, clock) as talk:
        for _ in range(4):
            talk.pass_time()
            await talk.exchange()
        assert agent.progress.offers == 2
        assert talk.live.agent.flag == "not-in-effect"
