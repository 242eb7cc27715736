"""SDK agents: the Python OpAMP client from the package index, in a process and an environment of its own.

async with SdkAgent("http://127.0.0.1:4320/v1/opamp", "checkout", attributes={"env": "prod"}) as agent:
    config = await agent.wait_for("config")
    status = await agent.wait_for("status", status="APPLIED")

The program is `tests/interop/agents/python/agent.py`; it says what its events hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from asyncio.subprocess import Process
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support import tools

PROGRAM = tools.AGENTS / "python" / "agent.py"
#: Events of one run are few; a line holds at most one configuration.
LINE_BYTES = 16 * 1024 * 1024
START = timedelta(seconds=30)
#: The client sends its farewell twice, each with a time-out of a second, and joins two threads.
STOP = timedelta(seconds=15)

Event = dict[str, Any]


class SdkAgent:
    """One running SDK agent over HTTP; `events` has all it said, oldest first."""

    def __init__(
        self,
        endpoint: str,
        service_name: str,
        *,
        attributes: Mapping[str, str] | None = None,
        identifying: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        interval: timedelta = timedelta(seconds=1),
        ca: Path | None = None,
        reject: str = "",
        python: Path | None = None,
    ) -> None:
        """Prepares the agent; `async with` or `start` runs it.

        `attributes` are the non-identifying ones, `interval` is the time between polls. A configuration with
        `reject` in a body is reported FAILED. `python` replaces the interpreter that the tools made.
        """
        self.events: list[Event] = []
        self.errors = ""
        self._python = python
        self._command = [str(PROGRAM), "--endpoint", endpoint, "--service-name", service_name]
        self._command += ["--interval", str(interval.total_seconds()), f"--reject={reject}"]
        for option, values in (("attribute", attributes), ("identifying", identifying), ("header", headers)):
            self._command += [f"--{option}={name}={value}" for name, value in (values or {}).items()]
        if ca is not None:
            self._command += ["--ca", str(ca)]
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._ended = False

    async def __aenter__(self) -> SdkAgent:
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
        """The 16 bytes that the client chose for this run."""
        return bytes.fromhex(str(self.seen("started")[0]["instance_uid"]))

    def seen(self, event: str, **values: object) -> list[Event]:
        """All events of that kind so far that have these values, oldest first."""
        return [e for e in self.events if e["event"] == event and all(e.get(k) == v for k, v in values.items())]

    async def start(self) -> None:
        """Starts the process; returns when the client runs, not when the server has answered.

        Skips the test (in CI: fails it) when the client is not installed.
        """
        python = self._python or tools.require(tools.python_client)
        self._process = await asyncio.create_subprocess_exec(
            str(python),
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
            env={**os.environ, "NO_PROXY": "*", "PYTHONUNBUFFERED": "1", "PYTHONPATH": ""},
        )
        self._ended = False
        self._reader = asyncio.get_running_loop().create_task(self._read(self._process), name="sdk-agent")
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
        seen = "\n".join(json.dumps(e) for e in self.events[-20:])
        raise AssertionError(f"no event {event!r} {values or ''}: {why}; seen:\n{seen}\n{self.errors}")

    async def _read(self, process: Process) -> None:
        """Takes in both outputs until the process ends."""
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.TaskGroup() as group:
            errors = group.create_task(process.stderr.read(), name="sdk-agent-errors")
            async for line in process.stdout:
                self.events.append(json.loads(line))
                async with self._changed:
                    self._changed.notify_all()
        self.errors = errors.result().decode(errors="replace")
        self._ended = True
        async with self._changed:
            self._changed.notify_all()
