"""`Agent`: everything that is known of one agent and decides what it gets."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gitsync.ids import AgentUid, ConfigHash, TargetId
from gitsync.labels import RankedLabels
from gitsync.opamp.messages import Capability, ComponentHealth, ConfigStatus

STOP = ConfigHash(hashlib.sha256(b"gitsync.stop.v1\0").digest())
"""Stands for the empty configuration, which stops a Collector; sent only to free a stuck supervisor."""
FAILED_KEPT = 20
"""How many failed payloads an agent remembers, newest first."""


class AttemptState(enum.StrEnum):
    """How far one offer came on one agent."""

    OFFERED = "offered"
    APPLYING = "applying"
    APPLIED = "applied"
    PROVEN = "proven"
    FAILED = "failed"
    NO_ANSWER = "no_answer"

    @property
    def is_open(self) -> bool:
        """Whether an answer may still come."""
        return self in (AttemptState.OFFERED, AttemptState.APPLYING)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One payload on its way to one agent.

    Attributes:
        revision: publication that the offer was made from.
        tries: how often it was put on the wire.
    """

    digest: ConfigHash
    revision: int
    state: AttemptState
    offered_at: datetime
    changed_at: datetime
    error: str = ""
    tries: int = 1
    applying_at: datetime | None = None
    applied_at: datetime | None = None
    healthy_at: datetime | None = None
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """The last `remote_config_status` of an agent."""

    digest: ConfigHash
    status: ConfigStatus
    error: str = ""


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent. Replaced on changes of state only; when it was last seen is not part of it.

    Attributes:
        identifying, non_identifying: the attributes it described itself with; `labels.reported` is their union.
        current: newest attempt.
        last_good: newest payload that was proven on it; belongs to `target` and is forgotten with it.
        failed: payloads that failed on it while on trial, newest first.
        error: the agent's words about the newest failure of what is wanted; "" when there is none.
        stuck: it refuses even its last good payload, because its own validation fails on what it runs.
        freed: an empty configuration freed it, and nothing was proven since; that is done once.
        wanted: payload that its target's version wanted for it last.
        effective: digest of the newest effective configuration it reported.
        contained: whether that one contains what `current` sent; None: not judged yet.
        components: hash of its available components.
        flag: what people should look at; a stable word, or None.
    """

    uid: AgentUid
    labels: RankedLabels = field(default_factory=RankedLabels)
    identifying: Mapping[str, str] = field(default_factory=dict)
    non_identifying: Mapping[str, str] = field(default_factory=dict)
    capabilities: int = 0
    reported: Reported | None = None
    current: Attempt | None = None
    last_good: ConfigHash | None = None
    failed: tuple[ConfigHash, ...] = ()
    error: str = ""
    stuck: bool = False
    freed: bool = False
    target: TargetId | None = None
    wanted: ConfigHash | None = None
    health: ComponentHealth | None = None
    effective: bytes | None = None
    contained: bool | None = None
    components: bytes | None = None
    started_at: datetime | None = None
    flag: str | None = None

    def can(self, capability: Capability) -> bool:
        """Whether the agent declares this capability."""
        return bool(self.capabilities & capability)

    @property
    def name(self) -> str:
        """What people call it: service.instance.id, host.name or service.name, whichever is there; else ""."""
        labels = self.labels.reported
        return labels.get("host.name") or labels.get("service.instance.id") or labels.get("service.name") or ""

    @property
    def healthy(self) -> bool | None:
        """Its own word; None when it does not report health."""
        return None if self.health is None or not self.can(Capability.REPORTS_HEALTH) else self.health.healthy
