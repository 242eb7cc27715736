from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gitsync.repo.mirror import Mirror
from gitsync.repo.runner import GitProgram, find_git
from gitsync.repo.source import SourceSpec
from tests.support.gitrepo import GitRepo

FILES = {
    "gitsync.yaml": "",
    "agents/target.yaml": "default: true\n",
    "agents/collector.yaml": "receivers: {}\n",
}

OpenMirror = Callable[..., Awaitable[Mirror]]


@pytest.fixture
async def git_program() -> GitProgram:
    return await find_git()


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    """A work tree with one commit, whose `origin` is the bare repository `tmp_path/srv/config.git`."""
    repo = GitRepo(tmp_path / "work")
    repo.commit_files(FILES, "first")
    (tmp_path / "srv").mkdir()
    repo.bare_clone(tmp_path / "srv" / "config.git")
    return repo


@pytest.fixture
def origin(repo: GitRepo, tmp_path: Path) -> Path:
    return tmp_path / "srv" / "config.git"


@pytest.fixture
async def open_mirror(git_program: GitProgram, tmp_path: Path) -> AsyncIterator[OpenMirror]:
    """Opens a mirror in `tmp_path/data` (or `directory`) and closes it after the test."""
    async with AsyncExitStack() as stack:

        async def open_one(url: str | Path, *, directory: Path | None = None, **settings: Any) -> Mirror:
            wait = {"lock_wait": settings.pop("lock_wait")} if "lock_wait" in settings else {}
            spec = SourceSpec(url=str(url), **settings)
            mirror = Mirror(spec, directory or tmp_path / "data", git_program, **wait)
            await mirror.open()
            stack.push_async_callback(mirror.close)
            return mirror

        yield open_one
