"""Headers and bodies of POSTs, without I/O: which media type, which encodings, inflating within a limit.

Rules (OpAMP, Plain HTTP Transport and Plain HTTP Message Size Limits)
- Request bodies come plain or with `Content-Encoding: gzip`; anything else is 415.
- The limit holds for the body as it comes and for what is in it: 413.
- The answer is compressed when `Accept-Encoding` allows gzip.
"""

from __future__ import annotations

import gzip
import zlib

from gitsync.errors import ProtocolError

MEDIA_TYPE = b"application/x-protobuf"
MAX_MEMBERS = 16
"""Gzip members in one body: each costs several KiB however small it is."""
INFLATER_BYTES = 40 << 10
"""What a decoder keeps for itself, mostly the last 32 KiB of its output."""
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_GZIP_NAMES = (b"gzip", b"x-gzip")


def is_protobuf(content_type: bytes) -> bool:
    """Whether a Content-Type names the media type of OpAMP messages, with or without parameters."""
    return content_type.partition(b";")[0].strip().lower() == MEDIA_TYPE


def is_gzip(content_encoding: bytes) -> bool:
    """Whether the body is compressed; empty and `identity`: it is not.

    Raises:
        ProtocolError: 415: another encoding, or several.
    """
    name = content_encoding.strip().lower()
    if name in (b"", b"identity"):
        return False
    if name in _GZIP_NAMES:
        return True
    raise ProtocolError(
        "the Content-Encoding of the body is not known; send it plain or with gzip", code="http.encoding", status=415
    )


def allows_gzip(accept_encoding: bytes) -> bool:
    """Whether an Accept-Encoding permits gzip (RFC 9110, 12.5.3); a weight that is no number permits nothing."""
    named: bool | None = None
    others = False
    for item in accept_encoding.lower().split(b","):
        name, _, parameters = item.partition(b";")
        wanted = _weight(parameters) > 0
        match name.strip():
            case b"gzip" | b"x-gzip":
                named = wanted or bool(named)
            case b"*":
                others = wanted
    return others if named is None else named


def _weight(parameters: bytes) -> float:
    name, separator, value = parameters.partition(b"=")
    if not separator:
        return 1.0 if not parameters.strip() else 0.0
    if name.strip() != b"q":
        return 0.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def compress(body: bytes) -> bytes:
    """The body as gzip; the same body gives the same bytes."""
    return gzip.compress(body, compresslevel=1, mtime=0)


class Body:
    """Collects the body of one request, inflating on the way."""

    __slots__ = ("_compressed", "_content", "_inflater", "_limit", "_members", "_received")

    def __init__(self, limit: int, *, compressed: bool) -> None:
        self._limit = limit
        self._compressed = compressed
        self._content = bytearray()
        self._received = 0
        self._inflater = zlib.decompressobj(_GZIP_WINDOW) if compressed else None
        self._members = 1

    @property
    def held_bytes(self) -> int:
        """What is kept until the body is complete."""
        return len(self._content) + (INFLATER_BYTES if self._compressed else 0)

    def add(self, data: bytes) -> None:
        """Takes the next bytes.

        Raises:
            ProtocolError: 413: too large, now or when inflated; 400: not gzip.
        """
        self._received += len(data)
        if self._received > self._limit:
            raise self._too_large()
        if self._compressed:
            self._inflate(data)
        else:
            self._content += data

    def finish(self) -> bytes:
        """The whole content; possibly empty.

        Raises:
            ProtocolError: 400: the compressed body ends too early.
        """
        if self._inflater is not None and not self._inflater.eof:
            raise ProtocolError("the gzip body ends too early", code="http.gzip", status=400)
        return bytes(self._content)

    def _inflate(self, data: bytes) -> None:
        inflater = self._inflater
        assert inflater is not None
        while data:
            if inflater.eof:
                self._members += 1
                if self._members > MAX_MEMBERS:
                    raise ProtocolError("the gzip body has too many members", code="http.gzip", status=400)
                self._inflater = inflater = zlib.decompressobj(_GZIP_WINDOW)
            room = self._limit - len(self._content)
            try:
                # One byte more than fits, so that it is seen; 0 would mean no limit.
                self._content += inflater.decompress(data, room + 1)
            except zlib.error as error:
                raise ProtocolError("the body is not gzip, or broken", code="http.gzip", status=400) from error
            if len(self._content) > self._limit:
                raise self._too_large()
            data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail

    def _too_large(self) -> ProtocolError:
        return ProtocolError(
            f"the body is larger than {self._limit} bytes, as it is or inflated", code="http.too-big", status=413
        )
