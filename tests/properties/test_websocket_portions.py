"""However the bytes of a peer are cut into reads, the handler and the peer see the same.

Several short messages in one read take a short way; byte by byte, everything takes the long one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.control.ports import AgentLink
from tests.support.agenthandler import RecordingHandler
from tests.support.rawpeer import CLOSE, CONT, PING, PONG, TEXT, frame, upgrade
from tests.support.wire import KeepingWire, a_connection, a_hub

BEGINS, GOES_ON = 0x02, 0x00
LIMIT = 2_000


def reacting(link: AgentLink, data: bytes) -> Sequence[bytes]:
    """A handler that does what the message says."""
    match data[:1]:
        case b"Q":
            return ()
        case b"C":
            link.close(1001, "enough")
        case b"S":
            link.send((b"pushed ", b"p" * 20 * data[-1]))
        case b"L":
            return (b"long", b"l" * 3_000)
        case b"F":
            raise RuntimeError("a fault of ours")
    return (b"re:", data)


class FullWire(KeepingWire):
    """A transport that is full, until it is told that the peer reads, once so much was written."""

    full_at = 1 << 30

    def write(self, data: bytes) -> None:
        was_full = len(self.sent) >= self.full_at
        super().write(data)
        if len(self.sent) >= self.full_at and not was_full:
            self.protocol.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))


def outcome(stream: bytes, ends: Sequence[int], full_at: int) -> tuple[list[bytes], bytes, str]:
    """What the handler got, what was written, and how it ended, when reads end at these places."""

    async def fed() -> tuple[list[bytes], bytes, str]:
        handler = RecordingHandler(reacting)
        wire = a_connection(a_hub(asyncio.get_running_loop(), handler, max_message_bytes=LIMIT))
        wire.__class__ = FullWire
        assert isinstance(wire, FullWire)
        wire.protocol.data_received(upgrade())
        wire.sent, wire.full_at = b"", full_at
        start = 0
        for end in (*ends, len(stream)):
            if end > start and wire.ended != "closed":  # of a transport that closes, nothing comes any more
                wire.protocol.data_received(stream[start:end])
                start = end
        wire.full_at = 1 << 30
        wire.protocol.resume_writing()
        for _ in range(3):
            await asyncio.sleep(0)
        wire.protocol.connection_lost(None)
        return handler.messages, wire.sent, wire.ended

    return asyncio.run(fed())


kinds = st.sampled_from([b"", b"", b"", b"Q", b"S", b"L", b"C", b"F"])
masks = st.binary(min_size=4, max_size=4)
bodies = st.binary(max_size=40) | st.integers(110, 130).map(lambda size: b"x" * size) | st.just(b"y" * 700)
texts = st.builds(lambda kind, body: b"\x00" + kind + body, kinds, bodies)
short = st.builds(lambda text, mask: frame(text, mask=mask), texts, masks)
unusual = st.one_of(
    st.just(frame(b"")),
    st.binary(max_size=30).map(frame),
    st.binary(max_size=20).map(lambda data: frame(data, PING)),
    st.binary(max_size=20).map(lambda data: frame(data, PONG)),
    st.just(frame(b"\x03\xe8bye", CLOSE)),
    st.just(frame(b"text", TEXT)),
    st.just(frame(b"\x00unmasked", mask=None)),
    st.just(frame(b"\x00long form", form=16)),
    st.just(frame(b"z" * (LIMIT + 1))),
    st.tuples(texts, texts).map(lambda two: frame(two[0], BEGINS) + frame(b"ping", PING) + frame(two[1], CONT)),
    st.just(frame(b"\x00begins", BEGINS)),
    st.just(frame(b"goes on", GOES_ON)),
    st.binary(max_size=30),
)
streams = st.lists(st.one_of(short, short, short, unusual), max_size=12).map(b"".join)


@settings(deadline=None, max_examples=300)
@given(streams, st.lists(st.integers(0, 1_500), max_size=6).map(sorted))
def test_any_portions_give_the_same_messages_and_the_same_answers(stream: bytes, ends: list[int]) -> None:
    expected = outcome(stream, range(1, len(stream)), 1 << 30)
    assert outcome(stream, (), 1 << 30) == expected
    assert outcome(stream, [end for end in ends if end < len(stream)], 1 << 30) == expected


@settings(deadline=None, max_examples=150)
@given(st.lists(short, max_size=12).map(b"".join), st.integers(1, 400))
def test_a_peer_that_does_not_read_for_a_while_gets_every_answer_in_its_order(stream: bytes, full_at: int) -> None:
    messages, sent, ended = outcome(stream, (), full_at)
    assert (messages, sent, ended) == outcome(stream, (), 1 << 30)
