"""Every kind of real agent behind one face, and a repository that has something for each of them.

async with a_real_agent("supervisor", service.opamp_url, tmp_path) as agent:
    await until(lambda: agent.runs("200ms"))
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from gitsync.ids import AgentUid, show_uid
from tests.support.agent_process import AgentProcess
from tests.support.gitrepo import GitRepo
from tests.support.goclient import GoClient
from tests.support.sdk_agents import NodeAgent, SdkAgent
from tests.support.service import ServiceUnderTest, until
from tests.support.supervisor import CURRENT, OLD, Supervisor

KINDS = ("supervisor", "old-supervisor", "go-websocket", "go-http", "python", "node")
#: Longer than a server needs to come back: the Node.js client that misses one poll waits at least 30 s.
NODE_INTERVAL = timedelta(seconds=4)
#: What a Collector calls itself; without it an agent gets no Collector configuration.
COLLECTOR_SERVICE = "io.opentelemetry.collector"
#: For a condition that such a wait may delay.
PATIENCE_SECONDS = 100.0

RULES = """\
apiVersion: gitsync/v1
kind: Repository
agentTypes:
  - type: sdk
    selector: {matchLabels: {service.name: checkout}}
"""
TARGETS = {
    "gitsync.yaml": RULES,
    "agents/target.yaml": "selector:\n  matchLabels: {role: agent}\n",
    "sdk/target.yaml": (
        "agentType: sdk\n"
        "selector: {matchLabels: {role: agent}}\n"
        "objects:\n  - {name: settings, file: settings.json, contentType: application/json}\n"
    ),
}
COLLECTOR = """\
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:0
processors:
  batch:
    timeout: MARK
exporters:
  debug:
service:
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [debug]
"""


def commit(repo: GitRepo, mark: str) -> None:
    """A configuration with this duration in it for every kind of agent; the first commit brings the targets too."""
    bodies = {
        "agents/collector.yaml": COLLECTOR.replace("MARK", mark),
        "sdk/settings.json": json.dumps({"flush": mark}) + "\n",
    }
    repo.commit_files({**TARGETS, **bodies}, f"flush after {mark}")


class RealAgent(ABC):
    """What the scenarios ask of any agent."""

    @property
    @abstractmethod
    def uid(self) -> AgentUid:
        """The instance uid that it uses now."""

    @abstractmethod
    def runs(self, mark: str) -> bool:
        """Whether it runs the configuration with this mark."""

    @abstractmethod
    def heard(self, text: str) -> bool:
        """Whether the agent noted this text about its connection, such as a close code."""

    @abstractmethod
    def story(self) -> str:
        """What the agent itself has to tell: the end of what it logged."""

    def is_applied(self, service: ServiceUnderTest) -> bool:
        """Whether the server has it connected, with all that is desired for it applied."""
        one = service.running.agents.get(self.uid)
        return one is not None and one.connected and one.backlog is None and one.state == "applied"

    async def applied(self, service: ServiceUnderTest, mark: str = "") -> None:
        """Waits for `is_applied`, and until it runs the configuration with this mark, if there is one (see `wait`)."""
        await self.wait(service, lambda: (not mark or self.runs(mark)) and self.is_applied(service))

    async def wait(
        self, service: ServiceUnderTest, what: Callable[[], object], seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Waits for a condition on this agent.

        Raises:
            AssertionError: it takes too long; the text has what the server knows, and what the agent tells.
        """
        try:
            await until(what, seconds)
        except TimeoutError:
            told = f"--- server\n{self._known_by(service)}{self.story()}"
            raise AssertionError(f"it did not come within {seconds:g} s\n{told}") from None

    def _known_by(self, service: ServiceUnderTest) -> str:
        one = service.running.agents.get(self.uid)
        if one is None:
            return f"does not serve {show_uid(self.uid)}"
        agent = one.agent
        known = {
            "connected": one.connected,
            "backlog": one.backlog,
            "offers open": one.session.offers_open,
            "state": one.state,
            "assignment": one.assignment,
            "current": agent.current,
            "reported": agent.reported,
            "contained": agent.contained,
            "healthy": agent.healthy,
            "flag": agent.flag,
        }
        return "\n".join(f"{name}: {value}" for name, value in known.items())


async def all_applied(service: ServiceUnderTest, mark: str, *agents: RealAgent) -> None:
    """Waits until every agent runs that configuration, and the server knows it."""
    for one in agents:
        await one.applied(service, mark)


@dataclass(frozen=True)
class Supervised(RealAgent):
    """A Collector under its supervisor."""

    process: Supervisor

    @property
    def uid(self) -> AgentUid:
        return AgentUid(self.process.instance_uid)

    def runs(self, mark: str) -> bool:
        processors = self.process.effective_config().get("processors") or {}
        return bool((processors.get("batch") or {}).get("timeout") == mark)

    def heard(self, text: str) -> bool:
        return text in self.process.log

    def story(self) -> str:
        return self.process.story()


@dataclass(frozen=True)
class Program(RealAgent):
    """An application with a client library."""

    process: AgentProcess

    @property
    def uid(self) -> AgentUid:
        return AgentUid(self.process.instance_uid)

    def runs(self, mark: str) -> bool:
        offers = self.process.seen("config")
        if not offers or not self.process.seen("status", hash=offers[-1]["hash"], status="APPLIED"):
            return False
        return any(mark in entry["body"] for entry in offers[-1]["entries"])

    def heard(self, text: str) -> bool:
        said = [*self.process.seen("log"), *self.process.seen("unreachable")]
        return any(text in str(one) for one in said)

    def story(self) -> str:
        return self.process.story()


@asynccontextmanager
async def a_real_agent(kind: str, url: str, directory: Path) -> AsyncIterator[RealAgent]:
    """One running agent of that kind.

    Args:
        kind: one of `KINDS`.
        url: the server's, as `http://…`.
        directory: a place for what agents keep on their disk.
    """
    labels = {"role": "agent"}
    socket = "ws" + url.removeprefix("http")
    if kind in ("supervisor", "old-supervisor"):
        pair = CURRENT if kind == "supervisor" else OLD
        async with Supervisor(socket, directory / kind, labels=labels, pair=pair) as supervisor:
            yield Supervised(supervisor)
        return
    process: AgentProcess
    match kind:
        case "go-websocket":
            process = GoClient(socket, service_name=COLLECTOR_SERVICE, labels=labels)
        case "go-http":
            process = GoClient(url, service_name=COLLECTOR_SERVICE, labels=labels)
        case "python":
            process = SdkAgent(url, "checkout", attributes=labels)
        case "node":
            process = NodeAgent(url, "checkout", attributes=labels, interval=NODE_INTERVAL)
        case _:
            raise ValueError(f"no kind of agent: {kind}")
    async with process:
        yield Program(process)
