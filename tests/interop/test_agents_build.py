"""The agents that the interop tests rely on are real, start, and do what their wrappers say.

The peers here are as small as can be: what gitsync's own server does is for the scenarios to show.
"""

from __future__ import annotations

import json
import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.peers import APPLIED, FAILED, HttpPeer, WebSocketPeer
from tests.support.sdk_agents import SdkAgent
from tests.support.supervisor import CURRENT, OLD, Pair, Supervisor

pytestmark = pytest.mark.interop

#: Nothing listens on the discard port of this host.
NOWHERE = "ws://127.0.0.1:9/v1/opamp"
PIPELINE = """
receivers: {otlp: {protocols: {grpc: {endpoint: "127.0.0.1:0"}}}}
processors: {batch: {timeout: 2s}}
exporters: {debug: {}}
service: {pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [debug]}}}
"""
BROKEN = PIPELINE.replace("batch", "nosuchprocessor")
both_pairs = pytest.mark.parametrize("pair", [CURRENT, OLD], ids=["current", "old"])


@both_pairs
def test_the_collector_knows_its_version_and_every_component(pair: Pair) -> None:
    collector = str(tools.require(pair.collector))
    version = subprocess.run([collector, "--version"], capture_output=True, text=True, check=True).stdout
    assert version.split()[-1] == ("v0.158.0" if pair is CURRENT else "v0.149.0")
    config = {
        "receivers": {
            "otlp": {"protocols": {"http": None}},
            "hostmetrics": {"scrapers": {"memory": None}},
            "nop": None,
        },
        "processors": {
            "batch": None,
            "memory_limiter": {"check_interval": "1s", "limit_mib": 100},
            "transform": {"log_statements": ['set(log.attributes["a"], "b")']},
            "filter": {"logs": {"log_record": ['severity_text == "DEBUG"']}},
        },
        "exporters": {
            "debug": None,
            "nop": None,
            "otlp": {"endpoint": "127.0.0.1:1"},
            "otlphttp": {"endpoint": "http://127.0.0.1:1"},
        },
        "extensions": {"health_check": None, "opamp": {"server": {"ws": {"endpoint": NOWHERE}}}},
        "service": {
            "extensions": ["health_check", "opamp"],
            "pipelines": {
                "logs": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "filter", "transform", "batch"],
                    "exporters": ["debug", "nop", "otlp", "otlphttp"],
                },
                "metrics": {"receivers": ["hostmetrics", "nop"], "exporters": ["${env:EXPORTER}"]},
            },
        },
    }
    checked = subprocess.run(
        [collector, "validate", f"--config=yaml:{json.dumps(config)}"],
        env={**os.environ, "EXPORTER": "nop"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


@both_pairs
async def test_a_supervisor_runs_its_collector_while_no_server_listens(pair: Pair, tmp_path: Path) -> None:
    async with Supervisor(NOWHERE, tmp_path / "agent", pair=pair) as agent:
        await agent.wait_until(agent.collector_pid)
        await agent.wait_until(lambda: "opamp" in agent.effective_config().get("extensions", {}))
        await agent.wait_until(lambda: "connection refused" in agent.log)
        pid = agent.collector_pid()
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@both_pairs
async def test_a_supervisor_applies_what_it_is_offered_and_keeps_it_over_a_restart(pair: Pair, tmp_path: Path) -> None:
    async with WebSocketPeer(PIPELINE).listening() as peer:
        agent = Supervisor(peer.endpoint, tmp_path / "agent", labels={"env": "prod"}, pair=pair)
        async with agent:
            await agent.wait_until(lambda: APPLIED in peer.statuses(), what="APPLIED")
            assert agent.effective_config()["processors"]["batch"] == {"timeout": "2s"}
            uid = agent.instance_uid
            assert {m.instance_uid for m in peer.received} == {uid}
            description = next(m for m in peer.received if m.HasField("agent_description")).agent_description
            attributes = {a.key: a.value.string_value for a in description.non_identifying_attributes}
            assert attributes["env"] == "prod"

            peer.received.clear()
            await agent.restart()
            await agent.wait_until(lambda: APPLIED in peer.statuses(), what="the kept status")
            assert agent.instance_uid == uid
            assert agent.effective_config()["processors"]["batch"] == {"timeout": "2s"}
        assert peer.received[-1].HasField("agent_disconnect")
        assert not agent.running

        await agent.restart(keep_state=False)
        assert agent.instance_uid != uid
        await agent.kill()


async def test_a_supervisor_reports_a_configuration_that_its_collector_refuses(tmp_path: Path) -> None:
    async with (
        WebSocketPeer(BROKEN).listening() as peer,
        Supervisor(peer.endpoint, tmp_path / "agent") as agent,
    ):
        await agent.wait_until(lambda: FAILED in peer.statuses(), what="FAILED")
        assert APPLIED not in peer.statuses()
        await agent.wait_until(lambda: "nosuchprocessor" in agent.collector_log)
        await agent.wait_until(lambda: agent.config_status().get("status") == FAILED)


async def test_a_supervisor_reports_over_http_too(tmp_path: Path) -> None:
    async with (
        HttpPeer({"": ("text/yaml", PIPELINE)}).listening() as peer,
        Supervisor(peer.endpoint, tmp_path / "agent", labels={"env": "prod"}) as agent,
    ):
        await agent.wait_until(lambda: APPLIED in {m.remote_config_status.status for m in peer.received})
        assert {m.instance_uid for m in peer.received} == {agent.instance_uid}
        assert any(m.HasField("agent_description") for m in peer.received)


async def test_two_supervisors_live_side_by_side(tmp_path: Path) -> None:
    async with WebSocketPeer(PIPELINE).listening() as one, WebSocketPeer(PIPELINE).listening() as two:
        first = Supervisor(one.endpoint, tmp_path / "one")
        second = Supervisor(two.endpoint, tmp_path / "two")
        async with first, second:
            await first.wait_until(lambda: APPLIED in one.statuses())
            await second.wait_until(lambda: APPLIED in two.statuses())
            assert first.instance_uid != second.instance_uid
            assert first.collector_pid() != second.collector_pid()


async def test_killing_a_supervisor_leaves_no_collector_behind(tmp_path: Path) -> None:
    agent = Supervisor(NOWHERE, tmp_path / "agent")
    await agent.start()
    await agent.wait_until(agent.collector_pid)
    pid = agent.collector_pid()
    assert pid is not None
    group = os.getpgid(pid)
    await agent.kill()
    await agent.kill()  # harmless
    assert _living_members(group) == []


async def test_a_supervisor_that_cannot_start_says_why(tmp_path: Path) -> None:
    agent = Supervisor("gopher://127.0.0.1/", tmp_path / "agent")
    with pytest.raises(AssertionError, match="invalid scheme"):
        await agent.start()
    assert not agent.running


async def test_an_sdk_agent_applies_json_and_says_farewell() -> None:
    body = '{"level": "debug"}'
    async with HttpPeer({"settings": ("application/json", body)}).listening() as peer:
        interval = timedelta(seconds=0.2)
        async with SdkAgent(peer.endpoint, "checkout", attributes={"env": "prod"}, interval=interval) as agent:
            config = await agent.wait_for("config")
            assert config["entries"][0]["name"] == "settings"
            assert config["entries"][0]["content_type"] == "application/json"
            assert config["entries"][0]["body"] == body
            status = await agent.wait_for("status", status="APPLIED")
            assert status["hash"] == peer.offer.remote_config.config_hash.hex()
            await agent.wait_for("answered", count=len(agent.seen("answered")) + 2)
            assert await agent.stop() == 0, agent.errors
        reports = [m for m in peer.received if m.HasField("remote_config_status")]
        assert reports[0].remote_config_status.status == APPLIED
        assert reports[0].effective_config.config_map.config_map["settings"].body == body.encode()
        assert peer.received[-1].HasField("agent_disconnect")
        assert {m.instance_uid for m in peer.received} == {agent.instance_uid}


@pytest.mark.parametrize(
    ("content_type", "body", "reject"),
    [("text/yaml", "level: debug", ""), ("application/json", "{", ""), ("application/json", '"bad"', "bad")],
    ids=["not JSON by type", "not JSON", "rejected by the program"],
)
async def test_an_sdk_agent_reports_what_it_cannot_use(content_type: str, body: str, reject: str) -> None:
    async with (
        HttpPeer({"settings": (content_type, body)}).listening() as peer,
        SdkAgent(peer.endpoint, "checkout", reject=reject) as agent,
    ):
        status = await agent.wait_for("status")
        assert status["status"] == "FAILED"
        assert "settings" in status["error"]


async def test_an_sdk_agent_that_waits_in_vain_shows_what_it_saw() -> None:
    async with SdkAgent("http://127.0.0.1:9/", "checkout") as agent:
        await agent.wait_for("unreachable")
        with pytest.raises(AssertionError, match="unreachable"):
            await agent.wait_for("config", timeout=timedelta(seconds=0.1))


def _living_members(group: int) -> list[int]:
    """Processes of a process group that still run; a dead one that nobody has reaped yet does not count."""
    listed = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for pid, of, state in rows if int(of) == group and not state.startswith("Z")]
