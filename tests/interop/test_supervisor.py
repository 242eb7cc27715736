"""The real OpAMP supervisor with a real Collector: the story of a commit as a host lives it."""

from __future__ import annotations

import socket
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from gitsync.fleet.agent import AttemptState
from gitsync.ids import AgentUid
from tests.support.configs import FLEET
from tests.support.gitrepo import GitRepo
from tests.support.real_agents import Supervised
from tests.support.service import ServiceUnderTest, a_service, until
from tests.support.supervisor import Supervisor

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

#: Plain HTTP agents ask every 30 s.
POLL_SECONDS = 60.0
UID = uuid.UUID("018f6c3e-7a1b-7c2d-9e4f-0123456789ab")


def a_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


#: Settings of receivers; this build of the Collector does not contain the second.
RECEIVERS = {
    "otlp": "{{protocols: {{http: {{endpoint: '127.0.0.1:{port}'}}}}}}",
    "zipkin": "{{endpoint: '127.0.0.1:{port}'}}",
}


def config(port: int, *, receiver: str = "otlp", batch: str = "200ms") -> str:
    return f"""\
receivers:
  {receiver}: {RECEIVERS[receiver].format(port=port)}
processors:
  batch:
    timeout: {batch}
exporters:
  debug:
service:
  pipelines:
    traces:
      receivers: [{receiver}]
      processors: [batch]
      exporters: [debug]
"""


#: Each step of these waits for a poll, so plain HTTP is part of the slow tier.
TRANSPORTS = ["websocket", pytest.param("http", marks=pytest.mark.slow)]


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    repo = GitRepo(tmp_path / "config")
    repo.commit_files({**FLEET, "agents/collector.yaml": config(a_port())}, "the first configuration")
    return repo


@pytest.fixture
async def service(repo: GitRepo, tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(repo.path, tmp_path / "data") as started:
        await until(lambda: started.running.agents.published.desired.releases)
        yield started


def supervisor(service: ServiceUnderTest, tmp_path: Path, transport: str, **options: object) -> Supervisor:
    scheme = {"websocket": "ws", "http": "http"}[transport]
    url = scheme + service.opamp_url.removeprefix("http")
    return Supervisor(url, tmp_path / "agent", labels={"role": "agent"}, instance_id=UID, **options)  # type: ignore[arg-type]


def live(service: ServiceUnderTest, agent: Supervisor) -> object:
    return service.running.agents.get(AgentUid(UID.bytes))


async def proven(service: ServiceUnderTest, agent: Supervisor, digest: bytes | None = None) -> bytes:
    """Waits until a payload (this one, if given) is proven on the agent; its digest."""

    def done() -> bool:
        one = service.running.agents.get(AgentUid(UID.bytes))
        if one is None or one.agent.current is None or one.agent.current.state is not AttemptState.PROVEN:
            return False
        return digest is None or one.agent.current.digest == digest

    await Supervised(agent).wait(service, done)
    one = service.running.agents.get(AgentUid(UID.bytes))
    assert one is not None
    assert one.agent.current is not None
    return one.agent.current.digest


def wanted(service: ServiceUnderTest) -> bytes:
    """The payload that the agents' target wants now."""
    (status,) = [one for one in service.running.overview.targets() if one.path == "agents"]
    assert status.config_hash is not None
    return status.config_hash


@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_a_commit_runs_on_the_collector_a_second_one_replaces_it_and_a_revert_brings_it_back(
    service: ServiceUnderTest, repo: GitRepo, tmp_path: Path, transport: str
) -> None:
    async with supervisor(service, tmp_path, transport) as agent:
        first = await proven(service, agent)
        assert first == wanted(service)
        assert agent.effective_config()["processors"]["batch"]["timeout"] == "200ms"
        repo.commit_files({"agents/collector.yaml": config(a_port(), batch="300ms")}, "a slower batch")
        await service.published(repo.head)
        second = await proven(service, agent, wanted(service))
        assert second != first
        assert agent.effective_config()["processors"]["batch"]["timeout"] == "300ms"
        repo.revert()
        await service.published(repo.head)
        assert await proven(service, agent, first) == first
        assert agent.effective_config()["processors"]["batch"]["timeout"] == "200ms"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_bad_commit_does_not_touch_the_collector(
    service: ServiceUnderTest, repo: GitRepo, tmp_path: Path, transport: str
) -> None:
    async with supervisor(service, tmp_path, transport) as agent:
        await proven(service, agent)
        starts = agent.collector_starts()
        repo.commit_files({"agents/collector.yaml": config(1).replace("[otlp]", "[nothing]")}, "bad")
        assert (await service.sync())["outcome"] == "rejected"
        repo.commit_files({"agents/collector.yaml": config(a_port(), batch="400ms")}, "good")
        await service.published(repo.head)
        await proven(service, agent, wanted(service))
        assert agent.collector_starts() == starts + 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_collector_that_fails_at_start_gets_its_last_good_configuration_back(
    service: ServiceUnderTest, repo: GitRepo, tmp_path: Path, transport: str
) -> None:
    async with supervisor(service, tmp_path, transport) as agent:
        good = await proven(service, agent)
        # A good configuration for most Collectors, and not for this build: that is a warning.
        repo.commit_files({"agents/collector.yaml": config(a_port(), receiver="zipkin")}, "fails at start")
        await service.published(repo.head)
        bad = wanted(service)
        await until(lambda: bad in live(service, agent).agent.failed, POLL_SECONDS)  # type: ignore[attr-defined]
        assert await proven(service, agent, good) == good
        one = live(service, agent)
        assert (one.state, one.assignment.reason) == ("failed", "wanted-failed")  # type: ignore[attr-defined]
        assert "otlp" in agent.effective_config()["receivers"]
        # The failed content is not offered again, whatever else changes.
        repo.commit_files({"gateways/collector.yaml": config(a_port())}, "something else")
        await service.published(repo.head)
        assert live(service, agent).agent.current.digest == good  # type: ignore[attr-defined]
        repo.commit_files({"agents/collector.yaml": config(a_port(), batch="500ms")}, "the fix")
        await service.published(repo.head)
        await proven(service, agent, wanted(service))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_restart_of_the_server_sends_nothing_that_already_runs(
    repo: GitRepo, tmp_path: Path, transport: str
) -> None:
    port = a_port()
    listen = {"server": {"listen": {"opamp": f"127.0.0.1:{port}"}}}
    async with a_service(repo.path, tmp_path / "data", listen) as service:
        await until(lambda: service.running.agents.published.desired.releases)
        agent = supervisor(service, tmp_path, transport)
        await agent.start()
        try:
            await proven(service, agent)
        except BaseException:
            await agent.stop()
            raise
    try:
        starts = agent.collector_starts()
        async with a_service(repo.path, tmp_path / "data", listen) as service:
            await Supervised(agent).applied(service)
            assert live(service, agent).agent.current.tries == 1  # type: ignore[attr-defined]
            repo.commit_files({"agents/collector.yaml": config(a_port(), batch="600ms")}, "after the restart")
            await service.published(repo.head)
            await proven(service, agent, wanted(service))
        assert agent.collector_starts() == starts + 1
    finally:
        await agent.stop()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_restart_of_the_agent_keeps_its_configuration(
    service: ServiceUnderTest, repo: GitRepo, tmp_path: Path, transport: str
) -> None:
    async with supervisor(service, tmp_path, transport) as agent:
        first = await proven(service, agent)
        offered = service.running.overview.meters.config_updates["offered"]
        await agent.restart()
        await Supervised(agent).applied(service)
        assert service.running.overview.meters.config_updates["offered"] == offered
        assert live(service, agent).agent.reported.digest == first  # type: ignore[attr-defined]
        await agent.restart(keep_state=False)
        await until(lambda: agent.effective_config().get("receivers", {}).get("otlp"), 60)
        await proven(service, agent, first)


async def test_a_supervisor_of_an_older_release_works_the_same(
    service: ServiceUnderTest, repo: GitRepo, tmp_path: Path
) -> None:
    from tests.support.supervisor import OLD

    async with supervisor(service, tmp_path, "websocket", pair=OLD) as agent:
        good = await proven(service, agent)
        repo.commit_files({"agents/collector.yaml": config(a_port(), receiver="zipkin")}, "fails at start")
        await service.published(repo.head)
        bad = wanted(service)
        await until(lambda: bad in live(service, agent).agent.failed)  # type: ignore[attr-defined]
        await proven(service, agent, good)


async def test_an_agent_that_goes_back_by_itself_is_not_sent_what_failed_again(
    service: ServiceUnderTest, repo: GitRepo, tmp_path: Path
) -> None:
    async with supervisor(service, tmp_path, "websocket", automatic_rollback=True) as agent:
        good = await proven(service, agent)
        repo.commit_files({"agents/collector.yaml": config(a_port(), receiver="zipkin")}, "fails at start")
        await service.published(repo.head)
        bad = wanted(service)
        await until(lambda: bad in live(service, agent).agent.failed)  # type: ignore[attr-defined]
        await until(lambda: live(service, agent).agent.reported.digest == good, 60)  # type: ignore[attr-defined]
        offered = service.running.overview.meters.config_updates["offered"]
        repo.commit_files({"gateways/collector.yaml": config(a_port())}, "something else")
        await service.published(repo.head)
        assert service.running.overview.meters.config_updates["offered"] == offered


async def test_a_supervisor_that_is_stuck_on_its_own_validation_is_freed(
    service: ServiceUnderTest, repo: GitRepo, tmp_path: Path
) -> None:
    from tests.support.supervisor import OLD

    def with_function(name: str) -> str:
        transform = f'  transform:\n    trace_statements: [\'{name}(span.attributes["a"], "b")\']\n'
        text = config(a_port()).replace("processors:\n", "processors:\n" + transform, 1)
        return text.replace("processors: [batch]", "processors: [transform, batch]")

    repo.commit_files({"agents/collector.yaml": with_function("set")}, "a transform")
    await service.published(repo.head)
    # The Collector must have crashed before the supervisor loses its patience with it.
    options: dict[str, object] = {"pair": OLD, "validate_config": True, "config_apply_timeout": timedelta(seconds=8)}
    async with supervisor(service, tmp_path, "websocket", **options) as agent:
        good = await proven(service, agent)
        # This supervisor validates with what runs merged over what is new: a bad function in a key that exists
        # passes, crashes the Collector, and from then on every good configuration is refused.
        # What the agent fills in cannot be judged before.
        unseen = with_function("${env:NOT_SET:-no_such_function}")
        repo.commit_files({"agents/collector.yaml": unseen}, "crashes the Collector")
        await service.published(repo.head)
        bad = wanted(service)
        await until(lambda: bad in live(service, agent).agent.failed, 60)  # type: ignore[attr-defined]
        await proven(service, agent, good)
        audit = await service.http.get("/api/v1/audit", headers={"Authorization": f"Bearer {service.token}"})
        assert "to free a supervisor" in audit.text


async def test_a_supervisor_that_is_told_to_restart_shows_it_and_its_components_are_known(
    service: ServiceUnderTest, tmp_path: Path
) -> None:
    uid = AgentUid(UID.bytes)
    async with supervisor(service, tmp_path, "websocket") as agent:
        await Supervised(agent).applied(service)
        answer = await service.http.post(
            f"/api/v1/agents/{UID}/restart", headers={"Authorization": f"Bearer {service.token}"}
        )
        assert (answer.status_code, answer.json()["restart"]["state"]) == (202, "sent")
        live = service.running.agents.get(uid)
        assert live is not None
        await until(lambda: live.agent.restart is not None and live.agent.restart.state == "restarted", POLL_SECONDS)
        await until(lambda: live.agent.healthy)
        shown = await service.get(f"agents/{UID}/components")
        assert shown["build"]["counts"]["receivers"] >= 1
        assert "v0.158.0" in shown["build"]["versions"]
