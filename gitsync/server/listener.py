"""What all connections of the agents' port share: options, the handler, meters, the timing wheel, the log of faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from gitsync.control.fewlines import FewLines
from gitsync.control.meters import Meters
from gitsync.control.ports import AgentHandler
from gitsync.server.admission import DRAIN_RETRY_SECONDS, RETRY_SECONDS, Admission
from gitsync.server.answers import HttpDate
from gitsync.server.budget import Budget
from gitsync.server.deflate import SharedTails
from gitsync.server.tls import TlsOptions
from gitsync.server.wheel import TimingWheel

TURNED_AWAY = {
    "connections": "too many connections",
    "rate": "too many new connections at once",
    "handshakes": "too many TLS handshakes at once",
    "bytes": "too many messages are arriving at once",
    "draining": "the server is stopping",
}
"""Why a peer that did nothing wrong is not served."""


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """How the agents' port behaves.

    Attributes:
        host: address or name to listen on; "" for all addresses.
        port: 0 takes a free one.
        path: of the OpAMP endpoint, for both transports.
        max_connections: sockets at a time; more are answered 503, and far more are dropped.
        connect_rate: new connections a second, for ever; more are answered 503.
        connect_burst: new connections at once, before that rate holds.
        max_handshakes: TLS handshakes under way at a time; some more wait, the others are dropped.
        max_bytes_in_flight: of all messages that have begun to arrive; what would exceed it is refused.
        max_message_bytes: largest WebSocket message, and largest body of a POST before and after decompression.
        max_outgoing_bytes: larger messages are not sent (OpAMP, Message Size Limits).
        max_header_bytes: request line and headers together.
        compression: whether WebSockets whose agents offer it are compressed (permessage-deflate).
        tls: None: plain text.
        header_timeout: for the TLS handshake and the first request, and for the headers of each later one.
        body_timeout: for the body of a POST, and for a WebSocket message from its first to its last byte.
        first_message_timeout: from the upgrade to the first message.
        keep_alive: an HTTP connection may be idle for this long.
        ping_interval: a WebSocket that is silent for this long is pinged; silent for twice as long, it is dropped.
        write_timeout: a peer that does not read for this long is dropped.
        close_timeout: for the peer's part of closing a connection.
        tick: how finely deadlines are looked at.
        send_buffer_bytes: SO_SNDBUF, what the kernel may hold for one socket; 0 leaves it to the kernel.
    """

    host: str = "127.0.0.1"
    port: int = 0
    path: str = "/v1/opamp"
    max_connections: int = 15_000
    connect_rate: float = 2_000.0
    connect_burst: int = 15_000
    max_handshakes: int = 256
    max_bytes_in_flight: int = 256 << 20
    max_message_bytes: int = 4 << 20
    max_outgoing_bytes: int = 64 << 20
    max_header_bytes: int = 16 << 10
    compression: bool = True
    tls: TlsOptions | None = None
    header_timeout: timedelta = timedelta(seconds=10)
    body_timeout: timedelta = timedelta(seconds=30)
    first_message_timeout: timedelta = timedelta(seconds=10)
    keep_alive: timedelta = timedelta(seconds=75)
    ping_interval: timedelta = timedelta(seconds=30)
    write_timeout: timedelta = timedelta(seconds=30)
    close_timeout: timedelta = timedelta(seconds=5)
    tick: timedelta = timedelta(seconds=1)
    send_buffer_bytes: int = 256 << 10


class Wire(Protocol):
    """What a connection needs of its transport: a plain socket's, or TLS on top of one (`tls.TlsWire`)."""

    def write(self, data: bytes) -> None:
        """Sends, or keeps for later."""

    def writelines(self, list_of_data: Iterable[bytes]) -> None:
        """Sends several buffers as one."""

    def write_eof(self) -> None:
        """Nothing more will be sent; the peer's bytes are still received."""

    def close(self) -> None:
        """Closes when everything is sent."""

    def abort(self) -> None:
        """Closes now."""

    def is_closing(self) -> bool:
        """Whether one of the two was called, or the peer is gone."""

    def pause_reading(self) -> None:
        """No `data_received` until `resume_reading`."""

    def resume_reading(self) -> None:
        """Goes on."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Who is called from now on."""


class Connection(Protocol):
    """One socket, in whatever phase it is."""

    slot: int

    def check(self, now: float) -> float:
        """See `wheel.Timed`."""

    def leave(self) -> None:
        """The server stops: says goodbye and closes."""

    def abort(self) -> None:
        """Closes now, without goodbye."""


@dataclass(slots=True, eq=False)
class Hub:
    """Shared by all connections of one listener.

    Attributes:
        write_parts: `write_joined` or `write_references`, by the kind of loop.
        tails: compressed forms of what many agents get.
        connections: every socket that is open, in the phase that owns it.
        empty: set while `connections` is empty.
        stopping: no new connection is served.
        closed: no new connection is taken, not even to say so.
        leaving: connections that were there when the server began to stop, and still are.
        left: set when `leaving` is empty, or when nobody wants to wait for that.
        admission: who may come in.
        budget: room for what has begun to arrive.
        dates: for answers.
        get_line: how the request for a WebSocket begins.
        post_line: how a message by POST begins.
    """

    options: ListenerOptions
    handler: AgentHandler
    meters: Meters
    loop: asyncio.AbstractEventLoop
    wheel: TimingWheel
    faults: FewLines
    write_parts: Callable[[Wire, tuple[bytes, ...]], None]
    tails: SharedTails = field(default_factory=SharedTails)
    connections: set[Connection] = field(default_factory=set)
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: bool = False
    closed: bool = False
    leaving: set[Connection] = field(default_factory=set)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    admission: Admission = field(init=False)
    budget: Budget = field(init=False)
    dates: HttpDate = field(init=False)
    get_line: bytes = field(init=False)
    post_line: bytes = field(init=False)

    def __post_init__(self) -> None:
        options = self.options
        self.admission = Admission(options.connect_rate, options.connect_burst, self.loop.time())
        self.budget = Budget(options.max_bytes_in_flight)
        self.dates = HttpDate(self.loop)
        self.get_line = b"GET %b HTTP/1.1" % options.path.encode()
        self.post_line = b"POST %b HTTP/1.1" % options.path.encode()

    def time(self) -> float:
        """Seconds of the loop's clock."""
        return self.loop.time()

    def add(self, connection: Connection) -> None:
        """A socket has a new owner."""
        self.connections.add(connection)
        self.empty.clear()

    def remove(self, connection: Connection) -> None:
        """A socket has no owner any more, or another one."""
        self.connections.discard(connection)
        self.wheel.drop(connection)
        if not self.connections:
            self.empty.set()
        if self.leaving:
            self.leaving.discard(connection)
            if not self.leaving:
                self.left.set()

    def refuse(self, code: str, addr: str, text: str) -> None:
        """Counts and logs that a peer broke its protocol."""
        self.meters.protocol_errors[code] += 1
        self.faults.note(code, addr, text)

    def turn_away(self, reason: str, addr: str) -> str:
        """Counts and logs that the server has no room for a peer; returns why, for the peer."""
        self.meters.turned_away[reason] += 1
        text = TURNED_AWAY[reason]
        self.faults.note(f"admission.{reason}", addr, text)
        return text

    def retry_after(self) -> int:
        """Seconds after which a peer that is turned away now should come back."""
        return self.admission.retry_after(self.time(), DRAIN_RETRY_SECONDS if self.stopping else RETRY_SECONDS)


def show_peer(address: object) -> str:
    """`ip:port` of a socket's peer name; IPv6 addresses in brackets."""
    match address:
        case (str(host), int(port), *_):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case _:
            return "unknown"


def write_joined(wire: Wire, parts: tuple[bytes, ...]) -> None:
    """Sends the parts as one buffer.

    For every loop but uvloop: elsewhere `writelines` copies as well, or (CPython 3.12, 3.13) sends without ever
    calling `pause_writing`, so that a peer which does not read would cost unbounded memory.
    """
    wire.write(b"".join(parts))


def write_references(wire: Wire, parts: tuple[bytes, ...]) -> None:
    """Sends the parts without copying them: what many agents get exists once, even while some do not read."""
    wire.writelines(parts)


def end_writing(wire: Wire) -> None:
    """Says that nothing more is sent; closes when the peer is gone, and the loop has yet to tell."""
    if wire.is_closing():
        return
    try:
        wire.write_eof()
    except OSError:  # ENOTCONN: the peer's reset came between two rounds of the loop
        wire.abort()
