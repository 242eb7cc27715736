"""SDK agents: the Python and the Node.js OpAMP client of the package indexes, each in a process of its own.

async with SdkAgent("http://127.0.0.1:4320/v1/opamp", "checkout", attributes={"env": "prod"}) as agent:
    config = await agent.wait_for("config")
    status = await agent.wait_for("status", status="APPLIED")

The programs are `tests/interop/agents/python/agent.py` and `tests/interop/agents/node/agent.mjs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from tests.support import tools
from tests.support.agent_process import AgentProcess, options

PROGRAM = tools.AGENTS / "python" / "agent.py"


class SdkAgent(AgentProcess):
    """The Python client. It polls, knows JSON objects alone, and ignores a new instance uid."""

    def __init__(
        self,
        endpoint: str,
        service_name: str,
        *,
        attributes: Mapping[str, str] | None = None,
        identifying: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        interval: timedelta = timedelta(seconds=1),
        ca: Path | None = None,
        reject: str = "",
        python: Path | None = None,
    ) -> None:
        """Prepares the agent; `async with` or `start` runs it.

        `attributes` are the non-identifying ones, `interval` is the time between polls. A configuration with
        `reject` in a body is reported FAILED. `python` replaces the interpreter that the tools made.
        """
        super().__init__()
        self._python = python
        self._arguments = [f"--endpoint={endpoint}", f"--service-name={service_name}", f"--reject={reject}"]
        self._arguments += [f"--interval={interval.total_seconds()}"]
        self._arguments += options(attribute=attributes, identifying=identifying, header=headers)
        if ca is not None:
            self._arguments += [f"--ca={ca}"]

    def command(self) -> list[str]:
        """The program, under the interpreter that has the client."""
        return [str(self._python or tools.require(tools.python_client)), str(PROGRAM), *self._arguments]


class NodeAgent(AgentProcess):
    """The Node.js client. It polls, waits at least 30 s after any error, and never says farewell."""

    def __init__(
        self,
        endpoint: str,
        service_name: str,
        *,
        attributes: Mapping[str, str] | None = None,
        identifying: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        interval: timedelta = timedelta(seconds=1),
        instance_uid: str = "",
        ca: Path | None = None,
        reject: str = "",
    ) -> None:
        """Prepares the agent; the arguments are those of `SdkAgent`, and a UUID that it starts with."""
        super().__init__()
        self._arguments = [f"--endpoint={endpoint}", f"--service-name={service_name}", f"--reject={reject}"]
        self._arguments += [f"--interval={interval.total_seconds()}"]
        self._arguments += options(attribute=attributes, identifying=identifying, header=headers)
        if instance_uid:
            self._arguments += [f"--instance-uid={instance_uid}"]
        if ca is not None:
            self._arguments += [f"--ca={ca}"]

    def command(self) -> list[str]:
        """The program, next to its packages."""
        return ["node", str(tools.require(tools.node_client)), *self._arguments]
