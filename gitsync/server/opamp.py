"""`OpampListener`: the agents' port, WebSocket and POST together, from `start` to `stop`."""

from __future__ import annotations

import asyncio
import logging
import math
import socket

from gitsync.control.fewlines import FewLines
from gitsync.control.meters import Meters
from gitsync.control.ports import AgentHandler
from gitsync.errors import SettingsError
from gitsync.server.listener import Hub, ListenerOptions, write_joined, write_references
from gitsync.server.post import HttpConnection
from gitsync.server.tls import Certificates, TlsOptions
from gitsync.server.tlsgate import HandshakeGate
from gitsync.server.tlswire import TlsPort, TlsWire
from gitsync.server.wheel import TimingWheel

__all__ = ["ListenerOptions", "OpampListener", "TlsOptions"]

log = logging.getLogger("gitsync.opamp")

BACKLOG = 4096
TELL_SECONDS = 1.0
"""Between two looks for faults that were left out of the log and are not said yet."""
LEAVING_SECONDS = 0.05
"""Between two slices of goodbyes."""
LEAVING_SHARE = 0.8
"""Of the time to stop: over this part of it goodbyes are spread, the rest is for answers to them."""
LEAVING_RATE = 50
"""Goodbyes a second, at least: a small fleet need not be spread that far."""


class OpampListener:
    """One port for all agents.

    Attributes:
        port: where it listens; after `start` the port that was taken.
    """

    def __init__(self, options: ListenerOptions, handler: AgentHandler, meters: Meters) -> None:
        """Prepares the listener; nothing listens yet.

        Args:
            options: see there.
            handler: called for every link and message, in the loop.
            meters: `open_links` and `protocol_errors` are kept.
        """
        self._options = options
        self._handler = handler
        self._meters = meters
        self._hub: Hub | None = None
        self._servers: list[asyncio.Server] = []
        self._stopping: Hub | None = None
        self._hurried = False
        self.port = options.port

    @property
    def url(self) -> str:
        """Where agents connect: `ws://HOST:PORT/PATH`, or `wss:`; for POSTs the same with `http` or `https`."""
        host = self._options.host or "127.0.0.1"
        scheme = "ws" if self._options.tls is None else "wss"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}{self._options.path}"

    async def start(self) -> None:
        """Listens.

        Raises:
            SettingsError: `agents.listen`: the address cannot be used; see also `tls.load_context`.
        """
        options = self._options
        loop = asyncio.get_running_loop()
        certificates = None if options.tls is None else Certificates(options.tls, loop, self._meters.tls_reloads)
        tick = options.tick.total_seconds()
        is_uvloop = type(loop).__module__.partition(".")[0] == "uvloop"
        hub = Hub(
            options,
            self._handler,
            self._meters,
            loop,
            TimingWheel(loop, tick),
            FewLines(log, loop.time),
            write_references if is_uvloop else write_joined,
        )
        hub.empty.set()
        gate = HandshakeGate(loop, hub.wheel, options.max_handshakes)
        tls = None if certificates is None else TlsPort(hub, certificates, gate)
        sockets = await self._bind(loop)
        self._hub = hub
        self.port = sockets[0].getsockname()[1]
        hub.wheel.start()
        hub.wheel.ask(_Telling(hub.faults), hub.time() + TELL_SECONDS)
        for one in sockets:
            self._servers.append(await loop.create_server(lambda: _protocol(hub, tls), sock=one, backlog=BACKLOG))

    async def stop(self, drain_seconds: float = 5.0) -> None:
        """Says goodbye to all, spread over the time, waits for their part, then closes what is left.

        Meanwhile agents that were not told yet are served as ever, and new connections are answered 503: who looks for
        another server finds out at once. Nothing happens when it was not started.

        Args:
            drain_seconds: how long this may take; `hurry` ends it.
        """
        hub, self._hub = self._hub, None
        if hub is None:
            return
        hub.stopping = True
        hub.leaving = set(hub.connections)
        if self._hurried or not hub.leaving:
            hub.left.set()
        servers, self._servers = self._servers, []
        self._stopping = hub
        try:
            async with asyncio.timeout(drain_seconds):
                await self._say_goodbye(hub, drain_seconds)
                await hub.left.wait()
        except TimeoutError:
            pass
        finally:
            hub.closed = True
            for server in servers:
                server.close()
            for connection in list(hub.connections):
                connection.abort()
            hub.wheel.stop()
            hub.faults.tell(early=True)
        # The sockets are closed; the loop tells their protocols in its next rounds.
        await hub.empty.wait()
        for server in servers:
            await server.wait_closed()

    def hurry(self) -> None:
        """Ends the goodbyes of `stop`, now or when it comes to that."""
        self._hurried = True
        if self._stopping is not None:
            self._stopping.left.set()

    @staticmethod
    async def _say_goodbye(hub: Hub, drain_seconds: float) -> None:
        """Evenly, so that agents do not all reach the next server in the same second."""
        known = list(hub.leaving)
        spread = min(drain_seconds * LEAVING_SHARE, len(known) / LEAVING_RATE)
        slices = math.ceil(spread / LEAVING_SECONDS) or 1
        begun = hub.time()
        for index in range(slices):
            for connection in known[index * len(known) // slices : (index + 1) * len(known) // slices]:
                if connection in hub.connections:
                    connection.leave()
            if hub.left.is_set():
                return
            await asyncio.sleep(begun + (index + 1) * LEAVING_SECONDS - hub.time())

    async def _bind(self, loop: asyncio.AbstractEventLoop) -> list[socket.socket]:
        """Sockets of our own, because accepted ones inherit SO_SNDBUF from them."""
        options = self._options
        sockets: list[socket.socket] = []
        try:
            found = await loop.getaddrinfo(
                options.host or None, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            port = options.port
            for family, kind, number, _, address in dict.fromkeys(found):
                one = socket.socket(family, kind, number)
                sockets.append(one)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if options.send_buffer_bytes:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, options.send_buffer_bytes)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind((address[0], port, *address[2:]))
                port = one.getsockname()[1]
        except OSError as error:
            for one in sockets:
                one.close()
            raise SettingsError(
                f"cannot listen for agents on {options.host}:{options.port}: {error.strerror or error}",
                code="agents.listen",
                hint="another program may use the port; choose one with --opamp-listen",
            ) from error
        return sockets


class _Telling:
    """Has the log say how many faults it left out, though no more of them come."""

    __slots__ = ("_faults", "slot")

    def __init__(self, faults: FewLines) -> None:
        self._faults = faults
        self.slot = -1

    def check(self, now: float) -> float:
        """See `wheel.Timed`."""
        self._faults.tell()
        return now + TELL_SECONDS


def _protocol(hub: Hub, tls: TlsPort | None) -> asyncio.Protocol:
    connection = HttpConnection(hub)
    return connection if tls is None else TlsWire(tls, connection)
