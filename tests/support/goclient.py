"""The agent made of the OpAMP reference client library: every switch that the library has, over both transports.

async with GoClient("ws://127.0.0.1:4320/v1/opamp", labels={"role": "agent"}, packages=True) as agent:
    await agent.wait_for("status", status="APPLIED")
    await agent.tell("csr")
    await agent.wait_for("refused")

The program is `tests/interop/agents/goclient`; `main.go` says what its options do, `agent.do` what it can be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from tests.support import tools
from tests.support.agent_process import AgentProcess, options


class GoClient(AgentProcess):
    """One agent; it applies whatever it is offered unless a body holds `reject`."""

    def __init__(
        self,
        endpoint: str,
        *,
        labels: Mapping[str, str] | None = None,
        identifying: Mapping[str, str] | None = None,
        service_name: str = "goclient",
        headers: Mapping[str, str] | None = None,
        interval: timedelta = timedelta(seconds=1),
        instance_uid: str = "",
        reject: str = "",
        components: Mapping[str, str] | None = None,
        custom: Iterable[str] = (),
        ca: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
        packages: bool = False,
        connection_settings: bool = False,
        restart: bool = False,
        request_uid: bool = False,
        compress: bool = False,
    ) -> None:
        """Prepares the agent; `async with` or `start` runs it.

        Args:
            endpoint: ws, wss, http or https.
            labels: non-identifying attributes.
            identifying: identifying attributes beside service.name.
            service_name: its service.name.
            headers: sent with each request.
            interval: between heartbeats, or polls.
            instance_uid: a UUID; "": a new one at each start.
            reject: a configuration with this text in a body is reported FAILED.
            components: versions of available components by `kind/type`, such as `receivers/otlp`.
            custom: custom capabilities of the agent.
            ca: authority of a server with TLS.
            certificate: files with the client's certificate and its key.
            packages: accept packages, and sync them as the library does.
            connection_settings: accept all kinds of them; the agent reconnects with what it is offered.
            restart: accept the restart command.
            request_uid: ask for an instance uid in the first message.
            compress: offer compression.
        """
        super().__init__()
        self._arguments = [f"--endpoint={endpoint}", f"--service-name={service_name}", f"--reject={reject}"]
        self._arguments += [f"--interval={interval.total_seconds():g}s", f"--instance-uid={instance_uid}"]
        self._arguments += options(attribute=labels, identifying=identifying, header=headers, component=components)
        self._arguments += [f"--custom={name}" for name in custom]
        if ca is not None:
            self._arguments += [f"--ca={ca}"]
        if certificate is not None:
            self._arguments += [f"--cert={certificate[0]}", f"--key={certificate[1]}"]
        switches = {
            "packages": packages,
            "connection-settings": connection_settings,
            "restart": restart,
            "request-uid": request_uid,
            "compress": compress,
        }
        self._arguments += [f"--{name}" for name, on in switches.items() if on]

    def command(self) -> list[str]:
        """The program with its options."""
        return [str(tools.require(tools.go_client)), *self._arguments]
