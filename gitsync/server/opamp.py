"""`OpampListener`: the agents' port, WebSocket and POST together, from `start` to `stop`."""

from __future__ import annotations

import asyncio
import socket
import ssl

from gitsync.control.meters import Meters
from gitsync.control.ports import AgentHandler
from gitsync.errors import SettingsError
from gitsync.server.faults import Faults
from gitsync.server.listener import Hub, ListenerOptions, write_joined, write_references
from gitsync.server.post import HttpConnection
from gitsync.server.tls import TlsOptions, load_context
from gitsync.server.tlswire import TlsWire
from gitsync.server.wheel import TimingWheel

__all__ = ["ListenerOptions", "OpampListener", "TlsOptions"]

BACKLOG = 4096
LEAVING_SLICE = 200
"""Goodbyes that are said before the loop does something else."""


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
        context = None if options.tls is None else load_context(options.tls)
        loop = asyncio.get_running_loop()
        tick = options.tick.total_seconds()
        is_uvloop = type(loop).__module__.partition(".")[0] == "uvloop"
        hub = Hub(
            options,
            self._handler,
            self._meters,
            loop,
            TimingWheel(loop, tick),
            Faults(loop),
            write_references if is_uvloop else write_joined,
        )
        hub.empty.set()
        sockets = await self._bind(loop)
        self._hub = hub
        self.port = sockets[0].getsockname()[1]
        hub.wheel.start()
        for one in sockets:
            self._servers.append(await loop.create_server(lambda: _protocol(hub, context), sock=one, backlog=BACKLOG))

    async def stop(self, drain_seconds: float = 5.0) -> None:
        """Takes no more connections, says goodbye to all, waits for their part, then closes what is left.

        Nothing happens when it was not started.

        Args:
            drain_seconds: how long to wait for peers.
        """
        hub, self._hub = self._hub, None
        if hub is None:
            return
        hub.stopping = True
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        try:
            async with asyncio.timeout(drain_seconds):
                await self._say_goodbye(hub)
                await hub.empty.wait()
        except TimeoutError:
            pass
        finally:
            for connection in list(hub.connections):
                connection.abort()
            hub.wheel.stop()
        # The sockets are closed; the loop tells their protocols in its next rounds.
        await hub.empty.wait()
        for server in servers:
            await server.wait_closed()

    @staticmethod
    async def _say_goodbye(hub: Hub) -> None:
        for index, connection in enumerate(list(hub.connections)):
            connection.leave()
            if index % LEAVING_SLICE == LEAVING_SLICE - 1:
                await asyncio.sleep(0)

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


def _protocol(hub: Hub, context: ssl.SSLContext | None) -> asyncio.Protocol:
    connection = HttpConnection(hub)
    return connection if context is None else TlsWire(context, connection, hub.faults)
