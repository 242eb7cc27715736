"""The opening handshake of a WebSocket: the ordinary one at once, any other judged by `websockets`.

Both ways give the same verdict and the same response: `accept_ordinary` says None whenever it is not sure.
"""

from __future__ import annotations

import logging
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.http11 import Request
from websockets.server import ServerProtocol

from gitsync.server import deflate

SILENT = logging.getLogger("gitsync.opamp.silent")
SILENT.setLevel(logging.CRITICAL + 1)
"""For `websockets`, which would write whole payloads to its log at level DEBUG."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_RESPONSE_HEAD = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
_MOST_OFFERED_BYTES = 1024
_UNUSUAL = frozenset((b"transfer-encoding", b"content-length", b"expect", b"origin", b"sec-websocket-protocol"))


@dataclass(frozen=True, slots=True)
class Opening:
    """A WebSocket may be opened.

    Attributes:
        response: all bytes of the 101 (without `Date`, which an interim response need not have).
        deflated: whether permessage-deflate was agreed on.
    """

    response: bytes
    deflated: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """No WebSocket.

    Attributes:
        status: why not.
        headers: of the answer.
        text: its body, for people.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    text: str


def accept_ordinary(headers: Mapping[bytes, bytes], *, compression: bool) -> Opening | None:
    """The answer to a GET over HTTP/1.1 on the endpoint's path as nearly all agents send it.

    Args:
        headers: by lower-case name; none came twice.
        compression: whether it may be agreed on.

    Returns:
        None: `judge` must say.
    """
    key = headers.get(b"sec-websocket-key", b"")
    if (
        headers.get(b"connection", b"").lower() != b"upgrade"
        or headers.get(b"upgrade", b"").lower() != b"websocket"
        or headers.get(b"sec-websocket-version") != b"13"
        or _KEY.fullmatch(key) is None
        or not _UNUSUAL.isdisjoint(headers)
    ):
        return None
    offered = headers.get(b"sec-websocket-extensions")
    return _open(key, _agree((offered,)) if compression and offered else None)


def judge(headers: Sequence[tuple[bytes, bytes]], *, compression: bool) -> Opening | Refusal:
    """The answer to any GET over HTTP/1.1 on the endpoint's path. No subprotocol is agreed on.

    Args:
        headers: with lower-case names, as they came.
        compression: whether it may be agreed on.
    """
    try:
        received = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
    except InvalidHeader:  # h11 lets more characters through
        return Refusal(400, [], "A header of the request holds control characters.\n")
    if not _same_origin(received):
        return Refusal(403, [], "A web page of another origin must not open a connection for agents.\n")
    # The protocol object only judges headers here; frames are cut by `frames.FrameReader`.
    response = ServerProtocol(logger=SILENT).accept(Request("/", received))
    if response.status_code == 101:
        offered = tuple(value for name, value in headers if name == b"sec-websocket-extensions")
        return _open(
            received["Sec-WebSocket-Key"].encode("ascii"), _agree(offered) if compression and offered else None
        )
    text = bytes(response.body or b"").decode("utf-8", "replace")
    if response.status_code == 426:
        text = "Agents open a WebSocket here (GET with Upgrade: websocket), or POST application/x-protobuf.\n"
    return Refusal(response.status_code, _encode(response.headers), text)


def _open(key: bytes, extension: str | None) -> Opening:
    # SHA-1 is what RFC 6455 asks for; it protects nothing.
    proof = b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
    if extension is None:
        return Opening(b"%b%b\r\n\r\n" % (_RESPONSE_HEAD, proof), deflated=False)
    head = b"%b%b\r\nSec-WebSocket-Extensions: %b\r\n\r\n" % (_RESPONSE_HEAD, proof, extension.encode("ascii"))
    return Opening(head, deflated=True)


def _agree(offered: tuple[bytes, ...]) -> str | None:
    """What is answered to the offered extensions; a fleet offers the same again and again."""
    if sum(map(len, offered)) > _MOST_OFFERED_BYTES:
        return None
    return _agree_once(offered)


@lru_cache(maxsize=64)
def _agree_once(offered: tuple[bytes, ...]) -> str | None:
    return deflate.negotiate([value.decode("latin-1") for value in offered])


def _encode(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Without those that the answer has anyway."""
    return [
        (name.encode("ascii"), value.encode("latin-1", "replace"))
        for name, value in headers.raw_items()
        if name.lower() not in ("connection", "content-length", "content-type", "date")
    ]


def _same_origin(headers: Headers) -> bool:
    """Browsers name the page's origin, agents do not: a page elsewhere must not reach the port through a browser."""
    origins = headers.get_all("Origin")
    if not origins:
        return True
    hosts = headers.get_all("Host")
    try:
        return len(origins) == 1 and len(hosts) == 1 and urlsplit(origins[0]).netloc.lower() == hosts[0].lower()
    except ValueError:
        return False
