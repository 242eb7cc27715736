"""The story of a commit with its state in PostgreSQL: the same as on SQLite, and two servers on one database."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gitsync.control.leader import TTL
from gitsync.ids import show_digest
from gitsync.lab.agent import SimulatedAgent
from gitsync.lab.sockets import WebSocketAgent
from tests.support.configs import FLEET, collector
from tests.support.gitrepo import GitRepo
from tests.support.postgres import PostgresServer
from tests.support.server_process import a_server_process
from tests.support.service import ServiceUnderTest, a_profile, a_service, lab_agents, until


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    repo = GitRepo(tmp_path / "config")
    repo.commit_files(FLEET, "the first configuration")
    return repo


def on(url: str, **more: Any) -> dict[str, Any]:
    return {"database": {"type": "postgresql", "dsn": url}, **more}


def releases(service: ServiceUnderTest) -> Mapping[Any, Any]:
    return service.running.agents.published.desired.releases


def applied(agent: SimulatedAgent) -> str:
    return "" if agent.progress.applied is None else show_digest(agent.progress.applied)


async def test_commit_second_commit_revert_bad_commit_and_restart(
    repo: GitRepo, tmp_path: Path, postgres_url: str
) -> None:
    data, profile = tmp_path / "data", a_profile(1, {"role": "agent"})
    async with a_service(repo.path, data, on(postgres_url)) as service:
        await until(lambda: releases(service))
        async with lab_agents(service, profile) as (agent,):
            await until(lambda: agent.progress.applied)
            first = applied(agent)
            repo.commit_files({"agents/collector.yaml": collector(4400)}, "another port")
            await service.published(repo.head)
            await until(lambda: applied(agent) != first)
            repo.revert()
            await service.published(repo.head)
            await until(lambda: applied(agent) == first)
            bad = repo.commit_files({"agents/collector.yaml": "receivers: [unclosed\n"}, "broken")
            assert (await service.sync())["outcome"] == "rejected"
            assert (await service.get(f"commits/{bad[:12]}"))["verdict"] == "rejected"
            live = service.running.agents.get(profile.uid)
            assert live is not None
            await until(lambda: live.agent.last_good == agent.progress.applied)
            offers, memory, runs = agent.progress.offers, agent.client, agent.progress.applied
        assert [one["cause"] for one in (await service.get("releases"))["items"]] == ["back", "publish", "publish"]
    async with a_service(repo.path, data, on(postgres_url)) as service, lab_agents(service, profile) as (again,):
        again.client, again.progress.applied = memory, runs
        await until(lambda: (one := service.running.agents.get(profile.uid)) and one.state == "applied")
        assert (offers, again.progress.offers) == (3, 0)
        repo.revert()
        repo.commit_files({"agents/collector.yaml": collector(4401)}, "good again")
        await service.published(repo.head)
        await until(lambda: applied(again) != first)
        assert len({one["revision"] for one in (await service.get("releases"))["items"]}) == 4
        audit = await service.http.get("/api/v1/audit", headers={"Authorization": f"Bearer {service.token}"})
        assert {"config_update", "sync"} <= {one["action"] for one in audit.json()["items"]}


@contextmanager
def away(postgres: PostgresServer) -> Iterator[None]:
    """The server is stopped inside the block."""
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


async def test_while_postgresql_is_away_agents_are_answered_and_a_start_without_it_serves_what_was_kept(
    repo: GitRepo, tmp_path: Path, postgres: PostgresServer, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    data, known, late = tmp_path / "data", a_profile(1, {"role": "agent"}), a_profile(2, {"role": "gateway"})
    with ExitStack() as outage:
        async with a_service(repo.path, data, on(postgres_url)) as service:
            await until(lambda: releases(service))
            async with lab_agents(service, known) as (agent,):
                live = service.running.agents.get
                await until(lambda: (one := live(known.uid)) and one.agent.last_good)
                outage.enter_context(away(postgres))
                async with lab_agents(service, late) as (newcomer,):
                    await until(lambda: newcomer.progress.connected)
                    # What other servers know of it cannot be read now, so it is offered nothing yet.
                    await until(lambda: "agents are answered but offered nothing" in caplog.text)
                    assert newcomer.progress.offers == 0
                    repo.commit_files({"agents/collector.yaml": collector(4410)}, "while the database is away")
                    await until(lambda: service.running.overview.sources()[0].record.error)
                    assert (await service.http.get("/readyz")).status_code == 200
                    assert (await service.http.get("/metrics")).status_code == 200
                    assert (await service.http.get("/api/v1/agents")).status_code == 503
                memory, runs = agent.client, agent.progress.applied
        caplog.clear()
        async with a_service(repo.path, data, on(postgres_url)) as service:
            assert "serving the release that is kept on this machine" in caplog.text
            assert {one.path for one in service.running.overview.targets()} == {"agents", "gateways"}
            async with lab_agents(service, known, late) as (again, newcomer):
                again.client, again.progress.applied = memory, runs
                await until(lambda: again.progress.connected and newcomer.progress.connected)
                assert (again.progress.offers, newcomer.progress.offers) == (0, 0)
                outage.close()
                await until(lambda: newcomer.progress.applied)
                await service.published(repo.head)
                await until(lambda: again.progress.applied not in (None, runs))
                assert again.progress.offers == 1
            assert (await service.get("sources"))["items"][0]["error"] == ""


async def test_of_two_servers_one_leads_both_serve_and_the_other_takes_over_when_the_leader_is_killed(
    repo: GitRepo, tmp_path: Path, postgres_url: str
) -> None:
    loop, key = asyncio.get_running_loop(), tmp_path / "signing.key"
    settings = on(postgres_url, signing={"key_file": key})
    environment = {
        "GITSYNC_DATABASE__TYPE": "postgresql",
        "GITSYNC_DATABASE__DSN": postgres_url,
        "GITSYNC_SIGNING__KEY_FILE": str(key),
    }
    async with a_server_process(repo.path, tmp_path / "one", environment) as first:
        async with a_service(repo.path, tmp_path / "two", settings) as second:
            await until(lambda: releases(second))
            leader = second.running.overview.readiness
            assert leader().checks["leader"] != "this server"
            refused = await second.http.post(
                "/api/v1/sources/default/sync?wait=true", headers={"Authorization": f"Bearer {second.token}"}
            )
            assert (refused.status_code, "not the leader" in refused.text) == (503, True)
            await until(lambda: second.running.overview.sources()[0].record.head == repo.head)
            there = a_profile(1, {"role": "agent"})
            one = SimulatedAgent(there, later=loop.call_later, now=loop.time)
            async with lab_agents(second, a_profile(2, {"role": "agent"})) as (other,), asyncio.TaskGroup() as tasks:
                socket = WebSocketAgent(one, first.opamp_url, Random(1))
                await socket.start(tasks)
                await until(lambda: one.progress.applied and other.progress.applied)
                assert applied(one) == applied(other)
                before = applied(one)
                repo.commit_files({"agents/collector.yaml": collector(4420)}, "by the first leader")
                await until(lambda: applied(one) == applied(other) != before)
                socket.close()
                os.kill(first.pid, signal.SIGKILL)
                killed, before = loop.time(), applied(other)
                commit = repo.commit_files({"agents/collector.yaml": collector(4421)}, "by the second leader")
                await until(lambda: applied(other) != before)
                assert loop.time() - killed < TTL.total_seconds() + 5
            assert leader().checks["leader"] == "this server"
            history = (await second.get("releases"))["items"]
            assert history[0]["commit"] == commit
            assert len(history) == len({one["revision"] for one in history}) == 3
            assert len((await second.get("commits"))["items"]) == 3
