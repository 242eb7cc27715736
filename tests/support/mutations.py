"""Mutated agents: real conversations, damaged on every level, through the real connection handler.

A `Storm` is made of conversations. The damage is to what an agent says (bits, fields, lengths, pieces of other
messages), to how it is packed (OpAMP header, gzip, deflate, fragments), and to the frames and requests around it.
Between the damaged messages are good ones, so that the damage meets sessions in every state.

Connections, sessions and agents are those of the server; only the socket is not (`memorywire`): a million messages
through the kernel would take many times as long, and what the kernel does to them is tested elsewhere.

What the server says is read as a strict peer would: its frames are well formed, its messages are ServerToAgent, and no
Close speaks of a fault of its own.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import struct
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from gitsync.control.agents import AgentOptions
from gitsync.fleet import health
from gitsync.ids import AgentUid
from gitsync.opamp import texts
from gitsync.opamp.client import ClientState
from gitsync.opamp.messages import (
    ATTESTATION_CAPABILITY,
    Capability,
    Component,
    ComponentHealth,
    ConfigStatus,
    EffectiveObject,
)
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.wire import encode_frame
from gitsync.server.listener import Hub
from gitsync.server.opamp import ListenerOptions, OpampListener
from gitsync.server.post import HttpConnection
from gitsync.store import JournalLimits
from tests.support.builders import a_uid, a_version
from tests.support.clock import FixedRandom
from tests.support.fleet import FleetUnderTest, a_fleet
from tests.support.memorywire import MemoryWire
from tests.support.rawpeer import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame, post, upgrade

AGENTS = 60
OPEN_AT_ONCE = 6
STEPS = 40
RSV1 = 0x40
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
FIRST_BYTES = frozenset((BINARY, BINARY | RSV1, CLOSE, PING, PONG))
CLOSE_CODES = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1013))
EVERYTHING = (1 << 16) - 1
TEXTS = ("a", "b", "receivers: {otlp: {}}\n" * 100)
"""Configurations; the last one is worth compressing."""


def squeeze(data: bytes) -> bytes:
    """A message as permessage-deflate sends it."""
    encoder = zlib.compressobj(1, wbits=-15)
    return (encoder.compress(data) + encoder.flush(zlib.Z_SYNC_FLUSH))[:-4]


def unsqueeze(data: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(data + b"\x00\x00\xff\xff")


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def nested_health(depth: int) -> bytes:
    """The health of a component of a component, and so on."""
    inner = b"\x08\x01"
    for _ in range(depth):
        entry = b"\x0a\x01x\x12" + varint(len(inner)) + inner
        inner = b"\x32" + varint(len(entry)) + entry
    return b"\x2a" + varint(len(inner)) + inner


NESTED = tuple(nested_health(depth) for depth in (3, 20, 95, 120))
ZIP_BOMB = gzip.compress(bytes(3_000_000), 9)
BOMBS = tuple(squeeze(b"\x00" + bytes(size)) for size in (1_000, 100_000, 3_000_000))


class Peers:
    """A few dozen agents that know the protocol, and say something else each time."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._clients: list[ClientState] = []
        for number in range(AGENTS):
            self._clients.append(
                ClientState(
                    a_uid((number + 1) << 24),
                    {"service.name": "otelcol", "service.version": f"0.{number}"},
                    {"env": "prod" if number % 2 else "dev", "host.name": f"host-{number}"},
                    EVERYTHING & ~int(Capability.ACCEPTS_REMOTE_CONFIG) if number % 7 == 0 else EVERYTHING,
                    custom_capabilities=(ATTESTATION_CAPABILITY,) if number % 5 == 0 else ("io.example.logs",),
                    components={"receivers": Component({"a": "b"}, {"otlp": Component({}, {})})},
                    components_hash=b"components",
                    health=ComponentHealth(healthy=True, components={"pipeline:traces": ComponentHealth(healthy=True)}),
                    request_uid=number % 11 == 0,
                )
            )

    def any(self) -> ClientState:
        return self._random.choice(self._clients)

    def say(self, client: ClientState) -> bytes:
        """A good message of this agent."""
        chance, random = self._random.random(), self._random
        if chance < 0.35:
            return client.heartbeat()
        if chance < 0.5:
            return client.first_message()
        if chance < 0.65:
            return client.report_status(
                client.config_hash, random.choice(list(ConfigStatus)), "why" * random.randrange(9)
            )
        if chance < 0.75:
            return client.report_health(
                ComponentHealth(healthy=random.random() < 0.5, last_error=f"{random.randrange(9)}")
            )
        if chance < 0.85:
            body = b"receivers: {otlp: {}}\nnumber: %d\n" % random.randrange(50)
            return client.report_effective({"": EffectiveObject(body)})
        if chance < 0.9:
            return client.describe({"service.name": "otelcol"}, {"env": random.choice(("dev", "prod", "test"))})
        if chance < 0.94:
            with suppress(ValueError):  # not every agent declares it
                return client.send_custom("io.example.logs", "type", b"data")
        if chance < 0.97:
            return client.request_certificate(b"-----BEGIN CERTIFICATE REQUEST-----\n")
        return client.disconnect()


class Damage:
    """Damages bytes; the same seed does the same damage."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._seen: list[bytes] = [b"\x0a\x10" + b"\x01" * 16]
        self._ways: Sequence[Callable[[bytearray], None]] = (
            self._flip,
            self._flip,
            self._overwrite,
            self._cut,
            self._delete,
            self._insert,
            self._repeat,
            self._splice,
            self._fields,
            self._fields,
            self._lie,
            self._nest,
        )

    def damaged(self, message: bytes) -> bytes:
        """The message with one to four things wrong."""
        random = self._random
        if len(self._seen) < 200:
            self._seen.append(message)
        else:
            self._seen[random.randrange(200)] = message
        data = bytearray(message)
        for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
            if not data:
                data += random.randbytes(random.randrange(1, 30))
            random.choice(self._ways)(data)
        return bytes(data)

    def _at(self, data: bytearray) -> int:
        return self._random.randrange(len(data) + 1)

    def _flip(self, data: bytearray) -> None:
        data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)

    def _overwrite(self, data: bytearray) -> None:
        at = self._random.randrange(len(data))
        data[at] = self._random.choice((0, 1, 0x0A, 0x10, 0x7F, 0x80, 0xFF, self._random.randrange(256)))

    def _cut(self, data: bytearray) -> None:
        del data[self._random.randrange(len(data)) :]

    def _delete(self, data: bytearray) -> None:
        at = self._random.randrange(len(data))
        del data[at : at + self._random.randrange(1, 20)]

    def _insert(self, data: bytearray) -> None:
        at = self._at(data)
        data[at:at] = self._random.randbytes(self._random.randrange(1, 20))

    def _repeat(self, data: bytearray) -> None:
        at = self._random.randrange(len(data))
        piece = bytes(data[at : at + self._random.randrange(1, 60)])
        data[at:at] = piece * self._random.choice((1, 1, 2, 30))

    def _splice(self, data: bytearray) -> None:
        other = self._random.choice(self._seen)
        start, at = self._random.randrange(len(other) + 1), self._at(data)
        data[at:at] = other[start : start + self._random.randrange(1, 300)]

    def _fields(self, data: bytearray) -> None:
        """Leaves out, repeats or swaps top-level fields, of this message and another."""
        fields = split_fields(bytes(data)) + split_fields(self._random.choice(self._seen))
        self._random.shuffle(fields)
        data[:] = b"".join(fields[: self._random.randrange(1, len(fields) + 2)])

    def _lie(self, data: bytearray) -> None:
        """A length or a number that is far too large."""
        at = self._at(data)
        data[at : at + 1] = self._random.choice(
            (b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01", b"\xff" * 11, b"\x80" * 4)
        )

    def _nest(self, data: bytearray) -> None:
        """Health in health in health."""
        data += self._random.choice(NESTED)


def split_fields(data: bytes) -> list[bytes]:
    """The top-level fields of a message, as far as they can be told apart; the rest is the last one."""
    fields, at = [], 0
    while at < len(data):
        kind, end = data[at] & 7, at + 1
        number = shift = 0
        if kind in (0, 2):
            while end < len(data) and shift < 64:
                number |= (data[end] & 0x7F) << shift
                end, shift = end + 1, shift + 7
                if data[end - 1] < 0x80:
                    break
        end += {0: 0, 1: 8, 2: number, 5: 4}.get(kind, len(data))
        fields.append(data[at:end])
        at = end
    return fields


class Packing:
    """Puts messages into frames and requests, and damages those too."""

    def __init__(self, random: Random, damage: Damage) -> None:
        self._random = random
        self._damage = damage

    def websocket(self, message: bytes, *, deflated: bool) -> bytes:
        """What a peer sends for a message: mostly sound frames, whatever is in them."""
        random, chance = self._random, self._random.random()
        payload = encode_frame(message)
        if chance < 0.55:
            return frame(payload, mask=random.randbytes(4))
        if chance < 0.61:
            return frame(random.choice((message, b"\x80\x00" + message, b"\x07" + message, b"\xff" * 11)))
        if chance < 0.73:
            return self._fragments(payload, BINARY)
        if chance < 0.83 and deflated:
            return self._deflated(payload)
        if chance < 0.88:
            return frame(payload) + frame(random.randbytes(random.randrange(126)), random.choice((PING, PONG)))
        if chance < 0.93:
            return self._damage.damaged(frame(payload))
        return self._strange(payload)

    def _fragments(self, payload: bytes, first: int) -> bytes:
        parts, at = [], 0
        while at < len(payload):
            size = self._random.randrange(1, max(2, len(payload) // 2))
            parts.append(payload[at : at + size])
            at += size
        frames = [frame(part, (first if number == 0 else CONT) & 0x7F) for number, part in enumerate(parts[:-1])]
        frames.append(frame(parts[-1], CONT if frames else first))
        if self._random.random() < 0.3:
            frames.insert(self._random.randrange(len(frames) + 1), frame(b"between", PING))
        if self._random.random() < 0.1:
            del frames[self._random.randrange(len(frames))]
        return b"".join(frames)

    def _deflated(self, payload: bytes) -> bytes:
        small = squeeze(payload)
        if self._random.random() < 0.2:
            small = self._damage.damaged(small)
        if self._random.random() < 0.1:
            small = self._random.choice(BOMBS)
        if self._random.random() < 0.3 and small:
            return self._fragments(small, BINARY | RSV1)
        return frame(small, BINARY | RSV1)

    def _strange(self, payload: bytes) -> bytes:
        random = self._random
        match random.randrange(7):
            case 0:
                return frame(payload, TEXT)
            case 1:
                return frame(random.randbytes(random.randrange(126)), random.randrange(256))
            case 2:
                return frame(payload, mask=None)
            case 3:
                return frame(payload, form=random.choice((16, 64))) if len(payload) < 126 else frame(payload, CONT)
            case 4:
                return b"\x82\xff" + struct.pack("!Q", random.choice((1 << 16, 1 << 21, 1 << 40, 1 << 63))) + payload
            case 5:
                return frame(struct.pack("!H", random.choice((1000, 1005, 999, 4000))) + payload[:120], CLOSE)
            case _:
                return random.randbytes(random.randrange(1, 200))

    def request(self, message: bytes) -> bytes:
        """A POST of the message."""
        random, chance = self._random, self._random.random()
        if chance < 0.4:
            return post(message)
        if chance < 0.6:
            return post(gzip.compress(message, 1), "Content-Encoding: gzip")
        if chance < 0.7:
            return post(self._damage.damaged(gzip.compress(message, 1)), "Content-Encoding: gzip")
        if chance < 0.75:
            return post(ZIP_BOMB, "Content-Encoding: gzip")
        if chance < 0.85:
            head = post(b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
            return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(message), message) if message else head + b"0\r\n\r\n"
        return self._damage.damaged(
            post(message, random.choice(("Accept-Encoding: gzip", "Expect: 100-continue", "X: y")))
        )


class Conversation:
    """One connection of a peer that is sometimes good."""

    def __init__(self, storm: Storm, number: int) -> None:
        self._storm = storm
        self._random = storm.random
        self._wire = MemoryWire(HttpConnection(storm.hub), ("192.0.2.7", 1024 + number % 60_000))
        self._left = self._random.randrange(1, STEPS)
        self._client = storm.peers.any()
        self._is_websocket = self._random.random() < 0.85
        self._deflated = self._random.random() < 0.5
        self._unread = b""
        if self._is_websocket:
            self._open()

    def _open(self) -> None:
        request = upgrade("/v1/opamp", *((OFFER,) if self._deflated else ()))
        if self._random.random() < 0.02:
            request = self._storm.damage.damaged(request)
            self._is_websocket = False  # whatever comes of it
        self._wire.feed(request)
        if self._is_websocket:
            head, _, self._unread = self._wire.take().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
            self._deflated = b"permessage-deflate" in head

    def step(self) -> bool:
        """Says one thing; whether there is more to say."""
        random, storm = self._random, self._storm
        if random.random() < 0.03:
            self._client = storm.peers.any()
        message = storm.peers.say(self._client)
        good = random.random() < 0.3
        if not good:
            message = storm.damage.damaged(message)
            storm.count += 1
        if self._is_websocket:
            data = frame(encode_frame(message)) if good else storm.packing.websocket(message, deflated=self._deflated)
        else:
            data = post(message) if good else storm.packing.request(message)
        self._feed(data)
        if random.random() < 0.05:
            self._wire.reads = False
        elif random.random() < 0.3:
            self._wire.read_on()
        self._hear()
        self._left -= 1
        return self._left > 0 and not self._wire.is_closing()

    def _feed(self, data: bytes) -> None:
        if self._random.random() < 0.8:
            self._wire.feed(data)
            return
        at = 0
        while at < len(data):
            size = self._random.choice((1, 2, 5, 40, 1000, 100_000))
            self._wire.feed(data[at : at + size])
            at += size

    def _hear(self) -> None:
        """Reads what the server said, strictly."""
        assert not self._storm.trouble.lines, self._storm.trouble.lines[0]
        said = self._wire.take()
        if not self._is_websocket:
            return
        self._unread += said
        while (parsed := parse(self._unread)) is not None:
            first, payload, self._unread = parsed
            assert first in FIRST_BYTES, first
            self._storm.heard[first] += 1
            if first == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if payload else 1000
                assert code in CLOSE_CODES or 3000 <= code < 5000, payload
            elif first & ~RSV1 == BINARY:
                self._understand(unsqueeze(payload) if first & RSV1 else payload)

    def _understand(self, payload: bytes) -> None:
        assert payload[0] == 0
        pb.ServerToAgent.FromString(payload[1:])
        # What it means is for the agent that is named, which may come back on any connection.
        self._client.receive(payload[1:], 0.0)

    def end(self) -> None:
        """The deadlines come, or the peer leaves."""
        connection = self._wire.protocol
        if self._random.random() < 0.3 and not self._wire.lost:
            for seconds in (40.0, 80.0, 200.0):
                connection.check(self._storm.hub.time() + seconds)  # type: ignore[attr-defined]  # as the wheel does
        self._hear()
        if self._random.random() < 0.5:
            self._wire.read_on()
            self._hear()
            self._wire.hang_up()
        self._wire.abort()


def parse(data: bytes) -> tuple[int, bytes, bytes] | None:
    """The first frame of a server: its first byte, its payload, and what follows."""
    if len(data) < 2:
        return None
    length, at = data[1], 2
    assert length < 128, "a server must not mask"
    if length > 125:
        at = 4 if length == 126 else 10
        length = int.from_bytes(data[2:at], "big")
    if len(data) < at + length:
        return None
    return data[0], data[at : at + length], data[at + length :]


class SeededRandom(FixedRandom):
    """Gives uids that no flipped bit turns into another one that was given, as real ones are."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    def uuid7(self, now: datetime) -> AgentUid:
        bits = self._random.randbytes(10)
        return AgentUid(a_uid()[:6] + bytes((0x70 | bits[0] & 0x0F, bits[1], 0x80 | bits[2] & 0x3F)) + bits[3:])


class Trouble(logging.Handler):
    """Keeps what is logged as an error, and what the loop could not give to anybody."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Storm:
    """All conversations of one run.

    Attributes:
        count: damaged messages so far.
        trouble: must stay empty.
        heard: frames of the server, by their first byte.
    """

    def __init__(self, fleet: FleetUnderTest, hub: Hub, random: Random, trouble: Trouble) -> None:
        self.trouble = trouble
        self.fleet = fleet
        self.hub = hub
        self.random = random
        self.peers = Peers(random)
        self.damage = Damage(random)
        self.packing = Packing(random, self.damage)
        self.count = 0
        self.heard: Counter[int] = Counter()
        self._connections = 0
        self._open: list[Conversation] = []

    async def run(self, count: int) -> None:
        """Sends that many damaged messages more, then ends all conversations."""
        goal, settled = self.count + count, self.count
        while self.count < goal:
            if len(self._open) < OPEN_AT_ONCE:
                self._open.append(Conversation(self, self._connections))
                self._connections += 1
            one = self.random.choice(self._open)
            if not one.step():
                one.end()
                self._open.remove(one)
                await asyncio.sleep(0)
            if self.count - settled >= 1000:
                settled = self.count
                await self.settle()
        for one in self._open:
            one.end()
        self._open.clear()
        await self.settle()

    @staticmethod
    def forget_shared() -> None:
        """Empties the pools of equal values, which do that themselves when they are full, before memory is measured."""
        texts._texts._kept.clear()
        health._trees._kept.clear()

    async def settle(self) -> None:
        """Time passes: agents fall silent, configurations change, what is owed is done."""
        fleet = self.fleet
        if self.random.random() < 0.7:
            fleet.publish(a_version(text=self.random.choice(TEXTS)), texts=TEXTS)
        fleet.clock.advance(5.0)
        fleet.agents.check()
        await fleet.settle()
        await fleet.journal.flush()


def _fleet(path: Path, seed: int, max_agents: int) -> AbstractAsyncContextManager[FleetUnderTest]:
    options = AgentOptions("replica-1", max_agents=max_agents)
    # What the journal remembers is as small as the fleet, so that it is full early and cannot be taken for growth.
    limits = JournalLimits(known_agents=max_agents, known_blobs=max_agents)
    return a_fleet(path, options=options, random=SeededRandom(Random(seed)), limits=limits)


@asynccontextmanager
async def a_storm(path: Path, seed: int, *, max_agents: int) -> AsyncIterator[Storm]:
    """A server on a store at `path`, and mutated agents for it."""
    trouble = Trouble()
    ours = logging.getLogger("gitsync")
    ours.addHandler(trouble)
    propagate, ours.propagate = ours.propagate, False  # a million messages write more lines than a test should keep
    asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.lines.append(str(context)))
    try:
        async with _fleet(path, seed, max_agents) as fleet:
            # The tick is long, so that only the storm decides when deadlines are looked at.
            options = ListenerOptions(max_message_bytes=1 << 20, tick=timedelta(hours=1))
            listener = OpampListener(options, fleet.agents, fleet.meters)
            await listener.start()
            try:
                assert listener._hub is not None  # nothing outside shows it
                yield Storm(fleet, listener._hub, Random(seed), trouble)
            finally:
                await listener.stop(0.0)
    finally:
        ours.removeHandler(trouble)
        ours.propagate = propagate
