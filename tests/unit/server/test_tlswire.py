"""What goes through TLS in pieces arrives as it was, whatever the protocol above does in the middle of it."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.server.tlswire import PIECE_BYTES
from tests.support.memorytls import Above, TlsPair

LENGTHS = (0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 16_384, 16_385, 100_000)
CONTENT = Random(1).randbytes(100_000)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def nothing(above: Above) -> None:
    pass


@pytest.mark.parametrize("length", LENGTHS)
async def test_what_is_written_arrives_whole_and_leaves_in_one_write(authority: trustme.CA, length: int) -> None:
    pair = TlsPair(authority, nothing)
    pair.above.wire.write(CONTENT[:length])
    assert pair.below.writes <= 1
    assert pair.peer_read() == CONTENT[:length]
    pair.above.wire.writelines([CONTENT[: length // 2], b"", CONTENT[length // 2 : length]])
    assert pair.peer_read() == CONTENT[:length]
    pair.above.wire.write(b"last")
    assert pair.peer_read() == b"last"


@pytest.mark.parametrize("length", LENGTHS)
async def test_what_the_peer_sends_arrives_whole(authority: trustme.CA, length: int) -> None:
    pair = TlsPair(authority, nothing)
    raw = pair.encrypted(CONTENT[:length])
    if raw:
        pair.feed(raw)
    pair.feed(pair.encrypted(b"last"))
    assert pair.above.received == CONTENT[:length] + b"last"
    assert pair.hub.budget.used == 0


def test_any_messages_in_any_portions_arrive_in_their_order(authority: trustme.CA) -> None:
    messages = st.lists(st.sampled_from(LENGTHS) | st.integers(0, 3 * PIECE_BYTES), max_size=5)
    portions = st.lists(st.integers(1, 40_000), min_size=1, max_size=8)

    @settings(deadline=None, max_examples=30)
    @given(messages, portions)
    def arrive(lengths: list[int], sizes: list[int]) -> None:
        asyncio.run(exchanged(lengths, sizes))

    async def exchanged(lengths: list[int], sizes: list[int]) -> None:
        pair = TlsPair(authority, nothing)
        expected = b"".join(CONTENT[:length] for length in lengths)
        raw, turn = b"".join(pair.encrypted(CONTENT[:length]) for length in lengths), 0
        while raw:
            pair.feed(raw[: sizes[turn % len(sizes)]])
            raw, turn = raw[sizes[turn % len(sizes)] :], turn + 1
        assert pair.above.received == expected
        for length in lengths:
            pair.above.wire.write(CONTENT[:length])
        assert pair.peer_read() == expected

    arrive()


async def test_answers_to_what_comes_in_pieces_are_whole(authority: trustme.CA) -> None:
    pair = TlsPair(authority, lambda above: above.wire.write(above.chunks[-1]))
    pair.feed(pair.encrypted(CONTENT))
    assert pair.peer_read() == CONTENT


async def test_what_comes_after_a_pause_waits_is_counted_and_arrives_later(authority: trustme.CA) -> None:
    pair = TlsPair(authority, lambda above: above.wire.pause_reading())
    raw = pair.encrypted(CONTENT)
    pair.feed(raw)
    first = pair.above.received
    assert 0 < len(first) < len(CONTENT) / 2
    assert len(CONTENT) - 2 * 16_384 < pair.hub.budget.used < len(raw)
    while len(pair.above.received) < len(CONTENT):  # it pauses again and again
        before = len(pair.above.chunks)
        pair.above.wire.resume_reading()
        await asyncio.sleep(0)
        assert len(pair.above.chunks) == before + 1
    assert pair.above.received == CONTENT
    assert pair.hub.budget.used == 0


async def test_without_room_for_what_waits_the_peer_is_turned_away_once(authority: trustme.CA) -> None:
    pair = TlsPair(authority, lambda above: above.wire.pause_reading(), max_bytes_in_flight=20_000)
    pair.feed(pair.encrypted(CONTENT))
    assert pair.below.ended == "aborted"
    assert pair.hub.meters.turned_away["bytes"] == 1
    pair.below.protocol.connection_lost(None)
    assert pair.hub.budget.used == 0


async def test_what_comes_during_a_pause_and_before_its_end_is_seen_stays_in_its_order(authority: trustme.CA) -> None:
    pair = TlsPair(authority, lambda above: above.wire.pause_reading() if len(above.chunks) == 1 else None)
    parts = [CONTENT[start : start + 20_000] for start in range(0, len(CONTENT), 20_000)]
    pair.feed(pair.encrypted(parts[0]))
    pair.feed(pair.encrypted(parts[1]))
    pair.above.wire.resume_reading()
    pair.feed(pair.encrypted(parts[2]))
    assert pair.above.received == b"".join(parts[:3])
    await asyncio.sleep(0)
    pair.feed(pair.encrypted(parts[3]))
    assert pair.above.received == b"".join(parts[:4])
    assert pair.hub.budget.used == 0


async def test_what_comes_with_the_end_of_the_handshake_arrives_whole(authority: trustme.CA) -> None:
    pair = TlsPair(authority, nothing, first=CONTENT)
    assert pair.above.received == CONTENT
    pausing = TlsPair(authority, lambda above: above.wire.pause_reading(), first=CONTENT)
    assert len(pausing.above.chunks) == 1
    assert pausing.hub.budget.used > len(CONTENT) - 2 * 16_384, "what waits is counted"
    pausing.above.took = nothing
    pausing.above.wire.resume_reading()
    await asyncio.sleep(0)
    assert pausing.above.received == CONTENT
    assert pausing.hub.budget.used == 0


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_after_an_end_in_the_middle_nothing_more_is_handed_up(authority: trustme.CA, end: str) -> None:
    pair = TlsPair(authority, lambda above: getattr(above.wire, end)() if len(above.chunks) == 2 else None)
    pair.feed(b"".join(pair.encrypted(CONTENT[:2_000]) for _ in range(100)))
    assert 2 <= len(pair.above.chunks) <= 2 + PIECE_BYTES // 2_000
    assert pair.above.received == CONTENT[:2_000] * len(pair.above.chunks)
    assert pair.below.ended in ("closed", "aborted")
    assert pair.above.ends == 0


async def test_after_an_end_of_writing_in_the_middle_nothing_more_is_handed_up(authority: trustme.CA) -> None:
    pair = TlsPair(authority, lambda above: above.wire.write_eof())
    pair.feed(pair.encrypted(CONTENT))
    assert len(pair.above.chunks) == 1
    assert pair.below.ended == "eof"
    pair.above.wire.write(b"too late")
    assert pair.peer_read() == b""


async def test_whatever_follows_the_goodbye_of_the_peer_it_ends_once(authority: trustme.CA) -> None:
    pair = TlsPair(authority, nothing)
    pair.feed(pair.encrypted(b"last") + pair.goodbye() + bytes(10 * PIECE_BYTES))
    assert (pair.above.received, pair.above.ends) == (b"last", 1)
    assert pair.below.ended == "closed"


async def test_broken_bytes_after_some_pieces_are_one_fault_and_what_came_before_counts(authority: trustme.CA) -> None:
    pair = TlsPair(authority, nothing)
    pair.feed(pair.encrypted(CONTENT) + b"\xff" * (5 * PIECE_BYTES))
    assert pair.above.received == CONTENT
    assert pair.below.ended == "eof"
    assert pair.below.writes == 1, "the alert"
