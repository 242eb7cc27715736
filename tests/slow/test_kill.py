"""`kill -9` at random moments of sync and publish: no half release, no lost release, no revision twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from gitsync.bundle.version import config_hash
from gitsync.control.published import assemble
from gitsync.ids import DEFAULT_SOURCE
from gitsync.store import SqlStore, StoreOptions
from tests.support.configs import FLEET, collector
from tests.support.gitrepo import GitRepo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

KILLS = int(os.environ.get("GITSYNC_KILLS", "200"))
DURING_START = 0.2
"""Share of the kills that come while the database is opened and the cache is read."""
LEADING = "gitsync.leader: leading"
PUBLISHED = "published from"


async def test_no_release_is_ever_half_or_lost(tmp_path: Path) -> None:
    random = Random(20261121)
    repo = GitRepo(tmp_path / "config")
    repo.commit_files(FLEET, "the first configuration")
    data = tmp_path / "data"
    await _durations(repo.path, data)
    # A start on what a killed one left is what counts: the mirror is looked through first.
    repo.commit_files({"agents/collector.yaml": collector(9_999)}, "the second one")
    start, work = await _durations(repo.path, data)
    seen: dict[int, str] = {}
    await _check(data, seen)
    published = 0
    for number in range(KILLS):
        commit = repo.commit_files({"agents/collector.yaml": collector(10_000 + number)}, f"commit {number}")
        server = await _serve(repo.path, data)
        try:
            if random.random() < DURING_START:
                await asyncio.sleep(random.uniform(0.0, start))
            else:
                # Fetch, compile, sign and publish come now: anywhere in them, and shortly after.
                await _said(server, LEADING)
                await asyncio.sleep(random.uniform(0.0, 2.5 * work))
        finally:
            await _kill(server)
        await _check(data, seen)
        published += commit in seen.values()
    print(f"{KILLS} kills, start {start:.2f} s, work {work:.2f} s, {published} commits were published")
    assert 0 < published < KILLS, "the moments are all too early, or all too late"
    # And it still works: the newest commit is published by a start that nobody disturbs.
    head = repo.commit_files({"agents/collector.yaml": collector(20_000)}, "the last one")
    server = await _serve(repo.path, data, "--ready-file", str(tmp_path / "ready.json"))
    try:
        async with asyncio.timeout(60):
            while (await _published_head(data)) != head:
                await asyncio.sleep(0.1)
    finally:
        server.send_signal(signal.SIGTERM)
        _, errors = await server.communicate()
    assert server.returncode == 0, errors.decode()
    ready = json.loads((tmp_path / "ready.json").read_text())
    assert ready["opamp_url"]


async def _durations(repository: Path, data: Path) -> tuple[float, float]:
    """Seconds of an undisturbed start, and from there to the publication."""
    clock = asyncio.get_running_loop().time
    began = clock()
    server = await _serve(repository, data)
    await _said(server, LEADING)
    leading = clock()
    await _said(server, PUBLISHED)
    done = clock()
    await _kill(server)
    return leading - began, done - leading


async def _serve(repository: Path, data: Path, *more: str) -> asyncio.subprocess.Process:
    arguments = ["--source", str(repository), "--data-dir", str(data)]
    arguments += ["--opamp-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", *more]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gitsync",
        "serve",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


async def _said(server: asyncio.subprocess.Process, text: str) -> None:
    """Waits until the log has a line with this text."""
    assert server.stderr is not None
    lines: list[bytes] = []
    async with asyncio.timeout(60):
        async for line in server.stderr:
            lines.append(line)
            if text.encode() in line:
                return
    raise AssertionError(f"the server ended before it said {text!r}:\n{b''.join(lines).decode()}")


async def _kill(server: asyncio.subprocess.Process) -> None:
    server.send_signal(signal.SIGKILL)
    await server.communicate()
    assert server.returncode == -signal.SIGKILL, "it ended by itself before it was killed"


async def _check(data: Path, seen: dict[int, str]) -> None:
    """The store after a kill: whole, verifiable, and nothing that was there is gone or different."""
    if not (data / "gitsync.db").exists():
        return
    async with await SqlStore.open(StoreOptions(f"sqlite:///{data / 'gitsync.db'}")) as store:
        stored = await store.load_published(DEFAULT_SOURCE)
        releases = {one.revision: one.head for one in await store.list_releases(DEFAULT_SOURCE, 1_000)}
        for revision, head in seen.items():
            assert releases[revision] == head, "a release was lost or its revision was used twice"
        seen.update(releases)
        if stored is None:
            assert not releases
            return
        assert stored.pointer.revision == max(releases)
        published = assemble([stored])
        for payload in published.payloads.values():
            assert config_hash(payload.objects) == payload.digest
        for state in stored.states:
            if state.stable is not None:
                assert (state.id, state.stable) in published.desired.versions
        paths = {one.path for one in stored.statements}
        assert {one.path for one in stored.states if one.stable is not None} <= paths
        release = published.desired.releases[DEFAULT_SOURCE]
        assert release.issued <= datetime.now(UTC) < release.expires  # noqa: TID251 - the real time is meant


async def _published_head(data: Path) -> str | None:
    async with await SqlStore.open(StoreOptions(f"sqlite:///{data / 'gitsync.db'}")) as store:
        stored = await store.load_published(DEFAULT_SOURCE)
    return None if stored is None else stored.pointer.head
