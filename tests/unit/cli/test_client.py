from __future__ import annotations

import socket
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from gitsync.cli.token import find_token
from gitsync.errors import SettingsError
from gitsync.server import HttpServer
from tests.unit.cli.conftest import Running, gitsync


def test_a_server_that_is_not_there_is_one_clear_line_and_a_hint() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    done = gitsync("get", "agents", "--server", url)
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"error: cannot reach {url}: connection refused\n"
        "hint: is `gitsync serve` running there? Name the server with --server or GITSYNC_SERVER\n"
    )


@pytest.mark.parametrize("url", ["", "ftp://host", "localhost:8080", "http://", "http://[::1"])
def test_what_is_no_url_is_refused(url: str) -> None:
    done = gitsync("get", "agents", "--server", url)
    assert done.code == 2
    assert len(done.err.splitlines()) == 2


async def test_the_server_is_taken_from_the_environment(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setenv("GITSYNC_SERVER", running.server.url + "/")
    done = await asyncio.to_thread(gitsync, "get", "targets", "-o", "name")
    assert done.out == "target/agents\ntarget/gateways\n"


async def test_something_else_on_the_port_is_told_apart() -> None:
    import asyncio

    async def other(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b"<html>teapot</html>"})

    server = HttpServer(other, "127.0.0.1", 0)
    await server.start()
    done = await asyncio.to_thread(gitsync, "get", "agents", "--server", server.url)
    await server.stop()
    assert done.code == 2
    assert "answered 418 and not as a gitsync server does" in done.err


async def test_a_proxy_of_the_environment_is_no_way_to_this_machine(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert (await running.gitsync("get", "agents")).code == 0


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_token_is_looked_for_in_the_environment_then_in_files(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write(data / "admin.token", "of-data-dir\n")
    named = write(tmp_path / "named", " of-file \n")
    environment = {"GITSYNC_TOKEN": "of-environment", "GITSYNC_TOKEN_FILE": str(named)}
    assert find_token(data, local=True, environment=environment) == "of-environment"
    del environment["GITSYNC_TOKEN"]
    assert find_token(data, local=True, environment=environment) == "of-file"
    assert find_token(data, local=False, environment={}) == "of-data-dir"
    assert find_token(tmp_path / "empty", local=True, environment={}) is None


def test_the_token_of_this_machine_is_never_sent_to_another_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    write(tmp_path / "gitsync" / "admin.token", "local-only\n")
    assert find_token(None, local=True, environment={}) == "local-only"
    assert find_token(None, local=False, environment={}) is None


def test_a_token_file_that_was_named_and_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="GITSYNC_TOKEN_FILE"):
        find_token(None, local=True, environment={"GITSYNC_TOKEN_FILE": str(tmp_path / "none")})
