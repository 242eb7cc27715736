"""`HttpConnection`: a socket of the agents' port while it speaks HTTP/1.1: POSTs one after the other, or an upgrade.

Rules (OpAMP, Plain HTTP Transport)
- A POST with the media type of OpAMP is a message; anything else on the path is taken for the opening of a WebSocket.
- An answer is 200 with exactly `Content-Type: application/x-protobuf`, also when it holds an error for the agent.
- A refusal has a text for people, and ends the connection, so that no half-read body is taken for a request.
- Requests that arrive together are answered in order, one at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from email.utils import formatdate
from enum import Enum
from math import inf

import h11

from gitsync.errors import ProtocolError
from gitsync.server import bodies, handshake
from gitsync.server.listener import Hub, Wire, show_peer
from gitsync.server.websocket import WebSocketLink

log = logging.getLogger("gitsync.opamp")

SLICE_REQUESTS = 32
"""Requests of one peer that are answered before others get their turn."""
RETRY_AFTER_SECONDS = 30
"""OpAMP, Throttling: the recommended minimum."""
_TLS_RECORD = 0x16
_PROTOBUF = (b"Content-Type", bodies.MEDIA_TYPE)
_TEXT = (b"Content-Type", b"text/plain; charset=utf-8")
_REASONS = {
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


class Phase(Enum):
    """What the connection waits for."""

    IDLE = 1
    HEADERS = 2
    BODY = 3
    END = 4
    """Refused; whatever comes is thrown away."""


class PostLink:
    """The port `AgentLink` for one POST: its answer travels as the reply, so nothing can be sent on it."""

    __slots__ = ("_remote_addr",)

    def __init__(self, remote_addr: str) -> None:
        self._remote_addr = remote_addr

    @property
    def transport(self) -> str:
        """`http`."""
        return "http"

    @property
    def remote_addr(self) -> str:
        """`ip:port` of the peer."""
        return self._remote_addr

    @property
    def is_open(self) -> bool:
        """False, always."""
        return False

    def send(self, parts: Sequence[bytes], *, is_config: bool = False) -> None:
        """Does nothing: see `is_open`."""

    def close(self, code: int, reason: str) -> None:
        """Does nothing: a POST ends with its answer."""


class HttpConnection(asyncio.Protocol):
    """One socket, from the first byte until it closes or becomes a `WebSocketLink`.

    Attributes:
        slot: owned by the timing wheel.
    """

    __slots__ = (
        "_body",
        "_deadline",
        "_full",
        "_held",
        "_http",
        "_hub",
        "_is_first",
        "_paused_since",
        "_phase",
        "_remote_addr",
        "_request",
        "_served",
        "_wire",
        "slot",
    )

    def __init__(self, hub: Hub) -> None:
        self.slot = -1
        self._hub = hub
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=hub.options.max_header_bytes)
        self._phase = Phase.HEADERS
        self._is_first = True
        self._full = False
        self._held = False
        self._served = False
        self._paused_since = 0.0
        self._deadline = inf
        self._body: bodies.Body | None = None
        self._request: h11.Request | None = None

    # ── Connection ──────────────────────────────────────────────────────────────────────────────────────────

    def leave(self) -> None:
        """The server stops: a request that is under way is answered, then the connection closes."""
        if self._phase in (Phase.IDLE, Phase.HEADERS):
            self._wire.close()

    def abort(self) -> None:
        """Closes now."""
        self._wire.abort()

    def check(self, now: float) -> float:
        """Does what is due."""
        if self._paused_since:
            deadline = self._paused_since + self._hub.options.write_timeout.total_seconds()
            if now >= deadline:
                self._hub.refuse("http.not-reading", self._remote_addr, "the agent does not read its answers")
                self._wire.abort()
                return inf
            return deadline
        if now < self._deadline:
            return self._deadline
        if self._phase is Phase.END:
            self._wire.abort()
            return inf
        if self._phase is Phase.BODY or self._http.trailing_data[0]:
            self._refuse(408, "the request takes too long to arrive")
            return self._deadline
        if self._is_first:
            self._hub.faults.note("http.no-request", self._remote_addr, "no request has come")
        self._wire.close()
        self._expect(self._hub.options.close_timeout.total_seconds(), Phase.END)
        return self._deadline

    def _expect(self, seconds: float, phase: Phase) -> None:
        self._phase = phase
        self._deadline = self._hub.time() + seconds
        self._hub.wheel.ask(self, self._deadline)

    # ── The transport's protocol ────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to wait for the first request; with TLS, for the handshake too."""
        hub = self._hub
        self._wire: Wire = transport  # type: ignore[assignment]  # the transport of a TCP socket, or a `TlsWire`
        self._remote_addr = show_peer(transport.get_extra_info("peername"))
        hub.add(self)
        most = hub.options.max_connections
        self._full = len(hub.connections) > most
        # Who is refused politely holds a socket too, so that has a limit of its own.
        if hub.stopping or len(hub.connections) > most + max(16, most // 10):
            hub.faults.note("http.full", self._remote_addr, "too many connections; this one is dropped")
            self._wire.abort()
            return
        self._expect(hub.options.header_timeout.total_seconds(), Phase.HEADERS)

    def data_received(self, data: bytes) -> None:
        """Takes bytes of the peer, in any portions."""
        if self._phase is Phase.END:
            return
        if self._is_first and self._hub.options.tls is None and data[0] == _TLS_RECORD:
            self._hub.refuse("http.tls", self._remote_addr, "the agent speaks TLS; this port speaks plain text")
            self._wire.abort()
            return
        if self._phase is Phase.IDLE:
            self._expect(self._hub.options.header_timeout.total_seconds(), Phase.HEADERS)
        self._is_first = False
        self._http.receive_data(data)
        if not self._held:
            self._advance()

    def eof_received(self) -> None:
        """The peer sends nothing more; the transport closes by itself when what was answered is sent."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._phase = Phase.END
        self._body = self._request = None
        if self._served:
            self._hub.meters.open_links["http"] -= 1
        self._hub.remove(self)

    def pause_writing(self) -> None:
        """The peer does not read its answers: no further request is processed until it does."""
        self._paused_since = self._hub.time()
        self._hub.wheel.ask(self, self._paused_since + self._hub.options.write_timeout.total_seconds())

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._paused_since = 0.0
        if self._held:
            self._release()

    # ── Requests ────────────────────────────────────────────────────────────────────────────────────────────

    def _advance(self) -> None:
        """Processes what has come."""
        left = SLICE_REQUESTS
        try:
            while self._phase is not Phase.END:
                event = self._http.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    self._note_partial()
                    return
                match event:
                    case h11.Request():
                        self._begin(event)
                    case h11.Data():
                        self._add(event.data)
                    case h11.EndOfMessage():
                        self._finish()
                        left -= 1
                        if self._paused_since or not left:
                            self._hold()
                            return
                    case _:
                        return
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, f"not HTTP/1.1: {error}", logged="not a valid HTTP/1.1 request")
        except ProtocolError as error:
            self._refuse(error.status, error.message)
        except Exception:  # a fault of ours in one connection must not reach the others
            log.exception("%s: a request could not be processed", self._remote_addr)
            self._fail()

    def _note_partial(self) -> None:
        """The beginning of the next request came together with the one before."""
        if self._phase is Phase.IDLE and self._http.trailing_data[0]:
            self._expect(self._hub.options.header_timeout.total_seconds(), Phase.HEADERS)

    def _hold(self) -> None:
        self._held = True
        if self._phase is Phase.END or self._wire.is_closing():
            return
        self._wire.pause_reading()
        if not self._paused_since:
            self._hub.loop.call_soon(self._release)

    def _release(self) -> None:
        if not self._held or self._paused_since:
            return
        self._held = False
        if self._phase is not Phase.END and not self._wire.is_closing():
            self._wire.resume_reading()
            self._advance()

    def _begin(self, request: h11.Request) -> None:
        """Judges the head of a request; a body that is not welcome is never waited for."""
        self._request = request
        if self._full:
            self._refuse(503, "too many connections", [self._retry_after()])
            return
        if request.http_version not in (b"1.1", b"1.0"):
            self._refuse(505, "this server speaks HTTP/1.1")
            return
        path = request.target.partition(b"?")[0].decode("latin-1")
        if path != self._hub.options.path:
            self._refuse(404, f"agents connect to {self._hub.options.path}; there is nothing else here")
        elif request.method == b"POST":
            self._begin_post(request)
        elif request.method != b"GET":
            self._refuse(405, "agents send POST, or open a WebSocket with GET", [(b"Allow", b"GET, POST")])
        elif request.http_version != b"1.1":
            self._refuse(505, "a WebSocket needs HTTP/1.1")

    def _begin_post(self, request: h11.Request) -> None:
        if not bodies.is_protobuf(_header(request, b"content-type")):
            self._refuse(415, "the Content-Type of a message is application/x-protobuf")
            return
        compressed = bodies.is_gzip(_header(request, b"content-encoding"))
        limit = self._hub.options.max_message_bytes
        announced = _header(request, b"content-length")
        if announced and int(announced) > limit:
            raise ProtocolError(f"the body is larger than {limit} bytes", code="http.too-big", status=413)
        self._body = bodies.Body(limit, compressed=compressed)
        self._expect(self._hub.options.body_timeout.total_seconds(), Phase.BODY)
        if self._http.they_are_waiting_for_100_continue:
            proceed = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
            self._wire.write(self._http.send(proceed) or b"")

    def _add(self, data: bytes) -> None:
        if self._body is None:
            self._refuse(400, "the request that opens a WebSocket has no body")
        else:
            self._body.add(data)

    def _finish(self) -> None:
        """The request is complete."""
        request, body = self._request, self._body
        self._request = self._body = None
        assert request is not None
        if body is None:
            self._upgrade(request)
        else:
            self._answer(request, body.finish())

    # ── Answers ─────────────────────────────────────────────────────────────────────────────────────────────

    def _answer(self, request: h11.Request, content: bytes) -> None:
        """Hands a message to the handler, and answers."""
        hub = self._hub
        if not self._served:
            self._served = True
            hub.meters.open_links["http"] += 1
        link = PostLink(self._remote_addr)
        hub.handler.opened(link)
        try:
            reply = b"".join(hub.handler.receive(link, content))
            if len(reply) > hub.options.max_outgoing_bytes:
                self._refuse(500, f"the answer has {len(reply)} bytes, which is too large to be sent")
                return
            headers = [_PROTOBUF]
            if bodies.allows_gzip(b",".join(_headers(request, b"accept-encoding"))):
                reply = bodies.compress(reply)
                headers.append((b"Content-Encoding", b"gzip"))
            self._respond(200, headers, reply)
        finally:
            hub.handler.closed(link)
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._expect(hub.options.keep_alive.total_seconds(), Phase.IDLE)
        else:
            self._wire.close()
            self._expect(hub.options.close_timeout.total_seconds(), Phase.END)

    def _respond(
        self, status: int, headers: list[tuple[bytes, bytes]], body: bytes, *, head_only: bool = False
    ) -> None:
        """Writes a whole response at once."""
        headers = [
            (b"Date", formatdate(usegmt=True).encode()),
            *headers,
            (b"Content-Length", str(len(body)).encode()),
        ]
        if self._hub.stopping:
            headers.append((b"Connection", b"close"))
        events: list[h11.Event] = [h11.Response(status_code=status, headers=headers, reason=_reason(status))]
        if body and not head_only:
            events.append(h11.Data(data=body))
        events.append(h11.EndOfMessage())
        self._wire.write(b"".join(self._http.send(event) or b"" for event in events))

    def _refuse(self, status: int, text: str, headers: Sequence[tuple[bytes, bytes]] = (), *, logged: str = "") -> None:
        """Answers with a text and ends the connection.

        Args:
            status: of the answer.
            text: for the peer.
            headers: beside those of every answer.
            logged: instead of `text`, when that quotes what the peer sent.
        """
        self._hub.refuse(f"http.{status}", self._remote_addr, logged or text)
        head_only = self._request is not None and self._request.method == b"HEAD"
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self._wire.abort()
            return
        own = [_TEXT, *headers]
        if not self._hub.stopping:
            own.append((b"Connection", b"close"))
        self._respond(status, own, f"{text.strip()}\n".encode(), head_only=head_only)
        self._linger()

    def _fail(self) -> None:
        """An error of ours: says so if nothing was said yet."""
        try:
            self._refuse(500, "internal error")
        except Exception:  # whatever state it is in, the socket must go
            log.debug("%s: no error could be sent", self._remote_addr, exc_info=True)
            self._wire.abort()

    def _linger(self) -> None:
        """Waits for the peer's end: closing a socket with unread bytes could take our answer back (RST)."""
        self._body = self._request = None
        if not self._wire.is_closing():
            self._wire.write_eof()
        self._expect(self._hub.options.close_timeout.total_seconds(), Phase.END)

    def _retry_after(self) -> tuple[bytes, bytes]:
        # Spread by the peer's port, which is as good as chance: a fleet must not come back in one second.
        port = self._remote_addr.rpartition(":")[2]
        spread = int(port) % RETRY_AFTER_SECONDS if port.isdecimal() else 0
        return b"Retry-After", str(RETRY_AFTER_SECONDS + spread).encode()

    # ── Upgrade ─────────────────────────────────────────────────────────────────────────────────────────────

    def _upgrade(self, request: h11.Request) -> None:
        """Opens a WebSocket, or says what is wrong with the opening."""
        answer = handshake.answer(request.headers)
        if answer.status != 101:
            self._request = request
            self._refuse(answer.status, answer.text, answer.headers, logged="not a valid opening of a WebSocket")
            return
        head = h11.InformationalResponse(status_code=101, headers=answer.headers, reason=b"Switching Protocols")
        response = self._http.send(head) or b""
        trailing = bytes(self._http.trailing_data[0])
        link = WebSocketLink(self._hub, self._wire, self._remote_addr)
        self._phase = Phase.END
        self._hub.add(link)
        self._hub.remove(self)
        if self._served:
            self._hub.meters.open_links["http"] -= 1
        # Before the response: whether the peer reads is the link's business from here on.
        self._wire.set_protocol(link)
        self._wire.write(response)
        link.start(trailing)


def _headers(request: h11.Request, name: bytes) -> list[bytes]:
    return [value for key, value in request.headers if key == name]


def _header(request: h11.Request, name: bytes) -> bytes:
    """The value of a header; several values as a list."""
    return b",".join(_headers(request, name))


def _reason(status: int) -> bytes:
    return _REASONS.get(status, b"Refused")
