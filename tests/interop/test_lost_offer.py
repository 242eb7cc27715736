"""A real supervisor overwrites what it is offered while it starts, runs nothing, and says that it applied it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from gitsync.fleet.agent import AttemptState
from tests.support.gitrepo import GitRepo
from tests.support.real_agents import PATIENCE_SECONDS, Supervised, all_applied, commit
from tests.support.service import a_service, until
from tests.support.supervisor import CURRENT, OLD, Pair, Supervisor

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def address() -> str:
    """Where the server listens, which starts after the agent."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class HeldFile:
    """A file that its first reader waits for, until it is let go; others read it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = -1
        os.mkfifo(path)

    def is_read(self) -> bool:
        """Whether the first reader is there; from then on there is an ordinary file for the others."""
        try:
            self._writer = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        self.path.unlink()
        self.path.write_text("{}\n")
        return True

    def let_go(self) -> None:
        """The first reader gets what the others got. Harmless when it was let go."""
        if self._writer >= 0:
            os.write(self._writer, b"{}\n")
            os.close(self._writer)
            self._writer = -1


@contextmanager
def held_file(path: Path) -> Iterator[HeldFile]:
    """A file that holds its first reader, at most to the end of the block."""
    file = HeldFile(path)
    try:
        yield file
    finally:
        file.let_go()


@pytest.mark.parametrize("pair", [CURRENT, OLD], ids=["supervisor", "old-supervisor"])
async def test_what_a_starting_supervisor_overwrote_is_offered_once_more_and_then_it_runs_it(
    tmp_path: Path, address: str, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    repo = GitRepo(tmp_path / "config")
    commit(repo, "200ms")
    overrides = {"server": {"listen": {"opamp": address}, "agents": {"check_interval": timedelta(seconds=1)}}}
    with held_file(tmp_path / "local.yaml") as local:
        process = Supervisor(
            f"ws://{address}/v1/opamp",
            tmp_path / "agent",
            labels={"role": "agent"},
            config_files=[local.path],
            pair=pair,
        )
        agent = Supervised(process)
        async with asyncio.TaskGroup() as tasks:
            start = tasks.create_task(process.start())
            try:
                # Its start has looked for a stored configuration, found none, and is putting together one without.
                await until(local.is_read)
                async with a_service(repo.path, tmp_path / "data", overrides) as service:
                    live = service.running.agents
                    await until(lambda: (one := live.get(agent.uid)) and one.agent.current, PATIENCE_SECONDS)
                    one = live.get(agent.uid)
                    assert one is not None
                    await until(lambda: one.agent.current.state is AttemptState.APPLYING, PATIENCE_SECONDS)
                    local.let_go()
                    await start
                    await until(lambda: one.agent.current.state is AttemptState.APPLIED, PATIENCE_SECONDS)
                    await until(lambda: one.agent.contained is False, PATIENCE_SECONDS)
                    assert not agent.runs("200ms")
                    await all_applied(service, "200ms", agent)
                    await until(lambda: one.agent.current.state is AttemptState.PROVEN, PATIENCE_SECONDS)
                    assert service.running.overview.meters.config_updates["offered"] == 2
                    assert "is offered once more" in caplog.text
            finally:
                await process.stop()
