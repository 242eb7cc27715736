"""`Service`: what the REST interface, the metrics and the webhooks may ask of the running process.

Reads of what is kept go straight to `store`; this protocol has only what lives in memory or starts work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from gitsync.bundle.version import Payload
from gitsync.control.meters import Meters
from gitsync.control.ports import Store
from gitsync.control.records import AgentRecord, SourceRecord, SyncState
from gitsync.fleet.agent import Restart
from gitsync.ids import AgentUid, CommitId, ConfigHash, SourceName, TargetId, VersionDigest
from gitsync.rollout.state import Phase

SyncOutcome = Literal["noop", "published", "rejected", "refused", "error", "started"]
"""What came of one sync.

`refused`: the source is not what it must be (rewritten history); `rejected`: the commit has errors;
`started`: nobody waited for the end.
"""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source, its last sync, and what of it is in effect.

    Attributes:
        published: commit of the release in effect; None before the first one.
        revision: of the release in effect; None before the first one.
        last_result: outcome of the last sync, a word of `SyncOutcome`; "" before the first one.
        suspended: whether new commits of it are left unpublished on purpose.
    """

    record: SourceRecord
    published: CommitId | None = None
    revision: int | None = None
    last_result: str = ""
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What one sync did.

    Attributes:
        commit: newest commit of the source as this sync saw it; None when it could not be fetched.
        revision: in effect after the sync; None when the source has published nothing.
        error: why nothing was published, one sentence; "" otherwise.
        errors: how many diagnostics of the commit are errors.
    """

    outcome: SyncOutcome
    commit: CommitId | None = None
    revision: int | None = None
    error: str = ""
    errors: int = 0


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """How far the connection settings of a target are, as this process sees it.

    Attributes:
        problem: why they are not offered, or not to anybody else; "" when all is well.
        waiting: agents that were told where to connect and are not back yet.
        done: agents that are back.
        bad: agents that said FAILED or did not come back in time.
        held: agents that are told once others are back.
    """

    problem: str = ""
    waiting: int = 0
    done: int = 0
    bad: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """One target as it is in effect now.

    Attributes:
        selector: text form; `(everything)` for the default target.
        config_hash: the payload that its agents are given; None when it has several.
        commit: where the version in effect first appeared.
        counts: known agents by how far they are; states without agents may be missing.
        phase: of its rollout; SUCCEEDED when none is under way.
        connection: of its connection settings; None when it has none.
    """

    id: TargetId
    selector: str
    agent_type: str
    priority: int
    version: VersionDigest
    config_hash: ConfigHash | None
    commit: CommitId
    revision: int
    counts: Mapping[SyncState, int] = field(default_factory=dict)
    phase: Phase = Phase.SUCCEEDED
    suspended: bool = False
    connection: ConnectionStatus | None = None

    @property
    def path(self) -> str:
        """Directory in the config tree."""
        return self.id.path


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an agent has what it has, made on demand.

    Attributes:
        target: that it belongs to; None when no target selects it.
        reason: a stable word (`fleet.assign.Reason`).
        text: one sentence for people.
        steps: the decision step by step.
        wanted: payload that its target wants for it.
        commit: where the version in effect for it first appeared.
        revision: of the release in effect of its target's source.
        state: how far it is with what is wanted now, which an agent that is away may never have been asked for.
        last_seen: its last word of any kind, heartbeats too; None when this process does not serve it.
    """

    target: TargetId | None
    reason: str
    text: str
    steps: tuple[str, ...] = ()
    wanted: ConfigHash | None = None
    commit: CommitId | None = None
    revision: int | None = None
    state: SyncState | None = None
    last_seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether this process should get traffic.

    Attributes:
        checks: name to `ok`, or to what is wrong in a few words.
    """

    ready: bool
    checks: Mapping[str, str] = field(default_factory=dict)


class Service(Protocol):
    """The running process, as its web side sees it (`app` builds it)."""

    @property
    def store(self) -> Store:
        """Everything that is kept."""

    @property
    def meters(self) -> Meters:
        """Everything that is counted."""

    def sources(self) -> Sequence[SourceStatus]:
        """All sources, by name."""

    async def sync(self, source: SourceName, *, actor: str, wait: bool) -> SyncResult:
        """Looks at the repository now, and writes an audit line.

        Args:
            source: name of an existing source.
            actor: who asked, for the audit log (`token:<id>`).
            wait: False returns `started` at once; True returns what came of it.

        Raises:
            Unavailable: this process is not the leader, or it stops.
            KeyError: there is no such source.
        """

    async def restart(self, uid: AgentUid, *, actor: str, remote_addr: str = "") -> Restart:
        """Tells an agent to restart, and writes an audit line.

        Args:
            uid: of the agent.
            actor: who asked, for the audit log.
            remote_addr: where from.

        Raises:
            KeyError: no such agent is known.
            Conflict: it cannot be told: not connected, connected to another server, or without the capability.
            Unavailable: the store is away.
        """

    def ring(self, source: SourceName, announced: CommitId | None) -> None:
        """A doorbell: something may be new, maybe this commit. Unknown sources are ignored; never raises."""

    def targets(self) -> Sequence[TargetStatus]:
        """Every target that exists now, by source and path; agents are counted that this process serves."""

    def aliases(self) -> Mapping[str, tuple[str, ...]]:
        """Short names of labels in the configuration in effect, and the keys that they stand for, in order."""
        ...

    def explain(self, uid: AgentUid, record: AgentRecord) -> Explanation:
        """Why this agent has what it has; `record` is used when the agent is not connected here."""

    def readiness(self) -> Readiness:
        """Whether this process is ready."""

    def public_root(self) -> bytes:
        """JSON of what verifiers trust: the public keys and the threshold."""

    async def payload(self, digest: ConfigHash) -> Payload | None:
        """A payload with provenance where it is known; None when there is none of this digest.

        Raises:
            Unavailable: the store is away.
        """
