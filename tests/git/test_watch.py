"""A local repository's refs ring the doorbell; nothing else does."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from gitsync.errors import SettingsError, Unavailable
from gitsync.repo.credentials import git_directories
from gitsync.repo.watch import _look, watch_refs
from tests.support.gitrepo import GitRepo

FAST = timedelta(milliseconds=50)


class Bell:
    def __init__(self) -> None:
        self.rung = asyncio.Queue[None]()

    async def rings(self) -> None:
        async with asyncio.timeout(20):
            await self.rung.get()
        while not self.rung.empty():  # several changes may be several rings
            self.rung.get_nowait()


@asynccontextmanager
async def watching(path: Path, recheck: timedelta = timedelta(milliseconds=200)) -> AsyncIterator[Bell]:
    bell, stop = Bell(), asyncio.Event()

    async def watch() -> None:
        async with aclosing(watch_refs(path, debounce=FAST, recheck=recheck, stop=stop)) as changes:
            async for _ in changes:
                bell.rung.put_nowait(None)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(watch(), name="watch")
        await bell.rings()  # it has begun
        try:
            yield bell
        finally:
            stop.set()


async def ring_by(bell: Bell, change: Callable[[], object]) -> None:
    await asyncio.to_thread(change)
    await bell.rings()


async def test_commits_branches_and_packing_ring(repo: GitRepo) -> None:
    async with watching(repo.path) as bell:
        await ring_by(bell, lambda: repo.commit("second"))
        await ring_by(bell, lambda: repo.git("branch", "team/deep/new"))
        await ring_by(bell, lambda: repo.git("branch", "-f", "team/deep/new", "HEAD~1"))
        await ring_by(bell, lambda: repo.git("pack-refs", "--all"))
        await ring_by(bell, repo.force_rewrite)


async def test_a_push_into_a_bare_repository_rings(repo: GitRepo, origin: Path) -> None:
    repo.commit("second")
    async with watching(origin) as bell:
        await ring_by(bell, repo.push)


async def test_a_linked_work_tree_rings_for_its_branch(repo: GitRepo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "linked"))
    linked = GitRepo(tmp_path / "linked", branch="side")
    async with watching(linked.path) as bell:
        await ring_by(bell, lambda: linked.commit("side"))


def test_a_new_object_or_a_lock_does_not_ring(repo: GitRepo, origin: Path) -> None:
    before = _look(origin)
    repo.git("--git-dir", str(origin), "hash-object", "-w", "--stdin", stdin=b"no ref")
    (origin / "refs/heads/main.lock").touch()
    (origin / "description").write_text("changed")
    assert _look(origin) == before
    (origin / "refs/heads/main.lock").unlink()
    repo.commit("real")
    repo.push()
    assert _look(origin) != before


async def test_a_repository_that_goes_away_ends_the_watch(repo: GitRepo, origin: Path) -> None:
    async def watch_and_remove() -> None:
        async with watching(origin) as bell:
            await asyncio.to_thread(shutil.rmtree, origin)
            while True:
                await bell.rings()

    with pytest.raises(ExceptionGroup) as caught:
        await watch_and_remove()
    found = caught.value.exceptions[0]
    assert isinstance(found, Unavailable)
    assert found.code == "git.unreachable"


async def test_no_repository_is_a_settings_error(tmp_path: Path) -> None:
    async with aclosing(watch_refs(tmp_path)) as changes:
        with pytest.raises(SettingsError) as caught:
            await anext(changes)
    assert caught.value.code == "git.not_found"


def test_the_directories_of_a_repository_are_found(repo: GitRepo, origin: Path, tmp_path: Path) -> None:
    repo.git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "linked"))
    assert git_directories(repo.path) == (repo.path / ".git",)
    assert git_directories(origin) == (origin,)
    own, shared = git_directories(tmp_path / "linked")
    assert own.name == "linked"
    assert shared == repo.path / ".git"
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/.git").write_text("nonsense")
    assert git_directories(tmp_path / "odd") == ()
    assert git_directories(tmp_path) == ()
