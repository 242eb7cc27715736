"""Real Git repositories in a temporary directory: fixed people, fixed dates, nothing of the host's set-up.

repo = GitRepo(tmp_path / "config")
first = repo.commit_files({"gitsync.yaml": "", "agents/target.yaml": "default: true\n"})
repo.write({"agents/target.yaml": None})      # None deletes
second = repo.commit("remove the target")
repo.revert()
repo.bare_clone(tmp_path / "origin.git")      # adds it as remote `origin`, so that `repo.push()` works
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

#: Seconds since the epoch of the first commit (2026-01-02T03:04:05Z); each commit is one minute later.
EPOCH = 1767323045

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Ada Author",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Carl Committer",
    "GIT_COMMITTER_EMAIL": "carl@example.com",
}


class GitRepo:
    """A work tree with a repository; `path` is the directory that holds `.git`."""

    def __init__(self, path: Path, branch: str = "main") -> None:
        """Creates the repository at `path`, or opens the one that is there."""
        self.path = path
        self.branch = branch
        self._clock = EPOCH
        path.mkdir(parents=True, exist_ok=True)
        if not (path / ".git").exists():
            self.git("init", "--quiet", f"--initial-branch={branch}")

    def git(self, *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
        """Runs git in the work tree; its standard output without the last newline."""
        date = f"{self._clock} +0000"
        done = subprocess.run(
            ["git", "-c", "gc.auto=0", "-c", "protocol.file.allow=always", *args],
            cwd=self.path,
            env={**ENVIRONMENT, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, **(env or {})},
            input=stdin,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"git {' '.join(args)}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode(errors="surrogateescape").rstrip("\n")

    @property
    def head(self) -> str:
        """Id of the newest commit."""
        return self.git("rev-parse", "HEAD")

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Writes files below the work tree; None deletes the file."""
        for name, content in files.items():
            file = self.path / name
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)

    def symlink(self, name: str, to: str) -> None:
        """Makes a symbolic link in the work tree."""
        link = self.path / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(to)

    def commit(self, message: str = "change") -> str:
        """Commits all that is in the work tree (also when nothing changed); the new commit's id."""
        self._clock += 60
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--no-verify", "-m", message)
        return self.head

    def commit_files(self, files: Mapping[str, str | bytes | None], message: str = "change") -> str:
        """`write` and `commit` in one; the new commit's id."""
        self.write(files)
        return self.commit(message)

    def commit_entries(self, entries: Iterable[tuple[str, bytes, bytes]], message: str = "crafted") -> str:
        """Commits a root tree of exactly these (mode, name, content) entries; the new commit's id.

        For names and modes that no work tree can hold. The content of mode 160000 and 040000 is an object id.
        """
        self._clock += 60
        lines = bytearray()
        for mode, name, content in entries:
            kind = {"160000": b"commit", "040000": b"tree"}.get(mode, b"blob")
            is_id = kind != b"blob"
            oid = content if is_id else self.git("hash-object", "-w", "--stdin", stdin=content).encode()
            lines += mode.encode() + b" " + kind + b" " + oid + b"\t" + name + b"\0"
        tree = self.git("mktree", "-z", "--missing", stdin=bytes(lines))
        commit = self.git("commit-tree", tree, "-m", message, *self._parents())
        self.git("update-ref", f"refs/heads/{self.branch}", commit)
        return commit

    def _parents(self) -> list[str]:
        try:
            return ["-p", self.head]
        except RuntimeError:  # the branch has no commit yet
            return []

    def revert(self, commit: str = "HEAD") -> str:
        """Reverts one commit; the id of the new commit."""
        self._clock += 60
        self.git("revert", "--no-edit", commit)
        return self.head

    def force_rewrite(self, message: str = "rewritten") -> str:
        """Replaces the newest commit by one that does not descend from it; the new id.

        When there is a remote `origin`, the branch there is overwritten too.
        """
        self._clock += 60
        self.git("commit", "--quiet", "--amend", "--allow-empty", "--no-verify", "-m", message)
        if self.has_remote():
            self.git("push", "--quiet", "--force", "origin", self.branch)
        return self.head

    def has_remote(self) -> bool:
        """Whether `bare_clone` made an `origin`."""
        return bool(self.git("remote"))

    def bare_clone(self, dest: Path) -> Path:
        """Makes a bare clone at `dest` and names it `origin`, for `push`; `dest`."""
        self.git("clone", "--quiet", "--bare", "--no-hardlinks", ".", str(dest))
        self.git("remote", "add", "origin", str(dest))
        return dest

    def push(self) -> str:
        """Pushes the branch to `origin`; the id of its newest commit."""
        self.git("push", "--quiet", "origin", self.branch)
        return self.head
