"""The sockets of simulated agents, against the real port for agents and against servers that behave badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from gitsync.control.ports import AgentLink
from gitsync.errors import SettingsError
from gitsync.lab import sockets
from gitsync.lab.fleet import SimulatedFleet
from gitsync.lab.profile import Fault, Transport, make_profiles
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.agenthandler import Port, opamp_port

PATIENCE_SECONDS = 10.0
BOTH = pytest.mark.parametrize("transport", list(Transport))


def acknowledge(link: AgentLink, data: bytes) -> Sequence[bytes]:
    return (pb.ServerToAgent(instance_uid=pb.AgentToServer.FromString(data).instance_uid).SerializeToString(),)


def offer(link: AgentLink, data: bytes) -> Sequence[bytes]:
    """Offers the same configuration whenever an agent says anything."""
    message = pb.ServerToAgent(instance_uid=pb.AgentToServer.FromString(data).instance_uid)
    message.remote_config.config_hash = b"h" * 32
    message.remote_config.config.config_map["collector.yaml"].body = b"receivers: {}\n" * 9_000
    return (message.SerializeToString(),)


def said(port: Port) -> list[pb.AgentToServer]:
    return [pb.AgentToServer.FromString(one) for one in port.handler.messages]


@asynccontextmanager
async def fleet_on(
    url: str, count: int = 1, *, transport: Transport = Transport.WEBSOCKET, fault: Fault = Fault.NONE
) -> AsyncIterator[SimulatedFleet]:
    share = 1.0 if transport is Transport.HTTP else 0.0
    profiles = make_profiles(count, http_share=share, faults={fault: count} if fault is not Fault.NONE else None)
    fleet, stop = SimulatedFleet(profiles, url), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fleet.run(stop), name="fleet")
        try:
            yield fleet
        finally:
            stop.set()


async def until(claim: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not claim():
            await asyncio.sleep(0.005)


@BOTH
async def test_agents_connect_and_describe_themselves(transport: Transport) -> None:
    async with opamp_port(acknowledge) as port, fleet_on(port.url, 30, transport=transport) as fleet:
        await until(lambda: fleet.connected() == 30)

        first = {one.instance_uid: one for one in reversed(said(port))}
        assert len(first) == 30
        assert all(one.HasField("agent_description") for one in first.values())
        assert {one.transport for one in port.handler.links} == {str(transport)}


@pytest.mark.parametrize(
    ("text", "date", "seconds"),
    [
        (None, None, 0.0),
        ("45", None, 45.0),
        ("-1", None, 0.0),
        ("100000", None, sockets.MAX_RETRY_AFTER_SECONDS),
        ("Sat, 21 Nov 2026 12:00:40 GMT", "Sat, 21 Nov 2026 12:00:00 GMT", 40.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", "Sat, 21 Nov 2026 12:00:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 12:00:40 GMT", None, 0.0),
        ("soon", "Sat, 21 Nov 2026 12:00:00 GMT", 0.0),
    ],
)
def test_a_time_to_wait_is_a_number_or_an_instant_by_the_servers_clock(
    text: str | None, date: str | None, seconds: float
) -> None:
    assert sockets.retry_after_seconds(text, date) == seconds


@pytest.mark.parametrize(
    ("fault", "goodbyes"), [(Fault.NONE, 1), (Fault.NO_GOODBYE, 0), (Fault.DOUBLE_GOODBYE, 2)], ids=str
)
async def test_how_an_agent_leaves_follows_from_its_fault(fault: Fault, goodbyes: int) -> None:
    async with opamp_port(acknowledge) as port:
        async with fleet_on(port.url, fault=fault) as fleet:
            await until(lambda: fleet.connected() == 1)
        assert sum(one.HasField("agent_disconnect") for one in said(port)) == goodbyes


async def test_an_agent_with_the_quirk_reconnects_on_every_offer_of_connection_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offers(link: AgentLink, data: bytes) -> Sequence[bytes]:
        message = pb.ServerToAgent(instance_uid=pb.AgentToServer.FromString(data).instance_uid)
        message.connection_settings.hash = str(len(port.handler.links)).encode()
        message.connection_settings.opamp.destination_endpoint = port.url
        message.connection_settings.opamp.heartbeat_interval_seconds = 30
        return (message.SerializeToString(),)

    monkeypatch.setattr(sockets, "FIRST_BACKOFF_SECONDS", 0.01)
    async with opamp_port(offers) as port, fleet_on(port.url, fault=Fault.RECONNECTS):
        await until(lambda: len(port.handler.links) >= 3)
        statuses = [one.connection_settings_status.status for one in said(port)]
        assert statuses.count(1) >= 2


@BOTH
async def test_an_offer_is_applied_and_said_so(transport: Transport) -> None:
    async with opamp_port(offer) as port, fleet_on(port.url, transport=transport) as fleet:
        await until(lambda: fleet.agents[0].progress.applied)
        await until(lambda: any(one.remote_config_status.status == 1 for one in said(port)))

        assert fleet.agents[0].progress.offers == 1
        statuses = [one.remote_config_status.status for one in said(port) if one.HasField("remote_config_status")]
        assert statuses[-2:] == [2, 1]


@BOTH
async def test_agents_say_goodbye(transport: Transport) -> None:
    async with opamp_port(acknowledge) as port:
        async with fleet_on(port.url, 5, transport=transport) as fleet:
            await until(lambda: fleet.connected() == 5)
        await port.handler.until(lambda: not port.handler.open)

        assert sum(one.HasField("agent_disconnect") for one in said(port)) == 5


@BOTH
async def test_agents_come_back_when_the_server_does(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(sockets, "MAX_BACKOFF_SECONDS", 0.05)
    async with opamp_port(acknowledge) as port:
        async with fleet_on(port.url, 3, transport=transport) as fleet:
            await until(lambda: fleet.connected() == 3)
            await port.listener.stop(0.0)
            await until(lambda: fleet.connected() == 0)

            async with opamp_port(acknowledge, port=port.listener.port) as second:
                await until(lambda: fleet.connected() == 3)
                assert not said(second)[0].HasField("agent_description")
                assert said(second)[0].sequence_num > 0


async def test_a_polling_agent_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "POLL_SECONDS", 0.01)
    async with opamp_port(acknowledge) as port, fleet_on(port.url, transport=Transport.HTTP):
        await port.handler.until(lambda: len(port.handler.messages) >= 4)

        assert [one.sequence_num for one in said(port)[:4]] == [0, 1, 2, 3]


async def test_an_agent_on_a_socket_sends_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "HEARTBEAT_SECONDS", 0.01)
    async with opamp_port(acknowledge) as port, fleet_on(port.url):
        await port.handler.until(lambda: len(port.handler.messages) >= 3)

        assert len(port.handler.links) == 1


@BOTH
async def test_a_flapping_agent_drops_its_connection_and_returns(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "FLAP_SECONDS", 0.01)
    monkeypatch.setattr(sockets, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(sockets, "FIRST_BACKOFF_SECONDS", 0.01)
    async with opamp_port(acknowledge) as port, fleet_on(port.url, transport=transport, fault=Fault.FLAPS):
        addresses: set[str] = set()
        await until(lambda: addresses.update(one.remote_addr for one in port.handler.links) or len(addresses) >= 3)


@BOTH
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nRetry-After: nan\r\n\r\n",
        b"this is no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\xff\xff",
        b"",
    ],
    ids=["busy", "refused", "no HTTP", "no OpAMP", "hangs up"],
)
async def test_a_server_that_misbehaves_is_tried_again_later(
    transport: Transport, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "FIRST_BACKOFF_SECONDS", 0.01)
    tries: list[bytes] = []

    async def misbehave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        if not answer:
            writer.close()
        else:
            await reader.read()
            writer.close()

    server = await asyncio.start_server(misbehave, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/opamp"
        async with fleet_on(url, transport=transport) as fleet:
            await until(lambda: len(tries) >= 2)
            assert fleet.connected() == 0


async def test_a_fleet_that_is_stopped_while_it_connects_ends(unused_tcp_port: int) -> None:
    async with fleet_on(f"http://127.0.0.1:{unused_tcp_port}/v1/opamp", 150) as fleet:
        assert fleet.connected() == 0


@pytest.mark.parametrize("url", ["", "127.0.0.1:4320", "ftp://h/", "http://"])
async def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="is not the URL of an OpAMP server"):
        SimulatedFleet([], url)
