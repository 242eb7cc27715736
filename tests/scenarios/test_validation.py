"""What people see of validation: from a merged pull request to verdict, command line, REST, and agents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gitsync.ids import DEFAULT_SOURCE
from gitsync.lab.profile import AgentProfile
from gitsync.store import SqlStore, StoreOptions
from tests.support.configrepo import QUIET
from tests.support.configs import FLEET, collector
from tests.support.gitrepo import GitRepo
from tests.support.service import ServiceUnderTest, a_profile, a_service, lab_agents, until
from tests.unit.cli.conftest import Outcome, gitsync

WRONG = """\
processors:
  transform:
    trace_statements:
      - context: span
        statements:
          - set(attributes["seen"], true)
          - |
            set(status.message, "timeout_exceeded")
              where duration > Duration("3s")
service:
  pipelines:
    traces:
      processors: [transform]
"""
PLACE = (9, 21)
RIGHT = WRONG.replace("duration >", "end_time - start_time >")
KAFKA = """\
exporters:
  kafka/audit:
    brokers: [kafka.example.com:9092]
service:
  pipelines:
    traces:
      exporters: [debug, kafka/audit]
"""
SLIM = {"receivers": ("otlp",), "exporters": ("debug", "otlp_grpc")}
FULL = {"receivers": ("otlp",), "exporters": ("debug", "otlp_grpc", "kafka")}


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


async def command(service: ServiceUnderTest, *arguments: str) -> Outcome:
    """The command line against the service."""
    options = ("--server", service.running.http_url, "--data-dir", str(service.running.admin_token_file.parent))
    return await asyncio.to_thread(gitsync, *arguments, *options)


def merge(repo: GitRepo, files: Mapping[str, str | bytes | None], subject: str) -> str:
    """A pull request with these changes, merged; the merge commit."""
    repo.git("checkout", "-q", "-b", "change")
    repo.commit_files(files, subject)
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-ff", "-m", f"Merge: {subject}", "change")
    repo.git("branch", "-q", "-d", "change")
    return repo.head


async def found(service: ServiceUnderTest, commit: str) -> list[tuple[str, str, str, int, int]]:
    """Severity, code and place of what was found in a commit."""
    diagnostics = (await service.get(f"commits/{commit}"))["diagnostics"]
    return [(one["severity"], one["code"], one["path"], one["line"], one["column"]) for one in diagnostics]


async def outcome(service: ServiceUnderTest, repo: GitRepo, files: Mapping[str, str | bytes | None]) -> str:
    """Commits files; what becomes of them: `accepted` or `rejected`."""
    repo.commit_files(files, "a change")
    await service.sync()
    return str((await service.get(f"commits/{repo.head}"))["verdict"])


async def test_a_merged_mistake_is_shown_with_its_place_and_agents_keep_what_they_have(
    service: ServiceUnderTest, repo: GitRepo
) -> None:
    async with lab_agents(service, a_profile(1, {"role": "agent"})) as (agent,):
        await until(lambda: agent.progress.applied)
        before = agent.progress.applied
        bad = merge(repo, {"agents/zz-timeouts.yaml": WRONG}, "mark slow spans")
        assert (await service.sync())["outcome"] == "rejected"
        assert await found(service, bad) == [("error", "GS1023", "agents/zz-timeouts.yaml", *PLACE)]

        listed = await command(service, "get", "commits")
        assert (listed.code, "rejected" in listed.out, bad[:7] in listed.out) == (0, True, True)
        described = (await command(service, "describe", "commit", bad[:12])).out
        line, column = PLACE
        assert f'agents/zz-timeouts.yaml:{line}:{column}: error GS1023: there is no path "span.duration"' in described
        assert "hint: a span has no duration: write span.end_time - span.start_time" in described
        as_json = json.loads((await command(service, "describe", "commit", bad[:12], "-o", "json")).out)
        assert as_json["diagnostics"][0]["hint"].endswith("write span.end_time - span.start_time")
        audit = await service.http.get("/api/v1/audit", headers={"Authorization": f"Bearer {service.token}"})
        assert f"agents/zz-timeouts.yaml:{line}:{column}" in audit.text
        metrics = await service.http.get("/metrics")
        assert 'code="GS1023"' in metrics.text

        fix = merge(repo, {"agents/zz-timeouts.yaml": RIGHT}, "spell it right")
        await service.published(fix)
        await until(lambda: agent.progress.applied != before)
        assert agent.progress.offers == 2
        assert await found(service, fix) == []


async def test_the_command_line_says_of_a_checkout_what_the_server_says_of_its_commit(
    service: ServiceUnderTest, repo: GitRepo
) -> None:
    files = {
        "agents/zz-timeouts.yaml": WRONG,
        "agents/redact.ottl": 'delete_key(span.attributes, "a")\nset(span.nope, 1)\n',
    }
    bad = merge(repo, files, "two mistakes")
    assert (await service.sync())["outcome"] == "rejected"
    seen = await found(service, bad)
    assert seen == [
        ("warning", "GS0913", "agents/redact.ottl", 1, 1),
        ("error", "GS1023", "agents/redact.ottl", 2, 5),
        ("error", "GS1023", "agents/zz-timeouts.yaml", *PLACE),
    ]
    offline = await asyncio.to_thread(gitsync, "validate", str(repo.path), "-o", "json")
    told = json.loads(offline.out)["diagnostics"]
    assert offline.code == 1
    assert [
        (one["severity"], one["code"], one["path"].removeprefix(f"{repo.path}/"), one["line"], one["column"])
        for one in told
    ] == seen
    assert {"agents/redact.ottl", "agents/zz-timeouts.yaml"} <= {
        one["path"] for one in (await service.get(f"commits/{bad}"))["files"]
    }


@asynccontextmanager
async def told(service: ServiceUnderTest, data: Path, *profiles: AgentProfile) -> AsyncIterator[None]:
    """Agents that are connected, apply what they get, and whose builds are stored."""
    options = StoreOptions(f"sqlite:///{data / 'gitsync.db'}")
    async with lab_agents(service, *profiles) as agents, await SqlStore.open(options) as store:
        await until(lambda: all(one.progress.applied for one in agents))
        async with asyncio.timeout(20):
            while sum((await store.count_builds(DEFAULT_SOURCE)).values()) < len(profiles) or not await known(
                service, len(profiles)
            ):
                await asyncio.sleep(0.02)
        yield


async def known(service: ServiceUnderTest, count: int) -> bool:
    """Whether the components of all agents can be looked up."""
    agents = (await service.get("agents"))["items"]
    answers = [await service.http.get(f"/api/v1/agents/{one['uid']}/components") for one in agents]
    return len(agents) >= count and all(one.status_code == 200 for one in answers)


def profile(number: int, build: Mapping[str, Sequence[str]]) -> AgentProfile:
    return a_profile(number, {"role": "agent"}, build=build)


async def test_a_component_that_agents_lack_is_a_warning_where_it_is_configured(
    service: ServiceUnderTest, repo: GitRepo, tmp_path: Path
) -> None:
    async with told(service, tmp_path / "data", profile(1, SLIM), profile(2, SLIM), profile(3, FULL)):
        commit = merge(repo, {"agents/kafka.yaml": KAFKA}, "send to Kafka as well")
        await service.published(commit)
        (warning,) = (await service.get(f"commits/{commit}"))["diagnostics"]
        assert (warning["severity"], warning["code"]) == ("warning", "GS0801")
        assert (warning["path"], warning["line"], warning["column"]) == ("agents/kafka.yaml", 2, 3)
        assert warning["message"] == (
            '2 of 3 agents of target "agents" report a build without the exporter "kafka/audit"'
        )
        described = (await command(service, "describe", "commit", commit[:12])).out
        assert "agents/kafka.yaml:2:3: warning GS0801: 2 of 3 agents" in described
        assert "Verdict:    accepted" in described


async def test_a_policy_holds_such_a_commit_back_until_the_agents_have_what_it_needs(
    service: ServiceUnderTest, repo: GitRepo, tmp_path: Path
) -> None:
    policy = FLEET["gitsync.yaml"].replace("GS1103: off", "GS1103: off, GS0801: error")
    async with told(service, tmp_path / "data", profile(1, SLIM)):
        commit = merge(repo, {"agents/kafka.yaml": KAFKA, "gitsync.yaml": policy}, "send to Kafka as well")
        rejected = await service.sync()
        assert rejected["outcome"] == "rejected"
        assert await found(service, commit) == [("error", "GS0801", "agents/kafka.yaml", 2, 3)]
        assert (await service.sync())["outcome"] == "rejected"
    async with told(service, tmp_path / "data", profile(1, FULL)):
        async with asyncio.timeout(20):
            while (await service.sync())["outcome"] == "rejected":
                await asyncio.sleep(0.05)
        assert await found(service, commit) == []
        assert (await service.get(f"commits/{commit}"))["verdict"] == "accepted"


LOGS = (
    collector()
    .replace("traces:", "logs:")
    .replace("      exporters:", "      processors: [transform]\n      exporters:")
)
ONLY_NEW = LOGS + "processors: {transform: {log_statements: ['set(log.attributes[\"a\"], ParseCLF(log.body))']}}\n"


async def test_a_configuration_must_be_valid_in_every_version_that_runs(
    service: ServiceUnderTest, repo: GitRepo
) -> None:
    both = 'collector: {distribution: contrib, versions: ["0.149.0", "0.159.0"]}\n' + QUIET
    files = {"gitsync.yaml": both, "agents/collector.yaml": ONLY_NEW}
    assert await outcome(service, repo, files) == "rejected"
    (one,) = (await service.get(f"commits/{repo.head}"))["diagnostics"]
    assert (one["code"], one["message"]) == ("GS1040", 'there is no function "ParseCLF" (in 0.149.0)')
    own = FLEET["agents/target.yaml"] + 'collector: {versions: ["0.159.0"]}\n'
    assert await outcome(service, repo, {"agents/target.yaml": own}) == "accepted"
    child = {"agents/env=old/target.yaml": 'collector: {versions: ["0.149"]}\n', "agents/env=new/a.yaml": "{}"}
    assert await outcome(service, repo, child) == "rejected"
    assert {path for _, _, path, _, _ in await found(service, repo.head)} == {
        "agents/collector.yaml",
        "agents/env=old/target.yaml",
    }


COLLECTORS: dict[str, tuple[str, tuple[str, int, int], str]] = {
    "collector: {versions: [0.171.0]}": ("accepted", ("GS0411", 1, 24), "0.159.0 is checked instead"),
    "collector: {distribution: otelcol-contribs}": ("rejected", ("GS0410", 1, 27), "no distribution"),
    "policies: {components: {deny: [receiver/otlp]}, severity: {GS1103: off}}": (
        "rejected",
        ("GS1106", 2, 3),
        "is not allowed",
    ),
    "policies: {components: {allow: [receiver/*]}, severity: {GS1103: off}}": (
        "rejected",
        ("GS1106", 7, 3),
        "is not allowed",
    ),
    "policies: {severity: {GS1103: error}}": ("rejected", ("GS1103", 12, 19), "log of the agent"),
    "policies: {severity: {GS1103: warning}}": ("accepted", ("GS1103", 12, 19), "log of the agent"),
    "policies: {severity: {GS1103: loud}}": ("rejected", ("GS0404", 1, 31), "loud"),
    "policies: {severity: {GS0111: off}}": ("rejected", ("GS0412", 1, 23), "cannot be chosen"),
}


@pytest.mark.parametrize("written", COLLECTORS)
async def test_what_the_repository_says_of_its_collectors_and_policies_decides(
    service: ServiceUnderTest, repo: GitRepo, written: str
) -> None:
    came, finding, words = COLLECTORS[written]
    text = f"{written}\n" if written.startswith("policies") else f"{written}\n{QUIET}"
    files: dict[str, str | None] = {"gitsync.yaml": text, "gateways/collector.yaml": None, "gateways/target.yaml": None}
    assert await outcome(service, repo, files | {"agents/collector.yaml": collector(4399)}) == came
    (one,) = (await service.get(f"commits/{repo.head}"))["diagnostics"]
    assert (one["code"], one["line"], one["column"]) == finding
    assert words in one["message"]
