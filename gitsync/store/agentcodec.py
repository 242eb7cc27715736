"""Stored forms of what is known of agents. Pure; the rules are those of `codec`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gitsync.fleet.agent import Agent, Attempt, AttemptState, Reported
from gitsync.ids import ConfigHash, TargetId
from gitsync.labels import Rank, RankedLabels
from gitsync.opamp.messages import ComponentHealth, ConfigStatus
from gitsync.store.codec import dump, load, maybe_at, maybe_bytes, parse_at, reading, show_at, show_bytes
from gitsync.store.tables import clean

_SIGNED = 1 << 63
_UNSIGNED = 1 << 64

MAX_LABEL_KEY_BYTES = 1024
"""Labels with longer keys are kept, but lists cannot select by them (PostgreSQL limits what an index row may hold)."""


def signed(bits: int) -> int:
    """Capability bits as the signed 64-bit number that databases have; agents may set any of the 64."""
    return (bits + _SIGNED) % _UNSIGNED - _SIGNED


def unsigned(number: int) -> int:
    """The inverse of `signed`."""
    return number % _UNSIGNED


def encode_labels(labels: RankedLabels) -> str:
    """The labels of all ranks."""
    return dump("labels", {rank.name.lower(): dict(labels.of_rank(rank)) for rank in Rank})


def decode_labels(text: str) -> RankedLabels:
    """The inverse of `encode_labels`."""
    body = load("labels", text)
    with reading("labels"):
        return RankedLabels(*(_texts(body[rank.name.lower()]) for rank in Rank))


def label_hash(encoded: str) -> bytes:
    """Tells whether the rows of `agent_label` must be written again."""
    return hashlib.sha256(encoded.encode()).digest()


def label_rows(uid: bytes, labels: RankedLabels) -> list[dict[str, Any]]:
    """The rows of `agent_label`: what SQL selects by."""
    rows: dict[tuple[str, Rank], dict[str, Any]] = {}
    for rank in Rank:
        for key, value in labels.of_rank(rank).items():
            if len(key.encode("utf-8", "replace")) <= MAX_LABEL_KEY_BYTES:
                # Two keys may become one when unstorable characters are replaced: the first one stays.
                rows.setdefault((clean(key), rank), {"uid": uid, "key": clean(key), "rank": int(rank), "value": value})
    return list(rows.values())


def encode_description(agent: Agent) -> str:
    """What the agent said of itself."""
    return dump(
        "description",
        {"identifying": dict(agent.identifying), "non_identifying": dict(agent.non_identifying)},
    )


def decode_description(text: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Identifying and non-identifying attributes."""
    body = load("description", text)
    with reading("description"):
        return _texts(body["identifying"]), _texts(body["non_identifying"])


def encode_status(agent: Agent) -> str:
    """How far the agent is: everything of it that changes often."""
    return dump(
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
            "flag": agent.flag,
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
            "health": None if body["health"] is None else _health_from(body["health"]),
            "contained": body["contained"],
            "flag": body["flag"],
        }


def _texts(body: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(body))


def _reported_body(reported: Reported) -> dict[str, Any]:
    return {"digest": reported.digest.hex(), "status": int(reported.status), "error": reported.error}


def _reported_from(body: Mapping[str, Any]) -> Reported:
    return Reported(ConfigHash(bytes.fromhex(body["digest"])), ConfigStatus(body["status"]), body["error"])


def _attempt_body(attempt: Attempt) -> dict[str, Any]:
    return {
        "digest": attempt.digest.hex(),
        "revision": attempt.revision,
        "state": str(attempt.state),
        "offered_at": show_at(attempt.offered_at),
        "changed_at": show_at(attempt.changed_at),
        "error": attempt.error,
        "tries": attempt.tries,
        "applying_at": show_at(attempt.applying_at),
        "applied_at": show_at(attempt.applied_at),
        "healthy_at": show_at(attempt.healthy_at),
        "failed_at": show_at(attempt.failed_at),
    }


def _attempt_from(body: Mapping[str, Any]) -> Attempt:
    return Attempt(
        digest=ConfigHash(bytes.fromhex(body["digest"])),
        revision=body["revision"],
        state=AttemptState(body["state"]),
        offered_at=parse_at(body["offered_at"]),
        changed_at=parse_at(body["changed_at"]),
        error=body["error"],
        tries=body["tries"],
        applying_at=maybe_at(body["applying_at"]),
        applied_at=maybe_at(body["applied_at"]),
        healthy_at=maybe_at(body["healthy_at"]),
        failed_at=maybe_at(body["failed_at"]),
    )


def _health_body(health: ComponentHealth) -> dict[str, Any]:
    # Most trees have up to a thousand leaves with nothing but "healthy": what has its default is left out.
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
    return body


def _health_from(body: Mapping[str, Any]) -> ComponentHealth:
    return ComponentHealth(
        healthy=body["healthy"],
        status=body.get("status", ""),
        last_error=body.get("last_error", ""),
        start_time_unix_nano=body.get("start", 0),
        status_time_unix_nano=body.get("at", 0),
        components={name: _health_from(one) for name, one in body.get("components", {}).items()},
        attributes=dict(body.get("attributes", {})),
    )
