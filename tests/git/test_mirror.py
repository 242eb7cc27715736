"""Fetching over a local path: what a mirror finds, and how it repairs itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitsync.errors import Conflict, InvalidConfig, SettingsError, Unavailable
from gitsync.ids import CommitId
from gitsync.repo.mirror import FetchResult
from gitsync.repo.runner import Operation
from gitsync.repo.source import Limits, Timeouts
from tests.git.conftest import FILES, OpenMirror
from tests.support.gitrepo import GitRepo
from tests.support.gitserver import serve_http

MISSING = CommitId("1" * 40)


async def test_the_first_fetch_clones_the_branch(repo: GitRepo, origin: Path, open_mirror: OpenMirror) -> None:
    mirror = await open_mirror(origin)
    assert mirror.head is None
    assert await mirror.fetch() == FetchResult(CommitId(repo.head), None, changed=True)
    assert mirror.head == repo.head


async def test_a_poll_without_change_is_one_git_process(origin: Path, open_mirror: OpenMirror) -> None:
    mirror = await open_mirror(origin)
    await mirror.fetch()
    before = Counter(mirror.runner.started)
    result = await mirror.fetch()
    assert not result.changed
    assert result.head == result.previous
    assert mirror.runner.started - before == Counter({Operation.LS_REMOTE: 1})


async def test_a_pushed_commit_arrives_with_the_next_fetch(
    repo: GitRepo, origin: Path, open_mirror: OpenMirror
) -> None:
    mirror = await open_mirror(origin)
    first = (await mirror.fetch()).head
    second = repo.commit_files({"agents/collector.yaml": "receivers: {otlp: {}}\n"})
    repo.push()
    result = await mirror.fetch()
    assert result == FetchResult(CommitId(second), first, changed=True)
    assert await mirror.is_ancestor(first, result.head)
    assert not await mirror.is_ancestor(result.head, first)


async def test_after_a_rewritten_history_the_old_commit_stays_readable(
    repo: GitRepo, origin: Path, open_mirror: OpenMirror
) -> None:
    mirror = await open_mirror(origin)
    old = (await mirror.fetch()).head
    repo.force_rewrite()
    result = await mirror.fetch()
    assert result.changed
    assert result.head == repo.head
    assert not await mirror.is_ancestor(old, result.head)
    assert (await mirror.load_tree(old)).read("agents/target.yaml") == b"default: true\n"


async def test_an_announced_commit_is_found_only_when_it_has_arrived(
    repo: GitRepo, origin: Path, open_mirror: OpenMirror
) -> None:
    mirror = await open_mirror(origin)
    first = CommitId(repo.head)
    second = CommitId(repo.commit("second"))
    assert not (await mirror.fetch(expected=second)).found
    repo.push()
    assert (await mirror.fetch(expected=second)).found
    assert (await mirror.fetch(expected=first)).found


async def test_a_missing_branch_is_named(origin: Path, open_mirror: OpenMirror) -> None:
    mirror = await open_mirror(origin, ref="release/next")
    with pytest.raises(SettingsError, match="has no branch release/next") as caught:
        await mirror.fetch()
    assert caught.value.code == "git.ref_missing"


async def test_an_empty_repository_has_no_branch(tmp_path: Path, open_mirror: OpenMirror) -> None:
    GitRepo(tmp_path / "empty")
    mirror = await open_mirror(tmp_path / "empty")
    with pytest.raises(SettingsError, match="before its first push"):
        await mirror.fetch()


async def test_a_branch_whose_name_ends_like_another_is_not_mixed_up(
    repo: GitRepo, origin: Path, open_mirror: OpenMirror
) -> None:
    repo.git("push", "--quiet", "origin", "main:refs/heads/refs/heads/odd", "main:refs/heads/team/odd")
    mirror = await open_mirror(origin, ref="odd")
    with pytest.raises(SettingsError, match="no branch odd"):
        await mirror.fetch()
    nested = await open_mirror(origin, ref="team/odd", directory=origin.parent / "data2")
    assert (await nested.fetch()).head == repo.head


@pytest.mark.parametrize("kind", ["ordinary", "worktree", "file-url", "spaces"])
async def test_local_repositories_of_every_kind_can_be_followed(
    kind: str, repo: GitRepo, origin: Path, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    url = str(repo.path)
    if kind == "worktree":
        url = str(tmp_path / "linked")
        repo.git("worktree", "add", "--quiet", "-b", "side", url)
    elif kind == "file-url":
        url = origin.as_uri()
    elif kind == "spaces":
        url = str(shutil.copytree(origin, tmp_path / "ä b%20c.git"))
    mirror = await open_mirror(url)
    assert (await mirror.fetch()).head == repo.head


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")
@pytest.mark.parametrize("bare", [True, False])
async def test_a_named_repository_of_another_user_is_read(
    bare: bool, repo: GitRepo, origin: Path, open_mirror: OpenMirror
) -> None:
    head = repo.head
    path = origin if bare else repo.path
    for place in [path, *path.rglob("*")]:
        os.chown(place, 4242, 4242)
    mirror = await open_mirror(path)
    assert (await mirror.fetch()).head == head


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")
async def test_a_mirror_of_another_user_is_refused(origin: Path, tmp_path: Path, open_mirror: OpenMirror) -> None:
    mirror = await open_mirror(origin)
    await mirror.fetch()
    await mirror.close()
    os.chown(tmp_path / "data" / "mirror.git", 4242, 4242)
    with pytest.raises(SettingsError, match="belongs to uid 4242") as caught:
        await open_mirror(origin)
    assert caught.value.code == "git.owner"


async def test_a_missing_repository_is_a_settings_error(tmp_path: Path, open_mirror: OpenMirror) -> None:
    mirror = await open_mirror(tmp_path / "nowhere.git")
    with pytest.raises(SettingsError) as caught:
        await mirror.fetch()
    assert caught.value.code == "git.not_found"


async def test_a_shallow_source_is_refused_with_the_remedy(
    repo: GitRepo, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    repo.commit("second")
    repo.git("clone", "--quiet", "--depth=1", repo.path.as_uri(), str(tmp_path / "shallow"))
    mirror = await open_mirror(tmp_path / "shallow")
    with pytest.raises(SettingsError, match="unshallow") as caught:
        await mirror.fetch()
    assert caught.value.code == "git.shallow_source"


async def test_sha256_repositories_are_refused_clearly(tmp_path: Path, open_mirror: OpenMirror) -> None:
    path = tmp_path / "wide"
    path.mkdir()
    GitRepo(tmp_path / "any").git("init", "--quiet", "--object-format=sha256", "-b", "main", str(path))
    wide = GitRepo(path)
    wide.commit("first")
    mirror = await open_mirror(path)
    with pytest.raises(SettingsError, match="not available yet") as caught:
        await mirror.fetch()
    assert caught.value.code == "git.object_format"


async def test_commits_are_read_with_author_and_time(repo: GitRepo, origin: Path, open_mirror: OpenMirror) -> None:
    mirror = await open_mirror(origin)
    first = (await mirror.fetch()).head
    env = {"GIT_AUTHOR_DATE": "2026-03-04T05:06:07+0530", "GIT_AUTHOR_NAME": "Zoë\x1b[31m"}
    repo.git("commit", "--allow-empty", "-q", "-m", "subject " * 100 + "\n\nbody", env=env)
    repo.push()
    commit = await mirror.load_commit((await mirror.fetch()).head)
    assert commit.parents == (first,)
    assert commit.author == "Zoë [31m <ada@example.com>"
    assert commit.authored_at == datetime(2026, 3, 3, 23, 36, 7, tzinfo=UTC)
    assert commit.authored_at.tzinfo == UTC
    assert commit.subject == ("subject " * 100)[:500]
    assert commit.tree == repo.git("rev-parse", "HEAD^{tree}")


async def test_commits_that_the_mirror_lacks_are_told_apart(origin: Path, open_mirror: OpenMirror) -> None:
    mirror = await open_mirror(origin)
    head = (await mirror.fetch()).head
    assert not await mirror.is_ancestor(MISSING, head)
    for reading in (
        mirror.is_ancestor(head, MISSING),
        mirror.load_commit(MISSING),
        mirror.load_tree(MISSING),
    ):
        with pytest.raises(Unavailable) as caught:
            await reading
        assert caught.value.code == "git.commit_missing"


async def test_a_closed_mirror_reads_nothing(origin: Path, open_mirror: OpenMirror) -> None:
    mirror = await open_mirror(origin)
    head = (await mirror.fetch()).head
    await mirror.close()
    with pytest.raises(Unavailable, match="not open"):
        await mirror.load_tree(head)


# -- living together, restarts, repair


async def test_two_processes_cannot_use_one_mirror(origin: Path, open_mirror: OpenMirror) -> None:
    first = await open_mirror(origin)
    with pytest.raises(Unavailable) as caught:
        await open_mirror(origin, lock_wait=timedelta(milliseconds=80))
    assert caught.value.code == "git.mirror_locked"
    await first.close()
    await open_mirror(origin)


async def test_a_second_fetch_at_the_same_time_is_a_conflict(repo: GitRepo, open_mirror: OpenMirror) -> None:
    async with serve_http(repo.path.parent / "srv") as server:
        mirror = await open_mirror(server.url("config.git"))
        server.hold_after = 10
        async with asyncio.TaskGroup() as group:
            running = group.create_task(mirror.fetch(), name="first fetch")
            assert await asyncio.to_thread(server.holding.wait, 20)
            with pytest.raises(Conflict):
                await mirror.fetch()
            server.release()
        assert running.result().head == repo.head


async def test_a_restart_in_order_knows_the_head_and_checks_nothing(
    repo: GitRepo, origin: Path, open_mirror: OpenMirror
) -> None:
    mirror = await open_mirror(origin)
    await mirror.fetch()
    await mirror.close()
    again = await open_mirror(origin)
    assert again.head == repo.head
    assert not again.runner.started
    assert not (await again.fetch()).changed


async def test_an_unclean_end_is_checked_and_a_sound_mirror_is_kept(
    repo: GitRepo, origin: Path, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    mirror = await open_mirror(origin)
    await mirror.fetch()
    await mirror.close()
    (tmp_path / "data" / "clean").unlink()
    again = await open_mirror(origin)
    assert again.runner.started[Operation.FSCK] == 1
    assert again.head == repo.head


@pytest.mark.parametrize("damage", ["object", "ref", "head-file", "objects", "empty", "file", "link"])
async def test_a_damaged_mirror_is_cloned_again(
    damage: str, repo: GitRepo, origin: Path, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    mirror = await open_mirror(origin)
    await mirror.fetch()
    await mirror.close()
    bare, data = tmp_path / "data" / "mirror.git", tmp_path / "data"
    (data / "clean").unlink()
    match damage:
        case "object":
            next(bare.glob("objects/pack/*.pack")).unlink()
        case "ref":
            (bare / "refs/gitsync/head").write_text("5" * 40 + "\n")
        case "head-file":
            (bare / "HEAD").unlink()
        case "objects":
            shutil.rmtree(bare / "objects")
        case "empty":
            shutil.rmtree(bare)
            bare.mkdir()
        case "file":
            shutil.rmtree(bare)
            bare.write_text("")
        case "link":
            bare.rename(tmp_path / "elsewhere")
            bare.symlink_to(tmp_path / "elsewhere")
    again = await open_mirror(origin)
    result = await again.fetch()
    assert result == FetchResult(CommitId(repo.head), None, changed=True)
    assert set((await again.load_tree(result.head)).blobs) == set(FILES)
    assert not bare.is_symlink()
    assert sorted(path.name for path in data.iterdir() if "mirror" in path.name) == ["mirror.git"]


async def test_damage_while_running_is_found_by_reading_and_repaired_by_the_next_fetch(
    repo: GitRepo, origin: Path, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    mirror = await open_mirror(origin)
    head = (await mirror.fetch()).head
    for pack in (tmp_path / "data/mirror.git/objects/pack").iterdir():
        pack.unlink()
    with pytest.raises(Unavailable):
        await mirror.load_tree(head)
    assert (await mirror.fetch()).head == head
    assert (await mirror.load_tree(head)).read("agents/target.yaml") == b"default: true\n"


async def test_a_mirror_that_was_removed_while_running_is_cloned_again(
    repo: GitRepo, origin: Path, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    mirror = await open_mirror(origin)
    await mirror.fetch()
    shutil.rmtree(tmp_path / "data/mirror.git")
    assert (await mirror.fetch()).head == repo.head


async def test_leftovers_of_a_killed_git_are_swept(
    repo: GitRepo, origin: Path, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    mirror = await open_mirror(origin)
    await mirror.fetch()
    await mirror.close()
    bare = tmp_path / "data/mirror.git"
    (bare / "objects/pack/tmp_pack_x1").write_bytes(b"x" * 100)
    (bare / "objects/tmp_objdir-incoming-1").mkdir()
    (bare / "refs/gitsync/head.lock").touch()
    (bare / "packed-refs.lock").touch()
    again = await open_mirror(origin)
    assert not [path for path in bare.rglob("*") if "tmp_" in path.name or path.name.endswith(".lock")]
    repo.commit("second")
    repo.push()
    assert (await again.fetch()).head == repo.head


_CHILD = """
import asyncio, sys
from pathlib import Path
from gitsync.repo.mirror import Mirror
from gitsync.repo.runner import find_git
from gitsync.repo.source import SourceSpec

async def main():
    mirror = Mirror(SourceSpec(url=sys.argv[1]), Path(sys.argv[2]), await find_git())
    await mirror.open()
    await mirror.fetch()

asyncio.run(main())
"""


async def test_kill_minus_nine_during_a_fetch_repairs_itself(
    repo: GitRepo, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    repo.commit_files({f"agents/{number}.yaml": os.urandom(3000).hex() for number in range(150)})
    repo.push()
    async with serve_http(tmp_path / "srv") as server:
        url = server.url("config.git")
        server.hold_after = 200_000
        child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(_CHILD), url, tmp_path / "data"])
        assert await asyncio.to_thread(server.holding.wait, 30)
        child.kill()
        child.wait()
        # The orphaned git still holds the lock: nobody else may touch what it writes.
        with pytest.raises(Unavailable) as caught:
            await open_mirror(url, lock_wait=timedelta(milliseconds=200))
        assert caught.value.code == "git.mirror_locked"
        for orphan in _processes_with(str(tmp_path / "data" / "mirror.git")):
            os.kill(orphan, signal.SIGKILL)
        server.release()
        mirror = await open_mirror(url)
        result = await mirror.fetch()
    assert result.head == repo.head
    assert len((await mirror.load_tree(result.head)).data) == 153
    assert not list((tmp_path / "data").rglob("tmp_*"))


def _processes_with(word: str) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
            environment = (place / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "git" in words[0] and (any(word in part for part in words) or f"GIT_DIR={word}" in environment):
            found.append(int(place.name))
    return found


# -- limits


async def test_a_fetch_that_takes_too_long_is_killed_with_all_its_processes(
    repo: GitRepo, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    async with serve_http(tmp_path / "srv") as server:
        server.hold_after = 50
        mirror = await open_mirror(server.url("config.git"), timeouts=Timeouts(fetch=timedelta(seconds=1)))
        with pytest.raises(Unavailable) as caught:
            await mirror.fetch()
        assert caught.value.code == "git.timeout"
        assert not _processes_with(str(tmp_path / "data" / "mirror.git"))
        assert not list((tmp_path / "data/mirror.git").rglob("tmp_*"))
        server.release()
        mirror.spec.timeouts  # noqa: B018 - unchanged: the same mirror goes on
        assert (await mirror.fetch()).head == repo.head


async def test_a_cancelled_fetch_leaves_no_process(repo: GitRepo, tmp_path: Path, open_mirror: OpenMirror) -> None:
    async with serve_http(tmp_path / "srv") as server:
        server.hold_after = 50
        mirror = await open_mirror(server.url("config.git"))
        async with asyncio.TaskGroup() as group:
            fetching = group.create_task(mirror.fetch(), name="fetch")
            assert await asyncio.to_thread(server.holding.wait, 20)
            fetching.cancel()
        assert fetching.cancelled()
        assert not _processes_with(str(tmp_path / "data" / "mirror.git"))
        server.release()
        assert (await mirror.fetch()).head == repo.head


async def test_a_repository_over_the_quota_is_stopped(
    repo: GitRepo, origin: Path, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    repo.commit_files({"noise.bin": os.urandom(3 * 1024 * 1024)})
    repo.push()
    mirror = await open_mirror(origin, limits=Limits(mirror_bytes=1024 * 1024))
    for _ in range(2):
        with pytest.raises(SettingsError, match="keep large files out") as caught:
            await mirror.fetch()
        assert caught.value.code == "git.mirror_too_large"
        assert mirror.head is None


async def test_many_fetches_are_packed_anew_and_nothing_is_lost(
    repo: GitRepo, origin: Path, tmp_path: Path, open_mirror: OpenMirror
) -> None:
    mirror = await open_mirror(origin)
    old = (await mirror.fetch()).head
    repo.force_rewrite()
    packs = tmp_path / "data/mirror.git/objects/pack"
    for number in range(51):
        (packs / f"pack-{number:040}.pack").touch()
    await mirror.fetch()
    assert mirror.runner.started[Operation.REPACK] == 1
    assert (await mirror.load_commit(old)).id == old


# -- hostile content


async def test_nothing_planted_in_the_mirror_is_run(
    repo: GitRepo, origin: Path, tmp_path: Path, open_mirror: OpenMirror, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = await open_mirror(origin)
    await mirror.fetch()
    await mirror.close()
    bare, canary = tmp_path / "data/mirror.git", tmp_path / "canary"
    script = tmp_path / "evil"
    script.write_text(f"#!/bin/sh\ntouch {canary}\n")
    script.chmod(0o755)

    def plant() -> None:
        (bare / "hooks").mkdir()
        for hook in ("reference-transaction", "post-checkout", "pre-auto-gc", "post-index-change", "update"):
            shutil.copy(script, bare / "hooks" / hook)
        (bare / "config").write_text(
            f"[core]\n\tbare = true\n\thooksPath = {bare}/hooks\n\tfsmonitor = {script}\n"
            f"\tsshCommand = {script}\n\taskPass = {script}\n\talternateRefsCommand = {script}\n"
            f"[credential]\n\thelper = {script}\n[include]\n\tpath = {tmp_path}/more\n"
            f'[remote "{origin.as_uri()}"]\n\tuploadpack = {script}\n\tvcs = evil\n'
            f'[url "ext::{script}"]\n\tinsteadOf = file://\n'
        )
        (tmp_path / "more").write_text(f'[remote "{origin.as_uri()}"]\n\tuploadpack = {script}\n')
        (bare / "objects/info").mkdir(exist_ok=True)
        (bare / "objects/info/alternates").write_text(f"{tmp_path}/work/.git/objects\n")

    plant()
    again = await open_mirror(origin)
    repo.commit("second")
    repo.push()
    plant()
    assert (await again.fetch()).head == repo.head
    await again.load_tree(CommitId(repo.head))
    assert not canary.exists()
    assert not (bare / "hooks").exists()
    assert "removed from the mirror: hooks, objects/info/alternates, config" in caplog.text


async def test_a_git_in_the_working_directory_is_not_used(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_mirror: OpenMirror
) -> None:
    place = tmp_path / "cwd"
    place.mkdir()
    (place / "git").write_text(f"#!/bin/sh\ntouch {tmp_path}/canary\n")
    (place / "git").chmod(0o755)
    monkeypatch.chdir(place)
    mirror = await open_mirror(origin)
    await mirror.fetch()
    assert not (tmp_path / "canary").exists()


async def test_the_environment_of_the_service_does_not_reach_git(
    repo: GitRepo, origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_mirror: OpenMirror
) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_EXEC_PATH", "GIT_CONFIG", "GIT_NAMESPACE"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'protocol.allow=never'")
    mirror = await open_mirror(origin)
    result = await mirror.fetch()
    assert result.head == repo.head
    assert (await mirror.load_commit(result.head)).subject == "first"


async def test_a_misplaced_object_directory_is_told(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_mirror: OpenMirror
) -> None:
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path))
    with pytest.raises(SettingsError, match="GIT_OBJECT_DIRECTORY is set"):
        await open_mirror(origin)


async def test_objects_that_git_calls_unsafe_are_refused(repo: GitRepo, origin: Path, open_mirror: OpenMirror) -> None:
    blob = bytes.fromhex(repo.git("hash-object", "-w", "--stdin", stdin=b"[core]\n"))
    raw = b"100644 .git\0" + blob
    tree = repo.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)
    commit = repo.git("commit-tree", tree, "-p", repo.head, "-m", "evil")
    repo.git("push", "--quiet", "origin", f"{commit}:refs/heads/main")
    mirror = await open_mirror(origin)
    with pytest.raises(InvalidConfig) as caught:
        await mirror.fetch()
    assert caught.value.code == "git.unsafe_object"
    assert mirror.head is None
