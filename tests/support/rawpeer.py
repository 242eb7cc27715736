"""A peer of the agents' port that sends bytes exactly as it is told, and reads frames and responses."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from websockets.utils import apply_mask

PATIENCE_SECONDS = 10.0
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
MASK = b"\x37\xfa\x21\x3d"
BINARY, TEXT, CLOSE, PING, PONG, CONT = 0x82, 0x81, 0x88, 0x89, 0x8A, 0x80


def frame(payload: bytes, first: int = BINARY, *, mask: bytes | None = MASK, form: int | None = None) -> bytes:
    """A frame; `form` forces the length into 7, 16 or 64 bits; without `mask` it is not masked."""
    length = len(payload)
    bits = form or (7 if length < 126 else 16 if length < 1 << 16 else 64)
    bit = 0 if mask is None else 0x80
    match bits:
        case 7:
            head = struct.pack("!BB", first, bit | length)
        case 16:
            head = struct.pack("!BBH", first, bit | 126, length)
        case _:
            head = struct.pack("!BBQ", first, bit | 127, length)
    return head + (payload if mask is None else mask + apply_mask(payload, mask))


def upgrade(path: str = "/v1/opamp", *extra: str, without: Iterable[str] = ()) -> bytes:
    """The request that opens a WebSocket."""
    headers = {
        "Host": "server",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
    }
    lines = [f"{name}: {value}" for name, value in headers.items() if name not in set(without)]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, *extra, "", ""]).encode()


def post(body: bytes, *extra: str, path: str = "/v1/opamp", content_type: str = "application/x-protobuf") -> bytes:
    """A POST of a message."""
    lines = [f"POST {path} HTTP/1.1", "Host: server", f"Content-Length: {len(body)}"]
    lines += [f"Content-Type: {content_type}"] if content_type else []
    return "\r\n".join([*lines, *extra, "", ""]).encode() + body


class Response:
    """A status, headers (lower-case names) and a body."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class RawPeer:
    """One socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def send_singly(self, data: bytes) -> None:
        """One byte at a time; the peer's loop gets its turn after each."""
        for value in data:
            self.writer.write(bytes((value,)))
            await self.writer.drain()
            await asyncio.sleep(0)

    async def open(self, *extra: str) -> Response:
        """Opens the WebSocket."""
        self.send(upgrade("/v1/opamp", *extra))
        response = await self.response()
        assert response.status == 101, response.body
        return response

    async def response(self) -> Response:
        """The next response; its body is read by Content-Length."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            line, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
            return Response(int(line.split()[1]), headers, body)

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: its first byte and its payload; the server must not mask."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            first, second = await self.reader.readexactly(2)
            length = second
            if second == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif second == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first, await self.reader.readexactly(length)

    async def message(self) -> bytes:
        """The next binary message without its header."""
        first, payload = await self.frame()
        assert first == BINARY, (first, payload)
        assert payload[:1] == b"\x00"
        return payload[1:]

    async def close_code(self) -> int:
        """The code of the Close frame that must be next, after which nothing comes."""
        first, payload = await self.frame()
        assert first == CLOSE, (first, payload)
        (code,) = struct.unpack("!H", payload[:2])
        payload[2:].decode()
        await self.end()
        return int(code)

    async def end_of_stream(self) -> None:
        """Reads, and forgets, everything until the server closes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            with suppress(ConnectionResetError):
                await self.reader.read()

    async def end(self) -> None:
        """The server closes, having sent nothing more."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            with suppress(ConnectionResetError):
                assert await self.reader.read() == b""


@asynccontextmanager
async def raw_peer(url: str, *, tls: ssl.SSLContext | None = None, limit: int = 1 << 20) -> AsyncIterator[RawPeer]:
    """A socket to the port of `url`; `limit` is how much the reader keeps before it stops reading."""
    parts = urlsplit(url)
    name = parts.hostname if tls is not None else None
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port, ssl=tls, server_hostname=name, limit=limit
    )
    try:
        yield RawPeer(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
