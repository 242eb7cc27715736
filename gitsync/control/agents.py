"""`Agents`: the agents of this process, their messages in and their offers out.

Everything on the path of a message is synchronous and touches one agent. What needs I/O is an errand (`errands`).

Rules
- An agent is answered at once, and offered something only after its stored row was loaded: a failure that another
  process saw must not be repeated.
- An agent is decided about when it changed, or when what is desired changed; never because a heartbeat came.
- Of two links of one agent the newer one wins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gitsync.bundle.version import Payload
from gitsync.control.complaints import Complaints
from gitsync.control.connected import ConnectedAgent, components_body, last_seen_at, record_of, shared_offer, stop_entry
from gitsync.control.errands import Errands
from gitsync.control.meters import Meters
from gitsync.control.ports import AgentJournal, AgentLink, Clock, Random, Store
from gitsync.control.published import Published
from gitsync.control.records import AgentRecord
from gitsync.errors import ProtocolError
from gitsync.fleet.agent import STOP, Agent, AttemptState
from gitsync.fleet.assign import Assignment, Kind, assign
from gitsync.fleet.observe import (
    AnswerOverdue,
    Assigned,
    Observed,
    Offered,
    Reconnected,
    effective_digest,
    observe,
)
from gitsync.fleet.progress import SyncState, progress
from gitsync.ids import AgentUid, ConfigHash, TargetId, show_digest, show_uid
from gitsync.opamp import messages
from gitsync.opamp.messages import ATTESTATION_CAPABILITY, STATEMENT_TYPE, ErrorType, ServerCapability
from gitsync.opamp.offers import SharedOffer, build_remote_config, custom_message_tail
from gitsync.opamp.session import Session, Step
from gitsync.opamp.wire import error_reply, parse_agent_message

log = logging.getLogger("gitsync.agents")

CAPABILITIES = (
    ServerCapability.ACCEPTS_STATUS | ServerCapability.OFFERS_REMOTE_CONFIG | ServerCapability.ACCEPTS_EFFECTIVE_CONFIG
)
BACKLOG_LIMIT = 256
AGENTS_PER_LINK = 1_000
"""A proxy may carry several agents; a peer that invents them may not fill the memory."""
FULL = "opamp.full"
"""Code of the answer to an agent more than the server takes."""
COMPONENTS_LIMIT = 10_000
SEEN_SECONDS = 60.0
"""How often the journal is told that a polling agent was seen."""
_STOPPING = build_remote_config((), STOP, stop=True)
EFFECTIVE = "effective"
COMPONENTS = "components"


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """How patient the server is with agents.

    Attributes:
        answer_timeout: an offer without any answer for this long counts as not answered.
        applying_timeout: the same for an agent that said it is applying, and then nothing more.
        silence: an agent silent for this long (or three of its intervals, if longer) is taken for gone.
        check_interval: how often silent agents and overdue answers are looked for.
        slice_seconds: how long a re-assignment of the whole fleet may hold the loop at a time.
        max_agents: that are served or were until lately; a peer that invents agents may not fill the memory.
    """

    replica_id: str
    answer_timeout: timedelta = timedelta(minutes=2)
    applying_timeout: timedelta = timedelta(minutes=10)
    silence: timedelta = timedelta(minutes=2)
    check_interval: timedelta = timedelta(seconds=30)
    slice_seconds: float = 0.02
    max_agents: int = 100_000


class Agents:
    """All agents of this process (the port `AgentHandler`)."""

    def __init__(
        self,
        options: AgentOptions,
        store: Store,
        journal: AgentJournal,
        meters: Meters,
        clock: Clock,
        random: Random,
    ) -> None:
        self._options = options
        self._journal = journal
        self._meters = meters
        self._clock = clock
        self._random = random
        self._agents: dict[AgentUid, ConnectedAgent] = {}
        self._links: dict[AgentLink, set[AgentUid]] = {}
        self._published = Published()
        self._payloads: dict[ConfigHash, SharedOffer] = {}
        self._components_known: set[bytes] = set()
        self._generation = 0
        self._published_at = 0.0
        self._published_when = clock.now()
        self._errands = Errands(self, store, journal, clock)
        self._is_deciding = False
        self._complaints = Complaints(log)
        self._redecide = asyncio.Event()

    # ── What others ask ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def published(self) -> Published:
        """What is in effect here."""
        return self._published

    def get(self, uid: AgentUid) -> ConnectedAgent | None:
        """The live agent; None when this process does not serve it."""
        return self._agents.get(uid)

    def last_seen(self, one: ConnectedAgent) -> datetime:
        """When the agent last said anything."""
        return last_seen_at(one, self._clock)

    def connected_count(self) -> int:
        """Agents that are connected to this process now."""
        return sum(1 for uid, one in self._agents.items() if one.connected and uid == one.agent.uid)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued: no rows, payloads, verdicts or decisions are owed to anybody."""
        return self._errands.idle and not self._redecide.is_set() and not self._is_deciding

    def counts(self) -> dict[tuple[TargetId | None, SyncState], int]:
        """Live agents by target and state."""
        counts: dict[tuple[TargetId | None, SyncState], int] = {}
        for uid, one in self._agents.items():
            if uid != one.agent.uid:
                continue  # the second entry of an agent that was told a new uid and does not use it yet
            target = None if one.assignment is None else one.assignment.target
            key = (target, one.state)
            counts[key] = counts.get(key, 0) + 1
        return counts

    # ── AgentHandler ────────────────────────────────────────────────────────────────────────────────────────

    def opened(self, link: AgentLink) -> None:
        """A socket is ready, or a POST has begun."""
        self._links[link] = set()
        if link.transport == "websocket":
            log.info("Agent connected: %s", link.remote_addr)

    def closed(self, link: AgentLink) -> None:
        """The socket is gone, or the POST was answered."""
        uids = self._links.pop(link, set())
        if link.transport != "websocket":
            for uid in uids:
                agent = self._agents.get(uid)
                if agent is not None and agent.link is link:
                    agent.link = None
            return
        log.info("Agent disconnected: %s", link.remote_addr)
        for uid in uids:
            one = self._agents.get(uid)
            if one is not None and one.link is link:
                self._disconnected(one)

    def receive(self, link: AgentLink, data: bytes) -> Sequence[bytes]:
        """One message in, the parts of its answer out."""
        began = self._clock.monotonic()
        uid = AgentUid(b"")
        try:
            message = parse_agent_message(data)
            uid = AgentUid(message.instance_uid)
            one = self._connect(uid, link, began)
            step = one.session.receive(message, began, polled=link.transport == "http")
        except ProtocolError as error:
            return self._refuse(link, uid, error, began)
        one.last_seen = began
        if not step.events:
            kind = "heartbeat"
            parts: Sequence[bytes] = (step.reply,)
            if one.generation != self._generation:
                parts = self._answer(one, step)
        else:
            kind = self._apply(one, step)
            parts = self._answer(one, step)
            if messages.UidRequested() in step.events:
                parts = (*parts, self._give_uid(one))
        self._meters.message_seconds[kind].observe(self._clock.monotonic() - began)
        return parts

    def _refuse(self, link: AgentLink, uid: AgentUid, error: ProtocolError, began: float) -> Sequence[bytes]:
        self._meters.protocol_errors[error.code] += 1
        self._complaints.note(link.remote_addr, f"{error.message} ({error.code})", began)
        kind = ErrorType.UNAVAILABLE if error.code == FULL else ErrorType.BAD_REQUEST
        reply = error_reply(uid, kind, str(error))
        self._meters.message_seconds["invalid"].observe(self._clock.monotonic() - began)
        return (reply,)

    # ── Links ───────────────────────────────────────────────────────────────────────────────────────────────

    def _connect(self, uid: AgentUid, link: AgentLink, now: float) -> ConnectedAgent:
        one = self._agents.get(uid)
        if one is not None and one.link is link:
            return one
        if len(self._links.get(link, ())) >= AGENTS_PER_LINK:
            raise ProtocolError(f"more than {AGENTS_PER_LINK} agents on one connection", code="opamp.too-many-agents")
        if one is None:
            if len(self._agents) >= self._options.max_agents:
                raise ProtocolError("the server has too many agents, try again later", code=FULL)
            one = self._admit(uid, link, now)
        else:
            self._move(one, link, now)
        self._links.setdefault(link, set()).add(uid)
        return one

    def _admit(self, uid: AgentUid, link: AgentLink, now: float) -> ConnectedAgent:
        at = self._clock.now()
        one = ConnectedAgent(
            agent=Agent(uid),
            session=Session(uid, server_capabilities=CAPABILITIES, server_custom=(ATTESTATION_CAPABILITY,)),
            link=link,
            transport=link.transport,
            remote_addr=link.remote_addr,
            conn_epoch=_microseconds(at),
            connected_at=at,
            last_seen=now,
        )
        self._agents[uid] = one
        self._errands.load_row(uid)
        if link.transport == "http":
            log.info("Agent connected: %s", link.remote_addr)
        return one

    def _move(self, one: ConnectedAgent, link: AgentLink, now: float) -> None:
        """The agent speaks on another link than before."""
        before, one.link = one.link, link
        if before is not None and before.transport == "websocket":
            self._links.get(before, set()).discard(one.agent.uid)
            if before.is_open and not self._links.get(before):
                before.close(1001, "this agent has a newer connection")
        one.remote_addr = link.remote_addr
        is_new_connection = link.transport == "websocket" or one.transport != "http" or not one.connected
        one.transport = link.transport
        if not is_new_connection:
            return
        at = self._clock.now()
        one.session.reconnected(now)
        one.connected = True
        one.connected_at = at
        one.conn_epoch = max(one.conn_epoch + 1, _microseconds(at))
        self.see(one, Reconnected(), at)
        self.note(one)
        if link.transport == "http":
            log.info("Agent connected: %s", link.remote_addr)

    def _disconnected(self, one: ConnectedAgent) -> None:
        self._leave(one)
        self.note(one)

    def _leave(self, one: ConnectedAgent) -> None:
        """The agent is on no link now; others may go on using the one that it had."""
        if one.link is not None:
            self._links.get(one.link, set()).discard(one.agent.uid)
        one.link = None
        one.connected = False

    # ── Messages ────────────────────────────────────────────────────────────────────────────────────────────

    def _apply(self, one: ConnectedAgent, step: Step) -> str:
        """Folds what a message said into the agent; what kind of message it was, for the metrics."""
        at = self._clock.now()
        kind = "status"
        for event in step.events:
            match event:
                case messages.Described():
                    kind = "full"
                case messages.Disconnected():
                    kind = "disconnect"
                    log.info("Agent disconnected: %s", one.remote_addr)
                    self._leave(one)
                case messages.EffectiveReported(objects):
                    one.effective = objects
                    self._keep_effective(event)
                case messages.ComponentsReported():
                    self._take_components(one, event)
                case messages.Renamed(old, new):
                    self._renamed(one, old, new)
                case messages.ConfigStatusReported():
                    self._log_status(one, event)
                case _:
                    pass
            self.see(one, event, at)
        self.note(one)
        return kind

    def see(self, one: ConnectedAgent, event: Observed, at: datetime) -> None:
        """Something about the agent has become known."""
        if one.backlog is not None and len(one.backlog) < BACKLOG_LIMIT:
            one.backlog.append((event, at))
        one.agent = observe(one.agent, event, at)

    def _answer(self, one: ConnectedAgent, step: Step) -> Sequence[bytes]:
        """The reply to a message, with an offer in the same message when there is one to make."""
        if not one.connected:
            return (step.reply,)
        if step.deadline is not None:
            self._errands.open_later(one.agent.uid)
        offer = self._decide(one)
        return (step.reply, *offer) if offer else (step.reply,)

    def _log_status(self, one: ConnectedAgent, event: messages.ConfigStatusReported) -> None:
        if event.status is messages.ConfigStatus.UNSET:
            return
        reported = one.agent.reported
        if reported is not None and (reported.digest, reported.status) == (event.config_hash, event.status):
            return
        name = event.status.name.lower()
        self._meters.config_updates[name] += 1
        if event.status is messages.ConfigStatus.FAILED:
            log.warning(
                "agent %s: %s FAILED: %s",
                show_uid(one.agent.uid),
                show_digest(event.config_hash),
                event.error,
            )
        else:
            log.debug("agent %s: %s %s", show_uid(one.agent.uid), show_digest(event.config_hash), name)

    def _keep_effective(self, event: messages.EffectiveReported) -> None:
        body = b"".join(one.body for _, one in sorted(event.objects.items()))
        self._journal.note_blob(effective_digest(event), EFFECTIVE, body)

    def _take_components(self, one: ConnectedAgent, event: messages.ComponentsReported) -> None:
        if event.components is not None:
            if len(self._components_known) >= COMPONENTS_LIMIT:
                self._components_known.clear()
            self._components_known.add(event.hash)
            self._journal.note_blob(event.hash, COMPONENTS, components_body(event.components))
        elif event.hash not in self._components_known:
            one.session.request_components()

    def _renamed(self, one: ConnectedAgent, old: AgentUid, new: AgentUid) -> None:
        """From now on it is `new`; nobody is connected as `old` any more."""
        if one.backlog is not None:
            self._errands.load_row(new)
        else:
            record = record_of(one, self._options.replica_id, self._clock)
            self._journal.note(replace(record, connected=False))
        self._agents.pop(old, None)
        self._agents[new] = one
        if one.link is not None and one.link in self._links:
            self._links[one.link].discard(old)
            self._links[one.link].add(new)

    def _give_uid(self, one: ConnectedAgent) -> bytes:
        """A new instance uid; what to append to the answer (a poll is told in no other way)."""
        new = self._random.uuid7(self._clock.now())
        self._agents[new] = one
        return one.session.rename(new).reply

    # ── Decisions ───────────────────────────────────────────────────────────────────────────────────────────

    def set_published(self, published: Published) -> None:
        """Puts a new desired state in effect; every agent is decided about again, in slices."""
        self._published = published
        self._payloads = {
            digest: self._payloads.get(digest) or shared_offer(payload)
            for digest, payload in published.payloads.items()
        }
        self._generation += 1
        self._published_at = self._clock.monotonic()
        self._published_when = self._clock.now()
        self._redecide.set()

    def _decide(self, one: ConnectedAgent) -> tuple[bytes, ...]:
        """Decides about one agent; the tail of an offer to append to a reply, or nothing."""
        assignment = assign(one.agent, self._published.desired)
        # Of an agent that was here before the publication, the first decision after it: what the push took.
        is_push = one.decided != self._generation and one.connected_at < self._published_when
        one.decided = self._generation
        one.assignment = assignment
        one.generation = self._generation
        before = (one.agent, one.state)
        if one.backlog is None:
            at = self._clock.now()
            if assignment.target is not None:
                flag = assignment.flag or (one.agent.flag if one.agent.flag == "failed-after-proof" else None)
                one.agent = observe(one.agent, Assigned(assignment.target, assignment.wanted, flag), at)
            tail = self._offer(one, assignment, at) if assignment.kind in (Kind.OFFER, Kind.STOP) else ()
            if tail and is_push:
                self._meters.push_seconds.observe(self._clock.monotonic() - self._published_at)
        else:
            tail = ()
        one.state = progress(one.agent, assignment)
        self._errands.judge(one)
        if (one.agent, one.state) != before:
            self.note(one)
        return tail

    def _offer(self, one: ConnectedAgent, assignment: Assignment, at: datetime) -> tuple[bytes, ...]:
        digest = assignment.digest
        if digest is None or not one.session.offers_open or not one.connected:
            return ()
        shared = _STOPPING if assignment.kind is Kind.STOP else self._payloads.get(digest)
        if shared is None:
            self._errands.fetch_payload(digest, one.agent.uid)
            return ()
        tail: tuple[bytes, ...] = (shared.tail,)
        if assignment.kind is Kind.STOP:
            log.warning("agent %s refuses everything: it is stopped once to free it", show_uid(one.agent.uid))
            self._errands.audit(stop_entry(one, at))
        elif ATTESTATION_CAPABILITY in one.session.custom_capabilities:
            envelope = None
            if assignment.target is not None:
                envelope = self._published.statements.get((assignment.target, digest))
            if envelope is None:
                return ()  # an agent that verifies is never given what it could not verify
            tail = (*tail, custom_message_tail(ATTESTATION_CAPABILITY, STATEMENT_TYPE, envelope.as_json()))
        source = assignment.target.source if assignment.target is not None else None
        revision = self._published.revision(source) if source is not None else 0
        one.agent = observe(one.agent, Offered(digest, revision), at)
        self._meters.config_updates["offered"] += 1
        return tail

    def push(self, one: ConnectedAgent) -> None:
        """Decides about an agent outside of any message, and writes what comes of it."""
        link = one.link
        if one.transport == "http" or link is None or not link.is_open:
            # What is desired is computed when it speaks again; until then only the view is kept true.
            one.generation = -1
            if one.backlog is None:
                one.assignment = assign(one.agent, self._published.desired)
                state = progress(one.agent, one.assignment)
                if state is not one.state:
                    one.state = state
                    self.note(one)
            return
        tail = self._decide(one)
        if tail:
            link.send((one.session.head, *tail), is_config=True)

    def note(self, one: ConnectedAgent) -> None:
        """Hands the newest facts to the journal; nothing before the stored row was loaded, it would be lost."""
        if one.backlog is not None:
            return
        one.noted_at = self._clock.monotonic()
        self._journal.note(record_of(one, self._options.replica_id, self._clock))

    # ── What errands bring ──────────────────────────────────────────────────────────────────────────────────

    def recall(self, one: ConnectedAgent, row: AgentRecord | None) -> None:
        """Puts what is stored below what the agent has said since it came."""
        backlog, one.backlog = one.backlog or [], None
        if row is not None:
            one.conn_epoch = max(one.conn_epoch, row.conn_epoch + 1)
            agent = observe(replace(row.agent, uid=one.agent.uid), Reconnected(), one.connected_at)
            for event, at in backlog:
                agent = observe(agent, event, at)
            one.agent = agent
        self.push(one)
        self.note(one)

    def take_payload(self, payload: Payload) -> None:
        """A payload that is not in use any more; it can be offered until the next publication."""
        self._payloads[payload.digest] = shared_offer(payload)

    # ── Tasks ───────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Works until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._errands.run(), name="agents-errands")
            tasks.create_task(self._redecide_loop(), name="agents-redecide")
            tasks.create_task(self._watch_loop(), name="agents-watch")

    async def _redecide_loop(self) -> None:
        while True:
            await self._redecide.wait()
            self._redecide.clear()
            self._is_deciding = True
            generation = self._generation
            began = self._clock.monotonic()
            for one in list(self._agents.values()):
                if one.generation != generation:
                    self.push(one)
                if self._clock.monotonic() - began > self._options.slice_seconds:
                    await asyncio.sleep(0)
                    began = self._clock.monotonic()
                    if self._redecide.is_set():
                        break
            self._is_deciding = False

    async def _watch_loop(self) -> None:
        while True:
            await asyncio.sleep(self._options.check_interval.total_seconds())
            self.check()

    def check(self) -> None:
        """Looks for silent agents and for offers without an answer."""
        now, at = self._clock.monotonic(), self._clock.now()
        for uid, one in list(self._agents.items()):
            if self._is_overdue(one.agent, at):
                self._meters.config_updates["no_answer"] += 1
                self.see(one, AnswerOverdue(), at)
                self.push(one)
                self.note(one)
            patience = max(self._options.silence.total_seconds(), 3 * one.session.heartbeat_seconds)
            if now - one.last_seen > patience and (one.session.heartbeat_seconds or not one.connected):
                self._gone(uid, one)
            elif one.transport == "http" and one.last_seen - one.noted_at >= SEEN_SECONDS:
                self.note(one)

    def _is_overdue(self, agent: Agent, at: datetime) -> bool:
        attempt = agent.current
        if attempt is None or not attempt.state.is_open:
            return False
        is_offered = attempt.state is AttemptState.OFFERED
        patience = self._options.answer_timeout if is_offered else self._options.applying_timeout
        return at - attempt.changed_at > patience

    def _gone(self, uid: AgentUid, one: ConnectedAgent) -> None:
        if one.connected:
            self._meters.heartbeat_timeouts += 1
            log.warning("heartbeat timeout: agent %s at %s", show_uid(uid), one.remote_addr)
        link = one.link
        self._disconnected(one)
        if link is not None and link.is_open and not self._links.get(link):
            link.close(1001, "no heartbeat")
        self._agents.pop(uid, None)


def _microseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)
