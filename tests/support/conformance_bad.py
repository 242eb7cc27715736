"""Servers that keep none of the rules, so that every case can be seen to fail: a case that passes here shows nothing.

`careless` takes anything and answers with next to nothing: it upgrades whoever asks, does not read what it is sent,
knows no limit, no encoding and no Close, and speaks of another agent. `eager` sits behind the real port, and answers
each message with everything that a message can hold, right instance uid and all.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from gitsync.control.ports import AgentLink
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.agenthandler import opamp_port
from tests.support.rawpeer import BINARY, frame

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NEXT_TO_NOTHING = pb.ServerToAgent(instance_uid=b"somebody else!!!").SerializeToString()


async def _serve_carelessly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await _answer_carelessly(reader, writer)
    finally:
        writer.transport.abort()


async def _answer_carelessly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    headers = {name: value for name, _, value in (line.partition(": ") for line in head.split("\r\n"))}
    if not head.startswith("GET"):
        await reader.readexactly(int(headers.get("Content-Length", "0")))
        said = ["HTTP/1.1 202 Sure", "Content-Type: text/html", f"Content-Length: {len(_NEXT_TO_NOTHING)}"]
        writer.write("\r\n".join([*said, "", ""]).encode() + _NEXT_TO_NOTHING)
        return
    key = headers.get("Sec-WebSocket-Key", "")
    accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()
    said = ["HTTP/1.1 101 Sure", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}"]
    writer.write("\r\n".join([*said, "", ""]).encode())
    while await reader.read(1 << 16):
        writer.write(frame(b"\x00" + _NEXT_TO_NOTHING, BINARY, mask=None))
    raise ConnectionResetError


@asynccontextmanager
async def careless() -> AsyncIterator[str]:
    """The address of such a server."""
    server = await asyncio.start_server(_serve_carelessly, "127.0.0.1", 0, limit=1 << 24)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"ws://127.0.0.1:{port}/v1/opamp"


def _everything(link: AgentLink, data: bytes) -> Sequence[bytes]:
    try:
        uid = pb.AgentToServer.FromString(data).instance_uid
    except Exception:
        uid = b""
    said = pb.ServerToAgent(
        instance_uid=uid,
        flags=3,
        capabilities=0xFF,
        remote_config=pb.AgentRemoteConfig(config_hash=b"h"),
        agent_identification=pb.AgentIdentification(new_instance_uid=b"arbitrary bytes!"),
        packages_available=pb.PackagesAvailable(all_packages_hash=b"p"),
        connection_settings=pb.ConnectionSettingsOffers(hash=b"c", opamp=pb.OpAMPConnectionSettings()),
        command=pb.ServerToAgentCommand(),
        custom_message=pb.CustomMessage(capability="x"),
    )
    return (said.SerializeToString(),)


@asynccontextmanager
async def eager() -> AsyncIterator[str]:
    """The address of such a server."""
    async with opamp_port(_everything) as port:
        yield port.url
