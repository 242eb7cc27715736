"""Builders of stored values: every argument has a default, so that a test names only what it is about."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from gitsync.bundle.statements import Envelope, Signature
from gitsync.bundle.tree import Commit
from gitsync.bundle.version import (
    EMPTY_SLOT,
    ConfigObject,
    MatchRules,
    Payload,
    TargetVersion,
    version_digest,
)
from gitsync.collector.document import Origin
from gitsync.control.records import (
    AgentRecord,
    AttemptRecord,
    AuditEntry,
    CommitRecord,
    Lease,
    Pointer,
    Publication,
    ReleaseKind,
    StatementRecord,
    SyncState,
    Verdict,
)
from gitsync.fleet.agent import Agent, Attempt, AttemptState
from gitsync.ids import AgentUid, CommitId, ConfigHash, SourceName, TargetId, VersionDigest
from gitsync.labels import RankedLabels, Selector
from gitsync.rollout.plan import Plan
from gitsync.rollout.state import TargetState, Transition
from gitsync.store import SqlStore

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
SOURCE = SourceName("default")
TARGET = TargetId(SOURCE, "agents/edge")
TTL = timedelta(seconds=15)


def a_commit_id(number: int) -> CommitId:
    return CommitId(hashlib.sha1(f"commit {number}".encode()).hexdigest())


def a_commit(number: int = 1, **changes: Any) -> Commit:
    commit = Commit(
        id=a_commit_id(number),
        tree=hashlib.sha1(f"tree {number}".encode()).hexdigest(),
        parents=(a_commit_id(number - 1),),
        author="Ada Author <ada@example.com>",
        authored_at=NOW - timedelta(hours=1),
        subject=f"Change number {number}",
    )
    return replace(commit, **changes)


def a_commit_record(number: int = 1, **changes: Any) -> CommitRecord:
    record = CommitRecord(
        source=SOURCE,
        commit=a_commit(number),
        verdict=Verdict.ACCEPTED,
        diagnostics=(),
        files=("gitsync.yaml", "agents/edge/target.yaml"),
        seen_at=NOW + timedelta(minutes=number),
    )
    return replace(record, **changes)


def a_payload(text: str = "receivers: {}\n") -> Payload:
    return Payload.of(
        [ConfigObject("collector.yaml", "text/yaml", "", text.encode())],
        MappingProxyType({"receivers": Origin("agents/edge/collector.yaml", 3, 1)}),
    )


def a_version(payload: Payload | None = None, path: str = TARGET.path, **changes: Any) -> TargetVersion:
    fields: dict[str, Any] = {
        "source": SOURCE,
        "path": path,
        "selector": Selector.labels(env="prod"),
        "trusted_only": False,
        "priority": 0,
        "agent_type": "collector",
        "rules": MatchRules(),
        "slots": MappingProxyType({EMPTY_SLOT: (payload or a_payload()).digest}),
        "variants": (),
        **{key: value for key, value in changes.items() if key not in ("origin", "inputs")},
    }
    return TargetVersion(
        digest=version_digest(**fields),
        origin=changes.get("origin", a_commit()),
        inputs=changes.get("inputs", MappingProxyType({"agents/edge/target.yaml": "b" * 40})),
        plan=Plan(),
        **fields,
    )


def an_envelope(text: str = "{}") -> Envelope:
    kind = "application/vnd.gitsync.statement.v1+json"
    return Envelope(kind, text.encode(), (Signature("ab" * 32, b"\x01" * 64),))


def a_statement(version: TargetVersion, text: str = "{}") -> StatementRecord:
    ((slot, digest),) = version.slots.items()
    return StatementRecord(version.path, version.digest, slot, digest, an_envelope(text))


def a_publication(
    lease: Lease,
    number: int = 1,
    *,
    read: Pointer | None = None,
    texts: Mapping[str, str] | None = None,
    **changes: Any,
) -> Publication:
    """Publication `number` of targets with these payload texts, each target at once complete."""
    texts = texts if texts is not None else {TARGET.path: f"receivers: {{r{number}: }}\n"}
    payloads = {path: a_payload(text) for path, text in texts.items()}
    versions = {path: a_version(payload, path, origin=a_commit(number)) for path, payload in payloads.items()}
    publication = Publication(
        source=SOURCE,
        revision=1_700_000_000 + number,
        seq_read=0 if read is None else read.seq,
        epoch=lease.epoch,
        kind=ReleaseKind.PUBLISH,
        head=a_commit_id(number),
        request_id=f"request-{number}",
        created_at=NOW + timedelta(minutes=number),
        versions=tuple(versions.values()),
        payloads=tuple(payloads.values()),
        statements=tuple(a_statement(one, f'{{"revision":{number}}}') for one in versions.values()),
        states=tuple(a_state(one.digest, path=path) for path, one in versions.items()),
        transitions=tuple(
            (path, Transition("commit", None, one.digest, f"commit {number}", NOW)) for path, one in versions.items()
        ),
        audit=(an_audit_entry(number),),
    )
    return replace(publication, **changes)


def a_state(
    stable: VersionDigest | None, completed: Sequence[VersionDigest] = (), path: str = TARGET.path, **changes: Any
) -> TargetState:
    kept = tuple(completed) or (() if stable is None else (stable,))
    return replace(TargetState(SOURCE, path, head=stable, stable=stable, completed=kept), **changes)


def an_audit_entry(number: int = 1, **changes: Any) -> AuditEntry:
    entry = AuditEntry(
        at=NOW + timedelta(minutes=number),
        actor="system",
        action="config_update",
        object="source/default",
        outcome="success",
        reason=f"commit {number}",
        details={"revision": number},
    )
    return replace(entry, **changes)


def a_uid(number: int) -> AgentUid:
    return AgentUid(hashlib.sha256(f"agent {number}".encode()).digest()[:16])


def a_hash(text: str) -> ConfigHash:
    return ConfigHash(hashlib.sha256(text.encode()).digest())


def an_attempt(text: str = "config", **changes: Any) -> Attempt:
    attempt = Attempt(a_hash(text), 1_700_000_001, AttemptState.OFFERED, NOW, NOW)
    return replace(attempt, **changes)


def an_agent(number: int = 1, **changes: Any) -> Agent:
    agent = Agent(
        uid=a_uid(number),
        labels=RankedLabels(reported={"env": "prod", "host.name": f"host-{number}"}),
        identifying_keys=("service.name",),
        capabilities=0x807,
        target=TARGET,
    )
    return replace(agent, **changes)


_RECORD_FIELDS = frozenset(AgentRecord.__slots__) - {"agent"}


def a_record(number: int = 1, **changes: Any) -> AgentRecord:
    """A connected agent; changes go to the record or to the agent in it, whichever has that field."""
    record = AgentRecord(
        agent=an_agent(number, **{key: one for key, one in changes.items() if key not in _RECORD_FIELDS}),
        replica_id="replica-1",
        conn_epoch=1_000,
        connected=True,
        connected_at=NOW,
        last_seen_at=NOW,
        transport="websocket",
        remote_addr="192.0.2.7:41000",
        state=SyncState.PENDING,
        reason="",
        changed_at=NOW,
    )
    return replace(record, **{key: one for key, one in changes.items() if key in _RECORD_FIELDS})


def an_attempt_record(number: int = 1, text: str = "config", **changes: Any) -> AttemptRecord:
    return AttemptRecord(a_uid(number), an_attempt(text, **changes))


async def a_lease(store: SqlStore, holder: str = "replica-1", ttl: timedelta = TTL) -> Lease:
    lease = await store.acquire_lease("leader", holder, ttl)
    assert lease is not None
    return lease


@dataclass(slots=True)
class Leader:
    """A leader that publishes one revision after the other, each with one completed version per target."""

    store: SqlStore
    lease: Lease
    at: Pointer | None = None
    number: int = 0
    completed: tuple[VersionDigest, ...] = ()

    @classmethod
    async def of(cls, store: SqlStore) -> Leader:
        return cls(store, await a_lease(store))

    async def publish(self, kept: int = 50, **changes: Any) -> Publication:
        """Publishes the next revision of `TARGET`; its state remembers the newest `kept` versions."""
        self.number += 1
        publication = a_publication(self.lease, self.number, read=self.at, **changes)
        if publication.versions and "states" not in changes:
            digest = publication.versions[0].digest
            self.completed = (digest, *self.completed)[:kept]
            publication = replace(publication, states=(a_state(digest, self.completed),))
        self.at = await self.store.publish(publication)
        return publication
