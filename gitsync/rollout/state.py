"""`TargetState`: the only thing that decides what the agents of a target get.

Digests are opaque here. One state exists per (source, target); only the leader replaces it, one transition at a time.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gitsync.ids import BlobId, CommitId, SourceName, TargetId, VersionDigest
from gitsync.rollout.cohort import Cohort
from gitsync.rollout.plan import Plan

COMPLETED_KEPT = 50
"""How many completed versions a target remembers, newest first."""


class Phase(enum.StrEnum):
    """Where a rollout stands (the vocabulary of Argo Rollouts)."""

    PENDING = "Pending"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ABORTED = "Aborted"
    ROLLED_BACK = "RolledBack"
    SUPERSEDED = "Superseded"


@dataclass(frozen=True, slots=True)
class Rollout:
    """The moving of a target's agents from `baseline` to `candidate`; either may be absent."""

    id: str
    baseline: VersionDigest | None
    candidate: VersionDigest | None
    plan: Plan
    phase: Phase
    cohort: Cohort
    entered_at: datetime
    windows: tuple[bool, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pin:
    """A version that somebody holds the target at until one of the culprit files changes."""

    commit: CommitId
    version: VersionDigest | None
    culprits: Mapping[str, BlobId | None]
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Content that failed; not offered again until one of its culprit files changes."""

    digest: VersionDigest
    revision: int
    culprits: Mapping[str, BlobId | None]
    at: datetime
    evidence: str


@dataclass(frozen=True, slots=True)
class TargetState:
    """What the agents of one target should have.

    Attributes:
        head: version in the newest good commit; None when that commit has no such target.
        stable: version that agents have or return to; None: the target does not exist for them.
        fallback: the version before `stable` that agents may be sent back to.
        completed: versions that a rollout completed, newest first, without repeats.
    """

    source: SourceName
    path: str
    head: VersionDigest | None = None
    stable: VersionDigest | None = None
    fallback: VersionDigest | None = None
    rollout: Rollout | None = None
    waiting: VersionDigest | None = None
    completed: tuple[VersionDigest, ...] = ()
    pin: Pin | None = None
    quarantine: tuple[Quarantined, ...] = ()
    suspended: bool = False
    frozen: bool = False

    @property
    def id(self) -> TargetId:
        """Which target this is the state of."""
        return TargetId(self.source, self.path)

    def in_effect(self, bucket: int) -> VersionDigest | None:
        """The version for an agent with this rollout bucket; None: the target does not exist for it."""
        if self.rollout is not None and self.rollout.cohort.contains(bucket):
            return self.rollout.candidate
        return self.stable

    def in_use(self) -> frozenset[VersionDigest]:
        """Every version that an agent may be given now."""
        candidate = None if self.rollout is None else self.rollout.candidate
        known = (
            self.stable,
            self.fallback,
            candidate,
            self.waiting,
            None if self.pin is None else self.pin.version,
        )
        return frozenset(one for one in known if one is not None)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a commit wants for one target."""

    digest: VersionDigest
    plan: Plan
    inputs: Mapping[str, BlobId] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counts:
    """Agents of one cohort by state."""

    eligible: int = 0
    offered: int = 0
    applying: int = 0
    applied: int = 0
    proven: int = 0
    failed: int = 0
    unhealthy: int = 0
    disconnected: int = 0
    no_answer: int = 0
    drifted: int = 0


@dataclass(frozen=True, slots=True)
class Transition:
    """One thing that happened to a target, for people and for history.

    Attributes:
        cause: commit | delete | complete | back | connection (stable words).
        before, after: the target's stable version.
    """

    cause: str
    before: VersionDigest | None
    after: VersionDigest | None
    reason: str
    at: datetime
