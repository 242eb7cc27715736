"""Commands, custom messages, twins and too many messages, over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitsync.app import load_extensions
from gitsync.errors import SettingsError
from gitsync.ids import show_uid
from gitsync.lab.profile import Transport
from gitsync.opamp.messages import Capability, ErrorType
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.agentclient import CAPABILITIES, WsAgent, client_state, http_agent, ws_agent
from tests.support.builders import a_uid
from tests.support.configs import FLEET
from tests.support.fleet import connected_count
from tests.support.gitrepo import GitRepo
from tests.support.service import ServiceUnderTest, a_profile, a_service, lab_agents, until
from tests.unit.cli.conftest import Outcome, gitsync

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "extensions.md"
GREETING = "com.example.greeting.v1"


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    repo = GitRepo(tmp_path / "config")
    repo.commit_files(FLEET, "the first configuration")
    return repo


@pytest.fixture
async def service(repo: GitRepo, tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(repo.path, tmp_path / "data") as started:
        yield started


async def command(service: ServiceUnderTest, *arguments: str) -> Outcome:
    """The command line against the service."""
    options = ("--server", service.running.http_url, "--data-dir", str(service.running.admin_token_file.parent))
    return await asyncio.to_thread(gitsync, *arguments, *options)


async def test_an_agent_is_restarted_from_the_command_line_and_the_result_is_seen(service: ServiceUnderTest) -> None:
    async with lab_agents(service, a_profile(1, {"role": "agent"})) as (agent,):
        await until(lambda: agent.progress.applied)
        uid = show_uid(a_uid(1))
        await _known(service, uid)
        done = await command(service, "restart", "agent", "agent-1", "--wait", "--timeout", "30s")
        assert (done.code, done.err) == (0, "")
        assert "restarted" in done.out
        shown = await service.get(f"agents/{uid}")
        assert shown["restart"]["state"] == "restarted"
        assert "Restart:" in (await command(service, "describe", "agent", "agent-1")).out
    audit = await service.http.get("/api/v1/audit", headers={"Authorization": f"Bearer {service.token}"})
    lines = [one for one in audit.json()["items"] if one["action"] == "restart"]
    assert [(one["result"], one["agentUid"]) for one in lines] == [("success", uid)]


async def _known(service: ServiceUnderTest, uid: str) -> None:
    async with asyncio.timeout(20):
        while (await service.http.get(f"/api/v1/agents/{uid}")).status_code != 200:
            await asyncio.sleep(0.02)


async def test_refusals_are_conflicts_that_say_why(service: ServiceUnderTest) -> None:
    token = {"Authorization": f"Bearer {service.token}"}
    async with lab_agents(service, a_profile(1, transport=Transport.HTTP)):
        uid = show_uid(a_uid(1))
        await _known(service, uid)
        live = service.running.agents.get(a_uid(1))
        assert live is not None
    await until(lambda: not live.connected)
    gone = await service.http.post(f"/api/v1/agents/{uid}/restart", headers=token)
    assert (gone.status_code, gone.json()["code"]) == (409, "agent.not-connected")
    unknown = await service.http.post(f"/api/v1/agents/{show_uid(a_uid(9))}/restart", headers=token)
    assert unknown.status_code == 404
    async with ws_agent(service.running.opamp_url, client_state(uid=a_uid(2))) as plain:
        await plain.hello()
        unable = await service.http.post(f"/api/v1/agents/{show_uid(a_uid(2))}/restart", headers=token)
        assert (unable.status_code, unable.json()["code"]) == (409, "agent.capability")


async def test_the_extension_of_the_guide_works(repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    try:
        async with a_service(repo.path, tmp_path / "data", {"extensions": ["greeting"]}) as service:
            state = client_state(uid=a_uid(1), custom_capabilities=[GREETING])
            async with ws_agent(service.running.opamp_url, state) as agent:
                step = await agent.hello()
                assert GREETING in agent.state.server_custom
                assert step.custom is not None
                assert step.custom.type == "hello"
                await agent.say(agent.state.send_custom(GREETING, "ask", b""))
                answer = (await agent.hear()).custom
                assert answer is not None
                assert answer.type == "time"
                assert re.match(rb"\d{4}-\d\d-\d\dT", answer.data)
            state = client_state(uid=a_uid(2), custom_capabilities=[GREETING])
            async with http_agent(service.running.opamp_url, state) as polling:
                assert (await polling.hello()).custom is not None
                answer = (await polling.say(polling.state.send_custom(GREETING, "ask", b""))).custom
                assert answer is not None
                assert answer.type == "time"
    finally:
        sys.modules.pop("greeting", None)


def install(site: Path) -> None:
    """Puts the example of the guide where an installed package is: module and entry point."""
    text = GUIDE.read_text()
    code = re.search(r"^```python\n# greeting\.py\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    name = re.search(r'^\[project\.entry-points\."gitsync\.extensions"\]\ngreeting = "(.+)"$', text, re.MULTILINE)
    assert code is not None
    assert name is not None
    about = site / "greeting-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "greeting.py").write_text(code[1])
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[gitsync.extensions]\ngreeting = {name[1]}\n")


def test_an_extension_that_is_not_installed_ends_the_start() -> None:
    with pytest.raises(SettingsError, match="there is no extension 'nothing'") as refused:
        load_extensions(["nothing"])
    assert refused.value.code == "extension.unknown"


def test_an_extension_that_cannot_be_imported_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site")
    (tmp_path / "site" / "greeting.py").write_text("raise RuntimeError('broken')\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(SettingsError, match="cannot be loaded: broken"):
        load_extensions(["greeting"])


def test_only_named_extensions_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert load_extensions([]) == []
    assert "greeting" not in sys.modules


async def test_two_sockets_with_one_uid_become_two_agents(service: ServiceUnderTest) -> None:
    uid = a_uid(1)
    url = service.running.opamp_url
    async with (
        ws_agent(url, client_state({"role": "first"}, uid=uid)) as first,
        ws_agent(url, client_state({"role": "second"}, uid=uid)) as second,
    ):
        await first.hello()
        await second.hello()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_speak_until(first, service), name="first")
            tasks.create_task(_hear_new_uid(second), name="second")
        assert second.state.uid != uid
        await second.say(second.state.heartbeat())
        await _until_named(second, service)
        names = {show_uid(one.state.uid): one for one in (first, second)}
        await until(lambda: connected_count(service.running.agents) == 2)
        for shown in names:
            await _known(service, shown)
        one = await service.get(f"agents/{show_uid(uid)}")
        assert one["labels"]["role"] == "first"
        assert one["duplicate"] == show_uid(second.state.uid)
        assert "duplicate-uid" in (await command(service, "describe", "agent", show_uid(uid))).out


async def _speak_until(agent: WsAgent, service: ServiceUnderTest) -> None:
    """Heartbeats, until the server has noticed that there are two."""
    while not service.running.overview.meters.duplicate_uids:
        await agent.say(agent.state.heartbeat())
        await agent.hear()
        await asyncio.sleep(0.05)


async def _hear_new_uid(agent: WsAgent) -> None:
    while not (await agent.hear()).renamed:
        pass


async def _until_named(agent: WsAgent, service: ServiceUnderTest) -> None:
    """Answers what the server asks, until it knows what the agent is."""
    while True:
        await agent.hear()
        live = service.running.agents.get(agent.state.uid)
        if live is not None and live.agent.labels.reported.get("role"):
            return


async def test_a_flood_is_answered_once_and_then_not_read_and_others_are_served(repo: GitRepo, tmp_path: Path) -> None:
    rate = {"server": {"agents": {"message_rate": 10}}}
    async with a_service(repo.path, tmp_path / "data", rate) as service:
        url = service.running.opamp_url
        async with ws_agent(url, client_state(uid=a_uid(1))) as flood, ws_agent(url) as other:
            await flood.hello()
            await other.hello()
            for _ in range(150):
                await flood.say(flood.state.heartbeat())
            steps = [await flood.hear()]
            while steps[-1].error is None:
                steps.append(await flood.hear())
            assert steps[-1].error.type is ErrorType.UNAVAILABLE
            assert steps[-1].error.retry_after is not None
            assert 95 <= len(steps) <= 110
            meters = service.running.overview.meters
            assert meters.throttled == 1
            await other.say(other.state.heartbeat())
            assert (await other.hear()).error is None
            assert len(flood.received) == len(steps) + 1  # the rest is not read yet
            flood.socket.transport.abort()


async def test_a_request_for_a_certificate_is_refused_over_both_transports(service: ServiceUnderTest) -> None:
    url = service.running.opamp_url
    async with ws_agent(url) as agent, http_agent(url) as polling:
        await agent.hello()
        await agent.say(agent.state.request_certificate(b"pem"))
        await agent.hear()
        await polling.hello()
        await polling.say(polling.state.request_certificate(b"pem"))
        for one in (agent, polling):
            (last,) = one.received[-1:]
            assert {field.name for field, _ in last.ListFields()} == {"instance_uid", "error_response"}
            assert last.error_response.type == pb.ServerErrorResponseType_BadRequest


async def test_components_of_a_build_are_asked_for_and_shown(service: ServiceUnderTest) -> None:
    from gitsync.opamp.messages import Component

    build = {"receivers": Component(members={"otlp": Component({"code.namespace": "go.example.com/otlp v0.158.0"})})}
    state = client_state(
        {"host.name": "edge-1"},
        uid=a_uid(1),
        capabilities=CAPABILITIES | Capability.REPORTS_AVAILABLE_COMPONENTS,
        components=build,
        components_hash=b"build",
    )
    async with ws_agent(service.running.opamp_url, state) as agent:
        await agent.hello()
        while not pb.ServerToAgentFlags_ReportAvailableComponents & agent.received[-1].flags:
            await agent.hear()
        await agent.hear()
        uid = show_uid(a_uid(1))
        await _known(service, uid)
        async with asyncio.timeout(20):
            while (await service.http.get(f"/api/v1/agents/{uid}/components")).status_code != 200:
                await asyncio.sleep(0.02)
        done = await command(service, "describe", "agent", "edge-1", "-o", "json")
        assert json.loads(done.out)["build"]["counts"] == {"receivers": 1}
        assert "1 receivers (v0.158.0)" in (await command(service, "describe", "agent", "edge-1")).out
