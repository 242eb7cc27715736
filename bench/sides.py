"""One server under load, from its start to its end: what is measured, and in which order."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.certificates import make_certificates
from bench.contenders import Contender, Gitsync, Peer
from bench.process import cpu_seconds, kernel_seconds, memory_kib, settle
from bench.programs import Talking, build

OPENING_SECONDS = 2.6
"""Offers open two seconds after an agent came; what that costs belongs to the connecting."""
BEAT_EVERY_SECONDS = 45.0
"""Agents that promise heartbeats must be heard of; between measurements each sends one this often."""

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What one side goes through.

    Attributes:
        steps: numbers of agents; everything is measured at each.
        sizes_kib: of configurations.
        pushes: of each size, at each step.
    """

    steps: Sequence[int]
    sizes_kib: Sequence[int] = (4, 16, 100)
    pushes: int = 2
    beats_per_second: float = 2000
    beat_seconds: float = 5
    storms: int = 1
    tls: bool = False
    settings: Numbers = field(default_factory=dict)


class Side:
    """A server and its load."""

    def __init__(self, server: Contender, plan: Plan, directory: Path) -> None:
        self._server, self._plan = server, plan
        certificates = make_certificates(directory) if plan.tls else None
        server.start(directory, certificates, max(plan.steps))
        self.pid = server.pid
        arguments = [str(build("load")), "-server", server.address]
        if certificates is not None:
            arguments += ["-ca", str(certificates.authority)]
            arguments += ["-cert", str(certificates.agent_cert), "-key", str(certificates.agent_key)]
        self._load = Talking(arguments)
        self._beaten = time.monotonic()
        self._agents = 0

    def run(self) -> Numbers:
        """All steps; what was measured."""
        self._first_agent()
        alone = {str(kib): self._push(kib) for kib in self._plan.sizes_kib}
        settle(self.pid, 1.0)
        idle = memory_kib(self.pid)
        steps = [self._step(count, idle) for count in self._plan.steps]
        stats = self._load.ask("stats")
        self._check(stats)
        return {
            "name": self._server.name,
            "idle_kib": idle,
            "alone": alone,
            "steps": steps,
            "load": stats,
            "peak_kib": memory_kib(self.pid, "VmHWM"),
        }

    def stop(self) -> None:
        self._load.stop()
        self._server.stop()

    def _check(self, stats: Numbers) -> None:
        for name in ("bad", "errors", "dropped"):
            if stats[name]:
                raise RuntimeError(f"{self._server.name}: {stats[name]} {name}: {stats}")

    def _first_agent(self) -> None:
        """One agent gets the configuration in effect, so that all others can come with it."""
        self._load.ask("arm")
        self._load.ask("connect", count=1)
        if not self._load.ask("await", timeout=20)["answered"]:
            raise RuntimeError(f"{self._server.name} gives no configuration to a new agent")
        self._agents = 1

    def _step(self, count: int, idle_kib: int) -> Numbers:
        connected = self._connect(count)
        rss = memory_kib(self.pid)
        beats = self._beats(self._plan.beats_per_second, self._plan.beat_seconds)
        pushes: dict[str, list[Numbers]] = {}
        for kib in self._plan.sizes_kib:
            pushes[str(kib)] = [self._push(kib) for _ in range(self._plan.pushes)]
        storms = [self._storm() for _ in range(self._plan.storms)]
        return {
            "agents": count,
            "connect": connected,
            "kib_per_agent": (rss - idle_kib) / count,
            "rss_kib": rss,
            "kib_per_agent_later": (memory_kib(self.pid) - idle_kib) / count,
            "beats": beats,
            "pushes": pushes,
            "storms": storms,
        }

    def _connect(self, count: int) -> Numbers:
        new = count - self._agents
        used, in_kernel = cpu_seconds(self.pid), kernel_seconds(self.pid)
        found = self._load.ask("connect", count=count, timeout=120)
        return self._connected(found, new, used, in_kernel)

    def _connected(self, found: Numbers, count: int, used: float, in_kernel: float) -> Numbers:
        if found["connected"] != count:
            raise RuntimeError(f"{self._server.name}: only {found['connected']} of {count} agents connected: {found}")
        settle(self.pid, OPENING_SECONDS)
        self._agents = max(self._agents, self._load.ask("arm")["agents"])
        self._beaten = time.monotonic()
        return {
            "rate": count / found["seconds"],
            "p99_ms": found["p99"] / 1e6,
            "cpu_us": (cpu_seconds(self.pid) - used) / count * 1e6,
            "kernel_us": (kernel_seconds(self.pid) - in_kernel) / count * 1e6,
            "refused": found["refused"],
            "failed": found["failed"],
        }

    def _beats(self, rate: float, seconds: float) -> Numbers:
        settle(self.pid)
        used, in_kernel = cpu_seconds(self.pid), kernel_seconds(self.pid)
        found = self._load.ask("heartbeat", rate=rate, seconds=seconds)
        self._beaten = time.monotonic()
        spent, in_kernel = cpu_seconds(self.pid) - used, kernel_seconds(self.pid) - in_kernel
        if found["answered"] < found["sent"]:
            raise RuntimeError(f"{self._server.name}: heartbeats without an answer: {found}")
        return {
            "cpu_us": spent / found["sent"] * 1e6,
            "kernel_us": in_kernel / found["sent"] * 1e6,
            "p50_ms": found["p50"] / 1e6,
            "p99_ms": found["p99"] / 1e6,
        }

    def _push(self, kib: int) -> Numbers:
        if time.monotonic() - self._beaten > BEAT_EVERY_SECONDS:
            self._load.ask("heartbeat", rate=5000, seconds=self._agents / 5000)
            self._beaten = time.monotonic()
        settle(self.pid)
        self._load.ask("arm")
        stored = self._server.watch_stored(self._agents)
        used, in_kernel, helped = cpu_seconds(self.pid), kernel_seconds(self.pid), self._server.helpers_cpu_seconds()
        pushed = self._server.push(kib)
        found = self._load.ask("await", timeout=60)
        stored_at = stored()
        settle(self.pid)
        if found["answered"] != self._agents:
            raise RuntimeError(f"{self._server.name}: {found['answered']} of {self._agents} agents applied: {found}")
        return {
            "cpu_s": cpu_seconds(self.pid) - used,
            "kernel_s": kernel_seconds(self.pid) - in_kernel,
            "helpers_cpu_s": self._server.helpers_cpu_seconds() - helped,
            "body_bytes": found["body_bytes"],
            "commit_to_effect_ms": (pushed.at - pushed.asked_at) / 1e6,
            "first_ms": (found["first"] - pushed.at) / 1e6,
            "p50_ms": (found["p50"] - pushed.at) / 1e6,
            "p99_ms": (found["p99"] - pushed.at) / 1e6,
            "last_ms": (found["last"] - pushed.at) / 1e6,
            "all_applied_ms": (found["all_answered_at"] - pushed.at) / 1e6,
            "stored_ms": None if stored_at is None else (stored_at - pushed.at) / 1e6,
            "commit_to_all_ms": (found["all_answered_at"] - pushed.asked_at) / 1e6,
        }

    def _storm(self) -> Numbers:
        settle(self.pid)
        used, in_kernel = cpu_seconds(self.pid), kernel_seconds(self.pid)
        found = self._load.ask("storm", timeout=120)
        return self._connected(found, self._agents, used, in_kernel)


def run_side(name: str, plan: Plan) -> Numbers:
    """Starts a server, measures it, and stops it."""
    server: Contender = Gitsync(plan.settings) if name == "gitsync" else Peer()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        side = Side(server, plan, Path(directory))
        try:
            return side.run()
        finally:
            side.stop()
