"""`HttpConnection`: a socket of the agents' port while it speaks HTTP/1.1: POSTs one after the other, or an upgrade.

Rules (OpAMP, Plain HTTP Transport)
- A POST with the media type of OpAMP is a message; anything else on the path is taken for the opening of a WebSocket.
- An answer is 200 with exactly `Content-Type: application/x-protobuf`, also when it holds an error for the agent.
- A refusal has a text for people, and ends the connection, so that no half-read body is taken for a request.
- Requests that arrive together are answered in order, one at a time.
- Who is not let in gets 503 with a time to come back (`admission`); connections that are open keep their place.

An ordinary request that arrives alone and whole is read by `heads` and answered at once; everything else goes through
h11. Both ways end in the same answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from enum import Enum
from math import inf

import h11

from gitsync.errors import ProtocolError
from gitsync.server import answers, bodies, handshake, heads
from gitsync.server.listener import Hub, Wire, end_writing, show_peer
from gitsync.server.websocket import WebSocketLink

log = logging.getLogger("gitsync.opamp")

SLICE_REQUESTS = 32
"""Requests of one peer that are answered before others get their turn."""
PARSER_BYTES = 2 << 10
"""What h11 keeps for a request that is not complete, beside its bytes."""
_TLS_RECORD = 0x16
_PROTOBUF = (b"Content-Type", bodies.MEDIA_TYPE)
_TEXT = (b"Content-Type", b"text/plain; charset=utf-8")
_CLOSE = (b"Connection", b"close")


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

    def ping(self) -> None:
        """Does nothing: a POST ends with its answer."""

    def pause(self, seconds: float) -> None:
        """Does nothing: the next message is another POST."""

    def close(self, code: int, reason: str) -> None:
        """Does nothing: a POST ends with its answer."""


class HttpConnection(asyncio.Protocol):
    """One socket, from the first byte until it closes or becomes a `WebSocketLink`.

    Attributes:
        slot: owned by the timing wheel.
    """

    __slots__ = (
        "_admitted",
        "_body",
        "_counted",
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
        self._http: h11.Connection | None = None  # while a request is not ordinary
        self._phase = Phase.HEADERS
        self._is_first = True
        self._admitted = False
        self._full = False
        self._held = False
        self._served = False
        self._counted = 0
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
        if self._phase is Phase.BODY or self._unread_bytes():
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
        if len(hub.connections) > most + max(16, most // 10):
            hub.turn_away("connections", self._remote_addr)
            self._wire.abort()
            return
        if hub.closed:
            self._wire.abort()
            return
        self._expect(hub.options.header_timeout.total_seconds(), Phase.HEADERS)

    def data_received(self, data: bytes) -> None:
        """Takes bytes of the peer, in any portions."""
        if self._phase is Phase.END:
            return
        http = self._http
        if http is None:
            if not self._held and not self._paused_since and self._take_ordinary(data):
                return
            if self._is_first and self._hub.options.tls is None and data[0] == _TLS_RECORD:
                self._hub.refuse("http.tls", self._remote_addr, "the agent speaks TLS; this port speaks plain text")
                self._wire.abort()
                return
            self._http = http = h11.Connection(h11.SERVER, max_incomplete_event_size=self._hub.options.max_header_bytes)
        if self._phase is Phase.IDLE:
            self._expect(self._hub.options.header_timeout.total_seconds(), Phase.HEADERS)
        self._is_first = False
        http.receive_data(data)
        if not self._held:
            self._advance()
        self._count()

    def eof_received(self) -> None:
        """The peer sends nothing more; the transport closes by itself when what was answered is sent."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._phase = Phase.END
        self._forget()
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

    # ── Room ────────────────────────────────────────────────────────────────────────────────────────────────

    def _turned_away(self, *, opens: bool) -> bool:
        """Whether there is no room for this request; then that is answered."""
        hub = self._hub
        if self._admitted and not (opens and hub.stopping):
            return False
        if hub.stopping:
            self._turn_away("draining")
        elif self._full:
            self._turn_away("connections")
        elif not hub.admission.admit(hub.time()):
            self._turn_away("rate")
        else:
            self._admitted = True
            return False
        return True

    def _turn_away(self, reason: str) -> None:
        text = self._hub.turn_away(reason, self._remote_addr)
        self._end(503, text, [(b"Retry-After", b"%d" % self._hub.retry_after())])

    def _unread_bytes(self) -> int:
        """What h11 holds of a request that is not complete."""
        return 0 if self._http is None else len(self._http.trailing_data[0])

    def _count(self) -> None:
        """Takes or gives room for what has come of a request that is not complete."""
        if self._phase is Phase.END:
            return
        held = 0 if self._http is None else self._unread_bytes() + PARSER_BYTES
        if self._body is not None:
            held += self._body.held_bytes
        if held != self._counted:
            self._counted = self._hub.budget.change(self._counted, held)
            if held > self._counted:
                self._turn_away("bytes")

    def _forget(self) -> None:
        """Nothing of a request is needed any more."""
        self._http = self._body = self._request = None
        if self._counted:
            self._hub.budget.give(self._counted)
            self._counted = 0

    # ── Requests ────────────────────────────────────────────────────────────────────────────────────────────

    def _take_ordinary(self, data: bytes) -> bool:
        """Answers the request that almost every agent sends; False: h11 must read it."""
        head = heads.read_head(data, self._hub.options.max_header_bytes)
        if head is None:
            return False
        try:
            if head.line == self._hub.get_line:
                return self._open_ordinary(head, data)
            if head.line == self._hub.post_line:
                return self._post_ordinary(head, data)
        except ProtocolError as error:
            self._blame(error)
        except Exception:  # a fault of ours in one connection must not reach the others
            log.exception("%s: a request could not be processed", self._remote_addr)
            self._fail()
        else:
            return False
        return True

    def _open_ordinary(self, head: heads.Head, data: bytes) -> bool:
        opening = handshake.accept_ordinary(head.headers, compression=self._hub.options.compression)
        if opening is None:
            return False
        self._is_first = False
        if not self._turned_away(opens=True):
            self._become(opening, data[head.length :])
        return True

    def _post_ordinary(self, head: heads.Head, data: bytes) -> bool:
        length, limit = heads.body_length(head), self._hub.options.max_message_bytes
        if length is None or head.length + length != len(data) or length > limit:
            return False
        self._is_first = False
        if not self._turned_away(opens=False):
            body = bodies.Body(limit, compressed=bodies.is_gzip(head.headers.get(b"content-encoding", b"")))
            body.add(data[head.length :])
            self._answer(body.finish(), head.headers.get(b"accept-encoding", b""))
        return True

    def _advance(self) -> None:
        """Processes what has come."""
        left = SLICE_REQUESTS
        try:
            while self._http is not None:
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
        except (h11.RemoteProtocolError, ProtocolError) as error:
            self._blame(error)
        except Exception:  # a fault of ours in one connection must not reach the others
            log.exception("%s: a request could not be processed", self._remote_addr)
            self._fail()

    def _blame(self, error: h11.RemoteProtocolError | ProtocolError) -> None:
        """Answers a request that breaks a rule."""
        if isinstance(error, ProtocolError):
            self._refuse(error.status, error.message)
        else:
            self._refuse(error.error_status_hint, f"not HTTP/1.1: {error}", logged="not a valid HTTP/1.1 request")

    def _note_partial(self) -> None:
        """The beginning of the next request came together with the one before."""
        if self._phase is Phase.IDLE and self._unread_bytes():
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
            self._count()

    def _begin(self, request: h11.Request) -> None:
        """Judges the head of a request; a body that is not welcome is never waited for."""
        self._request = request
        if self._turned_away(opens=request.method != b"POST"):
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
        if self._http is not None and self._http.they_are_waiting_for_100_continue:
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
            self._answer(body.finish(), _header(request, b"accept-encoding"))

    # ── Answers ─────────────────────────────────────────────────────────────────────────────────────────────

    def _answer(self, content: bytes, accept_encoding: bytes) -> None:
        """Hands a message to the handler, and answers."""
        hub = self._hub
        if not self._served:
            self._served = True
            hub.meters.open_links["http"] += 1
        link = PostLink(self._remote_addr)
        hub.handler.opened(link)
        try:
            reply = b"".join(hub.handler.receive(link, content))
        finally:
            hub.handler.closed(link)
        if len(reply) > hub.options.max_outgoing_bytes:
            self._refuse(500, f"the answer has {len(reply)} bytes, which is too large to be sent")
            return
        headers = [_PROTOBUF]
        if bodies.allows_gzip(accept_encoding):
            reply = bodies.compress(reply)
            headers.append((b"Content-Encoding", b"gzip"))
        self._respond(200, headers, reply)
        self._turn_to_next()

    def _turn_to_next(self) -> None:
        """Waits for the next request, or closes."""
        http = self._http
        is_last = (
            self._hub.stopping if http is None else http.our_state is not h11.DONE or http.their_state is not h11.DONE
        )
        if is_last:
            self._wire.close()
            self._expect(self._hub.options.close_timeout.total_seconds(), Phase.END)
            self._forget()
            return
        if http is not None:
            if http.trailing_data[0]:
                http.start_next_cycle()
            else:
                self._http = None
        self._expect(self._hub.options.keep_alive.total_seconds(), Phase.IDLE)

    def _respond(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, *, head_only: bool = False
    ) -> None:
        """Writes a whole response at once."""
        whole = [(b"Date", self._hub.dates.now()), *headers, (b"Content-Length", b"%d" % len(body))]
        if self._hub.stopping and _CLOSE not in whole:
            whole.append(_CLOSE)
        if self._http is None:
            self._wire.write(answers.render(status, whole, body, head_only=head_only))
            return
        events: list[h11.Event] = [h11.Response(status_code=status, headers=whole, reason=answers.reason(status))]
        if body and not head_only:
            events.append(h11.Data(data=body))
        events.append(h11.EndOfMessage())
        self._wire.write(b"".join(self._http.send(event) or b"" for event in events))

    def _refuse(self, status: int, text: str, headers: Sequence[tuple[bytes, bytes]] = (), *, logged: str = "") -> None:
        """Answers a peer that broke a rule with a text, and ends the connection.

        Args:
            status: of the answer.
            text: for the peer.
            headers: beside those of every answer.
            logged: instead of `text`, when that quotes what the peer sent.
        """
        self._hub.refuse(f"http.{status}", self._remote_addr, logged or text)
        self._end(status, text, headers)

    def _end(self, status: int, text: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """The last answer: a text, after which the peer's end is waited for."""
        head_only = self._request is not None and self._request.method == b"HEAD"
        if self._http is not None and self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self._wire.abort()
            return
        self._respond(status, [_TEXT, *headers, _CLOSE], f"{text.strip()}\n".encode(), head_only=head_only)
        self._linger()

    def _fail(self) -> None:
        """An error of ours: says so if nothing was said yet."""
        if self._phase is Phase.END:
            self._wire.abort()
            return
        try:
            self._refuse(500, "internal error")
        except Exception:  # whatever state it is in, the socket must go
            log.debug("%s: no error could be sent", self._remote_addr, exc_info=True)
            self._wire.abort()

    def _linger(self) -> None:
        """Waits for the peer's end: closing a socket with unread bytes could take our answer back (RST)."""
        self._forget()
        end_writing(self._wire)
        self._expect(self._hub.options.close_timeout.total_seconds(), Phase.END)

    # ── Upgrade ─────────────────────────────────────────────────────────────────────────────────────────────

    def _upgrade(self, request: h11.Request) -> None:
        """Opens a WebSocket, or says what is wrong with the opening."""
        verdict = handshake.judge(list(request.headers), compression=self._hub.options.compression)
        if isinstance(verdict, handshake.Refusal):
            self._request = request
            self._refuse(verdict.status, verdict.text, verdict.headers, logged="not a valid opening of a WebSocket")
            return
        assert self._http is not None
        self._become(verdict, bytes(self._http.trailing_data[0]))

    def _become(self, opening: handshake.Opening, trailing: bytes) -> None:
        """From now on the socket is a WebSocket's; nothing of this object stays in use."""
        hub, wire = self._hub, self._wire
        link = WebSocketLink(hub, wire, self._remote_addr, deflated=opening.deflated)
        self._phase = Phase.END
        self._forget()
        hub.add(link)
        hub.remove(self)
        if self._served:
            hub.meters.open_links["http"] -= 1
        # Before the response: whether the peer reads is the link's business from here on.
        wire.set_protocol(link)
        wire.write(opening.response)
        link.start(trailing)


def _headers(request: h11.Request, name: bytes) -> list[bytes]:
    return [value for key, value in request.headers if key == name]


def _header(request: h11.Request, name: bytes) -> bytes:
    """The value of a header; several values as a list."""
    return b",".join(_headers(request, name))
