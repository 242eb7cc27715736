"""The bare repository of a mirror as files: made, sealed, swept and replaced by us alone.

Rules:
    1. Its configuration is one constant text. Git reads commands to run from a repository's configuration,
       hooks and alternates, so what is not ours is removed before git is started on it.
    2. It is built beside its place and renamed into it: there is no half-made one under the final name.
    3. All of this happens under the mirror's lock, when no git runs on it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from gitsync.errors import SettingsError

_HEAD = "ref: refs/heads/unborn\n"
_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
_DIRECTORIES = ("objects", "objects/pack", "objects/info", "refs", "refs/heads")
#: What git would follow or run, and the mirror never needs.
_FOREIGN = (
    "hooks", "info", "worktrees", "modules", "commondir", "config.worktree", "gitdir", "shallow",
    "FETCH_HEAD", "objects/info/alternates", "objects/info/http-alternates",
)  # fmt: skip


class BareRepository:
    """The files at `path`; every method blocks and is meant for a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Puts an empty repository at `path`, in place of what is there.

        A crash leaves the old one, none, or the new one; leftovers beside it go with the next call.
        """
        fresh = self._beside("new")
        for name in _DIRECTORIES:
            (fresh / name).mkdir(parents=True, mode=0o700)
        (fresh / "HEAD").write_text(_HEAD)
        (fresh / "config").write_text(_CONFIG)
        sync_directory(fresh)
        old = self._beside("old")
        if os.path.lexists(self.path):
            self.path.rename(old)
        fresh.rename(self.path)
        sync_directory(self.path.parent)
        _remove(old)

    def is_whole(self) -> bool:
        """Whether the parts that make a repository are there, as plain files and directories of our own."""
        for name in ("", "objects", "refs"):
            part = self.path / name
            if part.is_symlink() or not part.is_dir():
                return False
        return all(not (file := self.path / name).is_symlink() and file.is_file() for name in ("HEAD", "config"))

    def seal(self) -> tuple[str, ...]:
        """Takes away what is not ours: foreign configuration, hooks, alternates.

        Returns:
            The names of what was removed or rewritten; empty as a rule.
        """
        changed = []
        for name in _FOREIGN:
            if os.path.lexists(self.path / name):
                _remove(self.path / name)
                changed.append(name)
        for name, content in (("config", _CONFIG), ("HEAD", _HEAD)):
            file = self.path / name
            if file.is_symlink() or file.read_bytes() != content.encode():
                fresh = self.path / f"{name}.gitsync"
                _remove(fresh)
                fresh.write_text(content)
                fresh.replace(file)
                changed.append(name)
        return tuple(changed)

    def sweep(self) -> int:
        """Removes what a killed git left: locks and temporary objects and packs; how many files and
        directories.
        """
        count = 0
        for place, directories, files in os.walk(self.path):  # does not follow symbolic links
            in_objects = Path(place).is_relative_to(self.path / "objects")
            for name in [*files, *directories]:
                if name.endswith(".lock") or (in_objects and name.startswith(("tmp_", ".tmp-", "incoming-"))):
                    _remove(Path(place, name))
                    count += 1
            directories[:] = [name for name in directories if Path(place, name).is_dir()]
        return count

    def size(self) -> int:
        """Bytes of all files, also of those that git is writing now."""
        total = 0
        for place, _, files in os.walk(self.path):
            for name in files:
                try:
                    total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - twice as fast here
                except FileNotFoundError:  # git renamed or removed it while we walk
                    continue
        return total

    def is_scattered(self) -> bool:
        """Whether so many fetches left their packs and loose objects that packing them anew saves time."""
        objects = self.path / "objects"
        packs = sum(1 for _ in (objects / "pack").glob("*.pack"))
        fans = (place for place in objects.iterdir() if len(place.name) == 2)
        loose = sum(len(os.listdir(place)) for place in fans)  # noqa: PTH208 - names are enough
        return packs > 50 or loose > 5000

    def _beside(self, role: str) -> Path:
        place = self.path.with_name(f"{self.path.name}.{role}")
        _remove(place)
        return place


def take_lock(file: Path) -> int | None:
    """Takes the exclusive lock of `file`; its descriptor, or None when another process has it.

    The lock ends when the last process that inherited the descriptor ends.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def check_owner(path: Path) -> None:
    """Makes sure that `path`, when it exists, belongs to the user of this process.

    Raises:
        SettingsError: `git.owner`.
    """
    try:
        owner = path.lstat().st_uid
    except FileNotFoundError:
        return
    if owner != os.geteuid():
        raise SettingsError(
            f"{path} belongs to uid {owner}, and gitsync runs as uid {os.geteuid()}",
            code="git.owner",
            hint="give the directory to the user that runs gitsync; git reads commands from it",
        )


def sync_directory(path: Path) -> None:
    """Makes renames and removals in the directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
