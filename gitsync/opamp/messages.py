"""What agents say, as frozen values: the events that a `Session` returns, and the bits and enums around them.

Rules
- Nothing here refers to generated code, so these values can be stored, compared and handed to any layer.
- Everything that a peer controls is bounded where it is read (`reports`), never here.
- An event is a report of one whole sub-message: it replaces what was known before (Agent Status
  Compression).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TypeVar

from gitsync.ids import AgentUid

ATTESTATION_CAPABILITY = "io.gitsync.attestation.v1"
"""Custom capability of agents that want a signed statement beside each configuration."""
STATEMENT_TYPE = "statement"
"""Type of the custom message that carries a statement."""


class Capability(enum.IntFlag):
    """Bits of AgentToServer.capabilities: what an agent does, and what it lets the server do."""

    REPORTS_STATUS = 0x1
    ACCEPTS_REMOTE_CONFIG = 0x2
    REPORTS_EFFECTIVE_CONFIG = 0x4
    ACCEPTS_PACKAGES = 0x8
    REPORTS_PACKAGE_STATUSES = 0x10
    REPORTS_OWN_TRACES = 0x20
    REPORTS_OWN_METRICS = 0x40
    REPORTS_OWN_LOGS = 0x80
    ACCEPTS_OPAMP_CONNECTION_SETTINGS = 0x100
    ACCEPTS_OTHER_CONNECTION_SETTINGS = 0x200
    ACCEPTS_RESTART_COMMAND = 0x400
    REPORTS_HEALTH = 0x800
    REPORTS_REMOTE_CONFIG = 0x1000
    REPORTS_HEARTBEAT = 0x2000
    REPORTS_AVAILABLE_COMPONENTS = 0x4000
    REPORTS_CONNECTION_SETTINGS_STATUS = 0x8000


class ServerCapability(enum.IntFlag):
    """Bits of ServerToAgent.capabilities. A server sets only those whose feature works."""

    ACCEPTS_STATUS = 0x1
    OFFERS_REMOTE_CONFIG = 0x2
    ACCEPTS_EFFECTIVE_CONFIG = 0x4
    OFFERS_PACKAGES = 0x8
    ACCEPTS_PACKAGES_STATUS = 0x10
    OFFERS_CONNECTION_SETTINGS = 0x20
    ACCEPTS_CONNECTION_SETTINGS_REQUEST = 0x40


class ConfigStatus(enum.IntEnum):
    """What became of an offer, of configuration or of connection settings."""

    UNSET = 0
    APPLIED = 1
    APPLYING = 2
    FAILED = 3


class PackageStatus(enum.IntEnum):
    """State of one package on an agent."""

    INSTALLED = 0
    INSTALL_PENDING = 1
    INSTALLING = 2
    INSTALL_FAILED = 3
    DOWNLOADING = 4


class ErrorType(enum.IntEnum):
    """Class of a ServerErrorResponse."""

    UNKNOWN = 0
    BAD_REQUEST = 1
    UNAVAILABLE = 2


_V = TypeVar("_V")
_NOTHING: Mapping[str, object] = MappingProxyType({})


def _nothing() -> Mapping[str, _V]:
    """One empty mapping for everybody: a tree of health has dozens of them."""
    return _NOTHING  # type: ignore[return-value]  # it is empty, so it holds any kind of value


@dataclass(frozen=True, slots=True)
class RecentError:
    """One entry of the attribute `recent_errors`.

    Attributes:
        timestamp: None when none was told, or none that can be read.
        count: how often it happened; at least 1.
    """

    timestamp: datetime | None
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """Health of an agent, or of one of its components.

    Attributes:
        status: a word of the agent's own; may be empty.
        last_error: may be empty, also when not healthy.
        start_time_unix_nano: 0 when it does not run, or is not told.
        components: children by name, in the order of their names.
        recent_errors: newest first.
    """

    healthy: bool
    status: str = ""
    last_error: str = ""
    start_time_unix_nano: int = 0
    status_time_unix_nano: int = 0
    components: Mapping[str, ComponentHealth] = field(default_factory=_nothing)
    attributes: Mapping[str, str] = field(default_factory=_nothing)
    recent_errors: tuple[RecentError, ...] = ()


@dataclass(frozen=True, slots=True)
class EffectiveObject:
    """One object of the configuration that an agent runs."""

    body: bytes
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """One component that an agent's build contains, or a kind of component with its members."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Component] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PackageState:
    """One package on an agent; versions and hashes are empty where there is none.

    Attributes:
        download_percent: None unless the agent tells how far a download is.
    """

    version: str
    hash: bytes
    offered_version: str
    offered_hash: bytes
    status: PackageStatus
    error: str = ""
    download_percent: float | None = None


# ── Events ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Described:
    """AgentDescription, values as text. Lists, maps and bytes are left out."""

    identifying: Mapping[str, str]
    non_identifying: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CapabilitiesChanged:
    """The capability bits differ from those before; unknown bits are kept."""

    bits: int


@dataclass(frozen=True, slots=True)
class HealthReported:
    """ComponentHealth of the whole agent."""

    health: ComponentHealth


@dataclass(frozen=True, slots=True)
class EffectiveReported:
    """EffectiveConfig: object name (often the empty one) to object."""

    objects: Mapping[str, EffectiveObject]


@dataclass(frozen=True, slots=True)
class ConfigStatusReported:
    """RemoteConfigStatus.

    Attributes:
        config_hash: as the agent echoes it; empty when it never got a configuration.
    """

    config_hash: bytes
    status: ConfigStatus
    error: str = ""


@dataclass(frozen=True, slots=True)
class ComponentsReported:
    """AvailableComponents.

    Attributes:
        hash: computed by the agent; equal for equal builds.
        components: None when the agent sent the hash only.
    """

    hash: bytes
    components: Mapping[str, Component] | None


@dataclass(frozen=True, slots=True)
class PackagesReported:
    """PackageStatuses.

    Attributes:
        offered_hash: hash of the last offer that the agent received.
    """

    packages: Mapping[str, PackageState]
    offered_hash: bytes
    error: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionStatusReported:
    """ConnectionSettingsStatus; APPLIED is a claim, only the new connection is proof."""

    settings_hash: bytes
    status: ConfigStatus
    error: str = ""


@dataclass(frozen=True, slots=True)
class CustomCapabilitiesReported:
    """CustomCapabilities of the agent."""

    capabilities: frozenset[str]


@dataclass(frozen=True, slots=True)
class CustomMessageReceived:
    """CustomMessage."""

    capability: str
    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ConnectionSettingsRequested:
    """The agent asks for a client certificate; `csr` is PEM as it came, not checked."""

    csr: bytes


@dataclass(frozen=True, slots=True)
class UidRequested:
    """The agent uses a temporary instance uid; answer with `Session.rename`."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """The agent took the instance uid that it was given: history of `old` goes on under `new`."""

    old: AgentUid
    new: AgentUid


@dataclass(frozen=True, slots=True)
class SequenceBroken:
    """The number of a message does not follow the one before.

    Something was lost, the agent is a new process, or there are two of them.
    """

    previous: int
    number: int


@dataclass(frozen=True, slots=True)
class NumberRepeated:
    """A message has the number of the one before: it is said again, or two agents count alike."""

    number: int


@dataclass(frozen=True, slots=True)
class OffersOpened:
    """From now on the agent may be offered a configuration."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The agent said that this is its last message. It may come more than once."""


Event = (
    Described
    | CapabilitiesChanged
    | HealthReported
    | EffectiveReported
    | ConfigStatusReported
    | ComponentsReported
    | PackagesReported
    | ConnectionStatusReported
    | CustomCapabilitiesReported
    | CustomMessageReceived
    | ConnectionSettingsRequested
    | UidRequested
    | Renamed
    | SequenceBroken
    | NumberRepeated
    | OffersOpened
    | Disconnected
)
