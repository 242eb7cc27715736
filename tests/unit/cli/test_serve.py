"""`gitsync serve`: what its flags mean, what stopped a start, and how its log looks."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

from gitsync.cli.logs import JsonFormatter, TextFormatter
from gitsync.cli.serve import absolute_source, load, only_cause, overrides, reachable
from gitsync.errors import GitsyncError, SettingsError, Unavailable

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


def test_credentials_have_flags() -> None:
    by_key = load(None, overrides(source="git@git.example.com:a", ssh_key_file=Path("/keys/id"))).config_store.git.auth
    assert (by_key.type, by_key.ssh_key_file, by_key.known_hosts_file) == (
        "ssh_key",
        Path("/keys/id"),
        Path("/keys/known_hosts"),
    )
    by_token = load(None, overrides(git_token_file=Path("/keys/token"))).config_store.git.auth
    assert (by_token.type, by_token.token_file) == ("token", Path("/keys/token"))
    with pytest.raises(SettingsError, match="give one"):
        overrides(ssh_key_file=Path("/a"), git_token_file=Path("/b"))


def test_a_wrong_flag_is_called_by_its_name() -> None:
    with pytest.raises(SettingsError, match=r"^--opamp-listen: server\.listen\.opamp: 'x' is not HOST:PORT"):
        load(None, overrides(opamp_listen="x"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://0.0.0.0:8080", ("http://127.0.0.1:8080", True)),
        ("ws://[::]:4320/v1/opamp", ("ws://[::1]:4320/v1/opamp", True)),
        ("http://192.0.2.1:80", ("http://192.0.2.1:80", False)),
    ],
)
def test_a_listener_on_all_interfaces_is_shown_by_a_url_that_works(url: str, shown: tuple[str, bool]) -> None:
    assert reachable(url) == shown


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
