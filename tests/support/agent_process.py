"""Agents of SDKs and client libraries: programs that say what happens, one JSON object per line.

The programs lie in `tests/interop/agents` and say themselves what their events hold; `event` is the kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from asyncio.subprocess import Process
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

#: Events of one run are few; a line holds at most one configuration.
LINE_BYTES = 16 * 1024 * 1024
START = timedelta(seconds=30)
#: The Python client sends its farewell twice, each with a time-out of a second, and joins two threads.
STOP = timedelta(seconds=15)

Event = dict[str, Any]


def options(**values: Mapping[str, str] | None) -> list[str]:
    """Command line options that are given once per pair: `--header=name=value`."""
    return [f"--{option}={name}={value}" for option, given in values.items() for name, value in (given or {}).items()]


class AgentProcess:
    """One agent in a process of its own; `events` has all it said, oldest first."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self.events: list[Event] = []
        self.errors = ""
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._ended = False

    def command(self) -> list[str]:
        """Program and arguments. Skips the test (in CI: fails it) when the program was not made."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def instance_uid(self) -> bytes:
        """The 16 bytes that the agent uses now."""
        named = [one for one in self.events if one["event"] in ("started", "renamed")]
        return bytes.fromhex(str(named[-1]["instance_uid"]))

    def seen(self, event: str, **values: object) -> list[Event]:
        """All events of that kind so far that have these values, oldest first."""
        return [e for e in self.events if e["event"] == event and all(e.get(k) == v for k, v in values.items())]

    async def start(self) -> None:
        """Starts the process; returns when the client runs, not when the server has answered."""
        self._process = await asyncio.create_subprocess_exec(
            *self.command(),
            # A pipe also ends the agents that read it when the test's process is killed.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
            env={**os.environ, "NO_PROXY": "*", "PYTHONUNBUFFERED": "1", "PYTHONPATH": ""},
        )
        self._ended = False
        self._reader = asyncio.get_running_loop().create_task(self._read(self._process), name="agent-process")
        try:
            await self.wait_for("started", timeout=START)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> int:
        """Sends SIGTERM and waits; the exit code, 0 after a clean end. Harmless when it is not running."""
        process, self._process = self._process, None
        if process is None or self._reader is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP.total_seconds()):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await self._reader
        return process.returncode or 0

    async def kill(self) -> None:
        """Ends the process without a farewell to the server."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self.stop()

    async def wait_for(
        self, event: str, *, timeout: timedelta = timedelta(seconds=20), count: int = 1, **values: object
    ) -> Event:
        """The `count`-th event of that kind that has these values; those of the past count too.

        Raises:
            AssertionError: it did not come in time, or the agent ended; the text has what was seen.
        """
        found: list[Event] = []

        def done() -> bool:
            found[:] = self.seen(event, **values)
            return len(found) >= count or self._ended

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout.total_seconds()), self._changed:
                await self._changed.wait_for(done)
        if len(found) >= count:
            return found[count - 1]
        why = "the agent ended" if self._ended else f"not within {timeout.total_seconds():g} s"
        raise AssertionError(f"no event {event!r} {values or ''}: {why}{self.story()}")

    def story(self) -> str:
        """The newest events; what it wrote on standard error, when it has ended."""
        seen = "\n".join(json.dumps(e) for e in self.events[-20:])
        return f"\n--- {type(self).__name__}\n{seen}\n{self.errors}"

    async def tell(self, do: str, **values: object) -> None:
        """Sends one command to an agent that reads its standard input."""
        assert self._process is not None, "the agent does not run"
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **values}).encode() + b"\n")
        await self._process.stdin.drain()

    async def _read(self, process: Process) -> None:
        """Takes in both outputs until the process ends."""
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.TaskGroup() as group:
            errors = group.create_task(process.stderr.read(), name="agent-process-errors")
            async for line in process.stdout:
                self.events.append(json.loads(line))
                async with self._changed:
                    self._changed.notify_all()
        self.errors = errors.result().decode(errors="replace")
        self._ended = True
        async with self._changed:
            self._changed.notify_all()
