"""Stored forms of what is known of agents. Pure; the rules are those of `codec`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import orjson

from gitsync.fleet.agent import Agent, Attempt, AttemptState, CommandState, Reported, Restart
from gitsync.fleet.connection import AgentConnection, OfferState, SectionOffer
from gitsync.fleet.health import keep
from gitsync.fleet.observe import identifying_keys
from gitsync.ids import AgentUid, ConfigHash, TargetId
from gitsync.labels import Rank, RankedLabels
from gitsync.opamp.messages import (
    ComponentHealth,
    ConfigStatus,
    PackagesReported,
    PackageState,
    PackageStatus,
    RecentError,
)
from gitsync.opamp.texts import share
from gitsync.store.codec import (
    VERSION,
    dump,
    load,
    maybe_at,
    maybe_bytes,
    parse_at,
    plain,
    reading,
    show_at,
    show_bytes,
)
from gitsync.store.tables import clean, from_micros, to_micros

_SIGNED = 1 << 63
_UNSIGNED = 1 << 64

MAX_LABEL_KEY_BYTES = 1024
"""Labels with longer keys are kept, but lists cannot select by them (PostgreSQL limits what an index row may hold)."""


def _dump(kind: str, body: dict[str, Any]) -> str:
    """As `codec.dump`, in a tenth of the time: the status of each agent is written after every publication.

    For bodies without floats: a NaN would become null.

    Raises:
        GitsyncError: a value has no JSON form.
    """
    body["v"] = VERSION
    try:
        return orjson.dumps(body, default=plain, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:  # half a surrogate pair, or a number of more than 64 bits
        return dump(kind, body)


def signed(bits: int) -> int:
    """Capability bits as the signed 64-bit number that databases have; agents may set any of the 64."""
    return (bits + _SIGNED) % _UNSIGNED - _SIGNED


def unsigned(number: int) -> int:
    """The inverse of `signed`."""
    return number % _UNSIGNED


def encode_labels(labels: RankedLabels) -> str:
    """The labels of all ranks."""
    return _dump("labels", {rank.name.lower(): dict(labels.of_rank(rank)) for rank in Rank})


def decode_labels(text: str) -> RankedLabels:
    """The inverse of `encode_labels`."""
    body = load("labels", text)
    with reading("labels"):
        return RankedLabels(*(_texts(body[rank.name.lower()]) for rank in Rank))


def label_hash(encoded: str) -> bytes:
    """Tells whether the rows of `agent_label` must be written again."""
    return hashlib.sha256(encoded.encode()).digest()


def label_rows(uid: bytes, labels: RankedLabels) -> list[tuple[bytes, str, int, str]]:
    """The rows of `agent_label` (uid, key, rank, value): what SQL selects by."""
    rows: dict[tuple[str, int], tuple[bytes, str, int, str]] = {}
    for rank in Rank:
        number = int(rank)
        for key, value in labels.of_rank(rank).items():
            name = clean(key)
            if len(name) <= MAX_LABEL_KEY_BYTES and (name.isascii() or len(name.encode()) <= MAX_LABEL_KEY_BYTES):
                # Two keys may become one when unstorable characters are replaced: the first one stays.
                rows.setdefault((name, number), (uid, name, number, clean(value)))
    return list(rows.values())


def encode_description(agent: Agent) -> str:
    """Which of the agent's reported labels name it."""
    return _dump("description", {"keys": list(agent.identifying_keys)})


def decode_description(text: str) -> tuple[str, ...]:
    """The names of the identifying attributes."""
    body = load("description", text)
    with reading("description"):
        if "keys" in body:
            return identifying_keys(share(key) for key in body["keys"])
        # Earlier rows have the attributes of both kinds with their values, which are in the labels, too.
        _, earlier = body["non_identifying"], body["identifying"]
        return identifying_keys(share(key) for key in _texts(earlier))


def encode_status(agent: Agent) -> str:
    """How far the agent is: everything of it that changes often."""
    return _dump(
        "agent status",
        {
            "reported": None if agent.reported is None else _reported_body(agent.reported),
            "current": None if agent.current is None else _attempt_body(agent.current),
            "last_good": show_bytes(agent.last_good),
            "failed": [one.hex() for one in agent.failed],
            "error": agent.error,
            "stuck": agent.stuck,
            "freed": agent.freed,
            "target": None if agent.target is None else [agent.target.source, agent.target.path],
            "wanted": show_bytes(agent.wanted),
            "health": None if agent.health is None else _health_body(agent.health),
            "contained": agent.contained,
            **({} if agent.packages is None else {"packages": _packages_body(agent.packages)}),
            "flag": agent.flag,
            **({} if agent.restart is None else {"restart": _restart_body(agent.restart)}),
            **({} if agent.twin is None else {"twin": agent.twin.hex()}),
            **({} if agent.connection is None else {"connection": _connection_body(agent.connection)}),
        },
    )


def decode_status(text: str) -> dict[str, Any]:
    """The fields of `Agent` that `encode_status` keeps, by name."""
    body = load("agent status", text)
    with reading("agent status"):
        last_good, wanted = maybe_bytes(body["last_good"]), maybe_bytes(body["wanted"])
        return {
            "reported": None if body["reported"] is None else _reported_from(body["reported"]),
            "current": None if body["current"] is None else _attempt_from(body["current"]),
            "last_good": None if last_good is None else ConfigHash(last_good),
            "failed": tuple(ConfigHash(bytes.fromhex(one)) for one in body["failed"]),
            "error": body["error"],
            "stuck": body["stuck"],
            "freed": body["freed"],
            "target": None if body["target"] is None else TargetId(*body["target"]),
            "wanted": None if wanted is None else ConfigHash(wanted),
            "health": None if body["health"] is None else keep(_health_from(body["health"])),
            "contained": body["contained"],
            "packages": None if body.get("packages") is None else _packages_from(body["packages"]),
            "flag": body["flag"],
            "restart": None if body.get("restart") is None else _restart_from(body["restart"]),
            "twin": None if body.get("twin") is None else AgentUid(bytes.fromhex(body["twin"])),
            "connection": None if body.get("connection") is None else _connection_from(body["connection"]),
        }


_NO_TEXTS: Mapping[str, str] = MappingProxyType({})


def _texts(body: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({share(key): share(value) for key, value in body.items()}) if body else _NO_TEXTS


def _connection_body(known: AgentConnection) -> dict[str, Any]:
    return {
        "hash": known.hash.hex(),
        "sections": {name: [one.digest.hex(), str(one.state)] for name, one in known.sections.items()},
        "offered_at": show_at(known.offered_at),
        "changed_at": show_at(known.changed_at),
        "epoch": known.epoch,
        "promised": known.promised_seconds,
        "heartbeat": known.heartbeat_seconds,
        "other": known.reports_other,
        "repeated": known.repeated,
        "doubts_health": known.doubts_health,
        "error": known.error,
    }


def _connection_from(body: Mapping[str, Any]) -> AgentConnection:
    return AgentConnection(
        hash=bytes.fromhex(body["hash"]),
        sections={
            name: SectionOffer(bytes.fromhex(digest), OfferState(state))
            for name, (digest, state) in body["sections"].items()
        },
        offered_at=parse_at(body["offered_at"]),
        changed_at=parse_at(body["changed_at"]),
        epoch=body["epoch"],
        promised_seconds=body["promised"],
        heartbeat_seconds=body["heartbeat"],
        reports_other=body["other"],
        repeated=body["repeated"],
        doubts_health=body["doubts_health"],
        error=body["error"],
    )


def _reported_body(reported: Reported) -> dict[str, Any]:
    return {"digest": reported.digest.hex(), "status": int(reported.status), "error": reported.error}


def _reported_from(body: Mapping[str, Any]) -> Reported:
    return Reported(ConfigHash(bytes.fromhex(body["digest"])), ConfigStatus(body["status"]), body["error"])


def _restart_body(restart: Restart) -> dict[str, Any]:
    return {
        "state": str(restart.state),
        "requested_at": show_at(restart.requested_at),
        "changed_at": show_at(restart.changed_at),
        "sign": restart.sign,
    }


def _restart_from(body: Mapping[str, Any]) -> Restart:
    state = CommandState(body["state"])
    return Restart(state, parse_at(body["requested_at"]), parse_at(body["changed_at"]), body["sign"])


def _attempt_body(attempt: Attempt) -> dict[str, Any]:
    # Written for every status of every agent: what has its default is left out, and instants are microseconds.
    body: dict[str, Any] = {
        "digest": attempt.digest.hex(),
        "revision": attempt.revision,
        "state": str(attempt.state),
        "offered_at": to_micros(attempt.offered_at),
        "changed_at": to_micros(attempt.changed_at),
    }
    if attempt.error:
        body["error"] = attempt.error
    if attempt.tries != 1:
        body["tries"] = attempt.tries
    if attempt.applying_at is not None:
        body["applying_at"] = to_micros(attempt.applying_at)
    if attempt.applied_at is not None:
        body["applied_at"] = to_micros(attempt.applied_at)
    if attempt.healthy_at is not None:
        body["healthy_at"] = to_micros(attempt.healthy_at)
    if attempt.failed_at is not None:
        body["failed_at"] = to_micros(attempt.failed_at)
    if attempt.repeated:
        body["repeated"] = True
    if attempt.is_due:
        body["is_due"] = True
    return body


def _attempt_from(body: Mapping[str, Any]) -> Attempt:
    def instant(name: str) -> datetime | None:
        value = body.get(name)
        # Earlier rows have ISO 8601.
        return from_micros(value) if isinstance(value, int) else maybe_at(value)

    offered_at, changed_at = instant("offered_at"), instant("changed_at")
    if offered_at is None or changed_at is None:
        raise ValueError("an attempt without its instants")
    return Attempt(
        digest=ConfigHash(bytes.fromhex(body["digest"])),
        revision=body["revision"],
        state=AttemptState(body["state"]),
        offered_at=offered_at,
        changed_at=changed_at,
        error=body.get("error", ""),
        tries=body.get("tries", 1),
        applying_at=instant("applying_at"),
        applied_at=instant("applied_at"),
        healthy_at=instant("healthy_at"),
        failed_at=instant("failed_at"),
        repeated=body.get("repeated", False),
        is_due=body.get("is_due", False),
    )


def _health_body(health: ComponentHealth) -> dict[str, Any]:
    # Most components have nothing but "healthy": what has its default is left out.
    body: dict[str, Any] = {"healthy": health.healthy}
    if health.status:
        body["status"] = health.status
    if health.last_error:
        body["last_error"] = health.last_error
    if health.start_time_unix_nano:
        body["start"] = health.start_time_unix_nano
    if health.status_time_unix_nano:
        body["at"] = health.status_time_unix_nano
    if health.components:
        body["components"] = {name: _health_body(one) for name, one in health.components.items()}
    if health.attributes:
        body["attributes"] = dict(health.attributes)
    if health.recent_errors:
        body["errors"] = [[show_at(one.timestamp), one.message, one.count] for one in health.recent_errors]
    return body


def _health_from(body: Mapping[str, Any]) -> ComponentHealth:
    return ComponentHealth(
        healthy=body["healthy"],
        status=body.get("status", ""),
        last_error=body.get("last_error", ""),
        start_time_unix_nano=body.get("start", 0),
        status_time_unix_nano=body.get("at", 0),
        components={share(name): _health_from(one) for name, one in body.get("components", {}).items()},
        attributes={share(name): value for name, value in body.get("attributes", {}).items()},
        recent_errors=tuple(RecentError(maybe_at(at), message, count) for at, message, count in body.get("errors", ())),
    )


def _packages_body(reported: PackagesReported) -> dict[str, Any]:
    packages = {
        name: {
            "version": one.version,
            "hash": one.hash.hex(),
            "offered_version": one.offered_version,
            "offered_hash": one.offered_hash.hex(),
            "status": int(one.status),
            "error": one.error,
            "percent": one.download_percent,
        }
        for name, one in reported.packages.items()
    }
    return {"packages": packages, "offered": reported.offered_hash.hex(), "error": reported.error}


def _packages_from(body: Mapping[str, Any]) -> PackagesReported:
    packages = {
        share(name): PackageState(
            version=share(one["version"]),
            hash=bytes.fromhex(one["hash"]),
            offered_version=share(one["offered_version"]),
            offered_hash=bytes.fromhex(one["offered_hash"]),
            status=PackageStatus(one["status"]),
            error=one["error"],
            download_percent=one["percent"],
        )
        for name, one in body["packages"].items()
    }
    return PackagesReported(packages, bytes.fromhex(body["offered"]), body["error"])
