"""Real Collectors under the real OpAMP supervisor, each pair in a directory of its own.

async with Supervisor("ws://127.0.0.1:4320/v1/opamp", tmp_path / "agent", labels={"env": "prod"}) as agent:
    await agent.wait_until(lambda: "otlp" in agent.effective_config().get("receivers", {}))
    await agent.restart()

The programs come from `tests.support.tools`; without them the test is skipped, or fails in CI.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
import uuid
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from tests.support import tools

#: A start needs two short runs of the Collector, which a loaded machine draws out.
START = timedelta(seconds=30)
STOP = timedelta(seconds=20)
POLL_SECONDS = 0.02
#: The supervisor's last word before it serves: the configuration it kept is merged and on the disk.
STARTED = "Effective config found, starting agent initial time"
CAPABILITIES = (
    "accepts_remote_config",
    "reports_remote_config",
    "accepts_restart_command",
    "accepts_opamp_connection_settings",
    "reports_effective_config",
    "reports_health",
    "reports_heartbeat",
    "reports_available_components",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Where a supervisor and the Collector of the same release are found."""

    supervisor: Callable[[], Path]
    collector: Callable[[], Path]


CURRENT = Pair(tools.supervisor_binary, tools.collector_binary)
#: v0.149: it knows no automatic rollback.
OLD = Pair(tools.old_supervisor_binary, tools.old_collector_binary)


class Supervisor:
    """A supervisor that keeps one Collector running, and what both leave on the disk."""

    def __init__(
        self,
        endpoint: str,
        directory: Path | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        identifying: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        tls: Mapping[str, Any] | None = None,
        config_apply_timeout: timedelta = timedelta(seconds=3),
        automatic_rollback: bool = False,
        validate_config: bool = False,
        capabilities: Mapping[str, bool] | None = None,
        environment: Mapping[str, str] | None = None,
        instance_id: uuid.UUID | None = None,
        config_files: Sequence[Path] = (),
        pair: Pair = CURRENT,
    ) -> None:
        """Prepares the supervisor; `async with` or `start` runs it.

        Args:
            endpoint: the server's URL; ws, wss, http or https.
            directory: holds settings, state and logs, and may exist; None: a new one, removed at the end.
            labels: non-identifying attributes of the agent.
            identifying: identifying attributes beyond service.instance.id, name and version.
            headers: sent with the request that connects.
            tls: the supervisor's `server.tls` settings, such as `ca_file`, `cert_file`, `key_file`.
            config_apply_timeout: after this time a healthy Collector is reported as APPLIED, and any other as FAILED,
                which a loaded machine must not cause.
            automatic_rollback: the agent goes back to its last working configuration by itself; not in `OLD`.
            validate_config: the agent runs `validate` before it takes a configuration.
            capabilities: changes to those that are on, which are all of `CAPABILITIES`.
            environment: variables for the Collector, for `${env:NAME}` in its configuration.
            instance_id: the agent's id on its first start; None: a new one.
            config_files: of this machine, merged below what the server offers.
            pair: the programs.
        """
        self._temporary = directory is None
        self.directory = Path(tempfile.mkdtemp(prefix="supervisor-")) if directory is None else directory
        self.state = self.directory / "state"
        self.pair = pair
        self._process: Process | None = None
        self._uid = b""
        self._log_start = 0
        self._agent: dict[str, Any] = {
            # Without this every Collector wants the same port for its own metrics.
            "args": ["--set=service.telemetry.metrics.level=none"],
            "config_apply_timeout": f"{config_apply_timeout.total_seconds():g}s",
            "bootstrap_timeout": f"{START.total_seconds():g}s",
            "description": {
                "identifying_attributes": dict(identifying or {}),
                "non_identifying_attributes": dict(labels or {}),
            },
            "env": dict(environment or {}),
            "validate_config": validate_config,
        }
        if automatic_rollback:
            self._agent["automatic_config_rollback"] = True
        if config_files:
            self._agent["config_files"] = [str(one) for one in config_files]
        if instance_id is not None:
            self._agent["instance_id"] = str(instance_id)
        self._server = {
            "endpoint": endpoint,
            "headers": {name: [value] for name, value in (headers or {}).items()},
            "tls": dict(tls or {}),
        }
        self._capabilities = {**dict.fromkeys(CAPABILITIES, True), **(capabilities or {})}

    async def __aenter__(self) -> Supervisor:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    # --- running ---

    async def start(self) -> None:
        """Starts supervisor and Collector on the state that is there; the server need not be up.

        Returns when the supervisor has looked at its Collector, begins to connect, and starts the Collector on
        the configuration it kept.

        Raises:
            AssertionError: it ended, or took longer than `START`; the text has its log.
        """
        assert self._process is None, "the supervisor is running already"
        program = tools.require(self.pair.supervisor)
        self._write_settings(tools.require(self.pair.collector))
        self._log_start = len(self._log_bytes())
        with self._log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                str(program),
                "--config",
                str(self.directory / "supervisor.yaml"),
                cwd=self.directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A group of its own, so that nothing of it outlives the test.
                start_new_session=True,
            )
        self._process = process
        try:
            await self.wait_until(lambda: self.said(STARTED) and self._has_uid(), timeout=START, what="a start")
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """Ends both in order (SIGINT: the server hears a farewell); kills what is left after `STOP`.

        Harmless when it is not running.
        """
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            # Not SIGTERM: the supervisor then goes without a farewell and leaves its Collector behind.
            self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP.total_seconds()):
                await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """Ends supervisor and Collector at once, as a power cut does. Harmless when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    async def restart(self, *, keep_state: bool = True) -> None:
        """Stops and starts again; without its state it is a new agent with a new instance uid."""
        await self.stop()
        if not keep_state:
            shutil.rmtree(self.state, ignore_errors=True)
        await self.start()

    @property
    def running(self) -> bool:
        """Whether the supervisor's process lives."""
        return self._process is not None and self._process.returncode is None

    # --- what can be seen ---

    @property
    def log(self) -> str:
        """The supervisor's own log over all starts: one JSON object per line, at debug level."""
        return self._log_bytes().decode(errors="replace")

    @property
    def collector_log(self) -> str:
        """What the Collector printed since its last start; it explains a refused configuration."""
        return _text(self.state / "agent.log")

    @property
    def instance_uid(self) -> bytes:
        """The agent's 16 bytes; while the supervisor writes a new one, those of before."""
        kept = self._persistent_state().get("instance_id")
        if kept:
            self._uid = uuid.UUID(str(kept)).bytes
        assert self._uid, "the supervisor has not chosen an instance uid yet"
        return self._uid

    def _has_uid(self) -> bool:
        """Whether the instance uid is known; the supervisor writes its file anew again and again."""
        kept = self._persistent_state().get("instance_id")
        if kept:
            self._uid = uuid.UUID(str(kept)).bytes
        return bool(kept)

    def said(self, message: str) -> list[dict[str, Any]]:
        """Log records since the last start whose message is exactly this, oldest first."""
        lines = self._log_bytes()[self._log_start :].decode(errors="replace").splitlines()
        records = (_record(line) for line in lines if message in line)
        return [record for record in records if record.get("msg") == message]

    def collector_starts(self) -> int:
        """How often a Collector was started since the supervisor's last start, with its two looks at it."""
        return len(self.said("Agent process started"))

    def collector_pid(self) -> int | None:
        """Process id of the running Collector; None when there is none."""
        started = self.said("Agent process started")
        if not started or not self.running:
            return None
        pid = int(started[-1]["pid"])
        with contextlib.suppress(ProcessLookupError):
            if self._process is not None and os.getpgid(pid) == self._process.pid:
                return pid
        return None

    def effective_config(self) -> dict[str, Any]:
        """The configuration that the supervisor last gave to its Collector; empty before the first."""
        return _mapping(self.state / "effective.yaml")

    def config_status(self) -> dict[str, Any]:
        """The last status that the supervisor keeps, empty before the first.

        `status` is OpAMP's number (1 APPLIED, 2 APPLYING, 3 FAILED), `last_remote_config_hash` is in hex.
        """
        return dict(self._persistent_state().get("last_remote_config_status") or {})

    async def wait_until(
        self,
        holds: Callable[[], object],
        *,
        timeout: timedelta = timedelta(seconds=30),
        what: str = "the condition",
    ) -> None:
        """Returns when `holds()` is true; it is asked again and again, as files send no events.

        Raises:
            AssertionError: not within `timeout`, or the supervisor ended; the text has the ends of both logs.
        """
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                while not holds():
                    if not self.running:
                        raise AssertionError(f"the supervisor ended while waiting for {what}{self.story()}")
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            waited = f"{timeout.total_seconds():g} s"
            raise AssertionError(f"{what} did not come within {waited}{self.story()}") from None

    def story(self) -> str:
        """The ends of both logs."""
        log = "\n".join(line[:300] for line in self.log.splitlines()[-20:])
        collector = "\n".join(self.collector_log.splitlines()[-10:])
        return f"\n--- supervisor\n{log}\n--- Collector\n{collector}"

    # --- files ---

    @property
    def _log_file(self) -> Path:
        return self.directory / "supervisor.log"

    def _write_settings(self, collector: Path) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        settings = {
            "server": self._server,
            "agent": {**self._agent, "executable": str(collector)},
            "capabilities": self._capabilities,
            "storage": {"directory": str(self.state)},
            "telemetry": {"logs": {"level": "debug"}},
        }
        # JSON is YAML, and needs no thought about quoting.
        (self.directory / "supervisor.yaml").write_text(json.dumps(settings, indent=2))

    def _log_bytes(self) -> bytes:
        return self._log_file.read_bytes() if self._log_file.exists() else b""

    def _persistent_state(self) -> dict[str, Any]:
        return _mapping(self.state / "persistent_state.yaml")


def _record(line: str) -> dict[str, Any]:
    """One line of the log; empty when it is not JSON, or not complete yet."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(file: Path) -> str:
    return file.read_text(errors="replace") if file.exists() else ""


def _mapping(file: Path) -> dict[str, Any]:
    """A YAML mapping that the supervisor wrote; empty when there is none, or it is being written now."""
    try:
        found = yaml.safe_load(_text(file))  # noqa: TID251 - our own supervisor's file, read as others read it
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}
