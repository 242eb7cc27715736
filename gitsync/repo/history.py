"""Commits and refs, as GitPython reads them.

GitPython parses; it starts no process, gets no option and looks up no name from outside. The bytes of a
commit come from the runner, with its limits, and are handed to GitPython as a database in memory: its own
pure-Python database is deprecated, and its other one starts git with this process's environment. All
functions block and are meant for a thread. GitPython starts `git version` when it is imported, so it is
imported on first use, after gitsync has looked for git and can say that there is none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from gitsync.bundle.tree import Commit
from gitsync.errors import SettingsError, Unavailable
from gitsync.ids import CommitId
from gitsync.repo.runner import MIRROR_REF

if TYPE_CHECKING:
    import git
    from git.db import GitCmdObjectDB

_SUBJECT_CHARACTERS = 500
_PERSON_CHARACTERS = 300


@contextmanager
def _opened(mirror: Path, odbt: type[GitCmdObjectDB] | None = None) -> Iterator[git.Repo]:
    import git
    from git.db import GitCmdObjectDB

    for name in ("GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"):
        if name in os.environ:  # GitPython would look there instead
            raise SettingsError(f"{name} is set", code="git.environment", hint="start gitsync without it")
    try:
        repo = git.Repo(mirror, odbt or GitCmdObjectDB, search_parent_directories=False, expand_vars=False)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        raise Unavailable("the mirror went away", code="git.mirror_broken") from None
    with repo:
        yield repo


def read_head(mirror: Path) -> CommitId | None:
    """The commit that the mirror's ref names; None before the first fetch."""
    import git

    with _opened(mirror) as repo:
        try:
            return CommitId(git.SymbolicReference.dereference_recursive(repo, MIRROR_REF))
        except ValueError:  # there is no such ref
            return None


def parse_commit(mirror: Path, commit: CommitId, raw: bytes) -> Commit:
    """Who changed what and when.

    Args:
        mirror: the repository that the commit is of.
        commit: its id.
        raw: the commit object, without git's header.

    Raises:
        Unavailable: `git.commit_missing`: the object is torn.
    """
    import git
    from git.db import GitCmdObjectDB
    from gitdb.base import OStream

    class Loaded(GitCmdObjectDB):
        """The one object that is asked for."""

        def stream(self, binsha: bytes) -> OStream:
            return OStream(binsha, b"commit", len(raw), BytesIO(raw))

    name = bytes.fromhex(commit)
    with _opened(mirror, Loaded) as repo:
        found = git.Commit(repo, name)
        try:
            return Commit(
                id=commit,
                tree=found.tree.hexsha,
                parents=tuple(CommitId(parent.hexsha) for parent in found.parents),
                author=_person(found.author),
                authored_at=_instant(found.authored_date),
                subject=_subject(found.message),
            )
        except (ValueError, LookupError, AttributeError) as error:
            # LookupError and AttributeError: GitPython's way to say that a header is missing or torn.
            raise missing(commit, f"cannot be read ({type(error).__name__})") from None


def missing(commit: CommitId, why: str = "is not in the mirror") -> Unavailable:
    """The error for a commit that cannot be had now; a later fetch may bring it."""
    return Unavailable(f"commit {commit} {why}", code="git.commit_missing")


def _person(actor: git.Actor) -> str:
    name, address = _line(actor.name), _line(actor.email)
    return (f"{name} <{address}>" if address else name)[:_PERSON_CHARACTERS]


def _subject(message: str | bytes) -> str:
    text = message.decode(errors="replace") if isinstance(message, bytes) else message
    return _line(text.lstrip().split("\n", 1)[0])[:_SUBJECT_CHARACTERS]


def _line(text: str | None) -> str:
    """One line that can be stored and shown: no control characters, no half characters."""
    clean = (text or "").encode(errors="replace").decode()
    return "".join(char if char.isprintable() else " " for char in clean).strip()


def _instant(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # beyond the calendar: the author's clock is not our problem
        return datetime.fromtimestamp(0, UTC)
