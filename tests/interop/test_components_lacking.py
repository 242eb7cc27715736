"""What a real Collector tells of its components, against what a commit needs."""

from __future__ import annotations

import asyncio
import socket
import uuid
from pathlib import Path
from typing import Any

import pytest

from gitsync.ids import DEFAULT_SOURCE
from gitsync.store import SqlStore, StoreOptions
from tests.support.configs import FLEET
from tests.support.gitrepo import GitRepo
from tests.support.real_agents import Supervised
from tests.support.service import ServiceUnderTest, a_service, until
from tests.support.supervisor import CURRENT, OLD, Pair, Supervisor

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

UID = uuid.UUID("018f6c3e-7a1b-7c2d-9e4f-0123456789ac")


def a_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def config(exporters: str, used: str, receivers: str = "", extensions: str = "") -> str:
    """A configuration with an OTLP receiver, a batch processor, and these exporters."""
    return f"""\
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{a_port()}
{receivers}processors:
  batch: {{}}
exporters:
{exporters}
{extensions}service:
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [{used}]
"""


def an_exporter(name: str, **settings: Any) -> str:
    return f"  {name}: {settings}"


async def wait_for_build(service: ServiceUnderTest, data: Path) -> dict[str, set[str]]:
    """The types of the agent's build by section, once it is counted for its target."""
    async with await SqlStore.open(StoreOptions(f"sqlite:///{data / 'gitsync.db'}")) as store, asyncio.timeout(60):
        while True:
            counted = await store.count_builds(DEFAULT_SOURCE)
            answer = await service.http.get(f"/api/v1/agents/{UID}/components")
            if counted and answer.status_code == 200:
                assert list(counted.values()) == [1]
                return {section: set(one["members"]) for section, one in answer.json()["items"].items()}
            await asyncio.sleep(0.05)


async def lacking(service: ServiceUnderTest, repo: GitRepo, text: str) -> list[tuple[int, str]]:
    """Commits a configuration; line and message of each component that the agent lacks."""
    repo.commit_files({"agents/collector.yaml": text}, "a change")
    await service.published(repo.head)
    commit = await service.get(f"commits/{repo.head}")
    return [(one["line"], one["message"]) for one in commit["diagnostics"] if one["code"] == "GS0801"]


@pytest.mark.parametrize("pair", [CURRENT, OLD], ids=["current", "old"])
async def test_a_real_collector_lacks_what_it_does_not_contain_and_nothing_else_by_any_name(
    tmp_path: Path, pair: Pair
) -> None:
    repo = GitRepo(tmp_path / "config")
    repo.commit_files({**FLEET, "agents/collector.yaml": config(an_exporter("debug"), "debug")}, "the first one")
    async with a_service(repo.path, tmp_path / "data") as service:
        await until(lambda: service.running.agents.published.desired.releases)
        url = "ws" + service.opamp_url.removeprefix("http")
        async with Supervisor(url, tmp_path / "agent", labels={"role": "agent"}, instance_id=UID, pair=pair) as agent:
            await Supervised(agent).applied(service)
            build = await wait_for_build(service, tmp_path / "data")
            assert {"receivers", "processors", "exporters", "extensions"} <= set(build)
            assert {"otlp", "otlp_grpc"} <= build["exporters"]

            kafka = config(
                "\n".join([an_exporter("debug"), an_exporter("kafka/audit", brokers=["localhost:9092"])]),
                "debug, kafka/audit",
            )
            message = 'the agent of target "agents" reports a build without the exporter "kafka/audit"'
            assert await lacking(service, repo, kafka) == [(10, message)]

            for sender in ("otlp", "otlp_grpc"):
                for http in ("otlphttp", "otlp_http"):
                    senders = [
                        an_exporter(sender, endpoint="localhost:1"),
                        an_exporter(http, endpoint="http://localhost:1"),
                    ]
                    receivers = "  hostmetrics: {scrapers: {load: {}}}\n"
                    extensions = "extensions: {health_check: {endpoint: 'localhost:0'}}\n"
                    text = config("\n".join(senders), f"{sender}, {http}", receivers, extensions)
                    assert await lacking(service, repo, text) == []
