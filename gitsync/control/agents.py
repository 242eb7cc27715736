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
from gitsync.control.commands import Commands
from gitsync.control.connected import ConnectedAgent, last_seen_at
from gitsync.control.connections import Connections
from gitsync.control.destinations import NoSecrets
from gitsync.control.errands import Errands
from gitsync.control.extensions import Extensions
from gitsync.control.facts import Facts
from gitsync.control.fewlines import FewLines
from gitsync.control.inventory import Inventory
from gitsync.control.meters import Meters
from gitsync.control.offering import Offering
from gitsync.control.ports import AgentJournal, AgentLink, Clock, Random, Secrets, Store
from gitsync.control.presence import FULL, Presence
from gitsync.control.published import Published
from gitsync.control.records import AgentRecord
from gitsync.control.service import ConnectionStatus
from gitsync.control.twins import Twins
from gitsync.errors import Conflict, ProtocolError
from gitsync.fleet.agent import Agent, AttemptState, Restart
from gitsync.fleet.health import is_only_numbers
from gitsync.fleet.observe import (
    AnswerOverdue,
    Duplicated,
    FellDue,
    Observed,
    Recalled,
    due_at,
    effective_digest,
    observe,
)
from gitsync.fleet.progress import SyncState
from gitsync.ids import AgentUid, TargetId, show_digest, show_uid
from gitsync.opamp import messages
from gitsync.opamp.messages import ATTESTATION_CAPABILITY, ErrorType, ServerCapability
from gitsync.opamp.offers import head, identification_tail
from gitsync.opamp.session import Step
from gitsync.opamp.wire import error_reply, parse_agent_message

log = logging.getLogger("gitsync.agents")

CAPABILITIES = (
    ServerCapability.ACCEPTS_STATUS
    | ServerCapability.OFFERS_REMOTE_CONFIG
    | ServerCapability.ACCEPTS_EFFECTIVE_CONFIG
    | ServerCapability.ACCEPTS_PACKAGES_STATUS
    | ServerCapability.OFFERS_CONNECTION_SETTINGS
)
SEEN_SECONDS = 60.0
"""How often the journal is told that a polling agent was seen, and of metrics that changed."""
EFFECTIVE = "effective"
THROTTLED = "opamp.throttled"
"""Code of the answer to the first message that is too many."""
NO_CERTIFICATE = "opamp.csr"
"""Code of requests for a certificate."""
SELDOM_SECONDS = 1.0
"""An agent whose last message is longer ago than this says nothing too often: heartbeats are not counted."""
PAUSE_SECONDS = 5.0
"""How long nothing is read of a link that says too much; half of its burst is there again then."""
RETRY_SECONDS = 30.0
"""After which an agent that is turned away should come back, at the earliest; twice that at the latest."""
REMEMBERED = 10_000
"""Agents of which is remembered that their request for a certificate was logged."""


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """How patient the server is with agents.

    Attributes:
        answer_timeout: an offer without any answer for this long counts as not answered.
        applying_timeout: the same for an agent that said it is applying, and then nothing more.
        silence: an agent silent for this long (or three of its intervals, if longer) is taken for gone.
        check_interval: how often silent agents and overdue answers are looked for.
        slice_seconds: how long a re-assignment of the whole fleet may hold the loop at a time. After each slice all
            that agents have said meanwhile is processed: with short slices the last agent of a fleet waits for the
            statuses of all others.
        max_agents: that are served or were until lately; a peer that invents agents may not fill the memory.
        message_rate: messages a second that one connection may send for ever; 0: any number.
        command_timeout: a command without a sign that it was followed for this long has none.
        is_alone: no other server has the same agents, so nobody else can know more of one of them.
    """

    replica_id: str
    answer_timeout: timedelta = timedelta(minutes=2)
    applying_timeout: timedelta = timedelta(minutes=10)
    silence: timedelta = timedelta(minutes=2)
    check_interval: timedelta = timedelta(seconds=30)
    slice_seconds: float = 0.75
    max_agents: int = 100_000
    message_rate: float = 50.0
    command_timeout: timedelta = timedelta(minutes=2)
    is_alone: bool = False


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
        secrets: Secrets | None = None,
        extensions: Extensions | None = None,
    ) -> None:
        self._options = options
        self._meters = meters
        self._clock = clock
        self._random = random
        self._facts = Facts(journal, clock, options.replica_id)
        self._errands = Errands(self, store, journal, clock)
        self._extensions = extensions or Extensions((), meters, clock)
        self._inventory = Inventory(self._facts, self._errands, clock)
        self._twins = Twins(self._errands, meters, clock, random)
        self._presence = Presence(
            options.max_agents,
            (int(CAPABILITIES), (ATTESTATION_CAPABILITY, *self._extensions.capabilities)),
            self._facts,
            self._errands,
            self._twins,
            (self._inventory, self._extensions),
            clock,
            1 / options.message_rate if options.message_rate else 0.0,
            is_alone=options.is_alone,
        )
        self._connections = Connections(
            self._presence,
            secrets or NoSecrets(),
            journal,
            self._facts,
            meters,
            clock,
            answer_timeout=options.answer_timeout,
            interval=options.check_interval,
        )
        self._offering = Offering(self._connections, self._facts, self._errands, meters, clock)
        self._commands = Commands(self.see, self.note, clock, options.command_timeout)
        self._complaints = FewLines(log, clock.monotonic)
        self._csr_logged: set[AgentUid] = set()
        self._extensions.start(self._presence.get)
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

    @property
    def idle(self) -> bool:
        """Whether nothing is queued: no rows, payloads, verdicts or decisions are owed to anybody."""
        is_decided = not self._redecide.is_set() and not self._is_deciding
        return self._errands.idle and is_decided and self._connections.idle

    def connection_status(self, target: TargetId) -> ConnectionStatus | None:
        """How far the connection settings of a target are; None when it has none."""
        return self._connections.status(target)

    def counts(self) -> dict[tuple[TargetId | None, SyncState], int]:
        """Connected agents by target and state; who is gone and only remembered is not among them."""
        counts: dict[tuple[TargetId | None, SyncState], int] = {}
        for one in self._presence.each():
            if not one.connected:
                continue
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
            one = self._presence.get(uid)
            if one is None or one.link is not link or began - one.last_seen < SELDOM_SECONDS:
                self._count(link, began)
            if one is None or one.link is not link:
                leaving = message.HasField("agent_disconnect")
                one = self._presence.connect(uid, link, began, number=message.sequence_num, leaving=leaving)
                if one is None:
                    return (head(uid),)
            step = one.session.receive(message, began, polled=link.transport == "http")
        except ProtocolError as error:
            return self._refuse(link, uid, error, began)
        one.last_seen = began
        kind = "heartbeat"
        parts: Sequence[bytes] = (step.reply,)
        if step.events or step.alone:
            kind, told = self._apply(one, step)
            parts = self._answer(one, step, told)
        elif one.generation != self._offering.generation:
            parts = self._answer(one, step)
        self._meters.message_seconds[kind].observe(self._clock.monotonic() - began)
        return parts

    def _refuse(self, link: AgentLink, uid: AgentUid, error: ProtocolError, began: float) -> Sequence[bytes]:
        if not uid:  # it could not be read, so it was not counted
            try:
                self._count(link, began)
            except ProtocolError as throttled:
                error = throttled
        self._meters.protocol_errors[error.code] += 1
        self._complaints.note(error.code, link.remote_addr, error.message)
        kind, wait = ErrorType.BAD_REQUEST, None
        if error.code in (FULL, THROTTLED):
            kind = ErrorType.UNAVAILABLE
            wait = timedelta(seconds=self._random.uniform(RETRY_SECONDS, 2 * RETRY_SECONDS))
        reply = error_reply(uid, kind, str(error), wait)
        self._meters.message_seconds["invalid"].observe(self._clock.monotonic() - began)
        return (reply,)

    def _count(self, link: AgentLink, began: float) -> None:
        """Lets a link that says too much wait; it is told once, and from then on only not read for a while.

        Raises:
            ProtocolError: `opamp.throttled`, once for each link.
        """
        load = self._presence.load(link)
        ahead = 0.0 if load is None else load.take(began)
        if load is None or ahead <= 0.0:
            return
        link.pause(PAUSE_SECONDS + ahead)
        self._meters.throttled += 1
        if not load.is_told:
            load.is_told = True
            raise ProtocolError("too many messages, come back later", code=THROTTLED)

    def _answer(self, one: ConnectedAgent, step: Step, told: bytes = b"") -> Sequence[bytes]:
        """The reply to a message, with everything that goes out beside it.

        Args:
            one: who is answered.
            step: what its message did.
            told: its new uid, as a tail; empty: none.
        """
        if one.transport == "http" and not told:
            command = self._commands.take(one, step)
            if command is not None:
                one.generation = -1  # what else is due goes with the next poll
                return (command,)
        parts = self._offering.answer(one, step)
        if step.alone:
            return parts
        if told:
            parts = (*parts, told)
        if self._extensions.is_waiting(one):
            parts = self._extensions.attach(one, parts)
        if self._commands.is_waiting(one) or self._extensions.is_waiting(one):
            one.generation = -1
        return parts

    # ── Messages ────────────────────────────────────────────────────────────────────────────────────────────

    def _apply(self, one: ConnectedAgent, step: Step) -> tuple[str, bytes]:  # noqa: C901 - one case per event
        """Folds what a message said into the agent.

        Returns:
            What kind of message it was, for the metrics; and a tail that tells the agent a new uid, or nothing.
        """
        at = self._clock.now()
        kind, told = "status", b""
        if step.alone:
            self._note_csr(one)
        before = one.agent
        for event in step.events:
            match event:
                case messages.Described():
                    kind = "full"
                case messages.Disconnected():
                    kind = "disconnect"
                    self._presence.farewell(one)
                case messages.EffectiveReported(objects):
                    one.effective = objects
                    self._keep_effective(event)
                case messages.ComponentsReported():
                    self._inventory.take(one, event)
                case messages.Renamed(old, new):
                    self._presence.renamed(one, old, new)
                case messages.ConfigStatusReported():
                    self._log_status(one, event)
                case messages.CustomCapabilitiesReported():
                    self._extensions.arrived(one)
                case messages.CustomMessageReceived():
                    self._extensions.received(one, event)
                case messages.UidRequested():
                    told = self._give_uid(one)
                case messages.SequenceBroken() | messages.NumberRepeated():
                    told = told or self._part(one, event, at)
                case _:
                    pass
            self.see(one, event, at)
        is_fresh = self._clock.monotonic() - one.noted_at < SEEN_SECONDS
        if not (kind == "status" and is_fresh and is_only_numbers(before, one.agent)):
            self.note(one)
        return kind, told

    def see(self, one: ConnectedAgent, event: Observed, at: datetime) -> None:
        """Something about the agent has become known."""
        before = one.agent.restart
        self._facts.see(one, event, at)
        after = one.agent.restart
        if after is not None and after is not before and (before is None or before.state is not after.state):
            self._meters.commands["restart", str(after.state)] += 1
            log.info("agent %s: restart %s%s", show_uid(one.agent.uid), after.state, after.sign and f" ({after.sign})")

    def _part(
        self, one: ConnectedAgent, event: messages.SequenceBroken | messages.NumberRepeated, at: datetime
    ) -> bytes:
        """Whether two agents speak in turn as one; what to tell the second of them when it has just spoken."""
        known = self._twins.newest_of(one.session.uid)
        if known is not None and self._presence.get(known) is None:
            self._twins.sign(one)
            return b""  # told, and not listening
        if one.agent.uid != one.session.uid:
            return b""
        match event:
            case messages.SequenceBroken():
                is_second = self._twins.jumped(one, event)
            case messages.NumberRepeated():
                is_second = self._twins.repeated(one, event)
        if not is_second:
            return b""
        new = self._twins.part(one, one.remote_addr, "two sequences of messages")
        self.see(one, Duplicated(new), at)
        return identification_tail(new)

    def _note_csr(self, one: ConnectedAgent) -> None:
        self._meters.protocol_errors[NO_CERTIFICATE] += 1
        if one.agent.uid in self._csr_logged:
            return
        if len(self._csr_logged) >= REMEMBERED:
            self._csr_logged.clear()
        self._csr_logged.add(one.agent.uid)
        log.warning("agent %s asks for a certificate, and this server issues none", show_uid(one.agent.uid))

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
        elif log.isEnabledFor(logging.DEBUG):  # its texts cost more than the rest of this method
            log.debug("agent %s: %s %s", show_uid(one.agent.uid), show_digest(event.config_hash), name)

    def _keep_effective(self, event: messages.EffectiveReported) -> None:
        body = b"".join(one.body for _, one in sorted(event.objects.items()))
        self._facts.keep(effective_digest(event), EFFECTIVE, body)

    def _give_uid(self, one: ConnectedAgent) -> bytes:
        """A new instance uid; what to append to the answer (a poll is told in no other way)."""
        new = self._random.uuid7(self._clock.now())
        self._presence.expect(new, one)
        return one.session.rename(new).reply

    @property
    def replica_id(self) -> str:
        """The name of this server."""
        return self._options.replica_id

    def cannot_restart(self, uid: AgentUid) -> Conflict | None:
        """Why the agent cannot be told to restart here and now; None: it can."""
        return self._commands.obstacle(self._presence.get(uid))

    def restart(self, uid: AgentUid) -> Restart:
        """Tells an agent to restart.

        Raises:
            Conflict: what `cannot_restart` tells.
        """
        return self._commands.restart(self._presence.get(uid))

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
        is_mine = row is not None and row.replica_id == self.replica_id
        if row is not None and not (is_mine and one.noted_at):  # what this process noted before, it knows better
            if one.connected or is_mine or not row.connected:  # else it is gone from here, and there
                one.conn_epoch = max(one.conn_epoch, row.conn_epoch + 1)
            agent = observe(replace(row.agent, uid=one.agent.uid), Recalled(), one.connected_at)
            if one.session.capabilities:
                agent = observe(agent, messages.CapabilitiesChanged(one.session.capabilities), one.connected_at)
            for event, at in backlog:
                agent = observe(agent, event, at)
            one.agent = agent
        self._commands.follow(one)
        self.push(one)
        self.note(one)

    def looked_up(self, components_hash: bytes, *, found: bool) -> None:
        """Whether the components of a build are stored is known."""
        self._inventory.looked_up(components_hash, found=found)

    def take_payload(self, payload: Payload) -> None:
        """A payload that is not in use any more; it can be offered until the next publication."""
        self._offering.take_payload(payload)

    # ── Tasks ───────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Works until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._errands.run(), name="agents-errands")
            tasks.create_task(self._connections.run(), name="agents-connections")
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
        """Looks for silent agents, for offers and commands without an answer, and for who is owed another try."""
        now, at = self._clock.monotonic(), self._clock.now()
        self._connections.check()
        everybody = self._presence.everybody()
        for one in everybody:
            if self._is_overdue(one.agent, at):
                self._meters.config_updates["no_answer"] += 1
                self.see(one, AnswerOverdue(), at)
                self.push(one)
                self.note(one)
            if not one.connected:
                continue
            self._try_again(one, at)
            twin = one.agent.twin
            if twin is not None and self._twins.is_over(one, self._presence.get(twin)):
                self.see(one, Duplicated(None), at)
                self.note(one)
            patience = max(self._options.silence.total_seconds(), 3 * one.session.heartbeat_seconds)
            if now - one.last_seen > patience and one.session.heartbeat_seconds:
                self._gone(one)
            elif one.transport == "http" and one.last_seen - one.noted_at >= SEEN_SECONDS:
                self.note(one)
        self._complaints.tell()
        self._offering.tell()
        self._presence.check(now)
        self._inventory.check(everybody)
        self._commands.check(at)

    def _try_again(self, one: ConnectedAgent, at: datetime) -> None:
        """Offers once more what an agent never answered, or said that it applied and does not run, after a while."""
        due = due_at(one.agent)
        if due is not None and at >= due:
            self.see(one, FellDue(), at)
            one.generation = -1
            self._redecide.set()  # it may be a whole fleet's turn

    def _is_overdue(self, agent: Agent, at: datetime) -> bool:
        attempt = agent.current
        if attempt is None or not attempt.state.is_open:
            return False
        is_offered = attempt.state is AttemptState.OFFERED
        patience = self._options.answer_timeout if is_offered else self._options.applying_timeout
        return at - attempt.changed_at > patience

    def _gone(self, one: ConnectedAgent) -> None:
        self._meters.heartbeat_timeouts += 1
        log.warning("heartbeat timeout: agent %s at %s", show_uid(one.agent.uid), one.remote_addr)
        self._presence.silent(one)
