"""A service for tests of the web side and of the CLI: a real store with real records, and no background work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from gitsync.bundle.statements import Envelope, Signature
from gitsync.bundle.version import EMPTY_SLOT, ConfigObject, Payload, TargetVersion
from gitsync.collector.node import Origin
from gitsync.control.meters import Meters
from gitsync.control.records import (
    AgentRecord,
    AttemptRecord,
    AuditEntry,
    CommitRecord,
    Publication,
    ReleaseKind,
    SourceRecord,
    StatementRecord,
    SyncState,
    Verdict,
)
from gitsync.control.service import (
    ConnectionStatus,
    Explanation,
    Readiness,
    SourceStatus,
    SyncResult,
    TargetStatus,
)
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.errors import GitsyncError
from gitsync.fleet.agent import Agent, Attempt, AttemptState, CommandState, Reported, Restart
from gitsync.fleet.assign import assign
from gitsync.fleet.desired import Desired
from gitsync.fleet.why import reason_text, steps
from gitsync.ids import DEFAULT_SOURCE, AgentUid, CommitId, ConfigHash, SourceName, TargetId
from gitsync.labels import Selector
from gitsync.opamp.messages import (
    Capability,
    ComponentHealth,
    ConfigStatus,
    PackagesReported,
    PackageState,
    PackageStatus,
    RecentError,
)
from gitsync.rollout.state import Phase, Transition
from gitsync.store import SqlStore, StoreOptions
from tests.support.builders import NOW, a_commit, a_desired, a_state, a_version, an_agent

REVISION = 1_763_000_001
EDGE_CONFIG = "exporters:\n  otlp:\n    endpoint: backend:4317\n"
GOOD, BAD = a_commit(1, "Add the edge"), a_commit(2, "Break the edge")
ERROR = Diagnostic(
    "agents/collector.yaml", 7, 18, Severity.ERROR, "GS2101", "pipeline refers to exporter otpl", "did you mean otlp?"
)
WARNING = Diagnostic("agents/collector.yaml", 3, 0, Severity.WARNING, "GS2901", "nothing uses this receiver", "")


@dataclass
class SteppingClock:
    """Time that moves only when a test says so."""

    at: datetime = NOW
    seconds: float = 1_000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class WebService:
    """The port `Service` over a real store; what it was asked to start is written down."""

    store: SqlStore
    desired: Desired
    payloads: dict[ConfigHash, Payload]
    meters: Meters = field(default_factory=Meters)
    statuses: list[SourceStatus] = field(default_factory=list)
    synced: list[tuple[SourceName, str, bool]] = field(default_factory=list)
    rung: list[tuple[SourceName, CommitId | None]] = field(default_factory=list)
    result: SyncResult = field(default_factory=lambda: SyncResult("noop", GOOD.id, REVISION))
    failure: GitsyncError | None = None
    restarted: list[tuple[AgentUid, str]] = field(default_factory=list)
    cannot_restart: dict[AgentUid, GitsyncError] = field(default_factory=dict)
    after_restart: Callable[[AgentUid], Awaitable[None]] | None = None
    hang: asyncio.Event | None = None
    ready: Readiness = field(default_factory=lambda: Readiness(True, {"store": "ok", "leader": "this server"}))
    root: bytes = b"{}"

    def sources(self) -> Sequence[SourceStatus]:
        return self.statuses

    async def sync(self, source: SourceName, *, actor: str, wait: bool) -> SyncResult:
        self.synced.append((source, actor, wait))
        if self.hang is not None:
            await self.hang.wait()
        if self.failure is not None:
            raise self.failure
        return self.result

    async def restart(self, uid: AgentUid, *, actor: str, remote_addr: str = "") -> Restart:
        record = (await self.store.load_agents([uid])).get(uid)
        if record is None:
            raise KeyError(uid)
        self.restarted.append((uid, actor))
        if uid in self.cannot_restart:
            raise self.cannot_restart[uid]
        restart = Restart(CommandState.SENT, NOW, NOW)
        await self.store.save_agents([replace(record, agent=replace(record.agent, restart=restart))], [])
        if self.after_restart is not None:
            await self.after_restart(uid)
        return restart

    def ring(self, source: SourceName, announced: CommitId | None) -> None:
        self.rung.append((source, announced))

    def targets(self) -> Sequence[TargetStatus]:
        return [self._target(one) for one in self.desired.versions.values()]

    def _target(self, one: TargetVersion) -> TargetStatus:
        counts = {SyncState.APPLIED: 1, SyncState.FAILED: 1} if one.path == "agents" else {}
        return TargetStatus(
            id=one.id,
            selector=str(one.selector),
            agent_type=one.agent_type,
            priority=one.priority,
            version=one.digest,
            config_hash=one.slots[EMPTY_SLOT],
            commit=one.origin.id,
            revision=REVISION,
            counts=counts,
            phase=Phase.SUCCEEDED,
            connection=ConnectionStatus("stopped", waiting=1, done=2, bad=1, held=3) if one.path == "agents" else None,
        )

    def aliases(self) -> Mapping[str, tuple[str, ...]]:
        return {name: keys for one in self.desired.versions.values() for name, keys in one.rules.aliases.items()}

    def explain(self, uid: AgentUid, record: AgentRecord) -> Explanation:
        found = assign(record.agent, self.desired)
        version = None
        if found.target is not None and found.version is not None:
            version = self.desired.versions[found.target, found.version]
        return Explanation(
            target=found.target,
            reason=str(found.reason),
            text=reason_text(record.agent, found),
            steps=steps(record.agent, self.desired, found),
            wanted=found.wanted,
            commit=None if version is None else version.origin.id,
            revision=None if version is None else REVISION,
        )

    def readiness(self) -> Readiness:
        return self.ready

    def public_root(self) -> bytes:
        return self.root

    async def payload(self, digest: ConfigHash) -> Payload | None:
        return self.payloads.get(digest)


def edge_payload() -> Payload:
    """The payload of the target `agents`, with provenance."""
    body = ConfigObject("collector.yaml", "text/yaml", "", EDGE_CONFIG.encode())
    return Payload.of([body], {"exporters::otlp::endpoint": Origin("agents/collector.yaml", 3, 15)})


def an_envelope(text: str) -> Envelope:
    """An envelope as it is stored; nothing here checks its signature."""
    return Envelope("application/vnd.gitsync.statement.v1+json", text.encode(), (Signature("ab" * 32, b"\1" * 64),))


def fleet() -> list[AgentRecord]:
    """Three agents: one is well, one failed, one cannot take a configuration."""
    wanted = edge_payload().digest
    done = Attempt(wanted, REVISION, AttemptState.PROVEN, NOW, NOW, applied_at=NOW, healthy_at=NOW)
    broke = Attempt(wanted, REVISION, AttemptState.FAILED, NOW, NOW, error="bind: address in use", failed_at=NOW)
    edge = {"role": "edge", "env": "prod"}
    healthy = ComponentHealth(
        healthy=True,
        status="StatusOK",
        components={"pipeline:traces": ComponentHealth(True)},
        attributes={"cpu_usage_percent": "12.5", "queue_size": "40"},
        recent_errors=(RecentError(NOW, "connection refused", 3),),
    )
    plugin = PackageState("1.2.0", b"\1" * 4, "", b"", PackageStatus.INSTALLED)
    target = TargetId(DEFAULT_SOURCE, "agents")
    return [
        _record(
            an_agent(
                {**edge, "host.name": "edge-1", "service.version": "0.149.0"},
                number=1,
                current=done,
                reported=Reported(wanted, ConfigStatus.APPLIED),
                target=target,
                last_good=wanted,
                health=healthy,
                packages=PackagesReported({"plugin": plugin}, b""),
                effective=b"e" * 32,
                contained=True,
            ),
            SyncState.APPLIED,
            healthy=True,
        ),
        _record(
            an_agent(
                {**edge, "host.name": "edge-2"},
                number=2,
                current=broke,
                reported=Reported(wanted, ConfigStatus.FAILED, "bind: address in use"),
                target=target,
                failed=(wanted,),
                flag="wanted-failed",
                health=ComponentHealth(False, last_error="bind: address in use"),
            ),
            SyncState.FAILED,
            healthy=False,
            error="bind: address in use",
        ),
        _record(
            an_agent({"role": "gateway", "host.name": "gw-1"}, number=3, capabilities=int(Capability.REPORTS_STATUS)),
            SyncState.PENDING,
            connected=False,
            transport="http",
        ),
    ]


def _record(
    agent: Agent,
    state: SyncState,
    *,
    healthy: bool | None = None,
    error: str = "",
    connected: bool = True,
    transport: str = "websocket",
) -> AgentRecord:
    return AgentRecord(
        agent=agent,
        replica_id="replica-1",
        conn_epoch=1,
        connected=connected,
        connected_at=NOW,
        last_seen_at=NOW,
        transport=transport,
        remote_addr="192.0.2.7:41000",
        state=state,
        reason="",
        changed_at=NOW,
        healthy=healthy,
        error=error,
    )


async def open_service(directory: Path) -> WebService:
    """A service with one release, two targets, two judged commits and three agents; close its `store`."""
    store = await SqlStore.open(StoreOptions(f"sqlite:///{directory / 'gitsync.db'}"))
    payload = edge_payload()
    edge = replace(
        a_version("agents", selector=Selector.labels(role="edge"), commit=GOOD), slots={EMPTY_SLOT: payload.digest}
    )
    gateway = a_version("gateways", "gateway config", selector=Selector.labels(role="gateway"), commit=GOOD)
    gateway_payload = Payload.of([ConfigObject("collector.yaml", "text/yaml", "", b"gateway config")])
    await _publish(store, [edge, gateway], [payload, gateway_payload])
    await _save_commits(store)
    records = fleet()
    attempts = [AttemptRecord(one.agent.uid, one.agent.current) for one in records if one.agent.current is not None]
    await store.save_agents(records, attempts)
    await store.keep_blob(b"e" * 32, "effective", b"exporters: {}\n", NOW)
    status = SourceStatus(
        SourceRecord(DEFAULT_SOURCE, "https://git.example.com/fleet.git", "main", GOOD.id, NOW),
        published=GOOD.id,
        revision=REVISION,
        last_result="published",
    )
    payloads = {one.digest: one for one in (payload, gateway_payload)}
    return WebService(store, a_desired(edge, gateway), payloads, statuses=[status])


async def _publish(store: SqlStore, versions: list[TargetVersion], payloads: list[Payload]) -> None:
    lease = await store.acquire_lease("leader", "replica-1", timedelta(minutes=5))
    assert lease is not None
    statements = [
        StatementRecord(
            one.path, one.digest, EMPTY_SLOT, one.slots[EMPTY_SLOT], an_envelope(f'{{"path":"{one.path}"}}')
        )
        for one in versions
    ]
    await store.publish(
        Publication(
            source=DEFAULT_SOURCE,
            revision=REVISION,
            seq_read=0,
            epoch=lease.epoch,
            kind=ReleaseKind.PUBLISH,
            head=GOOD.id,
            request_id="request-1",
            created_at=NOW,
            versions=tuple(versions),
            payloads=tuple(payloads),
            statements=tuple(statements),
            states=tuple(a_state(one) for one in versions),
            transitions=tuple(
                (one.path, Transition("commit", None, one.digest, "new version", NOW)) for one in versions
            ),
            audit=(AuditEntry(NOW, "system", "config_update", "source/default", "success", details={"revision": 1}),),
        )
    )


async def _save_commits(store: SqlStore) -> None:
    files = ("agents/collector.yaml", "agents/target.yaml", "gitsync.yaml")
    good = CommitRecord(DEFAULT_SOURCE, GOOD, Verdict.ACCEPTED, (), files, NOW)
    bad = CommitRecord(DEFAULT_SOURCE, BAD, Verdict.REJECTED, (ERROR, WARNING), files, NOW + timedelta(minutes=1))
    await store.save_commit(good)
    await store.save_commit(bad)
