"""permessage-deflate: agreeing on it, what goes out compressed once for all, what comes in within the limit."""

from __future__ import annotations

import asyncio
import json
import random
import tracemalloc
import zlib
from collections.abc import Callable, Sequence

import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from gitsync.control.ports import AgentLink
from gitsync.errors import ProtocolError
from gitsync.server import deflate
from gitsync.server.deflate import AGREED, Inflater, SharedTails, deflate_parts, negotiate
from tests.support.agenthandler import Port, opamp_port
from tests.support.rawpeer import BINARY, CONT, PING, PONG, TEXT, RawPeer, frame, raw_peer

OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
RSV1 = 0x40
BINARY_MORE, CONT_MORE = 0x02, 0x00
HEAD = b"\x0a\x10" + b"u" * 16
CONFIG = json.dumps([{"receiver": number, "endpoint": f"host-{number}:4317"} for number in range(400)]).encode()
STATEMENT = json.dumps({"payload": "statement" * 60}).encode()
NOISE = random.Random(7).randbytes(2000)


def squeeze(data: bytes, level: int = 6) -> bytes:
    """What a client sends for a message."""
    encoder = zlib.compressobj(level, wbits=-15)
    return (encoder.compress(data) + encoder.flush(zlib.Z_SYNC_FLUSH))[:-4]


def unsqueeze(data: bytes) -> bytes:
    """What a client makes of a message (RFC 7692, 7.2.2)."""
    decoder = zlib.decompressobj(-15)
    plain = decoder.decompress(data + b"\x00\x00\xff\xff")
    assert not decoder.unconsumed_tail
    assert decoder.decompress(b"\x01\x00\x00\xff\xff") == b""
    assert decoder.eof
    return plain


# ── Agreement ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "offer",
    [
        ["permessage-deflate"],
        ["permessage-deflate; client_max_window_bits"],
        ["permessage-deflate; client_max_window_bits=8"],
        ['permessage-deflate; client_max_window_bits="15"'],
        ["permessage-deflate; server_no_context_takeover; client_no_context_takeover"],
        ["permessage-bzip2, permessage-deflate"],
        ["x-other; a=b", "permessage-deflate ;client_max_window_bits=12"],
        ["permessage-deflate; server_max_window_bits=10, permessage-deflate"],
        ["permessage-deflate; unknown, permessage-deflate; client_max_window_bits=99, permessage-deflate"],
    ],
)
def test_an_offer_that_fits_is_accepted_without_a_window_that_outlives_a_message(offer: list[str]) -> None:
    assert negotiate(offer) == AGREED


@pytest.mark.parametrize("value", ["15", '"15"'])
def test_the_largest_window_of_the_server_is_confirmed(value: str) -> None:
    assert negotiate([f"permessage-deflate; server_max_window_bits={value}"]) == f"{AGREED}; server_max_window_bits=15"


@pytest.mark.parametrize(
    "offer",
    [
        [],
        [""],
        [","],
        ["x-webkit-deflate-frame"],
        ["Permessage-Deflate"],
        ["permessage-deflate; server_max_window_bits=14"],
        ["permessage-deflate; server_max_window_bits"],
        ["permessage-deflate; server_max_window_bits=16"],
        ["permessage-deflate; server_max_window_bits=015"],
        ["permessage-deflate; client_max_window_bits=7"],
        ["permessage-deflate; client_max_window_bits=08"],
        ["permessage-deflate; client_max_window_bits=x"],
        ["permessage-deflate; client_max_window_bits; client_max_window_bits=15"],
        ["permessage-deflate; server_no_context_takeover=1"],
        ["permessage-deflate; client_no_context_takeover="],
        ["permessage-deflate; mystery"],
        ["permessage-deflate;"],
        ["permessage-deflate; =15"],
        ['permessage-deflate; client_max_window_bits="15'],
        ["permessage-deflate", "\x00\xff garbage;;"],
    ],
)
def test_offers_that_do_not_fit_or_cannot_be_read_are_declined(offer: list[str]) -> None:
    assert negotiate(offer) is None


@given(st.lists(st.text(st.sampled_from('permessage-deflate;,= "\\client_max_window_bits\x00\xff81'), max_size=60)))
def test_no_offer_breaks_the_agreement(values: list[str]) -> None:
    answer = negotiate(values)
    assert answer is None or answer.startswith(AGREED)


# ── Out ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    st.binary(max_size=300),
    st.lists(
        st.one_of(st.sampled_from([STATEMENT, NOISE[:300], b"", b"z" * 255, b"z" * 256]), st.binary()), max_size=4
    ),
)
def test_a_compressed_message_inflates_to_the_header_and_all_parts(head: bytes, rest: list[bytes]) -> None:
    parts = (head, *rest)
    payload = deflate_parts(parts, SharedTails())
    if payload is None:
        assert not {STATEMENT, b"z" * 256} & set(rest)
    else:
        assert unsqueeze(b"".join(payload)) == b"\x00" + b"".join(parts)


def test_the_shared_part_is_the_same_object_for_every_agent() -> None:
    tails = SharedTails()
    one = deflate_parts((HEAD, CONFIG), tails)
    other = deflate_parts((HEAD[:-1] + b"v", bytes(bytearray(CONFIG))), tails)
    assert one is not None
    assert other is not None
    assert one[1] is other[1]
    assert one[0] == b"\x00\x13\x00\xec\xff\x00" + HEAD
    assert len(one[1]) < len(CONFIG) / 4
    assert len(tails) == 1


def test_what_is_the_agents_own_is_never_compressed() -> None:
    tails = SharedTails()
    assert deflate_parts((CONFIG,), tails) is None
    assert deflate_parts((HEAD, b"short"), tails) is None
    assert deflate_parts((HEAD, NOISE), tails) is None
    assert deflate_parts((bytes(65_536), CONFIG), tails) is None
    assert deflate_parts((HEAD, CONFIG, bytes(65_536 * 40)), tails) is None


def test_what_was_used_lately_is_kept_within_the_bound_on_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflate, "MAX_TAILS", 3)
    tails = SharedTails()
    parts = [b"%d" % number * 1000 for number in range(5)]
    first = tails.get(parts[0])
    for part in parts:
        tails.get(part)
        assert tails.get(bytes(bytearray(parts[0]))) is first
    assert len(tails) == 3
    assert tails.held_bytes == sum(len(part) + len(tails.get(part)) for part in (parts[0], *parts[3:]))


def test_what_was_used_lately_is_kept_within_the_bound_on_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflate, "MAX_CACHE_BYTES", 10_000)
    tails = SharedTails()
    for number in range(50):
        part = bytes((number,)) * 3000
        assert unsqueeze(tails.get(part)) == part
        assert tails.held_bytes <= 10_000
    assert len(tails) == 3


def test_a_part_that_would_hold_the_loop_is_left_as_it_is() -> None:
    tails = SharedTails()
    assert tails.get(bytes(deflate.MAX_TAIL_BYTES + 1)) == b""
    assert tails.held_bytes == 0


# ── In ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def in_fragments(data: bytes, limit: int, sizes: Sequence[int] = ()) -> bytes:
    inflater, at = Inflater(limit), 0
    for size in sizes:
        inflater.add(data[at : at + size])
        at += size
    inflater.add(data[at:])
    return inflater.finish()


def inflate(data: bytes, limit: int = 100_000, sizes: Sequence[int] = ()) -> bytes:
    """Inflates the message whole and in fragments; both ways must say the same."""
    whole = outcome(lambda: deflate.inflate(data, limit))
    cut = outcome(lambda: in_fragments(data, limit, sizes))
    if isinstance(whole, ProtocolError) and isinstance(cut, ProtocolError):
        assert (whole.status, whole.code) == (cut.status, cut.code)
        raise cut
    assert isinstance(whole, bytes)
    assert whole == cut
    return whole


def outcome(work: Callable[[], bytes]) -> bytes | ProtocolError:
    try:
        return work()
    except ProtocolError as error:
        return error


@given(st.binary(max_size=5000), st.integers(0, 9), st.lists(st.integers(0, 700), max_size=5))
def test_a_message_inflates_however_it_is_cut(data: bytes, level: int, sizes: list[int]) -> None:
    assert inflate(squeeze(data, level), sizes=sizes) == data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        # The examples of RFC 7692, 7.2.3.
        (bytes.fromhex("f248cdc9c90700"), b"Hello"),
        (bytes.fromhex("000500faff48656c6c6f00"), b"Hello"),
        (bytes.fromhex("f348cdc9c9070000"), b"Hello"),
        (bytes.fromhex("f248050000 00ffff cac9c90700"), b"Hello"),
        (b"\x00", b""),
    ],
)
def test_the_examples_of_the_standard_inflate(data: bytes, message: bytes) -> None:
    assert inflate(data) == message


def test_what_follows_a_last_block_may_refer_to_what_came_before() -> None:
    encoder = zlib.compressobj(wbits=-15)
    one = encoder.compress(CONFIG) + encoder.flush()
    encoder = zlib.compressobj(wbits=-15, zdict=CONFIG[-32768:])
    two = (encoder.compress(CONFIG) + encoder.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert inflate(one + two) == CONFIG + CONFIG


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xff\xff",
        squeeze(CONFIG)[:-20],
        squeeze(CONFIG)[:1],
        squeeze(CONFIG)[1:],
        b"\x00\x10\x00\xef\xffshort",
        b"\x03\x00" * 100,
        zlib.compress(b"with a header of zlib"),
    ],
)
def test_broken_deflate_data_is_1007(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        inflate(data)
    assert caught.value.status == 1007
    assert caught.value.code == "websocket.deflate"


@pytest.mark.parametrize(
    ("data", "fits"),
    [
        (squeeze(bytes(1000)), True),
        (squeeze(bytes(1001)), False),
        (squeeze(bytes(1_000_000)), False),
        (b"\x00\x00\x00\xff\xff" * 190 + b"\x00", True),
        (b"\x00\x00\x00\xff\xff" * 300 + b"\x00", False),
    ],
)
def test_the_limit_holds_for_what_comes_and_for_what_is_in_it(data: bytes, fits: bool) -> None:
    status = 0
    try:
        inflate(data, limit=1000)
    except ProtocolError as error:
        status = error.status
    assert status == (0 if fits else 1009)


@given(st.binary(max_size=300))
def test_garbage_raises_nothing_but_protocol_errors(data: bytes) -> None:
    assert status_of(data) in (0, 1007, 1009)


def status_of(data: bytes) -> int:
    """The close code; 0: it could be inflated."""
    try:
        assert len(inflate(data, limit=5000)) <= 5000
    except ProtocolError as error:
        return error.status
    return 0


# ── On the wire ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def opened(port: Port, peer: RawPeer) -> AgentLink:
    """A WebSocket with compression."""
    response = await peer.open(OFFER)
    assert response.headers["sec-websocket-extensions"] == AGREED
    await port.handler.until(lambda: port.handler.open)
    return port.handler.links[-1]


async def heard(peer: RawPeer) -> bytes:
    """The next message without its header, compressed or not."""
    first, payload = await peer.frame()
    assert first & ~RSV1 == BINARY, (first, payload)
    message = unsqueeze(payload) if first & RSV1 else payload
    assert message[0] == 0
    return message[1:]


async def test_a_configuration_goes_out_compressed_and_a_short_answer_does_not() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        link = await opened(port, peer)
        peer.send(frame(b"\x00beat"))
        assert await peer.frame() == (BINARY, b"\x00re:beat")
        link.send((HEAD, CONFIG), is_config=True)
        first, payload = await peer.frame()
        assert first == BINARY | RSV1
        assert len(payload) < len(CONFIG) / 4
        assert unsqueeze(payload) == b"\x00" + HEAD + CONFIG
        link.send((HEAD, NOISE))
        assert await peer.message() == HEAD + NOISE


@pytest.mark.parametrize("size", [256, 3000, 300_000])
async def test_every_form_of_length_is_compressed_too(size: int) -> None:
    words = random.Random(size)
    part = b"".join(b"%x" % words.getrandbits(32) for _ in range(size // 4))
    async with opamp_port() as port, raw_peer(port.url) as peer:
        link = await opened(port, peer)
        link.send((HEAD, b"a" * 256, part))
        first, payload = await peer.frame()
        assert first == BINARY | RSV1
        assert unsqueeze(payload) == b"\x00" + HEAD + b"a" * 256 + part


async def test_a_reply_with_an_offer_and_a_statement_is_one_compressed_message() -> None:
    def offer(link: AgentLink, data: bytes) -> Sequence[bytes]:
        return (HEAD, CONFIG, STATEMENT)

    async with opamp_port(offer) as port, raw_peer(port.url) as peer:
        await opened(port, peer)
        peer.send(frame(b"\x00status"))
        first, payload = await peer.frame()
        assert first == BINARY | RSV1
        assert unsqueeze(payload) == b"\x00" + HEAD + CONFIG + STATEMENT


async def test_agents_without_compression_get_the_same_configuration_plain() -> None:
    async with opamp_port() as port, raw_peer(port.url) as plain, raw_peer(port.url) as small:
        await plain.open()
        await opened(port, small)
        await port.handler.until(lambda: len(port.handler.open) == 2)
        for link in port.handler.open:
            link.send((HEAD, CONFIG), is_config=True)
        assert await plain.message() == HEAD + CONFIG
        assert unsqueeze((await small.frame())[1]) == b"\x00" + HEAD + CONFIG


async def test_the_outgoing_limit_is_for_the_message_before_compression() -> None:
    async with opamp_port(max_outgoing_bytes=1000) as port, raw_peer(port.url) as peer:
        link = await opened(port, peer)
        link.send((HEAD, CONFIG))
        link.send((HEAD,))
        assert await peer.message() == HEAD
        assert port.errors == {"websocket.answer-too-big": 1}


async def test_compressed_messages_of_the_peer_are_taken_whole_and_in_fragments() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await opened(port, peer)
        small = squeeze(b"\x00" + CONFIG)
        peer.send(frame(small, BINARY | RSV1))
        assert await heard(peer) == b"re:" + CONFIG
        peer.send(frame(small[:50], BINARY_MORE | RSV1), frame(b"p", PING), frame(b"", CONT_MORE))
        peer.send(frame(small[50:], CONT), frame(b"\x00plain"))
        assert await peer.frame() == (PONG, b"p")
        assert await heard(peer) == b"re:" + CONFIG
        assert await heard(peer) == b"re:plain"
        peer.send(frame(b"\x00not ", BINARY_MORE), frame(b"compressed", CONT))
        assert await heard(peer) == b"re:not compressed"


async def test_a_message_of_the_limit_is_taken_and_a_larger_one_is_not() -> None:
    async with opamp_port(max_message_bytes=10_000) as port, raw_peer(port.url) as peer:
        await opened(port, peer)
        peer.send(frame(squeeze(bytes(10_000)), BINARY | RSV1))
        assert len(await heard(peer)) == 10_002
        peer.send(frame(squeeze(bytes(10_001)), BINARY | RSV1))
        assert await peer.close_code() == 1009
        assert port.errors == {"websocket.too-big": 1}


@pytest.mark.parametrize(
    ("sent", "code", "error"),
    [
        pytest.param(frame(b"\xff" * 9, BINARY | RSV1), 1007, "websocket.deflate", id="not deflate"),
        pytest.param(frame(b"", BINARY | RSV1), 1007, "websocket.deflate", id="empty"),
        pytest.param(
            frame(b"\xff" * 9, BINARY_MORE | RSV1), 1007, "websocket.deflate", id="the first fragment is not deflate"
        ),
        pytest.param(
            frame(squeeze(b"\x00"), BINARY_MORE | RSV1) + frame(b"", CONT | RSV1),
            1002,
            "websocket.frame",
            id="RSV1 on a continuation",
        ),
        pytest.param(frame(b"", PING | RSV1), 1002, "websocket.frame", id="RSV1 on a ping"),
        pytest.param(frame(b"\x03\xe8", 0x88 | RSV1), 1002, "websocket.frame", id="RSV1 on a close"),
        pytest.param(frame(b"\x00", BINARY | RSV1 | 0x20), 1002, "websocket.frame", id="RSV1 and RSV2"),
        pytest.param(frame(b"\x00", BINARY | 0x20), 1002, "websocket.frame", id="RSV2"),
        pytest.param(frame(squeeze(b"text"), TEXT | RSV1), 1003, "websocket.text", id="compressed text"),
        pytest.param(frame(b"\x00", BINARY | RSV1, mask=None), 1002, "websocket.frame", id="not masked"),
    ],
)
async def test_what_rfc_7692_forbids_ends_the_connection(sent: bytes, code: int, error: str) -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await opened(port, peer)
        peer.send(frame(b"\x00before"), sent, frame(b"\x00after"))
        assert await peer.message() == b"re:before"
        assert await peer.close_code() == code
        peer.writer.close()
        await port.handler.until(lambda: not port.handler.open)
        assert port.handler.messages == [b"before"]
        assert port.errors == {error: 1}


async def test_a_compressed_message_without_an_agreement_is_1002() -> None:
    async with opamp_port() as port, raw_peer(port.url) as peer:
        await peer.open()
        peer.send(frame(squeeze(b"\x00x"), BINARY | RSV1))
        assert await peer.close_code() == 1002


@pytest.mark.parametrize("cut", [None, 100])
async def test_a_bomb_costs_no_more_memory_than_the_limit(cut: int | None) -> None:
    bomb = squeeze(bytes(200_000_000), 9)
    async with opamp_port(max_message_bytes=1 << 20) as port, raw_peer(port.url) as peer:
        await opened(port, peer)
        tracemalloc.start()
        try:
            if cut is None:
                peer.send(frame(bomb, BINARY | RSV1))
            else:
                peer.send(frame(bomb[:cut], BINARY_MORE | RSV1), frame(bomb[cut:], CONT))
            assert await peer.close_code() == 1009
            assert tracemalloc.get_traced_memory()[1] < 12 << 20
        finally:
            tracemalloc.stop()


async def test_a_flood_of_large_compressed_messages_lets_others_have_their_turn() -> None:
    bomb = frame(squeeze(b"\x00" + bytes(999_999)), BINARY | RSV1)
    async with opamp_port(lambda link, data: (b"%d" % len(data),)) as port:
        async with raw_peer(port.url) as flood, raw_peer(port.url) as other:
            await opened(port, flood)
            await other.open()
            flood.send(bomb * 100)
            other.send(frame(b"\x00o"))
            assert await other.message() == b"1"
            assert len(port.handler.messages) < 100
            for _ in range(100):
                assert await flood.message() == b"999999"


# ── Clients ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "offer",
    [
        ClientPerMessageDeflateFactory(),
        ClientPerMessageDeflateFactory(client_max_window_bits=9),
        ClientPerMessageDeflateFactory(server_max_window_bits=15),
        ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True),
    ],
)
async def test_a_client_of_the_websockets_package_speaks_compressed(offer: ClientPerMessageDeflateFactory) -> None:
    async with (
        opamp_port() as port,
        websockets.connect(port.url, compression=None, extensions=[offer]) as socket,
        asyncio.timeout(10),
    ):
        assert [one.name for one in socket.protocol.extensions] == ["permessage-deflate"]
        await port.handler.until(lambda: port.handler.open)
        link = port.handler.open[0]
        for _ in range(3):
            await socket.send(b"\x00" + CONFIG)
            assert await socket.recv() == b"\x00re:" + CONFIG
            await socket.send([b"\x00frag", b"ment" * 100, b"", b"ed"])
            assert await socket.recv() == b"\x00re:frag" + b"ment" * 100 + b"ed"
            link.send((HEAD, CONFIG, b"between", STATEMENT), is_config=True)
            assert await socket.recv() == b"\x00" + HEAD + CONFIG + b"between" + STATEMENT
        assert port.errors == {}


async def test_a_client_that_wants_a_smaller_window_works_without_compression() -> None:
    offer = ClientPerMessageDeflateFactory(server_max_window_bits=10)
    async with opamp_port() as port, websockets.connect(port.url, compression=None, extensions=[offer]) as socket:
        assert socket.protocol.extensions == []
        await socket.send(b"\x00hello")
        assert await socket.recv() == b"\x00re:hello"


async def test_compression_can_be_switched_off() -> None:
    async with opamp_port(compression=False) as port, raw_peer(port.url) as peer:
        response = await peer.open(OFFER)
        assert "sec-websocket-extensions" not in response.headers
        await port.handler.until(lambda: port.handler.open)
        port.handler.open[0].send((HEAD, CONFIG))
        assert await peer.message() == HEAD + CONFIG
