"""`Overview`: the running process as its web side sees it (the port `Service`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitsync.bundle.version import EMPTY_SLOT, Payload
from gitsync.control.agents import Agents
from gitsync.control.feed import Feed
from gitsync.control.leader import Leadership
from gitsync.control.meters import Meters
from gitsync.control.ports import Clock, Store
from gitsync.control.records import AgentRecord, AuditEntry
from gitsync.control.service import (
    Explanation,
    Readiness,
    SourceStatus,
    SyncResult,
    TargetStatus,
)
from gitsync.control.sync import SourceSync
from gitsync.errors import Conflict, Unavailable
from gitsync.fleet.agent import Restart
from gitsync.fleet.assign import assign
from gitsync.fleet.progress import SyncState, progress
from gitsync.fleet.why import reason_text, steps
from gitsync.ids import AgentUid, CommitId, ConfigHash, SourceName, TargetId, show_uid
from gitsync.rollout.state import Phase


class Overview:
    """Answers questions about this process, and passes on what people and webhooks ask for."""

    def __init__(
        self,
        store: Store,
        meters: Meters,
        clock: Clock,
        agents: Agents,
        feed: Feed,
        leadership: Leadership,
        syncs: Mapping[SourceName, SourceSync],
        root: bytes,
    ) -> None:
        self._store = store
        self._meters = meters
        self._clock = clock
        self._agents = agents
        self._feed = feed
        self._leadership = leadership
        self._syncs = syncs
        self._root = root
        self._drains = False

    @property
    def store(self) -> Store:
        """Everything that is kept."""
        return self._store

    @property
    def meters(self) -> Meters:
        """Everything that is counted."""
        return self._meters

    def sources(self) -> Sequence[SourceStatus]:
        """All sources, by name."""
        return [self._source(self._syncs[name]) for name in sorted(self._syncs)]

    def _source(self, sync: SourceSync) -> SourceStatus:
        release = self._agents.published.desired.releases.get(sync.name)
        return SourceStatus(
            record=sync.record,
            published=None if release is None else release.head,
            revision=None if release is None else release.revision,
            last_result=str(sync.last.outcome) if sync.record.fetched_at or sync.record.error else "",
        )

    async def sync(self, source: SourceName, *, actor: str, wait: bool) -> SyncResult:
        """Looks at the repository now, and writes an audit line."""
        sync = self._syncs[source]
        if self._leadership.lease is None:
            raise Unavailable("this server is not the leader now", code="leader.none", hint="try again in a moment")
        entry = AuditEntry(self._clock.now(), actor, "sync", f"source/{source}", "success")
        await self._store.append_audit([entry])
        if not wait:
            sync.ring(actor=actor)
            return SyncResult("started", sync.record.head)
        return await sync.sync(actor=actor)

    async def restart(self, uid: AgentUid, *, actor: str, remote_addr: str = "") -> Restart:
        """Tells an agent to restart, and writes an audit line."""
        live = self._agents.get(uid)
        if live is None or not live.connected:
            record = (await self._store.load_agents([uid])).get(uid)
            if record is None and live is None:
                raise KeyError(uid)
            if record is not None and record.connected and record.replica_id != self._agents.replica_id:
                await self._audit_restart(uid, actor, remote_addr, "agent.elsewhere")
                raise Conflict(
                    f"the agent is connected to another server, {record.replica_id}",
                    code="agent.elsewhere",
                    hint="ask that one",
                )
        obstacle = self._agents.cannot_restart(uid)
        await self._audit_restart(uid, actor, remote_addr, "" if obstacle is None else obstacle.code)
        if obstacle is not None:
            raise obstacle
        return self._agents.restart(uid)

    async def _audit_restart(self, uid: AgentUid, actor: str, remote_addr: str, refused: str) -> None:
        entry = AuditEntry(
            self._clock.now(),
            actor,
            "restart",
            f"agent/{show_uid(uid)}",
            "failure" if refused else "success",
            refused,
            agent_uid=uid,
            remote_addr=remote_addr,
        )
        await self._store.append_audit([entry])

    def ring(self, source: SourceName, announced: CommitId | None) -> None:
        """A doorbell."""
        sync = self._syncs.get(source)
        if sync is not None:
            sync.ring(announced, actor="webhook")

    def targets(self) -> Sequence[TargetStatus]:
        """Every target that exists now, by source and path."""
        desired = self._agents.published.desired
        counts: dict[TargetId, dict[SyncState, int]] = {}
        for (counted, how_far), number in self._agents.counts().items():
            if counted is not None:
                counts.setdefault(counted, {})[how_far] = number
        statuses: list[TargetStatus] = []
        for target, state in sorted(desired.states.items()):
            if state.stable is None:
                continue
            version = desired.versions[target, state.stable]
            release = desired.releases[target.source]
            statuses.append(
                TargetStatus(
                    id=target,
                    selector="(no other target)" if version.selector is None else str(version.selector),
                    agent_type=version.agent_type,
                    priority=version.priority,
                    version=version.digest,
                    config_hash=version.slots.get(EMPTY_SLOT),
                    commit=version.origin.id,
                    revision=release.revision,
                    counts=counts.get(target, {}),
                    phase=Phase.SUCCEEDED if state.rollout is None else state.rollout.phase,
                    suspended=state.suspended or version.suspend,
                    connection=self._agents.connection_status(target),
                )
            )
        return statuses

    def aliases(self) -> Mapping[str, tuple[str, ...]]:
        """The aliases that targets in effect match by."""
        desired = self._agents.published.desired
        found: dict[str, tuple[str, ...]] = {}
        for target, state in sorted(desired.states.items()):
            if state.stable is not None:
                found.update(desired.versions[target, state.stable].rules.aliases)
        return found

    def explain(self, uid: AgentUid, record: AgentRecord) -> Explanation:
        """Why this agent has what it has."""
        live = self._agents.get(uid)
        agent = record.agent if live is None else live.agent
        desired = self._agents.published.desired
        assignment = assign(agent, desired)
        version = None
        if assignment.target is not None and assignment.version is not None:
            version = desired.versions.get((assignment.target, assignment.version))
        release = None if assignment.target is None else desired.releases.get(assignment.target.source)
        return Explanation(
            target=assignment.target,
            reason=str(assignment.reason),
            text=reason_text(agent, assignment),
            steps=steps(agent, desired, assignment),
            wanted=assignment.wanted,
            commit=None if version is None else version.origin.id,
            revision=None if release is None else release.revision,
            state=progress(agent, assignment),
            last_seen=None if live is None else self._agents.last_seen(live),
        )

    def readiness(self) -> Readiness:
        """Ready once a desired state (also an empty one) was loaded; trouble with Git does not turn agents away."""
        checks = {
            "desired-state": "ok" if self._feed.ready else "nothing loaded yet",
            "store": self._feed.error or "ok",
            "leader": "this server" if self._leadership.lease is not None else "another server, or nobody",
        }
        if self._drains:
            checks["drain"] = "the server is stopping"
        for name, sync in self._syncs.items():
            checks[f"source-{name}"] = sync.record.error or ("ok" if sync.record.fetched_at else "not fetched yet")
        return Readiness(self._feed.ready and not self._drains, checks)

    def drain(self) -> None:
        """The server begins to stop: it is not ready any more."""
        self._drains = True

    def public_root(self) -> bytes:
        """JSON of what verifiers trust."""
        return self._root

    async def payload(self, digest: ConfigHash) -> Payload | None:
        """A payload with provenance where it is known."""
        known = self._agents.published.payloads.get(digest)
        if known is not None:
            return known
        return (await self._store.load_payloads([digest])).get(digest)
