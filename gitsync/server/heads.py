"""The ordinary head of a request, read without a general HTTP parser: what nearly every agent sends.

A head is ordinary when it is there as a whole, of moderate size, in printable ASCII, with CRLF line ends and no header
twice. Everything else is h11's to judge: `read_head` must never take what h11 would refuse, nor read it otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from gitsync.server import bodies

_FIELDS = re.compile(rb"(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+:[\t\x20-\x7e]*\r\n)+")
_LENGTH = re.compile(rb"[0-9]{1,12}")
_UNUSUAL = frozenset((b"transfer-encoding", b"expect", b"upgrade"))


class Head(NamedTuple):
    """Request line and headers.

    Attributes:
        line: the request line.
        headers: by lower-case name, values without the blanks around them.
        length: bytes of the head with the empty line.
    """

    line: bytes
    headers: Mapping[bytes, bytes]
    length: int


def read_head(data: bytes, most: int) -> Head | None:
    """The head that `data` begins with; None: it is not ordinary, or not complete.

    Args:
        data: what has come.
        most: bytes that a head may have.
    """
    end = data.find(b"\r\n\r\n") + 2
    first = data.find(b"\r\n") + 2
    if end < first + 2 or end + 2 > most or _FIELDS.fullmatch(data, first, end) is None:
        return None
    lines = data[first : end - 2].split(b"\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    if len(headers) != len(lines) or b"host" not in headers:
        return None
    return Head(data[: first - 2], headers, end + 2)


def body_length(head: Head) -> int | None:
    """Bytes of the body of an ordinary POST of a message; None: this is not one."""
    headers = head.headers
    length = headers.get(b"content-length", b"")
    if (
        _LENGTH.fullmatch(length) is None
        or not bodies.is_protobuf(headers.get(b"content-type", b""))
        or headers.get(b"connection", b"keep-alive").lower() != b"keep-alive"
        or not _UNUSUAL.isdisjoint(headers)
    ):
        return None
    return int(length)
