"""Builders: the smallest valid value of each kind, with whatever a test cares about set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from gitsync.bundle.tree import Commit
from gitsync.bundle.version import (
    COLLECTOR,
    COLLECTOR_CONTENT_TYPE,
    COLLECTOR_OBJECT,
    EMPTY_SLOT,
    ConfigObject,
    MatchRules,
    Payload,
    TargetVersion,
    version_digest,
)
from gitsync.fleet.agent import Agent
from gitsync.fleet.desired import Desired
from gitsync.ids import DEFAULT_SOURCE, AgentUid, CommitId, ConfigHash, TargetId, VersionDigest
from gitsync.labels import RankedLabels, Selector
from gitsync.opamp.messages import Capability, ComponentHealth
from gitsync.rollout.plan import Plan
from gitsync.rollout.state import TargetState

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SUPERVISOR = (
    Capability.REPORTS_STATUS
    | Capability.ACCEPTS_REMOTE_CONFIG
    | Capability.REPORTS_EFFECTIVE_CONFIG
    | Capability.REPORTS_HEALTH
    | Capability.REPORTS_REMOTE_CONFIG
)


def later(seconds: float) -> datetime:
    """An instant after NOW."""
    return NOW + timedelta(seconds=seconds)


def a_uid(number: int = 1) -> AgentUid:
    """A valid UUIDv7 as bytes."""
    return AgentUid(bytes.fromhex("018f6c3e7a1b7c2d9e4f") + number.to_bytes(6, "big"))


def a_commit(number: int = 1, subject: str = "a change") -> Commit:
    """A commit whose id follows from its number."""
    identity = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()
    return Commit(CommitId(identity), identity[::-1], (), "Ann <ann@example.com>", NOW, subject)


def a_payload(text: str = "a", *, name: str = COLLECTOR_OBJECT) -> Payload:
    """A payload with one object."""
    return Payload.of([ConfigObject(name, COLLECTOR_CONTENT_TYPE, "", text.encode())])


def a_hash(text: str = "a") -> ConfigHash:
    """The digest of `a_payload(text)`."""
    return a_payload(text).digest


def a_version(
    path: str = "agents",
    text: str = "a",
    *,
    selector: Selector | None = None,
    default: bool = False,
    agent_type: str = COLLECTOR,
    priority: int = 0,
    trusted_only: bool = False,
    rules: MatchRules | None = None,
    suspend: bool = False,
    commit: Commit | None = None,
) -> TargetVersion:
    """A target version that gives `a_payload(text)` to everybody it selects (everybody, by default)."""
    selects = None if default else (selector if selector is not None else Selector())
    rules = rules if rules is not None else MatchRules()
    slots = {EMPTY_SLOT: a_hash(text)}
    digest = version_digest(
        source=DEFAULT_SOURCE,
        path=path,
        selector=selects,
        trusted_only=trusted_only,
        priority=priority,
        agent_type=agent_type,
        rules=rules,
        variants=(),
        slots=slots,
    )
    return TargetVersion(
        source=DEFAULT_SOURCE,
        path=path,
        digest=digest,
        origin=commit or a_commit(),
        selector=selects,
        trusted_only=trusted_only,
        priority=priority,
        agent_type=agent_type,
        rules=rules,
        slots=slots,
        inputs={},
        plan=Plan(),
        suspend=suspend,
    )


def a_state(version: TargetVersion, *, fallback: TargetVersion | None = None) -> TargetState:
    """The state of a target whose stable version is this one."""
    completed = tuple(one.digest for one in (version, fallback) if one is not None)
    return TargetState(
        version.source,
        version.path,
        head=version.digest,
        stable=version.digest,
        fallback=None if fallback is None else fallback.digest,
        completed=completed,
    )


def a_desired(*versions: TargetVersion, fallbacks: Mapping[str, TargetVersion] | None = None) -> Desired:
    """What is desired when these versions are stable."""
    fallbacks = fallbacks or {}
    states = {one.id: a_state(one, fallback=fallbacks.get(one.path)) for one in versions}
    known: dict[tuple[TargetId, VersionDigest], TargetVersion] = {
        (one.id, one.digest): one for one in (*versions, *fallbacks.values())
    }
    return Desired(states=states, versions=known)


def an_agent(
    labels: Mapping[str, str] | None = None,
    *,
    number: int = 1,
    capabilities: int = int(SUPERVISOR),
    service: str = "otelcol",
    healthy: bool = True,
    **known: object,
) -> Agent:
    """A supervised Collector with these reported labels."""
    reported = {"service.name": service, **(labels or {})}
    agent = Agent(
        uid=a_uid(number),
        labels=RankedLabels(reported=reported),
        identifying_keys=("service.name",),
        capabilities=capabilities,
        health=ComponentHealth(healthy=healthy),
    )
    from dataclasses import replace

    return replace(agent, **known)  # type: ignore[arg-type]
