"""Whatever peers send, in whatever portions, and however they end: room that was taken in the budget is given back."""

from __future__ import annotations

import asyncio
import random
import zlib

import pytest

from tests.support.agenthandler import RecordingHandler, echo
from tests.support.rawpeer import frame, post, upgrade
from tests.support.wire import KeepingWire, a_connection, a_hub

ROOM = 60_000
MESSAGE_BYTES = 20_000
STEPS = 1_500
CHUNKED = (
    b"POST /v1/opamp HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\nTransfer-Encoding: chunked\r\n\r\n"
)
FIRST_BYTES = (0x82, 0x02, 0x00, 0x80, 0xC2, 0x42, 0x89, 0x88, 0x81)
"""Whole, begun, continued, ended and compressed messages, a Ping, a Close, a text."""


def what_comes(chance: random.Random) -> bytes:
    """All that one peer sends."""
    kind = chance.random()
    if kind < 0.3:
        return post(chance.randbytes(chance.randint(0, MESSAGE_BYTES + 10_000)))
    if kind < 0.4:
        chunks = (chance.randbytes(chance.randint(1, 9_000)) for _ in range(4))
        return CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in chunks)
    sent = upgrade("/v1/opamp", "Sec-WebSocket-Extensions: permessage-deflate")
    for _ in range(chance.randint(0, 8)):
        first = chance.choice(FIRST_BYTES)
        body = chance.randbytes(chance.randint(0, 50 if first in (0x88, 0x89) else 9_000))
        if first & 0x40 and chance.random() < 0.8:
            body = zlib.compress(body, wbits=-15)
        sent += frame(body, first)
    return sent


@pytest.mark.parametrize("seed", range(3))
async def test_room_is_bounded_and_given_back_on_every_way(seed: int) -> None:
    loop, chance = asyncio.get_running_loop(), random.Random(seed)
    limits = {"max_message_bytes": MESSAGE_BYTES, "max_bytes_in_flight": ROOM, "connect_burst": 1 << 30}
    hub = a_hub(loop, RecordingHandler(echo), **limits)
    live: list[tuple[KeepingWire, bytearray]] = []
    most = 0
    for _ in range(STEPS):
        if len(live) < 12 or chance.random() < 0.2:
            live.append((a_connection(hub), bytearray(what_comes(chance))))
        index = chance.randrange(len(live))
        wire, data = live[index]
        cut = chance.randint(1, 8_000)
        portion = bytes(data[:cut])
        del data[:cut]
        if portion and not wire.is_closing():
            wire.protocol.data_received(portion)
        if chance.random() < 0.1:
            chance.choice((wire.protocol.pause_writing, wire.protocol.resume_writing))()
        if chance.random() < 0.02:
            wire.protocol.check(loop.time() + 1_000)
        if chance.random() < 0.05:
            await asyncio.sleep(0)
        assert 0 <= hub.budget.used <= ROOM
        most = max(most, hub.budget.used)
        if not data or wire.is_closing() or chance.random() < 0.05:
            del live[index]
            wire.protocol.connection_lost(None)
    for wire, _ in live:
        wire.protocol.connection_lost(None)
    assert most > ROOM / 2, "the limit was never near"
    assert hub.meters.turned_away["bytes"] > 0
    assert (hub.budget.used, hub.connections, +hub.meters.open_links) == (0, set(), {})
