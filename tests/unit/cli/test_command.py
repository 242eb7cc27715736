from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from gitsync.cli import app, main
from gitsync.cli.table import cell, clean, moment, short
from tests.unit.cli.conftest import gitsync

DOCS = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def commands(group: Any, path: str = "gitsync") -> Iterator[tuple[str, Any]]:
    """Every command with its whole name, without those that are only another spelling."""
    for name, one in group.commands.items():
        if one.hidden:
            continue
        if hasattr(one, "commands"):
            yield from commands(one, f"{path} {name}")
        else:
            yield f"{path} {name}", one


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_version_names_gitsync_and_python() -> None:
    assert re.fullmatch(r"gitsync \d+\.\d+\.\d+ \(Python 3\.\d+\.\d+\)\n", gitsync("version").out)
    assert json.loads(gitsync("version", "-o", "json").out)["kind"] == "Version"
    assert gitsync("--version") == gitsync("version")


def test_the_module_is_the_command_and_version_loads_nothing_heavy() -> None:
    code = (
        "import sys; from gitsync.cli import run; code = run(['version']);"
        "heavy = {'fastapi', 'sqlalchemy', 'httpx', 'cryptography', 'rich.console'} & set(sys.modules);"
        "print(heavy, file=sys.stderr); sys.exit(code or len(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "set()")


def test_exit_codes_reach_the_shell(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gitsync", "validate", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_no_verdict(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gitsync", "validate", str(tmp_path)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (2, "error: cannot write: No space left on device\n")


def test_a_bug_shows_its_traceback_and_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_arguments: object) -> int:
        raise KeyError("a bug")

    monkeypatch.setattr("gitsync.cli.run", broken)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "KeyError: 'a bug'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["bogus"], ["get"], ["get", "bogus"], ["get", "agents", "--bogus"], ["get", "agents", "-o", "xml"]]
)
def test_a_wrong_command_line_is_one_line_and_a_hint(arguments: list[str]) -> None:
    done = gitsync(*arguments)
    assert (done.code, done.out) == (2, "")
    first, hint = done.err.splitlines()
    assert first.startswith("error: ")
    assert hint.endswith("--help shows how it is used")


def test_no_arguments_show_the_help() -> None:
    done = gitsync()
    assert done.code == 0
    assert "Exit codes: 0 fine, 1 differences or invalid, 2 could not run, 3 timed out." in done.out


def test_every_command_has_help_and_every_option_too() -> None:
    for name, command in COMMANDS.items():
        assert command.help, name
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, (name, parameter.name)


def test_every_command_and_every_option_is_documented_and_no_other() -> None:
    text = DOCS.read_text()
    documented = set(re.findall(r"^#{2,3} `(gitsync [a-z ]+)`", text, re.MULTILINE))
    assert documented == set(COMMANDS)
    sections = re.split(r"^#{2,3} ", text, flags=re.MULTILINE)
    common = next(one for one in sections if one.startswith("Common options"))
    for name, command in COMMANDS.items():
        section = next(one for one in sections if one.startswith(f"`{name}`"))
        for parameter in command.params:
            for option in (one for one in parameter.opts if one.startswith("--")):
                assert f"`{option}" in section + common, (name, option)


def test_every_environment_variable_of_an_option_is_documented() -> None:
    text = DOCS.read_text()
    for command in COMMANDS.values():
        for parameter in command.params:
            if parameter.envvar:
                assert f"`{parameter.envvar}`" in text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), ("", "-"), (True, "yes"), (False, "no"), (0, "0"), ("a\nb\tc", r"a\nb\tc")]
)
def test_cells_are_one_line(value: object, text: str) -> None:
    assert cell(value) == text


def test_letters_of_all_languages_are_left_alone() -> None:
    assert clean("Zoë 東京 مرحبا") == "Zoë 東京 مرحبا"
    assert short(None) is None
    assert moment("2026-11-21T12:00:00.123Z") == "2026-11-21 12:00:00Z"
