"""What arrives together is answered together: one system call, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import pytest

from gitsync.control.ports import AgentLink
from gitsync.server.listener import Hub
from gitsync.server.websocket import SLICE_MESSAGES, WebSocketLink
from tests.support.agenthandler import RecordingHandler, echo
from tests.support.rawpeer import CLOSE, PING, frame, upgrade
from tests.support.wire import KeepingWire, a_connection, a_hub

Reply = Callable[[AgentLink, bytes], Sequence[bytes]]


class CountingWire(KeepingWire):
    """Counts the writes, and knows whether it hands something up."""

    writes = 0
    is_read = True

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


def a_link(reply: Reply = echo, hub: Hub | None = None) -> CountingWire:
    """A WebSocket that was just opened, with nothing written since."""
    wire = a_connection(hub or a_hub(asyncio.get_running_loop(), RecordingHandler(reply)))
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


def words(count: int) -> bytes:
    """So many short messages, together longer than a short one."""
    return b"".join(a_message(b"word %03d, and forty more characters of text" % number) for number in range(count))


def handled(wire: CountingWire) -> list[bytes]:
    """The number of each message that the handler got."""
    link = cast("WebSocketLink", wire.protocol)
    return [one[5:8] for one in cast("RecordingHandler", link._hub.handler).messages]


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%03d" % number for number in range(first, last + 1)]


async def test_longer_ones_that_arrive_together_are_answered_by_one_write_too() -> None:
    link = a_link()
    link.protocol.data_received(words(5))
    assert link.writes == 1
    assert handled(link) == numbers(0, 4)
    assert link.sent.count(b"re:word") == 5
    assert link.protocol._reader is None, "nothing is kept for a link at rest"


async def test_what_a_handler_writes_before_its_answer_stays_before_it() -> None:
    def pushing(link: AgentLink, data: bytes) -> Sequence[bytes]:
        if data[5:8] == b"002":
            link.send((b"pushed", b"p" * 5_000), is_config=True)
        return (b"re:", data[5:8])

    link = a_link(pushing)
    link.protocol.data_received(words(5))
    places = [link.sent.index(text) for text in (b"re:000", b"re:001", b"pushed", b"re:002", b"re:004")]
    assert places == sorted(places)


async def test_a_message_whose_end_has_not_come_waits_behind_the_answers_to_those_before() -> None:
    link = a_link()
    whole = words(5)
    link.protocol.data_received(whole[:-7])
    assert (handled(link), link.writes) == (numbers(0, 3), 1)
    link.protocol.data_received(whole[-7:])
    assert (handled(link), link.writes) == (numbers(0, 4), 2)


async def test_after_a_handler_has_closed_the_rest_is_taken_without_answers() -> None:
    def closing(link: AgentLink, data: bytes) -> Sequence[bytes]:
        if data[5:8] == b"002":
            link.close(1001, "enough")
        return (b"re:", data[5:8])

    link = a_link(closing)
    link.protocol.data_received(words(5) + frame(b"\x03\xe9", CLOSE))
    assert handled(link) == numbers(0, 4)
    assert [link.sent.count(b"re:" + one) for one in numbers(0, 4)] == [1, 1, 0, 0, 0]
    assert link.sent.endswith(b"\x88\x08\x03\xe9enough")
    assert link.ended == "closed"


@pytest.mark.parametrize("room", [10_000, 100])
async def test_after_a_handler_has_paused_the_link_the_rest_waits_and_is_counted(room: int) -> None:
    def pausing(link: AgentLink, data: bytes) -> Sequence[bytes]:
        if data[5:8] == b"002":
            link.pause(0.0)
        return (b"re:", data[5:8])

    hub = a_hub(asyncio.get_running_loop(), RecordingHandler(pausing), max_bytes_in_flight=room)
    link = a_link(hub=hub)
    link.protocol.data_received(words(6))
    assert handled(link) == numbers(0, 2)
    assert [link.sent.count(b"re:" + one) for one in numbers(0, 2)] == [1, 1, 1]
    if room < 3 * len(words(1)):
        assert (hub.meters.turned_away["bytes"], hub.budget.used) == (1, 0)
        assert link.ended == "eof"
        return
    assert not link.is_read
    assert hub.budget.used == 3 * len(words(1))
    while not link.is_read:
        await asyncio.sleep(0)
    assert handled(link) == numbers(0, 5)
    assert hub.budget.used == 0


async def test_a_fault_in_the_middle_ends_this_link_after_the_answers_before_it_and_no_other() -> None:
    def failing(link: AgentLink, data: bytes) -> Sequence[bytes]:
        if data[5:8] == b"002":
            raise RuntimeError("a fault of ours")
        return (b"re:", data[5:8])

    hub = a_hub(asyncio.get_running_loop(), RecordingHandler(failing))
    link, other = a_link(hub=hub), a_link(hub=hub)
    link.protocol.data_received(words(5))
    assert handled(link) == numbers(0, 2)
    assert link.sent.index(b"re:000") < link.sent.index(b"re:001") < link.sent.index(b"\x03\xf3internal error")
    assert (hub.meters.protocol_errors["websocket.internal"], link.ended) == (1, "eof")
    link.protocol.data_received(words(5))
    assert handled(link) == numbers(0, 2), "nothing more of it is taken"
    other.protocol.data_received(words(2))
    assert other.sent.count(b"re:00") == 2
    assert other.ended == ""


async def test_more_than_a_slice_in_one_read_lets_others_have_their_turn() -> None:
    link = a_link()
    link.protocol.data_received(words(SLICE_MESSAGES + 5))
    assert len(handled(link)) == SLICE_MESSAGES
    assert not link.is_read
    assert link.writes == 1
    while not link.is_read:
        await asyncio.sleep(0)
    assert handled(link) == numbers(0, SLICE_MESSAGES + 4)
    assert link.writes == 2


async def test_a_slice_without_a_rest_goes_on_at_once() -> None:
    link = a_link()
    link.protocol.data_received(words(SLICE_MESSAGES))
    assert len(handled(link)) == SLICE_MESSAGES
    assert link.is_read
    assert link.protocol._reader is None
