"""The hooks and workflows that we offer run commands that exist, with options that exist."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from gitsync.cli import app
from gitsync.collector.document import parse_yaml, to_python
from tests.unit.cli.conftest import gitsync

ROOT = Path(__file__).parents[2]
HOOKS = ROOT / ".pre-commit-hooks.yaml"
USE = ROOT / "examples" / "pre-commit" / ".pre-commit-config.yaml"
WORKFLOWS = sorted((ROOT / "examples" / "ci").glob("*.yml"))


def document(path: Path) -> Any:
    node = parse_yaml(path.name, path.read_bytes()).node
    assert node is not None
    return to_python(node)


def hooks() -> dict[str, Any]:
    return {one["id"]: one for one in document(HOOKS)}


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line of ours, with where it stands."""
    for hook in hooks().values():
        yield hook["id"], shlex.split(hook["entry"])
    (repository,) = document(USE)["repos"]
    for one in repository["hooks"]:
        yield f"use of {one['id']}", [*shlex.split(hooks()[one["id"]]["entry"]), *one.get("args", [])]
    for path in WORKFLOWS:
        for job in document(path)["jobs"].values():
            for step in job["steps"]:
                for line in re.split(r"\n|\|\||&&", step.get("run", "")):
                    if line.strip().startswith("gitsync "):
                        yield f"{path.name}: {step['name']}", shlex.split(line.partition(" > ")[0])


COMMANDS = list(commands())


def test_there_are_hooks_and_workflows() -> None:
    assert set(hooks()) == {"gitsync-validate", "gitsync-validate-collector"}
    assert len(WORKFLOWS) >= 2
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize(("place", "words"), COMMANDS, ids=[place for place, _ in COMMANDS])
def test_commands_and_options_exist(place: str, words: list[str]) -> None:
    root: Any = typer.main.get_command(app)
    assert words[0] == "gitsync"
    command = root.commands[words[1]]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words[2:] if word.startswith("-") and word != "-"} <= known


def test_every_hook_is_used_in_the_example_and_needs_nothing_that_is_not_installed() -> None:
    (repository,) = document(USE)["repos"]
    assert {one["id"] for one in repository["hooks"]} == set(hooks())
    for hook in hooks().values():
        assert hook["language"] == "python"
        assert {"name", "description", "entry"} <= set(hook)


def test_the_hook_for_a_repository_runs_on_its_top() -> None:
    assert hooks()["gitsync-validate"]["pass_filenames"] is False
    done = gitsync(*shlex.split(hooks()["gitsync-validate"]["entry"])[1:], str(ROOT / "examples" / "config-repo"))
    assert done.code == 0, done.out


def test_the_hook_for_files_takes_those_that_changed(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"receiver": {}}))
    (use,) = (one for place, one in COMMANDS if place == "use of gitsync-validate-collector")
    done = gitsync(*use[1:], str(file))
    assert (done.code, "GS0201" in done.out) == (1, True)


def test_the_pattern_of_files_fits_what_the_text_says() -> None:
    (repository,) = document(USE)["repos"]
    (pattern,) = (one["files"] for one in repository["hooks"] if "files" in one)
    assert re.search(pattern, "collectors/edge/prod.yaml")
    assert not re.search(pattern, "docs/collectors.yaml")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda one: one.name)
def test_a_workflow_may_do_no_more_than_it_needs(path: Path) -> None:
    workflow = document(path)
    assert workflow["permissions"]["contents"] == "read"
    uploads = "upload-sarif" in path.read_text()
    assert (workflow["permissions"].get("security-events") == "write") is uploads
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), "what others write is no part of a command"
            subprocess.run([shutil.which("bash") or "bash", "-n"], input=step.get("run", ""), text=True, check=True)
