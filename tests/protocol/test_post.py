"""The plain HTTP side of the agents' port over real sockets."""

from __future__ import annotations

import asyncio
import gzip
import logging
import zlib
from collections.abc import Sequence

import httpx
import pytest

from gitsync.control.ports import AgentLink
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.agentclient import http_agent
from tests.support.agenthandler import opamp_port
from tests.support.rawpeer import frame, post, raw_peer, upgrade

PROTOBUF = {"Content-Type": "application/x-protobuf"}


async def test_a_post_is_one_link_and_its_answer_has_exactly_the_media_type() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(b"message"))
        response = await peer.response()
        assert (response.status, response.body) == (200, b"re:message")
        assert response.headers["content-type"] == "application/x-protobuf"
        assert "content-encoding" not in response.headers
        assert port.handler.messages == [b"message"]
        link = port.handler.links[0]
        assert (link.transport, link.is_open) == ("http", False)
        assert link.remote_addr == "{}:{}".format(*peer.writer.get_extra_info("sockname"))
        link.send((b"ignored",))
        link.close(1000, "ignored")
        assert port.handler.open == []
        assert port.meters.open_links["http"] == 1


async def test_the_socket_of_an_agent_that_posts_counts_once_until_it_closes() -> None:
    async with opamp_port() as port:
        async with raw_peer(port.url) as peer:
            for _ in range(3):
                peer.send(post(b"x"))
                await peer.response()
            assert port.meters.open_links["http"] == 1
        async with asyncio.timeout(10):
            while port.meters.open_links["http"]:
                await asyncio.sleep(0)


@pytest.mark.parametrize(
    "content_type", ["application/x-protobuf; charset=utf-8", "Application/X-Protobuf", "application/x-protobuf ;v=1"]
)
async def test_parameters_and_case_of_the_media_type_do_not_matter(content_type: str) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(b"x", content_type=content_type))
        assert (await peer.response()).status == 200


@pytest.mark.parametrize("content_type", ["", "application/json", "application/x-protobuffer", "text/plain"])
async def test_another_media_type_is_415(content_type: str) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(b"x", content_type=content_type))
        response = await peer.response()
        assert response.status == 415
        assert b"application/x-protobuf" in response.body
        await peer.end()


@pytest.mark.parametrize("path", ["/v1/opamp/", "/", "/v1/opam", "/V1/opamp"])
async def test_another_path_is_404_and_names_the_right_one(path: str) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(b"x", path=path))
        response = await peer.response()
        assert response.status == 404
        assert b"/v1/opamp" in response.body


@pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"BREW"])
async def test_another_method_is_405(method: bytes) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(b"").replace(b"POST", method, 1))
        response = await peer.response()
        assert response.status == 405
        assert response.headers["allow"] == "GET, POST"


async def test_a_get_with_the_media_type_is_no_message() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(b"").replace(b"POST", b"GET", 1))
        assert (await peer.response()).status == 426
        assert port.handler.messages == []


async def test_the_endpoint_may_have_another_path() -> None:
    async with opamp_port(path="/agents") as port, raw_peer(port.url) as peer:
        assert port.url.endswith("/agents")
        peer.send(post(b"x", path="/agents?x=y"))
        assert (await peer.response()).status == 200


async def test_an_empty_body_reaches_the_handler_which_refuses_it_in_the_protocols_own_words() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(b""))
        assert (await peer.response()).status == 200
        assert port.handler.messages == [b""]


# ── Many requests ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_requests_that_arrive_together_are_answered_in_order() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(*(post(b"%d" % number) for number in range(100)))
        bodies = [(await peer.response()).body for _ in range(100)]
        assert bodies == [b"re:%d" % number for number in range(100)]


async def test_everything_may_arrive_one_byte_at_a_time() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        compressed = post(gzip.compress(b"zipped"), "Content-Encoding: gzip")
        chunked = (
            post(b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"") + b"3\r\nabc\r\n0\r\n\r\n"
        )
        await peer.send_singly(post(b"plain") + compressed + chunked)
        assert [(await peer.response()).body for _ in range(3)] == [b"re:plain", b"re:zipped", b"re:abc"]


async def test_a_websocket_may_follow_a_post_on_the_same_socket() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(b"x"), upgrade(), frame(b"\x00y"))
        assert (await peer.response()).status == 200
        assert (await peer.response()).status == 101
        assert await peer.message() == b"re:y"
        assert port.meters.open_links == {"http": 0, "websocket": 1}


@pytest.mark.parametrize("how", ["header", "version"])
async def test_a_peer_that_wants_no_keep_alive_is_closed_after_the_answer(how: str) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        request = post(b"x", "Connection: close") if how == "header" else post(b"x").replace(b"HTTP/1.1", b"HTTP/1.0")
        peer.send(request)
        assert (await peer.response()).status == 200
        await peer.end()


async def test_a_peer_that_waits_for_100_continue_is_told_to_go_on() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(b"body", "Expect: 100-continue")[:-4])
        assert (await peer.response()).status == 100
        peer.send(b"body")
        assert (await peer.response()).body == b"re:body"


async def test_a_peer_that_waits_for_100_continue_with_too_much_is_told_at_once() -> None:
    async with opamp_port(max_message_bytes=100) as port, raw_peer(port.url) as peer:
        peer.send(post(b"x" * 101, "Expect: 100-continue")[:-101])
        assert (await peer.response()).status == 413


# ── Compression ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["gzip", "GZIP", "x-gzip"])
async def test_a_gzip_body_is_inflated(name: str) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(gzip.compress(b"a" * 5000), f"Content-Encoding: {name}"))
        assert (await peer.response()).body == b"re:" + b"a" * 5000


async def test_identity_is_no_encoding_and_a_gzip_body_may_have_several_members() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(b"x", "Content-Encoding: identity"))
        peer.send(post(gzip.compress(b"one") + gzip.compress(b"two"), "Content-Encoding: gzip"))
        assert [(await peer.response()).body for _ in range(2)] == [b"re:x", b"re:onetwo"]


@pytest.mark.parametrize("name", ["deflate", "br", "gzip, gzip", "zstd"])
async def test_another_encoding_is_415(name: str) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(zlib.compress(b"x"), f"Content-Encoding: {name}"))
        assert (await peer.response()).status == 415
        assert port.handler.messages == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"not gzip at all", id="not gzip"),
        pytest.param(b"", id="empty"),
        pytest.param(gzip.compress(b"x" * 1000)[:-9], id="cut"),
        pytest.param(gzip.compress(b"x" * 1000)[:-8] + bytes(8), id="wrong checksum"),
        pytest.param(gzip.compress(b"x") + b"garbage", id="garbage after it"),
        pytest.param(gzip.compress(b"") * 17, id="many members"),
    ],
)
async def test_a_broken_gzip_body_is_400(body: bytes) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(body, "Content-Encoding: gzip"))
        response = await peer.response()
        assert response.status == 400
        assert b"gzip" in response.body
        assert port.handler.messages == []


@pytest.mark.parametrize(
    ("accept", "compressed"),
    [
        (["gzip"], True),
        (["gzip, deflate"], True),
        (["deflate, gzip;q=0.5"], True),
        (["*"], True),
        (["x-gzip"], True),
        (["deflate", "gzip"], True),
        (["GZip ; q=1"], True),
        (["gzip;q=0"], False),
        (["gzip;q=0.0, *"], False),
        (["*;q=0"], False),
        (["identity"], False),
        (["deflate, br"], False),
        (["gzip;q=lots"], False),
        ([""], False),
        ([], False),
    ],
)
async def test_the_answer_is_compressed_when_that_is_accepted(accept: list[str], compressed: bool) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(post(b"x" * 500, *(f"Accept-Encoding: {one}" for one in accept)))
        response = await peer.response()
        assert response.headers["content-type"] == "application/x-protobuf"
        assert (response.headers.get("content-encoding") == "gzip") is compressed
        body = gzip.decompress(response.body) if compressed else response.body
        assert body == b"re:" + b"x" * 500


# ── Sizes and faults ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_body_of_exactly_the_limit_is_taken_and_a_larger_one_is_413() -> None:
    async with opamp_port(max_message_bytes=1000) as port, raw_peer(port.url) as peer:
        peer.send(post(b"x" * 1000), post(gzip.compress(b"x" * 1000), "Content-Encoding: gzip"), post(b"x" * 1001))
        assert [(await peer.response()).status for _ in range(3)] == [200, 200, 413]


async def test_a_chunked_body_over_the_limit_is_413_before_its_end() -> None:
    async with opamp_port(max_message_bytes=1000) as port, raw_peer(port.url) as peer:
        peer.send(post(b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b""))
        peer.send(b"3e9\r\n" + b"x" * 1001)
        assert (await peer.response()).status == 413


async def test_a_peer_that_sends_on_after_a_refusal_still_gets_it() -> None:
    async with opamp_port(max_message_bytes=1000) as port, raw_peer(port.url) as peer:
        peer.send(post(b"x" * 3_000_000))
        response = await peer.response()
        assert response.status == 413
        assert response.headers["connection"] == "close"


async def test_an_answer_over_the_outgoing_limit_is_not_sent() -> None:
    async with opamp_port(max_outgoing_bytes=10) as port, raw_peer(port.url) as peer:
        peer.send(post(b"x" * 20))
        assert (await peer.response()).status == 500
        assert port.handler.open == []


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x00\x01\x02\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"POST /v1/opamp\r\n\r\n", 400),
        (b"POST /v1/opamp HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /v1/opamp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /v1/opamp HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: squash\r\n\r\n", 501),
        (b"POST /v1/opamp HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000, 431),
        (b"GET /" + b"x" * 20_000, 431),
        (post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"zz\r\n", 400),
    ],
)
async def test_what_is_not_http_is_refused(request_bytes: bytes, status: int) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(request_bytes)
        assert (await peer.response()).status == status
        await peer.end()
        assert port.errors == {f"http.{status}": 1}


async def test_a_peer_that_speaks_tls_to_a_plain_port_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        peer.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        await peer.end()
        assert port.errors == {"http.tls": 1}
    assert "speaks TLS" in caplog.text


async def test_an_exception_is_500_for_that_request_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def fragile(link: AgentLink, data: bytes) -> Sequence[bytes]:
        raise RuntimeError("broken here")

    async with opamp_port(fragile) as port, raw_peer(port.url) as peer:
        peer.send(post(b"x"))
        response = await peer.response()
        assert response.status == 500
        assert b"broken here" not in response.body
        assert port.handler.open == []
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


# ── A real client ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_httpx_is_served() -> None:
    async with opamp_port() as port, httpx.AsyncClient() as client:
        for number in range(3):
            response = await client.post(port.http_url, content=b"x" * number, headers=PROTOBUF)
            assert (response.status_code, response.content) == (200, b"re:" + b"x" * number)
        assert len({link.remote_addr for link in port.handler.links}) == 1


async def test_a_polling_agent_is_served() -> None:
    def answer(link: AgentLink, data: bytes) -> Sequence[bytes]:
        uid = pb.AgentToServer.FromString(data).instance_uid
        return (pb.ServerToAgent(instance_uid=uid, capabilities=1).SerializeToString(),)

    async with opamp_port(answer) as port, http_agent(port.url) as agent:
        await agent.hello()
        await agent.poll()
        assert [one.instance_uid for one in agent.received] == [agent.state.uid] * 2
        assert agent.state.server_capabilities == 1
