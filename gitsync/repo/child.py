"""`Child`: a process with pipes, started without copying the server.

uvloop forks: for each git of each commit the page tables of a server with ten thousand agents are copied, and then
every page that it writes to. `subprocess` uses vfork, which copies nothing (measured: an eighth of the CPU of a
publication).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO


@dataclass(slots=True)
class Child:
    """A running process.

    Attributes:
        stdin, stdout, stderr: its pipes.
    """

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    _process: subprocess.Popen[bytes]
    _reading: tuple[asyncio.BaseTransport, ...]

    @property
    def pid(self) -> int:
        """Of the process, and of its group when it has one of its own."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None until `wait` has returned."""
        return self._process.returncode

    async def wait(self) -> int:
        """Until it has ended; its exit code, negative for a signal."""
        if self._process.returncode is None:
            await _ended(self._process.pid)
        return self._process.wait()

    def close(self) -> None:
        """Closes our ends of the pipes."""
        self.stdin.close()
        for transport in self._reading:
            transport.close()


async def start(argv: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int] = ()) -> Child:
    """Starts a program in `/`, in a session of its own.

    Raises:
        OSError: it cannot be started.
    """
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - vfork returns in a millisecond; the command lines are ours
        argv,
        env=env,
        cwd="/",
        start_new_session=True,
        pass_fds=pass_fds,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    opened: list[asyncio.BaseTransport] = []
    try:
        loop = asyncio.get_running_loop()
        end = asyncio.StreamReaderProtocol(asyncio.StreamReader())
        transport, _ = await loop.connect_write_pipe(lambda: end, process.stdin)
        opened.append(transport)
        stdin = asyncio.StreamWriter(transport, end, None, loop)
        stdout = await _reader(process.stdout, opened)
        stderr = await _reader(process.stderr, opened)
    except BaseException:
        for one in opened:
            one.close()
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        raise
    return Child(stdin, stdout, stderr, process, tuple(opened[1:]))


async def _reader(pipe: IO[bytes], opened: list[asyncio.BaseTransport]) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    opened.append(transport)
    return reader


async def _ended(pid: int) -> None:
    """Until the process could be waited for without waiting."""
    loop = asyncio.get_running_loop()
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):  # not on Linux, or an old one
        await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return
    ended = asyncio.Event()
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
