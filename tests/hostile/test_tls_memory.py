"""A hundred connections with TLS, and a large message on each in both directions: what they hold stays small.

OpenSSL's memory buffers never shrink. What goes through them in one piece would be held for as long as the connection
is open: with a push of 1 MiB, more than 100 MiB for a hundred agents. The memory is this process's, as the system
counts it, and the agents run in another one.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

import trustme

from gitsync.control.ports import AgentLink
from gitsync.server.opamp import TlsOptions
from tests.support import tls_peers
from tests.support.agenthandler import Port, opamp_port
from tests.support.memorytls import Above, TlsPair

AGENTS = 100
PUSHED_BYTES = 1 << 20
GROWTH_BYTES = 25 << 20
"""A quarter of what the buffers would hold: room for what the allocator keeps."""


def resident_bytes() -> int:
    """The memory of this process."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))


def quiet(link: AgentLink, data: bytes) -> Sequence[bytes]:
    return ()


@asynccontextmanager
async def agents_of(port: Port, authority: Path) -> AsyncIterator[None]:
    """The other process; it leaves at the end by itself."""
    arguments = ["-m", tls_peers.__name__, port.url, str(authority), str(AGENTS)]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=PIPE, stdout=DEVNULL)
    try:
        yield
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_what_tls_connections_hold_does_not_grow_with_the_size_of_the_messages(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    tls = TlsOptions(tmp_path / "server.pem", tmp_path / "server.pem")
    async with opamp_port(quiet, tls=tls) as port, agents_of(port, tmp_path / "ca.pem"):
        messages = port.handler.messages
        while (known := len(messages)) < AGENTS:
            await port.handler.until(partial(_is_longer, messages, known))
        links = list(port.handler.open)
        messages.clear()
        before = resident_bytes()
        for number, link in enumerate(links):
            await _exchange(port, link, number)
        assert resident_bytes() - before < GROWTH_BYTES
        assert len(port.handler.open) == AGENTS


def _is_longer(messages: Sequence[bytes], count: int) -> bool:
    return len(messages) > count


async def test_what_waits_while_it_is_not_wanted_is_held_no_longer_than_that() -> None:
    authority, content = trustme.CA(), bytes(250_000)
    pairs: list[TlsPair] = []
    before = 0
    for number in range(2 * AGENTS):
        if number == AGENTS // 4:  # by then the process has made what it makes once
            before = resident_bytes()
        first = content if number % 2 else b""
        pair = TlsPair(authority, pausing, first=first)
        if not first:
            pair.feed(pair.encrypted(content))
        pair.forget_peer()
        pair.above.took = forgetting
        pair.above.wire.resume_reading()
        await asyncio.sleep(0)
        assert pair.hub.budget.used == 0
        pairs.append(pair)
    assert resident_bytes() - before < GROWTH_BYTES // 2


def pausing(above: Above) -> None:
    above.wire.pause_reading()
    above.chunks.clear()


def forgetting(above: Above) -> None:
    above.chunks.clear()


async def _exchange(port: Port, link: AgentLink, number: int) -> None:
    """One large message to the agent and one from it."""
    pushed = Random(~number).randbytes(PUSHED_BYTES)
    link.send((pushed,))
    await port.handler.until(lambda: port.handler.messages)
    answer = port.handler.messages.pop()
    assert answer[:32] == hashlib.sha256(pushed).digest()
    assert answer[32:] == tls_peers.content(number)
