"""What the service does when something around it fails: it says so, the rest goes on, and it recovers by itself."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from random import Random

import httpx
import pytest
import websockets

from gitsync.errors import SettingsError
from gitsync.ids import AgentUid, show_digest
from gitsync.lab.agent import SimulatedAgent
from gitsync.lab.profile import Transport
from gitsync.lab.sockets import PollingAgent, WebSocketAgent
from tests.support.configs import FLEET, collector
from tests.support.gitrepo import GitRepo
from tests.support.gitserver import HttpGitServer, free_port, serve_http
from tests.support.server_process import a_server_process
from tests.support.service import ServiceUnderTest, a_profile, a_service, lab_agents, until

AGENT = {"role": "agent"}


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    repo = GitRepo(tmp_path / "config")
    repo.commit_files(FLEET, "the first configuration")
    return repo


@pytest.fixture
async def service(repo: GitRepo, tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(repo.path, tmp_path / "data") as started:
        await until(lambda: has_release(started))
        yield started


def has_release(service: ServiceUnderTest) -> bool:
    return bool(service.running.agents.published.desired.releases)


def head(service: ServiceUnderTest) -> str:
    (release,) = service.running.agents.published.desired.releases.values()
    return release.head


async def metric(service: ServiceUnderTest, line: str) -> float:
    """The value of one line of the metrics; 0 when it is not there."""
    answer = await service.http.get("/metrics")
    assert answer.status_code == 200
    found = [one.rpartition(" ")[2] for one in answer.text.splitlines() if one.startswith(line)]
    return float(found[0]) if found else 0.0


# ── The Git host ────────────────────────────────────────────────────────────────────────────────────────────

GIT = {"config_store": {"git": {"allow_http": True}}}


@pytest.fixture
async def host(repo: GitRepo, tmp_path: Path) -> AsyncIterator[HttpGitServer]:
    repo.bare_clone(tmp_path / "served" / "config.git")
    async with serve_http(tmp_path / "served") as server:
        yield server


async def test_a_git_host_that_is_down_at_the_start_is_named_and_used_when_it_is_back(
    host: HttpGitServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    host.status = 503
    async with a_service(host.url("config.git"), tmp_path / "data", GIT) as service:
        async with lab_agents(service, a_profile(1, AGENT)) as (agent,):
            await until(lambda: "source default: " in caplog.text)
            (source,) = (await service.get("sources"))["items"]
            assert "503" in source["error"]
            assert (await service.http.get("/healthz")).status_code == 200
            readiness = (await service.http.get("/readyz")).json()
            assert (readiness["ready"], "503" in readiness["checks"]["source-default"]) == (True, True)
            await until(lambda: agent.progress.connected)
            assert agent.progress.offers == 0
            host.status = None
            # Nobody rings: it is looked for again, soon at first.
            await until(lambda: agent.progress.applied)
        assert "source default: it works again" in caplog.text


async def test_while_the_git_host_is_down_the_last_release_serves_and_then_the_next_commit_goes_out(
    host: HttpGitServer, repo: GitRepo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_service(host.url("config.git"), tmp_path / "data", GIT) as service:
        await until(lambda: has_release(service))
        before = head(service)
        host.status = 502
        result = await service.sync()
        assert (result["outcome"], "502" in result["error"]) == ("error", True)
        assert "502" in (await service.get("sources"))["items"][0]["error"]
        assert "source default: " in caplog.text
        assert await metric(service, 'gitsync_sync_total{result="error",source="default"}') >= 1
        assert (await service.http.get("/readyz")).status_code == 200
        async with lab_agents(service, a_profile(1, AGENT)) as (agent,):
            await until(lambda: agent.progress.applied)
            runs = agent.progress.applied
            assert head(service) == before
            repo.commit_files({"agents/collector.yaml": collector(4500)}, "while the host is down")
            repo.push()
            host.status = None
            await until(lambda: agent.progress.applied != runs)
        assert (await service.get("sources"))["items"][0]["error"] == ""


# ── The database ────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another writer holds the lock of an SQLite file inside the block."""
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


async def test_a_database_that_is_locked_for_too_long_delays_a_commit_and_loses_nothing(
    service: ServiceUnderTest, repo: GitRepo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = tmp_path / "data" / "gitsync.db"
    one, two = a_profile(1, AGENT), a_profile(2, AGENT, transport=Transport.HTTP)
    async with lab_agents(service, one) as (first,):
        await until(lambda: first.progress.applied)
        before = first.progress.applied
        with locked(database):
            async with lab_agents(service, two) as (second,):
                repo.commit_files({"agents/collector.yaml": collector(4510)}, "while the database is locked")
                # Rows can be read, so a newcomer gets its configuration all the same.
                await until(lambda: second.progress.applied == before)
                await until(lambda: "agent states are not stored for now" in caplog.text)
                await until(lambda: "source default: the database" in caplog.text)
                assert "is locked by another writer" in caplog.text
        await until(lambda: first.progress.applied not in (None, before))
        assert head(service) == repo.head
        await until(lambda: "agent states are stored again" in caplog.text)
    rows = {each["name"]: each["state"] for each in (await service.get("agents"))["items"]}
    assert set(rows) == {"agent-1", "agent-2"}


async def test_without_its_database_file_a_start_serves_what_was_kept_and_recovers(
    repo: GitRepo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, profile = tmp_path / "data", a_profile(1, AGENT)
    async with a_service(repo.path, data) as service:
        await until(lambda: has_release(service))
        first = head(service)
    file, aside = data / "gitsync.db", tmp_path / "aside.db"
    file.rename(aside)
    file.mkdir()  # what cannot be opened as a file, also by root
    repo.commit_files({"agents/collector.yaml": collector(4520)}, "while the database is away")
    async with a_service(repo.path, data) as service, lab_agents(service, profile) as (agent,):
        assert "serving the release that is kept on this machine" in caplog.text
        assert head(service) == first
        readiness = (await service.http.get("/readyz")).json()
        assert (readiness["ready"], "database is away" in readiness["checks"]["store"]) == (True, True)
        await until(lambda: agent.progress.connected)
        assert agent.progress.offers == 0
        file.rmdir()
        aside.rename(file)
        await until(lambda: agent.progress.applied)
        await until(lambda: head(service) == repo.head)
        assert (await service.http.get("/readyz")).json()["checks"]["store"] == "ok"


@contextmanager
def tampered(database: Path) -> Iterator[None]:
    """One byte of every stored payload is another one inside the block."""
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    try:
        rows = connection.execute("SELECT digest, objects FROM payload").fetchall()
        for digest, objects in rows:
            at = objects.index('"body":"') + len('"body":"') + 4
            other = "B" if objects[at] == "A" else "A"
            changed = objects[:at] + other + objects[at + 1 :]
            connection.execute("UPDATE payload SET objects = ? WHERE digest = ?", (changed, digest))
        yield
        connection.executemany("UPDATE payload SET objects = ? WHERE digest = ?", [(o, d) for d, o in rows])
    finally:
        connection.close()


async def test_a_payload_that_was_changed_in_the_database_reaches_nobody(
    repo: GitRepo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    with ExitStack() as tampering:
        async with a_service(repo.path, data) as service:
            await until(lambda: has_release(service))
            first = head(service)
            # In a thread: the service runs on this loop, and may be in the middle of a write.
            await asyncio.to_thread(tampering.enter_context, tampered(data / "gitsync.db"))
            repo.commit_files({"gateways/collector.yaml": collector(5510)}, "on top of a tampered store")
            assert "has other contents" in (await service.sync())["error"]
            async with lab_agents(service, a_profile(1, AGENT)) as (agent,):
                await until(lambda: agent.progress.applied)
                good = agent.progress.applied
            assert head(service) == first
        caplog.clear()
        # Nor after a start: what this machine kept is whole, and serves.
        async with a_service(repo.path, data) as service:
            assert "what is stored cannot be used" in caplog.text
            assert head(service) == first
            async with lab_agents(service, a_profile(2, AGENT)) as (agent,):
                await until(lambda: agent.progress.applied)
                assert agent.progress.applied == good
                await asyncio.to_thread(tampering.close)
                await until(lambda: head(service) == repo.head)
                assert agent.progress.offers == 1


# ── Peers ───────────────────────────────────────────────────────────────────────────────────────────────────


def garbage(random: Random) -> bytes:
    kind = random.randrange(4)
    noise = random.randbytes(random.randrange(1, 400))
    if kind == 0:
        return noise
    if kind == 1:
        return b"\x00" + noise
    if kind == 2:  # a uid that is none
        return b"\x00\x0a\x03abc" + noise
    return b"\x00\x0a\x10" + random.randbytes(16) + b"\x1a" + noise  # a uid, and a broken description


@pytest.mark.parametrize("transport", [Transport.WEBSOCKET, Transport.HTTP])
async def test_garbage_is_answered_counted_and_said_and_healthy_agents_do_not_notice(
    service: ServiceUnderTest, repo: GitRepo, transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    random = Random(20261121)
    async with lab_agents(service, a_profile(1, AGENT, transport=transport)) as (agent,):
        await until(lambda: agent.progress.applied)
        before = agent.progress.applied
        url = "ws" + service.opamp_url.removeprefix("http")
        for _ in range(10):
            try:
                async with websockets.connect(url, compression=None) as socket:
                    for _ in range(10):
                        await socket.send(garbage(random))
                        assert await socket.recv()
            except websockets.ConnectionClosed:
                continue
        async with httpx.AsyncClient() as client:
            for _ in range(100):
                answer = await client.post(
                    service.opamp_url,
                    content=garbage(random)[1:],
                    headers={"Content-Type": "application/x-protobuf"},
                )
                assert answer.status_code in (200, 400)
        errors = service.running.overview.meters.protocol_errors
        assert sum(errors.values()) > 100
        lines = [one for one in caplog.records if "127.0.0.1:" in one.getMessage() and one.levelname == "WARNING"]
        assert 1 <= len(lines) <= 60  # said, but not once for each of them
        repo.commit_files({"agents/collector.yaml": collector(4530)}, "meanwhile")
        await service.published(repo.head)
        await until(lambda: agent.progress.applied not in (None, before))
        assert agent.progress.offers == 2


# ── Our own processes ───────────────────────────────────────────────────────────────────────────────────────


def compile_process() -> int:
    """The process id of this process's compile worker."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == os.getpid() and b"gitsync.worker" in command:
            return int(entry.name)
    raise AssertionError("there is no compile process")


def cpu_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def large_targets() -> dict[str, str]:
    """Valid files that take about a second to compile."""
    names = [f"debug/{number}" for number in range(5_000)]
    exporters = "".join(f"  {name}: {{}}\n" for name in names)
    text = collector().replace("  debug: {}\n", exporters).replace("[debug]", f"[{', '.join(names)}]")
    targets = {f"large/{one}/target.yaml": f"selector:\n  matchLabels: {{role: n{one}}}\n" for one in range(10)}
    return {**targets, **{f"large/{one}/collector.yaml": text for one in range(10)}}


async def test_a_compile_process_that_is_killed_costs_one_verdict_and_nothing_else(
    service: ServiceUnderTest, repo: GitRepo
) -> None:
    first = head(service)
    worker = compile_process()
    idle = cpu_ticks(worker)
    large = large_targets()
    bad = repo.commit_files(large, "takes a while to compile")
    await until(lambda: cpu_ticks(worker) > idle + 10)
    os.kill(worker, signal.SIGKILL)
    await until(lambda: service.running.overview.sources()[0].last_result == "rejected")
    commit = await service.get(f"commits/{bad}")
    assert commit["verdict"] == "rejected"
    assert [(one["code"], "crashed" in one["message"]) for one in commit["diagnostics"]] == [("GS0699", True)]
    assert head(service) == first
    good = repo.commit_files({**dict.fromkeys(large), "agents/collector.yaml": collector(4540)}, "the next one")
    await service.published(good)
    assert compile_process() != worker


async def test_after_the_server_was_killed_agents_come_back_and_nobody_is_sent_what_it_runs(
    repo: GitRepo, tmp_path: Path
) -> None:
    data, address = tmp_path / "data", f"127.0.0.1:{free_port()}"
    loop = asyncio.get_running_loop()
    profiles = (a_profile(1, AGENT), a_profile(2, AGENT, transport=Transport.HTTP))
    first, second = (SimulatedAgent(one, later=loop.call_later, now=loop.time) for one in profiles)
    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as sockets:
        async with a_server_process(repo.path, data, opamp=address) as server:
            for socket in (
                WebSocketAgent(first, server.opamp_url, Random(1)),
                PollingAgent(second, "http" + server.opamp_url.removeprefix("ws"), Random(2)),
            ):
                sockets.callback(socket.close)
                await socket.start(tasks)
            # Killed as soon as both have said so: maybe before it was written down.
            await until(lambda: first.progress.applied and second.progress.applied)
            os.kill(server.pid, signal.SIGKILL)
        async with a_service(repo.path, data, {"server": {"listen": {"opamp": address}}}) as service:

            def settled(uid: AgentUid) -> bool:
                one = service.running.agents.get(uid)
                return one is not None and one.state == "applied"

            await until(lambda: all(settled(one.uid) for one in profiles))
            await until(lambda: service.running.agents.idle)
            assert (first.progress.offers, second.progress.offers) == (1, 1)
            repo.commit_files({"agents/collector.yaml": collector(4560)}, "after the kill")
            await service.published(repo.head)
            newest = service.running.overview.targets()[0].config_hash
            await until(lambda: first.progress.applied == second.progress.applied == newest)
            assert (first.progress.offers, second.progress.offers) == (2, 2)


async def test_a_second_server_on_the_same_data_directory_is_refused(
    service: ServiceUnderTest, repo: GitRepo, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="another gitsync uses the data directory") as refusal:
        async with a_service(repo.path, tmp_path / "data"):
            pass
    assert refusal.value.code == "data_dir.locked"
    assert has_release(service)


async def test_a_database_that_was_put_back_to_an_older_state_does_not_take_agents_back(
    repo: GitRepo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup.db"
    async with a_service(repo.path, data) as service:
        await until(lambda: has_release(service))
        with sqlite3.connect(data / "gitsync.db") as source, sqlite3.connect(backup) as copy:
            source.backup(copy)
        source.close()
        async with lab_agents(service, a_profile(1, AGENT)) as (agent,):
            repo.commit_files({"agents/collector.yaml": collector(4550)}, "after the backup")
            await service.published(repo.head)
            newest = service.running.overview.targets()[0].config_hash
            await until(lambda: agent.progress.applied == newest)
            offers = agent.progress.offers
            with sqlite3.connect(backup) as old, sqlite3.connect(data / "gitsync.db") as database:
                old.backup(database)
            database.close()
            copy.close()
            old.close()
            await until(lambda: "was a backup restored?" in caplog.text)
            assert (agent.progress.offers, show_digest(agent.progress.applied)) == (offers, show_digest(newest))  # type: ignore[arg-type]
            # What is published next is newer than both, and heals it.
            repo.commit_files({"agents/collector.yaml": collector(4551)}, "after the restore")
            await service.published(repo.head)
            await until(lambda: agent.progress.applied != newest)
