"""What agents are told besides configurations: where to connect, and to restart; on every real agent that listens."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from gitsync.fleet.agent import CommandState
from gitsync.fleet.connection import OfferState
from gitsync.ids import AgentUid
from tests.support.gitrepo import GitRepo
from tests.support.goclient import GoClient
from tests.support.real_agents import COLLECTOR, COLLECTOR_SERVICE, TARGETS, Program, RealAgent, Supervised, commit
from tests.support.service import ServiceUnderTest, a_service, until
from tests.support.supervisor import CURRENT, OLD, Supervisor

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

LABELS = {"role": "agent"}
every_listener = pytest.mark.parametrize("kind", ["supervisor", "old-supervisor", "go-websocket", "go-http"])


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    repo = GitRepo(tmp_path / "config")
    commit(repo, "200ms")
    return repo


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    place = tmp_path / "secrets"
    place.mkdir()
    (place / "token").write_text("of-the-file\n")
    return place


@asynccontextmanager
async def serving(
    repo: GitRepo, data: Path, secrets: Path, tls: dict[str, object] | None = None
) -> AsyncIterator[ServiceUnderTest]:
    overrides = {"server": {"agents": {"secrets_dir": secrets}, "tls": tls or {}}}
    async with a_service(repo.path, data, overrides) as service:
        await until(lambda: service.running.agents.published.desired.releases)
        yield service


def a_listener(kind: str, url: str, directory: Path) -> GoClient | Supervisor:
    """An agent that takes connection settings and commands, not started yet."""
    socket = "ws" + url.removeprefix("http")
    if kind.endswith("supervisor"):
        return Supervisor(socket, directory / kind, labels=LABELS, pair=OLD if kind == "old-supervisor" else CURRENT)
    return GoClient(
        url if kind == "go-http" else socket,
        labels=LABELS,
        service_name=COLLECTOR_SERVICE,
        connection_settings=True,
        restart=True,
    )


def seen_as(process: GoClient | Supervisor) -> RealAgent:
    return Program(process) if isinstance(process, GoClient) else Supervised(process)


def tell_where_to_connect(repo: GitRepo, opamp: dict[str, object]) -> None:
    """A commit of connection settings for the target of Collectors, and of nothing else."""
    target = TARGETS["agents/target.yaml"] + f"connection: {json.dumps({'opamp': opamp})}\n"
    repo.commit_files({"agents/target.yaml": target}, "where to connect")


def has_taken_it(service: ServiceUnderTest, uid: AgentUid) -> bool:
    """Whether the agent is back on a connection with the new settings."""
    one = service.running.agents.get(uid)
    return one is not None and one.agent.connection is not None and one.agent.connection.state is OfferState.DONE


async def next_commit_arrives(service: ServiceUnderTest, repo: GitRepo, agent: RealAgent) -> None:
    # The target's file keeps its connection: only the bodies change.
    repo.commit_files({"agents/collector.yaml": COLLECTOR.replace("MARK", "300ms")}, "flush after 300ms")
    await service.published(repo.head)
    await agent.applied(service, "300ms")


@every_listener
async def test_an_agent_that_is_told_where_to_connect_comes_back_once_and_works_on(
    repo: GitRepo, tmp_path: Path, secrets: Path, kind: str
) -> None:
    async with serving(repo, tmp_path / "data", secrets) as service:
        async with a_listener(kind, service.opamp_url, tmp_path) as process:
            agent = seen_as(process)
            await agent.applied(service)
            endpoint = ("http" if kind == "go-http" else "ws") + service.opamp_url.removeprefix("http")
            headers = {"Authorization": "Bearer ${secret:token}"}
            tell_where_to_connect(repo, {"endpoint": endpoint, "heartbeat": "1s", "headers": headers})
            await service.published(repo.head)
            await until(lambda: has_taken_it(service, agent.uid))
            await next_commit_arrives(service, repo, agent)
            one = service.running.agents.get(agent.uid)
            assert one is not None
            await until(lambda: one.agent.healthy)
            if isinstance(process, GoClient):
                (told,) = process.seen("connection_settings")
                assert told["headers"] == {"Authorization": "Bearer of-the-file"}
                assert (told["endpoint"], told["heartbeat"]) == (endpoint, 1)
                assert len(process.seen("reconnecting")) == 1


async def test_the_library_uses_a_new_client_certificate_on_its_next_connection(
    repo: GitRepo, tmp_path: Path, secrets: Path
) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(secrets / "ca.crt")
    for directory, name in ((tmp_path, "127.0.0.1"), (tmp_path, "first"), (secrets, "second")):
        leaf = ca.issue_cert(name)
        leaf.cert_chain_pems[0].write_to_path(directory / f"{name}.crt")
        leaf.private_key_pem.write_to_path(directory / f"{name}.key")
    tls = {
        "enabled": True,
        "cert_file": tmp_path / "127.0.0.1.crt",
        "key_file": tmp_path / "127.0.0.1.key",
        "client_ca_file": secrets / "ca.crt",
    }
    async with serving(repo, tmp_path / "data", secrets, tls) as service:
        url = service.running.opamp_url
        async with GoClient(
            url,
            labels=LABELS,
            service_name=COLLECTOR_SERVICE,
            connection_settings=True,
            ca=secrets / "ca.crt",
            certificate=(tmp_path / "first.crt", tmp_path / "first.key"),
        ) as process:
            agent = Program(process)
            await agent.applied(service)
            files = {"cert": "second.crt", "key": "second.key", "ca": "ca.crt"}
            certificate = {part: f"${{secret:{name}}}" for part, name in files.items()}
            tell_where_to_connect(repo, {"endpoint": url, "heartbeat": "1s", "certificate": certificate})
            await service.published(repo.head)
            await until(lambda: has_taken_it(service, agent.uid))
            (told,) = process.seen("connection_settings")
            assert told["cert"].strip() == (secrets / "second.crt").read_text().strip()
            await next_commit_arrives(service, repo, agent)


@every_listener
async def test_an_agent_that_is_told_to_restart_does_and_shows_it(
    repo: GitRepo, tmp_path: Path, secrets: Path, kind: str
) -> None:
    async with serving(repo, tmp_path / "data", secrets) as service:
        async with a_listener(kind, service.opamp_url, tmp_path) as process:
            agent = seen_as(process)
            await agent.applied(service)
            starts = process.collector_starts() if isinstance(process, Supervisor) else 0
            path = f"/api/v1/agents/{uuid.UUID(bytes=agent.uid)}/restart"
            answer = await service.http.post(path, headers={"Authorization": f"Bearer {service.token}"})
            assert answer.status_code == 202, answer.text
            if isinstance(process, Supervisor):
                await until(lambda: process.collector_starts() == starts + 1)
            else:
                await process.wait_for("command", type="CommandType_Restart")
                # Its sign of a restart: the time of its start is another one.
                await process.tell("health", healthy=True)
            one = service.running.agents.get(agent.uid)
            assert one is not None
            await until(lambda: one.agent.restart and one.agent.restart.state is CommandState.RESTARTED)
            await next_commit_arrives(service, repo, agent)
