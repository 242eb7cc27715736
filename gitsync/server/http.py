"""`HttpServer`: uvicorn inside our own loop, with a start and a stop."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import timedelta

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from gitsync.errors import SettingsError

BACKLOG = 512
MAX_OPEN = 1_000
"""Connections and calls at a time; more get 503."""
IDLE = timedelta(seconds=30)
DRAIN = timedelta(seconds=5)
"""How long calls that are under way may take when the server stops."""


class HttpServer:
    """One listening address for one application.

    Uvicorn's own loop and signal handlers are not used: they only renew the `Date` header (the application sets it)
    and wait for signals (the service has its own).
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        """Prepares the server; nothing listens yet.

        Args:
            app: what answers.
            host: address or name to listen on; "" for all addresses.
            port: 0 takes a free one.
        """
        self._app = app
        self._host = host
        self._port = port
        self._config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            lifespan="off",
            http="h11",
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_OPEN,
            timeout_keep_alive=int(IDLE.total_seconds()),
            timeout_graceful_shutdown=int(DRAIN.total_seconds()),
        )
        self._server = uvicorn.Server(self._config)
        self._listener: socket.socket | None = None
        self.address = (host, port)

    @property
    def url(self) -> str:
        """Where it listens, `http://HOST:PORT`; after `start` with the port that was taken."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Listens.

        Raises:
            SettingsError: `http.listen`: the address cannot be used.
        """
        self._listener = self._bind()
        host, port = self._listener.getsockname()[:2]
        self.address = (host, port)
        self._config.load()
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup(sockets=[self._listener])

    async def stop(self) -> None:
        """Takes no more calls, lets those under way end for five seconds, and returns when all is closed."""
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        if self._server.force_exit:
            self._cut()
        await self._server.shutdown(sockets=[listener])
        for task in list(self._server.server_state.tasks):
            task.cancel()

    def hurry(self) -> None:
        """Ends the wait of `stop` for calls that are under way, now or when it comes to that."""
        self._server.force_exit = True
        if self._listener is None:
            self._cut()

    def _cut(self) -> None:
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application; a call that either side has given up ends without a word, as nobody is there to hear one."""
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:
            if not self._server.force_exit:
                raise

    def _bind(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(self._host or None, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _, _, _, address = found[0]
            return socket.create_server(address[:2], family=family, backlog=BACKLOG)
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {self._host}:{self._port}: {os.strerror(error.errno) if error.errno else error}",
                code="http.listen",
                hint="another program may use the port; choose one with --http-listen",
            ) from error
