"""`gitsync serve` as a process: a service that says where it listens, or one clear line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.gitrepo import GitRepo

START_SECONDS = 30.0


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    repo = GitRepo(tmp_path / "config")
    repo.commit_files({"gitsync.yaml": "apiVersion: gitsync/v1\nkind: Repository\n"})
    return repo.path


class Service:
    """A `gitsync serve` of its own."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.ready_file = directory / "ready.json"
        self.data = directory / "data"
        environment = {name: text for name, text in os.environ.items() if not name.startswith("GITSYNC_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gitsync", "serve", "--data-dir", str(self.data), *arguments],
            env=environment,
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_ready(self) -> dict[str, str]:
        deadline = time.monotonic() + START_SECONDS
        while not self.ready_file.exists():
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        found: dict[str, str] = json.loads(self.ready_file.read_text())
        return found

    def end(self) -> tuple[int, str]:
        """Exit code and standard error."""
        if self.process.poll() is None and self.ready_file.exists():
            self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=START_SECONDS)
        return self.process.returncode, err


@contextmanager
def serving(directory: Path, *arguments: str) -> Iterator[Service]:
    service = Service(directory, "--ready-file", "ready.json", *arguments)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.process.kill()
            service.process.communicate()


LOCAL = ("--opamp-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")


def test_a_service_starts_without_a_file_and_stops_in_order(tmp_path: Path, repository: Path) -> None:
    with serving(tmp_path, "--source", "./config", *LOCAL) as service:
        ready = service.wait_ready()
        with urllib.request.urlopen(f"{ready['http_url']}/healthz") as answer:
            assert answer.read() == b"ok\n"
        code, err = service.end()

    assert code == 0
    assert ready["opamp_url"].startswith("ws://127.0.0.1:")
    assert int(ready["pid"]) == service.process.pid
    token = Path(ready["token_file"])
    assert token == service.data / "admin.token"
    assert token.read_text().strip() not in err
    assert f"made the administrator's token {token}" in err
    assert f"made the signing key {service.data / 'signing.key'}" in err
    assert f"config repository   {repository} (main)" in err
    assert f"gitsync get targets --server {ready['http_url']}" in err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".ready")]


def test_a_second_service_on_the_same_data_is_told_to_use_another_place(tmp_path: Path) -> None:
    with serving(tmp_path, *LOCAL) as first:
        first.wait_ready()
        (tmp_path / "ready.json").unlink()
        with serving(tmp_path, *LOCAL) as second:
            code, err = second.end()

    assert code == 2
    assert err.splitlines() == [
        f"error: another gitsync uses the data directory {first.data}",
        "hint: stop it, or give this one its own --data-dir",
    ]


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with serving(tmp_path, "--opamp-listen", address, "--http-listen", "127.0.0.1:0") as service:
            code, err = service.end()

    assert code == 2
    assert f"error: cannot listen for agents on {address}: Address already in use" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--http-listen", "8080"), "--http-listen: server.listen.http: '8080' is not HOST:PORT"),
        (("--sync-interval", "soon"), "--sync-interval: config_store.git.sync_interval: 'soon' is not a duration"),
        (("--config", "missing.yaml"), "cannot read the settings missing.yaml"),
        (("--source", "https://user:secret@git.example.com/x", *LOCAL), "has a password in it"),
        (("--source", "config", "--ref", "refs/tags/v1", *LOCAL), "only branches can be followed"),
    ],
)
def test_what_cannot_start_says_why_and_ends_with_2(
    tmp_path: Path, repository: Path, arguments: tuple[str, ...], said: str
) -> None:
    with serving(tmp_path, *arguments) as service:
        code, err = service.end()

    assert code == 2
    assert said in err
    assert "secret" not in err.replace("secret_file", "")
    assert "Traceback" not in err
