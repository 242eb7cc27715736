"""Bytes of WebSocket frames, without I/O: cutting a byte stream into frames, unmasking, joining, frames of our own.

Rules (RFC 6455 section 5; all but the last two are checked on the head, before any payload is kept)
- The reserved bits are 0, except the first one (RSV1) on the first frame of a compressed message, if compression was
  agreed on; reserved opcodes are refused.
- Every frame of a client is masked.
- The length has its shortest form; a control frame has at most 125 bytes and is not fragmented.
- A frame longer than the limit is refused before it is buffered.
- The fragments of a message together are not longer than the limit either.
- The code of a Close is one that may be sent, and its reason is UTF-8.
"""

from __future__ import annotations

import struct

from websockets.exceptions import ProtocolError as BrokenClose
from websockets.frames import Close

from gitsync.errors import ProtocolError

try:
    from websockets.speedups import apply_mask
except ImportError:  # built without its C extension
    from websockets.utils import apply_mask

unmask = apply_mask
"""The payload and its mask in, the plain payload out."""
BINARY_MESSAGE = 0x82
"""First byte of a whole binary message: FIN and opcode 2. Almost all traffic is this."""
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

GOING_AWAY = 1001
BROKEN_PROTOCOL = 1002
NOT_BINARY = 1003
BAD_DATA = 1007
POLICY = 1008
TOO_BIG = 1009
INTERNAL = 1011
TRY_LATER = 1013

MAX_CONTROL_BYTES = 125
MAX_REASON_BYTES = 123
FIN = 0x80
COMPRESSED = 0x40
"""RSV1."""
_RESERVED = 0x70
_MASKED = 0x80
_OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))

_SHORT_HEADS = tuple(bytes((BINARY_MESSAGE, length, 0)) for length in range(126))


def message_head(length: int) -> bytes:
    """Frame head of a binary message of `length` payload bytes, with the OpAMP header (0) that begins the payload.

    `length` counts the OpAMP header and is at least 1.
    """
    if length < 126:
        return _SHORT_HEADS[length]
    if length < 1 << 16:
        return struct.pack("!BBHB", BINARY_MESSAGE, 126, length, 0)
    return struct.pack("!BBQB", BINARY_MESSAGE, 127, length, 0)


def compressed_head(length: int) -> bytes:
    """Frame head of a compressed binary message of `length` payload bytes."""
    first = BINARY_MESSAGE | COMPRESSED
    if length < 126:
        return bytes((first, length))
    if length < 1 << 16:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)


def control_frame(opcode: int, payload: bytes) -> bytes:
    """A Pong, or the echo of a Close, with what the peer sent (at most 125 bytes)."""
    return bytes((FIN | opcode, len(payload))) + payload


def close_frame(code: int, reason: str) -> bytes:
    """A Close frame; a reason that is too long is cut at a character."""
    body = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore").encode()
    return struct.pack("!BBH", FIN | CLOSE, 2 + len(body), code) + body


PING_FRAME = bytes((FIN | PING, 0))
"""A Ping without payload."""


def _broken(text: str) -> ProtocolError:
    return ProtocolError(text, code="websocket.frame", status=BROKEN_PROTOCOL)


def too_big(limit: int) -> ProtocolError:
    """The error about a message that is longer than the limit, as it is or inflated."""
    return ProtocolError(f"the message has more than {limit} bytes", code="websocket.too-big", status=TOO_BIG)


def check_close(payload: bytes) -> None:
    """Judges the payload of a Close.

    Raises:
        ProtocolError: half a code, a code that is never sent, or a reason that is not UTF-8.
    """
    try:
        Close.parse(payload)
    except UnicodeDecodeError as error:
        raise ProtocolError("the reason of a Close is not UTF-8", code="websocket.frame", status=BAD_DATA) from error
    except BrokenClose as error:
        raise _broken(str(error)) from error


class Fragments:
    """Takes in the fragments of one message; `deflate.Inflater` does it for a compressed one."""

    __slots__ = ("_content", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._content = bytearray()

    @property
    def held_bytes(self) -> int:
        """What is kept until the message is complete."""
        return len(self._content)

    def add(self, data: bytes) -> None:
        """Takes the payload of the next frame.

        Raises:
            ProtocolError: 1009: the message is too large.
        """
        if len(self._content) + len(data) > self._limit:
            raise too_big(self._limit)
        self._content += data

    def finish(self) -> bytes:
        """The whole message."""
        return bytes(self._content)


class FrameReader:
    """Cuts what a client sends into frames. Holds no buffer between whole frames."""

    __slots__ = ("_buffer", "_deflated", "_limit", "_need", "_start")

    def __init__(self, limit: int, *, deflated: bool = False) -> None:
        """Nothing has come yet.

        Args:
            limit: largest payload of one frame, in bytes.
            deflated: whether compressed messages may come.
        """
        self._limit = limit
        self._deflated = deflated
        self._buffer: bytes | bytearray = b""
        self._start = 0
        self._need = 2

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits: neither a whole frame nor a part of one."""
        return not self._buffer

    @property
    def held_bytes(self) -> int:
        """What has come and was not popped."""
        return len(self._buffer) - self._start

    def push(self, data: bytes) -> None:
        """Adds what has arrived."""
        if not self._buffer:
            self._buffer = data
            return
        if isinstance(self._buffer, bytes):
            self._buffer = bytearray(self._buffer[self._start :])
            self._start = 0
        elif self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data

    def pop(self) -> tuple[int, bytes] | None:
        """The next whole frame; None: more bytes are needed.

        Returns:
            The first byte of the frame, and the unmasked payload.

        Raises:
            ProtocolError: the client broke a rule; `status` is the close code. The reader must not be used again.
        """
        buffer, start = self._buffer, self._start
        have = len(buffer) - start
        if have < self._need:
            return None
        first, length = buffer[start], buffer[start + 1] & 0x7F
        head = 6 if length < 126 else (8 if length == 126 else 14)
        if have < head:
            self._check(first, buffer[start + 1])
            self._need = head
            return None
        if length >= 126:
            length = self._long_length(buffer, start, length)
        self._check(first, buffer[start + 1])
        if length > self._limit:
            raise too_big(self._limit)
        end = start + head + length
        if len(buffer) < end:
            self._need = head + length
            return None
        body = start + head
        payload = unmask(memoryview(buffer)[body:end], bytes(buffer[body - 4 : body]))
        self._need = 2
        if end == len(buffer):
            self._buffer = b""
            self._start = 0
        else:
            self._start = end
        return first, payload

    @staticmethod
    def _long_length(buffer: bytes | bytearray, start: int, form: int) -> int:
        if form == 126:
            length = (buffer[start + 2] << 8) | buffer[start + 3]
            if length < 126:
                raise _broken("the length of the frame is not in its shortest form")
            return length
        length = int.from_bytes(buffer[start + 2 : start + 10], "big")
        if length >> 63:
            raise _broken("the length of the frame has its highest bit set")
        if length < 1 << 16:
            raise _broken("the length of the frame is not in its shortest form")
        return length

    def _check(self, first: int, second: int) -> None:
        """Refuses heads that no client may send."""
        if first == BINARY_MESSAGE and second & _MASKED:
            return
        opcode = first & 0x0F
        if first & _RESERVED and not (self._deflated and first & _RESERVED == COMPRESSED and opcode in (TEXT, BINARY)):
            raise _broken("a reserved bit is set where none may be, or without an agreement on compression")
        if opcode not in _OPCODES:
            raise _broken(f"opcode {opcode} is reserved")
        if not second & _MASKED:
            raise _broken("the frame is not masked; clients must mask")
        if opcode >= CLOSE:
            if not first & FIN:
                raise _broken("a control frame is fragmented")
            if second & 0x7F > MAX_CONTROL_BYTES:
                raise _broken("a control frame has more than 125 bytes")
