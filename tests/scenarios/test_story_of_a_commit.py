"""The story of a commit, from `git commit` to agents, over both transports."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitsync.ids import show_digest
from gitsync.lab.profile import Fault, Transport
from tests.support.configs import FLEET, collector
from tests.support.delivery import sign_delivery
from tests.support.gitrepo import GitRepo
from tests.support.service import ServiceUnderTest, a_profile, a_service, lab_agents, until

TRANSPORTS = [Transport.WEBSOCKET, Transport.HTTP]


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


async def states(service: ServiceUnderTest) -> dict[str, str]:
    """State by agent, as `gitsync get agents` shows them."""
    return {one["name"]: one["state"] for one in (await service.get("agents"))["items"]}


def applied(agent: object) -> str:
    digest = agent.progress.applied  # type: ignore[attr-defined]
    return "" if digest is None else show_digest(digest)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_commit_reaches_the_agents_that_match_and_a_revert_brings_the_old_one_back(
    service: ServiceUnderTest, repo: GitRepo, transport: Transport
) -> None:
    agent = a_profile(1, {"role": "agent"}, transport=transport)
    gateway = a_profile(2, {"role": "gateway"}, transport=transport)
    async with lab_agents(service, agent, gateway) as (first, second):
        await until(lambda: first.progress.applied and second.progress.applied)
        before, other = applied(first), applied(second)
        assert before != other
        repo.commit_files({"agents/collector.yaml": collector(4400)}, "another port")
        await service.published(repo.head)
        await until(lambda: applied(first) != before)
        assert applied(second) == other
        assert second.progress.offers == 1
        repo.revert()
        await service.published(repo.head)
        await until(lambda: applied(first) == before)
        releases = (await service.get("releases"))["items"]
        assert [one["cause"] for one in releases] == ["back", "publish", "publish"]
        revisions = [one["revision"] for one in releases]
        assert revisions == sorted(revisions, reverse=True)
        assert len(set(revisions)) == 3


async def test_the_payload_is_the_merged_configuration_and_its_hash_is_that_of_the_body(
    service: ServiceUnderTest,
) -> None:
    async with lab_agents(service, a_profile(1, {"role": "agent"})) as (agent,):
        await until(lambda: agent.progress.applied)
        (payload,) = service.running.agents.published.payloads[agent.progress.applied].objects  # type: ignore[index]
        assert (payload.name, payload.content_type) == ("collector.yaml", "text/yaml")
        assert hashlib.sha256(payload.body).digest() == agent.progress.applied


async def test_a_local_commit_is_seen_without_anybody_asking(service: ServiceUnderTest, repo: GitRepo) -> None:
    async with lab_agents(service, a_profile(1, {"role": "agent"})) as (agent,):
        await until(lambda: agent.progress.applied)
        before = applied(agent)
        repo.commit_files({"agents/collector.yaml": collector(4401)}, "watched")
        await until(lambda: applied(agent) != before)


BAD = {
    "broken YAML": ({"agents/collector.yaml": "receivers: [unclosed\n"}, "agents/collector.yaml"),
    "an unknown reference": (
        {"agents/collector.yaml": collector().replace("[otlp]", "[zipkin]")},
        "agents/collector.yaml",
    ),
    "overlapping selectors": (
        {"gateways/target.yaml": "selector:\n  matchLabels: {zone: a}\n"},
        "target.yaml",
    ),
    "two MiB": ({"agents/big.yaml": "# " + "x" * (2 << 20) + "\n"}, "agents/big.yaml"),
    "a duplicate key": ({"agents/collector.yaml": collector() + "service: {}\n"}, "agents/collector.yaml"),
    "no gitsync.yaml": ({"gitsync.yaml": None}, "gitsync.yaml"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_commit_publishes_nothing_and_the_next_good_one_goes_out(
    service: ServiceUnderTest, repo: GitRepo, kind: str
) -> None:
    files, named = BAD[kind]
    async with lab_agents(service, a_profile(1, {"role": "agent"})) as (agent,):
        await until(lambda: agent.progress.applied)
        before = applied(agent)
        bad = repo.commit_files(files, kind)
        assert (await service.sync())["outcome"] == "rejected"
        commit = await service.get(f"commits/{bad[:12]}")
        assert commit["verdict"] == "rejected"
        errors = [one for one in commit["diagnostics"] if one["severity"] == "error"]
        assert any(named in one["path"] or named in one["message"] for one in errors)
        assert all(one["code"].startswith("GS") and one["message"] for one in errors)
        assert applied(agent) == before
        assert agent.progress.offers == 1
        repo.revert()
        assert (await service.sync())["outcome"] == "noop"
        repo.commit_files({"agents/collector.yaml": collector(4402)}, "good again")
        await service.published(repo.head)
        await until(lambda: applied(agent) != before)


async def test_a_symlink_is_refused_by_name(service: ServiceUnderTest, repo: GitRepo) -> None:
    repo.symlink("agents/passwd.yaml", "/etc/passwd")
    bad = repo.commit("a symlink")
    assert (await service.sync())["outcome"] == "rejected"
    commit = await service.get(f"commits/{bad}")
    assert any("agents/passwd.yaml" in one["path"] for one in commit["diagnostics"])


async def test_a_rewritten_history_is_refused_and_said(service: ServiceUnderTest, repo: GitRepo) -> None:
    repo.commit_files({"agents/collector.yaml": collector(4403)}, "to be rewritten")
    await service.published(repo.head)
    repo.force_rewrite()
    result = await service.sync()
    assert result["outcome"] == "refused"
    (source,) = (await service.get("sources"))["items"]
    assert "rewritten" in source["error"]
    repo.commit_files({"agents/collector.yaml": collector(4404)}, "on top of the rewritten one")
    assert (await service.sync())["outcome"] == "refused"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_agent_that_fails_gets_its_last_good_back_and_the_failed_one_never_again(
    service: ServiceUnderTest, repo: GitRepo, transport: Transport
) -> None:
    profile = a_profile(1, {"role": "agent"}, transport=transport, fault=Fault.FAILS)
    async with lab_agents(service, profile) as (agent,):
        await until(lambda: agent.progress.applied)
        good = applied(agent)
        live = service.running.agents.get(profile.uid)
        assert live is not None
        await until(lambda: live.agent.last_good is not None)
        repo.commit_files({"agents/collector.yaml": collector(4405)}, "fails on this agent")
        await service.published(repo.head)
        await until(lambda: agent.progress.failed)
        await until(lambda: live.agent.current and live.agent.current.state == "proven")
        assert applied(agent) == good
        assert agent.progress.offers == 3
        detail = (await service.get("agents"))["items"][0]
        await until(lambda: live.state == "failed")
        assert "exit code 1" in (await service.get(f"agents/{detail['uid']}/why"))["text"]
        repo.commit_files({"gateways/collector.yaml": collector(5400)}, "something else")
        await service.published(repo.head)
        assert agent.progress.offers == 3


async def test_an_agent_without_a_target_gets_nothing(service: ServiceUnderTest) -> None:
    async with lab_agents(
        service, a_profile(1, {"role": "other"}), a_profile(2, {"role": "agent"}, service="an-application")
    ) as agents:
        uids = [one.profile.uid for one in agents]
        await until(lambda: all((live := service.running.agents.get(one)) and live.session.offers_open for one in uids))
        assert [one.progress.offers for one in agents] == [0, 0]
        await until(lambda: service.running.agents.get(uids[1]).assignment)  # type: ignore[union-attr]
        reasons = [service.running.agents.get(one).assignment.reason for one in uids]  # type: ignore[union-attr]
        assert reasons == ["no-target", "unknown-type"]


async def test_after_a_restart_nobody_is_sent_what_it_already_runs(repo: GitRepo, tmp_path: Path) -> None:
    data, profile = tmp_path / "data", a_profile(1, {"role": "agent"})
    async with a_service(repo.path, data) as service:
        await until(lambda: service.running.agents.published.desired.releases)
        async with lab_agents(service, profile) as (agent,):
            await until(lambda: agent.progress.applied)
            live = service.running.agents.get(profile.uid)
            await until(lambda: live and live.agent.last_good)
            status = agent.client
    async with a_service(repo.path, data) as service, lab_agents(service, profile) as (again,):
        again.client = status
        again.progress.applied = agent.progress.applied
        await until(lambda: (live := service.running.agents.get(profile.uid)) and live.state == "applied")
        assert again.progress.offers == 0


async def test_a_webhook_rings_and_a_forged_one_does_not(repo: GitRepo, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("webhook secret\n")
    repo.bare_clone(tmp_path / "origin.git")
    overrides = {"webhooks": {"secret_file": secret}}
    async with a_service(f"file://{tmp_path / 'origin.git'}", tmp_path / "data", overrides) as service:
        await until(lambda: service.running.agents.published.desired.releases)
        commit = repo.commit_files({"agents/collector.yaml": collector(4406)}, "announced")
        body = f'{{"ref": "refs/heads/main", "after": "{commit}"}}'.encode()
        forged = await service.http.post(
            "/api/v1/webhooks/github", content=body, headers=sign_delivery("github", body, b"guess")
        )
        assert forged.status_code == 401
        # The announcement comes before the commit can be fetched: it is looked for again.
        early = await service.http.post(
            "/api/v1/webhooks/github", content=body, headers=sign_delivery("github", body, b"webhook secret")
        )
        assert early.status_code == 202
        repo.push()
        await until(
            lambda: any(one.head == commit for one in service.running.agents.published.desired.releases.values())
        )
