"""Bytes of WebSocket frames, without I/O: cutting a byte stream into frames, unmasking, heads of our own frames.

Rules (RFC 6455 section 5; all are checked on the head, before any payload is kept)
- No extension is negotiated, so the reserved bits are 0; reserved opcodes are refused.
- Every frame of a client is masked.
- The length has its shortest form; a control frame has at most 125 bytes and is not fragmented.
- A frame longer than the limit is refused before it is buffered.
What comes after these checks (the order of fragments, the content of Close) is judged by `websockets`.
"""

from __future__ import annotations

import struct

from gitsync.errors import ProtocolError

try:
    from websockets.speedups import apply_mask
except ImportError:  # built without its C extension
    from websockets.utils import apply_mask

BINARY_MESSAGE = 0x82
"""First byte of a whole binary message: FIN and opcode 2. Almost all traffic is this."""
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

NORMAL = 1000
GOING_AWAY = 1001
BROKEN_PROTOCOL = 1002
NOT_BINARY = 1003
POLICY = 1008
TOO_BIG = 1009
INTERNAL = 1011
TRY_LATER = 1013

MAX_CONTROL_BYTES = 125
MAX_REASON_BYTES = 123
_FIN = 0x80
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


def close_frame(code: int, reason: str) -> bytes:
    """A Close frame; a reason that is too long is cut at a character."""
    body = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore").encode()
    return struct.pack("!BBH", _FIN | CLOSE, 2 + len(body), code) + body


PING_FRAME = bytes((_FIN | PING, 0))
"""A Ping without payload."""


def _broken(text: str) -> ProtocolError:
    return ProtocolError(text, code="websocket.frame", status=BROKEN_PROTOCOL)


class FrameReader:
    """Cuts what a client sends into frames. Holds no buffer between whole frames.

    Attributes:
        limit: largest payload of one frame, in bytes.
    """

    __slots__ = ("_buffer", "_need", "_start", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer: bytes | bytearray = b""
        self._start = 0
        self._need = 2

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits: neither a whole frame nor a part of one."""
        return not self._buffer

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
            The first byte of the frame, and: the unmasked payload when that byte is `BINARY_MESSAGE`, else the frame
            as it came, with head and mask.

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
        if length > self.limit:
            raise ProtocolError(
                f"the frame has {length} bytes; at most {self.limit} are taken",
                code="websocket.too-big",
                status=TOO_BIG,
            )
        end = start + head + length
        if len(buffer) < end:
            self._need = head + length
            return None
        frame = self._cut(buffer, start, head, end, first)
        self._need = 2
        if end == len(buffer):
            self._buffer = b""
            self._start = 0
        else:
            self._start = end
        return first, frame

    @staticmethod
    def _cut(buffer: bytes | bytearray, start: int, head: int, end: int, first: int) -> bytes:
        if first != BINARY_MESSAGE:
            return bytes(memoryview(buffer)[start:end])
        body = start + head
        return apply_mask(memoryview(buffer)[body:end], bytes(buffer[body - 4 : body]))

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

    @staticmethod
    def _check(first: int, second: int) -> None:
        """Refuses heads that no client may send."""
        if first == BINARY_MESSAGE and second & _MASKED:
            return
        if first & _RESERVED:
            raise _broken("a reserved bit is set, and no extension was agreed on")
        opcode = first & 0x0F
        if opcode not in _OPCODES:
            raise _broken(f"opcode {opcode} is reserved")
        if not second & _MASKED:
            raise _broken("the frame is not masked; clients must mask")
        if opcode >= CLOSE:
            if not first & _FIN:
                raise _broken("a control frame is fragmented")
            if second & 0x7F > MAX_CONTROL_BYTES:
                raise _broken("a control frame has more than 125 bytes")
