"""Rules 67 to 74: the end of connections, silence, and a server that has too much to do."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from gitsync.opamp.messages import Capability
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.protocol.conformance.cases_exchange import JOINED
from tests.support.builders import a_hash
from tests.support.conformance import (
    FULL_STATE,
    HTTP,
    SUPERVISED,
    UNAVAILABLE,
    WEBSOCKET,
    Case,
    Closes,
    Drop,
    Hear,
    Known,
    Later,
    Publish,
    Quiet,
    Say,
    Settle,
    beat,
    described,
    full,
    in_code,
    message,
)
from tests.support.conformance_scene import Scene

GOODBYE = message(agent_disconnect=pb.AgentDisconnect())
LIMITED = {"agents": {"max_agents": 1}}

LIFECYCLE = (
    Case(
        "an agent that says goodbye is gone at once, and welcome again",
        ("67",),
        (
            *JOINED,
            Known("connected", True),
            Say(GOODBYE),
            Hear(),
            Known("connected", False),
            Say(beat()),
            Hear(flags=0),
            Known("connected", True),
        ),
    ),
    Case(
        "a goodbye that is said twice is answered twice",
        ("67", "23"),
        (*JOINED, Say(GOODBYE), Hear(), Say(GOODBYE), Hear(), Known("connected", False)),
    ),
    Case(
        "an agent that said goodbye is offered nothing",
        ("67", "36"),
        (*JOINED, Say(beat()), Hear(), Say(GOODBYE), Hear(), Publish("a"), Quiet(), Say(beat()), Hear()),
    ),
    Case(
        "a goodbye of one agent leaves the others of its connection",
        ("67", "73"),
        (
            *JOINED,
            Say(full(), by="b"),
            Hear(to="b"),
            Settle(),
            Say(GOODBYE),
            Hear(),
            Known("connected", False),
            Known("connected", True, of="b"),
            Say(beat(), by="b"),
            Hear(to="b", only=[]),
        ),
    ),
    Case(
        "a broken connection takes all its agents with it",
        ("68",),
        (
            *JOINED,
            Say(full(), by="b"),
            Hear(to="b"),
            Drop(),
            Known("connected", False),
            Known("connected", False, of="b"),
        ),
        over=WEBSOCKET,
    ),
    Case(
        "over HTTP a socket that ends says nothing about the agent",
        ("70",),
        (*JOINED, Drop(), Known("connected", True), Say(beat()), Hear(flags=0)),
        over=HTTP,
    ),
    Case(
        "over HTTP missed polls make an agent count as gone",
        ("70", "50"),
        (*JOINED, Later(80), Known("connected", True), Later(200), Known("connected", False), Say(beat()), Hear()),
        over=HTTP,
    ),
    Case(
        "an agent without heartbeats may be silent for as long as its WebSocket is there",
        ("50",),
        (*JOINED, Later(10_000), Known("connected", True), Say(beat()), Hear(flags=0)),
        over=WEBSOCKET,
    ),
    Case(
        "an agent whose heartbeats fail to come counts as gone, and its connection is closed",
        ("50", "69"),
        (
            Say(full(SUPERVISED | Capability.REPORTS_HEARTBEAT)),
            Hear(),
            Settle(),
            Later(80),
            Known("connected", True),
            Later(200),
            Closes(1001),
        ),
        over=WEBSOCKET,
    ),
    Case(
        "any message counts as a heartbeat",
        ("50",),
        (
            Say(full(SUPERVISED | Capability.REPORTS_HEARTBEAT)),
            Hear(),
            Settle(),
            Later(110),
            Say(message(SUPERVISED | Capability.REPORTS_HEARTBEAT, health=pb.ComponentHealth(healthy=False))),
            Hear(),
            Later(110),
            Known("connected", True),
        ),
    ),
    Case(
        "an agent more than the server takes is told UNAVAILABLE, the others are served",
        ("71",),
        (
            *JOINED,
            Say(full(), by="b"),
            Hear(to="b", error=UNAVAILABLE),
            Say(beat()),
            Hear(only=[]),
        ),
        server=LIMITED,
    ),
    Case(
        "agents that share a connection count for themselves",
        ("73", "20"),
        (
            Say(full(), by="a", seq=5),
            Hear(to="a", flags=0),
            Say(full(agent_description=described(host_name="beta")), by="b", seq=100),
            Hear(to="b", flags=0),
            Settle(),
            Say(beat(), by="a", seq=6),
            Hear(to="a", flags=0),
            Say(beat(), by="b", seq=101),
            Hear(to="b", flags=0),
            Say(beat(), by="a", seq=9),
            Hear(to="a", flags=FULL_STATE),
            Say(beat(), by="b", seq=102),
            Hear(to="b", flags=0),
            Known("agent.name", "alpha"),
            Known("agent.name", "beta", of="b"),
        ),
    ),
    Case(
        "agents that share a connection are each offered their configuration",
        ("73", "44"),
        (
            *JOINED,
            Say(full(), by="b"),
            Hear(to="b"),
            Settle(),
            Publish("a"),
            Say(beat()),
            Hear(config=a_hash("a")),
            Say(beat(), by="b"),
            Hear(to="b", config=a_hash("a")),
            Quiet(),
        ),
    ),
)


@in_code("a server that stops closes its WebSockets by the handshake", "69", over=WEBSOCKET)
async def leaving(scene: Scene) -> None:
    await Say(full()).play(scene)
    await Hear().play(scene)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(scene.stop(timedelta(seconds=5)), name="stop")
        assert await (await scene.peer("main")).close_code() == 1001


CASES = (*LIFECYCLE, leaving)
