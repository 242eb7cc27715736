"""`ServerProcess`: `gitsync serve` as a child of the lab, on free ports."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gitsync.errors import Unavailable

START_SECONDS = 60.0
STOP_SECONDS = 15.0
LOOK_SECONDS = 0.02
LOG_LINES = 5


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that is up.

    Attributes:
        opamp_url: for agents.
        http_url: for REST, without a slash at the end.
        token_file: the administrator's token.
        log_file: what it logs.
        process: None when it is not a child of ours.
    """

    opamp_url: str
    http_url: str
    token_file: Path | None = None
    log_file: Path | None = None
    process: Process | None = None


@asynccontextmanager
async def server_process(repository: Path, data_directory: Path, directory: Path) -> AsyncIterator[ServerProcess]:
    """A server on `repository`, up when the block begins, and stopped in order when it ends.

    Args:
        repository: a local Git repository; it is watched.
        data_directory: of the server; may exist.
        directory: for the log and the ready file.

    Raises:
        Unavailable: it did not come up; the text has the end of its log.
    """
    log_file, ready_file = directory / "server.log", directory / "ready.json"
    ready_file.unlink(missing_ok=True)
    arguments = [
        *("serve", "--source", str(repository), "--data-dir", str(data_directory)),
        *("--opamp-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"),
        *("--sync-interval", "5s", "--ready-file", str(ready_file)),
    ]
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gitsync",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C in the terminal is ours: the agents leave first, then the server is told to stop.
            start_new_session=True,
            env=child_environment(),
        )
    try:
        yield await _ready(process, ready_file, log_file)
    finally:
        await _stop(process)


def child_environment() -> dict[str, str]:
    """Ours without settings of a server: the lab's server is what its flags say, whatever was exported."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GITSYNC_")}


async def _ready(process: Process, ready_file: Path, log_file: Path) -> ServerProcess:
    try:
        async with asyncio.timeout(START_SECONDS):
            while (fields := _read(ready_file)) is None:
                if process.returncode is not None:
                    raise _failed(f"ended with exit code {process.returncode}", log_file)
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise _failed(f"did not start within {START_SECONDS:.0f} s", log_file) from None
    return ServerProcess(
        opamp_url=fields["opamp_url"],
        http_url=fields["http_url"].rstrip("/"),
        token_file=Path(fields["token_file"]),
        log_file=log_file,
        process=process,
    )


def _read(ready_file: Path) -> dict[str, str] | None:
    """What the server said; None before. The file appears complete."""
    try:
        fields: dict[str, str] = json.loads(ready_file.read_text())
    except FileNotFoundError:
        return None
    return fields


def _failed(why: str, log_file: Path) -> Unavailable:
    return Unavailable(f"the server {why}", code="lab.server", hint=f"{log_file}: {last_lines(log_file)}")


def last_lines(log_file: Path) -> str:
    """The end of a log in one line."""
    return " | ".join(log_file.read_text(errors="replace").splitlines()[-LOG_LINES:])


async def _stop(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
