"""`gitsync lab` as people start it: server, repository and agents, and what it says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gitsync.lab.repository import change_something, commit_all, git

PATIENCE_SECONDS = 60.0


def environment(place: Path) -> dict[str, str]:
    """Ours without gitsync's variables, without a Collector, and with temporary files in `place`."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("GITSYNC_")}
    return {**kept, "TMPDIR": str(place), "NO_COLOR": "1"}


def run_lab(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gitsync", "lab", *arguments],
        env=environment(place),
        cwd=place,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory).resolve()


def test_a_commit_and_its_revert_are_measured(place: Path) -> None:
    done = run_lab(place, "--once", "-o", "json", "--agents", "8", "--faults", "silent=1", "--timeout", "50s")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["agents"], found["able"], found["withoutTarget"]) == (8, 7, 0)
    assert [one["name"] for one in found["steps"]] == ["first", "change", "revert"]
    assert [one["agents"] for one in found["steps"]] == [7, 7, 7]
    assert all(
        0 < one["p50Seconds"] <= one["p99Seconds"] <= one["releaseToAllAppliedSeconds"] for one in found["steps"]
    )
    assert all(one["commitToPublishedSeconds"] > 0 for one in found["steps"])
    assert len({one["commit"] for one in found["steps"]}) == 3
    assert found["machine"]["cores"] == os.cpu_count()
    assert list(place.iterdir()) == []


def test_what_takes_too_long_ends_with_3_and_leaves_its_files(place: Path) -> None:
    done = run_lab(place, "--once", "--agents", "4", "--timeout", "1ms")

    assert done.returncode == 3
    (left,) = place.iterdir()
    assert f"the lab's files are in {left}" in done.stderr
    assert "error: not all agents had APPLIED within 0.001 s" in done.stderr
    assert (left / "server.log").exists()


def test_a_server_that_does_not_start_is_shown_with_the_end_of_its_log(place: Path) -> None:
    (place / "data").write_text("a file where a directory should be")

    done = run_lab(place, "--agents", "1", "--data-dir", str(place / "data"))

    assert done.returncode == 2
    assert "error: the server ended with exit code 2" in done.stderr
    assert "cannot use the data directory" in done.stderr


class Lab:
    """A lab that runs, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, text: str) -> str:
        """The first line from now on that has the text."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while line := (await self.process.stdout.readline()).decode():
                self.lines.append(line.rstrip())
                if text in line:
                    return line
        raise AssertionError(self.lines)


@asynccontextmanager
async def lab_in(place: Path, arguments: Sequence[str]) -> AsyncIterator[Lab]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-u", "-m", "gitsync", "lab", *arguments),
        env=environment(place),
        cwd=place,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Lab(process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.communicate()


async def test_what_it_suggests_can_be_done(place: Path) -> None:
    repository = place / "config-repo"
    async with lab_in(place, ["--agents", "6", "--directory", "config-repo"]) as lab:
        await lab.until("Ctrl-C stops everything")
        assert any(f"cd {repository}" in line for line in lab.lines)
        assert any("no real Collector: put" in line or "Collector   " in line for line in lab.lines)
        await lab.until("sdk/service.name=checkout: 1/1 applied")

        change_something(repository)
        commit_all(repository, "seen in the lab")
        await lab.until("accepted: seen in the lab")

        with (repository / "agents" / "collector.yaml").open("a") as file:
            file.write("receivers: [\n")
        commit_all(repository, "broken")
        await lab.until("rejected, 1 error")

        lab.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            assert await lab.process.wait() == 0
    assert git(repository, "log", "-1", "--format=%s") == "broken"
    assert [path.name for path in place.iterdir()] == ["config-repo"]


async def test_agents_alone_join_a_server_that_is_there(place: Path) -> None:
    arguments = ["--agents", "2", "--directory", "config-repo"]
    async with lab_in(place, arguments) as lab:
        opamp = (await lab.until("simulated, on ws://")).split()[-1]
        server = (await lab.until("REST, docs")).split()[-1].removesuffix("/docs")
        more = ["--agents", "7", "--seed", "2", "--opamp", opamp, "--server", server]
        async with lab_in(place, more) as others:
            await others.until("9 connected")
