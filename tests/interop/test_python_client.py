"""The Python OpAMP client of the package index: an application that is no Collector, with JSON objects."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.gitrepo import GitRepo
from tests.support.sdk_agents import SdkAgent
from tests.support.service import a_service, until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

REPOSITORY = {
    "gitsync.yaml": "agentTypes:\n  - type: python-sdk\n    selector: {matchLabels: {service.name: checkout}}\n",
    "sdk/target.yaml": (
        "agentType: python-sdk\n"
        "selector: {matchLabels: {deployment.environment.name: prod}}\n"
        "objects:\n  - {name: sampling, file: sampling.json, contentType: application/json}\n"
    ),
    "sdk/sampling.json": '{"rate": 0.1}\n',
}


async def test_an_application_gets_its_json_objects_and_a_failure_brings_the_last_good_back(tmp_path: Path) -> None:
    repo = GitRepo(tmp_path / "config")
    repo.commit_files(REPOSITORY, "sampling for applications")
    async with a_service(repo.path, tmp_path / "data") as service:
        await until(lambda: service.running.agents.published.desired.releases)
        url = service.opamp_url
        async with SdkAgent(
            url, "checkout", attributes={"deployment.environment.name": "prod"}, reject="broken"
        ) as agent:
            first = await agent.wait_for("config")
            assert _body(first) == {"rate": 0.1}
            await agent.wait_for("status", status="APPLIED")
            repo.commit_files({"sdk/sampling.json": '{"rate": 0.2}\n'}, "more")
            await service.published(repo.head)
            await agent.wait_for("config", count=2)
            await agent.wait_for("status", status="APPLIED", count=2)
            live = service.running.agents.get(agent.instance_uid)  # type: ignore[arg-type]
            assert live is not None
            await until(lambda: live.agent.last_good)
            repo.commit_files({"sdk/sampling.json": '{"broken": true}\n'}, "what it cannot take")
            await service.published(repo.head)
            await agent.wait_for("status", status="FAILED")
            again = await agent.wait_for("config", count=4, timeout=timedelta(seconds=30))
            assert _body(again) == {"rate": 0.2}


async def test_an_application_is_never_sent_collector_yaml(tmp_path: Path) -> None:
    repo = GitRepo(tmp_path / "config")
    repo.commit_files(REPOSITORY, "sampling for applications")
    async with a_service(repo.path, tmp_path / "data") as service:
        await until(lambda: service.running.agents.published.desired.releases)
        async with SdkAgent(service.opamp_url, "another", attributes={"deployment.environment.name": "prod"}) as agent:
            uid = agent.instance_uid
            await until(lambda: (live := service.running.agents.get(uid)) and live.session.offers_open)  # type: ignore[arg-type]
            await until(lambda: (live := service.running.agents.get(uid)) and live.assignment)  # type: ignore[arg-type]
            live = service.running.agents.get(uid)  # type: ignore[arg-type]
            assert live is not None
            assert live.assignment is not None
            assert live.assignment.reason == "unknown-type"
            assert not agent.seen("config")


def _body(event: dict[str, object]) -> object:
    entries = event["entries"]
    assert isinstance(entries, list)
    (entry,) = entries
    return json.loads(entry["body"])
