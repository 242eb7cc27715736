"""Rules A1 to A15: what simulated agents do, on their real sockets."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import h11

from gitsync.ids import show_uid
from gitsync.lab import sockets
from gitsync.lab.agent import KEEPS_ITS_SERVER
from gitsync.lab.profile import Fault
from gitsync.opamp.client import ClientState
from gitsync.opamp.messages import Capability, Component, ComponentHealth
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.builders import a_uid
from tests.support.conformance import (
    APPLIED,
    APPLYING,
    BAD_REQUEST,
    COMPONENTS,
    FAILED,
    FULL_STATE,
    HTTP,
    SUPERVISED,
    UNAVAILABLE,
    WEBSOCKET,
    Via,
)
from tests.support.conformance_agent import AgentCase, AgentScene, Exchange, make_agent, on_socket, told
from tests.support.service import until

DEFINED = 0xFFFF
PATIENCE_SECONDS = 10.0
EVERYTHING = {"agent_description", "health", "effective_config", "remote_config_status"}
OFFER = pb.AgentRemoteConfig(
    config_hash=b"hash-1",
    config=pb.AgentConfigMap(config_map={"collector.yaml": pb.AgentConfigObject(body=b"receivers: {}\n")}),
)
OTHER_OFFER = pb.AgentRemoteConfig(
    config_hash=b"hash-2",
    config=pb.AgentConfigMap(config_map={"collector.yaml": pb.AgentConfigObject(body=b"exporters: {}\n")}),
)
RESTART = pb.ServerToAgentCommand(type=pb.CommandType_Restart)


def is_status(state: int, config_hash: bytes = b"hash-1") -> Exchange:
    """The agent says this of a configuration."""
    return Exchange(
        ["remote_config_status"],
        that=lambda said: (
            (said.remote_config_status.status, said.remote_config_status.last_remote_config_hash)
            == (state, config_hash)
        ),
    )


TAKES = (is_status(APPLYING), Exchange(["effective_config"]), is_status(APPLIED))
"""An agent takes the offer."""


def rich_client() -> ClientState:
    """An agent with components and a custom capability."""
    return ClientState(
        a_uid(),
        {"service.name": "otelcol"},
        {},
        SUPERVISED | int(Capability.REPORTS_AVAILABLE_COMPONENTS),
        custom_capabilities=["org.example.x"],
        components={"receivers": Component({}, {"otlp": Component()})},
        components_hash=b"build",
        health=ComponentHealth(healthy=True),
    )


def connection(endpoint: str, heartbeat: int = 1) -> pb.ConnectionSettingsOffers:
    """An offer for OpAMP itself."""
    opamp = pb.OpAMPConnectionSettings(destination_endpoint=endpoint, heartbeat_interval_seconds=heartbeat)
    return pb.ConnectionSettingsOffers(hash=b"settings-1", opamp=opamp)


def is_connection_status(state: int, error: str = "") -> Exchange:
    """The agent says this of connection settings."""
    return Exchange(
        ["connection_settings_status"],
        that=lambda said: (
            (
                said.connection_settings_status.status,
                said.connection_settings_status.last_connection_settings_hash,
                said.connection_settings_status.error_message,
            )
            == (state, b"settings-1", error)
        ),
    )


async def numbers_rise(scene: AgentScene) -> None:
    assert [one.sequence_num for one in scene.said] == list(range(len(scene.said)))


async def nothing_more(scene: AgentScene) -> None:
    """A server that repeats itself makes the agent say no more than polls and heartbeats."""
    count = len(scene.news)
    offer = pb.ServerToAgent(instance_uid=scene.agent.client.uid, remote_config=OFFER).SerializeToString()
    heard = scene.agent.progress.heard
    for _ in range(3):
        scene.agent.receive(offer)
    scene.agent.progress.heard = heard  # those did not come from the port
    await says_nothing_again(scene)
    assert len(scene.news) == count
    await numbers_rise(scene)


async def goodbye(scene: AgentScene) -> None:
    scene.socket.close()
    await scene.until(lambda: told(scene.said[-1]) == {"agent_disconnect"})
    await scene.until(lambda: not scene.port.handler.open)
    assert sum(one.HasField("agent_disconnect") for one in scene.said) == 1
    assert scene.port.errors == {}


async def comes_back(scene: AgentScene) -> None:
    """It comes back, says only that it is there, and its numbers go on."""
    await scene.until(lambda: len(scene.port.handler.links) >= 2 and not told(scene.said[-1]))
    assert scene.said[-1].sequence_num == len(scene.said) - 1
    assert sum(one.HasField("agent_disconnect") for one in scene.said) == 1


async def uses_new_uid(scene: AgentScene) -> None:
    await until(lambda: scene.agent.client.uid == bytes(range(16)))
    scene.agent.heartbeat()
    await scene.messages(1)
    assert {one.instance_uid for one in scene.said[1:]} == {bytes(range(16))}


async def polls_on(scene: AgentScene) -> None:
    await scene.messages(2)
    assert not any(told(one) for one in scene.said[-2:])


async def beats_on(scene: AgentScene) -> None:
    """Two heartbeats come by themselves, one second apart, because that was offered."""
    assert scene.agent.client.heartbeat_seconds == 1
    began = asyncio.get_running_loop().time()
    await scene.messages(2)
    assert asyncio.get_running_loop().time() - began >= 1.0
    assert not any(told(one) for one in scene.said[-2:])


async def offer_its_own_server(scene: AgentScene) -> None:
    """The offer names the address that the agent was started with."""
    offers = connection(scene.port.url)
    offer = pb.ServerToAgent(instance_uid=scene.agent.client.uid, connection_settings=offers)
    scene.agent.receive(offer.SerializeToString())
    await scene.until(lambda: sum(one.HasField("connection_settings_status") for one in scene.said) >= 2)
    for expected, said in zip((APPLYING, APPLIED), scene.news[-2:], strict=True):
        is_connection_status(expected).check(said)
    await beats_on(scene)


async def says_nothing_again(scene: AgentScene) -> None:
    """What the agent was answered last makes it say no more than heartbeats."""
    count = len(scene.news)
    for _ in range(2):
        # When a heartbeat's answer is there, all answers before it are; what they made it say comes before the next.
        before = len(scene.said)
        scene.agent.heartbeat()
        await until(lambda before=before: scene.agent.progress.heard > before, PATIENCE_SECONDS)  # type: ignore[misc]
    assert len(scene.news) == count
    assert scene.said[-1].sequence_num == len(scene.said) - 1


async def post_head(scene: AgentScene) -> None:
    """What a POST looks like, from the side of a server that answers late."""
    posts: asyncio.Queue[tuple[dict[bytes, bytes], bytes]] = asyncio.Queue()
    answered = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER)
        headers: dict[bytes, bytes] = {}
        body = b""
        while data := await reader.read(1 << 16):
            http.receive_data(data)
            while (event := http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                match event:
                    case h11.Request():
                        headers, body = dict(event.headers), b""
                    case h11.Data():
                        body += event.data
                    case h11.EndOfMessage():
                        assert http.trailing_data[0] == b""
                        posts.put_nowait((headers, body))
                        await answered.wait()
                        writer.write(_answered(http, body, remote_config=OFFER))
                        http.start_next_cycle()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/opamp"
    agent = make_agent(Fault.NONE, Via.HTTP)
    async with server, asyncio.timeout(10), on_socket(agent, Via.HTTP, url):
        headers, body = await posts.get()
        assert headers[b"content-type"] == b"application/x-protobuf"
        assert b"content-encoding" not in headers
        assert headers[b"opamp-instance-uid"].decode() == show_uid(agent.client.uid)
        assert str(uuid.UUID(headers[b"opamp-instance-uid"].decode()))
        assert pb.AgentToServer.FromString(body).HasField("agent_description")
        agent.heartbeat()
        agent.heartbeat()
        answered.set()
        numbers = [pb.AgentToServer.FromString((await posts.get())[1]).sequence_num for _ in range(4)]
        assert numbers == [1, 2, 3, 4]


def _answered(http: h11.Connection, body: bytes, **fields: object) -> bytes:
    uid = pb.AgentToServer.FromString(body).instance_uid
    answer = pb.ServerToAgent(instance_uid=uid, **fields).SerializeToString()  # type: ignore[arg-type]  # by name
    head = h11.Response(status_code=200, headers=[("Content-Length", str(len(answer)))])
    return b"".join(http.send(one) or b"" for one in (head, h11.Data(data=answer), h11.EndOfMessage()))


async def too_large(scene: AgentScene) -> None:
    """A server announces a message over the limit: the agent closes, and reads nothing of it."""
    closed = asyncio.get_running_loop().create_future()
    size = sockets.MAX_MESSAGE_BYTES + 1

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            writer.write(await _upgraded(head))
            await reader.read(1 << 16)
            writer.write(b"\x82\x7f" + size.to_bytes(8, "big"))
        else:
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        rest = b""
        try:
            while data := await reader.read(1 << 16):
                rest = data
        except ConnectionError:
            pass
        if not closed.done():
            closed.set_result((head, rest))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/opamp"
    via = Via.HTTP if isinstance(scene.socket, sockets.PollingAgent) else Via.WEBSOCKET
    async with server, asyncio.timeout(10), on_socket(make_agent(Fault.NONE, via), via, url):
        head, rest = await closed
    if head.startswith(b"GET"):
        code = bytes(one ^ rest[2 + at % 4] for at, one in enumerate(rest[6:8]))
        assert (rest[0], int.from_bytes(code, "big")) == (0x88, 1009)


async def _upgraded(head: bytes) -> bytes:
    from websockets.datastructures import Headers
    from websockets.http11 import Request
    from websockets.server import ServerProtocol

    lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line]
    protocol = ServerProtocol()
    protocol.send_response(protocol.accept(Request("/v1/opamp", Headers([(one[0], one[1]) for one in lines]))))
    return b"".join(protocol.data_to_send())


async def retry_after(scene: AgentScene) -> None:
    """A server that has no time says 503 and one second: the agent comes back after it, and not before."""
    times: list[float] = []
    loop = asyncio.get_running_loop()
    twice = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        times.append(loop.time())
        writer.write(b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        if len(times) == 2:
            twice.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/opamp"
    via = Via.HTTP if isinstance(scene.socket, sockets.PollingAgent) else Via.WEBSOCKET
    async with server, asyncio.timeout(10), on_socket(make_agent(Fault.NONE, via), via, url):
        await twice.wait()
    assert times[1] - times[0] >= 0.99


_WAIT = pb.ServerErrorResponse(
    type=UNAVAILABLE,  # type: ignore[arg-type]  # a number of the wire
    error_message="busy",
    retry_info=pb.RetryInfo(retry_after_nanoseconds=timedelta(seconds=1) // timedelta(microseconds=1) * 1000),
)
_BAD = pb.ServerErrorResponse(type=BAD_REQUEST, error_message="what?")  # type: ignore[arg-type]  # a number of the wire

CASES = (
    AgentCase("a POST has its headers, and only one is in flight", ("A1",), over=HTTP, then=post_head),
    AgentCase("an agent that polls goes on polling", ("A1",), (Exchange(EVERYTHING),), over=HTTP, then=polls_on),
    AgentCase(
        "the first message tells everything",
        ("A2",),
        (
            Exchange(
                EVERYTHING,
                that=lambda said: said.sequence_num == 0 and said.capabilities & 1 and not said.capabilities & ~DEFINED,
            ),
        ),
    ),
    AgentCase(
        "a message to a server that repeats itself is a heartbeat at most",
        ("A3", "A7"),
        (Exchange(EVERYTHING, answer={"remote_config": OFFER}), *TAKES),
        then=nothing_more,
    ),
    AgentCase(
        "what is told is only what changed",
        ("A3",),
        (
            Exchange(EVERYTHING, answer={"remote_config": OFFER}),
            *TAKES[:2],
            Exchange(["remote_config_status"], answer={"remote_config": OTHER_OFFER}),
            is_status(APPLYING, b"hash-2"),
            Exchange(["effective_config"]),
            is_status(APPLIED, b"hash-2"),
        ),
        then=numbers_rise,
    ),
    AgentCase(
        "asked for everything, the agent tells everything",
        ("A4",),
        (Exchange(EVERYTHING, answer={"flags": FULL_STATE}), Exchange(EVERYTHING)),
        then=numbers_rise,
    ),
    AgentCase(
        "components are told by their hash, and whole when they are asked for",
        ("A4",),
        (
            Exchange(
                has=["available_components", "custom_capabilities"],
                that=lambda said: not said.available_components.components,
                answer={"flags": COMPONENTS},
            ),
            Exchange(
                ["available_components"],
                that=lambda said: "otlp" in said.available_components.components["receivers"].sub_component_map,
                answer={"flags": FULL_STATE},
            ),
            Exchange(
                [*EVERYTHING, "available_components", "custom_capabilities"],
                that=lambda said: said.available_components.components,
            ),
        ),
        client=rich_client,
    ),
    AgentCase(
        "a new instance uid is used from the next message on",
        ("A5",),
        (
            Exchange(
                EVERYTHING,
                answer={"agent_identification": pb.AgentIdentification(new_instance_uid=bytes(range(16)))},
            ),
        ),
        then=uses_new_uid,
    ),
    AgentCase(
        "a configuration is APPLYING, then runs, then is APPLIED",
        ("A6",),
        (Exchange(EVERYTHING, answer={"remote_config": OFFER}), *TAKES),
    ),
    AgentCase(
        "a configuration that does not work is FAILED, with a reason and bad health",
        ("A6",),
        (
            Exchange(EVERYTHING, answer={"remote_config": OFFER}),
            *TAKES[:2],
            Exchange(["remote_config_status"], answer={"remote_config": OTHER_OFFER}),
            is_status(APPLYING, b"hash-2"),
            Exchange(["health"], that=lambda said: not said.health.healthy and said.health.last_error),
            Exchange(
                ["remote_config_status"],
                that=lambda said: (
                    said.remote_config_status.status == FAILED
                    and said.remote_config_status.last_remote_config_hash == b"hash-2"
                    and said.remote_config_status.error_message
                ),
            ),
        ),
        fault=Fault.FAILS,
    ),
    AgentCase(
        "an agent that takes no configuration ignores offers",
        ("A6",),
        (
            Exchange(
                EVERYTHING,
                that=lambda said: not said.capabilities & Capability.ACCEPTS_REMOTE_CONFIG,
                answer={"remote_config": OFFER},
            ),
        ),
        fault=Fault.READ_ONLY,
        then=says_nothing_again,
    ),
    AgentCase(
        "settings of another server are refused with a reason",
        ("A8",),
        (
            Exchange(EVERYTHING, answer={"connection_settings": connection("wss://elsewhere.example/v1/opamp")}),
            is_connection_status(APPLYING),
            is_connection_status(FAILED, KEEPS_ITS_SERVER),
        ),
        client=lambda: ClientState(
            a_uid(),
            {"service.name": "otelcol"},
            {},
            SUPERVISED
            | int(Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS | Capability.REPORTS_CONNECTION_SETTINGS_STATUS),
        ),
        then=says_nothing_again,
    ),
    AgentCase(
        "the heartbeat that was offered is kept, counted from the last message",
        ("A8", "A9"),
        (Exchange(EVERYTHING),),
        client=lambda: ClientState(
            a_uid(),
            {"service.name": "otelcol"},
            {},
            SUPERVISED
            | int(Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS | Capability.REPORTS_CONNECTION_SETTINGS_STATUS),
        ),
        then=offer_its_own_server,
    ),
    AgentCase(
        "an agent that does not accept settings ignores them",
        ("A8",),
        (Exchange(EVERYTHING, answer={"connection_settings": connection("wss://elsewhere.example/v1/opamp")}),),
        then=says_nothing_again,
    ),
    AgentCase(
        "a command is executed, and the rest of its message is ignored",
        ("A11",),
        (
            Exchange(EVERYTHING, answer={"command": RESTART, "remote_config": OFFER}),
            Exchange(["health"], that=lambda said: not said.health.healthy),
            Exchange(["health"], that=lambda said: said.health.healthy),
            Exchange(EVERYTHING),
        ),
        then=says_nothing_again,
    ),
    AgentCase(
        "the last message says goodbye, and then the connection is closed",
        ("A12",),
        (Exchange(EVERYTHING),),
        then=goodbye,
    ),
    AgentCase(
        "a server without time is left alone for as long as it says",
        ("A13",),
        (Exchange(EVERYTHING, answer={"error_response": _WAIT}),),
        over=WEBSOCKET,
        then=comes_back,
    ),
    AgentCase("a Retry-After is kept", ("A13",), then=retry_after),
    AgentCase(
        "what was a bad request is not sent again",
        ("A13",),
        (Exchange(EVERYTHING, answer={"error_response": _BAD}),),
        then=says_nothing_again,
    ),
    AgentCase("a message over the limit ends the connection", ("A14",), then=too_large),
)
