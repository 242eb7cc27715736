"""Bytes of HTTP responses, without I/O: status lines, the Date header, a whole response at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from email.utils import formatdate

REASONS = {
    200: b"OK",
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    426: b"Upgrade Required",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    503: b"Service Unavailable",
    505: b"HTTP Version Not Supported",
}


def reason(status: int) -> bytes:
    """The words after the number."""
    return REASONS.get(status, b"Refused")


def render(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, *, head_only: bool = False) -> bytes:
    """A whole response over HTTP/1.1, as h11 would write it.

    Args:
        status: of the response.
        headers: all of them, in order.
        body: sent unless `head_only`.
        head_only: the request was HEAD.
    """
    lines = [b"%b: %b\r\n" % one for one in headers]
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, reason(status), b"".join(lines), b"" if head_only else body)


class HttpDate:
    """The value of the Date header, made once a second."""

    __slots__ = ("_loop", "_second", "_text")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._second = -1
        self._text = b""

    def now(self) -> bytes:
        """At most one second old."""
        second = int(self._loop.time())
        if second != self._second:
            self._second = second
            self._text = formatdate(usegmt=True).encode()
        return self._text
