"""How long a commit needs from the webhook to a real Collector that runs it."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from datetime import timedelta
from pathlib import Path

from gitsync.fleet.agent import AttemptState
from gitsync.ids import AgentUid
from tests.support.configs import FLEET
from tests.support.delivery import sign_delivery
from tests.support.gitrepo import GitRepo
from tests.support.service import ServiceUnderTest, a_service, until
from tests.support.supervisor import Supervisor

COMMITS = 10
UID = uuid.UUID("018f6c3e-7a1b-7c2d-9e4f-0123456789ab")
SECRET = b"bench"
APPLY_TIMEOUT = timedelta(seconds=1)
"""After which the supervisor says APPLIED."""


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _config(port: int, milliseconds: int) -> str:
    return f"""\
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{port}
processors:
  batch:
    timeout: {milliseconds}ms
exporters:
  debug:
service:
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [debug]
"""


async def collector_story(directory: Path) -> dict[str, list[float]]:
    """Seconds from webhook to each milestone, for several commits."""
    repo = GitRepo(directory / "config")
    repo.commit_files({**FLEET, "agents/collector.yaml": _config(_port(), 200)}, "the first configuration")
    repo.bare_clone(directory / "origin.git")
    secret = directory / "secret"
    secret.write_bytes(SECRET)
    overrides = {"webhooks": {"secret_file": secret}}
    async with a_service(f"file://{directory / 'origin.git'}", directory / "data", overrides) as service:
        await until(lambda: service.running.agents.published.desired.releases)
        url = "ws" + service.opamp_url.removeprefix("http")
        agent = Supervisor(
            url, directory / "agent", labels={"role": "agent"}, instance_id=UID, config_apply_timeout=APPLY_TIMEOUT
        )
        async with agent:
            await until(lambda: _is(service, AttemptState.PROVEN), 60)
            times: dict[str, list[float]] = {}
            for number in range(COMMITS):
                repo.commit_files({"agents/collector.yaml": _config(_port(), 300 + number)}, f"change {number}")
                repo.push()
                for name, seconds in (await _one(service, repo.head)).items():
                    times.setdefault(name, []).append(seconds)
    return times


def _is(service: ServiceUnderTest, state: AttemptState) -> bool:
    one = service.running.agents.get(AgentUid(UID.bytes))
    return one is not None and one.agent.current is not None and one.agent.current.state is state


async def _one(service: ServiceUnderTest, commit: str) -> dict[str, float]:
    body = f'{{"ref": "refs/heads/main", "after": "{commit}"}}'.encode()
    one = service.running.agents.get(AgentUid(UID.bytes))
    assert one is not None
    before = one.agent.current
    began = time.perf_counter()
    answer = await service.http.post(
        "/api/v1/webhooks/github", content=body, headers=sign_delivery("github", body, SECRET)
    )
    assert answer.status_code == 202
    times: dict[str, float] = {}

    async def reach(name: str, done: object) -> None:
        async with asyncio.timeout(30):
            while not done():  # type: ignore[operator]  # noqa: ASYNC110 - what is waited for sends no event
                await asyncio.sleep(0.002)
        times[name] = time.perf_counter() - began

    await reach(
        "published", lambda: any(r.head == commit for r in service.running.agents.published.desired.releases.values())
    )
    await reach("offered", lambda: one.agent.current is not before and one.agent.current.digest != before.digest)  # type: ignore[union-attr]
    await reach("running and healthy", lambda: one.agent.contained is True and one.agent.healthy is True)
    await reach("APPLIED and proven", lambda: _is(service, AttemptState.PROVEN))
    return times
