"""`ConnectedAgent`: one agent that this process serves, and the forms in which it leaves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gitsync.bundle.version import Payload, canonical_json
from gitsync.control.ports import AgentLink, Clock
from gitsync.control.records import AgentRecord, AuditEntry
from gitsync.fleet.agent import Agent
from gitsync.fleet.assign import Assignment, Reason
from gitsync.fleet.observe import Observed
from gitsync.fleet.progress import SyncState
from gitsync.ids import show_uid
from gitsync.opamp import messages
from gitsync.opamp.offers import SharedOffer, build_remote_config
from gitsync.opamp.session import Session


@dataclass(slots=True, eq=False)
class ConnectedAgent:
    """One agent that this process serves.

    Attributes:
        backlog: what it said before its stored row was loaded; None afterwards.
        generation: of what was desired when it was last decided about; -1: decide at its next word.
        decided: the same, without that exception.
        last_seen: monotonic seconds.
        noted_at: when its record was last handed to the journal, monotonic seconds.
        effective: what it said it runs, until that was judged; None afterwards.
        previous_addr: where it was before it was at `remote_addr`: of an agent that polls, with its message before.
        sequences: how many of its session's sequences are accounted for (`control.connections`).
        shared_at: when something last showed that another agent uses its uid, too, monotonic seconds; None: nothing did
            here yet (`control.twins`).
        record: makes its newest record, for the journal; None until it is noted.
    """

    agent: Agent
    session: Session
    link: AgentLink | None
    transport: str
    remote_addr: str
    conn_epoch: int
    connected_at: datetime
    last_seen: float
    noted_at: float = 0.0
    connected: bool = True
    backlog: list[tuple[Observed, datetime]] | None = field(default_factory=list)
    assignment: Assignment | None = None
    generation: int = -1
    decided: int = -1
    state: SyncState = SyncState.PENDING
    effective: Mapping[str, messages.EffectiveObject] | None = None
    sequences: int = 0
    previous_addr: str = ""
    shared_at: float | None = None
    record: Callable[[], AgentRecord] | None = None


def last_seen_at(one: ConnectedAgent, clock: Clock) -> datetime:
    """When the agent last said anything."""
    return clock.now() - timedelta(seconds=max(clock.monotonic() - one.last_seen, 0.0))


def record_of(one: ConnectedAgent, replica_id: str, clock: Clock) -> AgentRecord:
    """The agent as it is stored and listed."""
    agent = one.agent
    attempt = agent.current
    assignment = one.assignment
    return AgentRecord(
        agent=agent,
        replica_id=replica_id,
        conn_epoch=one.conn_epoch,
        connected=one.connected,
        connected_at=one.connected_at,
        last_seen_at=last_seen_at(one, clock),
        transport=one.transport,
        remote_addr=one.remote_addr,
        state=one.state,
        reason=str(assignment.reason if assignment is not None else Reason.NO_TARGET),
        changed_at=attempt.changed_at if attempt is not None else one.connected_at,
        healthy=agent.healthy,
        error=agent.error if one.state is SyncState.FAILED else "",
    )


def stop_entry(one: ConnectedAgent, at: datetime) -> AuditEntry:
    """What is written when an agent is sent an empty configuration on purpose."""
    return AuditEntry(
        at,
        "system",
        "config_update",
        f"agent/{show_uid(one.agent.uid)}",
        "success",
        "an empty configuration was sent to free a supervisor that refuses every other one",
        agent_uid=one.agent.uid,
        remote_addr=one.remote_addr,
        details={"error": one.agent.error},
    )


def shared_offer(payload: Payload) -> SharedOffer:
    """The bytes that all agents of a payload share."""
    objects = [(one.name, one.content_type, one.role, one.body) for one in payload.objects]
    return build_remote_config(objects, payload.digest)


def components_body(components: Mapping[str, messages.Component]) -> bytes:
    """The stored form of a build's inventory."""

    def plain(one: messages.Component) -> dict[str, object]:
        return {
            "metadata": dict(one.metadata),
            "members": {name: plain(each) for name, each in one.members.items()},
        }

    return canonical_json({name: plain(one) for name, one in components.items()})
