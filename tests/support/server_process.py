"""`gitsync serve` in a process of its own, for what cannot be done to this one."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.service import until


@dataclass(frozen=True)
class ServerProcess:
    """A server that is up."""

    pid: int
    opamp_url: str
    http_url: str


@asynccontextmanager
async def a_server_process(
    repository: Path, data: Path, environment: Mapping[str, str] | None = None, *, opamp: str = "127.0.0.1:0"
) -> AsyncIterator[ServerProcess]:
    """Starts it and waits until it listens; it is killed at the end."""
    ready = data.with_suffix(".ready")
    arguments = ["--source", str(repository), "--data-dir", str(data), "--ready-file", str(ready)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gitsync",
        "serve",
        *arguments,
        *("--opamp-listen", opamp, "--http-listen", "127.0.0.1:0"),
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: ready.exists() or process.returncode is not None)
        assert process.returncode is None, "the server ended at once"
        said = json.loads(ready.read_text())
        yield ServerProcess(process.pid, said["opamp_url"], said["http_url"])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
