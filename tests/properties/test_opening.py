"""A request is answered exactly alike by the short way (`heads`, `accept_ordinary`) and by h11 and `websockets`."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitsync.control.meters import Meters
from gitsync.server.handshake import accept_ordinary
from gitsync.server.heads import body_length, read_head
from gitsync.server.websocket import WebSocketLink
from tests.support.agenthandler import RecordingHandler
from tests.support.rawpeer import frame, post, upgrade
from tests.support.wire import a_connection, a_hub

Outcome = tuple[bytes, str, bool, list[bytes], dict[str, int], dict[str, int], int]


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def outcome(loop: asyncio.AbstractEventLoop, data: bytes, *, long_way: bool = False) -> Outcome:
    """What the peer, the handler and the meters see."""
    handler = RecordingHandler()
    hub = a_hub(loop, handler, max_message_bytes=1000, max_header_bytes=2000)
    wire = a_connection(hub)
    if long_way:  # nothing outside chooses it
        wire.protocol._http = h11.Connection(h11.SERVER, max_incomplete_event_size=2000)
    wire.protocol.data_received(data)
    is_open = isinstance(wire.protocol, WebSocketLink)
    lines = [line for line in wire.sent.split(b"\r\n") if not line.startswith(b"Date: ")]
    meters: Meters = hub.meters
    errors, links = dict(meters.protocol_errors), dict(+meters.open_links)
    return b"\r\n".join(lines), wire.ended, is_open, handler.messages, errors, links, hub.budget.used


def any_case(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name, name.lower(), name.upper(), name.title()])


NAMES = {
    "Host": ["server", "a:1", ""],
    "Connection": ["Upgrade", "upgrade", "keep-alive", "keep-alive, Upgrade", "close", "", "Upgrade,", "x y"],
    "Upgrade": ["websocket", "WebSocket", "websocket, h2c", "h2c", "", "websocket/13", "a/b/c"],
    "Sec-WebSocket-Key": ["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25j", "", "=" * 24],
    "Sec-WebSocket-Version": ["13", "8", "013", "13, 8", ""],
    "Sec-WebSocket-Extensions": [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        "x-webkit-deflate-frame",
        "",
        ";;",
        "x" * 1100,
    ],
    "Sec-WebSocket-Protocol": ["opamp", "", ", ,"],
    "Origin": ["http://server", "http://elsewhere", "null", ""],
    "Content-Type": ["application/x-protobuf", "application/x-protobuf; a=b", "text/plain", ""],
    "Content-Encoding": ["gzip", "identity", "br", "GZIP", "gzip, gzip", ""],
    "Content-Length": ["0", "4", "5", "0004", "+4", "-1", "4, 4", "4,5", "", "999999999999", "1" * 21, "٤"],
    "Transfer-Encoding": ["chunked", "identity", ""],
    "Accept-Encoding": ["gzip", "gzip;q=0", "*", ""],
    "Expect": ["100-continue", "more", ""],
    "OpAMP-Instance-UID": ["018f3c4e-0000-7000-8000-000000000001", "ä", "\x01", "a\tb"],
}
BLANKS = st.sampled_from(["", " ", "  ", "\t", " \t "])
ONE_HEADER = st.sampled_from(sorted(NAMES)).flatmap(
    lambda name: st.tuples(any_case(name), BLANKS, st.sampled_from(NAMES[name]), BLANKS)
)
GOOD_UPGRADE = [
    ("Host", " ", "server", ""),
    ("Connection", " ", "Upgrade", ""),
    ("Upgrade", " ", "websocket", ""),
    ("Sec-WebSocket-Version", " ", "13", ""),
    ("Sec-WebSocket-Key", " ", "dGhlIHNhbXBsZSBub25jZQ==", ""),
]
GOOD_POST = [
    ("Host", " ", "server", ""),
    ("Content-Type", " ", "application/x-protobuf", ""),
    ("Content-Length", " ", "4", ""),
]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A good request with a few things changed, and what follows it."""
    is_post = draw(st.booleans())
    headers = list(GOOD_POST if is_post else GOOD_UPGRADE)
    for change in draw(st.lists(ONE_HEADER, max_size=3)):
        same = [index for index, one in enumerate(headers) if one[0].lower() == change[0].lower()]
        match draw(st.sampled_from(["replace", "add", "drop"])):
            case "replace" if same:
                headers[same[0]] = change
            case "drop" if same:
                del headers[same[0]]
            case _:
                headers.insert(draw(st.integers(0, len(headers))), change)
    method = draw(
        st.sampled_from(["POST"] * 6 + ["GET"]) if is_post else st.sampled_from(["GET"] * 6 + ["HEAD", "get"])
    )
    target = draw(st.sampled_from(["/v1/opamp"] * 8 + ["/v1/opamp?a=b", "/", "/v1/opamp/", "http://server/v1/opamp"]))
    version = draw(st.sampled_from(["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/2.0", "http/1.1"]))
    end = draw(st.sampled_from(["\r\n"] * 8 + ["\n"]))
    lines = [f"{method} {target} {version}", *(f"{a}:{b}{c}{d}" for a, b, c, d in headers), "", ""]
    body = draw(st.sampled_from([b"body", b"", b"more than that", gzip.compress(b"zipped"), frame(b"\x00hi"), b"\x82"]))
    return end.join(lines).encode() + body


@given(data=requests())
@example(data=upgrade())
@example(data=upgrade() + frame(b"\x00at once"))
@example(data=upgrade("/v1/opamp", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"))
@example(data=post(b"body"))
@example(data=post(b"body", "Accept-Encoding: gzip"))
@example(data=post(gzip.compress(b"x" * 1001), "Content-Encoding: gzip"))
@example(data=post(gzip.compress(b"x")[:-3], "Content-Encoding: gzip"))
@example(data=post(b"x", "Content-Encoding: br"))
@example(data=post(b"x" * 1001))
@example(data=post(b"one") + post(b"two"))
@example(data=upgrade("/v1/opamp", "X: " + "y" * 2000))
def test_both_ways_say_the_same(loop: asyncio.AbstractEventLoop, data: bytes) -> None:
    assert outcome(loop, data) == outcome(loop, data, long_way=True)


@given(data=requests(), at=st.integers(0, 400), change=st.binary(max_size=3), cut=st.integers(0, 3))
def test_both_ways_say_the_same_about_damaged_requests(
    loop: asyncio.AbstractEventLoop, data: bytes, at: int, change: bytes, cut: int
) -> None:
    damaged = data[:at] + change + data[at + cut :]
    if damaged and damaged[0] != 0x16:  # TLS to a plain port is found before HTTP is read
        assert outcome(loop, damaged) == outcome(loop, damaged, long_way=True)


GO = upgrade("/v1/opamp", "User-Agent: Go-http-client/1.1", "Opamp-Instance-Uid: 018f3c4e-0000-7000-8000-000000000001")
NODE = upgrade(
    "/v1/opamp", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", "X-Forwarded-For: 192.0.2.7"
)
PYTHON = upgrade("/v1/opamp", "User-Agent: Python/3.11 websockets/15.0", "Authorization: Bearer x.y-z")


@pytest.mark.parametrize(
    "data",
    [
        GO,
        NODE,
        PYTHON,
        post(b"x", "User-Agent: Go-http-client/1.1", "Accept-Encoding: gzip"),
        post(gzip.compress(b"x"), "Content-Encoding: gzip", "Connection: keep-alive", "Accept: */*"),
    ],
    ids=["go", "node", "python", "post", "zipped post"],
)
def test_what_real_agents_send_is_ordinary(data: bytes) -> None:
    head = read_head(data, 16 << 10)
    assert head is not None
    assert head.line.endswith(b" /v1/opamp HTTP/1.1")
    body = data[head.length :]
    assert accept_ordinary(head.headers, compression=True) if not body else body_length(head) == len(body)


@given(data=requests(), most=st.integers(0, 600))
def test_a_head_is_read_whole_or_not_at_all(data: bytes, most: int) -> None:
    head = read_head(data, most)
    if head is not None:
        assert head.length <= most
        assert data[: head.length].endswith(b"\r\n\r\n")
        assert read_head(data[: head.length - 1], most) is None
        assert len(head.headers) == data[: head.length].count(b"\r\n") - 2
