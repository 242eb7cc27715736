"""What a hostile peer can do to the agents' port: nothing to others, little memory, little time."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import random
import socket
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from tests.support.agenthandler import Port, opamp_port
from tests.support.rawpeer import BINARY, CLOSE, CONT, PING, PONG, RawPeer, frame, post, raw_peer, upgrade


async def is_well(port: Port) -> None:
    """A good agent is served, on both transports."""
    async with raw_peer(port.url) as peer:
        peer.send(post(b"well?"))
        assert (await peer.response()).body == b"re:well?"
        await peer.open()
        peer.send(frame(b"\x00well?"))
        assert await peer.message() == b"re:well?"


async def swallow(peer: RawPeer) -> None:
    """Ends what the peer says, and reads what the server still says, until it closes."""
    with contextlib.suppress(OSError):
        if peer.writer.can_write_eof():
            peer.writer.write_eof()
    await peer.end_of_stream()


@pytest.mark.parametrize("seed", range(40))
async def test_garbage_from_the_first_byte_on_breaks_nothing(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(seed)
    async with opamp_port(max_message_bytes=10_000) as port:
        async with raw_peer(port.url) as peer:
            for _ in range(chance.randrange(1, 20)):
                peer.send(chance.randbytes(chance.randrange(1, 3000)))
                await asyncio.sleep(0)
            await swallow(peer)
        await is_well(port)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("seed", range(60))
async def test_garbage_inside_good_traffic_breaks_nothing(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(seed)
    good = [
        upgrade()
        + frame(b"\x00one")
        + frame(b"x", PING)
        + frame(b"\x00t", 0x02)
        + frame(b"wo", CONT)
        + frame(b"", CLOSE),
        post(b"body")
        + post(gzip.compress(b"zipped"), "Content-Encoding: gzip")
        + upgrade()
        + frame(b"\x00" + b"z" * 200),
        post(b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
        + b"3\r\nabc\r\n0\r\n\r\n"
        + post(b"y"),
    ]
    stream = bytearray(chance.choice(good))
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(stream))
        match chance.randrange(3):
            case 0:
                stream[at] = chance.randrange(256)
            case 1:
                del stream[at : at + chance.randrange(1, 20)]
            case _:
                stream[at:at] = chance.randbytes(chance.randrange(1, 20))
        stream = stream or bytearray(b"\x00")
    async with opamp_port(max_message_bytes=10_000) as port:
        async with raw_peer(port.url) as peer:
            peer.send(bytes(stream))
            await swallow(peer)
        await is_well(port)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("seed", range(25))
async def test_any_split_of_a_conversation_has_the_same_outcome(seed: int) -> None:
    chance = random.Random(seed)
    stream = post(b"posted") + upgrade() + frame(b"\x00one") + frame(b"p", PING)
    stream += frame(b"\x00" + b"2" * 300, 0x02) + frame(b"", PONG) + frame(b"end", CONT) + frame(b"\x03\xe8", CLOSE)
    async with opamp_port() as port, raw_peer(port.url) as peer:
        at = 0
        while at < len(stream):
            size = chance.choice((1, 2, 7, 50, 400))
            peer.send(stream[at : at + size])
            await peer.writer.drain()
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            at += size
        assert [(await peer.response()).status for _ in range(2)] == [200, 101]
        assert await peer.message() == b"re:one"
        assert await peer.frame() == (PONG, b"p")
        assert await peer.message() == b"re:" + b"2" * 300 + b"end"
        assert await peer.close_code() == 1000
        assert port.handler.messages == [b"posted", b"one", b"2" * 300 + b"end"]


async def test_a_compressed_bomb_costs_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(bytes(200_000_000), compresslevel=9)
    async with opamp_port(max_message_bytes=1 << 20) as port, raw_peer(port.url) as peer:
        tracemalloc.start()
        try:
            peer.send(post(bomb, "Content-Encoding: gzip"))
            assert (await peer.response()).status == 413
            assert tracemalloc.get_traced_memory()[1] < 12 << 20
        finally:
            tracemalloc.stop()
        await is_well(port)


async def test_an_announced_length_costs_nothing() -> None:
    tracemalloc.start()
    try:
        async with (
            opamp_port(max_message_bytes=1 << 30) as port,
            raw_peer(port.url) as peer,
            raw_peer(port.url) as other,
        ):
            await peer.open()
            peer.send(frame(b"\x00first"), b"\x82\xff" + (1 << 29).to_bytes(8, "big") + b"mask" + b"x")
            assert await peer.message() == b"re:first"
            other.send(post(b"").replace(b"Length: 0", b"Length: 536870912") + b"x")
            await is_well(port)
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


async def test_fragments_without_end_are_counted() -> None:
    async with opamp_port(max_message_bytes=1000) as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00", 0x02), frame(b"x", 0x00) * 2000)
        assert await peer.close_code() == 1009
        await is_well(port)


async def test_empty_fragments_without_end_run_into_the_deadline() -> None:
    async with opamp_port(body_timeout=0.1) as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00", 0x02))
        while not peer.reader.at_eof() and not port.errors:
            peer.send(frame(b"", 0x00) * 50)
            await asyncio.sleep(0.005)
        assert port.errors == {"websocket.slow-message": 1}
        await is_well(port)


async def test_a_flood_of_one_peer_lets_others_have_their_turn() -> None:
    async with opamp_port() as port, raw_peer(port.url, limit=64 << 20) as flood, raw_peer(port.url) as other:
        await flood.open()
        await other.open()
        flood.send(frame(b"\x00f") * 20_000)
        other.send(frame(b"\x00o"))
        assert await other.message() == b"re:o"
        for _ in range(20_000):
            assert await flood.frame() == (BINARY, b"\x00re:f")


async def test_a_flood_of_pipelined_posts_is_answered_in_slices() -> None:
    async with opamp_port() as port, raw_peer(port.url, limit=64 << 20) as flood:
        flood.send(post(b"f") * 1000)
        await is_well(port)
        for _ in range(1000):
            assert (await flood.response()).status == 200


async def test_many_slow_peers_are_all_ended_by_their_deadline() -> None:
    async with opamp_port(header_timeout=0.1, first_message_timeout=0.1) as port:
        async with contextlib.AsyncExitStack() as stack:
            peers = [await stack.enter_async_context(raw_peer(port.url)) for _ in range(60)]
            for number, peer in enumerate(peers):
                peer.send((b"", b"G", post(b"x")[:-3], upgrade())[number % 4])
            await is_well(port)
            async with asyncio.timeout(10):
                for number, peer in enumerate(peers):
                    if number % 4 != 2:
                        await peer.end_of_stream()


HALF_OPEN = 2000


@contextlib.asynccontextmanager
async def half_open(port: Port, sent: bytes) -> AsyncIterator[list[socket.socket]]:
    """Two thousand peers that say the same and then nothing."""
    loop, peers = asyncio.get_running_loop(), list[socket.socket]()
    try:
        for _ in range(HALF_OPEN):
            one = socket.socket()
            peers.append(one)
            one.setblocking(False)
            await loop.sock_connect(one, ("127.0.0.1", port.listener.port))
            if sent:
                await loop.sock_sendall(one, sent)
        yield peers
    finally:
        for one in peers:
            one.close()


CHUNK = 20_000
PARTS = {
    "nothing": b"",
    "a head": post(b"", "X: " + "y" * 10_000)[:-2],
    "a body": post(b"x" * 2 * CHUNK)[:-CHUNK],
    "an inflated body": post(gzip.compress(b"x" * CHUNK), "Content-Encoding: gzip")[:-1],
    "chunks": post(b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    + b"4e20\r\n"
    + b"x" * CHUNK,
    "a websocket message": upgrade() + frame(b"\x00first") + frame(b"\x00" + b"x" * 2 * CHUNK)[:-CHUNK],
    "fragments": upgrade() + frame(b"\x00first") + frame(b"\x00" + b"x" * CHUNK, 0x02),
}


@pytest.mark.parametrize("sent", PARTS.values(), ids=PARTS)
async def test_two_thousand_half_open_peers_stay_within_the_room_and_disturb_nobody(sent: bytes) -> None:
    room = 4_000_000
    async with opamp_port(max_bytes_in_flight=room, max_message_bytes=100_000, max_connections=5000) as port:
        hub = port.listener._hub  # nothing outside shows it
        assert hub is not None
        async with raw_peer(port.url) as good:
            await good.open()
            tracemalloc.start()
            try:
                async with half_open(port, sent):
                    good.send(frame(b"\x00still well?"))
                    assert await good.message() == b"re:still well?"
                    assert tracemalloc.get_traced_memory()[0] < room + HALF_OPEN * 12_000
                    assert hub.budget.used <= room
                    if not sent or len(sent) * HALF_OPEN < room:
                        await is_well(port)
            finally:
                tracemalloc.stop()
            async with asyncio.timeout(10):
                while len(hub.connections) > 1:
                    await asyncio.sleep(0)
            assert hub.budget.used == 0
            await is_well(port)


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 4\r\nContent-Length: 40\r\n\r\nbody",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: +4\r\n\r\nbody",
        b" folded\r\n\tContent-Length: x\r\n\r\n",
    ],
)
async def test_requests_with_two_readings_reach_nobody(rest: bytes) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        head = b"POST /v1/opamp HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\n"
        peer.send(head + rest + post(b"second"))
        assert (await peer.response()).status in (400, 415)
        await peer.end()
        assert b"second" not in port.handler.messages
