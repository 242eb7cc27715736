"""Tools are made once, found again, and never missing in silence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support import tools

pytestmark = pytest.mark.interop
needs_node = pytest.mark.skipif(
    not (shutil.which("node") and shutil.which("npm")) and not os.environ.get("CI"), reason=tools.NO_NODE
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    place = tmp_path / "cache"
    monkeypatch.setenv("GITSYNC_TOOL_CACHE", str(place))
    return place


@pytest.fixture
def environment(tmp_path: Path) -> tools.PythonTool:
    """The quickest real tool: a virtual environment without packages."""
    requirements = tmp_path / "none.txt"
    requirements.write_text("# nothing\n")
    return tools.PythonTool("empty", "1", requirements)


def test_a_tool_that_was_not_made_says_how_to_make_it(environment: tools.PythonTool) -> None:
    with pytest.raises(tools.ToolMissing, match=r"empty-1 is missing: run `make test`"):
        tools.find(environment)


def test_a_tool_is_made_once_and_then_found(environment: tools.PythonTool, capfd: pytest.CaptureFixture[str]) -> None:
    made = tools.provide(environment)
    assert "empty-1 is ready" in capfd.readouterr().out
    assert subprocess.run([made, "-c", ""], check=False).returncode == 0
    assert tools.find(environment) == made
    assert tools.provide(environment) == made
    assert capfd.readouterr().out == ""


def test_changed_pins_are_another_tool(environment: tools.PythonTool) -> None:
    tools.provide(environment)
    environment.requirements.write_text("# nothing else\n")
    with pytest.raises(tools.ToolMissing):
        tools.find(environment)


def test_what_an_interrupted_run_left_does_not_count(environment: tools.PythonTool, cache: Path) -> None:
    home = cache / environment.key()
    environment.artifact(home).parent.mkdir(parents=True)
    environment.artifact(home).write_text("half")
    with pytest.raises(tools.ToolMissing):
        tools.find(environment)
    made = tools.provide(environment)
    assert subprocess.run([made, "-c", ""], check=False).returncode == 0


def test_an_environment_whose_python_is_gone_is_made_again(environment: tools.PythonTool, tmp_path: Path) -> None:
    made = tools.provide(environment)
    made.unlink()
    made.symlink_to(tmp_path / "nowhere")
    assert subprocess.run([tools.provide(environment), "-c", ""], check=False).returncode == 0


def test_two_runs_at_once_make_it_once(environment: tools.PythonTool, capfd: pytest.CaptureFixture[str]) -> None:
    both = [threading.Thread(target=tools.provide, args=(environment,)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(60)
    assert capfd.readouterr().out.count("is ready") == 1
    assert tools.find(environment).exists()


def test_why_making_failed_is_told_to_the_tests_that_need_it(tmp_path: Path) -> None:
    requirements = tmp_path / "unpinned.txt"
    requirements.write_text("requests\n")  # has no hash, so both installers refuse it before any download
    tool = tools.PythonTool("unpinned", "1", requirements)
    with pytest.raises(tools.ToolMissing, match="ended with"):
        tools.provide(tool)
    with pytest.raises(tools.ToolMissing, match=r"unpinned-1 is missing: .*install.*ended with"):
        tools.find(tool)


def test_a_build_that_fails_shows_the_end_of_its_output() -> None:
    tool = tools.GoTool("collector", "v0.158.0", "./no-such-package", "go.mod")
    if tools.go_version() is None:
        with pytest.raises(tools.ToolMissing, match="no `go` on the path"):
            tools.provide(tool)
    else:
        with pytest.raises(tools.ToolMissing, match="no-such-package"):
            tools.provide(tool)


def test_without_go_the_run_goes_on_and_says_so(tmp_path: Path) -> None:
    done = _run_tools(tmp_path, "supervisor")
    assert done.returncode == 0
    assert "there is no `go` on the path" in done.stdout


def test_without_node_the_run_goes_on_and_says_so(tmp_path: Path) -> None:
    done = _run_tools(tmp_path, "node-client")
    assert done.returncode == 0
    assert "there is no `node` with `npm` on the path" in done.stdout


def test_packages_that_are_there_do_not_help_without_node(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = cache / tools.NODE_CLIENT.key()
    home.mkdir(parents=True)
    tools.NODE_CLIENT.artifact(home).touch()
    (home / tools.READY).touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(tools.ToolMissing, match="no `node`"):
        tools.node_client()


@pytest.fixture
def module(tmp_path: Path) -> tools.NodeTool:
    """A Node.js program that needs no package."""
    directory = tmp_path / "program"
    directory.mkdir()
    (directory / "package.json").write_text('{"name": "none", "version": "1.0.0"}')
    lock = '{"name": "none", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "none"}}}'
    (directory / "package-lock.json").write_text(lock)
    (directory / ".npmrc").write_text("offline=true\n")
    (directory / "agent.mjs").write_text("console.log('runs');\n")
    return tools.NodeTool("none", "1", directory)


@needs_node
def test_a_node_program_is_put_next_to_its_packages_and_made_anew_when_it_changes(module: tools.NodeTool) -> None:
    made = tools.provide(module)
    assert subprocess.run(["node", made], capture_output=True, text=True, check=True).stdout == "runs\n"
    (module.directory / "agent.mjs").write_text("console.log('changed');\n")
    with pytest.raises(tools.ToolMissing, match="run `make test`"):
        tools.find(module)
    assert tools.provide(module) != made


@needs_node
def test_a_node_package_that_is_not_locked_is_refused(module: tools.NodeTool) -> None:
    (module.directory / "package.json").write_text(
        '{"name": "none", "version": "1.0.0", "dependencies": {"uuid": "1"}}'
    )
    with pytest.raises(tools.ToolMissing, match=r"`npm ci .* ended with"):
        tools.provide(module)


def test_no_lock_says_where_packages_come_from() -> None:
    lock = json.loads((tools.AGENTS / "node" / "package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages
    assert all(one["integrity"].startswith("sha512-") and "resolved" not in one for one in packages.values())


def test_without_go_a_program_that_is_there_is_still_used(tmp_path: Path, cache: Path) -> None:
    for name in ("supervisor", "collector"):
        tool = next(t for t in tools.TOOLS if t.module == name)
        home = cache / tool.key().replace("*", "go1.25.0-linux-amd64")
        home.mkdir(parents=True)
        tool.artifact(home).touch()
        (home / tools.READY).touch()
    # The same sources, another toolchain: without Go nobody can ask for better.
    done = _run_tools(tmp_path, "supervisor-v0.158.0", "collector-v0.158.0")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(("ci", "outcome"), [("", "skipped"), ("false", "skipped"), ("true", "failed")])
def test_a_missing_tool_skips_outside_ci_and_fails_inside(
    ci: str, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    expected = pytest.fail.Exception if outcome == "failed" else pytest.skip.Exception
    with pytest.raises(expected, match=r"python-client-0\.5b0 is missing"):
        tools.require(tools.python_client)


def test_a_cache_that_cannot_be_written_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("GITSYNC_TOOL_CACHE", str(file / "below"))
    with pytest.raises(tools.ToolMissing, match="GITSYNC_TOOL_CACHE"):
        tools.provide(tools.PYTHON_CLIENT)


def _run_tools(tmp_path: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """`python -m tests.support.tools` where the path has no Go."""
    bare = tmp_path / "bin"
    bare.mkdir()
    return subprocess.run(
        [sys.executable, "-m", "tests.support.tools", *names],
        cwd=tools.CHECKOUT,
        env={**os.environ, "PATH": str(bare)},
        capture_output=True,
        text=True,
        check=False,
    )
