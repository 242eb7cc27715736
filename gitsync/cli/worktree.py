"""A config repository on disk as a `ConfigTree`: what a commit of it, as it lies there, would be.

The same limits and the same refusals as for a real commit: the listing is put into the form in which git prints a
tree, and read by the same code.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gitsync.bundle.tree import Commit, ConfigTree
from gitsync.errors import SettingsError
from gitsync.ids import DEFAULT_SOURCE, BlobId, CommitId
from gitsync.repo.listing import parse_listing
from gitsync.repo.source import Limits

_NOBODY = datetime(1970, 1, 1, tzinfo=UTC)
_GIT_TIMEOUT_SECONDS = 30


def read_tree(root: Path) -> ConfigTree:
    """The files below `root`; of a git work tree those that git tracks or would add, not the ignored ones.

    Raises:
        SettingsError: `path.unreadable`: no such directory, or a file in it cannot be read.
    """
    if not root.is_dir():
        raise SettingsError(
            f"{root} is no directory", code="path.unreadable", hint="name the top of a config repository"
        )
    limits = Limits()
    bodies: dict[BlobId, bytes] = {}
    records: list[bytes] = []
    for path in sorted(_paths(root)):
        try:
            record = _record(root, path, limits, bodies)
        except OSError as error:
            raise SettingsError(f"cannot read {error.filename}: {error.strerror}", code="path.unreadable") from error
        if record is not None:
            records.append(record)
        if len(records) > limits.files:
            break
    listing = parse_listing(b"".join(records), limits)
    data = {blob: bodies[blob] for blob in listing.load}
    zero = "0" * 40
    commit = Commit(CommitId(zero), zero, (), "nobody <>", _NOBODY, f"files in {root}")
    return ConfigTree(DEFAULT_SOURCE, commit, listing.blobs, data, listing.bad)


def _record(root: Path, path: bytes, limits: Limits, bodies: dict[BlobId, bytes]) -> bytes | None:
    """One entry as `git ls-tree -r -z -l` prints it; None for what git would not commit."""
    full = os.path.join(os.fsencode(root), path)  # noqa: PTH118  # a name need not be text
    try:
        found = os.lstat(full)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        return b"120000 blob " + b"0" * 40 + b" 0\t" + path + b"\0"
    if stat.S_ISDIR(found.st_mode):
        # Git lists a directory only when it is a repository of its own.
        return b"160000 commit " + b"0" * 40 + b" -\t" + path + b"\0"
    if not stat.S_ISREG(found.st_mode):
        return None
    body = b""
    if found.st_size <= limits.file_bytes:
        with open(full, "rb") as file:  # noqa: PTH123  # a name need not be text
            body = file.read(limits.file_bytes + 1)
    size = max(found.st_size, len(body))
    oid = hashlib.sha1(b"blob %d\0" % len(body) + body, usedforsecurity=False).hexdigest()
    bodies[BlobId(oid)] = body
    return b"100644 blob " + oid.encode() + b" %d\t" % size + path + b"\0"


def _paths(root: Path) -> Iterator[bytes]:
    if (root / ".git").exists() and shutil.which("git"):
        yield from _listed_by_git(root)
        return
    top = os.fsencode(root)
    for directory, names, files in os.walk(top):
        relative = os.path.relpath(directory, top)
        prefix = b"" if relative == b"." else relative + b"/"
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]  # noqa: PTH114, PTH118
        names[:] = sorted(name for name in names if name != b".git" and name not in links)
        for name in (*files, *links):
            if name != b".git":
                yield prefix + name


def _listed_by_git(root: Path) -> list[bytes]:
    # The repository's own settings could name a program to run; none of those settings is used here.
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", os.fspath(root)]
    listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    try:
        done = subprocess.run(  # noqa: S603  # a fixed program, no shell
            [*command, *listing], capture_output=True, timeout=_GIT_TIMEOUT_SECONDS, check=True
        )
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines()
        raise SettingsError(
            f"git cannot list the files of {root}: {reason[-1] if reason else error.returncode}", code="path.unreadable"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SettingsError(f"git did not list the files of {root} in time", code="path.unreadable") from error
    return [path.rstrip(b"/") for path in done.stdout.split(b"\0") if path]
