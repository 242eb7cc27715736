"""What the use cases need from the world. Drivers match these shapes; they do not import them (`app` checks)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from gitsync.bundle.statements import Envelope, Signature
from gitsync.bundle.tree import Commit, ConfigTree
from gitsync.bundle.version import CompileResult, Payload
from gitsync.control.records import (
    AgentCounts,
    AgentFilter,
    AgentRecord,
    AttemptRecord,
    AuditEntry,
    CommitRecord,
    Lease,
    Pointer,
    Publication,
    ReleaseRecord,
    Retention,
    SourceRecord,
    StoredSource,
    TransitionRecord,
)
from gitsync.fleet.agent import Attempt
from gitsync.ids import AgentUid, CommitId, ConfigHash, SourceName


class Clock(Protocol):
    """Time, from outside."""

    def now(self) -> datetime:
        """The instant, aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""


class Random(Protocol):
    """Chance, from outside."""

    def uniform(self, low: float, high: float) -> float:
        """A number between both."""

    def token(self) -> str:
        """A new unguessable text."""

    def uuid7(self, now: datetime) -> AgentUid:
        """A new instance uid."""


class Fetched(Protocol):
    """The outcome of one fetch."""

    @property
    def head(self) -> CommitId:
        """Newest commit of the followed branch."""

    @property
    def found(self) -> bool:
        """Whether the commit that was expected is there; True when none was."""


class Repository(Protocol):
    """The mirror of one source (driver: `repo.mirror.Mirror`)."""

    async def open(self) -> None:
        """Makes the mirror ready, repairing what a crash left; raises Unavailable or SettingsError."""

    async def fetch(self, expected: CommitId | None = None) -> Fetched:
        """Brings the newest commits; raises Unavailable or SettingsError."""

    async def is_ancestor(self, old: CommitId, new: CommitId) -> bool:
        """Whether `new` descends from `old` (or is it); False too when `old` is unknown here."""

    async def load_commit(self, commit: CommitId) -> Commit:
        """Who changed what and when."""

    async def load_tree(self, commit: CommitId) -> ConfigTree:
        """The files of a commit."""

    def watch(self) -> AsyncGenerator[None, None]:
        """Yields when the repository may have changed; only local repositories ever do."""


class Compiler(Protocol):
    """Judges and compiles commits (driver: `worker.CompileWorker`, a separate process)."""

    async def compile(self, tree: ConfigTree) -> CompileResult:
        """Never raises on what a user wrote; a crash of the process is a diagnostic."""


class Signer(Protocol):
    """Holds a private key, maybe in another process."""

    @property
    def keyid(self) -> str:
        """SHA-256 of the public key's SPKI, hex."""

    async def sign(self, bodies: Sequence[bytes]) -> Sequence[Signature]:
        """A DSSE signature of each statement body."""


class Secrets(Protocol):
    """What connection settings name and Git must not hold (driver: `server.SecretFiles`)."""

    async def load(self, names: Collection[str]) -> Mapping[str, str]:
        """Those of the secrets that can be read; never raises."""
        ...


class Store(Protocol):
    """Everything that is kept (driver: `store.SqlStore` on SQLite or PostgreSQL).

    Every method raises Unavailable when the database is away or locked for too long.
    """

    async def acquire_lease(self, name: str, holder: str, ttl: timedelta) -> Lease | None:
        """The lease with a new epoch, when it is free or expired (database time); None when another holds it."""

    async def renew_lease(self, lease: Lease, ttl: timedelta) -> Lease | None:
        """The same lease, longer; None when it was lost."""

    async def release_lease(self, lease: Lease) -> None:
        """Gives the lease back; nothing happens when it was lost."""

    async def load_source(self, name: SourceName) -> SourceRecord | None:
        """The source's row."""

    async def save_source(self, record: SourceRecord) -> None:
        """Inserts or replaces the source's row."""

    async def save_commit(self, record: CommitRecord) -> None:
        """Inserts or replaces a judged commit; its `seen_at` stays the first one."""

    async def load_commit(self, source: SourceName, prefix: str) -> CommitRecord | None:
        """The commit whose id begins with `prefix` (at least 4 digits); InvalidConfig when several do."""

    async def list_commits(
        self, source: SourceName, limit: int, before: datetime | None = None
    ) -> Sequence[CommitRecord]:
        """Newest first, by `seen_at`."""

    async def load_pointers(self) -> Sequence[Pointer]:
        """The pointer of every published source: the one cheap query that is polled."""

    async def load_published(self, source: SourceName) -> StoredSource | None:
        """What is published; None before the first publication."""

    async def load_payloads(self, digests: Sequence[ConfigHash]) -> Mapping[ConfigHash, Payload]:
        """The payloads that exist, by digest (without provenance where it was not kept)."""

    async def publish(self, publication: Publication) -> Pointer:
        """Writes it in one transaction; Conflict when the lease or the pointer has moved on.

        Calling it again with the same `request_id` after an unknown outcome returns the pointer that it made.
        """

    async def list_releases(self, source: SourceName, limit: int, before: int | None = None) -> Sequence[ReleaseRecord]:
        """Newest first, by revision."""

    async def list_transitions(self, source: SourceName, path: str | None, limit: int) -> Sequence[TransitionRecord]:
        """Newest first."""

    async def load_statements(self, digest: ConfigHash) -> Sequence[Envelope]:
        """Statements of the newest revision of each source for a payload (targets may share one)."""

    async def load_agents(self, uids: Sequence[AgentUid]) -> Mapping[AgentUid, AgentRecord]:
        """The stored rows of these agents."""

    async def load_last_good(self) -> frozenset[ConfigHash]:
        """Payloads that are some known agent's last good one."""

    async def save_agents(
        self,
        records: Sequence[AgentRecord],
        attempts: Sequence[AttemptRecord],
        before: Mapping[AgentUid, AgentRecord] | None = None,
    ) -> None:
        """Inserts or replaces in one transaction; a row with a higher `conn_epoch` is left alone.

        Of agents in `before`, which were stored earlier, only what differs is written.
        """

    async def list_agents(self, query: AgentFilter) -> Sequence[AgentRecord]:
        """By uid."""

    async def count_agents(self) -> AgentCounts:
        """Known, not long silent agents by target and state."""

    async def count_builds(self, source: SourceName) -> Mapping[tuple[str, bytes], int]:
        """Known, not long silent agents of a source, by path of their target and hash of their components."""

    async def list_attempts(self, uid: AgentUid, limit: int) -> Sequence[AttemptRecord]:
        """Newest first."""

    async def mark_disconnected(self, replica_id: str, at: datetime) -> int:
        """At start: agents that this replica was serving when it died are not connected; how many there were."""

    async def keep_blob(self, digest: bytes, kind: str, body: bytes, at: datetime) -> None:
        """Stores a large value once (effective configurations, component lists)."""

    async def load_blob(self, digest: bytes) -> bytes | None:
        """Its content."""

    async def append_audit(self, entries: Sequence[AuditEntry]) -> None:
        """Adds lines to the hash chain."""

    async def list_audit(self, limit: int, before: int | None = None) -> Sequence[tuple[int, AuditEntry]]:
        """Newest first, with their numbers."""

    async def sweep(self, retention: Retention, now: datetime) -> int:
        """Drops what retention allows; how many rows went."""


class AgentJournal(Protocol):
    """Agent facts out: batched, newest value per agent wins; never blocks (driver: `store.Journal`)."""

    async def load_agents(self, uids: Sequence[AgentUid]) -> Mapping[AgentUid, AgentRecord]:
        """The newest rows, also those that are not written yet; raises Unavailable when the store is away."""

    def note(self, record: AgentRecord) -> None:
        """Keeps the newest record of the agent for the next batch."""

    def note_later(self, uid: AgentUid, current: Attempt | None, record: Callable[[], AgentRecord]) -> None:
        """As `note`; `record`, the same object each time, is called when the batch is written.

        `current` is the attempt of now, for the history.
        """

    def note_blob(self, digest: bytes, kind: str, body: bytes) -> None:
        """Keeps a large value for the next batch; a digest that was kept lately costs nothing."""


class Cache(Protocol):
    """The published state on this machine's disk, for a start without the database."""

    async def save(self, sources: Sequence[StoredSource]) -> None:
        """Replaces it by an atomic rename."""

    async def load(self) -> Sequence[StoredSource] | None:
        """None when there is none, or it cannot be read."""


class AgentLink(Protocol):
    """One socket or one POST of one or several agents (driver: `server.opamp`)."""

    @property
    def transport(self) -> str:
        """`websocket` or `http`."""

    @property
    def remote_addr(self) -> str:
        """`ip:port` of the peer."""

    @property
    def is_open(self) -> bool:
        """Whether something can be sent now; never for a POST, whose answers travel as replies."""

    def send(self, parts: Sequence[bytes], *, is_config: bool = False) -> None:
        """Writes one ServerToAgent (the concatenation of the parts, without the frame header) in one frame.

        While the peer does not read, only the newest message with `is_config` is kept for each agent.
        """

    def ping(self) -> None:
        """Asks the peer for a sign of life; a link whose peer gives none ends some time later. Nothing for a POST."""

    def pause(self, seconds: float) -> None:
        """Takes nothing in for so long, so that the peer has to wait. Nothing for a POST, which ends by itself."""

    def close(self, code: int, reason: str) -> None:
        """Starts the closing handshake with this close code."""


class AgentHandler(Protocol):
    """What the listener calls (`control.agents.Agents`); synchronous, never raises, never blocks."""

    def opened(self, link: AgentLink) -> None:
        """A socket is ready (WebSocket), or a POST has begun."""

    def receive(self, link: AgentLink, data: bytes) -> Sequence[bytes]:
        """One AgentToServer without frame header in; the reply's parts out, to be written as one message.

        An empty sequence: nothing to send. A message that cannot be read gets an error reply.
        """

    def closed(self, link: AgentLink) -> None:
        """The socket is gone, or the POST was answered."""
