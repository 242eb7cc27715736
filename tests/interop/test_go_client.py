"""The OpAMP reference client library with everything switched on: packages, certificates, messages, TLS."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from gitsync.bundle.version import COLLECTOR_OBJECT
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.gitrepo import GitRepo
from tests.support.goclient import GoClient
from tests.support.real_agents import COLLECTOR_SERVICE, Program, commit
from tests.support.relay import a_relay, websocket_frames
from tests.support.sdk_agents import NodeAgent
from tests.support.service import ServiceUnderTest, a_service, until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

LABELS = {"role": "agent"}
ECHO = "org.example.echo"
both_transports = pytest.mark.parametrize("scheme", ["ws", "http"])


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    repo = GitRepo(tmp_path / "config")
    commit(repo, "200ms")
    return repo


@pytest.fixture
async def service(repo: GitRepo, tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(repo.path, tmp_path / "data") as started:
        await until(lambda: started.running.agents.published.desired.releases)
        yield started


def client(service: ServiceUnderTest, scheme: str, **options: object) -> GoClient:
    url = scheme + service.opamp_url.removeprefix("http")
    return GoClient(url, labels=LABELS, service_name=COLLECTOR_SERVICE, **options)  # type: ignore[arg-type]


async def next_commit_arrives(service: ServiceUnderTest, repo: GitRepo, agent: GoClient, mark: str = "300ms") -> None:
    """The proof that whatever was asked before did no harm."""
    commit(repo, mark)
    await service.published(repo.head)
    await Program(agent).applied(service, mark)


async def test_a_wait_in_vain_tells_what_the_server_knows_and_what_the_agent_said(service: ServiceUnderTest) -> None:
    async with client(service, "ws") as process:
        agent = Program(process)
        await agent.applied(service, "200ms")
        with pytest.raises(AssertionError, match=r"(?s)--- server\nconnected: True.*contained:.*--- GoClient.*APPLIED"):
            await agent.wait(service, lambda: agent.runs("never"), 0.0)


@both_transports
async def test_an_agent_that_accepts_everything_is_offered_configurations_alone(
    service: ServiceUnderTest, repo: GitRepo, scheme: str
) -> None:
    components = {"receivers/otlp": "example/otlp v1", "exporters/debug": "example/debug v1"}
    everything = {"packages": True, "connection_settings": True, "restart": True, "compress": True}
    async with client(service, scheme, custom=[ECHO], components=components, **everything) as agent:
        await Program(agent).applied(service, "200ms")
        one = service.running.agents.get(Program(agent).uid)
        assert one is not None
        # Its components were asked for, because their hash was new.
        await until(lambda: one.agent.components)
        await next_commit_arrives(service, repo, agent)
        for unasked in ("packages", "connection_settings", "other_settings", "command", "refused", "error"):
            assert not agent.seen(unasked), unasked


async def test_messages_on_a_websocket_are_compressed_both_ways(service: ServiceUnderTest, repo: GitRepo) -> None:
    async with a_relay("ws" + service.opamp_url.removeprefix("http")) as relay:
        async with GoClient(relay.url, labels=LABELS, service_name=COLLECTOR_SERVICE, compress=True) as agent:
            await Program(agent).applied(service, "200ms")
            await next_commit_arrives(service, repo, agent)
        (talk,) = relay.talks
    assert b"permessage-deflate" in talk.answered.partition(b"\r\n\r\n")[0]
    said = [pb.AgentToServer.FromString(inflated(one)) for one in deflated(talk.said)]
    assert any(one.HasField("agent_description") for one in said)
    assert any(one.remote_config_status.status == pb.RemoteConfigStatuses_APPLIED for one in said)
    answered = [pb.ServerToAgent.FromString(inflated(one)) for one in deflated(talk.answered)]
    bodies = [one.remote_config.config.config_map[COLLECTOR_OBJECT].body for one in answered]
    assert [b"300ms" in body for body in bodies] == [False, True]
    assert b"300ms" not in talk.answered


async def test_polls_and_their_answers_are_compressed(service: ServiceUnderTest, repo: GitRepo) -> None:
    async with a_relay(service.opamp_url) as relay:
        async with GoClient(relay.url, labels=LABELS, service_name=COLLECTOR_SERVICE, compress=True) as agent:
            await Program(agent).applied(service, "200ms")
            await next_commit_arrives(service, repo, agent)
    said = b"".join(one.said for one in relay.talks)
    answered = b"".join(one.answered for one in relay.talks)
    assert said.count(b"Content-Encoding: gzip") == said.count(b"POST /v1/opamp") >= 3
    assert answered.count(b"Content-Encoding: gzip") == answered.count(b"HTTP/1.1 200 OK")
    assert COLLECTOR_SERVICE.encode() not in said
    assert b"300ms" not in answered


def deflated(direction: bytearray) -> list[bytes]:
    """The payloads of all compressed binary frames (FIN, RSV1)."""
    return [payload for first, payload in websocket_frames(direction) if first == 0xC2]


def inflated(payload: bytes) -> bytes:
    """What is in a compressed message (RFC 7692); its first byte, a header of OpAMP that is 0, is left out."""
    plain = zlib.decompress(payload + b"\x00\x00\xff\xff\x03\x00", wbits=-15)
    assert plain[0] == 0
    return plain[1:]


@both_transports
async def test_a_request_for_a_certificate_is_refused_with_words_and_all_else_goes_on(
    service: ServiceUnderTest, repo: GitRepo, scheme: str
) -> None:
    async with client(service, scheme, packages=True, connection_settings=True) as agent:
        await Program(agent).applied(service)
        await agent.tell("csr")
        refused = await agent.wait_for("refused")
        assert refused["type"].endswith("BadRequest")
        assert "certificate" in refused["error"]
        await next_commit_arrives(service, repo, agent)
        assert len(agent.seen("refused")) == 1
        assert len(agent.seen("connected")) == 1 or scheme == "http"


@both_transports
async def test_custom_messages_that_nobody_knows_are_ignored(
    service: ServiceUnderTest, repo: GitRepo, scheme: str
) -> None:
    async with client(service, scheme, custom=[ECHO]) as agent:
        await Program(agent).applied(service)
        await agent.tell("custom", capability=ECHO, type="ping", data="?")
        await next_commit_arrives(service, repo, agent)
        assert not agent.seen("refused")
        assert not agent.seen("custom")


@both_transports
async def test_an_agent_that_fails_and_recovers_is_shown_as_it_is(
    service: ServiceUnderTest, repo: GitRepo, scheme: str
) -> None:
    async with client(service, scheme, reject="666ms") as agent:
        await Program(agent).applied(service)
        one = service.running.agents.get(Program(agent).uid)
        assert one is not None
        await until(lambda: one.agent.last_good)
        await agent.tell("health", healthy=False, error="disk full")
        await until(lambda: one.agent.healthy is False)
        await agent.tell("health", healthy=True)
        await until(lambda: one.agent.healthy)
        commit(repo, "666ms")
        await service.published(repo.head)
        await agent.wait_for("status", status="FAILED")
        await until(lambda: Program(agent).runs("200ms") and one.state == "failed")
        assert 'this program cannot use "666ms"' in one.agent.error
        await next_commit_arrives(service, repo, agent)


# ── TLS ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Authority:
    """Files of a certificate authority, a server and a client."""

    ca: Path
    server: tuple[Path, Path]
    agent: tuple[Path, Path]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")

    def issued(name: str) -> tuple[Path, Path]:
        certificate, key = tmp_path / f"{name}.crt", tmp_path / f"{name}.key"
        leaf = ca.issue_cert(name)
        leaf.cert_chain_pems[0].write_to_path(certificate)
        leaf.private_key_pem.write_to_path(key)
        return certificate, key

    return Authority(tmp_path / "ca.pem", issued("127.0.0.1"), issued("agent.example.com"))


@pytest.mark.parametrize("scheme", ["wss", "https"])
async def test_an_agent_with_a_client_certificate_is_served_over_tls(
    repo: GitRepo, tmp_path: Path, authority: Authority, scheme: str
) -> None:
    certificate, key = authority.server
    tls = {"enabled": True, "cert_file": certificate, "key_file": key, "client_ca_file": authority.ca}
    async with a_service(repo.path, tmp_path / "data", {"server": {"tls": tls}}) as service:
        url = scheme + service.opamp_url.removeprefix("https").removeprefix("http").removeprefix("s")
        options = {"labels": LABELS, "service_name": COLLECTOR_SERVICE, "ca": authority.ca}
        async with GoClient(url, **options) as stranger:  # type: ignore[arg-type]
            await stranger.wait_for("log" if scheme == "https" else "unreachable")
            assert service.running.agents.get(Program(stranger).uid) is None
        async with GoClient(url, certificate=authority.agent, **options) as agent:  # type: ignore[arg-type]
            await Program(agent).applied(service)
            await next_commit_arrives(service, repo, agent)


async def test_an_application_is_served_over_tls(repo: GitRepo, tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.server
    tls = {"enabled": True, "cert_file": certificate, "key_file": key}
    async with a_service(repo.path, tmp_path / "data", {"server": {"tls": tls}}) as service:
        url = "https" + service.opamp_url.removeprefix("https").removeprefix("http").removeprefix("s")
        async with NodeAgent(url, "checkout", attributes=LABELS, ca=authority.ca) as agent:
            await agent.wait_for("status", status="APPLIED")
            await Program(agent).applied(service)
