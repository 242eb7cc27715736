"""A handler that keeps what the agents' port tells it, and a port with it on a free address.

async with opamp_port() as port:
    port.url                                # ws://127.0.0.1:PORT/v1/opamp
    await port.handler.until(lambda: port.handler.messages)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from gitsync.control.meters import Meters
from gitsync.control.ports import AgentLink
from gitsync.server.opamp import ListenerOptions, OpampListener

PATIENCE_SECONDS = 10.0


def echo(link: AgentLink, data: bytes) -> Sequence[bytes]:
    """An answer in two parts that shows what came."""
    return (b"re:", data)


class RecordingHandler:
    """Keeps everything; answers with `reply`.

    Attributes:
        messages: what came, oldest first.
        links: every link that was opened, oldest first.
        open: those that were not closed yet.
    """

    def __init__(self, reply: Callable[[AgentLink, bytes], Sequence[bytes]] = echo) -> None:
        self.reply = reply
        self.messages: list[bytes] = []
        self.links: list[AgentLink] = []
        self.open: list[AgentLink] = []
        self._changed = asyncio.Event()

    def opened(self, link: AgentLink) -> None:
        self.links.append(link)
        self.open.append(link)
        self._changed.set()

    def receive(self, link: AgentLink, data: bytes) -> Sequence[bytes]:
        assert link in self.open
        assert isinstance(data, bytes)
        self.messages.append(data)
        self._changed.set()
        return self.reply(link, data)

    def closed(self, link: AgentLink) -> None:
        self.open.remove(link)
        self._changed.set()

    async def until(self, claim: Callable[[], object]) -> None:
        """Waits until the claim holds; it is looked at whenever something happened."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not claim():
                self._changed.clear()
                await self._changed.wait()


class Port:
    """A listener with a recording handler."""

    def __init__(self, options: ListenerOptions, handler: RecordingHandler) -> None:
        self.handler = handler
        self.meters = Meters()
        self.options = options
        self.listener = OpampListener(options, handler, self.meters)

    @property
    def url(self) -> str:
        return self.listener.url

    @property
    def http_url(self) -> str:
        return "http" + self.listener.url.removeprefix("ws")

    @property
    def errors(self) -> dict[str, int]:
        """Protocol errors so far, by code."""
        return dict(self.meters.protocol_errors)


@asynccontextmanager
async def opamp_port(
    reply: Callable[[AgentLink, bytes], Sequence[bytes]] = echo, *, drain: float = 0.0, **options: Any
) -> AsyncIterator[Port]:
    """A port; `options` are those of `ListenerOptions`, with times as seconds or timedelta."""
    times = {"tick": 0.02} | options
    made = {
        name: timedelta(seconds=value) if isinstance(value, int | float) and _is_time(name) else value
        for name, value in times.items()
    }
    port = Port(ListenerOptions(**made), RecordingHandler(reply))
    await port.listener.start()
    try:
        yield port
    finally:
        await port.listener.stop(drain)


def _is_time(name: str) -> bool:
    return name == "tick" or name.endswith(("_timeout", "_interval", "keep_alive"))
