"""`WebSocketLink`: one open WebSocket of one or several agents, from the upgrade to the end of the socket.

Rules (OpAMP, WebSocket Transport; RFC 6455; RFC 7692)
- Each message of the client is one AgentToServer; each of ours is one frame, written as parts.
- A message that cannot be read is answered BAD_REQUEST, and the connection stays. A frame that breaks RFC 6455, a
  text message (1003), one that is too large (1009) or takes too long (1008) ends it.
- While the peer does not read, nothing of it is processed, the newest configuration of each of its agents and a few
  other messages wait, and a deadline runs.
- No task, queue, timer or lock per connection: everything happens in the callbacks of the transport and in `check`.
- At rest a link holds no buffer and no reader, and a short whole message, which a heartbeat is, takes a short way.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from enum import Enum

from gitsync.errors import ProtocolError
from gitsync.opamp.messages import ErrorType
from gitsync.opamp.wire import decode_frame, error_reply
from gitsync.server import frames
from gitsync.server.deflate import MIN_BYTES, Inflater, deflate_parts, inflate
from gitsync.server.listener import Hub, Wire, end_writing

log = logging.getLogger("gitsync.opamp")

SLICE_MESSAGES = 256
"""Messages of one peer that are processed before others get their turn; a large one counts for several."""
SLICE_BYTES_SHIFT = 14
"""16 KiB of a message, inflated, count like one more message."""
JOINED_BYTES = 2048
"""Messages up to this size are written as one buffer: copying them costs less than writing two."""
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


_OPEN = Phase.OPEN
"""Looked up for each message; on the class that costs more."""
_BROKEN = "%s: a frame could not be processed"
_INTERNAL = ("websocket.internal", frames.INTERNAL, "internal error")


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
        "_charged",
        "_close_at",
        "_corked",
        "_deflated",
        "_has_message",
        "_held",
        "_hub",
        "_last_received",
        "_message",
        "_partial_since",
        "_paused_since",
        "_phase",
        "_pinged_at",
        "_reader",
        "_remote_addr",
        "_waiting",
        "_wire",
        "slot",
    )

    def __init__(self, hub: Hub, wire: Wire, remote_addr: str, *, deflated: bool = False) -> None:
        """Takes over a socket whose upgrade was just answered; `start` tells the handler.

        Args:
            hub: what all connections share.
            wire: the socket.
            remote_addr: `ip:port` of the peer.
            deflated: whether compression was agreed on, as `deflate.negotiate` words it.
        """
        now = hub.time()
        self.slot = -1
        self._hub = hub
        self._wire = wire
        self._remote_addr = remote_addr
        self._deflated = deflated
        # None: the link is at rest: it is open, nothing has begun to come, and nothing is held back.
        self._reader: frames.FrameReader | None = None
        self._message: frames.Fragments | Inflater | None = None
        self._charged = 0  # of the budget for what has begun to come
        self._phase = _OPEN
        self._began = now
        self._last_received = now
        self._has_message = False
        self._pinged_at = 0.0
        self._partial_since = 0.0
        self._paused_since = 0.0
        self._close_at = 0.0
        self._held = False
        self._corked: list[bytes] | None = None
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
        return self._phase is _OPEN

    def send(self, parts: Sequence[bytes], *, is_config: bool = False) -> None:
        """Writes one message; see the port. Nothing happens when the link is not open."""
        if self._phase is not _OPEN:
            return
        if self._paused_since:
            self._wait(parts, is_config=is_config)
        else:
            self._write(parts)

    def ping(self) -> None:
        """Asks for a sign of life now; the deadline for it is that of every ping."""
        if self._phase is _OPEN and not self._paused_since and not self._pinged_at:
            self._pinged_at = self._hub.time()
            self._hub.wheel.ask(self, self._pinged_at + self._hub.options.ping_interval.total_seconds())
            self._wire.write(frames.PING_FRAME)

    def pause(self, seconds: float) -> None:
        """Takes nothing in for so long; nothing happens when the link is not open, or takes nothing in already."""
        if self._phase is not _OPEN or self._held or self._wire.is_closing():
            return
        # A timer of the loop, not of the link: only a peer that says far too much ever has one.
        self._attend()
        self._held = True
        self._partial_since = 0.0
        self._wire.pause_reading()
        self._hub.loop.call_later(seconds, self._release)

    def close(self, code: int, reason: str) -> None:
        """Starts the closing handshake; nothing happens when it has begun."""
        if self._phase is not _OPEN:
            return
        self._phase = Phase.CLOSING
        self._attend()
        self._waiting = None
        self._close_at = self._hub.time() + self._hub.options.close_timeout.total_seconds()
        self._hub.wheel.ask(self, self._close_at)
        self._emit(frames.close_frame(code, reason))
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
        if self._phase is not _OPEN:
            if now >= self._close_at:
                self._wire.abort()
                return now + options.close_timeout.total_seconds()
            return self._close_at
        deadlines = [self._check_silence(now)]
        if self._phase is _OPEN and self._paused_since:
            deadlines.append(self._paused_since + options.write_timeout.total_seconds())
            if now >= deadlines[-1]:
                self._drop("websocket.not-reading", "the agent does not read what it is sent")
        if self._phase is _OPEN and self._partial_since:
            deadlines.append(self._partial_since + options.body_timeout.total_seconds())
            if now >= deadlines[-1]:
                self._fail("websocket.slow-message", frames.POLICY, "the message takes too long to arrive")
        return min(deadlines) if self._phase is _OPEN else self._close_at

    def _check_silence(self, now: float) -> float:
        """First message, ping, silence; when to look again."""
        options = self._hub.options
        interval = options.ping_interval.total_seconds()
        if not self._has_message and not self._held:
            deadline = self._began + options.first_message_timeout.total_seconds()
            if now >= deadline:
                self._fail("websocket.no-message", frames.POLICY, "no message has come")
            return min(deadline, now + interval)
        if self._paused_since or self._held:
            return now + interval  # its own deadline runs, or its answers are not looked at
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
        size = len(data)
        if self._reader is None and size > 6 and data[0] == frames.BINARY_MESSAGE:
            if size < 132 and data[1] == size + 122:  # masked, and as long as the frame says
                self._last_received = self._hub.loop.time()
                try:
                    self._deliver(frames.unmask(data[6:], data[2:6]))
                except Exception:  # a fault of ours in one connection must not reach the others
                    log.exception(_BROKEN, self._remote_addr)
                    self._fail(*_INTERNAL)
                return
            if size > 132:
                data = self._take_short(data)
                if not data:
                    return
        if self._phase in (Phase.FAILED, Phase.CLOSED):
            return
        self._last_received = self._hub.time()
        reader = self._attend()
        reader.push(data)
        if self._held:
            self._charge(reader)
            return
        if self._paused_since and self._phase is _OPEN:
            self._hold()
        else:
            self._process()

    def _take_short(self, data: bytes) -> bytes:
        """Processes short whole messages that came together, as APPLYING and APPLIED do; returns what is left."""
        self._last_received = self._hub.loop.time()
        start, size = 0, len(data)
        self._corked = []
        try:
            for _ in range(SLICE_MESSAGES):
                # Not while the link attends to something: it is closing, or takes nothing in.
                if size - start <= 6 or data[start] != frames.BINARY_MESSAGE or self._reader is not None:
                    break
                end = start + data[start + 1] - 122
                if not start + 6 < end <= size or end - start > 131:
                    break
                self._deliver(frames.unmask(data[start + 6 : end], data[start + 2 : start + 6]))
                start = end
            else:
                if start < size and self._reader is None:  # its slice is used up
                    self._attend().push(data[start:])
                    self._hold()
                    return b""
        except Exception:  # a fault of ours in one connection must not reach the others
            log.exception(_BROKEN, self._remote_addr)
            self._fail(*_INTERNAL)
            return b""
        finally:
            self._uncork()
        return data[start:] if start else data

    def _attend(self) -> frames.FrameReader:
        """Ends the rest."""
        if self._reader is None:
            self._reader = frames.FrameReader(self._hub.options.max_message_bytes, deflated=self._deflated)
        return self._reader

    def eof_received(self) -> None:
        """The peer sends nothing more; the transport closes by itself."""
        if self._phase is _OPEN:
            self._phase = Phase.CLOSED
            self._deafen()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone; tells the handler."""
        self._phase = Phase.CLOSED
        self._deafen()
        self._hub.meters.open_links["websocket"] -= 1
        self._hub.remove(self)
        self._hub.handler.closed(self)

    def pause_writing(self) -> None:
        """The peer does not read: nothing of it is processed until it does."""
        self._paused_since = self._hub.time()
        self._attend()
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

    def _emit(self, data: bytes) -> None:
        """Sends bytes behind everything that was written."""
        if self._corked:
            self._wire.write(b"".join(self._corked))
            self._corked.clear()
        self._wire.write(data)

    def _uncork(self) -> None:
        """Sends the answers to what arrived together; one system call for all of them."""
        answers, self._corked = self._corked, None
        if answers and not self._wire.is_closing():
            self._wire.write(answers[0] if len(answers) == 1 else b"".join(answers))

    def _write(self, parts: Sequence[bytes]) -> None:
        length = 1
        for part in parts:
            length += len(part)
        if length > self._hub.options.max_outgoing_bytes:
            self._hub.refuse("websocket.answer-too-big", self._remote_addr, f"a message of {length} bytes is not sent")
            return
        if self._deflated and length >= MIN_BYTES:
            deflated = deflate_parts(parts, self._hub.tails)
            if deflated is not None:
                head = frames.compressed_head(sum(map(len, deflated)))
                self._write_parts((head, *deflated))
                return
        if length > JOINED_BYTES:
            self._write_parts((frames.message_head(length), *parts))
            return
        data = b"".join((frames.message_head(length), *parts))
        if self._corked is None:
            self._wire.write(data)
        else:
            self._corked.append(data)

    def _write_parts(self, parts: tuple[bytes, ...]) -> None:
        if self._corked:
            parts = (*self._corked, *parts)
            self._corked.clear()
        self._hub.write_parts(self._wire, parts)

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
        reader = self._attend()
        self._corked = []
        try:
            while (frame := reader.pop()) is not None:
                left -= self._take(*frame)
                if self._phase in (Phase.FAILED, Phase.CLOSED):
                    return
                if self._held:
                    self._charge(reader)
                    return
                if left <= 0 or (self._paused_since and self._phase is _OPEN):
                    self._hold()
                    return
        except ProtocolError as error:
            self._fail(error.code, error.status, error.message)
        except Exception:  # a fault of ours in one connection must not reach the others
            log.exception(_BROKEN, self._remote_addr)
            self._fail(*_INTERNAL)
        else:
            self._note_partial(reader)
        finally:
            self._uncork()

    def _note_partial(self, reader: frames.FrameReader) -> None:
        """Starts or ends the deadline of a message that has begun; with nothing begun, the link comes to rest."""
        if not self._charge(reader):
            return
        if not reader.is_empty or self._message is not None:
            if not self._partial_since:
                self._partial_since = self._hub.time()
                self._hub.wheel.ask(self, self._partial_since + self._hub.options.body_timeout.total_seconds())
            return
        self._partial_since = 0.0
        if self._phase is _OPEN and not self._paused_since:
            self._reader = None

    def _charge(self, reader: frames.FrameReader) -> bool:
        """Counts what is kept of the peer's bytes; False: all links together keep too much, and this one has ended."""
        keeps = reader.held_bytes + (0 if self._message is None else self._message.held_bytes)
        if keeps == self._charged:
            return True
        self._charged = self._hub.budget.change(self._charged, keeps)
        if self._charged == keeps:
            return True
        reason = self._hub.turn_away("bytes", self._remote_addr)
        if self._phase is _OPEN:
            self._emit(frames.close_frame(frames.TRY_LATER, reason))
        self._linger()
        return False

    def _deafen(self) -> None:
        """Forgets what has come, and what waits to go; nothing more is taken in."""
        self._reader = _DEAF
        self._message = self._waiting = None
        if self._charged:
            self._hub.budget.give(self._charged)
            self._charged = 0

    def _hold(self) -> None:
        """Takes nothing in for now: until the peer reads, or until others had their turn."""
        self._held = True
        if self._paused_since:  # the wait is not the message's fault; a slice is too short to count
            self._partial_since = 0.0
        if not self._wire.is_closing():
            self._wire.pause_reading()
        if self._charge(self._attend()) and not self._paused_since:
            self._hub.loop.call_soon(self._release)

    def _release(self) -> None:
        if not self._held or (self._paused_since and self._phase is _OPEN):
            return
        self._held = False
        if self._phase in (Phase.FAILED, Phase.CLOSED) or self._wire.is_closing():
            return
        self._wire.resume_reading()
        self._process()

    def _take(self, first: int, payload: bytes) -> int:
        """Processes one frame; what of the slice it used up."""
        opcode = first & 0x0F
        if opcode == frames.BINARY or opcode == frames.CONTINUATION:
            return self._take_data(first, payload)
        if opcode == frames.TEXT:
            raise ProtocolError("OpAMP messages are binary, not text", code="websocket.text", status=frames.NOT_BINARY)
        if opcode == frames.CLOSE:
            self._take_close(payload)
        elif opcode == frames.PING and self._phase is _OPEN and not self._paused_since:
            # Pongs to a peer that does not read would pile up.
            self._emit(frames.control_frame(frames.PONG, payload))
        return 1  # of a Pong, that it came is all that matters

    def _take_data(self, first: int, payload: bytes) -> int:
        """A message, or a fragment of one."""
        begins = first & 0x0F == frames.BINARY
        if begins is (self._message is not None):
            text = "a new message begins inside a fragmented one" if begins else "a fragment continues nothing"
            raise ProtocolError(text, code="websocket.frame", status=frames.BROKEN_PROTOCOL)
        if first != frames.BINARY_MESSAGE:
            whole = self._gather(first, payload)
            if whole is None:
                return 1 + (len(payload) >> SLICE_BYTES_SHIFT)
            payload = whole
        self._partial_since = 0.0  # whatever follows has its own deadline
        self._deliver(payload)
        return 1 + (len(payload) >> SLICE_BYTES_SHIFT)

    def _gather(self, first: int, payload: bytes) -> bytes | None:
        """The message that this frame completes, joined and inflated; None: more of it must come."""
        limit = self._hub.options.max_message_bytes
        message, self._message = self._message, None
        if message is None:
            if first & frames.FIN:
                return inflate(payload, limit)
            message = Inflater(limit) if first & frames.COMPRESSED else frames.Fragments(limit)
        message.add(payload)
        if first & frames.FIN:
            return message.finish()
        self._message = message
        return None

    def _take_close(self, payload: bytes) -> None:
        """The peer's Close: the answer to ours, or answered."""
        if self._phase is _OPEN:
            if self._message is not None:
                raise ProtocolError(
                    "the message before the Close has no end", code="websocket.frame", status=frames.BROKEN_PROTOCOL
                )
            frames.check_close(payload)
            self._emit(frames.control_frame(frames.CLOSE, payload))
        self._phase = Phase.CLOSED
        self._deafen()
        self._wire.close()
        self._expect_end()

    def _deliver(self, payload: bytes) -> None:
        """Hands one message to the handler and writes the answer."""
        self._has_message = True
        if payload and not payload[0]:
            reply = self._hub.handler.receive(self, payload[1:])
        else:
            try:
                message = decode_frame(payload)
            except ProtocolError as error:
                self._hub.refuse(error.code, self._remote_addr, error.message)
                reply = (error_reply(b"", ErrorType.BAD_REQUEST, error.message),)
            else:
                reply = self._hub.handler.receive(self, bytes(message))
        if reply and self._phase is _OPEN:
            self._write(reply)

    # ── The end ─────────────────────────────────────────────────────────────────────────────────────────────

    def _fail(self, fault: str, code: int, reason: str) -> None:
        """The peer broke a rule: says so and closes."""
        self._hub.refuse(fault, self._remote_addr, reason)
        if self._phase is _OPEN:
            self._emit(frames.close_frame(code, reason))
        self._linger()

    def _linger(self) -> None:
        """Waits for the peer's end: closing a socket with unread bytes could take our Close back (RST)."""
        self._phase = Phase.FAILED
        self._deafen()
        end_writing(self._wire)
        if self._held and not self._wire.is_closing():
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
        self._deafen()
        self._expect_end()
        self._wire.abort()


_DEAF = frames.FrameReader(0)
"""Of links that take nothing in any more; nothing is ever put in."""


def _head(parts: Sequence[bytes]) -> bytes:
    """Which agent a message is for: it begins with the field that says so."""
    head = parts[0][:_UID_HEAD_BYTES] if parts else b""
    return head if len(head) == _UID_HEAD_BYTES else b"".join(parts)[:_UID_HEAD_BYTES]
