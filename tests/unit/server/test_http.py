from __future__ import annotations

import asyncio
import logging
import socket

import httpx
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from gitsync.errors import SettingsError
from gitsync.server import HttpServer
from gitsync.server.rest import SecurityHeaders


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def test_it_listens_on_a_free_port_and_stops_cleanly() -> None:
    server = HttpServer(hello, "127.0.0.1", 0)
    await server.start()
    assert server.address[1] != 0
    async with httpx.AsyncClient() as client:
        assert (await client.get(server.url)).text == "hello"
    await server.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*server.address)


async def test_it_says_nothing_of_its_software_and_the_date_is_right() -> None:
    server = HttpServer(SecurityHeaders(hello), "127.0.0.1", 0)
    await server.start()
    async with httpx.AsyncClient() as client:
        headers = (await client.get(server.url)).headers
    await server.stop()
    assert "server" not in headers
    assert len(headers.get_list("date")) == 1


async def test_it_serves_ipv6_too() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    server = HttpServer(hello, "::1", 0)
    try:
        await server.start()
    except SettingsError:
        pytest.skip("no IPv6 on this machine")
    assert server.url.startswith("http://[::1]:")
    async with httpx.AsyncClient() as client:
        assert (await client.get(server.url)).text == "hello"
    await server.stop()


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}") as caught:
            await HttpServer(hello, "127.0.0.1", port).start()
    assert caught.value.code == "http.listen"


async def test_a_call_under_way_ends_before_the_server_is_gone() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await hello(scope, receive, send)

    server = HttpServer(slow, "127.0.0.1", 0)
    await server.start()
    async with httpx.AsyncClient() as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.get(server.url), name="call")
        await begun.wait()
        stop = tasks.create_task(server.stop(), name="stop")
        go_on.set()
        assert (await call).text == "hello"
        await stop


async def test_stopping_what_never_started_does_nothing() -> None:
    await HttpServer(hello, "127.0.0.1", 0).stop()


@pytest.mark.parametrize("early", [False, True])
async def test_who_asks_twice_need_not_wait_for_a_call_that_does_not_end(
    early: bool, caplog: pytest.LogCaptureFixture
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    server = HttpServer(endless, "127.0.0.1", 0)
    await server.start()
    with caplog.at_level(logging.WARNING):
        async with httpx.AsyncClient() as client, asyncio.TaskGroup() as tasks:
            call = tasks.create_task(_refused(client, server.url), name="call")
            await begun.wait()
            if early:
                server.hurry()
            stop = tasks.create_task(server.stop(), name="stop")
            if not early:
                await asyncio.sleep(0)
                server.hurry()
            await stop
            await call
    await ended.wait()
    assert caplog.messages == [], "not even that the time to wait is over"


async def _refused(client: httpx.AsyncClient, url: str) -> None:
    with pytest.raises(httpx.TransportError):
        await client.get(url)


async def test_a_caller_that_hangs_up_is_no_fault_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        try:
            await Request(scope, receive).body()
        except ClientDisconnect:
            ended.set()
            raise

    server = HttpServer(reading, "127.0.0.1", 0)
    await server.start()
    with caplog.at_level(logging.WARNING):
        _, writer = await asyncio.open_connection(*server.address)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12")
        await begun.wait()
        writer.close()
        await writer.wait_closed()
        await ended.wait()
        await server.stop()
    assert caplog.messages == []
