"""Bodies of POSTs, without sockets."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.errors import ProtocolError
from gitsync.server.bodies import Body, allows_gzip, compress, is_gzip, is_protobuf


@given(st.binary(max_size=2000), st.integers(1, 100), st.booleans())
def test_any_split_of_a_body_gives_the_same_content(content: bytes, size: int, zipped: bool) -> None:
    sent = gzip.compress(content) if zipped else content
    body = Body(10_000, compressed=zipped)
    for at in range(0, len(sent), size):
        body.add(sent[at : at + size])
    assert body.finish() == content


@given(st.binary(max_size=300), st.integers(1, 50))
def test_garbage_raises_nothing_but_protocol_errors(data: bytes, size: int) -> None:
    body = Body(100, compressed=True)
    status = 200
    try:
        for at in range(0, len(data), size):
            body.add(data[at : at + size])
        body.finish()
    except ProtocolError as error:
        status = error.status
    assert status in (200, 400, 413)


@given(st.binary(max_size=60))
def test_any_accept_encoding_is_judged(value: bytes) -> None:
    assert allows_gzip(value) in (True, False)
    assert is_protobuf(value) in (True, False)


def test_a_bomb_is_refused_when_it_passes_the_limit_and_no_later() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    body = Body(100_000, compressed=True)
    with pytest.raises(ProtocolError) as caught:
        body.add(bomb)
    assert caught.value.status == 413
    assert len(body._content) <= 100_001


def test_a_bomb_of_many_members_is_refused() -> None:
    body = Body(1_000_000, compressed=True)
    with pytest.raises(ProtocolError, match="members"):
        body.add(gzip.compress(b"x") * 10_000)


def test_a_zlib_stream_is_not_gzip() -> None:
    with pytest.raises(ProtocolError) as caught:
        Body(1000, compressed=True).add(zlib.compress(b"x"))
    assert caught.value.status == 400


def test_compressing_is_deterministic_and_names_of_encodings_are_known() -> None:
    assert compress(b"x" * 100) == compress(b"x" * 100)
    assert gzip.decompress(compress(b"x" * 100)) == b"x" * 100
    assert [is_gzip(name) for name in (b"", b" identity ", b"GZip", b"x-gzip")] == [False, False, True, True]
