"""Where conversations of the conformance suite are played: a whole server, and the sockets of agents."""

from __future__ import annotations

import asyncio
import gzip
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from gitsync.bundle.version import TargetVersion
from gitsync.control.agents import AgentOptions
from gitsync.ids import AgentUid
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.wire import encode_frame
from gitsync.server.opamp import ListenerOptions, OpampListener
from tests.support.builders import a_uid, a_version
from tests.support.clock import ManualClock
from tests.support.conformance import Via
from tests.support.fleet import FleetUnderTest, a_fleet
from tests.support.rawpeer import BINARY, CLOSE, PING, PONG, RawPeer, Response, frame, post, raw_peer

SETTLED_ROUNDS = 5
"""How often in a row nothing may be queued, so that what one piece of work asks of another is seen."""
MEDIA_TYPE = "application/x-protobuf"


class Sender:
    """An agent of the suite: its instance uid, and the number of its next message."""

    def __init__(self, uid: AgentUid) -> None:
        self.uid = uid
        self.next_seq = 0

    def sign(self, message: pb.AgentToServer, seq: int | None = None, uid: bytes | None = None) -> bytes:
        """The bytes of a message of this agent."""
        number = self.next_seq if seq is None else seq
        self.next_seq = number + 1
        signed = pb.AgentToServer()
        signed.CopyFrom(message)
        signed.instance_uid = self.uid if uid is None else uid
        signed.sequence_num = number
        return signed.SerializeToString()


class Peer:
    """One socket of an agent.

    Attributes:
        raw: for cases in code.
    """

    def __init__(self, raw: RawPeer, via: Via) -> None:
        self.raw = raw
        self.via = via
        self._owed = 0

    async def say(self, body: bytes, headers: Sequence[str] = ()) -> None:
        """One message, as a frame or as a POST."""
        if self.via is Via.WEBSOCKET:
            self.raw.send(frame(encode_frame(body)))
        else:
            self.post(body, headers)
        await self.raw.writer.drain()

    def post(self, body: bytes, headers: Sequence[str] = (), content_type: str = MEDIA_TYPE) -> None:
        """A request."""
        self._owed += 1
        self.raw.send(post(body, *headers, content_type=content_type))

    def write(self, data: bytes) -> None:
        """Whatever bytes."""
        self.raw.send(data)

    async def hear(self) -> pb.ServerToAgent:
        """The next message of the server, whose transport must be right in every detail."""
        if self.via is Via.WEBSOCKET:
            first, payload = await self._frame()
            assert (first, payload[:1]) == (BINARY, b"\x00"), (first, payload)
            return pb.ServerToAgent.FromString(payload[1:])
        response = await self.response()
        assert response.status == 200, (response.status, response.body)
        assert response.headers["content-type"] == MEDIA_TYPE, response.headers
        is_gzip = response.headers.get("content-encoding") == "gzip"
        return pb.ServerToAgent.FromString(gzip.decompress(response.body) if is_gzip else response.body)

    async def response(self) -> Response:
        """The next response."""
        response = await self.raw.response()
        self._owed -= 1
        return response

    async def _frame(self) -> tuple[int, bytes]:
        """The next frame that is no ping; those are answered."""
        while True:
            first, payload = await self.raw.frame()
            if first != PING:
                return first, payload
            self.raw.send(frame(payload, PONG))

    async def frame(self) -> tuple[int, bytes]:
        """The next frame."""
        return await self.raw.frame()

    async def close_code(self) -> int:
        """Of the Close frame that must be next; it is answered, and then the server closes the socket."""
        first, payload = await self._frame()
        assert first == CLOSE, (first, payload)
        self.raw.send(frame(payload[:2], CLOSE))
        await self.raw.end()
        return int.from_bytes(payload[:2], "big")

    async def nothing_waits(self) -> None:
        """AssertionError when the server has said more than was heard."""
        if self.via is Via.WEBSOCKET:
            self.raw.send(frame(b"anything?", PING))
            heard = await self._frame()
            assert heard == (PONG, b"anything?"), heard
        else:
            assert self._owed == 0


class Scene:
    """One conversation under way.

    Attributes:
        via: the transport of this run.
        heard: every message of the server that was looked at, oldest first.
        fleet: the server behind the port; None when a foreign server is talked to.
    """

    def __init__(self, via: Via, url: str, fleet: FleetUnderTest | None) -> None:
        self.via = via
        self.url = url
        self.fleet = fleet
        self.heard: list[pb.ServerToAgent] = []
        self._agents: dict[str, Sender] = {}
        self._peers: dict[tuple[str, Via], Peer] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Scene:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._open.aclose()

    # ── Agents ──────────────────────────────────────────────────────────────────────────────────────────────

    def agent(self, name: str) -> Sender:
        """The agent of this name."""
        if name not in self._agents:
            self._agents[name] = Sender(a_uid(1 + sum(ord(one) << 8 * at for at, one in enumerate(name))))
        return self._agents[name]

    def uid(self, of: str | bytes) -> bytes:
        """The instance uid of an agent; b"" of the agent ""."""
        return of if isinstance(of, bytes) else self.agent(of).uid if of else b""

    async def peer(self, name: str, via: Via | None = None) -> Peer:
        """The socket of this name; opened when it is not there yet, with the upgrade for a WebSocket."""
        key = (name, via or self.via)
        if key not in self._peers:
            peer = Peer(await self._open.enter_async_context(raw_peer(self.url, limit=1 << 24)), key[1])
            if key[1] is Via.WEBSOCKET:
                await peer.raw.open()
            self._peers[key] = peer
        return self._peers[key]

    async def drop(self, name: str) -> None:
        """The socket breaks; what is said next is said on a new one."""
        peer = self._peers.pop((name, self.via))
        peer.raw.writer.transport.abort()
        await self._until_gone(peer)

    async def _until_gone(self, peer: Peer) -> None:
        if self.fleet is None or peer.via is Via.HTTP:
            return
        before = len(self._peers)
        async with asyncio.timeout(10):
            while self.fleet.meters.open_links["websocket"] > before:
                await asyncio.sleep(0)

    # ── The server ──────────────────────────────────────────────────────────────────────────────────────────

    async def settle(self) -> None:
        """What is queued is done, and so is what that queued."""
        if self.fleet is None:
            return
        async with asyncio.timeout(10):
            for _ in range(SETTLED_ROUNDS):
                while not self.fleet.agents.idle:
                    await asyncio.sleep(0.0005)
                await asyncio.sleep(0)

    def publish(self, text: str | None, **changes: Any) -> None:
        """Every agent is to have this text; None: nobody has a target."""
        if self.fleet is None:
            return
        versions: list[TargetVersion] = []
        if text is not None:
            versions.append(replace(a_version(text=text), **changes))
        self.fleet.publish(*versions, texts=[] if text is None else [text])

    def advance(self, seconds: float) -> None:
        """Time passes."""
        if self.fleet is not None:
            self.fleet.clock.advance(seconds)
            self.fleet.agents.check()

    def command_restart(self, name: str) -> None:
        """Somebody tells the agent to restart."""
        if self.fleet is not None:
            self.fleet.agents.restart(self.agent(name).uid)

    def known(self, name: str, path: str) -> object:
        """What the server knows of an agent."""
        assert self.fleet is not None, "nothing is known of a foreign server"
        found: Any = self.fleet.agents.get(self.agent(name).uid)
        for part in path.split("."):
            found = found[part] if isinstance(found, Mapping) else getattr(found, part)
        return found

    def faults(self) -> Mapping[str, int]:
        """What the server recorded, by code."""
        assert self.fleet is not None, "nothing is known of a foreign server"
        return dict(self.fleet.meters.protocol_errors)

    async def restart(self) -> None:
        """Another server takes the place of this one."""
        raise AssertionError("this server cannot be restarted")

    async def stop(self, drain: timedelta) -> None:
        """The server begins to stop; agents have this long to say goodbye."""
        raise AssertionError("this server cannot be stopped")


class OwnServer(Scene):
    """A conversation with our server."""

    def __init__(self, via: Via, database: Path, server: Mapping[str, Any]) -> None:
        super().__init__(via, "", None)
        self._database = database
        self._options = dict(server)
        self._clock = ManualClock()
        self._published: tuple[str | None, dict[str, Any]] | None = None
        self._server = AsyncExitStack()

    async def __aenter__(self) -> Scene:
        await self._start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await super().__aexit__()
        await self._server.aclose()

    async def _start(self) -> None:
        agents = AgentOptions("replica-1", **self._options.get("agents", {}))
        options = ListenerOptions(tick=timedelta(milliseconds=20), **self._options.get("listener", {}))
        extensions = [make() for make in self._options.get("extensions", ())]
        self.fleet = await self._server.enter_async_context(
            a_fleet(self._database, self._clock, options=agents, extensions=extensions)
        )
        self._listener = OpampListener(options, self.fleet.agents, self.fleet.meters)
        await self._listener.start()
        self._server.push_async_callback(self._listener.stop, 0.0)
        self.url = self._listener.url

    def publish(self, text: str | None, **changes: Any) -> None:
        self._published = (text, changes)
        super().publish(text, **changes)

    async def stop(self, drain: timedelta) -> None:
        await self._listener.stop(drain.total_seconds())

    async def restart(self) -> None:
        self._peers.clear()
        await self._open.aclose()
        await self._server.aclose()
        self._open, self._server = AsyncExitStack(), AsyncExitStack()
        await self._start()
        if self._published is not None:
            text, changes = self._published
            self.publish(text, **changes)


async def make_database(path: Path) -> None:
    """An empty database with all tables, to be copied: making one takes longer than most conversations."""
    async with a_fleet(path):
        pass


@asynccontextmanager
async def open_scene(via: Via, empty: Path, directory: Path, server: Mapping[str, Any]) -> AsyncIterator[Scene]:
    """A whole server for one conversation.

    Args:
        via: the transport.
        empty: from `make_database`.
        directory: for the database of this one.
        server: `listener`: options of `ListenerOptions`; `agents`: those of `AgentOptions`; `extensions`: what makes
            the extensions that it serves.
    """
    database = directory / "gitsync.db"
    shutil.copyfile(empty, database)
    async with OwnServer(via, database, server) as scene:
        yield scene
