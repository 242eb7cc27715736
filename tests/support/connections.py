"""Connection settings in tests: agents that are offered some, and what they were offered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import trustme

from gitsync.bundle.connection import read_connection
from gitsync.bundle.version import TargetVersion
from gitsync.collector.document import parse_yaml
from gitsync.collector.findings import Findings
from gitsync.fleet.connection import AgentConnection
from gitsync.opamp.client import ClientState
from gitsync.opamp.messages import Capability, ComponentHealth, ConfigStatus, ConfigStatusReported
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.support.builders import SUPERVISOR, a_version
from tests.support.fleet import FleetUnderTest, TestAgent

MOVABLE = SUPERVISOR | Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS | Capability.REPORTS_HEARTBEAT
TELLING = Capability.REPORTS_CONNECTION_SETTINGS_STATUS
OWN = Capability.REPORTS_OWN_METRICS | Capability.REPORTS_OWN_TRACES | Capability.REPORTS_OWN_LOGS

MOVE = 'opamp: {endpoint: "ws://localhost:4320/v1/opamp", heartbeat: 45s}'
MOVE_AGAIN = 'opamp: {endpoint: "ws://localhost:4321/v1/opamp", heartbeat: 45s}'
METRICS = 'ownMetrics: {endpoint: "https://otlp.example.com/v1/metrics"}'
LOGS = 'ownLogs: {endpoint: "https://otlp.example.com/v1/logs"}'


def stored_form(text: str) -> dict[str, Any]:
    """The stored form of a `connection` written in YAML."""
    findings = Findings("target.yaml")
    found = read_connection(parse_yaml("target.yaml", text.encode()).node, findings)
    assert findings.errors == 0, findings.done()
    assert found is not None
    return found


def connecting(*texts: str, version: TargetVersion | None = None) -> TargetVersion:
    """A target version with these connection settings."""
    return replace(version or a_version(), connection=stored_form("\n".join(texts)))


@cache
def authority() -> trustme.CA:
    """One authority for all tests."""
    return trustme.CA()


@cache
def certificate_secrets() -> Mapping[str, str]:
    """The secrets agent.crt, agent.key and ca.crt, which belong together."""
    issued = authority().issue_cert("localhost")
    return {
        "agent.crt": b"".join(one.bytes() for one in issued.cert_chain_pems).decode(),
        "agent.key": issued.private_key_pem.bytes().decode(),
        "ca.crt": authority().cert_pem.bytes().decode(),
    }


class KnownSecrets:
    """The port `Secrets` with texts that a test sets."""

    def __init__(self, **texts: str) -> None:
        self.texts: dict[str, str] = dict(texts)

    async def load(self, names: Collection[str]) -> Mapping[str, str]:
        return {name: text for name, text in self.texts.items() if name in names}


class MovingAgent(TestAgent):
    """An agent that can be told where to connect.

    Attributes:
        offers: the connection settings that it was offered, in order.
    """

    __test__ = False

    def __init__(self, fleet: FleetUnderTest, *, number: int = 1, transport: str = "websocket", bits: int = 0) -> None:
        super().__init__(fleet, number=number, transport=transport, capabilities=int(bits or MOVABLE))
        self._bits = int(bits or MOVABLE)
        self.offers: list[pb.ConnectionSettingsOffers] = []
        self.mixed: list[pb.ServerToAgent] = []

    def _take(self, data: bytes) -> None:
        message = pb.ServerToAgent.FromString(data)
        if message.HasField("connection_settings"):
            self.offers.append(message.connection_settings)
            if message.HasField("remote_config") or message.HasField("command"):
                self.mixed.append(message)
        super()._take(data)

    @property
    def known(self) -> AgentConnection:
        """What the server knows of its connection."""
        known = self.live.agent.connection
        assert known is not None
        return known

    def tell(self, status: ConfigStatus, *, hash_: bytes | None = None) -> None:
        """Reports what became of connection settings; of the newest offer unless said otherwise."""
        found = pb.ConnectionSettingsStatus(
            last_connection_settings_hash=self.offers[-1].hash if hash_ is None else hash_,
            status=int(status),  # type: ignore[arg-type]  # same numbers
            error_message="no route" if status is ConfigStatus.FAILED else "",
        )
        more = pb.AgentToServer(connection_settings_status=found)
        self.say(self.client.heartbeat() + more.SerializeToString())

    def run(self) -> MovingAgent:
        """Connects, and applies the configuration that it is offered."""
        self.connect()
        self.beat()
        self.apply()
        return self

    def drop(self) -> None:
        """The line is broken: the same client connects again and goes on in its sequence."""
        self._fleet.agents.closed(self.link)
        self.connect_again()

    def connect_again(self) -> None:
        """A new link on which the client goes on."""
        self.link = type(self.link)(self.transport)
        self._fleet.agents.opened(self.link)
        self.beat()

    def move(self, *, health: ComponentHealth | None = None) -> None:
        """What a supervisor does with new OpAMP settings: a new client, with an empty health."""
        self.say(self.client.disconnect())
        self._fleet.agents.closed(self.link)
        self.start_over(health=health or ComponentHealth(healthy=False))

    def start_over(self, *, health: ComponentHealth | None = None) -> None:
        """A new process, or a new client: its sequence begins anew, what it runs is kept."""
        kept = ConfigStatusReported(self.configs[-1].config_hash, ConfigStatus.APPLIED) if self.configs else None
        self.client = ClientState(
            self.uid,
            {"service.name": "otelcol"},
            {},
            self._bits,
            health=health or ComponentHealth(healthy=True),
            config_status=kept,
        )
        self.connect()
        self.beat()


def soon(seconds: float) -> timedelta:
    """A duration."""
    return timedelta(seconds=seconds)
