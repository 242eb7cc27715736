"""Processes started by `repo.child`, on both event loops."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from gitsync.repo.child import start

DESCRIPTORS = Path("/proc/self/fd")
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]
ENV = {"PATH": "/usr/bin:/bin"}


def _descriptors() -> int:
    """How many files this process has open, where the system tells."""
    return len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.exists() else 0


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    factory: Callable[[], asyncio.AbstractEventLoop] = request.param
    return factory


def test_a_child_reads_and_writes_and_says_how_it_ended(runner: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def talk() -> tuple[bytes, bytes, int]:
        child = await start(["sh", "-c", "cat; echo trouble >&2; exit 7"], ENV)
        child.stdin.write(b"hello")
        child.stdin.close()
        said, complained = await child.stdout.read(), await child.stderr.read()
        code = await child.wait()
        child.close()
        return said, complained, code

    with asyncio.Runner(loop_factory=runner) as loop:
        assert loop.run(talk()) == (b"hello", b"trouble\n", 7)


def test_a_child_has_a_group_of_its_own_and_leaves_nothing_behind(
    runner: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def kill() -> int:
        child = await start(["sleep", "1000"], ENV)
        assert os.getpgid(child.pid) == child.pid
        os.killpg(child.pid, signal.SIGKILL)
        code = await child.wait()
        child.close()
        return code

    async def twice() -> int:
        code = await kill()  # a loop keeps a descriptor of its own from the first time on
        for _ in range(3):
            await asyncio.sleep(0)
        before = _descriptors()
        assert await kill() == code
        async with asyncio.timeout(10):
            while _descriptors() != before:  # transports close in one of the next rounds of the loop
                await asyncio.sleep(0)
        return code

    with asyncio.Runner(loop_factory=runner) as loop:
        assert loop.run(twice()) == -signal.SIGKILL


async def test_a_program_that_does_not_exist_is_an_error_and_leaves_no_process() -> None:
    with pytest.raises(OSError, match="No such file"):
        await start(["/nonexistent/program"], ENV)
