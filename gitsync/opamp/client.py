"""`ClientState`: the agent's side of the protocol, without I/O: for simulated agents, tests and benchmarks.

Rules (OpAMP, duties of the agent)
- The first message is a full status report; later ones hold only what changed; every message carries the
  capabilities, and a sequence number one higher than the one before.
- A report that equals the last one is not sent, so that two peers cannot keep each other talking.
- ReportFullState brings everything, components included; before, only their hash is told.
- A configuration that is offered again under the same hash is not handed out again, unless the agent takes repetitions;
  nor are connection settings.
- Connection settings are tried before they are kept: an offered heartbeat holds once they are reported APPLIED.
- A message with a command is executed and otherwise ignored; what the agent does not accept is ignored.
- An answer for another instance uid is ignored. A new instance uid is used from the next message on.

Messages are serialised protobuf without frame header; empty bytes mean that there is nothing to send.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.message import DecodeError

from gitsync.errors import ProtocolError
from gitsync.ids import AgentUid, ConfigHash
from gitsync.opamp.connection import Certificate, Destination
from gitsync.opamp.messages import (
    Capability,
    Component,
    ComponentHealth,
    ConfigStatus,
    ConfigStatusReported,
    ConnectionStatusReported,
    CustomMessageReceived,
    EffectiveObject,
    ErrorType,
)
from gitsync.opamp.pb import anyvalue_pb2 as anyvalue
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.recent import RECENT_ERRORS
from gitsync.opamp.wire import UID_BYTES

_ERROR_TYPES = {int(kind): kind for kind in ErrorType}


@dataclass(frozen=True, slots=True)
class ConfigObject:
    """One object of a configuration that the server offers."""

    body: bytes
    content_type: str
    role: str


@dataclass(frozen=True, slots=True)
class ReceivedConfig:
    """A configuration that the server offers; no objects: the Collector is to stop."""

    config_hash: ConfigHash
    objects: Mapping[str, ConfigObject]


@dataclass(frozen=True, slots=True)
class ReceivedConnection:
    """Connection settings that the server offers: what changed, as far as the agent accepts it.

    Attributes:
        settings_hash: for the report of what became of it.
        heartbeat_seconds: offered with `opamp`; 0: no heartbeats. None: not offered.
        telemetry: by `own_metrics`, `own_traces` and `own_logs`.
        other: by the name that the agent knows.
    """

    settings_hash: bytes
    opamp: Destination | None
    heartbeat_seconds: int | None
    telemetry: Mapping[str, Destination]
    other: Mapping[str, Destination]


@dataclass(frozen=True, slots=True)
class ReceivedError:
    """The server could not process a message; `retry_after` is None unless it told one."""

    type: ErrorType
    text: str
    retry_after: timedelta | None


@dataclass(frozen=True, slots=True)
class ClientStep:
    """What one message of the server means for the agent.

    Attributes:
        outgoing: messages to send now, in this order.
        config: to be applied; None when there is none, or none that differs from the last.
        connection: settings to be tried; None when there are none, or none that differ from the last.
        restart: the agent is told to restart.
        error: if set, everything else is empty.
        custom: a message of a capability that the agent declared.
        renamed: the agent has a new instance uid.
    """

    outgoing: tuple[bytes, ...] = ()
    config: ReceivedConfig | None = None
    connection: ReceivedConnection | None = None
    restart: bool = False
    error: ReceivedError | None = None
    custom: CustomMessageReceived | None = None
    renamed: bool = False


def _attributes(attributes: Mapping[str, str]) -> list[anyvalue.KeyValue]:
    return [
        anyvalue.KeyValue(key=key, value=anyvalue.AnyValue(string_value=value)) for key, value in attributes.items()
    ]


def _health(health: ComponentHealth) -> pb.ComponentHealth:
    return pb.ComponentHealth(
        healthy=health.healthy,
        status=health.status,
        last_error=health.last_error,
        start_time_unix_nano=health.start_time_unix_nano,
        status_time_unix_nano=health.status_time_unix_nano,
        component_health_map={name: _health(child) for name, child in health.components.items()},
        attributes=[*_attributes(health.attributes), *_recent_errors(health)],
    )


def _recent_errors(health: ComponentHealth) -> list[anyvalue.KeyValue]:
    if not health.recent_errors:
        return []
    entries: list[anyvalue.AnyValue] = []
    for one in health.recent_errors:
        pairs = _attributes({"message": one.message})
        pairs.append(anyvalue.KeyValue(key="count", value=anyvalue.AnyValue(int_value=one.count)))
        if one.timestamp is not None:
            pairs += _attributes({"timestamp": one.timestamp.isoformat()})
        entries.append(anyvalue.AnyValue(kvlist_value=anyvalue.KeyValueList(values=pairs)))
    listed = anyvalue.AnyValue(array_value=anyvalue.ArrayValue(values=entries))
    return [anyvalue.KeyValue(key=RECENT_ERRORS, value=listed)]


def _component(component: Component) -> pb.ComponentDetails:
    return pb.ComponentDetails(
        metadata=_attributes(component.metadata),
        sub_component_map={name: _component(member) for name, member in component.members.items()},
    )


def _effective(objects: Mapping[str, EffectiveObject]) -> pb.EffectiveConfig:
    entries = {
        name: pb.AgentConfigObject(body=entry.body, content_type=entry.content_type) for name, entry in objects.items()
    }
    return pb.EffectiveConfig(config_map=pb.AgentConfigMap(config_map=entries))


def _config_status(status: ConfigStatusReported) -> pb.RemoteConfigStatus:
    return pb.RemoteConfigStatus(
        last_remote_config_hash=status.config_hash,
        status=int(status.status),  # type: ignore[arg-type]  # same numbers, proven by a test
        error_message=status.error,
    )


_OWN = (
    (Capability.REPORTS_OWN_METRICS, "own_metrics"),
    (Capability.REPORTS_OWN_TRACES, "own_traces"),
    (Capability.REPORTS_OWN_LOGS, "own_logs"),
)


def _connection_status(status: ConnectionStatusReported) -> pb.ConnectionSettingsStatus:
    return pb.ConnectionSettingsStatus(
        last_connection_settings_hash=status.settings_hash,
        status=int(status.status),  # type: ignore[arg-type]  # same numbers, proven by a test
        error_message=status.error,
    )


def _destination(
    offer: pb.OpAMPConnectionSettings | pb.TelemetryConnectionSettings | pb.OtherConnectionSettings,
) -> Destination:
    certificate = None
    if offer.HasField("certificate"):
        found = offer.certificate
        certificate = Certificate(found.cert, found.private_key, found.ca_cert)
    settings = offer.other_settings if isinstance(offer, pb.OtherConnectionSettings) else {}
    return Destination(
        offer.destination_endpoint,
        tuple((one.key, one.value) for one in offer.headers.headers),
        certificate,
        tuple(sorted(settings.items())),
    )


class ClientState:
    """Protocol state of one simulated agent. See the module's rules.

    Attributes:
        uid: used in the next message.
        server_capabilities: `ServerCapability` bits as the server told them last; 0 before.
        server_custom: custom capabilities of the server.
        last_received_at: monotonic seconds of the last message; 0.0 before.
        heartbeat_seconds: interval that the server offered and the agent took; 0: no heartbeats; None: the agent's own.
    """

    def __init__(
        self,
        uid: AgentUid,
        identifying: Mapping[str, str],
        non_identifying: Mapping[str, str],
        capabilities: int,
        *,
        custom_capabilities: Iterable[str] = (),
        components: Mapping[str, Component] | None = None,
        components_hash: bytes = b"",
        health: ComponentHealth | None = None,
        effective: Mapping[str, EffectiveObject] | None = None,
        config_status: ConfigStatusReported | None = None,
        request_uid: bool = False,
        keeps_uid: bool = False,
        takes_repetitions: bool = False,
        number_of: Callable[[int], int] | None = None,
    ) -> None:
        """An agent that has not connected yet.

        Args:
            uid: 16 bytes.
            identifying: attributes that name the agent.
            non_identifying: attributes of where it runs, and labels.
            capabilities: `Capability` bits; ReportsStatus is always added.
            custom_capabilities: what it declares; messages of others are ignored.
            components: what its build contains, sent when the server asks.
            components_hash: stands for `components` until then.
            health: reported at first; None: not healthy yet.
            effective: the configuration that it runs at first; None: none.
            config_status: kept from an earlier run of this agent; None: it never had a remote configuration.
            request_uid: the uid is a temporary one, and the server is asked for another.
            keeps_uid: a fault of real clients: the uid that the server gives is not used.
            takes_repetitions: a configuration is handed out whenever it is offered, as opamp-go does.
            number_of: the sequence number of the n-th message, from 0 on; None: n. Others are faults of real clients.
        """
        self.uid = uid
        self.server_capabilities = 0
        self.server_custom: frozenset[str] = frozenset()
        self.last_received_at = 0.0
        self.heartbeat_seconds: int | None = None
        self._description = (dict(identifying), dict(non_identifying))
        self._capabilities = int(capabilities) | int(Capability.REPORTS_STATUS)
        self._custom = tuple(custom_capabilities)
        self._components = components
        self._components_hash = components_hash
        self._health = ComponentHealth(healthy=False) if health is None else health
        self._effective: Mapping[str, EffectiveObject] = {} if effective is None else effective
        self._status = config_status
        self._config_hash = b"" if config_status is None else config_status.config_hash
        self._connection_status: ConnectionStatusReported | None = None
        self._connection_hash = b""
        self._offered_heartbeat: int | None = None
        self._request_uid = request_uid
        self._keeps_uid = keeps_uid
        self._takes_repetitions = takes_repetitions
        self._number_of = number_of
        self._sent = 0

    @property
    def capabilities(self) -> int:
        """`Capability` bits of the next message."""
        return self._capabilities

    @property
    def config_hash(self) -> bytes:
        """Of the last configuration that was received, whatever became of it; empty: none."""
        return self._config_hash

    @property
    def next_sequence_num(self) -> int:
        """The number that the next message gets."""
        return self._sent if self._number_of is None else self._number_of(self._sent)

    def _has(self, capability: Capability) -> bool:
        return bool(self._capabilities & capability)

    def _message(self) -> pb.AgentToServer:
        flags = pb.AgentToServerFlags_RequestInstanceUid if self._request_uid else 0
        return pb.AgentToServer(
            instance_uid=self.uid,
            sequence_num=self.next_sequence_num,
            capabilities=self._capabilities,
            flags=flags,
        )

    def _send(self, message: pb.AgentToServer) -> bytes:
        self._sent += 1
        return message.SerializeToString()

    def _full(self, *, with_components: bool) -> bytes:
        message = self._message()
        identifying, non_identifying = self._description
        message.agent_description.SetInParent()
        message.agent_description.identifying_attributes.extend(_attributes(identifying))
        message.agent_description.non_identifying_attributes.extend(_attributes(non_identifying))
        if self._custom:
            message.custom_capabilities.capabilities.extend(self._custom)
        if self._has(Capability.REPORTS_HEALTH):
            message.health.CopyFrom(_health(self._health))
        if self._has(Capability.REPORTS_EFFECTIVE_CONFIG):
            message.effective_config.CopyFrom(_effective(self._effective))
        if self._has(Capability.REPORTS_REMOTE_CONFIG):
            # An empty status says that there never was a configuration: so nothing is missing.
            status = self._status or ConfigStatusReported(b"", ConfigStatus.UNSET)
            message.remote_config_status.CopyFrom(_config_status(status))
        if self._has(Capability.REPORTS_AVAILABLE_COMPONENTS):
            self._add_components(message, with_map=with_components)
        if self._connection_status is not None and self._has(Capability.REPORTS_CONNECTION_SETTINGS_STATUS):
            message.connection_settings_status.CopyFrom(_connection_status(self._connection_status))
        return self._send(message)

    def _add_components(self, message: pb.AgentToServer, *, with_map: bool) -> None:
        message.available_components.hash = self._components_hash
        if with_map:
            for name, component in (self._components or {}).items():
                message.available_components.components[name].CopyFrom(_component(component))

    # ── What the agent says ─────────────────────────────────────────────────────────────────────────────────

    def first_message(self) -> bytes:
        """The full status report that begins a process's life with the server; components by hash."""
        return self._full(with_components=False)

    def heartbeat(self) -> bytes:
        """A message without news; also a poll."""
        return self._send(self._message())

    def reconnected(self) -> bytes:
        """The first message on a new WebSocket: nothing that the server knows, and the sequence goes on."""
        return self.heartbeat()

    def report_status(self, config_hash: bytes, status: ConfigStatus, error: str = "") -> bytes:
        """What became of a configuration; empty when it was said before, or such reports are not declared."""
        report = ConfigStatusReported(config_hash, status, error)
        if report == self._status:
            return b""
        self._status = report
        if not self._has(Capability.REPORTS_REMOTE_CONFIG):
            return b""
        message = self._message()
        message.remote_config_status.CopyFrom(_config_status(report))
        return self._send(message)

    def report_connection(self, settings_hash: bytes, status: ConfigStatus, error: str = "") -> bytes:
        """What became of connection settings; empty when it was said before, or such reports are not declared.

        With APPLIED the heartbeat that was offered under this hash is in force.
        """
        if status is ConfigStatus.APPLIED and settings_hash == self._connection_hash:
            if self._offered_heartbeat is not None:
                self.heartbeat_seconds = self._offered_heartbeat
            self._offered_heartbeat = None
        report = ConnectionStatusReported(settings_hash, status, error)
        if report == self._connection_status:
            return b""
        self._connection_status = report
        if not self._has(Capability.REPORTS_CONNECTION_SETTINGS_STATUS):
            return b""
        message = self._message()
        message.connection_settings_status.CopyFrom(_connection_status(report))
        return self._send(message)

    def report_health(self, health: ComponentHealth) -> bytes:
        """The agent's health; empty when it did not change, or such reports are not declared."""
        if health == self._health:
            return b""
        self._health = health
        if not self._has(Capability.REPORTS_HEALTH):
            return b""
        message = self._message()
        message.health.CopyFrom(_health(health))
        return self._send(message)

    def report_effective(self, objects: Mapping[str, EffectiveObject]) -> bytes:
        """What the agent runs; empty when it did not change, or such reports are not declared."""
        if objects == self._effective:
            return b""
        self._effective = dict(objects)
        if not self._has(Capability.REPORTS_EFFECTIVE_CONFIG):
            return b""
        message = self._message()
        message.effective_config.CopyFrom(_effective(self._effective))
        return self._send(message)

    def describe(self, identifying: Mapping[str, str], non_identifying: Mapping[str, str]) -> bytes:
        """New attributes; empty when they did not change."""
        if (dict(identifying), dict(non_identifying)) == self._description:
            return b""
        self._description = (dict(identifying), dict(non_identifying))
        message = self._message()
        message.agent_description.identifying_attributes.extend(_attributes(identifying))
        message.agent_description.non_identifying_attributes.extend(_attributes(non_identifying))
        message.agent_description.SetInParent()
        return self._send(message)

    def change_capabilities(self, capabilities: int) -> bytes:
        """Declare other capabilities from now on; empty when they did not change."""
        wanted = int(capabilities) | int(Capability.REPORTS_STATUS)
        if wanted == self._capabilities:
            return b""
        self._capabilities = wanted
        return self.heartbeat()

    def send_custom(self, capability: str, type: str, data: bytes) -> bytes:  # noqa: A002  # the field's name
        """A custom message to the server.

        Raises:
            ValueError: the agent did not declare `capability`.
        """
        if capability not in self._custom:
            raise ValueError(f"the agent does not declare {capability!r}")
        message = self._message()
        message.custom_message.capability = capability
        message.custom_message.type = type
        message.custom_message.data = data
        return self._send(message)

    def request_certificate(self, csr: bytes) -> bytes:
        """A request for a client certificate; `csr` is PEM."""
        message = self._message()
        message.connection_settings_request.opamp.certificate_request.csr = csr
        return self._send(message)

    def disconnect(self) -> bytes:
        """The last message before the connection is closed."""
        message = self._message()
        message.agent_disconnect.SetInParent()
        return self._send(message)

    # ── What the server says ────────────────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes | memoryview, now: float) -> ClientStep:
        """Process one message of the server.

        Raises:
            ProtocolError: not a ServerToAgent message.
        """
        try:
            message = pb.ServerToAgent.FromString(data)  # type: ignore[arg-type]  # upb reads any buffer
        except DecodeError as error:
            raise ProtocolError(f"not a ServerToAgent message: {error}", code="opamp.bad-answer") from error
        if message.instance_uid != self.uid:
            return ClientStep()
        self.last_received_at = now
        self.server_capabilities = message.capabilities or self.server_capabilities
        if message.HasField("error_response"):
            return ClientStep(error=self._read_error(message.error_response))
        if message.HasField("command"):
            known = message.command.type == pb.CommandType_Restart
            return ClientStep(restart=known and self._has(Capability.ACCEPTS_RESTART_COMMAND))
        if message.HasField("custom_capabilities"):
            self.server_custom = frozenset(message.custom_capabilities.capabilities)
        renamed = self._take_uid(message)
        return ClientStep(
            outgoing=self._answer_flags(message.flags),
            config=self._take_config(message),
            connection=self._take_connection(message),
            custom=self._take_custom(message),
            renamed=renamed,
        )

    @staticmethod
    def _read_error(error: pb.ServerErrorResponse) -> ReceivedError:
        retry_after = None
        if error.HasField("retry_info"):
            retry_after = timedelta(microseconds=error.retry_info.retry_after_nanoseconds // 1000)
        return ReceivedError(_ERROR_TYPES.get(error.type, ErrorType.UNKNOWN), error.error_message, retry_after)

    def _take_uid(self, message: pb.ServerToAgent) -> bool:
        new = message.agent_identification.new_instance_uid
        if len(new) != UID_BYTES or self._keeps_uid:
            return False
        self.uid = AgentUid(new)
        self._request_uid = False
        return True

    def _answer_flags(self, flags: int) -> tuple[bytes, ...]:
        if flags & pb.ServerToAgentFlags_ReportFullState:
            return (self._full(with_components=True),)
        wants_components = flags & pb.ServerToAgentFlags_ReportAvailableComponents
        if wants_components and self._has(Capability.REPORTS_AVAILABLE_COMPONENTS):
            message = self._message()
            self._add_components(message, with_map=True)
            return (self._send(message),)
        return ()

    def _take_config(self, message: pb.ServerToAgent) -> ReceivedConfig | None:
        if not message.HasField("remote_config") or not self._has(Capability.ACCEPTS_REMOTE_CONFIG):
            return None
        offer = message.remote_config
        if offer.config_hash == self._config_hash and not self._takes_repetitions:
            return None
        self._config_hash = offer.config_hash
        return ReceivedConfig(
            ConfigHash(offer.config_hash),
            {
                name: ConfigObject(entry.body, entry.content_type, entry.role)
                for name, entry in offer.config.config_map.items()
            },
        )

    def _take_connection(self, message: pb.ServerToAgent) -> ReceivedConnection | None:
        offer = message.connection_settings
        if not message.HasField("connection_settings") or offer.hash == self._connection_hash:
            return None
        opamp, heartbeat = None, None
        if offer.HasField("opamp") and self._has(Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS):
            opamp, heartbeat = _destination(offer.opamp), offer.opamp.heartbeat_interval_seconds
        # The names are those of message fields; the stubs want a literal.
        own = [name for bit, name in _OWN if self._has(bit) and offer.HasField(name)]  # type: ignore[arg-type]
        takes_others = self._has(Capability.ACCEPTS_OTHER_CONNECTION_SETTINGS)
        others = offer.other_connections if takes_others else {}
        if opamp is None and not own and not others:
            return None
        self._connection_hash, self._offered_heartbeat = offer.hash, heartbeat
        return ReceivedConnection(
            offer.hash,
            opamp,
            heartbeat,
            {name: _destination(getattr(offer, name)) for name in own},
            {name: _destination(one) for name, one in sorted(others.items())},
        )

    def _take_custom(self, message: pb.ServerToAgent) -> CustomMessageReceived | None:
        custom = message.custom_message
        if not message.HasField("custom_message") or custom.capability not in self._custom:
            return None
        return CustomMessageReceived(custom.capability, custom.type, custom.data)
