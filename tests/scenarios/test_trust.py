"""What an agent runs can be proven: statements with the configuration, by REST and offline, their renewal, and TLS."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from gitsync.bundle.statements import read_statement
from gitsync.bundle.verify import NO_MEMORY, TrustRoot, parse_root, verify
from gitsync.bundle.version import ConfigObject
from gitsync.cli import run as gitsync
from gitsync.errors import TrustError
from gitsync.fleet.agent import AttemptState
from gitsync.ids import AgentUid, show_digest
from gitsync.opamp.client import ClientStep
from gitsync.opamp.messages import ATTESTATION_CAPABILITY, STATEMENT_TYPE
from tests.support.agentclient import COLLECTOR, WsAgent, client_state, ws_agent
from tests.support.configs import FLEET, collector
from tests.support.fleet import connected_count
from tests.support.gitrepo import GitRepo
from tests.support.gitserver import free_port
from tests.support.service import ServiceUnderTest, a_profile, a_service, lab_agents, until
from tests.support.supervisor import Supervisor

LABELS = {**COLLECTOR, "role": "agent"}


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    repo = GitRepo(tmp_path / "config")
    repo.commit_files(FLEET, "the first configuration")
    return repo


@pytest.fixture
async def service(repo: GitRepo, tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(repo.path, tmp_path / "data") as started:
        await until(lambda: started.running.agents.published.desired.releases)
        yield started


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the service runs in real time


def release(service: ServiceUnderTest) -> Any:
    """The release in effect."""
    (one,) = service.running.agents.published.desired.releases.values()
    return one


@dataclass(frozen=True)
class Given:
    """What an agent that verifies was given in one message."""

    envelope: bytes
    objects: tuple[ConfigObject, ...]

    @classmethod
    def of(cls, step: ClientStep) -> Given:
        assert step.config is not None
        assert step.custom is not None, "the statement must come with the configuration"
        assert (step.custom.capability, step.custom.type) == (ATTESTATION_CAPABILITY, STATEMENT_TYPE)
        objects = step.config.objects.items()
        return cls(
            step.custom.data, tuple(ConfigObject(name, one.content_type, one.role, one.body) for name, one in objects)
        )


async def given(agent: WsAgent) -> Given:
    """The next configuration of an agent, reported as applied."""
    return Given.of(await agent.hear_config())


def attesting(labels: dict[str, str] | None = None) -> Any:
    return client_state(labels or {"role": "agent"}, custom_capabilities=[ATTESTATION_CAPABILITY])


async def start_talking(agent: WsAgent) -> None:
    await agent.hello()
    await agent.say(agent.state.heartbeat())


def exported_root(data: Path, capsys: pytest.CaptureFixture[str]) -> TrustRoot:
    """What `gitsync keys export` prints."""
    capsys.readouterr()
    assert gitsync(["keys", "export", "--data-dir", str(data)]) == 0
    return parse_root(capsys.readouterr().out.encode().strip())


# ── Statements ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_agent_that_verifies_gets_the_statement_with_its_configuration_and_can_hold_it_against_the_root(
    service: ServiceUnderTest, repo: GitRepo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = exported_root(tmp_path / "data", capsys)
    async with ws_agent(service.running.opamp_url, attesting()) as agent:
        await start_talking(agent)
        first = await given(agent)
        statement = verify(first.envelope, root, NO_MEMORY, LABELS, now(), first.objects)
        assert (statement.path, statement.commit.id, statement.kind) == ("agents", repo.head, "publish")
        assert statement.commit.author == "Ada Author <ada@example.com>"
        assert statement.revision == release(service).revision
        # Not for others, not with other contents, not signed by others.
        for labels, objects, trusted, code in (
            ({**LABELS, "role": "gateway"}, first.objects, root, "trust.selector"),
            (LABELS, (ConfigObject("collector.yaml", "text/yaml", "", b"{}"),), root, "trust.objects"),
            (LABELS, first.objects, parse_root(stranger(tmp_path, capsys)), "trust.unknown_key"),
        ):
            with pytest.raises(TrustError) as refusal:
                verify(first.envelope, trusted, NO_MEMORY, labels, now(), objects)
            assert refusal.value.code == code
        # A second commit, then a revert: the same bytes again under a higher revision; the first ones are a replay.
        memory = NO_MEMORY.after(statement)
        repo.commit_files({"agents/collector.yaml": collector(4600)}, "another port")
        await service.published(repo.head)
        second = await given(agent)
        memory = memory.after(verify(second.envelope, root, memory, LABELS, now(), second.objects))
        repo.revert()
        await service.published(repo.head)
        third = await given(agent)
        assert third.objects == first.objects
        back = verify(third.envelope, root, memory, LABELS, now(), third.objects)
        assert (back.kind, back.config_hash) == ("back", statement.config_hash)
        for old in (first, second):
            with pytest.raises(TrustError) as refusal:
                verify(old.envelope, root, memory.after(back), LABELS, now(), old.objects)
            assert refusal.value.code == "trust.revision"


def stranger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> bytes:
    """The root of another server."""
    data = tmp_path / "stranger"
    data.mkdir(exist_ok=True)
    assert gitsync(["keys", "init", "--data-dir", str(data)]) == 0
    return exported_root(data, capsys).as_json()


async def test_an_agent_that_does_not_ask_for_statements_gets_none(service: ServiceUnderTest) -> None:
    async with ws_agent(service.running.opamp_url, client_state({"role": "agent"})) as agent:
        await start_talking(agent)
        step = await agent.hear_config()
        assert step.custom is None
        assert not any(one.HasField("custom_message") for one in agent.received)
        assert set(step.config.objects) == {"collector.yaml"}  # type: ignore[union-attr]


async def test_rest_serves_statements_by_config_hash_and_the_command_line_verifies_them(
    service: ServiceUnderTest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (target,) = [one for one in service.running.overview.targets() if one.path == "agents"]
    assert target.config_hash is not None
    digest = show_digest(target.config_hash)
    files = {"root": tmp_path / "root.json", "statement": tmp_path / "statement.json", "object": tmp_path / "c.yaml"}
    files["root"].write_bytes(exported_root(tmp_path / "data", capsys).as_json())
    assert (await service.http.get("/api/v1/root")).content == files["root"].read_bytes()
    statements = await service.get(f"statements/{digest}")
    assert len(statements["items"]) == 1
    files["statement"].write_text(json.dumps(statements))
    (given_object,) = (await service.get(f"payloads/{digest}"))["objects"]
    body = given_object["text"].encode()
    files["object"].write_bytes(body)
    command = ["verify", "--root", str(files["root"]), "--statement", str(files["statement"])]

    async def exit_code(*more: str) -> int:
        return await asyncio.to_thread(gitsync, [*command, *more])

    mine = "service.name=io.opentelemetry.collector,role=agent"
    assert await exit_code("--labels", mine, str(files["object"])) == 0
    assert "verified" in capsys.readouterr().out
    assert await exit_code("--labels", "role=gateway", str(files["object"])) == 1
    assert "refused: " in capsys.readouterr().out
    assert await exit_code("--at-least", str(release(service).revision + 1)) == 1
    files["object"].write_bytes(body + b"# one more line\n")
    assert await exit_code("--labels", mine, str(files["object"])) == 1
    assert await exit_code(str(tmp_path / "missing.yaml")) == 2
    unknown = await service.http.get(f"/api/v1/statements/sha256:{'0' * 64}")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "statement.unknown")


# ── Renewal ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_at_half_of_its_life_a_release_is_signed_again_and_agents_do_not_notice(
    repo: GitRepo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = {"signing": {"validity": timedelta(seconds=6)}}
    async with a_service(repo.path, tmp_path / "data", short) as service:
        await until(lambda: service.running.agents.published.desired.releases)
        root = exported_root(tmp_path / "data", capsys)
        async with lab_agents(service, a_profile(1, {"role": "agent"})) as (plain,):
            async with ws_agent(service.running.opamp_url, attesting()) as agent:
                await start_talking(agent)
                first = await given(agent)
            before, configs = release(service), set(service.running.agents.published.payloads)
            await until(lambda: release(service).kind == "resign")
            after = release(service)
            assert (after.revision > before.revision, after.head) == (True, before.head)
            assert after.expires > before.expires
            assert set(service.running.agents.published.payloads) == configs
            await until(lambda: plain.progress.applied and service.running.agents.idle)
            assert plain.progress.offers == 1
            # Who comes now gets the new statement about the same configuration; the old one has become a replay.
            async with ws_agent(service.running.opamp_url, attesting()) as agent:
                await start_talking(agent)
                second = await given(agent)
            assert second.objects == first.objects
            renewed = verify(second.envelope, root, NO_MEMORY, LABELS, now(), second.objects)
            assert renewed.kind == "resign"
            with pytest.raises(TrustError) as refusal:
                verify(first.envelope, root, NO_MEMORY.after(renewed), LABELS, now(), first.objects)
            assert refusal.value.code == "trust.revision"
        causes = [one["cause"] for one in (await service.get("releases"))["items"]]
        assert causes[-1] == "publish"
        assert set(causes[:-1]) == {"resign"}


async def test_a_release_that_expired_while_the_server_was_down_is_served_with_a_warning_and_signed_again(
    repo: GitRepo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    data = tmp_path / "data"
    async with a_service(repo.path, data, {"signing": {"validity": timedelta(seconds=1)}}) as service:
        await until(lambda: service.running.agents.published.desired.releases)
    old = release(service)
    await until(lambda: now() > old.expires)
    caplog.clear()
    async with a_service(repo.path, data) as service:
        assert re.search(r"revision \d+ of source default expired at .* it is served until it is signed", caplog.text)
        assert release(service).head == repo.head
        async with lab_agents(service, a_profile(1, {"role": "agent"})) as (agent,):
            await until(lambda: agent.progress.applied)
            await until(lambda: release(service).expires > now())
            assert (release(service).kind, release(service).revision > old.revision) == ("resign", True)
            await until(lambda: service.running.agents.idle)
            assert agent.progress.offers == 1
        envelope = next(iter(release(service).statements.values()))
        assert read_statement(envelope).expires - now() > timedelta(days=13)


# ── TLS ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.interop
@pytest.mark.timeout(240)
async def test_a_supervisor_with_a_client_certificate_is_served_over_tls_and_one_without_is_refused_by_name(
    repo: GitRepo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, certificate in {
        "server": authority.issue_cert("127.0.0.1"),
        "agent": authority.issue_cert("agent.example"),
    }.items():
        certificate.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    tls = {
        "enabled": True,
        "cert_file": tmp_path / "server.pem",
        "key_file": tmp_path / "server.key",
        "client_ca_file": tmp_path / "ca.pem",
    }
    repo.commit_files({"agents/collector.yaml": collector(free_port())}, "a port that nobody uses")
    async with a_service(repo.path, tmp_path / "data", {"server": {"tls": tls}}) as service:
        await until(lambda: service.running.agents.published.desired.releases)
        url = service.running.opamp_url
        assert url.startswith("wss://127.0.0.1:")
        trusting = {"ca_file": str(tmp_path / "ca.pem")}
        async with Supervisor(url, tmp_path / "one", labels={"role": "agent"}, tls=trusting):
            await until(lambda: "the client shows no certificate, and one is required" in caplog.text)
        assert re.search(r"127\.0\.0\.1:\d+: the client shows no certificate, and one is required", caplog.text)
        assert connected_count(service.running.agents) == 0
        proving = {**trusting, "cert_file": str(tmp_path / "agent.pem"), "key_file": str(tmp_path / "agent.key")}
        uid = uuid.UUID("018f6c3e-7a1b-7c2d-9e4f-0123456789ab")
        async with Supervisor(url, tmp_path / "two", labels={"role": "agent"}, tls=proving, instance_id=uid) as agent:

            def proven() -> bool:
                one = service.running.agents.get(AgentUid(uid.bytes))
                current = None if one is None else one.agent.current
                return current is not None and current.state is AttemptState.PROVEN

            await until(proven, 60)
            assert "otlp" in agent.effective_config()["receivers"]
