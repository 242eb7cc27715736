"""The other side: simulated agents on their real sockets, and a server that says what a case wants it to say.

A case is a list of exchanges: what the agent must say next, and what it is answered. Polls and heartbeats in between
are answered and passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gitsync.control.ports import AgentLink
from gitsync.lab.agent import Send, SimulatedAgent
from gitsync.lab.profile import AgentProfile, Fault, Transport
from gitsync.lab.sockets import AgentSocket, PollingAgent, WebSocketAgent
from gitsync.opamp.client import ClientState, ClientStep
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.agenthandler import Port, opamp_port
from tests.support.builders import a_uid
from tests.support.conformance import BOTH, Via


@dataclass(frozen=True)
class Exchange:
    """One message of the agent, and its answer.

    Attributes:
        only: exactly these fields are set, beside the instance uid, the number and the capabilities.
        has, lacks: fields that are set, and fields that are not.
        that: whatever else must hold of the message.
        answer: fields of the ServerToAgent; the instance uid is that of the message unless it is among them.
    """

    only: Iterable[str] | None = None
    has: Iterable[str] = ()
    lacks: Iterable[str] = ()
    that: Callable[[pb.AgentToServer], object] | None = None
    answer: Mapping[str, Any] = field(default_factory=dict)

    def check(self, said: pb.AgentToServer) -> None:
        """Raises AssertionError when the message is not as it must be."""
        fields = told(said)
        if self.only is not None:
            assert fields == set(self.only), said
        assert fields >= set(self.has), said
        assert not fields & set(self.lacks), said
        if self.that is not None:
            assert self.that(said), said


def told(said: pb.AgentToServer) -> set[str]:
    """The fields of a message that are news; none: a heartbeat or a poll."""
    return {one.name for one, _ in said.ListFields()} - {"instance_uid", "sequence_num", "capabilities"}


@dataclass(frozen=True)
class AgentCase:
    """One conversation that shows one or more rules of agents.

    Attributes:
        client: the agent's state, when it is not that of the profile.
        then: what must hold at the end; the exchanges are over.
    """

    name: str
    rules: tuple[str, ...]
    talk: tuple[Exchange, ...] = ()
    over: tuple[Via, ...] = BOTH
    fault: Fault = Fault.NONE
    client: Callable[[], ClientState] | None = None
    then: Callable[[AgentScene], Awaitable[None]] | None = None

    async def play(self, via: Via, agent: SimulatedAgent | None = None) -> None:
        """The whole conversation, with an agent as the case has it, or with this one."""
        async with agent_scene(via, self, agent) as scene:
            await scene.until(lambda: scene.position >= len(self.talk))
            scene.raise_fault()
            if self.then is not None:
                await self.then(scene)
            scene.raise_fault()


class AgentScene:
    """One conversation under way.

    Attributes:
        said: every message of the agent, oldest first.
        position: how many exchanges are over.
    """

    def __init__(self, case: AgentCase) -> None:
        self._case = case
        self._fault: AssertionError | None = None
        self.said: list[pb.AgentToServer] = []
        self.position = 0
        self.port: Port
        self.agent: SimulatedAgent
        self.socket: AgentSocket

    def reply(self, link: AgentLink, data: bytes) -> Sequence[bytes]:
        """The answer to a message of the agent."""
        said = pb.AgentToServer.FromString(data)
        self.said.append(said)
        answer: Mapping[str, Any] = {}
        expected = self._case.talk[self.position : self.position + 1]
        is_news = told(said) or self.position == 0 or (expected and expected[0].only == [])
        if expected and is_news and self._fault is None:
            self.position += 1
            answer = expected[0].answer
            try:
                expected[0].check(said)
            except AssertionError as error:
                self._fault = error
        fields = {"instance_uid": said.instance_uid, **answer}
        return (pb.ServerToAgent(**fields).SerializeToString(),)

    def raise_fault(self) -> None:
        """Raises what was wrong with a message."""
        if self._fault is not None:
            raise self._fault

    async def until(self, claim: Callable[[], object]) -> None:
        """Waits until the claim holds, or a message was wrong."""
        await self.port.handler.until(lambda: claim() or self._fault is not None)

    async def messages(self, count: int) -> None:
        """Waits until the agent has said that much more, polls and heartbeats included."""
        wanted = len(self.said) + count
        await self.until(lambda: len(self.said) >= wanted)

    @property
    def news(self) -> list[pb.AgentToServer]:
        """What the agent said, without polls and heartbeats."""
        return [one for one in self.said if told(one)]


def make_agent(fault: Fault, via: Via, *, kind: type[SimulatedAgent] = SimulatedAgent) -> SimulatedAgent:
    """A simulated Collector that is not connected yet."""
    transport = Transport.HTTP if via is Via.HTTP else Transport.WEBSOCKET
    loop = asyncio.get_running_loop()
    profile = AgentProfile(a_uid(), "lab-00001", "otelcol-agent", {"role": "agent"}, transport, fault)
    return kind(profile, later=loop.call_later, now=loop.time)


class CarelessAgent(SimulatedAgent):
    """An agent that keeps no rule: it tells nothing at first, does nothing that it is told, and repeats itself."""

    def connected(self, send: Send) -> None:
        self._speak = send
        self._left = 5
        send(pb.AgentToServer(instance_uid=self.client.uid, sequence_num=5, capabilities=1 << 40).SerializeToString())

    def receive(self, data: bytes) -> ClientStep:
        self.progress.heard += 1
        if self._left:
            self._left -= 1
            said = pb.AgentToServer(instance_uid=self.client.uid, sequence_num=5, health=pb.ComponentHealth())
            self._speak(said.SerializeToString())
        return ClientStep()

    def heartbeat(self) -> None:
        self._left = 1
        self.receive(b"")

    def goodbyes(self) -> Sequence[bytes]:
        return ()


@asynccontextmanager
async def on_socket(agent: SimulatedAgent, via: Via, url: str) -> AsyncIterator[AgentSocket]:
    """The agent on its own socket; it says goodbye at the end, and the socket is dropped."""
    socket: AgentSocket
    if via is Via.HTTP:
        socket = PollingAgent(agent, "http" + url.removeprefix("ws"), Random(1))
    else:
        socket = WebSocketAgent(agent, url, Random(1))
    async with asyncio.TaskGroup() as tasks:
        await socket.start(tasks)
        try:
            yield socket
        finally:
            socket.close()
            socket.abort()


@asynccontextmanager
async def agent_scene(via: Via, case: AgentCase, agent: SimulatedAgent | None = None) -> AsyncIterator[AgentScene]:
    """An agent of the case on its own socket, on a port that answers as the case says."""
    scene = AgentScene(case)
    async with opamp_port(scene.reply) as port:
        scene.port = port
        scene.agent = agent or make_agent(case.fault, via)
        if case.client is not None and agent is None:
            scene.agent.client = case.client()
        async with on_socket(scene.agent, via, port.url) as scene.socket:
            yield scene
