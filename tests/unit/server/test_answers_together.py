"""What arrives together is answered together: one system call, in order."""

from __future__ import annotations

import asyncio

from tests.support.agenthandler import RecordingHandler
from tests.support.rawpeer import CLOSE, PING, frame, upgrade
from tests.support.wire import KeepingWire, a_connection, a_hub


class CountingWire(KeepingWire):
    """Counts the writes."""

    writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)


def a_link() -> CountingWire:
    """A WebSocket that was just opened, with nothing written since."""
    wire = a_connection(a_hub(asyncio.get_running_loop(), RecordingHandler()))
    wire.__class__ = CountingWire
    assert isinstance(wire, CountingWire)
    wire.protocol.data_received(upgrade())
    wire.sent, wire.writes = b"", 0
    return wire


def a_message(text: bytes) -> bytes:
    return frame(b"\x00" + text)


async def test_messages_that_arrive_together_are_answered_by_one_write_in_their_order() -> None:
    link = a_link()
    link.protocol.data_received(a_message(b"one") + a_message(b"two") + a_message(b"three"))
    assert link.writes == 1
    places = [link.sent.index(text) for text in (b"one", b"two", b"three")]
    assert places == sorted(places)


async def test_a_pong_and_a_close_come_behind_the_answers_before_them() -> None:
    link = a_link()
    link.protocol.data_received(
        a_message(b"one") + frame(b"ping", PING) + a_message(b"two") + frame(b"\x03\xe8", CLOSE)
    )
    places = [link.sent.index(text) for text in (b"one", b"\x8a\x04ping", b"two", b"\x88\x02\x03\xe8")]
    assert places == sorted(places)
    assert link.ended == "closed"


async def test_answers_before_a_broken_frame_are_sent_before_the_close() -> None:
    link = a_link()
    link.protocol.data_received(a_message(b"one") + frame(b"text", 0x81))
    assert link.sent.index(b"one") < link.sent.index(b"\x03\xeb")
