"""Connection settings on a real supervisor: own metrics, and a new certificate with which it comes back."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from gitsync.control.connected import ConnectedAgent
from gitsync.fleet.agent import AttemptState
from gitsync.fleet.connection import OfferState
from gitsync.ids import AgentUid
from tests.support.configs import FLEET
from tests.support.gitrepo import GitRepo
from tests.support.service import ServiceUnderTest, a_service, until
from tests.support.supervisor import Supervisor

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

WAIT_SECONDS = 90.0
UID = uuid.UUID("018f6c3e-7a1b-7c2d-9e4f-0123456789ac")
SELECTOR = "selector:\n  matchLabels: {role: agent}\n"


def a_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def collector(batch: str = "200ms") -> str:
    return f"""\
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{a_port()}"}}}}}}
processors: {{batch: {{timeout: {batch}}}}}
exporters: {{debug: }}
service: {{pipelines: {{traces: {{receivers: [otlp], processors: [batch], exporters: [debug]}}}}}}
"""


class Party:
    """An authority with a server's and a client's certificate on the disk."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(directory / "ca.crt")
        for name in ("server", "agent"):
            made = authority.issue_cert("localhost", "127.0.0.1")
            made.private_key_pem.write_to_path(directory / f"{name}.key")
            (directory / f"{name}.crt").write_bytes(b"".join(one.bytes() for one in made.cert_chain_pems))
        self.directory = directory

    def file(self, name: str) -> str:
        return str(self.directory / name)


def settings(port: int, server: Party, clients: Path, secrets: Party) -> Mapping[str, Any]:
    """A TLS port that takes clients of the authorities in `clients` only."""
    tls = {
        "enabled": True,
        "cert_file": server.file("server.crt"),
        "key_file": server.file("server.key"),
        "client_ca_file": str(clients),
    }
    agents = {"secrets_dir": str(secrets.directory), "answer_timeout": timedelta(seconds=90)}
    return {"server": {"listen": {"opamp": f"127.0.0.1:{port}"}, "tls": tls, "agents": agents}}


def live(service: ServiceUnderTest) -> ConnectedAgent | None:
    return service.running.agents.get(AgentUid(UID.bytes))


def state(service: ServiceUnderTest) -> OfferState | None:
    one = live(service)
    return None if one is None or one.agent.connection is None else one.agent.connection.state


def is_proven(service: ServiceUnderTest) -> bool:
    one = live(service)
    return one is not None and one.agent.current is not None and one.agent.current.state is AttemptState.PROVEN


def own_metrics(agent: Supervisor) -> str:
    """What the Collector was told of its own telemetry."""
    return str(agent.effective_config().get("service", {}).get("telemetry", {}))


#: Before it is told its heartbeat, a supervisor polls every 30 s.
SCHEMES = ["wss", pytest.param("https", marks=pytest.mark.slow)]


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_supervisor_is_told_where_to_connect_and_comes_back_with_the_new_certificate(
    tmp_path: Path, scheme: str
) -> None:
    old, new, port = Party(tmp_path / "old"), Party(tmp_path / "new"), a_port()
    both = tmp_path / "both.crt"
    both.write_bytes(b"".join((one.directory / "ca.crt").read_bytes() for one in (old, new)))
    # After the offer the supervisor trusts the authority that came with it, so that must be the server's too.
    (new.directory / "server-ca.crt").write_bytes((old.directory / "ca.crt").read_bytes())
    repo = GitRepo(tmp_path / "config")
    repo.commit_files({**FLEET, "agents/collector.yaml": collector()}, "the first configuration")
    agent = Supervisor(
        f"{scheme}://localhost:{port}/v1/opamp",
        tmp_path / "agent",
        labels={"role": "agent"},
        tls={"ca_file": old.file("ca.crt"), "cert_file": old.file("agent.crt"), "key_file": old.file("agent.key")},
        capabilities={"reports_own_metrics": True},
        instance_id=UID,
    )
    try:
        async with a_service(repo.path, tmp_path / "data", settings(port, old, both, new)) as service:
            await until(lambda: service.running.agents.published.desired.releases)
            await agent.start()
            await until(lambda: is_proven(service), WAIT_SECONDS)

            metrics = f"http://127.0.0.1:{a_port()}/v1/metrics"
            repo.commit_files(
                {"agents/target.yaml": f"{SELECTOR}connection:\n  ownMetrics: {{endpoint: {metrics}}}\n"}, "own metrics"
            )
            await service.published(repo.head)
            await until(lambda: metrics in own_metrics(agent), WAIT_SECONDS)
            assert state(service) is OfferState.OFFERED

            move = f"""{SELECTOR}connection:
  ownMetrics: {{endpoint: {metrics}}}
  opamp:
    endpoint: {scheme}://localhost:{port}/v1/opamp
    heartbeat: 1s
    certificate: {{cert: "${{secret:agent.crt}}", key: "${{secret:agent.key}}", ca: "${{secret:server-ca.crt}}"}}
"""
            starts = agent.collector_starts()
            repo.commit_files({"agents/target.yaml": move}, "a new certificate")
            await service.published(repo.head)
            await until(lambda: (one := live(service)) and one.session.heartbeat_seconds == 1, WAIT_SECONDS)
            one = live(service)
            assert one is not None
            assert one.agent.healthy is True, "what it said before we made it reconnect still holds"
            assert agent.collector_starts() == starts
            assert metrics in own_metrics(agent)
            target = await service.get("targets/agents")
            assert target["connection"] == {"problem": "", "waiting": 0, "done": 1, "bad": 0, "held": 0}

        # Only who has the new certificate gets in now; nothing is offered a second time.
        async with a_service(
            repo.path, tmp_path / "data", settings(port, old, Path(new.file("ca.crt")), new)
        ) as service:
            await until(lambda: (one := live(service)) and one.connected and one.backlog is None, WAIT_SECONDS)
            await until(lambda: (one := live(service)) and one.session.offers_open, WAIT_SECONDS)
            repo.commit_files({"agents/collector.yaml": collector("300ms")}, "after the move")
            await service.published(repo.head)
            await until(lambda: agent.effective_config()["processors"]["batch"]["timeout"] == "300ms", WAIT_SECONDS)
            await until(lambda: is_proven(service), WAIT_SECONDS)
            assert service.running.overview.meters.connection_offers == {}
            one = live(service)
            assert one is not None
            assert one.session.heartbeat_seconds == 1
    finally:
        await agent.stop()
