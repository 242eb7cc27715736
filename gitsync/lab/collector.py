"""A real OpenTelemetry Collector under the real OpAMP supervisor, as one more agent of the lab."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from gitsync.errors import SettingsError

SUPERVISOR_VARIABLE = "GITSYNC_SUPERVISOR"
COLLECTOR_VARIABLE = "GITSYNC_COLLECTOR"
HOW_TO_GET = (
    "no real Collector: put `opampsupervisor` and `otelcol` (both from the OpenTelemetry Collector's releases) on the"
    f" PATH, or name them by {SUPERVISOR_VARIABLE} and {COLLECTOR_VARIABLE}"
)
LABELS: Mapping[str, str] = {
    "role": "agent",
    "deployment.environment.name": "prod",
    "cloud.region": "eu-west-1",
    "lab.agent": "real",
}
CAPABILITIES = (
    "accepts_remote_config",
    "reports_remote_config",
    "accepts_restart_command",
    "reports_effective_config",
    "reports_health",
    "reports_heartbeat",
    "reports_available_components",
)
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Programs:
    """Both programs."""

    supervisor: Path
    collector: Path


def find_programs(environment: Mapping[str, str]) -> Programs | None:
    """What the variables name, or what is on the PATH; None when one of both is missing.

    Raises:
        SettingsError: a variable names something that is no program.
    """
    supervisor = _named(environment, SUPERVISOR_VARIABLE) or _on_path(environment, "opampsupervisor")
    collector = _named(environment, COLLECTOR_VARIABLE) or _on_path(environment, "otelcol")
    return None if supervisor is None or collector is None else Programs(supervisor, collector)


def _named(environment: Mapping[str, str], variable: str) -> Path | None:
    text = environment.get(variable)
    if not text:
        return None
    path = Path(text).expanduser().absolute()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise SettingsError(f"{variable}: {path} is not a program", code="lab.collector")
    return path


def _on_path(environment: Mapping[str, str], name: str) -> Path | None:
    """`name`, or the first program by alphabet whose name is `name-…`; the same in every directory's order."""
    for text in environment.get("PATH", "").split(os.pathsep):
        directory = Path(text or ".")
        with suppress(OSError):
            for path in [directory / name, *sorted(directory.glob(f"{name}-*"))]:
                if path.is_file() and os.access(path, os.X_OK):
                    return path.absolute()
    return None


@dataclass(frozen=True, slots=True)
class RealAgent:
    """A supervisor that was started.

    Attributes:
        uid: its instance uid as text.
        log_file: the supervisor's log.
    """

    uid: str
    programs: Programs
    log_file: Path


@asynccontextmanager
async def real_agent(programs: Programs, opamp_url: str, directory: Path, random: Random) -> AsyncIterator[RealAgent]:
    """A running supervisor with its Collector; both are stopped when the block ends.

    Args:
        programs: what to run.
        opamp_url: of the server; any scheme that the supervisor takes.
        directory: for its file, state and log; is made.
        random: for the instance uid.

    Raises:
        SettingsError: the program cannot be started.
    """
    uid = uuid.UUID(int=random.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | (7 << 76) | (2 << 62))
    state, log_file = directory / "state", directory / "supervisor.log"
    state.mkdir(parents=True, exist_ok=True)
    file = directory / "supervisor.yaml"
    # JSON is YAML, and needs no thought about quoting.
    file.write_text(json.dumps(supervisor_settings(programs, opamp_url, state, uid), indent=2))
    with log_file.open("ab") as log:
        try:
            process = await asyncio.create_subprocess_exec(
                str(programs.supervisor),
                "--config",
                str(file),
                cwd=directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # nothing of the group may outlive the lab
            )
        except OSError as error:
            raise SettingsError(
                f"cannot start {programs.supervisor}: {error.strerror}", code="lab.collector"
            ) from error
    try:
        yield RealAgent(str(uid), programs, log_file)
    finally:
        await _stop(process)


def supervisor_settings(programs: Programs, opamp_url: str, state: Path, uid: uuid.UUID) -> Mapping[str, object]:
    """The supervisor's file as a value."""
    return {
        "server": {"endpoint": opamp_url},
        "agent": {
            "executable": str(programs.collector),
            # Its own metrics would want a fixed port, which something else may use.
            "args": ["--set=service.telemetry.metrics.level=none"],
            "config_apply_timeout": "2s",
            "bootstrap_timeout": "30s",
            "instance_id": str(uid),
            "description": {"non_identifying_attributes": dict(LABELS)},
        },
        "capabilities": dict.fromkeys(CAPABILITIES, True),
        "storage": {"directory": str(state)},
    }


async def _stop(process: Process) -> None:
    with suppress(ProcessLookupError):
        # Not SIGTERM: the supervisor then goes without a goodbye and leaves its Collector behind.
        process.send_signal(signal.SIGINT)
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
