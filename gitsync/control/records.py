"""What is kept: the values that cross the `Store` port."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gitsync.bundle.statements import Envelope
from gitsync.bundle.tree import Commit
from gitsync.bundle.version import Payload, Slot, TargetVersion
from gitsync.diagnostics import Diagnostic
from gitsync.fleet.agent import Agent, Attempt
from gitsync.fleet.progress import SyncState as SyncState  # noqa: PLC0414 - part of what is kept
from gitsync.ids import AgentUid, CommitId, ConfigHash, SourceName, TargetId, VersionDigest
from gitsync.labels import Selector
from gitsync.rollout.state import TargetState, Transition


class Verdict(enum.StrEnum):
    """What became of a commit."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class ReleaseKind(enum.StrEnum):
    """Why a revision exists."""

    PUBLISH = "publish"
    BACK = "back"
    PIN = "pin"
    UNPIN = "unpin"
    RESIGN = "resign"
    ROTATE = "rotate"


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A source and its last sync.

    Attributes:
        head: newest commit seen; None before the first fetch.
        fetched_at: last successful contact with the repository.
        error: why the last sync failed; "" when it did not.
    """

    name: SourceName
    url: str
    ref: str
    head: CommitId | None = None
    fetched_at: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """A commit that was judged.

    Attributes:
        files: every file that was judged.
        error: why it was refused as a whole (rewritten history); "" when only `diagnostics` speak.
    """

    source: SourceName
    commit: Commit
    verdict: Verdict
    diagnostics: tuple[Diagnostic, ...]
    files: tuple[str, ...]
    seen_at: datetime
    error: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log; the store gives it its number and place in the hash chain.

    Attributes:
        actor: `token:<id>`, `system`, or `agent:<uid>`.
        action: config_update, sync, login, ... (stable words).
        object: what it was done to (`source/default`, `agent/<uid>`).
        outcome: success | failure.
    """

    at: datetime
    actor: str
    action: str
    object: str
    outcome: str
    reason: str = ""
    agent_uid: AgentUid | None = None
    remote_addr: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act as leader, in database time; `epoch` fences every write."""

    name: str
    holder: str
    epoch: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Pointer:
    """The row that replicas poll: which revision of a source is in effect.

    Attributes:
        seq: rises with every change of state, also those that sign nothing.
    """

    source: SourceName
    revision: int
    seq: int
    head: CommitId
    epoch: int


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """One publication, for history."""

    source: SourceName
    revision: int
    kind: ReleaseKind
    head: CommitId
    created_at: datetime
    restores: int | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class StatementRecord:
    """One signed statement and what it is about."""

    path: str
    version: VersionDigest
    slot: Slot
    config_hash: ConfigHash
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Publication:
    """Everything that one publication writes, in one transaction or not at all.

    Attributes:
        seq_read: the pointer's `seq` that the decision was based on; 0 when there was no pointer. The write is
            refused (`Conflict`) when it has moved on.
        epoch: of the leader's lease; the write is refused when the lease was lost.
        request_id: unique; settles an unknown outcome of COMMIT.
        versions, payloads: may name some that are stored already; those are left as they are.
        redefined: versions that are stored already and whose parts outside of the digest changed (`connection`); they
            replace what is stored of them.
        states: every target state of the source that changed.
    """

    source: SourceName
    revision: int
    seq_read: int
    epoch: int
    kind: ReleaseKind
    head: CommitId
    request_id: str
    created_at: datetime
    restores: int | None = None
    versions: tuple[TargetVersion, ...] = ()
    payloads: tuple[Payload, ...] = ()
    redefined: tuple[TargetVersion, ...] = ()
    statements: tuple[StatementRecord, ...] = ()
    states: tuple[TargetState, ...] = ()
    transitions: tuple[tuple[str, Transition], ...] = ()
    actor: str = "system"
    audit: tuple[AuditEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredSource:
    """The published state of one source, as loaded.

    Attributes:
        versions: every version that a state names (stable, candidate, fallback, waiting, pin, completed).
        payloads: of the versions in use (`TargetState.in_use`).
        statements: of the pointer's revision.
    """

    pointer: Pointer
    release: ReleaseRecord
    states: tuple[TargetState, ...]
    versions: tuple[TargetVersion, ...]
    payloads: tuple[Payload, ...]
    statements: tuple[StatementRecord, ...]


@dataclass(frozen=True, slots=True)
class TransitionRecord:
    """One line of a target's history.

    Attributes:
        commit: that was published then; None when the publication is not kept any more.
        subject: its first line; None when the commit is not kept any more.
    """

    source: SourceName
    path: str
    seq: int
    transition: Transition
    actor: str
    commit: CommitId | None
    subject: str | None


AgentCounts = Mapping[tuple[TargetId | None, SyncState], int]
"""Agents by target and state."""


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """One agent as stored: what is known of it, where it is connected, and how far it is.

    Attributes:
        conn_epoch: microseconds; of two connections the higher one wins.
        connected: whether it is connected now, as far as this record knows.
        transport: websocket | http.
        state, reason: how far it is with what is desired for it now, and why (stable words).
    """

    agent: Agent
    replica_id: str
    conn_epoch: int
    connected: bool
    connected_at: datetime
    last_seen_at: datetime
    transport: str
    remote_addr: str
    state: SyncState
    reason: str
    changed_at: datetime
    healthy: bool | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class AgentFilter:
    """Which agents a list shows; None means all.

    Attributes:
        aliases: short names of labels that the selector may use, and the keys that they stand for, in order.
        after: show those whose uid sorts after this one (paging).
    """

    target: TargetId | None = None
    state: SyncState | None = None
    connected: bool | None = None
    selector: Selector | None = None
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limit: int = 500
    after: AgentUid | None = None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt of one agent, for its history."""

    uid: AgentUid
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Retention:
    """How much history is kept. What runs, is pinned, or is a baseline is never dropped.

    Attributes:
        revisions: newest revisions whose statements are kept, per source.
        attempts: newest attempts per agent.
        agents_silent: agents silent for longer leave the live lists (hours).
    """

    commits: int = 1_000
    revisions: int = 50
    attempts: int = 20
    audit_days: int = 400
    agents_silent_hours: int = 24
