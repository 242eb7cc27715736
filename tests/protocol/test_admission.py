"""Who is let in, and what those are told who are not; those who are in notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gzip

import pytest

from gitsync.server.bodies import INFLATER_BYTES
from gitsync.server.post import PARSER_BYTES
from tests.support.agenthandler import Port, opamp_port
from tests.support.rawpeer import RawPeer, frame, post, raw_peer, upgrade

CHUNKED = post(b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")


ZIPPED = post(gzip.compress(b"x" * 50_000), "Content-Encoding: gzip")


def turned_away(port: Port) -> dict[str, int]:
    return dict(port.meters.turned_away)


async def is_sent_away(peer: RawPeer, text: bytes) -> int:
    """The peer gets 503, and nothing after it; returns when it should come back."""
    response = await peer.response()
    assert response.status == 503
    assert response.headers["connection"] == "close"
    assert text in response.body
    await peer.end()
    return int(response.headers["retry-after"])


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param([upgrade()], id="websocket"),
        pytest.param([upgrade() + frame(b"\x00at once")], id="websocket with a message"),
        pytest.param([upgrade()[:9], upgrade()[9:]], id="websocket in two pieces"),
        pytest.param([post(b"x")], id="post"),
        pytest.param([post(b"x")[:-1], b"x"], id="post in two pieces"),
        pytest.param([CHUNKED], id="chunked post"),
    ],
)
async def test_beyond_the_rate_new_connections_are_told_when_to_come_back(sent: list[bytes]) -> None:
    async with opamp_port(connect_rate=0.001, connect_burst=1) as port, raw_peer(port.url) as good:
        await good.open()
        async with raw_peer(port.url) as late:
            for piece in sent:
                late.send(piece)
                await late.writer.drain()
                await asyncio.sleep(0)
            assert await is_sent_away(late, b"too many new connections at once") >= 30
        good.send(frame(b"\x00still here"))
        assert await good.message() == b"re:still here"
        assert turned_away(port) == {"rate": 1}
        assert port.errors == {}
        assert port.handler.messages == [b"still here"]


async def test_a_connection_that_was_let_in_costs_nothing_more() -> None:
    async with opamp_port(connect_rate=0.001, connect_burst=1) as port, raw_peer(port.url) as peer:
        for _ in range(3):
            peer.send(post(b"x"))
            assert (await peer.response()).status == 200
        await peer.send_singly(post(b"y"))
        assert (await peer.response()).status == 200
        await peer.open()
        assert turned_away(port) == {}


async def test_those_who_are_sent_away_get_different_times() -> None:
    async with opamp_port(connect_rate=0.1, connect_burst=1) as port, raw_peer(port.url) as good:
        await good.open()
        times = []
        for _ in range(6):
            async with raw_peer(port.url) as late:
                late.send(upgrade())
                times.append(await is_sent_away(late, b"too many new connections"))
        assert len(set(times)) == 6


async def test_a_request_that_breaks_the_rules_is_sent_away_like_any_other() -> None:
    async with opamp_port(connect_rate=0.001, connect_burst=1) as port:
        async with raw_peer(port.url) as first, raw_peer(port.url) as second:
            first.send(post(b"x", path="/elsewhere"))
            assert (await first.response()).status == 404
            second.send(b"HEAD /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await second.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 503 ")
            await second.end()


# ── Bytes in flight ─────────────────────────────────────────────────────────────────────────────────────────────────


def in_flight(port: Port) -> int:
    assert port.listener._hub is not None  # nothing outside shows it
    return port.listener._hub.budget.used


async def until_in_flight(port: Port, count: int) -> None:
    async with asyncio.timeout(10):
        while in_flight(port) != count:
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("sent", "count"),
    [
        pytest.param(post(b"x" * 1000)[:-1], PARSER_BYTES + 999, id="body"),
        pytest.param(CHUNKED + b"3e8\r\n" + b"x" * 1000, PARSER_BYTES + 1000, id="chunked body"),
        pytest.param(post(b"x")[:50], PARSER_BYTES + 50, id="head"),
        pytest.param(ZIPPED[:-1], PARSER_BYTES + INFLATER_BYTES + 50_000, id="inflated body"),
        pytest.param(ZIPPED[:-60], PARSER_BYTES + INFLATER_BYTES, id="body that is not inflated yet"),
    ],
)
async def test_what_has_come_of_a_request_counts_until_the_request_is_complete_or_gone(sent: bytes, count: int) -> None:
    async with opamp_port() as port:
        async with raw_peer(port.url) as peer:
            peer.send(sent)
            await until_in_flight(port, count)
        await until_in_flight(port, 0)


async def test_a_complete_request_gives_its_room_back() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        whole = post(b"x" * 1000)
        for _ in range(3):
            peer.send(whole[:-1])
            await until_in_flight(port, PARSER_BYTES + 999)
            peer.send(whole[-1:])
            assert (await peer.response()).status == 200
            await until_in_flight(port, 0)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(post(b"x" * 2000)[:-1], id="body"),
        pytest.param(post(gzip.compress(b"x" * 2000), "Content-Encoding: gzip")[:-1], id="inflated body"),
        pytest.param(post(b"x", "X: " + "y" * 2000)[:-5], id="head"),
    ],
)
async def test_who_would_exceed_the_room_of_all_is_sent_away_and_the_others_are_not(sent: bytes) -> None:
    async with (
        opamp_port(max_bytes_in_flight=2 * PARSER_BYTES + 3000) as port,
        raw_peer(port.url) as slow,
        raw_peer(port.url) as late,
    ):
        slow.send(post(b"z" * 1501)[:-1])
        await until_in_flight(port, PARSER_BYTES + 1500)
        late.send(sent)
        assert await is_sent_away(late, b"too many messages are arriving at once") >= 30
        assert turned_away(port) == {"bytes": 1}
        await until_in_flight(port, PARSER_BYTES + 1500)
        slow.send(b"z")
        assert (await slow.response()).status == 200


async def test_requests_that_wait_for_their_turn_count() -> None:
    async with opamp_port(max_bytes_in_flight=100_000) as port, raw_peer(port.url, limit=64 << 20) as peer:
        peer.send(post(b"x" * 1000) * 60)
        for _ in range(60):
            assert (await peer.response()).status == 200
        await until_in_flight(port, 0)


# ── The server stops ────────────────────────────────────────────────────────────────────────────────────────────────


async def hello(peer: RawPeer) -> None:
    await peer.open()
    peer.send(frame(b"\x00hello"))
    assert await peer.message() == b"re:hello"


async def test_goodbyes_are_spread_and_those_who_wait_for_theirs_are_served() -> None:
    async with opamp_port() as port, contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(raw_peer(port.url)) for _ in range(40)]
        for peer in peers:
            await hello(peer)
        async with asyncio.TaskGroup() as tasks:
            stopping = tasks.create_task(port.listener.stop(60.0))
            for peer in peers:
                tasks.create_task(swallow_goodbye(peer))
            await port.handler.until(lambda: len(port.handler.open) < 40)
            assert port.handler.open
            waits = port.handler.open[-1]
            index = next(n for n, one in enumerate(peers) if addr(one) == waits.remote_addr)
            peers[index].send(frame(b"\x00are you there"))
            await port.handler.until(lambda: b"are you there" in port.handler.messages)
            assert not stopping.done()
        assert port.handler.open == []


def addr(peer: RawPeer) -> str:
    return "{}:{}".format(*peer.writer.get_extra_info("sockname"))


async def swallow_goodbye(peer: RawPeer) -> None:
    """Reads until the server's Close, answers it, and reads to the end."""
    first, payload = await peer.frame()
    while first != 0x88:
        first, payload = await peer.frame()
    assert payload[:2] == b"\x03\xe9"
    peer.send(frame(payload[:2], 0x88))
    await peer.end()


async def test_while_the_server_stops_new_connections_are_sent_away_for_a_short_time() -> None:
    async with opamp_port() as port, raw_peer(port.url) as stays, raw_peer(port.url) as poster:
        await hello(stays)
        poster.send(post(b"x"))
        assert (await poster.response()).status == 200
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(port.listener.stop(60.0))
            await asyncio.sleep(0)
            for sent in (upgrade(), post(b"x"), CHUNKED):
                async with raw_peer(port.url) as late:
                    late.send(sent)
                    assert 2 <= await is_sent_away(late, b"the server is stopping") <= 10
            assert turned_away(port) == {"draining": 3}
            await swallow_goodbye(stays)
            await poster.end()
        assert port.handler.open == []


@pytest.mark.parametrize("early", [False, True])
async def test_who_asks_twice_need_not_wait_for_agents_that_do_not_answer(early: bool) -> None:
    async with opamp_port(close_timeout=60) as port, raw_peer(port.url) as deaf:
        await hello(deaf)
        if early:
            port.listener.hurry()
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            tasks.create_task(port.listener.stop(600.0))
            if not early:
                assert (await deaf.frame())[0] == 0x88
                port.listener.hurry()
        assert port.handler.open == []
        await deaf.end_of_stream()
