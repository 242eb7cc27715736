"""`gitsync lab`: options that do not fit together."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gitsync.cli.lab_run import path_hint
from tests.unit.cli.conftest import gitsync


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--opamp", "ws://h", "--once"], "--opamp brings only agents"),
        (["-o", "json"], "-o json works with --once only"),
        (["--faults", "lazy=1"], "kinds: slow, fails"),
        (["--agents", "1", "--faults", "slow=2"], "2 faults for 1 agents"),
        (["--timeout", "soon", "--once"], "--timeout: 'soon' is not a duration"),
        (["--agents", "-1"], "--agents"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments: list[str], said: str) -> None:
    done = gitsync("lab", *arguments)

    assert done.code == 2
    assert said in done.err


def test_another_terminal_is_told_where_this_command_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "gitsync"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o700)
    monkeypatch.setattr(sys, "argv", [str(command)])
    monkeypatch.setenv("PATH", "/usr/bin")
    assert path_hint() == [f'  export PATH="{tmp_path}:$PATH"']
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin")
    assert path_hint() == []
