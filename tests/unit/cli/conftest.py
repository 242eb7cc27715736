from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitsync.cli import run
from gitsync.server import HttpServer, WebhookSecrets, create_app, load_or_create_admin_token
from tests.support.webservice import SteppingClock, WebService, open_service


@dataclass(frozen=True)
class Outcome:
    """What one command line did."""

    code: int
    out: str
    err: str


def gitsync(*arguments: str) -> Outcome:
    """Runs the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    return Outcome(code, out.getvalue(), err.getvalue())


@dataclass
class Running:
    """A real server on a real port, and the command line against it."""

    service: WebService
    server: HttpServer
    directory: Path

    async def gitsync(self, *arguments: str) -> Outcome:
        """Runs the command in a thread, with `--server` and `--data-dir` of this server."""
        options = ("--server", self.server.url, "--data-dir", str(self.directory))
        return await asyncio.to_thread(gitsync, *arguments, *options)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GITSYNC_SERVER", "GITSYNC_TOKEN", "GITSYNC_TOKEN_FILE", "GITSYNC_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    directory = tmp_path / "data"
    service = await open_service(tmp_path)
    auth, _, _ = load_or_create_admin_token(directory)
    server = HttpServer(create_app(service, auth, WebhookSecrets(), SteppingClock()), "127.0.0.1", 0)
    await server.start()
    yield Running(service, server, directory)
    await server.stop()
    await service.store.close()
