"""The WebSocket side of the agents' port over real sockets: framing, sizes, closing."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Sequence

import pytest
import websockets

from gitsync.control.ports import AgentLink
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.agentclient import client_state, ws_agent
from tests.support.agenthandler import opamp_port
from tests.support.rawpeer import ACCEPT, BINARY, CLOSE, CONT, PING, PONG, TEXT, frame, raw_peer, upgrade

CONT_MORE, BINARY_MORE, TEXT_MORE = 0x00, 0x02, 0x01


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    return frame(b"" if code is None else struct.pack("!H", code) + reason, CLOSE)


# ── Opening ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_opening_is_answered_with_the_key_of_rfc_6455() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        response = await peer.open()
        assert response.headers["sec-websocket-accept"] == ACCEPT
        await port.handler.until(lambda: port.handler.open)
        assert port.handler.links[0].transport == "websocket"
        assert port.meters.open_links["websocket"] == 1


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (upgrade("/v1/opamp/"), 404),
        (upgrade("/"), 404),
        (upgrade(without=["Upgrade"]), 426),
        (upgrade(without=["Connection"]), 426),
        (upgrade(without=["Sec-WebSocket-Key"]), 400),
        (upgrade(without=["Sec-WebSocket-Version"]), 400),
        (upgrade(without=["Host"]), 400),
        (upgrade("/v1/opamp", "Sec-WebSocket-Key: second"), 400),
        (upgrade().replace(b"Version: 13", b"Version: 8"), 400),
        (upgrade().replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
        (upgrade().replace(b"GET", b"PUT"), 405),
        (upgrade().replace(b"GET", b"HEAD"), 405),
        (upgrade("/v1/opamp", "Origin: http://evil.example"), 403),
        (upgrade("/v1/opamp", "Content-Length: 3") + b"abc", 400),
        (upgrade("/v1/opamp", "X-Odd: a\x10b"), 400),
    ],
)
async def test_a_wrong_opening_is_refused_in_words(request_bytes: bytes, status: int) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(request_bytes)
        if b"HEAD" in request_bytes:
            head = (await peer.reader.readuntil(b"\r\n\r\n")).decode()
            assert head.startswith("HTTP/1.1 405 ")
        else:
            response = await peer.response()
            assert response.status == status
            assert response.headers["content-type"] == "text/plain; charset=utf-8"
            assert len(response.body) > 10
            assert response.headers.get("connection") == "close"
        await peer.end()
        assert port.handler.links == []
        assert port.errors == {f"http.{status}": 1}


async def test_the_same_origin_and_a_query_are_welcome() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(upgrade("/v1/opamp?tenant=a", "Origin: http://server"))
        assert (await peer.response()).status == 101


# ── Messages ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_message_goes_to_the_handler_without_its_header_and_the_answer_is_one_frame() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00message"))
        assert await peer.frame() == (BINARY, b"\x00re:message")
        assert port.handler.messages == [b"message"]


@pytest.mark.parametrize("header", [b"\x00", b"\x80\x00", b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"])
async def test_a_zero_header_may_be_longer_than_needed(header: bytes) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(header + b"\x0a\x10data"))
        assert await peer.message() == b"re:\x0a\x10data"


async def test_a_message_of_an_old_agent_without_header_is_taken() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x0a\x10legacy"))
        assert await peer.message() == b"re:\x0a\x10legacy"


async def test_a_header_alone_is_an_empty_message() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00"))
        assert await peer.message() == b"re:"
        assert port.handler.messages == [b""]


@pytest.mark.parametrize("payload", [b"", b"\x01data", b"\x80\x80", b"\xff" * 12])
async def test_a_wrong_header_is_answered_bad_request_and_the_connection_stays(payload: bytes) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(payload), frame(b"\x00next"))
        answer = pb.ServerToAgent.FromString(await peer.message())
        assert answer.error_response.type == pb.ServerErrorResponseType_BadRequest
        assert answer.error_response.error_message
        assert await peer.message() == b"re:next"
        assert port.errors == {"opamp.bad-request": 1}


async def test_an_empty_answer_of_the_handler_sends_nothing() -> None:
    def quiet(link: AgentLink, data: bytes) -> Sequence[bytes]:
        return (data,) if data == b"speak" else ()

    async with opamp_port(quiet) as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00hush"), frame(b"\x00speak"))
        assert await peer.message() == b"speak"


@pytest.mark.parametrize("length", [0, 1, 121, 122, 123, 65_531, 65_532, 65_533, 70_000])
async def test_every_form_of_length_works_both_ways(length: int) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00" + b"x" * length))
        assert await peer.message() == b"re:" + b"x" * length


async def test_messages_that_arrive_together_are_answered_in_order() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(upgrade(), *(frame(b"\x00%d" % number) for number in range(1000)))
        assert (await peer.response()).status == 101
        assert [await peer.message() for _ in range(1000)] == [b"re:%d" % number for number in range(1000)]


async def test_everything_may_arrive_one_byte_at_a_time() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        stream = frame(b"\x00one") + frame(b"x" * 5, PING) + frame(b"\x00tw", BINARY_MORE) + frame(b"o", CONT)
        await peer.send_singly(upgrade() + stream + frame(b"\x00" + b"3" * 130) + close(1000))
        assert (await peer.response()).status == 101
        assert await peer.message() == b"re:one"
        assert await peer.frame() == (PONG, b"xxxxx")
        assert await peer.message() == b"re:two"
        assert await peer.message() == b"re:" + b"3" * 130
        assert await peer.close_code() == 1000


async def test_a_push_of_the_server_is_one_frame_made_of_its_parts() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        await port.handler.until(lambda: port.handler.open)
        link = port.handler.open[0]
        assert link.is_open
        link.send((b"head", b"", b"tail"))
        link.send((b"\x0a\x10" + b"u" * 16, b"c" * 70_000), is_config=True)
        assert await peer.message() == b"headtail"
        assert await peer.message() == b"\x0a\x10" + b"u" * 16 + b"c" * 70_000


async def test_a_message_over_the_outgoing_limit_is_not_sent_and_counted() -> None:
    async with opamp_port(max_outgoing_bytes=10) as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00123456789"), frame(b"\x00123456"))
        assert await peer.message() == b"re:123456"
        assert port.errors == {"websocket.answer-too-big": 1}


# ── Fragments and control frames ────────────────────────────────────────────────────────────────────────────────────


async def test_fragments_are_one_message_and_control_frames_may_come_between() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00a", BINARY_MORE), frame(b"are you there", PING), frame(b"b", CONT_MORE))
        peer.send(frame(b"", CONT_MORE), frame(b"", PONG), frame(b"c", CONT))
        assert await peer.frame() == (PONG, b"are you there")
        assert await peer.message() == b"re:abc"
        peer.send(frame(b"\x00whole"), frame(b"\x00d", BINARY_MORE), frame(b"e", CONT))
        assert await peer.message() == b"re:whole"
        assert await peer.message() == b"re:de"


async def test_a_ping_of_the_largest_size_is_answered() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"p" * 125, PING))
        assert await peer.frame() == (PONG, b"p" * 125)


@pytest.mark.parametrize(
    ("sent", "code", "error"),
    [
        pytest.param(frame(b"\x00x", mask=None), 1002, "websocket.frame", id="not masked"),
        pytest.param(frame(b"x" * 200, mask=None), 1002, "websocket.frame", id="not masked, long"),
        pytest.param(frame(b"", PING, mask=None), 1002, "websocket.frame", id="ping not masked"),
        pytest.param(frame(b"\x00x", BINARY | 0x40), 1002, "websocket.frame", id="RSV1"),
        pytest.param(frame(b"\x00x", BINARY | 0x20), 1002, "websocket.frame", id="RSV2"),
        pytest.param(frame(b"\x00x", BINARY | 0x10), 1002, "websocket.frame", id="RSV3"),
        pytest.param(frame(b"\x00x", 0x83), 1002, "websocket.frame", id="reserved data opcode"),
        pytest.param(frame(b"\x00x", 0x8B), 1002, "websocket.frame", id="reserved control opcode"),
        pytest.param(frame(b"x" * 126, PING), 1002, "websocket.frame", id="long ping"),
        pytest.param(frame(b"x", 0x09), 1002, "websocket.frame", id="fragmented ping"),
        pytest.param(frame(b"\x00x", form=16), 1002, "websocket.frame", id="16 bits for 2"),
        pytest.param(frame(b"\x00x", form=64), 1002, "websocket.frame", id="64 bits for 2"),
        pytest.param(frame(b"x" * 300, form=64), 1002, "websocket.frame", id="64 bits for 300"),
        pytest.param(b"\x82\xff\x80" + bytes(11), 1002, "websocket.frame", id="highest bit of the length"),
        pytest.param(frame(b"x", CONT), 1002, "websocket.frame", id="continuation of nothing"),
        pytest.param(
            frame(b"\x00", BINARY_MORE) + frame(b"\x00x"), 1002, "websocket.frame", id="message inside another"
        ),
        pytest.param(
            frame(b"\x00", BINARY_MORE) + frame(b"x", BINARY_MORE), 1002, "websocket.frame", id="two beginnings"
        ),
        pytest.param(frame(b"\x00", BINARY_MORE) + close(1000), 1002, "websocket.frame", id="close inside a message"),
        pytest.param(frame(b"hello", TEXT), 1003, "websocket.text", id="text"),
        pytest.param(frame(b"hel", TEXT_MORE), 1003, "websocket.text", id="fragment of a text"),
        pytest.param(frame(b"x", CLOSE), 1002, "websocket.frame", id="close of one byte"),
        pytest.param(close(1005), 1002, "websocket.frame", id="close with a code that is never sent"),
        pytest.param(close(999), 1002, "websocket.frame", id="close with an unknown code"),
        pytest.param(close(1000, b"\xff"), 1007, "websocket.frame", id="close with a broken reason"),
    ],
)
async def test_what_rfc_6455_forbids_ends_the_connection(sent: bytes, code: int, error: str) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00before"), sent, frame(b"\x00after"))
        assert await peer.message() == b"re:before"
        assert await peer.close_code() == code
        peer.writer.close()
        await port.handler.until(lambda: not port.handler.open)
        assert port.handler.messages == [b"before"]
        assert port.errors == {error: 1}
        assert port.meters.open_links["websocket"] == 0


async def test_a_forbidden_head_is_refused_before_the_rest_of_the_frame_comes() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(b"\x82\x7e")
        assert await peer.close_code() == 1002


# ── Sizes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_message_of_exactly_the_limit_is_taken() -> None:
    async with opamp_port(max_message_bytes=1000) as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00" + b"x" * 999))
        assert await peer.message() == b"re:" + b"x" * 999


async def test_a_larger_message_is_refused_by_its_head_alone() -> None:
    async with opamp_port(max_message_bytes=1000) as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00" + b"x" * 1000)[:8])
        assert await peer.close_code() == 1009
        assert port.errors == {"websocket.too-big": 1}


async def test_fragments_count_together() -> None:
    async with opamp_port(max_message_bytes=1000) as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00" + b"x" * 599, BINARY_MORE), frame(b"x" * 400, CONT))
        assert await peer.message() == b"re:" + b"x" * 999
        peer.send(frame(b"\x00" + b"x" * 599, BINARY_MORE), frame(b"x" * 401, CONT))
        assert await peer.close_code() == 1009
        assert port.errors == {"websocket.too-big": 1}


async def test_a_peer_that_goes_on_sending_after_its_fault_still_gets_the_close_frame() -> None:
    async with opamp_port(max_message_bytes=1000) as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"x" * 2_000_000))
        first, payload = await peer.frame()
        assert (first, payload[:2]) == (CLOSE, struct.pack("!H", 1009))


# ── Closing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("sent", "echo"), [(close(1000, b"bye"), b"\x03\xe8bye"), (close(), b""), (close(4001), None)])
async def test_a_close_of_the_peer_is_answered_and_the_server_closes_the_socket(
    sent: bytes, echo: bytes | None
) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(sent)
        first, payload = await peer.frame()
        assert first == CLOSE
        assert payload == (struct.pack("!H", 4001) if echo is None else echo)
        await peer.end()
        await port.handler.until(lambda: not port.handler.open)
        assert port.errors == {}


async def test_the_server_closes_with_code_and_reason_and_waits_for_the_answer() -> None:
    async with opamp_port() as port, websockets.connect(port.url) as socket:
        await port.handler.until(lambda: port.handler.open)
        link = port.handler.open[0]
        link.close(1001, "é" * 200)
        assert not link.is_open
        link.send((b"late",))
        link.close(1000, "again")
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1001, "é" * 61)
        await port.handler.until(lambda: not port.handler.open)


async def test_messages_on_their_way_when_the_server_closes_are_still_heard() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        await port.handler.until(lambda: port.handler.open)
        port.handler.open[0].close(1001, "")
        peer.send(frame(b"\x00goodbye"), frame(b"", PING), close(1001))
        assert await peer.close_code() == 1001
        await port.handler.until(lambda: not port.handler.open)
        assert port.handler.messages == [b"goodbye"]


async def test_a_peer_that_does_not_answer_the_close_is_dropped_after_a_while() -> None:
    async with opamp_port(close_timeout=0.05) as port, raw_peer(port.url) as peer:
        await peer.open()
        await port.handler.until(lambda: port.handler.open)
        port.handler.open[0].close(1001, "")
        assert await peer.close_code() == 1001
        await port.handler.until(lambda: not port.handler.open)


@pytest.mark.parametrize("abort", [True, False])
async def test_a_socket_that_ends_without_close_is_told_to_the_handler(abort: bool) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00half a frame")[:9])
        await port.handler.until(lambda: port.handler.open)
        if abort:
            peer.writer.transport.abort()
        else:
            peer.writer.write_eof()
        await port.handler.until(lambda: not port.handler.open)
        assert port.meters.open_links["websocket"] == 0


# ── Faults of ours ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_exception_closes_that_connection_only_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def fragile(link: AgentLink, data: bytes) -> Sequence[bytes]:
        if data == b"boom":
            raise RuntimeError("broken here")
        return (data,)

    async with opamp_port(fragile) as port, raw_peer(port.url) as one, raw_peer(port.url) as other:
        await one.open()
        await other.open()
        one.send(frame(b"\x00boom"), frame(b"\x00boom"))
        assert await one.close_code() == 1011
        other.send(frame(b"\x00fine"))
        assert await other.message() == b"fine"
        logged = [record for record in caplog.records if record.exc_info]
        assert len(logged) == 1
        assert "127.0.0.1:" in logged[0].getMessage()


async def test_no_log_line_holds_what_an_agent_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with opamp_port(max_message_bytes=100) as port, raw_peer(port.url) as peer, raw_peer(port.url) as other:
        await peer.open("Authorization: Bearer sesame-header")
        peer.send(frame(b"\x00sesame", BINARY_MORE), frame(b"sesame", PING), frame(b"sesame", CONT))
        assert await peer.frame() == (PONG, b"sesame")
        await peer.message()
        peer.send(close(1000, b"sesame"))
        await peer.end_of_stream()
        other.send(upgrade("/v1/opamp", "Connection: sesame\r\nUpgrade: sesame"))
        await other.response()
    assert "sesame" not in caplog.text


# ── A real client ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_client_of_the_websockets_package_is_served() -> None:
    async with opamp_port() as port, websockets.connect(port.url, compression=None) as socket:
        await socket.send(b"\x00" + b"x" * 100_000)
        assert await socket.recv() == b"\x00re:" + b"x" * 100_000
        await socket.send([b"\x00frag", b"ment", b"ed"])
        assert await socket.recv() == b"\x00re:fragmented"
        pong = await socket.ping()
        async with asyncio.timeout(10):
            await pong


async def test_agents_of_one_link_are_told_apart_by_their_messages() -> None:
    def answer(link: AgentLink, data: bytes) -> Sequence[bytes]:
        uid = pb.AgentToServer.FromString(data).instance_uid
        return (pb.ServerToAgent(instance_uid=uid).SerializeToString(),)

    other = client_state()
    async with opamp_port(answer) as port, ws_agent(port.url) as agent:
        await agent.hello()
        await agent.say(other.first_message())
        await agent.hear()
        assert [one.instance_uid for one in agent.received] == [agent.state.uid, other.uid]
        assert len(port.handler.links) == 1
