"""`WebSocketLink`: one open WebSocket of one or several agents, from the upgrade to the end of the socket.

Rules (OpAMP, WebSocket Transport; RFC 6455)
- Each message of the client is one AgentToServer; each of ours is one frame, written as parts.
- A message that cannot be read is answered BAD_REQUEST, and the connection stays. A frame that breaks RFC 6455, a
  text message (1003), one that is too large (1009) or takes too long (1008) ends it.
- While the peer does not read, nothing of it is processed, the newest configuration of each of its agents and a few
  other messages wait, and a deadline runs.
- No task, queue, timer or lock per connection: everything happens in the callbacks of the transport and in `check`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from enum import Enum

from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from gitsync.errors import ProtocolError
from gitsync.opamp.messages import ErrorType
from gitsync.opamp.wire import decode_frame, error_reply
from gitsync.server import frames
from gitsync.server.handshake import SILENT
from gitsync.server.listener import Hub, Wire

log = logging.getLogger("gitsync.opamp")

SLICE_MESSAGES = 256
"""Messages of one peer that are processed before others get their turn."""
WAITING_MESSAGES = 16
"""Messages, other than configurations, that wait for a peer that does not read."""
WAITING_CONFIGS = 4096
"""Agents behind one link whose newest configuration waits."""
_UID_HEAD_BYTES = 18
"""Tag, length and instance uid: the beginning of every message of ours."""


class Phase(Enum):
    """How far the link has come."""

    OPEN = 1
    CLOSING = 2
    """Our Close is sent; the peer's messages are still taken, without answers."""
    FAILED = 3
    """Closed for a fault; whatever comes is thrown away."""
    CLOSED = 4


class Waiting:
    """Messages for a peer that does not read; made only when there are any."""

    __slots__ = ("_configs", "_others")

    def __init__(self) -> None:
        self._configs: dict[bytes, Sequence[bytes]] = {}
        self._others: deque[Sequence[bytes]] = deque()

    def add(self, parts: Sequence[bytes], *, is_config: bool) -> bool:
        """Keeps a message, of configurations only the newest for each agent; False: there are too many."""
        if is_config:
            self._configs[_head(parts)] = parts
        else:
            self._others.append(parts)
        return len(self._others) <= WAITING_MESSAGES and len(self._configs) <= WAITING_CONFIGS

    def pop(self) -> Sequence[bytes] | None:
        """The next to send; None: there is none."""
        if self._others:
            return self._others.popleft()
        if self._configs:
            return self._configs.pop(next(iter(self._configs)))
        return None


class WebSocketLink(asyncio.Protocol):
    """The port `AgentLink` on a WebSocket.

    Attributes:
        slot: owned by the timing wheel.
    """

    __slots__ = (
        "_began",
        "_close_at",
        "_fragments",
        "_has_message",
        "_held",
        "_hub",
        "_last_received",
        "_partial_since",
        "_paused_since",
        "_phase",
        "_pinged_at",
        "_reader",
        "_remote_addr",
        "_unusual",
        "_waiting",
        "_wire",
        "slot",
    )

    def __init__(self, hub: Hub, wire: Wire, remote_addr: str) -> None:
        """Takes over a socket whose upgrade was just answered; `start` tells the handler."""
        now = hub.time()
        self.slot = -1
        self._hub = hub
        self._wire = wire
        self._remote_addr = remote_addr
        self._reader = frames.FrameReader(hub.options.max_message_bytes)
        self._phase = Phase.OPEN
        self._began = now
        self._last_received = now
        self._has_message = False
        self._pinged_at = 0.0
        self._partial_since = 0.0
        self._paused_since = 0.0
        self._close_at = 0.0
        self._held = False
        self._fragments: bytearray | None = None
        self._unusual: ServerProtocol | None = None
        self._waiting: Waiting | None = None

    def start(self, trailing: bytes) -> None:
        """Tells the handler, and processes what came with the request."""
        hub = self._hub
        hub.add(self)
        hub.meters.open_links["websocket"] += 1
        first = min(hub.options.first_message_timeout, hub.options.ping_interval)
        hub.wheel.ask(self, self._began + first.total_seconds())
        hub.handler.opened(self)
        if trailing:
            self.data_received(trailing)

    # ── AgentLink ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def transport(self) -> str:
        """`websocket`."""
        return "websocket"

    @property
    def remote_addr(self) -> str:
        """`ip:port` of the peer."""
        return self._remote_addr

    @property
    def is_open(self) -> bool:
        """Whether something can be sent now."""
        return self._phase is Phase.OPEN

    def send(self, parts: Sequence[bytes], *, is_config: bool = False) -> None:
        """Writes one message; see the port. Nothing happens when the link is not open."""
        if self._phase is not Phase.OPEN:
            return
        if self._paused_since:
            self._wait(parts, is_config=is_config)
        else:
            self._write(parts)

    def close(self, code: int, reason: str) -> None:
        """Starts the closing handshake; nothing happens when it has begun."""
        if self._phase is not Phase.OPEN:
            return
        self._phase = Phase.CLOSING
        self._waiting = None
        self._close_at = self._hub.time() + self._hub.options.close_timeout.total_seconds()
        self._hub.wheel.ask(self, self._close_at)
        self._wire.write(frames.close_frame(code, reason))
        if self._held:
            # The peer's Close must be seen, whether or not it reads what is on its way to it.
            self._hub.loop.call_soon(self._release)

    # ── Connection ──────────────────────────────────────────────────────────────────────────────────────────

    def leave(self) -> None:
        """The server stops."""
        self.close(frames.GOING_AWAY, "the server is stopping")

    def abort(self) -> None:
        """Closes now."""
        self._wire.abort()

    def check(self, now: float) -> float:
        """Does what is due: deadlines, pings."""
        options = self._hub.options
        if self._phase is not Phase.OPEN:
            if now >= self._close_at:
                self._wire.abort()
                return now + options.close_timeout.total_seconds()
            return self._close_at
        deadlines = [self._check_silence(now)]
        if self._phase is Phase.OPEN and self._paused_since:
            deadlines.append(self._paused_since + options.write_timeout.total_seconds())
            if now >= deadlines[-1]:
                self._drop("websocket.not-reading", "the agent does not read what it is sent")
        if self._phase is Phase.OPEN and self._partial_since and not self._held:
            deadlines.append(self._partial_since + options.body_timeout.total_seconds())
            if now >= deadlines[-1]:
                self._fail("websocket.slow-message", frames.POLICY, "the message takes too long to arrive")
        return min(deadlines) if self._phase is Phase.OPEN else self._close_at

    def _check_silence(self, now: float) -> float:
        """First message, ping, silence; when to look again."""
        options = self._hub.options
        interval = options.ping_interval.total_seconds()
        if not self._has_message and not self._held:
            deadline = self._began + options.first_message_timeout.total_seconds()
            if now >= deadline:
                self._fail("websocket.no-message", frames.POLICY, "no message has come")
            return min(deadline, now + interval)
        if self._paused_since:
            return now + interval  # its own deadline runs
        if self._last_received >= self._pinged_at:  # the same tick of a coarse clock counts as an answer
            self._pinged_at = 0.0
        if now - self._last_received < interval:
            return self._last_received + interval
        if not self._pinged_at:
            self._pinged_at = now
            self._wire.write(frames.PING_FRAME)
        elif now - self._pinged_at >= interval:
            self._drop("websocket.silent", "nothing has come, not even an answer to a ping")
        return self._pinged_at + interval

    # ── The transport's protocol ────────────────────────────────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        """Takes bytes of the peer, in any portions."""
        if self._phase in (Phase.FAILED, Phase.CLOSED):
            return
        self._last_received = self._hub.time()
        self._reader.push(data)
        if self._held:
            return
        if self._paused_since and self._phase is Phase.OPEN:
            self._hold()
        else:
            self._process()

    def eof_received(self) -> None:
        """The peer sends nothing more; the transport closes by itself."""
        if self._phase is Phase.OPEN:
            self._phase = Phase.CLOSED

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone; tells the handler."""
        self._phase = Phase.CLOSED
        self._waiting = self._fragments = self._unusual = None
        self._hub.meters.open_links["websocket"] -= 1
        self._hub.remove(self)
        self._hub.handler.closed(self)

    def pause_writing(self) -> None:
        """The peer does not read: nothing of it is processed until it does."""
        self._paused_since = self._hub.time()
        self._hub.wheel.ask(self, self._paused_since + self._hub.options.write_timeout.total_seconds())

    def resume_writing(self) -> None:
        """The peer reads again: what waits is sent, then what it said is processed."""
        self._paused_since = 0.0
        while self._waiting is not None and not self._paused_since:
            parts = self._waiting.pop()
            if parts is None:
                self._waiting = None
            else:
                self._write(parts)
        if self._held and not self._paused_since:
            self._release()

    # ── Out ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self, parts: Sequence[bytes]) -> None:
        length = 1
        for part in parts:
            length += len(part)
        if length > self._hub.options.max_outgoing_bytes:
            self._hub.refuse("websocket.answer-too-big", self._remote_addr, f"a message of {length} bytes is not sent")
            return
        self._hub.write_parts(self._wire, (frames.message_head(length), *parts))

    def _wait(self, parts: Sequence[bytes], *, is_config: bool) -> None:
        """Keeps a message for later: of configurations the newest for each agent."""
        if self._waiting is None:
            self._waiting = Waiting()
        if not self._waiting.add(parts, is_config=is_config):
            self._hub.refuse("websocket.overflow", self._remote_addr, "too many messages wait for the agent to read")
            self.close(frames.TRY_LATER, "too many messages wait for you")

    # ── In ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _process(self) -> None:
        """Processes whole frames; stops when the peer does not read, and after a slice."""
        left = SLICE_MESSAGES
        try:
            while (frame := self._reader.pop()) is not None:
                self._take(*frame)
                if self._phase in (Phase.FAILED, Phase.CLOSED):
                    return
                left -= 1
                if not left or (self._paused_since and self._phase is Phase.OPEN):
                    self._hold()
                    return
        except ProtocolError as error:
            self._fail(error.code, error.status, error.message)
        except Exception:  # a fault of ours in one connection must not reach the others
            log.exception("%s: a frame could not be processed", self._remote_addr)
            self._fail("websocket.internal", frames.INTERNAL, "internal error")
        else:
            self._note_partial()

    def _note_partial(self) -> None:
        """Starts or ends the deadline of a message that has begun."""
        if self._reader.is_empty and self._fragments is None:
            self._partial_since = 0.0
        elif not self._partial_since:
            self._partial_since = self._hub.time()
            self._hub.wheel.ask(self, self._partial_since + self._hub.options.body_timeout.total_seconds())

    def _hold(self) -> None:
        """Takes nothing in for now: until the peer reads, or until others had their turn."""
        self._held = True
        self._partial_since = 0.0
        if not self._wire.is_closing():
            self._wire.pause_reading()
        if not self._paused_since:
            self._hub.loop.call_soon(self._release)

    def _release(self) -> None:
        if not self._held or (self._paused_since and self._phase is Phase.OPEN):
            return
        self._held = False
        if self._phase in (Phase.FAILED, Phase.CLOSED) or self._wire.is_closing():
            return
        self._wire.resume_reading()
        self._process()

    def _take(self, first: int, frame: bytes) -> None:
        if first == frames.BINARY_MESSAGE:
            if self._fragments is not None:
                raise ProtocolError(
                    "a new message begins inside a fragmented one",
                    code="websocket.frame",
                    status=frames.BROKEN_PROTOCOL,
                )
            self._deliver(frame)
            return
        opcode = first & 0x0F
        if opcode == frames.PONG:
            return  # that it came is all that matters
        if opcode == frames.TEXT:
            raise ProtocolError("OpAMP messages are binary, not text", code="websocket.text", status=frames.NOT_BINARY)
        if opcode == frames.CLOSE and self._phase is Phase.CLOSING:
            self._phase = Phase.CLOSED
            self._wire.close()
            return
        self._take_unusual(frame)

    def _take_unusual(self, frame: bytes) -> None:
        """Fragments, Ping and Close, by `websockets`; its state lives as long as a fragmented message does."""
        if self._unusual is None:
            self._unusual = ServerProtocol(
                state=State.OPEN, max_size=self._hub.options.max_message_bytes, logger=SILENT
            )
        unusual = self._unusual
        unusual.receive_data(frame)
        closing = unusual.state is not State.OPEN
        for chunk in unusual.data_to_send():
            # Pongs to a peer that does not read would pile up.
            if chunk and (closing or not self._paused_since) and self._phase is Phase.OPEN:
                self._wire.write(chunk)
        if closing:
            self._end_unusual(unusual)
            return
        for event in unusual.events_received():
            if event.opcode in (Opcode.BINARY, Opcode.CONT):  # type: ignore[union-attr]  # no handshake: frames only
                self._add_fragment(event.data, whole=event.fin)  # type: ignore[union-attr]  # the same
        if self._fragments is None:
            self._unusual = None

    def _add_fragment(self, data: bytes | bytearray | memoryview, *, whole: bool) -> None:
        if self._fragments is None:
            self._fragments = bytearray()
        self._fragments += data
        if whole:
            message, self._fragments = bytes(self._fragments), None
            self._deliver(message)

    def _end_unusual(self, unusual: ServerProtocol) -> None:
        """The peer closed, and was answered; or it broke a rule, and was told."""
        self._unusual = self._fragments = None
        fault = unusual.parser_exc
        if fault is None:
            self._phase = Phase.CLOSED
            self._wire.close()
            self._expect_end()
            return
        sent = unusual.close_sent
        too_big = sent is not None and sent.code == frames.TOO_BIG
        self._hub.refuse("websocket.too-big" if too_big else "websocket.frame", self._remote_addr, _fault_text(fault))
        self._linger()

    def _deliver(self, payload: bytes) -> None:
        """Hands one message to the handler and writes the answer."""
        self._has_message = True
        try:
            message = decode_frame(payload)
        except ProtocolError as error:
            self._hub.refuse(error.code, self._remote_addr, error.message)
            reply: Sequence[bytes] = (error_reply(b"", ErrorType.BAD_REQUEST, error.message),)
        else:
            reply = self._hub.handler.receive(self, bytes(message))
        if reply and self._phase is Phase.OPEN:
            self._write(reply)

    # ── The end ─────────────────────────────────────────────────────────────────────────────────────────────

    def _fail(self, fault: str, code: int, reason: str) -> None:
        """The peer broke a rule: says so and closes."""
        self._hub.refuse(fault, self._remote_addr, reason)
        if self._phase is Phase.OPEN:
            self._wire.write(frames.close_frame(code, reason))
        self._linger()

    def _linger(self) -> None:
        """Waits for the peer's end: closing a socket with unread bytes could take our Close back (RST)."""
        self._phase = Phase.FAILED
        self._waiting = self._fragments = self._unusual = None
        self._reader = frames.FrameReader(0)
        if not self._wire.is_closing():
            self._wire.write_eof()
            if self._held:
                self._held = False
                self._wire.resume_reading()
        self._expect_end()

    def _expect_end(self) -> None:
        self._close_at = self._hub.time() + self._hub.options.close_timeout.total_seconds()
        self._hub.wheel.ask(self, self._close_at)

    def _drop(self, fault: str, reason: str) -> None:
        """The peer is dead or does not read: there is no use in a Close."""
        self._hub.refuse(fault, self._remote_addr, reason)
        self._phase = Phase.CLOSED
        self._expect_end()
        self._wire.abort()


def _head(parts: Sequence[bytes]) -> bytes:
    """Which agent a message is for: it begins with the field that says so."""
    head = parts[0][:_UID_HEAD_BYTES] if parts else b""
    return head if len(head) == _UID_HEAD_BYTES else b"".join(parts)[:_UID_HEAD_BYTES]


def _fault_text(fault: Exception) -> str:
    return f"{fault}" if not isinstance(fault, UnicodeDecodeError) else "the reason of a Close is not UTF-8"
