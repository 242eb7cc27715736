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


async def test_no_release_is_ever_half_or_lost(tmp_path: Path) -> None:
    random = Random(20261121)
    repo = GitRepo(tmp_path / "config")
    repo.commit_files(FLEET, "the first configuration")
    data = tmp_path / "data"
    seen: dict[int, str] = {}
    for number in range(KILLS):
        repo.commit_files({"agents/collector.yaml": collector(10_000 + number)}, f"commit {number}")
        server = await _serve(repo.path, data)
        # Somewhere between the first import and well after the publication.
        await asyncio.sleep(random.uniform(0.3, 2.2))
        server.send_signal(signal.SIGKILL)
        await server.wait()
        await _check(data, seen)
    assert seen, "nothing was ever published: the moments are too early"
    # And it still works: the newest commit is published by a start that nobody disturbs.
    head = repo.head
    server = await _serve(repo.path, data, "--ready-file", str(tmp_path / "ready.json"))
    try:
        async with asyncio.timeout(60):
            while (await _published_head(data)) != head:
                await asyncio.sleep(0.1)
    finally:
        server.send_signal(signal.SIGTERM)
        assert await server.wait() == 0
    ready = json.loads((tmp_path / "ready.json").read_text())
    assert ready["opamp_url"]


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
        stderr=asyncio.subprocess.DEVNULL,
    )


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
