"""The sockets of simulated agents: one WebSocket each, or a POST each second. No task per agent.

Rules
- Whatever the server does wrong costs the agent its connection, and nothing more; it comes back with backoff.
- One timer per socket: it is the next heartbeat or poll, the end of patience with an answer, or the next connect.
- Heartbeats are counted from the last message, and come at the interval that the server offered, if it did.
- A server that has no time says how long to wait, and is not asked again before (OpAMP, Throttling).
- After `close` nothing is sent but a goodbye, and nothing connects any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from random import Random
from typing import cast
from urllib.parse import urlsplit

import h11
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from gitsync.errors import ProtocolError
from gitsync.ids import show_uid
from gitsync.lab.agent import SimulatedAgent
from gitsync.lab.profile import Fault
from gitsync.opamp.client import ClientStep
from gitsync.opamp.messages import ErrorType
from gitsync.opamp.wire import decode_frame, encode_frame

HEARTBEAT_SECONDS = 30.0
POLL_SECONDS = 1.0
FLAP_SECONDS = 5.0
PATIENCE_SECONDS = 30.0
"""How long a connect, a handshake or an answer to a POST may take."""
FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0
MAX_RETRY_AFTER_SECONDS = 600.0
MAX_MESSAGE_BYTES = 64 << 20
"""Larger messages of the server are not taken (OpAMP, Message Size Limits)."""
DEFAULT_PORT = 4320


class AgentSocket(asyncio.Protocol):
    """What both transports share: connecting, again with backoff and jitter, until it is closed for good."""

    def __init__(self, agent: SimulatedAgent, url: str, random: Random) -> None:
        """A socket that is not connected yet.

        Args:
            url: with the scheme of the transport: `ws`, `wss`, `http` or `https`.
            random: for jitter.
        """
        self.agent = agent
        agent.server = url
        self._url = url
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._backoff = FIRST_BACKOFF_SECONDS
        self._retry_after = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._closing = False

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, or one is being made."""
        return self._transport is not None or (self._task is not None and not self._task.done())

    def start(self, tasks: asyncio.TaskGroup) -> asyncio.Task[None]:
        """Connects, now and whenever the connection is lost; the task is over when the first attempt is."""
        self._tasks = tasks
        self._task = tasks.create_task(self._connect(), name="lab-connect")
        return self._task

    async def _connect(self) -> None:
        parts = urlsplit(self._url)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._loop.create_connection(
                    lambda: self,
                    parts.hostname or "127.0.0.1",
                    parts.port or DEFAULT_PORT,
                    ssl=True if parts.scheme in ("wss", "https") else None,
                )
        except OSError:
            self._again()

    def close(self) -> None:
        """Leaves for good, with a goodbye where there is a connection."""
        self._closing = True
        self._rest()
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._goodbye()

    def abort(self) -> None:
        """Drops the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP connection is there."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's do not inherit from it
        if self._closing:
            self.abort()
            return
        self._wait(PATIENCE_SECONDS, self.abort)
        self._opened()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._transport = None
        self.agent.disconnected()
        self._again()

    def _opened(self) -> None:
        raise NotImplementedError

    def _goodbye(self) -> None:
        """Says goodbye, and closes."""
        raise NotImplementedError

    def _heed(self, step: ClientStep) -> None:
        """What a message of the server means for the connection."""
        error = step.error
        if error is not None and error.type is ErrorType.UNAVAILABLE:
            wait = error.retry_after or timedelta(0)
            self._retry_after = min(wait.total_seconds(), MAX_RETRY_AFTER_SECONDS)
            self._goodbye()
        elif step.connection is not None and self.agent.profile.fault is Fault.RECONNECTS:
            self._goodbye()

    def _again(self) -> None:
        if self._closing:
            self._rest()
            return
        wait = max(self._backoff * self._random.uniform(0.5, 1.5), self._retry_after)
        self._backoff = min(self._backoff * 2, MAX_BACKOFF_SECONDS)
        self._retry_after = 0.0
        self._wait(wait, self._reconnect)

    def _reconnect(self) -> None:
        if self._tasks is not None:
            self.start(self._tasks)

    def _wait(self, seconds: float, then: Callable[[], object]) -> None:
        self._rest()
        self._timer = self._loop.call_later(seconds, then)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class WebSocketAgent(AgentSocket):
    """An agent on one WebSocket."""

    def _opened(self) -> None:
        self._parts: list[bytes] = []
        self._socket = ClientProtocol(parse_uri(self._url), max_size=MAX_MESSAGE_BYTES)
        self._socket.send_request(self._socket.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Bytes of the server."""
        self._socket.receive_data(data)
        for event in self._socket.events_received():
            if isinstance(event, Response):
                self._upgraded()
            elif isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.CONT):
                self._take(event)
        self._flush()
        failed = self._socket.handshake_exc is not None
        if self._transport is not None and (failed or self._socket.close_expected()):
            self._transport.close()

    def _upgraded(self) -> None:
        failure = self._socket.handshake_exc
        if failure is not None:
            if isinstance(failure, InvalidStatus):
                self._retry_after = retry_after_seconds(
                    failure.response.headers.get("Retry-After"), failure.response.headers.get("Date")
                )
            return
        self._backoff = FIRST_BACKOFF_SECONDS
        self.agent.connected(self._send)
        if self.agent.profile.fault is Fault.FLAPS:
            self._wait(FLAP_SECONDS, self.abort)

    def _take(self, frame: Frame) -> None:
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        message, self._parts = b"".join(self._parts), []
        try:
            self._heed(self.agent.receive(bytes(decode_frame(message))))
        except ProtocolError:
            self.abort()

    def _send(self, message: bytes) -> None:
        if self._socket.state is State.OPEN:
            has_header = self.agent.profile.fault is not Fault.NO_HEADER
            self._socket.send_binary(encode_frame(message) if has_header else message)
            self._flush()
            if self.agent.profile.fault is not Fault.FLAPS:
                self._beat()

    def _beat(self) -> None:
        """The next heartbeat, if there are to be any."""
        offered = self.agent.client.heartbeat_seconds
        seconds = HEARTBEAT_SECONDS if offered is None else offered
        if seconds:
            self._wait(seconds, self.agent.heartbeat)
        else:
            self._rest()

    def _goodbye(self) -> None:
        if self._socket.state is not State.OPEN:
            self.abort()
            return
        for message in self.agent.goodbyes():
            self._send(message)
        self._wait(PATIENCE_SECONDS, self.abort)
        self._socket.send_close(1000)
        self._flush()

    def _flush(self) -> None:
        if self._transport is None:
            return
        for data in self._socket.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()


class PollingAgent(AgentSocket):
    """An agent that POSTs each second, on one kept connection, one request at a time."""

    def __init__(self, agent: SimulatedAgent, url: str, random: Random) -> None:
        super().__init__(agent, url, random)
        self._queue: deque[bytes] = deque()
        self._busy = False
        self._body = bytearray()
        self._status = 0
        self._flap_at = 0.0
        self._host = urlsplit(url).netloc
        self._path = urlsplit(url).path

    def _opened(self) -> None:
        self._http = h11.Connection(h11.CLIENT)
        self._busy = False
        self._body.clear()
        self._queue.clear()
        self._flap_at = self._loop.time() + FLAP_SECONDS
        self.agent.connected(self._send)

    def data_received(self, data: bytes) -> None:
        """Bytes of the server."""
        try:
            self._http.receive_data(data)
            while (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.Response):
                    self._status = event.status_code
                    headers = {name.decode().lower(): value.decode("latin-1") for name, value in event.headers}
                    self._retry_after = retry_after_seconds(headers.get("retry-after"), headers.get("date"))
                    if int(headers.get("content-length", "0")) > MAX_MESSAGE_BYTES:
                        self.abort()
                        return
                elif isinstance(event, h11.Data):
                    self._body += event.data
                    if len(self._body) > MAX_MESSAGE_BYTES:
                        self.abort()
                        return
                else:
                    if isinstance(event, h11.EndOfMessage):
                        self._answered()
                    return
        except (h11.RemoteProtocolError, ProtocolError):
            self.abort()

    def _answered(self) -> None:
        body, self._body = bytes(self._body), bytearray()
        if self._status != 200:
            self._leave()
            return
        self._backoff = FIRST_BACKOFF_SECONDS
        reusable = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if reusable:
            self._http.start_next_cycle()
            self._busy = False
        step = self.agent.receive(body)  # may send an answer, and be busy again
        flaps = self.agent.profile.fault is Fault.FLAPS and self._loop.time() > self._flap_at
        if not reusable or flaps:
            self._leave()
            return
        self._heed(step)
        if self._transport is None or self._transport.is_closing():
            return
        if self._queue and not self._busy:
            self._post(self._queue.popleft())
        elif not self._busy:
            self._wait(self.agent.client.heartbeat_seconds or POLL_SECONDS, self.agent.heartbeat)

    def _leave(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _send(self, message: bytes) -> None:
        if self._busy or self._queue:
            self._queue.append(message)
        else:
            self._post(message)

    def _post(self, message: bytes) -> None:
        if self._transport is None:
            return
        self._busy = True
        headers = [
            ("Host", self._host),
            ("Content-Type", "application/x-protobuf"),
            ("Content-Length", str(len(message))),
            ("OpAMP-Instance-UID", show_uid(self.agent.client.uid)),
        ]
        request = h11.Request(method="POST", target=self._path, headers=headers)
        parts = (
            self._http.send(request),
            self._http.send(h11.Data(data=message)),
            self._http.send(h11.EndOfMessage()),
        )
        self._transport.write(b"".join(one for one in parts if one))
        self._wait(PATIENCE_SECONDS, self.abort)

    def _goodbye(self) -> None:
        for message in self.agent.goodbyes()[: 0 if self._busy else 1]:
            self._post(message)
            self._rest()
        self._leave()


def retry_after_seconds(text: str | None, date: str | None) -> float:
    """A `Retry-After` in seconds, within bounds; 0.0 without one.

    Args:
        text: a number of seconds, or an instant.
        date: when the server answered, by its own clock.
    """
    wanted = 0.0
    try:
        wanted = float(text or 0)
    except ValueError:
        with suppress(ValueError, TypeError):
            wanted = (parsedate_to_datetime(text or "") - parsedate_to_datetime(date or "")).total_seconds()
    return min(max(0.0, wanted), MAX_RETRY_AFTER_SECONDS)
