"""`CompileWorker`: the server's end of the compile process. It starts one, keeps it, and replaces it when it dies.

Whatever happens to the child, `compile` returns a result: a commit that crashes it is rejected (GS0699), the last
release keeps serving, and the next commit gets a fresh child.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Self

from gitsync.bundle.tree import ConfigTree
from gitsync.bundle.version import CompileResult
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.errors import Unavailable
from gitsync.worker.frames import LENGTH_BYTES, Failure, Ready, decode_answer, encode_frame, frame_length

log = logging.getLogger("gitsync.worker")

_KEPT_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE")
"""The child needs no secret: everything else of the environment stays here."""
_MEMORY = "the validator ran out of memory on this commit"
_TIME = "the validator ran out of time on this commit"
_CRASH = "the validator crashed on this commit"


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Limits of the compile process, per commit.

    Attributes:
        function: `module:name` of what compiles a tree.
        memory_bytes: address space on top of what the interpreter itself needs.
        cpu: processor time.
        wall: time until the answer must be here.
        start: time until a new process must be ready.
        environment: variables for the child beside those that it always gets.
    """

    function: str = "gitsync.bundle.compile:compile_bundle"
    memory_bytes: int = 1 << 30
    cpu: timedelta = timedelta(seconds=60)
    wall: timedelta = timedelta(seconds=120)
    start: timedelta = timedelta(seconds=30)
    environment: Mapping[str, str] = field(default_factory=dict)


class CompileWorker:
    """Judges and compiles commits in a separate process, one at a time."""

    def __init__(self, options: WorkerOptions | None = None) -> None:
        self._options = options or WorkerOptions()
        self._turn = asyncio.Lock()
        self._child: _Child | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        """Starts the process.

        Raises:
            Unavailable: it cannot be started.
        """
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the process."""
        await self.close()

    @property
    def pid(self) -> int | None:
        """Of the process that waits for the next job; None when there is none."""
        return None if self._child is None else self._child.pid

    async def start(self) -> None:
        """Starts the process, so that the first commit need not wait for it.

        Raises:
            Unavailable: it cannot be started (`worker.start`).
        """
        async with self._turn:
            self._closed = False
            await self._ready_child()

    async def close(self) -> None:
        """Ends the process; one that has a job ends after it."""
        self._closed = True
        child, self._child = self._child, None
        if child is not None:
            await child.end()

    async def compile(self, tree: ConfigTree) -> CompileResult:
        """The result of a commit. A crash of the process, or a limit, is one error of the commit (GS0699).

        Raises:
            Unavailable: no process can be started (`worker.start`).
        """
        async with self._turn:
            child = await self._ready_child()
            answer: CompileResult | str = _CRASH
            # 1. From here until the answer is complete, the child belongs to this job: whatever ends it early,
            #    cancellation too, ends the child.
            self._child = None
            try:
                answer = await self._ask(child, tree)
            finally:
                # 2. Only a child that gave a complete answer is used again.
                if isinstance(answer, CompileResult) and not self._closed:
                    self._child = child
                else:
                    await child.end()
        if isinstance(answer, CompileResult):
            return answer
        log.error("commit %s: %s", tree.commit.id[:12], answer)
        hint = "the server is well, and goes on with the last release; make the commit smaller"
        return CompileResult(None, (Diagnostic("", 0, 0, Severity.ERROR, "GS0699", answer, hint),))

    async def _ready_child(self) -> _Child:
        if self._child is not None and not self._child.is_alive:
            await self._child.end()
            self._child = None
        if self._child is None:
            self._child = await _Child.start(self._options)
        return self._child

    async def _ask(self, child: _Child, tree: ConfigTree) -> CompileResult | str:
        """The child's result, or what became of it."""
        try:
            async with asyncio.timeout(self._options.wall.total_seconds()):
                await child.send(tree)
                answer = await child.receive()
        except TimeoutError:
            return _TIME
        except (OSError, EOFError):
            return _cause(await child.end())
        except ValueError as error:
            log.error("%s", error)  # noqa: TRY400  (the message says it all)
            return _CRASH
        if isinstance(answer, Failure):
            if answer.detail:
                log.error("the compile process failed:\n%s", answer.detail)
            return _MEMORY if answer.kind == "memory" else _CRASH
        return answer if isinstance(answer, CompileResult) else _CRASH


def _cause(status: int) -> str:
    if status == -signal.SIGXCPU:
        return _TIME
    if status == -signal.SIGKILL:
        return f"{_CRASH}: it was killed"
    return f"{_CRASH}: signal {-status}" if status < 0 else f"{_CRASH}: exit status {status}"


class _Child:
    """One process and the socket to it."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, options: WorkerOptions) -> Self:
        """A process that is ready for jobs.

        Raises:
            Unavailable: `worker.start`.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                # A fresh interpreter, not a fork: nothing of the server's memory, sockets or environment is in it.
                process = subprocess.Popen(  # noqa: ASYNC220, S603  (some milliseconds; our own program)
                    _command(options),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    close_fds=True,
                    start_new_session=True,
                    cwd="/",
                    env=_environment(options),
                )
            except OSError as error:
                ours.close()
                raise Unavailable(f"the compile process cannot be started: {error}", code="worker.start") from error
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        child = cls(process, reader, writer)
        greeted = False
        try:
            async with asyncio.timeout(options.start.total_seconds()):
                greeted = isinstance(await child.receive(), Ready)
        except (TimeoutError, OSError, EOFError, ValueError) as error:
            raise Unavailable(f"the compile process does not start: {error!r}", code="worker.start") from error
        finally:
            if not greeted:
                await child.end()
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    async def send(self, tree: ConfigTree) -> None:
        """Raises OSError when the process is gone."""
        self._writer.write(encode_frame(tree))
        await self._writer.drain()

    async def receive(self) -> CompileResult | Ready | Failure:
        """Raises EOFError or OSError when the process is gone, ValueError when it sends nonsense."""
        length = frame_length(await self._reader.readexactly(LENGTH_BYTES))
        return decode_answer(await self._reader.readexactly(length))

    async def end(self) -> int:
        """Kills the process and waits for its end; its exit status, negative for a signal."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        # It may be on its way out by itself; its own status says more than ours.
        for pause in (0.0, 0.005, 0.02):
            if self._process.poll() is not None:
                break
            await asyncio.sleep(pause)
        if self._process.poll() is None:
            self._process.kill()
        while True:  # no thread, no signal handler: it is dead in a moment
            status = self._process.poll()
            if status is not None:
                return status
            await asyncio.sleep(0.005)


def _command(options: WorkerOptions) -> list[str]:
    return [
        sys.executable,
        "-P",  # the current directory is no place to import from
        "-B",
        "-m",
        "gitsync.worker",
        f"--function={options.function}",
        f"--memory-bytes={options.memory_bytes}",
        f"--cpu-seconds={max(int(options.cpu.total_seconds()), 1)}",
    ]


def _environment(options: WorkerOptions) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return {**kept, **options.environment}
