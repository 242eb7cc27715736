"""The two servers that are measured: gitsync as it is shipped, and a minimal server on opamp-go."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.certificates import Certificates
from bench.configuration import FLEET, collector_yaml
from bench.process import children, cpu_seconds, reaped_cpu_seconds
from bench.programs import Talking, build

START_SECONDS = 60.0
_GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false")
_PUBLISHED = re.compile(r"^(\S+Z) .*: revision \d+ published from ", re.MULTILINE)


@dataclass(frozen=True)
class Pushed:
    """How a push began; unix nanoseconds.

    Attributes:
        asked_at: when the commit was made, or the command given.
        at: when the server could begin to send: the new configuration is in effect.
    """

    asked_at: int
    at: int


class Contender(ABC):
    """A server under measurement."""

    name: str
    pid: int
    address: str

    @abstractmethod
    def start(self, directory: Path, certificates: Certificates | None, most_agents: int) -> None: ...

    @abstractmethod
    def push(self, kib: int) -> Pushed:
        """Puts a new configuration of this size in effect."""

    @abstractmethod
    def stop(self) -> None: ...

    def watch_stored(self, agents: int) -> Callable[[], int | None]:
        """Notes what is stored; the result waits until the next APPLIED of all are: when, None for no database.

        It is called when the agents have their answers: looking sooner would take CPU from what is measured.
        """
        return lambda: None

    def helpers_cpu_seconds(self) -> float:
        """CPU time of processes that work for the server."""
        return 0.0


class Peer(Contender):
    """opamp-go."""

    name = "opamp-go"

    def start(self, directory: Path, certificates: Certificates | None, most_agents: int) -> None:
        arguments = [str(build("peer"))]
        if certificates is not None:
            arguments += ["-cert", str(certificates.server_cert), "-key", str(certificates.server_key)]
            arguments += ["-client-ca", str(certificates.authority)]
        self._program = Talking(arguments)
        self.versions = self._program.read()
        self.pid, self.address = self._program.pid, self.versions["address"]
        self._file = directory / "config.yaml"
        self._number = 0
        self.push(4)

    def push(self, kib: int) -> Pushed:
        self._number += 1
        self._file.write_text(collector_yaml(kib, self._number))
        asked = time.time_ns()
        answer = self._program.ask("push", file=str(self._file))
        if answer["failed"]:
            raise RuntimeError(f"opamp-go could not send to {answer['failed']} agents")
        return Pushed(asked, answer["at"])

    def stop(self) -> None:
        self._program.stop()


class Gitsync(Contender):
    """`gitsync serve` with SQLite, a Git repository, labels, history and metrics."""

    name = "gitsync"

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        self._extra = settings or {}

    def start(self, directory: Path, certificates: Certificates | None, most_agents: int) -> None:
        self._repository, self._data = directory / "repository", directory / "data"
        self._number = 0
        for path, text in FLEET.items():
            file = self._repository / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        subprocess.run([*_GIT, "init", "-q", "-b", "main", str(self._repository)], check=True)
        self._commit(4)
        self._log, ready = directory / "server.log", directory / "ready.json"
        settings_file = directory / "settings.yaml"
        settings_file.write_text(json.dumps(self._settings(certificates, most_agents)))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gitsync", "serve", "--config", str(settings_file), "--ready-file", str(ready)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
            )
        self.pid = self._process.pid
        _wait(ready.exists, self._process, self._log)
        fields = json.loads(ready.read_text())
        self.address = re.sub(r"^\w+://([^/]+).*$", r"\1", fields["opamp_url"])
        self._http_url, token = fields["http_url"].rstrip("/"), Path(fields["token_file"]).read_text().strip()
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        _wait(lambda: _PUBLISHED.search(self._log.read_text()), self._process, self._log)

    def _settings(self, certificates: Certificates | None, most_agents: int) -> dict[str, Any]:
        server: dict[str, Any] = {
            "listen": {"opamp": "127.0.0.1:0", "http": "127.0.0.1:0"},
            "agents": {"max_connections": most_agents + 100, **self._extra},
        }
        if certificates is not None:
            server["tls"] = {
                "enabled": True,
                "cert_file": str(certificates.server_cert),
                "key_file": str(certificates.server_key),
                "client_ca_file": str(certificates.authority),
                "client_auth": "require_and_verify",
            }
        # The commits are announced by us; a poll in the middle of a measurement would be noise.
        # By `file://` it is not watched either.
        git = {"repository": f"file://{self._repository}", "branch": "main", "sync_interval": "1h"}
        return {"data_dir": str(self._data), "server": server, "config_store": {"type": "git", "git": git}}

    def _commit(self, kib: int) -> None:
        self._number += 1
        (self._repository / "agents" / "collector.yaml").write_text(collector_yaml(kib, self._number))
        subprocess.run([*_GIT, "-C", str(self._repository), "add", "--all"], check=True)
        subprocess.run(
            [*_GIT, "-C", str(self._repository), "commit", "-q", "-m", f"change {self._number}, {kib} KiB"], check=True
        )

    def push(self, kib: int) -> Pushed:
        asked, seen = time.time_ns(), self._log.stat().st_size
        self._commit(kib)
        result = self.rest("POST", "/api/v1/sources/default/sync?wait=true")
        with self._log.open() as log:
            log.seek(seen)
            found = _PUBLISHED.search(log.read())
        if found is None:  # an outcome of "noop" is fine: then a pass that was under way has published the commit
            raise RuntimeError(f"gitsync did not publish: {result}")
        return Pushed(asked, int(datetime.fromisoformat(found[1]).timestamp() * 1000) * 1_000_000)

    def rest(self, method: str, path: str) -> dict[str, Any]:
        """One request to the REST interface."""
        request = urllib.request.Request(self._http_url + path, method=method, headers=self._headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return dict(json.loads(answer.read()))

    def watch_stored(self, agents: int) -> Callable[[], int | None]:
        database = f"file:{self._data / 'gitsync.db'}?mode=ro"
        with sqlite3.connect(database, uri=True) as connection:
            before = connection.execute("SELECT max(revision) FROM agent_status").fetchone()[0] or 0
        query = "SELECT count(*) FROM agent_status WHERE state = 'applied' AND revision > ?"

        def wait() -> int | None:
            deadline = time.monotonic() + 60
            with sqlite3.connect(database, uri=True) as connection:
                while time.monotonic() < deadline:
                    if connection.execute(query, (before,)).fetchone()[0] >= agents:
                        return time.time_ns()
                    time.sleep(0.05)
            return None

        return wait

    def helpers_cpu_seconds(self) -> float:
        return reaped_cpu_seconds(self.pid) + sum(cpu_seconds(one) for one in children(self.pid))

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GITSYNC_")}


def _wait(what: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not what():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"gitsync did not start: {log.read_text()[-2000:]}")
        time.sleep(0.02)
