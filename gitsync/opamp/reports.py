"""From the sub-messages of an AgentToServer to the values of `messages`, within bounds.

Rules
- A peer decides how much it sends, so each collection and each text is cut here; nothing raises.
- Enum numbers that we do not know count as unset (OpAMP, Ignorable Capability Extensions).
- Maps are read in the order of their names: protobuf gives them in any order, and what is cut and which error is named
  first must not change from one message to the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gitsync.opamp.messages import (
    Component,
    ComponentHealth,
    ComponentsReported,
    ConfigStatus,
    ConfigStatusReported,
    ConnectionSettingsRequested,
    ConnectionStatusReported,
    CustomCapabilitiesReported,
    CustomMessageReceived,
    Described,
    EffectiveObject,
    EffectiveReported,
    Event,
    HealthReported,
    PackagesReported,
    PackageState,
    PackageStatus,
    RecentError,
)
from gitsync.opamp.pb import anyvalue_pb2 as anyvalue
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.recent import RECENT_ERRORS, read_recent_errors
from gitsync.opamp.texts import MAX_TEXT_CHARS, text

MAX_ATTRIBUTES = 128
"""Attributes that are kept of one list."""
MAX_HEALTH_NODES = 1024
MAX_HEALTH_DEPTH = 8
MAX_COMPONENTS = 4096
MAX_COMPONENT_DEPTH = 4
MAX_PACKAGES = 64
MAX_HASH_BYTES = 64
"""Bytes that are kept of a hash of a package, which the agent chooses."""
MAX_CUSTOM_CAPABILITIES = 64

_CONFIG_STATUSES = {int(status): status for status in ConfigStatus}
_PACKAGE_STATUSES = {int(status): status for status in PackageStatus}


class _Budget:
    """How many nodes a tree may still have."""

    __slots__ = ("left",)

    def __init__(self, nodes: int) -> None:
        self.left = nodes

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0


def _scalar(value: anyvalue.AnyValue) -> str | None:
    match value.WhichOneof("value"):
        case "string_value":
            return text(value.string_value)
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return repr(value.double_value)
        case _:
            return None


def read_attributes(pairs: Iterable[anyvalue.KeyValue]) -> dict[str, str]:
    """Attributes with a scalar value, as text; the last of equal names counts; long names are left out."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, value = pair.key, pair.value
        # Nearly every value is a text that is not empty; to ask which kind it is costs more than to read it.
        shown = text(value.string_value) if value.string_value else _scalar(value)
        if shown is None or not key or len(key) > MAX_TEXT_CHARS:
            continue
        found[text(key)] = shown
        if len(found) == MAX_ATTRIBUTES:
            break
    return found


def read_health(health: pb.ComponentHealth) -> ComponentHealth:
    """The health tree, at most `MAX_HEALTH_NODES` nodes in `MAX_HEALTH_DEPTH` levels."""
    return _health(health, MAX_HEALTH_DEPTH, _Budget(MAX_HEALTH_NODES))


def _health(health: pb.ComponentHealth, depth: int, budget: _Budget) -> ComponentHealth:
    components: dict[str, ComponentHealth] = {}
    if depth > 1:
        for name, child in sorted(health.component_health_map.items()):
            if not budget.take():
                break
            components[text(name)] = _health(child, depth - 1, budget)
    return ComponentHealth(
        healthy=health.healthy,
        status=text(health.status),
        last_error=text(health.last_error),
        start_time_unix_nano=health.start_time_unix_nano,
        status_time_unix_nano=health.status_time_unix_nano,
        components=components,
        attributes=read_attributes(health.attributes),
        recent_errors=_recent_errors(health.attributes),
    )


def _recent_errors(pairs: Iterable[anyvalue.KeyValue]) -> tuple[RecentError, ...]:
    for pair in pairs:
        if pair.key == RECENT_ERRORS:
            return read_recent_errors(pair.value)
    return ()


def _components(found: Mapping[str, pb.ComponentDetails], depth: int, budget: _Budget) -> dict[str, Component]:
    components: dict[str, Component] = {}
    for name, details in found.items():
        if not budget.take():
            break
        members = _components(details.sub_component_map, depth - 1, budget) if depth > 1 else {}
        components[text(name)] = Component(read_attributes(details.metadata), members)
    return components


def read_components(available: pb.AvailableComponents) -> ComponentsReported:
    """The component inventory, at most `MAX_COMPONENTS` in `MAX_COMPONENT_DEPTH` levels."""
    if not available.components:
        return ComponentsReported(available.hash, None)
    tree = _components(available.components, MAX_COMPONENT_DEPTH, _Budget(MAX_COMPONENTS))
    return ComponentsReported(available.hash, tree)


def read_packages(statuses: pb.PackageStatuses) -> PackagesReported:
    """The package states, at most `MAX_PACKAGES`."""
    packages: dict[str, PackageState] = {}
    for name, status in sorted(statuses.packages.items()):
        if len(packages) == MAX_PACKAGES:
            break
        packages[text(name)] = PackageState(
            version=text(status.agent_has_version),
            hash=status.agent_has_hash[:MAX_HASH_BYTES],
            offered_version=text(status.server_offered_version),
            offered_hash=status.server_offered_hash[:MAX_HASH_BYTES],
            status=_PACKAGE_STATUSES.get(status.status, PackageStatus.INSTALL_PENDING),
            error=text(status.error_message),
            download_percent=_percent(status) if status.HasField("download_details") else None,
        )
    offered = statuses.server_provided_all_packages_hash[:MAX_HASH_BYTES]
    return PackagesReported(packages, offered, text(statuses.error_message))


def _percent(status: pb.PackageStatus) -> float | None:
    """How far the download is; None for what is no percentage (a NaN could not be stored)."""
    percent = status.download_details.download_percent
    return percent if 0 <= percent <= 100 else None


def read_effective(config: pb.EffectiveConfig) -> EffectiveReported:
    """The running configuration; its size is bounded by that of the message."""
    return EffectiveReported(
        {
            text(name): EffectiveObject(entry.body, text(entry.content_type))
            for name, entry in config.config_map.config_map.items()
        }
    )


def read_config_status(status: pb.RemoteConfigStatus) -> ConfigStatusReported:
    """What became of the last configuration."""
    return ConfigStatusReported(
        status.last_remote_config_hash,
        _CONFIG_STATUSES.get(status.status, ConfigStatus.UNSET),
        text(status.error_message),
    )


def read_connection_status(status: pb.ConnectionSettingsStatus) -> ConnectionStatusReported:
    """What became of the last connection settings."""
    return ConnectionStatusReported(
        status.last_connection_settings_hash,
        _CONFIG_STATUSES.get(status.status, ConfigStatus.UNSET),
        text(status.error_message),
    )


def read_custom_capabilities(names: Iterable[str]) -> frozenset[str]:
    """The custom capabilities, at most `MAX_CUSTOM_CAPABILITIES`; over-long names are left out."""
    found: set[str] = set()
    for name in names:
        if 0 < len(name) <= MAX_TEXT_CHARS:
            found.add(name)
        if len(found) == MAX_CUSTOM_CAPABILITIES:
            break
    return frozenset(found)


def read_reports(message: pb.AgentToServer) -> list[Event]:
    """One event for each sub-message that reports something, in a fixed order.

    Capabilities, flags and the disconnect are for the session: they need its state.
    """
    has = message.HasField
    events: list[Event] = []
    if has("agent_description"):
        description = message.agent_description
        events.append(
            Described(
                read_attributes(description.identifying_attributes),
                read_attributes(description.non_identifying_attributes),
            )
        )
    if has("custom_capabilities"):
        names = read_custom_capabilities(message.custom_capabilities.capabilities)
        events.append(CustomCapabilitiesReported(names))
    if has("available_components"):
        events.append(read_components(message.available_components))
    if has("remote_config_status"):
        events.append(read_config_status(message.remote_config_status))
    if has("effective_config"):
        events.append(read_effective(message.effective_config))
    if has("health"):
        events.append(HealthReported(read_health(message.health)))
    if has("package_statuses"):
        events.append(read_packages(message.package_statuses))
    if has("connection_settings_status"):
        events.append(read_connection_status(message.connection_settings_status))
    if has("custom_message"):
        custom = message.custom_message
        events.append(CustomMessageReceived(text(custom.capability), text(custom.type), custom.data))
    if has("connection_settings_request"):
        csr = message.connection_settings_request.opamp.certificate_request.csr
        if csr:
            events.append(ConnectionSettingsRequested(csr))
    return events
