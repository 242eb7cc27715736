"""The agents made of client libraries are real, and do what their wrappers say.

The peers here are as small as can be: what gitsync's own server does is for the scenarios to show.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from cryptography import x509

from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.goclient import GoClient
from tests.support.peers import APPLIED, FAILED, HttpPeer, WebSocketPeer
from tests.support.sdk_agents import NodeAgent
from tests.support.service import until

pytestmark = pytest.mark.interop

CONFIG = "receivers: {otlp: {}}\n"
FAST = timedelta(seconds=0.2)
NEW = uuid.UUID("018f6c3e-7a1b-7c2d-9e4f-0123456789ab")


@pytest.fixture
async def peer() -> AsyncIterator[WebSocketPeer]:
    async with WebSocketPeer(CONFIG).listening() as listening:
        yield listening


def heard(peer: WebSocketPeer, wanted: Callable[[pb.AgentToServer], object]) -> pb.AgentToServer | None:
    """The first message that is what a test waits for."""
    return next((one for one in peer.received if wanted(one)), None)


# ── The reference library ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_library_agent_applies_what_it_is_offered_and_says_farewell(peer: WebSocketPeer) -> None:
    async with GoClient(peer.endpoint, labels={"env": "prod"}) as agent:
        config = await agent.wait_for("config")
        assert config["entries"] == [{"name": "", "content_type": "text/yaml", "body": CONFIG}]
        await agent.wait_for("status", status="APPLIED")
        await until(lambda: APPLIED in peer.statuses())
        reported = heard(peer, lambda one: one.effective_config.config_map.config_map)
        assert reported is not None
        assert reported.effective_config.config_map.config_map[""].body == CONFIG.encode()
        first = peer.received[0].agent_description
        assert {one.key: one.value.string_value for one in first.non_identifying_attributes} == {"env": "prod"}
        assert await agent.stop() == 0, agent.errors
    assert peer.received[-1].HasField("agent_disconnect")
    assert {one.instance_uid for one in peer.received} == {agent.instance_uid}


async def test_a_library_agent_polls_over_http_and_reports_what_it_cannot_use() -> None:
    async with (
        HttpPeer({"": ("text/yaml", CONFIG)}).listening() as peer,
        GoClient(peer.endpoint, interval=FAST, reject="otlp") as agent,
    ):
        status = await agent.wait_for("status")
        assert status["status"] == "FAILED"
        await until(lambda: any(one.remote_config_status.status == FAILED for one in peer.received))


async def test_a_library_agent_ends_with_the_program_that_started_it(peer: WebSocketPeer) -> None:
    async with GoClient(peer.endpoint) as agent:
        await agent.wait_for("connected")
        process = agent._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        await agent.wait_for("stopped")


async def test_a_library_agent_uses_a_new_instance_uid_from_the_next_message_on(peer: WebSocketPeer) -> None:
    async with GoClient(peer.endpoint, interval=FAST) as agent:
        await until(lambda: peer.received)
        old = agent.instance_uid
        await agent.tell("request-uid")
        await until(lambda: heard(peer, lambda one: one.flags & pb.AgentToServerFlags_RequestInstanceUid))
        await peer.say(agent_identification=pb.AgentIdentification(new_instance_uid=NEW.bytes))
        await agent.wait_for("renamed", uuid=str(NEW))
        await until(lambda: peer.received[-1].instance_uid == NEW.bytes)
        assert agent.instance_uid == NEW.bytes != old


async def test_a_library_agent_asks_for_a_certificate_in_its_own_name(peer: WebSocketPeer) -> None:
    async with GoClient(peer.endpoint) as agent:
        await until(lambda: peer.received)
        await agent.tell("csr")
        await until(lambda: heard(peer, lambda one: one.HasField("connection_settings_request")))
        asked = heard(peer, lambda one: one.HasField("connection_settings_request"))
        assert asked is not None
        pem = asked.connection_settings_request.opamp.certificate_request.csr
        csr = x509.load_pem_x509_csr(pem)
        assert csr.is_signature_valid
        (name,) = csr.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        assert name.value == str(uuid.UUID(bytes=agent.instance_uid))


async def test_a_library_agent_syncs_packages_and_reports_what_it_cannot_download(peer: WebSocketPeer) -> None:
    async with GoClient(peer.endpoint, packages=True) as agent:
        await until(lambda: peer.received)
        assert peer.received[0].HasField("package_statuses")
        offered = pb.PackageAvailable(
            type=pb.PackageType_TopLevel,
            version="2",
            file=pb.DownloadableFile(download_url="http://127.0.0.1:9/none", content_hash=b"1"),
            hash=hashlib.sha256(b"2").digest(),
        )
        available = pb.PackagesAvailable(packages={"collector": offered}, all_packages_hash=b"all")
        await peer.say(packages_available=available)
        await agent.wait_for("packages", names=["collector"])
        failed = pb.PackageStatusEnum_InstallFailed
        await until(lambda: heard(peer, lambda one: one.package_statuses.packages["collector"].status == failed))


async def test_a_library_agent_reconnects_with_nothing_but_the_settings_it_was_offered(peer: WebSocketPeer) -> None:
    async with GoClient(peer.endpoint, headers={"X-Old": "1"}, connection_settings=True) as agent:
        await until(lambda: peer.received)
        assert peer.connections[0].request is not None
        assert peer.connections[0].request.headers["X-Old"] == "1"
        header = pb.Header(key="Authorization", value="Bearer new")
        settings = pb.OpAMPConnectionSettings(
            destination_endpoint=peer.endpoint, headers=pb.Headers(headers=[header]), heartbeat_interval_seconds=1
        )
        await peer.say(connection_settings=pb.ConnectionSettingsOffers(hash=b"one", opamp=settings))
        await agent.wait_for("reconnecting", endpoint=peer.endpoint)
        await until(lambda: len(peer.connections) == 2)
        assert peer.connections[1].request is not None
        headers = peer.connections[1].request.headers
        assert (headers["Authorization"], headers.get("X-Old")) == ("Bearer new", None)


async def test_a_library_agent_takes_a_command_custom_messages_and_asks_for_components(peer: WebSocketPeer) -> None:
    name = "org.example.echo"
    components = {"receivers/otlp": "example/otlp v1"}
    async with GoClient(peer.endpoint, restart=True, custom=[name], components=components) as agent:
        await until(lambda: peer.received)
        assert list(peer.received[0].custom_capabilities.capabilities) == [name]
        await peer.say(command=pb.ServerToAgentCommand(type=pb.CommandType_Restart))
        await agent.wait_for("command", type="CommandType_Restart")
        await peer.say(custom_message=pb.CustomMessage(capability=name, type="ping", data=b"?"))
        await agent.wait_for("custom", type="ping", data="?")
        await agent.tell("custom", capability=name, type="pong", data="!")
        await until(lambda: heard(peer, lambda one: one.custom_message.data == b"!"))
        await peer.say(flags=pb.ServerToAgentFlags_ReportAvailableComponents)
        await until(lambda: heard(peer, lambda one: "receivers" in one.available_components.components))


# ── Node.js ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_node_agent_applies_json_and_goes_without_a_farewell() -> None:
    async with HttpPeer({"settings": ("application/json", '{"level": "debug"}')}).listening() as peer:
        async with NodeAgent(peer.endpoint, "checkout", attributes={"env": "prod"}, interval=FAST) as agent:
            config = await agent.wait_for("config")
            assert config["entries"][0]["body"] == '{"level": "debug"}'
            status = await agent.wait_for("status", status="APPLIED")
            assert status["hash"] == peer.offer.remote_config.config_hash.hex()
            await until(lambda: any(one.remote_config_status.status == APPLIED for one in peer.received))
            assert await agent.stop() == 0, agent.errors
        assert {one.instance_uid for one in peer.received} == {agent.instance_uid}
        assert not any(one.HasField("agent_disconnect") for one in peer.received)


@pytest.mark.parametrize(("body", "reject"), [("level: debug", ""), ('"bad"', "bad")], ids=["not JSON", "rejected"])
async def test_a_node_agent_reports_what_it_cannot_use(body: str, reject: str) -> None:
    async with (
        HttpPeer({"settings": ("application/json", body)}).listening() as peer,
        NodeAgent(peer.endpoint, "checkout", reject=reject, interval=FAST) as agent,
    ):
        status = await agent.wait_for("status")
        assert status["status"] == "FAILED"
        assert "settings" in status["error"]
