"""`SimulatedFleet`: many simulated agents on one server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from urllib.parse import urlsplit

from gitsync.errors import SettingsError
from gitsync.lab.agent import SimulatedAgent
from gitsync.lab.profile import AgentProfile, Fault, Transport
from gitsync.lab.sockets import AgentSocket, PollingAgent, WebSocketAgent

CONNECTS_AT_ONCE = 100
GOODBYE_SECONDS = 3.0
LOOK_SECONDS = 0.02
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class SimulatedFleet:
    """Connects all agents, and keeps them connected until it is closed."""

    def __init__(self, profiles: Sequence[AgentProfile], url: str, *, seed: int = 1) -> None:
        """Agents that are not connected yet; made inside of the loop that runs them.

        Args:
            profiles: one agent each.
            url: of the server, `http://HOST:PORT/v1/opamp`; `https`, `ws` and `wss` say the same.
            seed: of the jitter.

        Raises:
            SettingsError: not such a URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise SettingsError(
                f"{url!r} is not the URL of an OpAMP server",
                code="lab.opamp",
                hint="for example ws://127.0.0.1:4320/v1/opamp",
            )
        scheme = _SCHEMES[parts.scheme]
        base = parts._replace(path=parts.path or "/v1/opamp")
        self._polled = base._replace(scheme=scheme).geturl()
        self._socketed = base._replace(scheme="ws" if scheme == "http" else "wss").geturl()
        self._random = Random(seed)  # noqa: S311 - jitter needs no secrets
        loop = asyncio.get_running_loop()
        self.agents = [SimulatedAgent(one, later=loop.call_later, now=loop.time) for one in profiles]
        self._sockets: list[AgentSocket] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop` is set, then says goodbye for every agent."""
        async with asyncio.TaskGroup() as tasks:
            try:
                for start in range(0, len(self.agents), CONNECTS_AT_ONCE):
                    if stop.is_set():
                        break
                    batch = [self._socket(one) for one in self.agents[start : start + CONNECTS_AT_ONCE]]
                    self._sockets.extend(batch)
                    await asyncio.wait([one.start(tasks) for one in batch])
                await stop.wait()
            finally:
                for socket in self._sockets:
                    socket.close()
                await self._wait_closed()

    async def _wait_closed(self) -> None:
        """Until the server has closed every connection; what is left after a while is dropped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                while any(one.is_open for one in self._sockets):  # noqa: ASYNC110 - rather than an event per socket
                    await asyncio.sleep(LOOK_SECONDS)
        for socket in self._sockets:
            socket.abort()
        await asyncio.sleep(0)

    def _socket(self, agent: SimulatedAgent) -> AgentSocket:
        if agent.profile.transport is Transport.HTTP:
            return PollingAgent(agent, self._polled, self._random)
        return WebSocketAgent(agent, self._socketed, self._random)

    def connected(self) -> int:
        """Agents that the server has answered on the connection that they have now."""
        return sum(1 for one in self.agents if one.progress.connected)

    def able(self) -> list[SimulatedAgent]:
        """Agents that are meant to apply whatever they are offered."""
        never = (Fault.FAILS, Fault.SILENT, Fault.READ_ONLY)
        return [one for one in self.agents if one.profile.fault not in never]
