"""What docs/guide/validation.md shows is true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gitsync.cli.ottl import Kind, judge
from gitsync.cli.validate import load_build
from tests.support.compiling import compiled
from tests.unit.cli.conftest import gitsync
from tests.unit.cli.test_validate_collector import BAD, GOOD

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guide" / "validation.md").read_text()
BLOCKS = [(language, text) for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)]


def blocks(language: str) -> list[str]:
    return [text for one, text in BLOCKS if one == language]


def test_the_finding_that_is_shown_is_what_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "collector.yaml").write_text(BAD)
    done = gitsync("validate", "--collector", "agents/collector.yaml")
    (shown,) = blocks("text")
    assert done.out.startswith(shown)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_what_is_shown_of_gitsync_yaml_is_accepted(text: str) -> None:
    assert compiled({"gitsync.yaml": text}).diagnostics == ()


def test_the_example_of_the_library_runs(tmp_path: Path) -> None:
    (program,) = blocks("python")
    (tmp_path / "collector.yaml").write_text(BAD)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    verdict, finding = done.stdout.splitlines()
    assert verdict == "False"
    assert finding.startswith("collector.yaml:4:11: error GS0231")


def test_the_line_of_a_stream_is_a_valid_one() -> None:
    (line,) = blocks("json")
    request = json.loads(line)
    assert (
        judge(request["text"], Kind(request["kind"]).value, request["context"], load_build(None, []).newest.ottl) == ()
    )


def test_the_commands_that_are_shown_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("base", "prod", "collector"):
        (tmp_path / f"{name}.yaml").write_text(GOOD)
    (tmp_path / "gitsync.yaml").touch()
    lines = [line.partition("#")[0] for text in blocks("sh") for line in text.splitlines() if "--jsonl" not in line]
    assert len(lines) >= 5
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", f'gitsync() {{ "{sys.executable}" -m gitsync "$@"; }}; {line}'],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), line
