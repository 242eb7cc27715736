"""Cutting bytes into frames, without sockets."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.errors import ProtocolError
from gitsync.server.frames import (
    BINARY_MESSAGE,
    COMPRESSED,
    Fragments,
    FrameReader,
    check_close,
    close_frame,
    compressed_head,
    control_frame,
    message_head,
)
from tests.support.rawpeer import CLOSE, CONT, PING, frame

HEADS = [BINARY_MESSAGE, 0x02, 0x00, CONT, PING, CLOSE]


def read(reader: FrameReader) -> list[tuple[int, bytes]]:
    found = []
    while (one := reader.pop()) is not None:
        found.append(one)
    return found


@given(
    st.lists(st.tuples(st.sampled_from(HEADS), st.binary(max_size=125)), max_size=8),
    st.lists(st.integers(1, 40), min_size=1),
    st.binary(min_size=4, max_size=4),
)
def test_any_split_of_a_stream_gives_the_same_frames(
    frames: list[tuple[int, bytes]], sizes: list[int], mask: bytes
) -> None:
    raw = [frame(payload, first, mask=mask) for first, payload in frames]
    stream = b"".join(raw)
    reader, found, at, turn = FrameReader(1000), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        reader.push(stream[at : at + size])
        found += read(reader)
        at, turn = at + size, turn + 1
    assert found == frames
    assert reader.is_empty


@given(st.binary(max_size=400), st.integers(1, 50))
def test_garbage_raises_nothing_but_protocol_errors(data: bytes, size: int) -> None:
    reader, status = FrameReader(100), 0
    try:
        for at in range(0, len(data), size):
            reader.push(data[at : at + size])
            read(reader)
    except ProtocolError as error:
        status = error.status
    assert status in (0, 1002, 1009)


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536, 300_000])
def test_heads_of_ours_say_the_length_in_its_shortest_form_and_end_with_the_opamp_header(length: int) -> None:
    if length:
        assert message_head(length) + bytes(length - 1) == frame(bytes(length), mask=None)


@pytest.mark.parametrize("length", [125, 126, 65_535, 65_536])
def test_a_large_frame_in_small_pieces_is_put_together(length: int) -> None:
    payload = random.Random(length).randbytes(length)
    stream = frame(b"first") + frame(payload) + frame(b"last")
    reader, found = FrameReader(1 << 20), []
    for at in range(0, len(stream), 1000):
        reader.push(stream[at : at + 1000])
        found += read(reader)
    assert found == [(BINARY_MESSAGE, one) for one in (b"first", payload, b"last")]


def test_the_limit_is_for_the_payload_of_a_frame() -> None:
    reader = FrameReader(10)
    reader.push(frame(b"x" * 10))
    assert reader.pop() == (BINARY_MESSAGE, b"x" * 10)
    reader.push(frame(b"x" * 11)[:6])
    with pytest.raises(ProtocolError) as caught:
        reader.pop()
    assert caught.value.status == 1009


def test_a_long_reason_is_cut_between_characters() -> None:
    sent = close_frame(1001, "a" + "é" * 100)
    assert sent[0] == CLOSE
    assert sent[1] == len(sent) - 2 <= 125
    assert sent[4:].decode() == "a" + "é" * 61


# ── Compressed messages, fragments, control frames ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("first", [BINARY_MESSAGE | COMPRESSED, 0x02 | COMPRESSED, 0x81 | COMPRESSED])
def test_rsv1_begins_a_compressed_message_only_after_an_agreement(first: int) -> None:
    reader = FrameReader(100, deflated=True)
    reader.push(frame(b"small", first))
    assert reader.pop() == (first, b"small")
    reader = FrameReader(100)
    reader.push(frame(b"small", first))
    with pytest.raises(ProtocolError) as caught:
        reader.pop()
    assert caught.value.status == 1002


@pytest.mark.parametrize("first", [CONT, PING, CLOSE, 0x00, BINARY_MESSAGE | 0x20, BINARY_MESSAGE | 0x10, 0x83])
def test_no_other_frame_may_have_reserved_bits(first: int) -> None:
    reader = FrameReader(100, deflated=True)
    reader.push(frame(b"x", first | COMPRESSED))
    with pytest.raises(ProtocolError) as caught:
        reader.pop()
    assert caught.value.status == 1002


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536])
def test_heads_of_compressed_messages_say_the_length_in_its_shortest_form(length: int) -> None:
    assert compressed_head(length) + bytes(length) == frame(bytes(length), BINARY_MESSAGE | COMPRESSED, mask=None)


def test_what_is_held_is_what_has_come_and_was_not_taken() -> None:
    reader = FrameReader(1000)
    assert reader.held_bytes == 0
    reader.push(frame(b"one") + frame(b"two")[:5])
    assert reader.held_bytes == 14
    reader.pop()
    assert reader.held_bytes == 5
    reader.push(frame(b"two")[5:])
    reader.pop()
    assert reader.held_bytes == 0
    assert reader.is_empty


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_fragments_are_joined_up_to_the_limit(parts: list[bytes]) -> None:
    fragments, total = Fragments(60), 0
    for part in parts:
        total += len(part)
        if total > 60:
            with pytest.raises(ProtocolError) as caught:
                fragments.add(part)
            assert caught.value.status == 1009
            return
        fragments.add(part)
        assert fragments.held_bytes == total
    assert fragments.finish() == b"".join(parts)


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xe8bye", b"\x0b\xb8", b"\x0f\xa0\xc3\xbc"])
def test_a_close_that_may_be_sent_is_fine(payload: bytes) -> None:
    check_close(payload)
    assert control_frame(0x8, payload) == frame(payload, CLOSE, mask=None)


@pytest.mark.parametrize(
    ("payload", "status"),
    [(b"\x03", 1002), (b"\x03\xed", 1002), (b"\x00\x00", 1002), (b"\xff\xff", 1002), (b"\x03\xe8\xff", 1007)],
)
def test_a_close_that_may_not_be_sent_is_an_error(payload: bytes, status: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_close(payload)
    assert caught.value.status == status
