"""Agents on TLS in a process of their own, so that what they hold is not held by the server's: `python -m` this module.

The arguments are the port's URL, the authority's file, and how many agents there are. All connect and say `hello`. Then
each one, in turn, reads one message and answers with its digest and with content of its own; see `content`. They stay
until the input ends.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import sys
from contextlib import AsyncExitStack
from random import Random

from tests.support.rawpeer import frame, raw_peer

ANSWER_BYTES = 256 << 10


def content(number: int) -> bytes:
    """What the agent of this number answers."""
    return Random(number).randbytes(ANSWER_BYTES)


async def main(url: str, authority: str, count: int) -> None:
    tls = ssl.create_default_context(cafile=authority)
    async with AsyncExitStack() as stack:
        peers = []
        for _ in range(count):
            peer = await stack.enter_async_context(raw_peer(url, tls=tls))
            await peer.open()
            peer.send(frame(b"\x00hello"))
            peers.append(peer)
        for number, peer in enumerate(peers):
            pushed = await peer.message()
            peer.send(frame(b"\x00" + hashlib.sha256(pushed).digest() + content(number)))
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
