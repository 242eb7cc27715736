"""The whole service in this process, on real parts: a real repository, SQLite, sockets on free ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx

from gitsync.app import Running, running
from gitsync.lab.agent import SimulatedAgent
from gitsync.lab.profile import AgentProfile, Fault, Transport
from gitsync.lab.sockets import AgentSocket, PollingAgent, WebSocketAgent
from gitsync.settings import load_settings
from tests.support.builders import a_uid

WAIT_SECONDS = 30.0


async def until(what: Callable[[], object], seconds: float = WAIT_SECONDS) -> None:
    """Waits for a condition; fails with its source line when it does not come true."""
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.01)


class ServiceUnderTest:
    """A running service with a client for its REST interface."""

    def __init__(self, service: Running, http: httpx.AsyncClient, token: str) -> None:
        self.running = service
        self.http = http
        self.token = token

    @property
    def opamp_url(self) -> str:
        """Where agents connect, as `http://...`."""
        return "http" + self.running.opamp_url.removeprefix("ws").removeprefix("http")

    async def get(self, path: str) -> Any:
        """A JSON answer of the REST interface."""
        answer = await self.http.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def published(self, commit: str) -> None:
        """Waits until this commit is what is published, asking for a sync first."""
        await self.sync()
        await until(lambda: any(one.head == commit for one in self._releases()))

    def _releases(self) -> list[Any]:
        return list(self.running.agents.published.desired.releases.values())

    async def sync(self) -> dict[str, Any]:
        """What `gitsync sync` does; what came of it."""
        answer = await self.http.post(
            "/api/v1/sources/default/sync?wait=true", headers={"Authorization": f"Bearer {self.token}"}, timeout=60
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@asynccontextmanager
async def a_service(
    repository: Path | str, directory: Path, overrides: Mapping[str, Any] | None = None
) -> AsyncIterator[ServiceUnderTest]:
    """The service on a repository; its data stays in `directory` for the next start."""
    values: dict[str, Any] = {
        "data_dir": directory,
        "server": {
            "listen": {"opamp": "127.0.0.1:0", "http": "127.0.0.1:0"},
            "agents": {"drain": timedelta(seconds=1)},
        },
        "config_store": {"git": {"repository": str(repository), "sync_interval": timedelta(hours=1)}},
    }
    _merge(values, overrides or {})
    async with running(load_settings(None, {}, values)) as service:
        token = service.admin_token_file.read_text().strip()
        async with httpx.AsyncClient(base_url=service.http_url) as http:
            yield ServiceUnderTest(service, http, token)


def _merge(values: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = value


@asynccontextmanager
async def lab_agents(service: ServiceUnderTest, *profiles: AgentProfile) -> AsyncIterator[list[SimulatedAgent]]:
    """Simulated agents on real sockets, in the order of their profiles; they say goodbye at the end."""
    loop = asyncio.get_running_loop()
    agents = [SimulatedAgent(one, later=loop.call_later, now=loop.time) for one in profiles]
    async with asyncio.TaskGroup() as tasks:
        sockets = [_socket(one, service.opamp_url) for one in agents]
        for socket in sockets:
            await socket.start(tasks)
        try:
            yield agents
        finally:
            for socket in sockets:
                socket.close()
            async with asyncio.timeout(5):
                while any(one.is_open for one in sockets):
                    await asyncio.sleep(0.01)


def _socket(agent: SimulatedAgent, url: str) -> AgentSocket:
    random = Random(1)
    if agent.profile.transport is Transport.HTTP:
        return PollingAgent(agent, url, random)
    return WebSocketAgent(agent, "ws" + url.removeprefix("http"), random)


def a_profile(
    number: int = 1,
    labels: Mapping[str, str] | None = None,
    *,
    transport: Transport = Transport.WEBSOCKET,
    fault: Fault = Fault.NONE,
    service: str = "otelcol-test",
    build: Mapping[str, Sequence[str]] | None = None,
) -> AgentProfile:
    """One simulated agent; with a build it tells its components."""
    return AgentProfile(a_uid(number), f"agent-{number}", service, labels or {}, transport, fault, build or {})
