"""`SimulatedAgent`: how one agent reacts to what the server says. No sockets: messages in, messages out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from gitsync.ids import ConfigHash
from gitsync.lab.health import health_of
from gitsync.lab.profile import AgentProfile, Fault
from gitsync.opamp.client import ClientState, ClientStep, ReceivedConfig, ReceivedConnection
from gitsync.opamp.messages import Component, ComponentHealth, ConfigStatus, EffectiveObject

SLOW_SECONDS = 3.0
NO_PIPELINES = {"": EffectiveObject(b"receivers:\n  nop: {}\n", "text/yaml")}
"""What a supervisor runs before it has a configuration."""
Later = Callable[[float, Callable[[], None]], object]
KEEPS_ITS_SERVER = "a simulated agent keeps the address that it was started with"
Send = Callable[[bytes], None]
_NUMBERS: Mapping[Fault, Callable[[int], int]] = {
    Fault.REPEATS_NUMBERS: lambda count: count - count % 3,
    Fault.SKIPS_NUMBERS: lambda count: 2 * count,
}


def _place(url: str) -> tuple[str, str]:
    """Host, port and path, which are the same for all transports."""
    parts = urlsplit(url)
    return parts.netloc, parts.path


def _components(profile: AgentProfile) -> Mapping[str, Component]:
    """A build as a Collector tells it: types by section."""
    return {
        section: Component(members={name: Component() for name in types}) for section, types in profile.build.items()
    }


def _build_hash(profile: AgentProfile) -> bytes:
    """Stands for the build; equal builds have equal ones."""
    told = sorted((section, *sorted(types)) for section, types in profile.build.items())
    return hashlib.sha256(repr(told).encode()).digest() if told else b""


@dataclass(slots=True)
class Progress:
    """Where an agent stands, for the table.

    Attributes:
        offers: how many configurations it was offered.
        applied_at: monotonic seconds of the first time that it said APPLIED about `applied`; 0.0 before.
        connected: whether the server has answered on the connection that it has.
        heard: how many messages of the server it has read.
    """

    offers: int = 0
    applied: ConfigHash | None = None
    applied_at: float = 0.0
    failed: ConfigHash | None = None
    healthy: bool = True
    connected: bool = False
    heard: int = 0


class SimulatedAgent:
    """One agent with its memory; it outlives its connections.

    Attributes:
        server: URL that it was started with; set by whoever connects it, "" before.
    """

    def __init__(self, profile: AgentProfile, *, later: Later, now: Callable[[], float]) -> None:
        self.profile = profile
        self.server = ""
        self.progress = Progress()
        self._later = later
        self._now = now
        self._send: Send | None = None
        self._greeted = False
        self._is_starting = True
        pretends = profile.fault in (Fault.PRETENDS, Fault.OVERWRITES)
        self.client = ClientState(
            profile.uid,
            {
                "service.name": profile.service,
                "service.instance.id": profile.name,
                "service.version": "0.158.0",
            },
            {"host.name": profile.name, "os.type": "linux", **profile.labels},
            profile.capabilities,
            components=_components(profile),
            components_hash=_build_hash(profile),
            health=health_of(profile),
            effective=NO_PIPELINES if pretends else None,
            request_uid=profile.fault is Fault.KEEPS_UID,
            keeps_uid=profile.fault is Fault.KEEPS_UID,
            takes_repetitions=pretends,
            number_of=_NUMBERS.get(profile.fault),
        )

    def connected(self, send: Send) -> None:
        """A connection is ready: says who it is, or only that it is back.

        Args:
            send: takes one message without frame header; used until `disconnected`.
        """
        self._send = send
        self._is_starting = True
        send(self.client.reconnected() if self._greeted else self.client.first_message())
        self._greeted = True

    def disconnected(self) -> None:
        """The connection is gone; what it runs goes on."""
        self._send = None
        self.progress.connected = False

    def receive(self, data: bytes) -> ClientStep:
        """One ServerToAgent, without frame header; what it means for the connection is the caller's business.

        Raises:
            ProtocolError: it is none.
        """
        step = self.client.receive(data, self._now())
        self.progress.connected = True
        self.progress.heard += 1
        for message in step.outgoing:
            self._say(message)
        if step.restart:
            # As a supervisor shows it: its Collector stops and starts, and its own messages go on.
            self._say(self.client.report_health(ComponentHealth(healthy=False, status="StatusStopping")))
            self._say(self.client.report_health(health_of(self.profile)))
            self._say(self.client.first_message())
        if step.connection is not None:
            self._judge(step.connection)
        if step.config is not None:
            self._take(step.config)
        return step

    def _say(self, message: bytes) -> None:
        if message and self._send is not None:
            self._send(message)

    def goodbyes(self) -> Sequence[bytes]:
        """The last messages before the connection is closed; usually one."""
        count = {Fault.NO_GOODBYE: 0, Fault.DOUBLE_GOODBYE: 2}.get(self.profile.fault, 1)
        return [self.client.disconnect() for _ in range(count)]

    def _judge(self, offer: ReceivedConnection) -> None:
        """Takes a heartbeat; another server is refused, because an agent that forgets everything cannot go back."""
        self._say(self.client.report_connection(offer.settings_hash, ConfigStatus.APPLYING))
        if offer.opamp is not None and offer.opamp.endpoint and _place(offer.opamp.endpoint) != _place(self.server):
            self._say(self.client.report_connection(offer.settings_hash, ConfigStatus.FAILED, KEEPS_ITS_SERVER))
        else:
            self._say(self.client.report_connection(offer.settings_hash, ConfigStatus.APPLIED))

    def _take(self, config: ReceivedConfig) -> None:
        self.progress.offers += 1
        fault = self.profile.fault
        is_first, self._is_starting = self._is_starting, False
        if fault is Fault.SILENT:
            return
        self._say(self.client.report_status(config.config_hash, ConfigStatus.APPLYING))
        if fault is Fault.FAILS and self.progress.applied not in (None, config.config_hash):
            self._fail(config)
        elif fault is Fault.SLOW:
            self._later(SLOW_SECONDS, lambda: self._apply_unless_superseded(config))
        elif fault is Fault.PRETENDS or (fault is Fault.OVERWRITES and is_first):
            self._claim(config)
        else:
            self._apply(config)

    def _apply_unless_superseded(self, config: ReceivedConfig) -> None:
        if config.config_hash == self.client.config_hash:
            self._apply(config)

    def _apply(self, config: ReceivedConfig) -> None:
        objects = {"": EffectiveObject(b"\n".join(one.body for one in config.objects.values()), "text/yaml")}
        self._say(self.client.report_effective(objects))
        self._say(self.client.report_health(health_of(self.profile)))
        self._claim(config)

    def _claim(self, config: ReceivedConfig) -> None:
        """Says that it runs the configuration."""
        self._say(self.client.report_status(config.config_hash, ConfigStatus.APPLIED))
        if self.progress.applied != config.config_hash:
            self.progress.applied = config.config_hash
            self.progress.applied_at = self._now()
        self.progress.healthy = True

    def _fail(self, config: ReceivedConfig) -> None:
        self.progress.failed = config.config_hash
        self.progress.healthy = False
        error = "Agent exited unexpectedly with exit code 1 while applying configuration"
        self._say(self.client.report_health(ComponentHealth(healthy=False, last_error=error)))
        self._say(self.client.report_status(config.config_hash, ConfigStatus.FAILED, error))

    def heartbeat(self) -> None:
        """Says that it is still there."""
        self._say(self.client.heartbeat())
