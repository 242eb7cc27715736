"""Rules 1 to 18: the endpoint, bodies and their sizes, and the framing of WebSocket messages."""

from __future__ import annotations

import gzip
import struct
import uuid
import zlib
from datetime import timedelta

from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.settings import load_settings
from tests.support.builders import a_hash
from tests.support.conformance import (
    BAD_REQUEST,
    HTTP,
    WEBSOCKET,
    Case,
    Closes,
    Counted,
    Frame,
    Hear,
    Known,
    Post,
    Publish,
    Quiet,
    Say,
    Settle,
    Status,
    Via,
    Write,
    WriteRequest,
    beat,
    described,
    full,
    in_code,
)
from tests.support.conformance_scene import Scene
from tests.support.rawpeer import BINARY, CLOSE, PING, PONG, TEXT, frame, post, upgrade

LIMIT = 1_000
SMALL = {"listener": {"max_message_bytes": LIMIT}}
TIGHT = {"listener": {"max_outgoing_bytes": LIMIT}}
LONG = "x" * 5_000
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
RSV1 = 0x40
UID = b"u" * 16

TRANSPORT = (
    Case(
        "one socket after the other speaks its own transport to the same port",
        ("1",),
        (
            Say(full(), on="websocket", via=Via.WEBSOCKET),
            Hear(on="websocket", via=Via.WEBSOCKET),
            Say(full(), by="b", on="http", via=Via.HTTP),
            Hear(to="b", on="http", via=Via.HTTP),
            Known("transport", "websocket"),
            Known("transport", "http", of="b"),
        ),
        over=WEBSOCKET,
    ),
    Case(
        "another path is answered 404 and told the right one",
        ("2",),
        (WriteRequest(post(b"", path="/v2/opamp")), Status(404, words="/v1/opamp")),
        over=HTTP,
    ),
    Case(
        "another path opens no WebSocket",
        ("2",),
        (WriteRequest(upgrade("/v2/opamp")), Status(404, words="/v1/opamp")),
        over=WEBSOCKET,
    ),
    Case(
        "a POST of the media type is a message, with parameters and in any case",
        ("3", "6"),
        (
            Post(full()),
            Hear(),
            Post(beat(), content_type="application/x-protobuf; charset=utf-8"),
            Hear(),
            Post(beat(), content_type="Application/X-Protobuf"),
            Hear(),
        ),
        over=HTTP,
    ),
    Case(
        "a POST of another media type is no message",
        ("3",),
        (Post(full(), content_type="application/json"), Status(415, words="application/x-protobuf")),
        over=HTTP,
    ),
    Case(
        "a GET that does not open a WebSocket is told what opens one",
        ("3",),
        (
            WriteRequest(upgrade(without=["Upgrade"])),
            Status(426, {"upgrade": "websocket"}, words="application/x-protobuf"),
        ),
        over=WEBSOCKET,
    ),
    Case(
        "bodies with gzip, and with identity, are read",
        ("5",),
        (
            Post(full(), ["Content-Encoding: gzip"], gzip.compress),
            Hear(has=["capabilities"]),
            Known("agent.name", "alpha"),
            Post(beat(), ["Content-Encoding: identity"]),
            Hear(only=[]),
        ),
        over=HTTP,
    ),
    Case(
        "a body in another encoding is refused",
        ("5",),
        (Post(full(), ["Content-Encoding: br"]), Status(415)),
        over=HTTP,
    ),
    Case(
        "a body that is not the gzip it says is refused",
        ("5",),
        (Post(full(), ["Content-Encoding: gzip"]), Status(400)),
        over=HTTP,
    ),
    *(
        Case(
            f"an agent that accepts “{accepted}” gets a compressed answer of exactly the media type",
            ("6",),
            (
                Post(full(), [f"Accept-Encoding: {accepted}"]),
                Status(200, {"content-type": "application/x-protobuf", "content-encoding": "gzip"}),
            ),
            over=HTTP,
        )
        for accepted in ("gzip", "gzip, deflate", "*", "br;q=1.0, gzip;q=0.5")
    ),
    *(
        Case(
            f"an agent that accepts “{accepted}” gets a plain answer of exactly the media type",
            ("6",),
            (
                Post(full(), [f"Accept-Encoding: {accepted}"]),
                Status(200, {"content-type": "application/x-protobuf"}, absent=["content-encoding"]),
            ),
            over=HTTP,
        )
        for accepted in ("identity", "gzip;q=0", "*;q=0", "br")
    ),
    Case(
        "a body over the limit gets 413",
        ("7",),
        (Post(full(agent_description=described(host_name=LONG))), Status(413)),
        over=HTTP,
        server=SMALL,
    ),
    Case(
        "a body that decompression brings over the limit gets 413",
        ("7",),
        (
            Post(full(agent_description=described(host_name=LONG)), ["Content-Encoding: gzip"], gzip.compress),
            Status(413),
        ),
        over=HTTP,
        server=SMALL,
    ),
    Case(
        "a body below the limit is taken",
        ("7", "9"),
        (Say(full(agent_description=described(host_name="x" * 800))), Hear(has=["capabilities"])),
        server=SMALL,
    ),
    Case(
        "an answer over the limit is not sent, and recorded",
        ("8",),
        (
            Publish(LONG),
            Say(full()),
            Hear(),
            Settle(),
            Post(beat()),
            Status(500),
            Counted("http.500"),
        ),
        over=HTTP,
        server=TIGHT,
    ),
    Case(
        "a message over the limit ends the connection with 1009",
        ("9",),
        (Say(full(agent_description=described(host_name=LONG))), Closes(1009)),
        over=WEBSOCKET,
        server=SMALL,
    ),
    Case(
        "an offer over the limit is not sent, and recorded",
        ("10",),
        (
            Say(full()),
            Hear(),
            Settle(),
            Say(beat()),
            Hear(only=[]),
            Publish(LONG),
            Quiet(),
            Counted("websocket.answer-too-big"),
            Say(beat()),
            Hear(only=[]),
        ),
        over=WEBSOCKET,
        server=TIGHT,
    ),
    Case(
        "a header that names another agent changes nothing",
        ("11",),
        (
            Say(full(), headers=[f"OpAMP-Instance-UID: {uuid.UUID(int=7)}"]),
            Hear(to="a"),
            Say(beat(), headers=["OpAMP-Instance-UID: no uuid at all"]),
            Hear(to="a"),
            Known("session.sequence_num", 1),
        ),
        over=HTTP,
    ),
    Case(
        "an agent that does not offer compression works without",
        ("12",),
        (Say(full()), Hear(has=["capabilities"])),
        over=WEBSOCKET,
    ),
)

FRAMING = (
    Case(
        "every message of the server is binary and begins with a zero",
        ("13", "44"),
        (
            Say(full()),
            Hear(),
            Settle(),
            Say(beat()),
            Hear(only=[]),
            Publish("a"),
            Hear(config=a_hash("a")),
        ),
        over=WEBSOCKET,
    ),
    *(
        Case(
            f"a message with header {data.hex(' ')} is malformed",
            ("14", "24"),
            (
                Write(frame(data + b"\x0a\x10" + UID)),
                Hear(to="", error=BAD_REQUEST, says=["header"]),
                Say(full()),
                Hear(),
            ),
            over=WEBSOCKET,
        )
        for data in (b"\x01", b"\x81\x00", b"\xff" * 11)
    ),
    *(
        Case(
            f"a zero of {length} bytes is a header",
            ("15",),
            (
                Write(frame(b"\x80" * (length - 1) + b"\x00" + b"\x0a\x10" + UID)),
                Hear(to=UID, has=["capabilities"], flags=1),
            ),
            over=WEBSOCKET,
        )
        for length in (1, 2, 10)
    ),
    Case(
        "a message of nothing but its header is a bad request",
        ("16", "26"),
        (Say(b""), Hear(to="", error=BAD_REQUEST, says=["instance_uid"]), Say(full()), Hear()),
    ),
    Case(
        "a message without header is taken",
        ("17",),
        (Write(frame(b"\x0a\x10" + UID)), Hear(to=UID, has=["capabilities"])),
        over=WEBSOCKET,
    ),
    Case(
        "a text message ends the connection with 1003",
        ("18",),
        (Write(frame(b"hello", TEXT)), Closes(1003)),
        over=WEBSOCKET,
    ),
    Case(
        "pings are answered between messages",
        ("13",),
        (Say(full()), Hear(), Write(frame(b"there?", PING)), Frame(PONG, b"there?"), Say(beat()), Hear(only=[])),
        over=WEBSOCKET,
    ),
    Case(
        "the server answers a Close with a Close and ends the socket",
        ("69",),
        (Say(full()), Hear(), Write(frame(struct.pack("!H", 1000), CLOSE)), Closes(1000)),
        over=WEBSOCKET,
    ),
)


@in_code("path and port are those of the protocol, and the operator's if there are any", "2", over=WEBSOCKET)
async def path_and_port(scene: Scene) -> None:
    usual = load_settings(None, {}, {}).server
    assert (usual.listen.agents.rpartition(":")[2], usual.agents.path) == ("4320", "/v1/opamp")
    own = load_settings(None, {}, {"server": {"listen": {"opamp": "127.0.0.1:9"}, "agents": {"path": "/x"}}}).server
    assert (own.listen.agents, own.agents.path) == ("127.0.0.1:9", "/x")
    await Say(full()).play(scene)
    await Hear().play(scene)


def _squeeze(data: bytes) -> bytes:
    """As permessage-deflate has it (RFC 7692): raw, without the four bytes that end a flush."""
    squeezer = zlib.compressobj(wbits=-15)
    return (squeezer.compress(data) + squeezer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def _stretch(data: bytes) -> bytes:
    return zlib.decompress(data + b"\x00\x00\xff\xff\x03\x00", wbits=-15)


async def _open_deflate(scene: Scene) -> None:
    """Opens the only socket of the scene with compression, which the server must agree to."""
    peer = await scene.peer("main", Via.HTTP)
    response = await peer.raw.open(DEFLATE)
    assert response.headers.get("sec-websocket-extensions", "").startswith("permessage-deflate"), response.headers


@in_code("with permessage-deflate both sides read what the other one compressed", "12", over=WEBSOCKET)
async def deflate(scene: Scene) -> None:
    scene.publish(LONG)
    await _open_deflate(scene)
    raw = (await scene.peer("main", Via.HTTP)).raw
    agent = scene.agent("a")
    raw.send(frame(_squeeze(b"\x00" + agent.sign(full())), BINARY | RSV1))
    offered = b""
    for _ in range(3):
        first, payload = await raw.frame()
        body = _stretch(payload) if first & RSV1 else payload
        assert body[:1] == b"\x00"
        answer = pb.ServerToAgent.FromString(body[1:])
        assert answer.instance_uid == agent.uid
        offered = answer.remote_config.config_hash
        if offered:
            assert first == BINARY | RSV1
            assert len(payload) < len(LONG)
            break
        await scene.settle()
        raw.send(frame(b"\x00" + agent.sign(beat())))
    assert offered == a_hash(LONG)


@in_code(
    "a small frame that unpacks to more than the limit ends the connection with 1009",
    "9",
    over=WEBSOCKET,
    listener=SMALL["listener"],
)
async def bomb(scene: Scene) -> None:
    await _open_deflate(scene)
    raw = (await scene.peer("main", Via.HTTP)).raw
    squeezed = _squeeze(b"\x00" + scene.agent("a").sign(full(agent_description=described(host_name="x" * 1_000_000))))
    assert len(squeezed) > LIMIT or len(squeezed) < 5_000
    small = _squeeze(b"\x00" + b"x" * 100_000)
    assert len(small) < LIMIT
    raw.send(frame(small, BINARY | RSV1))
    assert await (await scene.peer("main", Via.HTTP)).close_code() == 1009


@in_code("the limits of both transports are 4 MiB in and follow the settings", "7", "9", over=WEBSOCKET)
async def limits(scene: Scene) -> None:
    assert load_settings(None, {}, {}).server.agents.max_message_bytes == 4 << 20
    await Say(full(agent_description=described(host_name="x" * (3 << 20)))).play(scene)
    await Hear(has=["capabilities"]).play(scene)


@in_code(
    "over the limit of connections the server says 503 and a time of 30 s or more",
    "72",
    listener={"max_connections": 1},
)
async def full_house(scene: Scene) -> None:
    await Say(full()).play(scene)
    await Hear().play(scene)
    waits = set()
    for number in range(6):
        peer = await scene.peer(f"late-{number}", Via.HTTP)
        body = scene.agent(f"late-{number}").sign(full())
        peer.write(upgrade() if scene.via is Via.WEBSOCKET else post(body))
        response = await peer.raw.response()
        assert response.status == 503
        waits.add(int(response.headers["retry-after"]))
    assert min(waits) >= timedelta(seconds=30).total_seconds()
    assert len(waits) > 1


CASES = (*TRANSPORT, *FRAMING, path_and_port, deflate, bomb, limits, full_house)
