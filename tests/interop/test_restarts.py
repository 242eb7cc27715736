"""Real agents while servers come and go: restarts, crashes, drain, and servers that have no room."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent_process import AgentProcess
from tests.support.agentclient import ws_agent
from tests.support.gitrepo import GitRepo
from tests.support.real_agents import (
    KINDS,
    PATIENCE_SECONDS,
    Program,
    RealAgent,
    a_real_agent,
    all_applied,
    commit,
)
from tests.support.server_process import a_server_process
from tests.support.service import ServiceUnderTest, a_service, until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

WEBSOCKETS = ("supervisor", "old-supervisor", "go-websocket")


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    repo = GitRepo(tmp_path / "config")
    commit(repo, "200ms")
    return repo


@pytest.fixture
def address() -> str:
    """Where each server of a test listens for agents."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@asynccontextmanager
async def listening(
    repo: GitRepo, data: Path, address: str, agents: dict[str, Any] | None = None
) -> AsyncIterator[ServiceUnderTest]:
    """A server at that address, once it has something to offer."""
    overrides = {"server": {"listen": {"opamp": address}, "agents": agents or {}}}
    async with a_service(repo.path, data, overrides) as service:
        await until(lambda: service.running.agents.published.desired.releases)
        yield service


def offers(service: ServiceUnderTest) -> int:
    """How many configurations this server has put on the wire."""
    return service.running.overview.meters.config_updates["offered"]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_agent_comes_back_after_a_restart_keeps_what_it_has_and_gets_the_next_commit(
    repo: GitRepo, tmp_path: Path, address: str, kind: str
) -> None:
    async with AsyncExitStack() as running:
        async with listening(repo, tmp_path / "data", address) as service:
            agent = await running.enter_async_context(a_real_agent(kind, f"http://{address}/v1/opamp", tmp_path))
            await all_applied(service, "200ms", agent)
            uid = agent.uid
        async with listening(repo, tmp_path / "data", address) as service:
            await all_applied(service, "200ms", agent)
            assert offers(service) == 0
            assert agent.uid == uid
            commit(repo, "300ms")
            await service.published(repo.head)
            await all_applied(service, "300ms", agent)
            assert offers(service) == 1


@pytest.mark.parametrize("kind", WEBSOCKETS)
async def test_a_server_that_stops_says_goodbye_and_its_agents_go_to_the_next_one(
    repo: GitRepo, tmp_path: Path, address: str, kind: str
) -> None:
    async with AsyncExitStack() as running:
        async with listening(repo, tmp_path / "one", address) as service:
            agent = await running.enter_async_context(a_real_agent(kind, f"http://{address}/v1/opamp", tmp_path))
            await all_applied(service, "200ms", agent)
        # Close code 1001, going away: not a broken connection.
        await until(lambda: agent.heard("1001"))
        # The next server has never heard of this agent.
        async with listening(repo, tmp_path / "two", address) as service:
            await all_applied(service, "200ms", agent)
            assert offers(service) == 0


@pytest.mark.slow
async def test_a_whole_fleet_of_real_agents_survives_a_server_that_is_killed(
    repo: GitRepo, tmp_path: Path, address: str
) -> None:
    url = f"http://{address}/v1/opamp"
    data = tmp_path / "data"
    async with AsyncExitStack() as running:
        async with a_server_process(repo.path, data, opamp=address) as server:
            agents = [await running.enter_async_context(a_real_agent(kind, url, tmp_path)) for kind in KINDS]
            for one in agents:
                await until(lambda one=one: one.runs("200ms"), PATIENCE_SECONDS)  # type: ignore[misc]
            os.kill(server.pid, signal.SIGKILL)
        async with listening(repo, data, address) as service:
            await all_applied(service, "200ms", *agents)
            assert offers(service) == 0
            commit(repo, "300ms")
            await service.published(repo.head)
            await all_applied(service, "300ms", *agents)


@pytest.mark.slow
async def test_agents_that_a_full_server_sends_away_wait_as_they_are_told_and_come_when_there_is_room(
    repo: GitRepo, tmp_path: Path, address: str
) -> None:
    async with AsyncExitStack() as running:
        full = {"max_connections": len(KINDS)}
        service = await running.enter_async_context(listening(repo, tmp_path / "data", address, full))
        async with AsyncExitStack() as occupiers:
            for _ in KINDS:
                one = await occupiers.enter_async_context(ws_agent(f"ws://{address}/v1/opamp"))
                await one.hello()
            url = f"http://{address}/v1/opamp"
            agents = {kind: await running.enter_async_context(a_real_agent(kind, url, tmp_path)) for kind in KINDS}
            for agent in agents.values():
                await until(lambda agent=agent: agent.heard("503"))  # type: ignore[misc]
            # The Python client alone does not heed Retry-After: it comes back after 1, 2 and 4 s.
            await programs(agents)["python"].wait_for("unreachable", count=4)
            for kind in ("go-websocket", "go-http", "node"):
                # One refusal, which the WebSocket client tells twice.
                told = 2 if kind == "go-websocket" else 1
                assert len(programs(agents)[kind].seen("unreachable")) == told, kind
        await all_applied(service, "200ms", *agents.values())


def programs(agents: dict[str, RealAgent]) -> dict[str, AgentProcess]:
    """Those that say what happens to them."""
    return {kind: one.process for kind, one in agents.items() if isinstance(one, Program)}
