"""The Node.js OpAMP client of the package index: an application that is no Collector, with JSON objects."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from gitsync.ids import AgentUid
from tests.support.gitrepo import GitRepo
from tests.support.real_agents import Program
from tests.support.sdk_agents import NodeAgent
from tests.support.service import ServiceUnderTest, a_service, until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

REPOSITORY = {
    "gitsync.yaml": "agentTypes:\n  - type: node-sdk\n    selector: {matchLabels: {service.name: checkout}}\n",
    "sdk/target.yaml": (
        "agentType: node-sdk\n"
        "selector: {matchLabels: {deployment.environment.name: prod}}\n"
        "objects:\n"
        "  - {name: sampling, file: sampling.json, contentType: application/json}\n"
        "  - {name: elastic, file: elastic.json, contentType: application/json}\n"
    ),
    "sdk/sampling.json": '{"rate": 0.1}\n',
    "sdk/elastic.json": '{"logging_level": "debug"}\n',
}
PROD = {"deployment.environment.name": "prod"}


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    repo = GitRepo(tmp_path / "config")
    repo.commit_files(REPOSITORY, "sampling for applications")
    return repo


@pytest.fixture
async def service(repo: GitRepo, tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(repo.path, tmp_path / "data") as started:
        await until(lambda: started.running.agents.published.desired.releases)
        yield started


def bodies(event: dict[str, object]) -> dict[str, object]:
    """The objects of an offer, read as JSON, by name."""
    entries = event["entries"]
    assert isinstance(entries, list)
    return {entry["name"]: json.loads(entry["body"]) for entry in entries}


async def test_an_application_gets_its_json_objects_and_a_failure_brings_the_last_good_back(
    service: ServiceUnderTest, repo: GitRepo
) -> None:
    async with NodeAgent(service.opamp_url, "checkout", attributes=PROD, reject="broken") as agent:
        first = await agent.wait_for("config")
        assert bodies(first) == {"sampling": {"rate": 0.1}, "elastic": {"logging_level": "debug"}}
        assert {entry["content_type"] for entry in first["entries"]} == {"application/json"}
        await agent.wait_for("status", status="APPLIED")
        repo.commit_files({"sdk/sampling.json": '{"rate": 0.2}\n'}, "more")
        await service.published(repo.head)
        await agent.wait_for("status", status="APPLIED", count=2)
        uid = AgentUid(agent.instance_uid)
        await until(lambda: (one := service.running.agents.get(uid)) and one.agent.last_good)
        repo.commit_files({"sdk/sampling.json": '{"broken": true}\n'}, "what it cannot take")
        await service.published(repo.head)
        await agent.wait_for("status", status="FAILED")
        again = await agent.wait_for("config", count=4, timeout=timedelta(seconds=30))
        assert bodies(again)["sampling"] == {"rate": 0.2}
        one = service.running.agents.get(uid)
        assert one is not None
        assert (state(service, agent), one.transport) == ("failed", "http")
        assert "sampling: this program cannot use" in one.agent.error
        # Every answer had the right status, media type and uid: the client did not once fall back to waiting.
        assert not agent.seen("unreachable")


async def test_an_application_is_never_sent_collector_yaml(service: ServiceUnderTest) -> None:
    async with NodeAgent(service.opamp_url, "another", attributes=PROD) as agent:
        uid = AgentUid(agent.instance_uid)
        await until(lambda: (one := service.running.agents.get(uid)) and one.session.offers_open and one.assignment)
        one = service.running.agents.get(uid)
        assert one is not None
        assert one.assignment is not None
        assert one.assignment.reason == "unknown-type"
        assert not agent.seen("config")


async def test_an_application_that_starts_again_under_its_uid_is_the_same_agent(service: ServiceUnderTest) -> None:
    known = "018f6c3e-7a1b-7c2d-9e4f-0123456789ab"
    for _ in range(2):
        # It never says farewell, and it forgets what it had.
        async with NodeAgent(service.opamp_url, "checkout", attributes=PROD, instance_uid=known) as agent:
            await agent.wait_for("status", status="APPLIED")
            await Program(agent).applied(service)
    listed = await service.get("agents")
    assert [one["uid"] for one in listed["items"]] == [known]


def state(service: ServiceUnderTest, agent: NodeAgent) -> str:
    """How far the agent is, in the server's view; "" when it is not known."""
    one = service.running.agents.get(AgentUid(agent.instance_uid))
    return "" if one is None else str(one.state)
