"""Connection settings as they go on the wire: sections with digests, one hash over all, built once and shared.

Rules (OpAMP, Connection Settings Management; the second and third are what real supervisors force on us)
- An offer holds the sections that changed; its hash covers all that the agent could be offered, and is never empty.
- Settings are complete or not built: an OpAMP section has an endpoint, a heartbeat above 0, and with TLS a certificate
  with key and authorities. A supervisor would lose its heartbeats or stop verifying its server otherwise.
- Own metrics, traces and logs are one section: each offer of one of them replaces all three.
- An agent is offered only what its capabilities name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from gitsync.opamp.messages import Capability
from gitsync.opamp.pb import opamp_pb2 as pb

OPAMP = "opamp"
TELEMETRY = "telemetry"
OTHER_PREFIX = "other:"

ASKED = (
    Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS
    | Capability.ACCEPTS_OTHER_CONNECTION_SETTINGS
    | Capability.REPORTS_OWN_TRACES
    | Capability.REPORTS_OWN_METRICS
    | Capability.REPORTS_OWN_LOGS
)
"""The capabilities that decide what an agent may be offered."""
_DOMAIN = b"gitsync.connection.v1\0"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client certificate, its key and the authorities to trust, as PEM."""

    cert: bytes = field(repr=False)
    key: bytes = field(repr=False)
    ca: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Destination:
    """One place to connect to, with all secrets filled in; none of them shows in its text form."""

    endpoint: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    certificate: Certificate | None = field(default=None, repr=False)
    settings: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """All connection settings of a target, filled in.

    Attributes:
        heartbeat_seconds: of `opamp`; above 0.
        other: by the name that agents know.
    """

    opamp: Destination | None = None
    heartbeat_seconds: int = 30
    own_metrics: Destination | None = None
    own_traces: Destination | None = None
    own_logs: Destination | None = None
    other: Mapping[str, Destination] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the settings that is offered whole.

    Attributes:
        digest: tells whether it changed.
        body: a serialised ConnectionSettingsOffers with nothing else in it.
    """

    digest: bytes
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Offerable:
    """What agents with the same capabilities can be offered.

    Attributes:
        hash: over all of it.
        sections: by name (`opamp`, `telemetry`, `other:NAME`).
        heartbeat_seconds: in force once the `opamp` section is taken.
    """

    hash: bytes
    sections: Mapping[str, Section]
    heartbeat_seconds: int


def offerable(settings: ConnectionSettings, capabilities: int) -> Offerable:
    """What an agent with these capability bits can be offered of the settings; maybe nothing.

    Raises:
        ValueError: the settings are not complete; such an offer would strand agents.
    """
    sections: dict[str, Section] = {}
    if settings.opamp is not None and capabilities & Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS:
        sections[OPAMP] = _section(OPAMP, pb.ConnectionSettingsOffers(opamp=_opamp(settings)))
    telemetry = _telemetry(settings, capabilities)
    if telemetry is not None:
        sections[TELEMETRY] = _section(TELEMETRY, telemetry)
    if capabilities & Capability.ACCEPTS_OTHER_CONNECTION_SETTINGS:
        for name, one in sorted(settings.other.items()):
            offers = pb.ConnectionSettingsOffers(other_connections={name: _other(one)})
            sections[OTHER_PREFIX + name] = _section(OTHER_PREFIX + name, offers)
    whole = hashlib.sha256(_DOMAIN)
    for name, section in sections.items():
        whole.update(len(name.encode()).to_bytes(4, "big") + name.encode() + section.digest)
    return Offerable(whole.digest(), sections, settings.heartbeat_seconds)


@lru_cache(maxsize=64)
def _joined(hash_: bytes, bodies: tuple[bytes, ...]) -> bytes:
    offers = pb.ConnectionSettingsOffers(hash=hash_).SerializeToString() + b"".join(bodies)
    message = pb.ServerToAgent(connection_settings=pb.ConnectionSettingsOffers.FromString(offers))
    return message.SerializeToString(deterministic=True)


def connection_tail(offer: Offerable, names: Iterable[str]) -> bytes:
    """These sections as a tail: a serialised ServerToAgent without instance uid.

    Raises:
        ValueError: no section; an offer of nothing makes agents reconnect all the same.
    """
    bodies = tuple(offer.sections[name].body for name in sorted(names))
    if not bodies or not offer.hash:
        raise ValueError("an offer of connection settings needs at least one section, and a hash")
    return _joined(offer.hash, bodies)


def _section(name: str, offers: pb.ConnectionSettingsOffers) -> Section:
    body = offers.SerializeToString(deterministic=True)
    return Section(hashlib.sha256(_DOMAIN + name.encode() + b"\0" + body).digest(), body)


def _opamp(settings: ConnectionSettings) -> pb.OpAMPConnectionSettings:
    one = settings.opamp
    if one is None or not one.endpoint:
        raise ValueError("OpAMP settings need an endpoint")
    if settings.heartbeat_seconds <= 0:
        raise ValueError("OpAMP settings need a heartbeat: 0 switches it off")
    if one.certificate is None and one.endpoint.lower().startswith(("wss:", "https:")):
        raise ValueError("OpAMP settings with TLS need a certificate: without it agents stop verifying the server")
    return pb.OpAMPConnectionSettings(
        destination_endpoint=one.endpoint,
        headers=_headers(one),
        certificate=_certificate(one),
        heartbeat_interval_seconds=settings.heartbeat_seconds,
    )


_OWN: tuple[tuple[Capability, str, Callable[[ConnectionSettings], Destination | None]], ...] = (
    (Capability.REPORTS_OWN_METRICS, "own_metrics", lambda one: one.own_metrics),
    (Capability.REPORTS_OWN_TRACES, "own_traces", lambda one: one.own_traces),
    (Capability.REPORTS_OWN_LOGS, "own_logs", lambda one: one.own_logs),
)


def _telemetry(settings: ConnectionSettings, capabilities: int) -> pb.ConnectionSettingsOffers | None:
    offers = pb.ConnectionSettingsOffers()
    for bit, name, of in _OWN:
        one = of(settings)
        if one is None or not capabilities & bit:
            continue
        if not one.endpoint:
            raise ValueError(f"{name} needs an endpoint")
        found = pb.TelemetryConnectionSettings(
            destination_endpoint=one.endpoint, headers=_headers(one), certificate=_certificate(one)
        )
        getattr(offers, name).CopyFrom(found)
    return offers if offers.ByteSize() else None


def _other(one: Destination) -> pb.OtherConnectionSettings:
    return pb.OtherConnectionSettings(
        destination_endpoint=one.endpoint,
        headers=_headers(one),
        certificate=_certificate(one),
        other_settings=dict(one.settings),
    )


def _headers(one: Destination) -> pb.Headers | None:
    """None when there are none: for `other` a field that is not set keeps what the agent has."""
    if not one.headers:
        return None
    return pb.Headers(headers=[pb.Header(key=key, value=value) for key, value in one.headers])


def _certificate(one: Destination) -> pb.TLSCertificate | None:
    found = one.certificate
    if found is None:
        return None
    if not (found.cert and found.key and found.ca):
        raise ValueError("a certificate needs its key and the authorities")
    return pb.TLSCertificate(cert=found.cert, private_key=found.key, ca_cert=found.ca)
