"""Deadlines, peers that do not read, limits of connections, and how the agents' port stops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Sequence

import h11
import pytest
import websockets

from gitsync.control.meters import Meters
from gitsync.control.ports import AgentLink
from gitsync.errors import SettingsError
from gitsync.server.opamp import ListenerOptions, OpampListener
from gitsync.server.post import HttpConnection
from tests.support.agenthandler import Port, RecordingHandler, opamp_port
from tests.support.rawpeer import BINARY, CLOSE, CONT, PING, PONG, RawPeer, frame, post, raw_peer, upgrade

SOON = 0.05
UID_A, UID_B = b"\x0a\x10" + b"a" * 16, b"\x0a\x10" + b"b" * 16


# ── Deadlines ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_socket_that_says_nothing_is_closed() -> None:
    async with opamp_port(header_timeout=SOON) as port, raw_peer(port.url) as peer:
        await peer.end()


@pytest.mark.parametrize("sent", [b"P", post(b"x")[:-8], upgrade()[:-2]])
async def test_slow_headers_are_408(sent: bytes) -> None:
    async with opamp_port(header_timeout=SOON) as port, raw_peer(port.url) as peer:
        peer.send(sent)
        assert (await peer.response()).status == 408
        assert port.errors == {"http.408": 1}


async def test_a_trickle_does_not_move_the_deadline_of_the_headers() -> None:
    async with opamp_port(header_timeout=SOON) as port, raw_peer(port.url) as peer:
        peer.send(b"POST /v1/opamp HTTP/1.1\r\n")
        response = asyncio.ensure_future(peer.response())  # noqa: TID251 - runs beside the trickle
        while not response.done():
            peer.send(b"X: y\r\n")
            await asyncio.wait([response], timeout=SOON / 20)
        assert (await response).status == 408


async def test_a_slow_body_is_408() -> None:
    async with opamp_port(body_timeout=SOON) as port, raw_peer(port.url) as peer:
        peer.send(post(b"body")[:-1])
        assert (await peer.response()).status == 408


async def test_an_idle_connection_is_kept_for_a_while_and_closed_without_a_word() -> None:
    async with opamp_port(keep_alive=SOON) as port, raw_peer(port.url) as peer:
        peer.send(post(b"x"))
        assert (await peer.response()).status == 200
        await peer.end()
        assert port.errors == {}


async def test_the_headers_of_a_later_request_have_their_own_deadline() -> None:
    async with opamp_port(header_timeout=SOON) as port, raw_peer(port.url) as peer:
        peer.send(post(b"x"), b"PO")
        assert (await peer.response()).status == 200
        assert (await peer.response()).status == 408


async def test_a_websocket_without_a_first_message_is_closed() -> None:
    async with opamp_port(first_message_timeout=SOON) as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"", PING))
        assert (await peer.frame())[0] == PONG
        assert await peer.close_code() == 1008
        assert port.errors == {"websocket.no-message": 1}


@pytest.mark.parametrize("sent", [frame(b"\x00later")[:-1], frame(b"\x00", 0x02)])
async def test_a_message_that_does_not_end_is_refused(sent: bytes) -> None:
    async with opamp_port(body_timeout=SOON) as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00first"), sent)
        assert await peer.message() == b"re:first"
        assert await peer.close_code() == 1008
        assert port.errors == {"websocket.slow-message": 1}


async def test_silent_websockets_are_pinged_and_kept_while_they_answer() -> None:
    async with opamp_port(ping_interval=2 * SOON) as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00first"))
        await peer.message()
        for _ in range(4):
            assert await peer.frame() == (PING, b"")
            peer.send(frame(b"", PONG))
        peer.send(frame(b"\x00still here"))
        first, payload = await peer.frame()
        while first == PING:
            first, payload = await peer.frame()
        assert (first, payload) == (BINARY, b"\x00re:still here")


async def test_silent_websockets_that_do_not_answer_are_dropped() -> None:
    async with opamp_port(ping_interval=SOON) as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00first"))
        await peer.message()
        assert await peer.frame() == (PING, b"")
        await peer.end()
        await port.handler.until(lambda: not port.handler.open)
        assert port.errors == {"websocket.silent": 1}


async def test_messages_are_as_good_as_pongs() -> None:
    async with opamp_port(ping_interval=SOON) as port, raw_peer(port.url) as peer:
        await peer.open()
        loop = asyncio.get_running_loop()
        until = loop.time() + 4 * SOON
        while loop.time() < until:
            peer.send(frame(b"\x00beat"))
            first, _ = await peer.frame()
            assert first in (BINARY, PING)
        assert port.errors == {}


# ── Peers that do not read ──────────────────────────────────────────────────────────────────────────────────────────


async def stalled(port: Port, peer: RawPeer) -> AgentLink:
    """Opens a WebSocket whose peer stops reading, and fills what the kernel takes; the link then holds back."""
    await peer.open()
    peer.send(frame(b"\x00hello"))
    assert await peer.message() == b"re:hello"
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
    link = port.handler.open[0]
    for _ in range(100):
        link.send((b"fill", b"x" * 1_000_000))
        if link._paused_since:  # type: ignore[attr-defined]  # nothing outside shows it
            return link
    raise AssertionError("the kernel takes everything")


async def drained(peer: RawPeer) -> list[bytes]:
    """Reads again: all messages after the filling, until the one that says `end`."""
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a transport that reads
    messages: list[bytes] = []
    while not messages or messages[-1] != b"end":
        message = await peer.message()
        if not message.startswith(b"fill"):
            messages.append(message)
    return messages


async def test_of_configurations_for_a_peer_that_does_not_read_only_the_newest_of_each_agent_is_sent() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        link = await stalled(port, peer)
        for number in range(50):
            link.send((UID_A, b"a%d" % number), is_config=True)
            link.send((UID_B[:5], UID_B[5:] + b"b%d" % number), is_config=True)
        link.send((b"small",))
        link.send((b"end-of-small",))
        await port.handler.until(lambda: True)
        peer.send(frame(b"\x00end"))
        port.handler.reply = lambda link, data: (data,)
        assert await drained(peer) == [b"small", b"end-of-small", UID_A + b"a49", UID_B + b"b49", b"end"]
        assert port.errors == {}


async def test_messages_of_a_peer_that_does_not_read_wait_until_it_does() -> None:
    async with opamp_port(lambda link, data: (data,)) as port, raw_peer(port.url) as peer:
        port.handler.reply = lambda link, data: (b"re:" + data,)
        await stalled(port, peer)
        port.handler.reply = lambda link, data: (data,)
        for number in range(300):
            peer.send(frame(b"\x00%d" % number))
        peer.send(frame(b"\x00end"))
        assert await drained(peer) == [*(b"%d" % number for number in range(300)), b"end"]


async def test_too_many_other_messages_for_a_peer_that_does_not_read_end_the_connection() -> None:
    async with opamp_port(close_timeout=SOON) as port, raw_peer(port.url) as peer:
        link = await stalled(port, peer)
        for _ in range(16):
            link.send((b"small",))
        assert link.is_open
        link.send((b"one too many",))
        assert not link.is_open
        assert port.errors == {"websocket.overflow": 1}
        await port.handler.until(lambda: not port.handler.open)


async def test_a_peer_that_does_not_read_for_too_long_is_dropped() -> None:
    async with opamp_port(write_timeout=SOON) as port, raw_peer(port.url) as peer:
        await stalled(port, peer)
        await port.handler.until(lambda: not port.handler.open)
        assert port.errors == {"websocket.not-reading": 1}


async def test_pings_of_a_peer_that_does_not_read_are_not_answered_without_end() -> None:
    async with opamp_port(write_timeout=1) as port, raw_peer(port.url) as peer:
        link = await stalled(port, peer)
        before = link._wire.get_write_buffer_size()  # type: ignore[attr-defined]  # nothing outside shows it
        for _ in range(20):
            peer.writer.write(frame(b"p" * 125, PING) * 1000)
            await asyncio.sleep(0)
        await port.handler.until(lambda: not port.handler.open)
        assert before > 0
        assert port.errors == {"websocket.not-reading": 1}


async def test_a_poster_that_does_not_read_its_answers_is_dropped() -> None:
    def large(link: AgentLink, data: bytes) -> Sequence[bytes]:
        return (b"x" * 1_000_000,)

    async with opamp_port(large, write_timeout=SOON) as port, raw_peer(port.url, limit=1000) as peer:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
        peer.send(post(b"x") * 200)
        async with asyncio.timeout(10):
            while not port.errors:
                await asyncio.sleep(0.01)
        assert port.errors == {"http.not-reading": 1}
        assert len(port.handler.messages) < 100


# ── Limits and the end ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_connections_over_the_limit_are_told_to_come_back_later() -> None:
    async with opamp_port(max_connections=2) as port, raw_peer(port.url) as one, raw_peer(port.url) as two:
        await one.open()
        await two.open()
        async with raw_peer(port.url) as three, raw_peer(port.url) as four:
            three.send(upgrade())
            four.send(post(b"x"))
            for refused in (three, four):
                response = await refused.response()
                assert response.status == 503
                assert 30 <= int(response.headers["retry-after"]) < 60
        one.writer.transport.abort()
        await port.handler.until(lambda: len(port.handler.open) == 1)
        async with asyncio.timeout(10), raw_peer(port.url) as five:
            await five.open()


async def test_far_too_many_connections_are_dropped() -> None:
    async with opamp_port(max_connections=1) as port:
        peers = [raw_peer(port.url) for _ in range(19)]
        opened = [await peer.__aenter__() for peer in peers]
        await opened[-1].end()
        for peer in peers:
            await peer.__aexit__(None, None, None)


async def test_stopping_says_goodbye_waits_for_peers_and_leaves_nothing() -> None:
    tasks = asyncio.all_tasks()
    async with opamp_port(drain=5.0) as port, websockets.connect(port.url) as socket, raw_peer(port.url) as idle:
        await socket.send(b"\x00hello")
        await socket.recv()
        idle.send(post(b"x"))
        await idle.response()
        await port.listener.stop(5.0)
        await idle.end()
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1001
        assert port.handler.open == []
        assert port.meters.open_links == {"websocket": 0, "http": 0}
        with pytest.raises(OSError, match=r"(?i)connect"):
            await asyncio.open_connection("127.0.0.1", port.listener.port)
        await port.listener.stop(5.0)
    assert asyncio.all_tasks() == tasks


async def test_stopping_does_not_wait_for_ever() -> None:
    async with opamp_port() as port, raw_peer(port.url) as websocket, raw_peer(port.url) as half:
        await websocket.open()
        half.send(post(b"body")[:-1])
        await port.handler.until(lambda: port.handler.open)
        await port.listener.stop(SOON)
        assert port.handler.open == []
        assert await websocket.frame() == (CLOSE, b"\x03\xe9the server is stopping")


async def test_a_request_that_is_under_way_is_answered_before_the_server_stops() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(b"x"))
        await peer.response()
        peer.send(post(b"body", "Expect: 100-continue")[:-4])
        assert (await peer.response()).status == 100
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(port.listener.stop(5.0))
            await asyncio.sleep(0)
            peer.send(b"body")
            response = await peer.response()
        assert (response.status, response.body) == (200, b"re:body")
        assert response.headers["connection"] == "close"
        await peer.end()


async def test_many_connections_say_goodbye() -> None:
    async with opamp_port() as port:
        peers = [raw_peer(port.url) for _ in range(60)]
        opened = [await peer.__aenter__() for peer in peers]
        for peer in opened:
            await peer.open()
        await port.handler.until(lambda: len(port.handler.open) == 60)
        for peer in opened:
            peer.send(frame(b"\x03\xe9", CLOSE))
        await port.listener.stop(5.0)
        assert port.handler.open == []
        for peer in peers:
            await peer.__aexit__(None, None, None)


@pytest.mark.parametrize(
    "request_bytes",
    [upgrade(), upgrade().replace(b"Connection: Upgrade", b"Connection: keep-alive, Upgrade")],
    ids=["ordinary", "by h11"],
)
async def test_nothing_of_the_http_side_is_kept_after_the_upgrade(request_bytes: bytes) -> None:
    async with opamp_port() as port, contextlib.AsyncExitStack() as stack:
        for _ in range(20):
            peer = await stack.enter_async_context(raw_peer(port.url))
            peer.send(request_bytes, frame(b"\x00hello"))
            assert (await peer.response()).status == 101
            assert await peer.message() == b"re:hello"
        gc.collect()
        kept = [one for one in gc.get_objects() if isinstance(one, h11.Connection | h11.Request | HttpConnection)]
        assert kept == []


async def test_an_idle_http_connection_keeps_no_parser() -> None:
    gc.collect()
    async with opamp_port() as port, raw_peer(port.url) as peer:
        for sent in (post(b"x"), post(b"x")[:-1], b"x"):
            peer.send(sent)
            await asyncio.sleep(0)
        for _ in range(2):
            assert (await peer.response()).status == 200
        assert [one for one in gc.get_objects() if isinstance(one, h11.Connection)] == []


def _hub_of(connection: object) -> object:
    return getattr(connection, "_hub", None)


async def test_nothing_holds_on_to_closed_connections() -> None:
    async with opamp_port() as port:
        for _ in range(3):
            async with raw_peer(port.url) as peer:
                await peer.open()
                peer.send(frame(b"\x00", 0x02), frame(b"x", CONT))
                await peer.message()
            await port.handler.until(lambda: not port.handler.open)
        port.handler.links.clear()
        gc.collect()
        hub = port.listener._hub  # nothing outside shows it
        kept = [one for one in gc.get_objects() if isinstance(one, asyncio.Protocol) and _hub_of(one) is hub]
        assert kept == []


async def test_an_address_that_is_taken_is_a_settings_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listener = OpampListener(ListenerOptions(port=port), RecordingHandler(), Meters())
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}") as caught:
            await listener.start()
        assert caught.value.code == "agents.listen"
        await listener.stop()


async def test_all_addresses_and_ipv6_work() -> None:
    async with opamp_port(host="") as port, raw_peer(port.url) as peer:
        await peer.open()
    if socket.has_ipv6:
        async with opamp_port(host="::1") as port, raw_peer(port.url) as peer:
            assert port.url.startswith("ws://[::1]:")
            await peer.open()
            await port.handler.until(lambda: port.handler.links)
            assert port.handler.links[0].remote_addr.startswith("[::1]:")
