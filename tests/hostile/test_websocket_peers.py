"""Hostile WebSocket peers beside a good agent, which goes on getting its answers and its configurations."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gitsync.control.agents import AgentOptions
from gitsync.opamp.client import ClientState
from gitsync.opamp.messages import EffectiveObject
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.wire import encode_frame
from gitsync.server.opamp import ListenerOptions, OpampListener
from tests.support.agentclient import WsAgent, client_state, ws_agent
from tests.support.builders import a_version
from tests.support.fleet import FleetUnderTest, a_fleet
from tests.support.rawpeer import BINARY, CLOSE, CONT, PING, PONG, TEXT, RawPeer, frame, raw_peer

LIMIT = 100_000
SOON = 0.05
OFFER = "Sec-WebSocket-Extensions: permessage-deflate"


def squeeze(data: bytes) -> bytes:
    encoder = zlib.compressobj(9, wbits=-15)
    return (encoder.compress(data) + encoder.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Scene:
    """A server with a good agent on it."""

    def __init__(self, fleet: FleetUnderTest, url: str, agent: WsAgent) -> None:
        self.fleet = fleet
        self.url = url
        self.agent = agent
        self._number = 0

    @property
    def errors(self) -> dict[str, int]:
        return dict(self.fleet.meters.protocol_errors)

    async def is_well(self) -> None:
        """The good agent is answered, and gets a new configuration."""
        await self.agent.say(self.agent.state.heartbeat())
        step = await self.agent.hear()
        assert step.error is None
        self._number += 1
        text = f"configuration {self._number}"
        self.fleet.publish(a_version(text=text), texts=(text,))
        offered = await self.agent.hear_config()
        assert offered.config is not None
        assert [one.body for one in offered.config.objects.values()] == [text.encode()]
        await self.agent.hear()

    async def until(self, claim: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not claim():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def a_scene(path: Path, **options: Any) -> AsyncIterator[Scene]:
    """The server, with the good agent connected and configured."""
    times = {name: timedelta(seconds=value) for name, value in options.items() if name.endswith("_timeout")}
    made = {"max_message_bytes": LIMIT, "tick": timedelta(seconds=0.02)} | options | times
    # The fleet's clock stands still, so any rate of messages would be used up at some time.
    async with a_fleet(path / "fleet.db", options=AgentOptions("replica-1", message_rate=0)) as fleet:
        listener = OpampListener(ListenerOptions(**made), fleet.agents, fleet.meters)
        await listener.start()
        try:
            fleet.publish(a_version(text="a"))
            async with ws_agent(listener.url) as agent:
                await agent.hello()
                await fleet.settle()
                await agent.say(agent.state.heartbeat())
                await agent.hear_config()
                await agent.hear()
                yield Scene(fleet, listener.url, agent)
        finally:
            await listener.stop(0.0)


@pytest.mark.parametrize(
    ("sent", "code", "error"),
    [
        pytest.param(frame(b"hello", TEXT), 1003, "websocket.text", id="text"),
        pytest.param(frame(b"\xff" * 40, 0x83), 1002, "websocket.frame", id="reserved opcode"),
        pytest.param(frame(b"\x00unmasked", mask=None), 1002, "websocket.frame", id="not masked"),
        pytest.param(frame(bytes(LIMIT + 1))[:20], 1009, "websocket.too-big", id="oversize"),
        pytest.param(
            frame(b"\x00", 0x02) + frame(b"x" * 9_000, 0x00) * 12, 1009, "websocket.too-big", id="oversize in fragments"
        ),
        pytest.param(frame(squeeze(bytes(50_000_000)), BINARY | 0x40), 1009, "websocket.too-big", id="bomb"),
        pytest.param(frame(b"\xff" * 100, BINARY | 0x40), 1007, "websocket.deflate", id="not deflate"),
        pytest.param(frame(b"x" * 125, 0x0A), 1002, "websocket.frame", id="fragmented pong"),
        pytest.param(frame(b"\x03", CLOSE), 1002, "websocket.frame", id="half a close code"),
    ],
)
async def test_a_peer_that_breaks_the_protocol_is_told_how_and_others_notice_nothing(
    tmp_path: Path, sent: bytes, code: int, error: str
) -> None:
    async with a_scene(tmp_path) as scene, raw_peer(scene.url) as peer:
        await peer.open(OFFER)
        peer.send(sent)
        assert await peer.close_code() == code
        assert scene.errors == {error: 1}
        await scene.is_well()


@pytest.mark.parametrize(
    "payload", [b"", b"\x01wrong header", b"\xff" * 30, b"\x00\xff\xff\xff", b"\x00", b"\x0a\x05short"]
)
async def test_a_message_that_cannot_be_read_gets_a_readable_answer_and_the_connection_stays(
    tmp_path: Path, payload: bytes
) -> None:
    async with a_scene(tmp_path) as scene, raw_peer(scene.url) as peer:
        await peer.open()
        for _ in range(3):
            peer.send(frame(payload))
            answer = pb.ServerToAgent.FromString(await peer.message())
            assert answer.error_response.type == pb.ServerErrorResponseType_BadRequest
            assert len(answer.error_response.error_message) > 10
        peer.send(frame(encode_frame(client_state().first_message())))
        assert not pb.ServerToAgent.FromString(await peer.message()).HasField("error_response")
        await scene.is_well()


async def test_a_frame_that_never_ends_is_refused_in_time(tmp_path: Path) -> None:
    async with a_scene(tmp_path, body_timeout=SOON) as scene, raw_peer(scene.url) as peer:
        await peer.open()
        peer.send(frame(b"\x00" + b"slow" * 10_000)[:9])
        while not scene.errors:
            peer.send(b"s")
            await scene.is_well()
        assert scene.errors == {"websocket.slow-message": 1}
        assert await peer.close_code() == 1008


async def test_a_message_that_is_kept_open_by_pings_is_refused_in_time(tmp_path: Path) -> None:
    async with a_scene(tmp_path, body_timeout=SOON) as scene, raw_peer(scene.url, limit=1 << 26) as peer:
        await peer.open()
        peer.send(frame(b"\x00", 0x02))
        while not scene.errors:
            peer.send(frame(b"", PING) * 300)
            await scene.is_well()
        assert scene.errors == {"websocket.slow-message": 1}


async def test_a_busy_peer_whose_frames_never_end_with_a_read_is_not_taken_for_a_slow_one(tmp_path: Path) -> None:
    async with a_scene(tmp_path, body_timeout=4 * SOON) as scene, raw_peer(scene.url) as peer:
        await peer.open()
        beat, loop = frame(b"\x01beat"), asyncio.get_running_loop()
        peer.send(beat[:5])
        until = loop.time() + 12 * SOON
        while loop.time() < until:
            peer.send(beat[5:] + beat[:5])
            await peer.message()
        assert set(scene.errors) == {"opamp.bad-request"}
        await scene.is_well()


async def test_an_agent_that_never_reads_gets_the_newest_configuration_when_it_does(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene, raw_peer(scene.url) as peer:
        state = client_state()
        await peer.open()
        await talk(peer, state, state.first_message())
        await scene.fleet.settle()
        await talk(peer, state, state.heartbeat())
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
        texts = [f"{number:03} " + "x" * 1_000_000 for number in range(30)]
        for text in texts:
            scene.fleet.publish(a_version(text=text), texts=(text,))
            await scene.fleet.settle()
            assert (await scene.agent.hear_config()).config is not None
            await scene.agent.hear()
        await scene.is_well()
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a transport that reads
        newest = b"configuration 1"
        seen: list[bytes] = []
        while not seen or seen[-1] != newest:
            message = pb.ServerToAgent.FromString(await peer.message())
            seen += [one.body for one in message.remote_config.config.config_map.values()]
        assert len(seen) < len(texts)
        assert scene.errors == {}


async def talk(peer: RawPeer, state: ClientState, message: bytes) -> None:
    """One message and its answer."""
    peer.send(frame(encode_frame(message)))
    state.receive(await peer.message(), 0.0)


async def test_an_agent_that_never_reads_is_dropped_in_the_end(tmp_path: Path) -> None:
    async with a_scene(tmp_path, write_timeout=SOON) as scene, raw_peer(scene.url) as peer:
        await peer.open()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
        sender = client_state()
        message = frame(encode_frame(sender.report_effective({"": EffectiveObject(b"x" * 90_000)})))
        while "websocket.not-reading" not in scene.errors:
            # Answers to a report are short, so it takes many; nothing of the peer is processed once it is stuck.
            peer.writer.write(message + frame(b"\x01") * 2_000)
            await asyncio.sleep(0)
        await scene.is_well()


@pytest.mark.parametrize("first", [PING, PONG, CONT & 0x0F])
async def test_a_flood_of_small_frames_costs_others_nothing(tmp_path: Path, first: int) -> None:
    async with a_scene(tmp_path) as scene, raw_peer(scene.url, limit=1 << 26) as peer:
        await peer.open()
        if first == CONT & 0x0F:
            peer.send(frame(b"\x00", 0x02))
        for _ in range(5):
            peer.send(frame(b"f", first) * 10_000)
            await scene.is_well()
        assert scene.errors == {}


async def test_many_half_open_peers_cost_others_nothing(tmp_path: Path) -> None:
    async with a_scene(tmp_path, first_message_timeout=SOON) as scene, AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(raw_peer(scene.url)) for _ in range(100)]
        for peer in peers:
            await peer.open()
            peer.send(frame(b"\x00half")[:7])
        await scene.is_well()
        await scene.until(lambda: scene.fleet.meters.open_links["websocket"] == 1)
        assert scene.errors == {"websocket.no-message": 100}
        await scene.is_well()


async def test_what_all_peers_together_have_begun_to_say_is_bounded(tmp_path: Path) -> None:
    async with a_scene(tmp_path, max_bytes_in_flight=400_000) as scene, AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(raw_peer(scene.url)) for _ in range(8)]
        for peer in peers:
            await peer.open()
            peer.send(frame(bytes(LIMIT))[:90_000])
        await scene.until(lambda: scene.fleet.meters.turned_away["bytes"])
        await scene.is_well()
        await scene.until(lambda: scene.fleet.meters.open_links["websocket"] == 5)
        assert scene.fleet.meters.turned_away["bytes"] == 4
        await scene.is_well()
