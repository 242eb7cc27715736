"""The opening handshake of a WebSocket: judged by `websockets`; here is what it does not ask."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

SILENT = logging.getLogger("gitsync.opamp.silent")
SILENT.setLevel(logging.CRITICAL + 1)
"""For `websockets`, which would write whole payloads to its log at level DEBUG."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client is told.

    Attributes:
        status: 101, or why not.
        headers: of the answer.
        text: body of a refusal, for people.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    text: str


def answer(headers: Iterable[tuple[bytes, bytes]]) -> Answer:
    """The answer to a GET over HTTP/1.1 on the endpoint's path. No extension and no subprotocol is agreed on."""
    received = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
    if not _same_origin(received):
        return Answer(403, [], "A web page of another origin must not open a connection for agents.\n")
    # The protocol object only judges headers here; frames are cut by `frames.FrameReader`.
    response = ServerProtocol(logger=SILENT).accept(Request("/", received))
    if response.status_code == 101:
        return Answer(101, _encode(response.headers, ()), "")
    text = bytes(response.body or b"").decode("utf-8", "replace")
    if response.status_code == 426:
        text = "Agents open a WebSocket here (GET with Upgrade: websocket), or POST application/x-protobuf.\n"
    return Answer(
        response.status_code, _encode(response.headers, ("connection", "content-length", "content-type")), text
    )


def _encode(headers: Headers, without: tuple[str, ...]) -> list[tuple[bytes, bytes]]:
    return [
        (name.encode("ascii"), value.encode("latin-1", "replace"))
        for name, value in headers.raw_items()
        if name.lower() not in without
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
