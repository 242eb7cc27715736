"""`measure`: a first release, one small commit and its revert, timed on a real server with simulated agents.

Times of agents are those of this process, times of releases the server's; both run on one machine, with one clock.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from gitsync.errors import SettingsError
from gitsync.ids import show_uid
from gitsync.lab.agent import SimulatedAgent
from gitsync.lab.fleet import SimulatedFleet
from gitsync.lab.profile import Fault
from gitsync.lab.repository import change_something, commit_all, revert_last
from gitsync.lab.rest import ServerView

LOOK_SECONDS = 0.02
PACKAGES = ("gitsync-opamp", "protobuf", "sqlalchemy", "uvicorn", "uvloop", "websockets")
Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Step:
    """One commit on its way to all agents; all numbers are seconds.

    Attributes:
        name: `first`, `change` or `revert`.
        agents: how many agents got another configuration by it.
        commit_to_published: from the end of `git commit` to the release (the first: from the start of the server).
        release_to_applied: from the release (the first: from the moment when agents began to connect, if that was
            later) until the last able agent said APPLIED.
        p50, p99: of the same time per agent.
    """

    name: str
    commit: str
    revision: int
    agents: int
    commit_to_published: float
    release_to_applied: float
    p50: float
    p99: float

    def as_json(self) -> Mapping[str, object]:
        """The JSON form."""
        return {
            "name": self.name,
            "commit": self.commit,
            "revision": self.revision,
            "agents": self.agents,
            "commitToPublishedSeconds": self.commit_to_published,
            "releaseToAllAppliedSeconds": self.release_to_applied,
            "p50Seconds": self.p50,
            "p99Seconds": self.p99,
        }


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured.

    Attributes:
        agents: all of them; `able` ones are meant to apply what they are offered.
        without_target: able agents that no target selects; nothing is waited for from them.
        connect_seconds: until the server had answered each agent.
    """

    agents: int
    able: int
    without_target: int
    connect_seconds: float
    steps: Sequence[Step]

    def as_json(self) -> Mapping[str, object]:
        """The JSON form, with the machine that it was measured on."""
        return {
            "agents": self.agents,
            "able": self.able,
            "withoutTarget": self.without_target,
            "connectSeconds": self.connect_seconds,
            "steps": [one.as_json() for one in self.steps],
            "machine": {"cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"},
            "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        }


class Stopwatch:
    """Measures on one server, one fleet and the repository that the server follows."""

    def __init__(self, view: ServerView, fleet: SimulatedFleet, repository: Path, now: Now) -> None:
        """Prepares it; the agents begin to connect when this object is made.

        Args:
            now: the time of this machine, aware.
        """
        self._view = view
        self._fleet = fleet
        self._repository = repository
        self._loop = asyncio.get_running_loop()
        self._wall = now() - timedelta(seconds=self._loop.time())
        self._began = self._loop.time()
        self._targets: dict[SimulatedAgent, str] = {}

    async def measure(self, started: datetime) -> Measurement:
        """Waits for the first release, makes a small commit, waits, takes it back, waits.

        Args:
            started: when the server was started.

        Raises:
            SettingsError: no able agent has a target, or git failed.
            Unavailable: the server went away.
        """
        steady = [one for one in self._fleet.agents if one.profile.fault is not Fault.FLAPS]
        await self._until(lambda: all(one.progress.connected for one in steady))
        connected = self._loop.time() - self._began
        steps = [await self._step("first", started, None)]
        change_something(self._repository)
        committed = await asyncio.to_thread(commit_all, self._repository, "A small change")
        steps.append(await self._step("change", self._instant(), committed))
        committed = await asyncio.to_thread(revert_last, self._repository)
        steps.append(await self._step("revert", self._instant(), committed))
        able = len(self._fleet.able())
        return Measurement(len(self._fleet.agents), able, able - len(self._targets), _rounded(connected), steps)

    def _instant(self, loop_seconds: float | None = None) -> datetime:
        return self._wall + timedelta(seconds=self._loop.time() if loop_seconds is None else loop_seconds)

    async def _step(self, name: str, since: datetime, commit: str | None) -> Step:
        revision, head, released = await self._released(commit)
        wanted = await self._wanted(revision)
        if not self._targets:
            await self._learn_targets()
        await self._until(
            lambda: all(wanted.get(path) in (None, agent.progress.applied) for agent, path in self._targets.items())
        )
        start = max(released, self._instant(self._began))
        times = sorted(
            seconds
            for agent in self._targets
            if (seconds := (self._instant(agent.progress.applied_at) - start).total_seconds()) > 0
        )
        return Step(
            name=name,
            commit=head,
            revision=revision,
            agents=len(times),
            commit_to_published=_rounded((released - since).total_seconds()),
            release_to_applied=_rounded(times[-1] if times else 0.0),
            p50=_rounded(percentile(times, 0.50)),
            p99=_rounded(percentile(times, 0.99)),
        )

    async def _released(self, commit: str | None) -> tuple[int, str, datetime]:
        """Revision, commit and time of the release of a commit; None: of the newest one there is."""
        while True:
            for one in await self._view.releases():
                if commit in (None, one.commit):
                    return one.revision, one.commit, one.created_at
            await asyncio.sleep(LOOK_SECONDS)

    async def _wanted(self, revision: int) -> Mapping[str, bytes | None]:
        """What the agents of each target are to run, as soon as the server offers that revision."""
        while True:
            rows = await self._view.targets()
            if rows and all(one.revision >= revision for one in rows):
                return {one.path: one.config_hash for one in rows}
            await asyncio.sleep(LOOK_SECONDS)

    async def _learn_targets(self) -> None:
        """Which able agent belongs to which target; the server knows all agents that it has answered, soon."""
        able = {show_uid(one.profile.uid): one for one in self._fleet.able()}
        while True:
            rows = [one for one in await self._view.agents() if one.uid in able]
            if len(rows) == len(able):
                break
            await asyncio.sleep(LOOK_SECONDS)
        self._targets = {able[one.uid]: one.target for one in rows if one.target is not None}
        if not self._targets:
            raise SettingsError("no target selects any of the agents", code="lab.targets")

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():  # noqa: ASYNC110 - what is waited for is the state of a thousand agents
            await asyncio.sleep(LOOK_SECONDS)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the sorted values that at least this share of them does not exceed; 0.0 without values."""
    if not values:
        return 0.0
    rank = -(-len(values) * share // 1)  # rounded up
    return values[max(int(rank), 1) - 1]


def _rounded(seconds: float) -> float:
    return round(seconds, 3)
