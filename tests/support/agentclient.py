"""Test agents on real sockets: the protocol state of `gitsync.opamp.client`, over WebSocket or POSTs.

    async with ws_agent(url) as agent:
        await agent.say(agent.state.first_message())
        step = await agent.hear()               # what the next message of the server means
    async with http_agent(url) as agent:
        step = await agent.say(agent.state.first_message())

`url` is that of the listener (`ws://…/v1/opamp`) for both.
"""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from gitsync.ids import AgentUid
from gitsync.opamp.client import ClientState, ClientStep
from gitsync.opamp.messages import Capability, ConfigStatus
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.wire import decode_frame, encode_frame

PATIENCE_SECONDS = 10.0
CAPABILITIES = (
    Capability.REPORTS_STATUS
    | Capability.ACCEPTS_REMOTE_CONFIG
    | Capability.REPORTS_REMOTE_CONFIG
    | Capability.REPORTS_HEALTH
    | Capability.REPORTS_EFFECTIVE_CONFIG
)
COLLECTOR = {"service.name": "io.opentelemetry.collector", "service.version": "0.158.0"}


def client_state(labels: Mapping[str, str] | None = None, *, uid: bytes | None = None, **settings: Any) -> ClientState:
    """The state of a Collector-like agent with these non-identifying attributes; `settings` are `ClientState`'s."""
    capabilities = settings.pop("capabilities", CAPABILITIES)
    return ClientState(AgentUid(uid or uuid.uuid4().bytes), COLLECTOR, labels or {}, capabilities, **settings)


class _Agent:
    def __init__(self, state: ClientState) -> None:
        self.state = state
        self.received: list[pb.ServerToAgent] = []

    def _take(self, data: bytes) -> ClientStep:
        self.received.append(pb.ServerToAgent.FromString(data))
        return self.state.receive(data, asyncio.get_running_loop().time())


class WsAgent(_Agent):
    """An agent on a WebSocket.

    Attributes:
        state: makes and reads messages.
        received: every message of the server, parsed.
        socket: the connection of the `websockets` package.
    """

    def __init__(self, socket: ClientConnection, state: ClientState) -> None:
        super().__init__(state)
        self.socket = socket

    async def say(self, message: bytes) -> None:
        """Sends a message of `state`; empty ones are not sent."""
        if message:
            await self.socket.send(encode_frame(message))

    async def hear(self) -> ClientStep:
        """Waits for the next message of the server and sends what the agent must answer by itself."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            data = await self.socket.recv()
        assert isinstance(data, bytes)
        step = self._take(bytes(decode_frame(data)))
        for message in step.outgoing:
            await self.say(message)
        return step

    async def hear_config(self) -> ClientStep:
        """Waits for a message with a configuration, and reports it APPLIED."""
        while True:
            step = await self.hear()
            if step.config is not None:
                await self.say(self.state.report_status(step.config.config_hash, ConfigStatus.APPLIED))
                return step

    async def hello(self) -> ClientStep:
        """The first message and its answer."""
        await self.say(self.state.first_message())
        return await self.hear()


class HttpAgent(_Agent):
    """An agent that polls."""

    def __init__(self, client: httpx.AsyncClient, url: str, state: ClientState) -> None:
        super().__init__(state)
        self._client = client
        self._url = url

    async def say(self, message: bytes) -> ClientStep:
        """POSTs a message and reads the answer; what the agent must answer by itself is left in `outgoing`."""
        headers = {"Content-Type": "application/x-protobuf"}
        response = await self._client.post(self._url, content=message, headers=headers)
        response.raise_for_status()
        assert response.headers["content-type"] == "application/x-protobuf"
        return self._take(response.content)

    async def hello(self) -> ClientStep:
        """The first message and its answer."""
        return await self.say(self.state.first_message())

    async def poll(self) -> ClientStep:
        """A heartbeat and its answer."""
        return await self.say(self.state.heartbeat())


@asynccontextmanager
async def ws_agent(
    url: str, state: ClientState | None = None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[WsAgent]:
    """Connects; nothing is said yet. The connection is closed at the end."""
    async with websockets.connect(url, ssl=tls, compression=None, max_size=None) as socket:
        yield WsAgent(socket, state or client_state())


@asynccontextmanager
async def http_agent(
    url: str, state: ClientState | None = None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[HttpAgent]:
    """An HTTP client with keep-alive; nothing is said yet."""
    target = "http" + url.removeprefix("ws") if url.startswith("ws") else url
    async with httpx.AsyncClient(verify=tls if tls is not None else False, timeout=PATIENCE_SECONDS) as client:
        yield HttpAgent(client, target, state or client_state())
