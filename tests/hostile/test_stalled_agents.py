"""Five hundred agents that read nothing, and sixty configurations: what they hold does not grow.

Memory is counted, not timed: what this process has allocated, and who still refers to each configuration.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
import sys
import tracemalloc
from collections.abc import Sequence
from random import Random

import pytest

from gitsync.control.ports import AgentLink
from tests.support.agenthandler import Port, opamp_port
from tests.support.rawpeer import frame, upgrade

AGENTS = 500
PUSHES = 60
BYTES = 100 << 10
OFFER = "Sec-WebSocket-Extensions: permessage-deflate"


class Stalled:
    """Sockets of agents that said something, and then read nothing."""

    def __init__(self, port: Port, *headers: str) -> None:
        self._sockets: list[socket.socket] = []
        for _ in range(AGENTS):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 10)
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port.listener.port))
            self._sockets.append(one)
        self._hello = upgrade("/v1/opamp", *headers) + frame(b"\x00hello")

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        for one in self._sockets:
            await loop.sock_sendall(one, self._hello)

    async def __aexit__(self, *_: object) -> None:
        for one in self._sockets:
            one.close()


def quiet(link: AgentLink, data: bytes) -> Sequence[bytes]:
    return ()


@pytest.mark.parametrize("headers", [(), (OFFER,)], ids=["plain", "compressed"])
async def test_what_stalled_agents_hold_does_not_grow_with_the_number_of_pushes(headers: tuple[str, ...]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * AGENTS + 100
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
    async with opamp_port(quiet, send_buffer_bytes=16 << 10) as port, Stalled(port, *headers):
        await port.handler.until(lambda: len(port.handler.messages) == AGENTS)
        links = list(port.handler.open)
        tracemalloc.start()
        try:
            tails, held = await _push_all(links)
        finally:
            tracemalloc.stop()
        # A fifth of the pushes fills what there is to fill.
        assert held[-1] - held[PUSHES // 5] < 1 << 20
        assert all(link.is_open and link._paused_since for link in links)  # type: ignore[attr-defined]
        if type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
            # References only: no agent has a copy of anything.
            assert held[-1] < 6 << 20
        # Of most configurations nobody holds even a reference, because newer ones took their place.
        gc.collect()
        forgotten = [tail for tail in tails if sys.getrefcount(tail) < AGENTS // 2]
        assert len(forgotten) > PUSHES // 2
        # The newest one waits for every agent, as one object.
        assert sys.getrefcount(tails[-1]) > AGENTS


async def _push_all(links: Sequence[AgentLink]) -> tuple[list[bytes], list[int]]:
    """Sixty different configurations to everybody; they, and the bytes that the process held after each."""
    tails, held = [], []
    for number in range(PUSHES):
        tail = Random(number).randbytes(BYTES // 2).hex().encode()
        tails.append(tail)
        for index, link in enumerate(links):
            link.send((b"\x0a\x10" + b"%016d" % index, tail), is_config=True)
        await asyncio.sleep(0)
        held.append(tracemalloc.get_traced_memory()[0] - sum(map(len, tails)))
    return tails, held
