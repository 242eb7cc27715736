"""The only place that starts git: fixed command lines, a fixed environment, limits on time and output.

Rules:
    1. `build` makes every argument list and every environment. Callers give an operation and values for its
       slots, never an option; each slot is checked or stands behind `--end-of-options`.
    2. Nothing of gitsync's own environment reaches git, and no configuration of the host or of a user.
    3. Each git gets a process group of its own. When time or output run out, the whole group is killed: ssh
       and the remote helpers too.
    4. What git prints is cut, stripped of secrets and control characters before anybody sees it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from gitsync.errors import GitsyncError, SettingsError, Unavailable
from gitsync.ids import CommitId
from gitsync.repo.child import Child, start
from gitsync.repo.complaint import scrub, translate
from gitsync.repo.credentials import NO_ACCESS, Access, ssh_command
from gitsync.repo.source import Location

#: The only ref that the mirror has. One name, whatever the branch is called: a name from outside is never a
#: path here.
MIRROR_REF = "refs/gitsync/head"

_STDERR_BYTES = 8 * 1024
_CHUNK_BYTES = 64 * 1024
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
#: First fixed version per line for what a hostile repository can do (CVE-2025-48384 and before).
_SAFE_VERSIONS = {43: 7, 44: 4, 45: 4, 46: 4, 47: 3, 48: 2, 49: 1, 50: 1}
_OLDEST = (2, 36, 0)


class Operation(StrEnum):
    """What gitsync asks of git; the value is git's own verb."""

    LS_REMOTE = "ls-remote"
    FETCH = "fetch"
    FSCK = "fsck"
    LS_TREE = "ls-tree"
    CAT_FILE = "cat-file"
    MERGE_BASE = "merge-base"
    REPACK = "repack"


@dataclass(frozen=True, slots=True)
class GitProgram:
    """The git of this host, looked up once.

    Attributes:
        path: absolute.
        ssh: absolute path of the ssh client; None when there is none.
        warning: why this version should be updated; None when it is new enough.
    """

    path: Path
    version: tuple[int, int, int]
    ssh: Path | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One git process: what `build` returns."""

    operation: Operation
    argv: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a network operation goes and how it gets in."""

    location: Location
    branch: str
    access: Access = NO_ACCESS


@dataclass(frozen=True, slots=True)
class Finished:
    """What one git process left.

    Attributes:
        truncated: the output was longer than allowed and git was killed; `stdout` is its beginning.
        stderr: scrubbed, at most 8 KiB.
    """

    code: int
    stdout: bytes
    stderr: str
    truncated: bool = False


def build(
    git: GitProgram,
    operation: Operation,
    mirror: Path,
    *,
    remote: Remote | None = None,
    commits: tuple[CommitId, ...] = (),
) -> Call:
    """The complete command of one operation.

    Args:
        git: the program.
        operation: has one fixed form.
        mirror: absolute path of the bare repository.
        remote: for `ls-remote` and `fetch`.
        commits: `ls-tree` one; `merge-base` (older, newer).
    """
    for commit in commits:
        if not _OID.fullmatch(commit):
            raise ValueError(f"no commit id: {commit!r}")
    arguments: tuple[str, ...]
    match operation:
        case Operation.LS_REMOTE | Operation.FETCH:
            assert remote is not None
            arguments = _network_arguments(operation, remote)
        case Operation.FSCK:
            arguments = ("--connectivity-only", "--no-dangling", "--no-progress")
        case Operation.LS_TREE:
            arguments = ("-r", "-z", "-l", "--full-tree", "--end-of-options", commits[0])
        case Operation.CAT_FILE:
            arguments = ("--batch",)
        case Operation.MERGE_BASE:
            arguments = ("--is-ancestor", "--end-of-options", *commits)
        case Operation.REPACK:
            # --keep-unreachable: a commit that a forced push left behind may still be the one that agents
            # run.
            arguments = ("-a", "-d", "-q", "--keep-unreachable", "--window-memory=64m", "--threads=1")
    argv = (str(git.path), f"--git-dir={mirror}", *_settings(remote), operation.value, *arguments)
    return Call(operation, argv, _environment(git, remote))


def _network_arguments(operation: Operation, remote: Remote) -> tuple[str, ...]:
    branch = f"refs/heads/{remote.branch}"
    if operation is Operation.LS_REMOTE:
        return ("--quiet", "--exit-code", "--end-of-options", remote.location.url, branch)
    # The branch's whole history, and no --depth: whether a new head descends from the published one must
    # have an answer after any number of commits, and a cut history makes every rewrite look possible.
    return (
        "--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-gc", "--no-write-fetch-head", "--force",
        "--end-of-options", remote.location.url, f"{branch}:{MIRROR_REF}",
    )  # fmt: skip


def _settings(remote: Remote | None) -> tuple[str, ...]:
    settings = [
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "core.symlinks=false",
        "core.fsync=all",
        "core.alternateRefsCommand=true",
        # Larger blobs are streamed, not held in memory: they are over our limit anyway.
        "core.bigFileThreshold=2m",
        "credential.helper=",
        "fetch.fsckObjects=true",
        "transfer.fsckObjects=true",
        "gc.auto=0",
        "maintenance.auto=false",
        "http.followRedirects=false",
        "http.lowSpeedLimit=1000",
        "http.lowSpeedTime=30",
        "protocol.allow=never",
    ]
    if remote is not None:
        settings.append(f"protocol.{remote.location.scheme.value}.allow=always")
    return tuple(word for setting in settings for word in ("-c", setting))


def _environment(git: GitProgram, remote: Remote | None) -> dict[str, str]:
    access = remote.access if remote else NO_ACCESS
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(access.config_file or "/dev/null"),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": remote.location.scheme.value if remote else "none",
        # Never empty: git would go on to other ways of asking.
        "GIT_ASKPASS": str(access.askpass_file or "/bin/false"),
        "GIT_SSH_COMMAND": "/bin/false",
        "GIT_SSH_VARIANT": "ssh",
    }
    if access.ssh_config_file and git.ssh:
        environment["GIT_SSH_COMMAND"] = ssh_command(git.ssh, access.ssh_config_file)
    if access.username_file and access.password_file:
        environment["GITSYNC_USERNAME_FILE"] = str(access.username_file)
        environment["GITSYNC_PASSWORD_FILE"] = str(access.password_file)
    if access.ca_file:
        environment["GIT_SSL_CAINFO"] = str(access.ca_file.absolute())
    return environment


async def find_git(search: str | None = None) -> GitProgram:
    """Looks up git and ssh, once, and asks git for its version.

    Args:
        search: directories as in PATH; None: this process's PATH. Relative ones are left out.

    Raises:
        SettingsError: `git.missing` or `git.version`: there is no git, or it is too old to be used.
    """
    places = (os.environ.get("PATH", "") if search is None else search).split(os.pathsep)
    path = os.pathsep.join(place for place in places if place.startswith("/"))
    found, ssh = shutil.which("git", path=path), shutil.which("ssh", path=path)
    if found is None:
        raise SettingsError("there is no git on the PATH", code="git.missing", hint="install git 2.50.1 or newer")
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"}
    done = await asyncio.to_thread(
        subprocess.run, [found, "version"], capture_output=True, env=environment, cwd="/", timeout=20, check=False
    )
    output = done.stdout
    match = re.match(rb"git version (\d+)\.(\d+)(?:\.(\d+))?", output)
    version = (int(match[1]), int(match[2]), int(match[3] or 0)) if match else (0, 0, 0)
    if version < _OLDEST:
        shown = output.decode(errors="replace").strip()[:100]
        raise SettingsError(
            f"{found} is too old or no git: {shown!r}", code="git.version", hint="install git 2.50.1 or newer"
        )
    return GitProgram(Path(found), version, Path(ssh) if ssh else None, version_warning(version))


def version_warning(version: tuple[int, int, int]) -> str | None:
    """Why this git should be updated; None when it is not older than the versions with all known fixes."""
    _, minor, patch = version
    if version >= (2, 51, 0) or patch >= _SAFE_VERSIONS.get(minor, patch + 1):
        return None
    shown = ".".join(map(str, version))
    return (
        f"git {shown} lacks fixes for hostile repositories (2.43.7, 2.50.1 and later have them), unless your "
        "distribution has added them; gitsync makes no work tree and no submodules, which are what these need"
    )


class Runner:
    """Runs git for one source.

    Attributes:
        started: how many processes of each operation were started; for metrics.
    """

    def __init__(self, git: GitProgram, *, keep_open: Callable[[], tuple[int, ...]] = tuple) -> None:
        """`keep_open` gives descriptors that git inherits, so that a lock outlives us while git still
        works.
        """
        self.git = git
        self.started: Counter[Operation] = Counter()
        self._keep_open = keep_open

    async def run(
        self,
        call: Call,
        timeout: timedelta,
        *,
        remote: Remote | None = None,
        stdin: bytes = b"",
        output_bytes: int = 1024 * 1024,
        guard: Callable[[], Awaitable[GitsyncError]] | None = None,
    ) -> Finished:
        """Runs one call to its end.

        Args:
            call: made by `build`.
            timeout: for the whole process.
            remote: whose secrets to keep out of the result.
            stdin: is given to git whole.
            output_bytes: longer output is cut, and git killed.
            guard: is run beside git; when it returns, git is killed and what it returned is raised.

        Raises:
            Unavailable: `git.timeout`.
            SettingsError: `git.missing`: the program cannot be started.
            GitsyncError: from `guard`.
        """
        try:
            process = await start(call.argv, call.env, self._keep_open())
        except OSError as error:
            raise SettingsError(f"cannot start {call.argv[0]}: {error.strerror}", code="git.missing") from None
        self.started[call.operation] += 1
        conversation = _Conversation(process, stdin, output_bytes)
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                stopped = await conversation.run(guard)
        except TimeoutError:
            where = f" {remote.location.url}" if remote else ""
            raise Unavailable(
                f"git {call.operation.value}{where} was stopped after {timeout.total_seconds():g} s",
                code="git.timeout",
            ) from None
        finally:
            await conversation.end()
        if stopped is not None:
            raise stopped
        secrets = remote.access.secrets if remote else ()
        stderr = scrub(bytes(conversation.stderr), secrets, conversation.cut_stderr)
        return Finished(process.returncode or 0, bytes(conversation.stdout), stderr, conversation.truncated)

    def fail(self, call: Call, finished: Finished, remote: Remote | None = None) -> NoReturn:
        """Raises the error of gitsync that says what git's complaint means and what to do."""
        raise translate(call.operation.value, finished.code, finished.stderr, remote.location if remote else None)


class _Conversation:
    """Feeds one process, reads what it says up to the limits, and makes sure that its group is gone at the
    end.
    """

    def __init__(self, process: Child, stdin: bytes, output_bytes: int) -> None:
        self.process = process
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.truncated = False
        self.cut_stderr = False
        self._is_over = False
        self._stdin = stdin
        self._output_bytes = output_bytes

    async def run(self, guard: Callable[[], Awaitable[GitsyncError]] | None) -> GitsyncError | None:
        """Until git has ended; what the guard returned, when it stopped git."""
        verdict: list[GitsyncError] = []

        async def watch(judge: Callable[[], Awaitable[GitsyncError]]) -> None:
            verdict.append(await judge())
            self.kill()

        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch(guard), name="git guard") if guard else None
            async with asyncio.TaskGroup() as pipes:
                pipes.create_task(self._feed(), name="git stdin")
                pipes.create_task(self._read_stdout(), name="git stdout")
                pipes.create_task(self._read_stderr(), name="git stderr")
            await self.process.wait()
            self._is_over = True
            if watching:
                watching.cancel()
        return verdict[0] if verdict else None

    async def end(self) -> None:
        """Kills what is left of the group and waits until the pipes are closed; harmless when git has
        ended.
        """
        if not self._is_over:
            # Also when git itself has ended: a child of it may live on, and the group with it.
            self.kill()
            for pipe in (self.process.stdout, self.process.stderr):
                while await pipe.read(_CHUNK_BYTES):
                    pass
        await self.process.wait()
        self.process.close()

    def kill(self) -> None:
        # ProcessLookupError: the group has ended by itself in the meantime.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def _feed(self) -> None:
        pipe = self.process.stdin
        # Git may end without reading all: then its exit code and stderr say why.
        with suppress(BrokenPipeError, ConnectionResetError):
            if not pipe.is_closing():  # uvloop refuses to write to what is closed with an error of its own
                pipe.write(self._stdin)
                await pipe.drain()
        pipe.close()
        with suppress(BrokenPipeError, ConnectionResetError):
            await pipe.wait_closed()

    async def _read_stdout(self) -> None:
        pipe = self.process.stdout
        while chunk := await pipe.read(_CHUNK_BYTES):
            if not self.truncated:
                self.stdout += chunk
            if len(self.stdout) > self._output_bytes:
                self.truncated = True
                del self.stdout[self._output_bytes :]
                self.kill()

    async def _read_stderr(self) -> None:
        pipe = self.process.stderr
        while chunk := await pipe.read(_CHUNK_BYTES):
            room = _STDERR_BYTES - len(self.stderr)
            self.cut_stderr |= len(chunk) > room
            self.stderr += chunk[:room]
