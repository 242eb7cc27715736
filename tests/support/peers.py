"""Servers as small as can be, for tests of the agents themselves: they take in what agents send, and offer things."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h11
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from gitsync.opamp.pb import opamp_pb2 as pb

APPLIED, FAILED = int(pb.RemoteConfigStatuses_APPLIED), int(pb.RemoteConfigStatuses_FAILED)


def offer(entries: dict[str, tuple[str, str]]) -> pb.ServerToAgent:
    """A remote configuration of (content type, body) by name."""
    answer = pb.ServerToAgent()
    for name, (content_type, body) in entries.items():
        entry = answer.remote_config.config.config_map[name]
        entry.content_type, entry.body = content_type, body.encode()
    answer.remote_config.config_hash = hashlib.sha256(repr(sorted(entries.items())).encode()).digest()
    return answer


class WebSocketPeer:
    """Takes in what agents send, and offers one configuration once the agent is healthy.

    Attributes:
        received: every message, oldest first.
        connections: every connection that there was, newest last.
    """

    def __init__(self, body: str) -> None:
        self.offer = offer({"": ("text/yaml", body)})
        self.received: list[pb.AgentToServer] = []
        self.connections: list[ServerConnection] = []
        self.endpoint = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[WebSocketPeer]:
        async with serve(self._talk, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            self.endpoint = f"ws://127.0.0.1:{port}/v1/opamp"
            yield self

    async def _talk(self, connection: ServerConnection) -> None:
        offered = False
        self.connections.append(connection)
        async for frame in connection:
            assert isinstance(frame, bytes)
            message = pb.AgentToServer.FromString(frame[1:] if frame[0] == 0 else frame)
            self.received.append(message)
            answer = pb.ServerToAgent(instance_uid=message.instance_uid)
            if message.health.healthy and not offered:
                offered = True
                answer.MergeFrom(self.offer)
            with contextlib.suppress(ConnectionClosed):  # the agent left after its farewell
                await connection.send(b"\0" + answer.SerializeToString())

    async def say(self, **fields: Any) -> None:
        """Sends a message of these fields on the newest connection."""
        message = pb.ServerToAgent(instance_uid=self.received[-1].instance_uid, **fields)
        await self.connections[-1].send(b"\0" + message.SerializeToString())

    def statuses(self) -> list[int]:
        """Statuses reported for the offered hash, in order."""
        wanted = self.offer.remote_config.config_hash
        reports = [m.remote_config_status for m in self.received if m.HasField("remote_config_status")]
        return [int(r.status) for r in reports if r.last_remote_config_hash == wanted]


class HttpPeer:
    """Answers each poll; offers one configuration until the agent reports on it."""

    def __init__(self, entries: dict[str, tuple[str, str]]) -> None:
        self.offer = offer(entries)
        self.received: list[pb.AgentToServer] = []
        self.endpoint = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[HttpPeer]:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        async with server:
            self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/opamp"
            yield self

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The Go client sends its body in chunks, the Python client with a length.
        http = h11.Connection(h11.SERVER)
        body = b""
        while (event := http.next_event()) is not h11.PAUSED and not isinstance(event, h11.EndOfMessage):
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.ConnectionClosed):
                break
        message = pb.AgentToServer.FromString(body)
        self.received.append(message)
        answer = pb.ServerToAgent(instance_uid=message.instance_uid)
        wanted = self.offer.remote_config.config_hash
        if all(m.remote_config_status.last_remote_config_hash != wanted for m in self.received):
            answer.MergeFrom(self.offer)
        body = answer.SerializeToString()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nConnection: close\r\n")
        writer.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()
        with contextlib.suppress(ConnectionError):  # the agent left after its farewell
            await writer.wait_closed()
