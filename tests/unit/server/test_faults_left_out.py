"""What the log leaves out of a flood of faults is said by a listener on which nothing more happens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from gitsync.control.meters import Meters
from gitsync.server.opamp import ListenerOptions, OpampListener
from tests.support.agenthandler import RecordingHandler
from tests.support.rawpeer import post
from tests.support.steppedloop import SteppedLoop

LINE = "http.404: 3 more like it since then"


@pytest.fixture
def loop() -> Iterator[SteppedLoop]:
    loop = SteppedLoop()
    yield loop
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def refused(loop: SteppedLoop, listener: OpampListener, number: int) -> None:
    """So many peers ask for what is not there."""

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(urlsplit(listener.url).hostname, listener.port)
        writer.write(post(b"", "Connection: close", path="/nothing"))
        assert b" 404 " in await reader.readline()
        await reader.read()
        writer.close()
        await writer.wait_closed()

    for _ in range(number):
        loop.run_until_complete(ask())


@pytest.fixture
def listener(loop: SteppedLoop) -> Iterator[OpampListener]:
    listener = OpampListener(ListenerOptions(), RecordingHandler(), Meters())
    loop.run_until_complete(listener.start())
    yield listener
    loop.run_until_complete(listener.stop(0.0))


def test_what_was_left_out_is_said_when_its_time_is_over(
    loop: SteppedLoop, listener: OpampListener, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        caplog.clear()
        refused(loop, listener, 13)
        loop.step(9.0)
        assert len(caplog.messages) == 10
        assert LINE not in caplog.messages
        loop.step(3.0)
        assert caplog.messages[10:] == [LINE]
    loop.step(60.0)
    assert caplog.messages[10:] == [LINE], "once"


def test_a_listener_that_stops_says_what_it_left_out(
    loop: SteppedLoop, listener: OpampListener, caplog: pytest.LogCaptureFixture
) -> None:
    refused(loop, listener, 13)
    assert len(caplog.messages) == 10
    loop.run_until_complete(listener.stop(0.0))
    assert caplog.messages[10:] == [LINE]
