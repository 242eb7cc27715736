"""A TCP relay that keeps what both sides said: the bytes that two real programs exchanged.

async with a_relay(service.opamp_url) as relay:
    ...  # a client connects to relay.url
    assert b"gzip" in relay.talks[0].said
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Talk:
    """One connection.

    Attributes:
        said: by who connected.
        answered: by the other side.
    """

    said: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)


@dataclass
class Relay:
    """A relay that listens.

    Attributes:
        url: that of the other side, with the address of the relay.
        talks: all connections, in their order.
    """

    url: str
    talks: list[Talk] = field(default_factory=list)


@asynccontextmanager
async def a_relay(url: str) -> AsyncIterator[Relay]:
    """A relay to the server of this URL; what is open at the end is closed."""
    parts = urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk()
        relay.talks.append(talk)
        onward_reader, onward_writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(reader, onward_writer, talk.said))
                tasks.create_task(_copy(onward_reader, writer, talk.answered))
        finally:
            onward_writer.close()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    relay = Relay(parts._replace(netloc=f"127.0.0.1:{port}").geturl())
    async with server:
        yield relay


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: bytearray) -> None:
    while data := await source.read(1 << 16):
        kept += data
        sink.write(data)
    if not sink.is_closing():
        sink.write_eof()


def websocket_frames(direction: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
    """First byte and unmasked payload of each whole frame behind the handshake's head."""
    rest = bytes(direction).partition(b"\r\n\r\n")[2]
    while len(rest) >= 2:
        first, length = rest[0], rest[1] & 0x7F
        at = {126: 4, 127: 10}.get(length, 2)
        size = int.from_bytes(rest[2:at]) if at > 2 else length
        mask = b""
        if rest[1] & 0x80:
            mask, at = rest[at : at + 4], at + 4
        if len(rest) < at + size:
            return
        payload = rest[at : at + size]
        if mask:
            payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        yield first, payload
        rest = rest[at + size :]
