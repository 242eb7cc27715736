"""`gitsync validate --watch`, in a process of its own: its files change, and it is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.cli.test_validate_collector import BAD, GOOD


class Watching:
    """The command, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def verdict(self) -> str:
        """The next summary, or error; then it waits for a change."""
        assert self._process.stdout is not None
        found = ""
        for line in self._process.stdout:
            if line.startswith("watching for changes"):
                return found
            if line.startswith(("valid: ", "invalid: ", "error: ")):
                found = line
        raise AssertionError("it has ended")

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(30)


@contextmanager
def watching(*arguments: str) -> Iterator[Watching]:
    command = [sys.executable, "-u", "-m", "gitsync", "validate", "--watch", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield Watching(process)
        finally:
            process.kill()


def replace(path: Path, text: str) -> None:
    """As editors save: a new file takes the old one's name."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("last", [GOOD, BAD])
def test_each_change_is_judged_and_the_last_verdict_is_the_exit_code(tmp_path: Path, last: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(BAD)
    with watching("--collector", str(path)) as command:
        assert command.verdict().startswith("invalid: 1 file")
        replace(path, GOOD)
        assert command.verdict().startswith("valid: 1 file")
        (tmp_path / "other.yaml").write_text("not watched")
        path.write_text(last)
        assert command.verdict().startswith("valid" if last is GOOD else "invalid")
        assert command.interrupt() == (0 if last is GOOD else 1)


def test_a_file_that_is_gone_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD)
    with watching("--collector", str(path)) as command:
        assert command.verdict().startswith("valid")
        path.unlink()
        assert command.verdict().startswith("error: cannot read")
        path.write_text(BAD)
        assert command.verdict().startswith("invalid")


def test_a_repository_is_watched_with_all_below_it(tmp_path: Path) -> None:
    (tmp_path / "gitsync.yaml").touch()
    with watching(str(tmp_path)) as command:
        assert command.verdict().startswith("valid: 1 file")
        (tmp_path / "agents").mkdir()
        (tmp_path / "agents" / "target.yaml").write_text("selecter: {}\n")
        while not (verdict := command.verdict()).startswith("invalid"):
            assert verdict.startswith("valid")
        assert command.interrupt() == 1


@pytest.mark.parametrize("arguments", [["--collector", "nowhere/c.yaml"], ["nowhere"]])
def test_what_is_not_there_at_all_is_exit_code_2(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "gitsync", "validate", "--watch", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
