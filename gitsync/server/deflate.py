"""permessage-deflate (RFC 7692) without I/O: agreeing on it, what goes out compressed once, inflating within a limit.

Rules
- Each message begins with an empty window on both sides (`server_no_context_takeover`, `client_no_context_takeover`):
  nothing is kept per connection, and what many agents get is compressed once for all of them.
- A message that goes out begins with what is the agent's own, as a stored block, which costs nothing; what follows are
  the shared parts. Where that does not pay, the message goes out uncompressed, which the extension allows.
- The limit holds for a message as it comes and for what is in it, while it is inflated: 1009. Not deflate: 1007.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

from websockets.exceptions import InvalidHeader
from websockets.headers import parse_extension

from gitsync.errors import ProtocolError
from gitsync.server import frames

NAME = "permessage-deflate"
AGREED = f"{NAME}; server_no_context_takeover; client_no_context_takeover"

MIN_BYTES = 256
"""Shorter messages, and shorter shared parts, are not compressed."""
MAX_TAIL_BYTES = 2 << 20
"""Longer parts are not compressed: that would hold the loop for too long."""
MAX_TAILS = 1024
MAX_CACHE_BYTES = 32 << 20
MAX_FINAL_BLOCKS = 16
"""Blocks of one message that call themselves the last: each costs a new decoder however small it is."""

_MAX_WINDOW_BITS = 15
_WINDOW_BITS = frozenset(str(bits) for bits in range(8, _MAX_WINDOW_BITS + 1))
_WINDOW_BYTES = 1 << _MAX_WINDOW_BITS
_MAX_STORED_BYTES = 0xFFFF
_FLUSHED = b"\x00\x00\xff\xff"
"""Ends what was flushed; left out at the end of a message."""
_LAST_BLOCK = b"\x01\x00\x00\xff\xff"
"""A last block without content: the decoder reaches its end by it, if it is between blocks."""


# ── Agreement ───────────────────────────────────────────────────────────────────────────────────────────────────────


def negotiate(values: Iterable[str]) -> str | None:
    """The Sec-WebSocket-Extensions of the answer; None: no offer can be accepted.

    Args:
        values: the Sec-WebSocket-Extensions headers of the client, in order. If one cannot be read, none counts.
    """
    try:
        offers = [offer for value in values for offer in parse_extension(value)]
    except InvalidHeader:
        return None
    for name, parameters in offers:
        if name == NAME and (agreed := _agree(parameters)) is not None:
            return agreed
    return None


def _agree(parameters: Sequence[tuple[str, str | None]]) -> str | None:
    """The answer to one offer (RFC 7692, 7.1); None: it is declined."""
    offered = dict(parameters)
    if len(offered) < len(parameters):
        return None  # a parameter is there twice
    agreed = AGREED
    for name, value in offered.items():
        match name:
            case "server_no_context_takeover" | "client_no_context_takeover":
                if value is not None:
                    return None
            case "client_max_window_bits":
                # Says what the client could do. It is asked for nothing: no window outlives a message here.
                if value is not None and value not in _WINDOW_BITS:
                    return None
            case "server_max_window_bits":
                # What is shared is compressed with the largest window; a smaller one cannot be promised.
                if value != str(_MAX_WINDOW_BITS):
                    return None
                agreed += f"; {name}={value}"
            case _:
                return None
    return agreed


# ── Out ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class SharedTails:
    """What many agents get, compressed once: what was used lately, within bounds."""

    __slots__ = ("_bytes", "_last", "_last_deflated", "_tails")

    def __init__(self) -> None:
        self._tails: dict[bytes, bytes] = {}
        self._bytes = 0
        self._last = b""
        self._last_deflated = b""

    def __len__(self) -> int:
        return len(self._tails)

    @property
    def held_bytes(self) -> int:
        """Of the parts and of their compressed forms, together."""
        return self._bytes

    def get(self, tail: bytes) -> bytes:
        """The part as deflate blocks, without the end that a flush leaves; empty: compressing it does not pay."""
        if tail is self._last:  # a configuration that goes to many agents in a row
            return self._last_deflated
        if not MIN_BYTES <= len(tail) <= MAX_TAIL_BYTES:
            return b""
        deflated = self._tails.pop(tail, None)
        if deflated is None:
            deflated = _deflate(tail)
            self._bytes += len(tail) + len(deflated)
            self._make_room()
        self._tails[tail] = deflated  # the newest is the last
        self._last, self._last_deflated = tail, deflated
        return deflated

    def _make_room(self) -> None:
        while self._tails and (self._bytes > MAX_CACHE_BYTES or len(self._tails) >= MAX_TAILS):
            oldest = next(iter(self._tails))
            self._bytes -= len(oldest) + len(self._tails.pop(oldest))


def _deflate(tail: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-_MAX_WINDOW_BITS)
    deflated = encoder.compress(tail) + encoder.flush(zlib.Z_SYNC_FLUSH)
    return deflated[: -len(_FLUSHED)] if len(deflated) < len(tail) else b""


def deflate_parts(parts: Sequence[bytes], tails: SharedTails) -> tuple[bytes, ...] | None:
    """The payload of a compressed message, beginning with the OpAMP header (0); None: it goes out as it is.

    Args:
        parts: of the message: what is the agent's own, then what many agents get.
        tails: holds the compressed forms of the latter.
    """
    payload: list[bytes] = []
    stored = [b"\x00"]
    for index, part in enumerate(parts):
        deflated = tails.get(part) if index and len(part) >= MIN_BYTES else b""
        if not deflated:
            stored.append(part)
            continue
        if stored and not _store(stored, payload):
            return None
        stored = []
        payload += (deflated, _FLUSHED)
    if not payload:
        return None
    if not stored:
        payload.pop()
        return tuple(payload)
    if not _store(stored, payload):
        return None
    # What the receiver adds is the rest of an empty block that begins here.
    return (*payload, b"\x00")


def _store(stored: Sequence[bytes], payload: list[bytes]) -> bool:
    """Adds a stored block; False: that is too much for one."""
    content = b"".join(stored)
    length = len(content)
    if length > _MAX_STORED_BYTES:
        return False
    payload.append(struct.pack("<BHH", 0, length, length ^ 0xFFFF) + content)
    return True


# ── In ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def inflate(data: bytes, limit: int) -> bytes:
    """A message that came in one frame: agents that compress do it to their heartbeats too.

    Raises:
        ProtocolError: see `Inflater`.
    """
    decoder = zlib.decompressobj(-_MAX_WINDOW_BITS)
    try:
        content = decoder.decompress(data + _FLUSHED + _LAST_BLOCK, limit + 1)
    except zlib.error as error:
        raise _broken("the message is not deflate, or broken") from error
    if decoder.eof and not decoder.unused_data and len(content) <= limit and len(data) <= limit:
        return content
    inflater = Inflater(limit)  # it says what is wrong, or that it is only unusual
    inflater.add(data)
    return inflater.finish()


class Inflater:
    """Takes in the fragments of one compressed message, and inflates them on the way."""

    __slots__ = ("_content", "_decoder", "_finals", "_limit", "_received")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._content = bytearray()
        self._received = 0
        self._finals = 0
        self._decoder = zlib.decompressobj(-_MAX_WINDOW_BITS)

    @property
    def held_bytes(self) -> int:
        """What is kept until the message is complete."""
        return len(self._content) + _WINDOW_BYTES

    def add(self, data: bytes) -> None:
        """Takes the payload of the next frame.

        Raises:
            ProtocolError: 1009: too large, now or when inflated; 1007: not deflate.
        """
        self._received += len(data)
        if self._received > self._limit:
            raise frames.too_big(self._limit)
        self._inflate(data)

    def finish(self) -> bytes:
        """The whole message.

        Raises:
            ProtocolError: see `add`; 1007 too when the compressed data ends in the middle of a block.
        """
        self._inflate(_FLUSHED + _LAST_BLOCK)
        if not self._decoder.eof:
            raise _broken("the compressed data of the message ends too early")
        return bytes(self._content)

    def _inflate(self, data: bytes) -> None:
        while data:
            if self._decoder.eof:
                self._begin_anew()
            decoder = self._decoder
            try:
                # One byte more than fits, so that it is seen; 0 would mean no limit.
                self._content += decoder.decompress(data, self._limit - len(self._content) + 1)
            except zlib.error as error:
                raise _broken("the message is not deflate, or broken") from error
            if len(self._content) > self._limit:
                raise frames.too_big(self._limit)
            data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail

    def _begin_anew(self) -> None:
        """A block said that it is the last, and more follows (RFC 7692, 7.2.3.4)."""
        self._finals += 1
        if self._finals > MAX_FINAL_BLOCKS:
            raise _broken("too many blocks of the message say that they are the last")
        self._decoder = zlib.decompressobj(-_MAX_WINDOW_BITS, zdict=bytes(self._content[-_WINDOW_BYTES:]))


def _broken(text: str) -> ProtocolError:
    return ProtocolError(text, code="websocket.deflate", status=frames.BAD_DATA)
