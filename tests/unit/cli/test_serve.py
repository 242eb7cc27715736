"""`gitsync serve`: from flags to a service that says where it listens, or to one clear line."""

from __future__ import annotations

import json
import logging
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

from gitsync.cli.logs import JsonFormatter, TextFormatter
from gitsync.cli.serve import absolute_source, load, only_cause, overrides
from gitsync.errors import GitsyncError, SettingsError, Unavailable
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
        (("--http-listen", "8080"), "a flag: server.listen.http: '8080' is not HOST:PORT"),
        (("--sync-interval", "soon"), "a flag: config_store.git.sync_interval: 'soon' is not a duration"),
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


# ── Flags ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_flags_win_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITSYNC_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "gitsync.yaml"
    file.write_text("config_store: {git: {repository: /from/file, branch: trunk}}\nlog: {level: error}\n")

    settings = load(
        file,
        overrides(
            source="https://git.example.com/a",
            data_dir=Path("state"),
            opamp_listen="127.0.0.1:1",
            webhook_secret_file=Path("/run/secret"),
            log_format="json",
        ),
    )

    assert settings.config_store.git.repository == "https://git.example.com/a"
    assert settings.config_store.git.branch == "trunk"
    assert settings.data_dir == tmp_path / "state"
    assert settings.server.listen.agents == "127.0.0.1:1"
    assert settings.webhooks.secret_file == Path("/run/secret")
    assert (settings.log.level, settings.log.format) == ("error", "json")


@pytest.mark.parametrize(
    ("source", "absolute"),
    [
        (".", "{here}"),
        ("./config", "{here}/config"),
        ("config", "{here}/config"),
        ("../x", "{above}/x"),
        ("~/config", "/home/ann/config"),
        ("/srv/config", "/srv/config"),
        ("https://git.example.com/config", "https://git.example.com/config"),
        ("git@git.example.com:config", "git@git.example.com:config"),
        ("nowhere", "nowhere"),
        ("", None),
        (None, None),
    ],
)
def test_a_path_becomes_absolute_and_a_url_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str | None, absolute: str | None
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()

    expected = absolute and absolute.format(here=tmp_path, above=tmp_path.parent)
    assert absolute_source(source) == expected


# ── What stopped a start ────────────────────────────────────────────────────────────────────────────────────


def test_an_error_of_ours_is_found_in_nested_groups() -> None:
    cause = SettingsError("the port is taken")

    assert only_cause(ExceptionGroup("", [ExceptionGroup("", [cause]), Unavailable("later")])) is cause


def test_a_group_with_a_bug_in_it_stays_what_it_is() -> None:
    assert only_cause(ExceptionGroup("", [GitsyncError("x"), ZeroDivisionError()])) is None


# ── Logs ────────────────────────────────────────────────────────────────────────────────────────────────────


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("gitsync.agents", logging.WARNING, "x.py", 1, message, arguments, None)
    made.created = 1795262400.5
    made.__dict__.update(fields)
    return made


def test_a_line_of_text_has_time_level_and_logger() -> None:
    line = TextFormatter().format(record("Agent connected: %s", "10.0.0.1:5"))

    assert line == "2026-11-21T12:00:00.500Z WARNING gitsync.agents: Agent connected: 10.0.0.1:5"


def test_what_an_agent_says_cannot_fake_a_line() -> None:
    line = TextFormatter().format(record("%s", "a\n2026-11-21T12:00:00Z ERROR all: lost\x1b[2J"))

    assert "\n" not in line
    assert "\x1b" not in line


def test_an_exception_keeps_its_lines() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        broken = record("failed")
        broken.exc_info = sys.exc_info()

    assert TextFormatter().format(broken).splitlines()[-1] == "ValueError: why"
    assert json.loads(JsonFormatter().format(broken))["exception"].endswith("ValueError: why")


def test_a_line_of_json_has_the_extra_fields_too() -> None:
    line = JsonFormatter().format(record("Agent connected", agent="a\nb", path=Path("/x"), level="mine"))

    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-11-21T12:00:00.500Z",
        "level": "warning",
        "logger": "gitsync.agents",
        "message": "Agent connected",
        "agent": "a\nb",
        "path": "/x",
    }
