"""`Agents`: the agents of this process, their messages in and their offers out.

Everything on the path of a message is synchronous and touches one agent. What needs I/O is an errand (`errands`).
Who is on which link is `presence`, what everybody should have is `offering`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gitsync.bundle.version import Payload
from gitsync.control.complaints import Complaints
from gitsync.control.connected import ConnectedAgent, last_seen_at
from gitsync.control.errands import Errands
from gitsync.control.facts import Facts
from gitsync.control.inventory import Inventory
from gitsync.control.meters import Meters
from gitsync.control.offering import Offering
from gitsync.control.ports import AgentJournal, AgentLink, Clock, Random, Store
from gitsync.control.presence import FULL, Presence
from gitsync.control.published import Published
from gitsync.control.records import AgentRecord
from gitsync.errors import ProtocolError
from gitsync.fleet.agent import Agent, AttemptState
from gitsync.fleet.observe import AnswerOverdue, Observed, Reconnected, effective_digest, observe
from gitsync.fleet.progress import SyncState
from gitsync.ids import AgentUid, TargetId, show_digest, show_uid
from gitsync.opamp import messages
from gitsync.opamp.messages import ATTESTATION_CAPABILITY, ErrorType, ServerCapability
from gitsync.opamp.session import Step
from gitsync.opamp.wire import error_reply, parse_agent_message

log = logging.getLogger("gitsync.agents")

CAPABILITIES = (
    ServerCapability.ACCEPTS_STATUS | ServerCapability.OFFERS_REMOTE_CONFIG | ServerCapability.ACCEPTS_EFFECTIVE_CONFIG
)
SEEN_SECONDS = 60.0
"""How often the journal is told that a polling agent was seen."""
EFFECTIVE = "effective"


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
        self._meters = meters
        self._clock = clock
        self._random = random
        self._facts = Facts(journal, clock, options.replica_id)
        self._errands = Errands(self, store, journal, clock)
        self._offering = Offering(self._facts, self._errands, meters, clock)
        greeting = (int(CAPABILITIES), (ATTESTATION_CAPABILITY,))
        self._presence = Presence(options.max_agents, greeting, self._facts, self._errands, clock)
        self._inventory = Inventory(self._facts)
        self._complaints = Complaints(log)
        self._is_deciding = False
        self._redecide = asyncio.Event()

    # ── What others ask ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def published(self) -> Published:
        """What is in effect here."""
        return self._offering.published

    def get(self, uid: AgentUid) -> ConnectedAgent | None:
        """The live agent; None when this process does not serve it."""
        return self._presence.get(uid)

    def last_seen(self, one: ConnectedAgent) -> datetime:
        """When the agent last said anything."""
        return last_seen_at(one, self._clock)

    def connected_count(self) -> int:
        """Agents that are connected to this process now."""
        return sum(1 for one in self._presence.each() if one.connected)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued: no rows, payloads, verdicts or decisions are owed to anybody."""
        return self._errands.idle and not self._redecide.is_set() and not self._is_deciding

    def counts(self) -> dict[tuple[TargetId | None, SyncState], int]:
        """Live agents by target and state."""
        counts: dict[tuple[TargetId | None, SyncState], int] = {}
        for one in self._presence.each():
            target = None if one.assignment is None else one.assignment.target
            key = (target, one.state)
            counts[key] = counts.get(key, 0) + 1
        return counts

    # ── AgentHandler ────────────────────────────────────────────────────────────────────────────────────────

    def opened(self, link: AgentLink) -> None:
        """A socket is ready, or a POST has begun."""
        self._presence.opened(link)

    def closed(self, link: AgentLink) -> None:
        """The socket is gone, or the POST was answered."""
        self._presence.closed(link)

    def receive(self, link: AgentLink, data: bytes) -> Sequence[bytes]:
        """One message in, the parts of its answer out."""
        began = self._clock.monotonic()
        uid = AgentUid(b"")
        try:
            message = parse_agent_message(data)
            uid = AgentUid(message.instance_uid)
            one = self._presence.connect(uid, link, began)
            step = one.session.receive(message, began, polled=link.transport == "http")
        except ProtocolError as error:
            return self._refuse(link, uid, error, began)
        one.last_seen = began
        if not step.events:
            kind = "heartbeat"
            parts: Sequence[bytes] = (step.reply,)
            if one.generation != self._offering.generation:
                parts = self._offering.answer(one, step)
        else:
            kind = self._apply(one, step)
            parts = self._offering.answer(one, step)
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
                    self._presence.leave(one)
                case messages.EffectiveReported(objects):
                    one.effective = objects
                    self._keep_effective(event)
                case messages.ComponentsReported():
                    self._inventory.take(one, event)
                case messages.Renamed(old, new):
                    self._presence.renamed(one, old, new)
                case messages.ConfigStatusReported():
                    self._log_status(one, event)
                case _:
                    pass
            self.see(one, event, at)
        self.note(one)
        return kind

    def see(self, one: ConnectedAgent, event: Observed, at: datetime) -> None:
        """Something about the agent has become known."""
        self._facts.see(one, event, at)

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
        self._facts.keep(effective_digest(event), EFFECTIVE, body)

    def _give_uid(self, one: ConnectedAgent) -> bytes:
        """A new instance uid; what to append to the answer (a poll is told in no other way)."""
        new = self._random.uuid7(self._clock.now())
        self._presence.expect(new, one)
        return one.session.rename(new).reply

    # ── Decisions ───────────────────────────────────────────────────────────────────────────────────────────

    def set_published(self, published: Published) -> None:
        """Puts a new desired state in effect; every agent is decided about again, in slices."""
        self._offering.set_published(published)
        self._redecide.set()

    def push(self, one: ConnectedAgent) -> None:
        """Decides about an agent outside of any message, and writes what comes of it."""
        self._offering.push(one)

    def note(self, one: ConnectedAgent) -> None:
        """Hands the newest facts to the journal."""
        self._facts.note(one)

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
        self._offering.take_payload(payload)

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
            generation = self._offering.generation
            began = self._clock.monotonic()
            for one in self._presence.everybody():
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
        for one in self._presence.everybody():
            if self._is_overdue(one.agent, at):
                self._meters.config_updates["no_answer"] += 1
                self.see(one, AnswerOverdue(), at)
                self.push(one)
                self.note(one)
            patience = max(self._options.silence.total_seconds(), 3 * one.session.heartbeat_seconds)
            if now - one.last_seen > patience and (one.session.heartbeat_seconds or not one.connected):
                self._gone(one)
            elif one.transport == "http" and one.last_seen - one.noted_at >= SEEN_SECONDS:
                self.note(one)

    def _is_overdue(self, agent: Agent, at: datetime) -> bool:
        attempt = agent.current
        if attempt is None or not attempt.state.is_open:
            return False
        is_offered = attempt.state is AttemptState.OFFERED
        patience = self._options.answer_timeout if is_offered else self._options.applying_timeout
        return at - attempt.changed_at > patience

    def _gone(self, one: ConnectedAgent) -> None:
        if one.connected:
            self._meters.heartbeat_timeouts += 1
            log.warning("heartbeat timeout: agent %s at %s", show_uid(one.agent.uid), one.remote_addr)
        self._presence.gone(one)
