"""`Connections`: which agents are offered which connection settings, when, and what becomes of it.

Rules
- Off the path of a message: secrets are read, and agents on WebSocket are offered something, by one task. A poll is
  answered with what is ready.
- Only an agent whose stored row is loaded, whose offers are open, and that has no configuration on its way.
- What decides is `fleet.connection`; how many may be away at a time is counted here, for each process and section.
- An offer is noted when it is written, and stored with the next batch: a crash in between may make it a second time,
  which costs that agent one more reconnect. The other order could leave an agent waiting for what was never sent.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from gitsync.control.connected import ConnectedAgent
from gitsync.control.destinations import Destinations
from gitsync.control.facts import Facts
from gitsync.control.meters import Meters
from gitsync.control.ports import AgentJournal, Clock, Secrets
from gitsync.control.published import Published
from gitsync.control.service import ConnectionStatus
from gitsync.errors import GitsyncError
from gitsync.fleet.assign import Kind, Reason
from gitsync.fleet.connection import (
    AgentConnection,
    OfferState,
    Ramp,
    back,
    due,
    is_back,
    lost,
    offered,
    restarted,
)
from gitsync.fleet.observe import ConnectionChanged
from gitsync.ids import AgentUid, TargetId, show_uid
from gitsync.opamp.connection import OPAMP, Offerable, connection_tail
from gitsync.opamp.messages import Capability

log = logging.getLogger("gitsync.agents")

STORE_SECONDS = 30.0
SLICE = 200
"""Agents that are offered something without letting others run."""
LOOKED_AT = 100
"""Waiting agents that are looked at for each one that may go: some are away, and some poll seldom."""


class LiveAgents(Protocol):
    """Whom settings are offered to (`control.presence.Presence`)."""

    def get(self, uid: AgentUid) -> ConnectedAgent | None:
        """The live agent."""

    def everybody(self) -> list[ConnectedAgent]:
        """The live agents."""


@dataclass(slots=True, eq=False)
class _Counts:
    """Who was offered one OpAMP section by this process, and who has to wait."""

    target: TargetId
    waiting: set[AgentUid] = field(default_factory=set)
    done: set[AgentUid] = field(default_factory=set)
    bad: set[AgentUid] = field(default_factory=set)
    held: dict[AgentUid, None] = field(default_factory=dict)

    @property
    def ramp(self) -> Ramp:
        return Ramp(len(self.waiting), len(self.done), len(self.bad))


@dataclass(slots=True)
class _Wait:
    """An agent that was told where to connect, and where it counts.

    Attributes:
        since: monotonic seconds.
        one: the live agent; its uid may change meanwhile.
        claimed: it said APPLIED, and has to show it with its next poll.
    """

    since: float
    one: ConnectedAgent
    counts: _Counts
    claimed: bool = False


class Connections:
    """Offers connection settings, and follows them up."""

    def __init__(
        self,
        agents: LiveAgents,
        secrets: Secrets,
        journal: AgentJournal,
        facts: Facts,
        meters: Meters,
        clock: Clock,
        *,
        answer_timeout: timedelta,
        interval: timedelta,
    ) -> None:
        """Nothing is offered yet.

        Args:
            answer_timeout: after this time an agent that did not come back counts as lost.
            interval: how often secrets are looked at again.
        """
        self._agents = agents
        self._destinations = Destinations(secrets, clock)
        self._journal = journal
        self._facts = facts
        self._meters = meters
        self._clock = clock
        self._began = clock.now()
        self._patience = answer_timeout.total_seconds()
        self._interval = interval.total_seconds()
        self._published = Published()
        self._counts: dict[tuple[TargetId, bytes], _Counts] = {}
        self._waiting: dict[AgentUid, _Wait] = {}
        self._queue: dict[AgentUid, None] = {}
        self._absent: dict[AgentUid, None] = {}
        self._work = asyncio.Event()
        self._busy = False

    @property
    def idle(self) -> bool:
        """Whether nobody is owed an offer."""
        return not (self._queue or self._destinations.stale or self._absent or self._busy)

    # ── Settings ────────────────────────────────────────────────────────────────────────────────────────────

    def set_published(self, published: Published) -> None:
        """Puts a new desired state in effect; settings that changed are offered once their secrets were read."""
        self._published = published
        self._destinations.set_published(published)
        if self._destinations.stale:
            self._work.set()

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            is_due = False
            try:
                async with asyncio.timeout(self._interval):
                    await self._work.wait()
            except TimeoutError:
                is_due = bool(self._destinations)
            self._work.clear()
            self._busy = True
            if is_due or self._destinations.stale:
                await self.refresh()
            await self._offer_queued()
            await self._ask_for_absent()
            self._busy = False

    async def refresh(self) -> None:
        """Reads the secrets again; whose settings are others now, is offered them."""
        changed = await self._destinations.refresh()
        self._counts = {key: one for key, one in self._counts.items() if self._is_current(*key)}
        for one in self._agents.everybody() if changed else ():
            if one.assignment is not None and one.assignment.target in changed:
                self.consider(one)

    def _is_current(self, target: TargetId, digest: bytes) -> bool:
        """Whether a target still offers this section, or may again once its secrets are back."""
        return any(one.settings is None or one.opamp_digest == digest for one in self._destinations.of_target(target))

    def status(self, target: TargetId) -> ConnectionStatus | None:
        """How far the settings of a target are; None when it has none."""
        for plan in self._destinations.of_target(target):
            digest = plan.opamp_digest
            counts = None if digest is None else self._counts.get((target, digest))
            if counts is None:
                return ConnectionStatus(problem=plan.problem)
            problem = plan.problem
            if counts.bad:
                uid = show_uid(min(counts.bad))
                problem = f"stopped: agent {uid} failed, or did not come back"
            return ConnectionStatus(
                problem, len(counts.waiting), len(counts.done), len(counts.bad), held=len(counts.held)
            )
        return None

    # ── Agents ──────────────────────────────────────────────────────────────────────────────────────────────

    def consider(self, one: ConnectedAgent) -> None:
        """The agent may have to be offered something: soon, or with its next poll."""
        if self._destinations.of(one.assignment) is None:
            return
        if one.transport == "http":
            one.generation = -1
        elif one.agent.uid not in self._queue:
            self._queue[one.agent.uid] = None
            self._work.set()

    async def _offer_queued(self) -> None:
        queue, self._queue = self._queue, {}
        for number, uid in enumerate(queue, 1):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            one = self._agents.get(uid)
            if one is None or one.transport == "http" or one.link is None or not one.link.is_open:
                continue
            tail = self.offer(one)
            if tail:
                one.link.send((one.session.head, *tail))

    def offer(self, one: ConnectedAgent) -> tuple[bytes, ...]:
        """What the agent is offered now, as the tail of a message; the caller writes it. Mostly nothing."""
        plan = self._destinations.of(one.assignment)
        if plan is None or not self._is_ready(one):
            return ()
        offer = plan.offer(one.agent.capabilities)
        if offer is None or not offer.sections:
            return ()
        known, uid = one.agent.connection, one.agent.uid
        counts = self._counts_of(one, offer)
        self._remember(one, offer, counts)
        names = due(known, offer, reports_status=one.agent.can(Capability.REPORTS_CONNECTION_SETTINGS_STATUS))
        if not names:
            return ()
        if OPAMP in names and counts is not None:
            if counts.ramp.free <= 0:
                counts.held[uid] = None
                return ()
            counts.held.pop(uid, None)
            counts.done.discard(uid)
            counts.waiting.add(uid)
            self._waiting[uid] = _Wait(self._clock.monotonic(), one, counts)
            one.sequences = one.session.sequences
        at = self._clock.now()
        self._set(one, offered(known, offer, names, epoch=one.conn_epoch, at=at), at)
        self._meters.connection_offers["offered"] += 1
        log.info("agent %s: offered connection settings (%s)", show_uid(uid), ", ".join(sorted(names)))
        return (connection_tail(offer, names),)

    def heard(self, one: ConnectedAgent) -> None:
        """The agent said something: is it back where it was told to connect, or did its process start again?"""
        known = one.agent.connection
        if known is None or one.backlog is not None:
            return
        has_started_over = one.session.sequences > one.sequences
        wait = self._waiting.get(one.agent.uid)
        if known.awaits_return:
            self._follow(one, known, wait, has_started_over)
        elif wait is not None:
            self._conclude(one.agent.uid, wait, known.sections[OPAMP].state, known.error)
        elif has_started_over and (one.transport == "http" or one.conn_epoch > known.epoch):
            one.sequences = one.session.sequences
            if known.heartbeat_seconds or known.doubts_health:
                self._set(one, restarted(known, epoch=one.conn_epoch), self._clock.now())
        known = one.agent.connection
        one.session.expect_heartbeats(0 if known is None else known.heartbeat_seconds)

    def _follow(self, one: ConnectedAgent, known: AgentConnection, wait: _Wait | None, has_started_over: bool) -> None:
        """What becomes of an agent that was told where to connect."""
        at, polled = self._clock.now(), one.transport == "http"
        if self._age(known, at) > self._patience:
            self._give_up(one, known, at)
        elif is_back(known, epoch=one.conn_epoch, has_started_over=has_started_over, polled=polled):
            if not has_started_over and wait is not None and not wait.claimed:
                wait.claimed = True  # it has just said so; the next poll is the proof
                one.generation = -1
                return
            one.sequences = one.session.sequences
            self._set(one, back(known, epoch=one.conn_epoch, at=at), at)
            if wait is not None:
                self._conclude(one.agent.uid, wait, OfferState.DONE)
            else:
                self._meters.connection_offers["done"] += 1

    def check(self) -> None:
        """Gives up agents that did not come back, and lets others follow those that did."""
        now, at = self._clock.monotonic(), self._clock.now()
        for uid, wait in list(self._waiting.items()):
            if now - wait.since <= self._patience:
                continue
            one = self._agents.get(wait.one.agent.uid)
            known = None if one is None else one.agent.connection
            if one is None or known is None or one.backlog is not None or not one.connected:
                self._absent[uid] = None
                self._work.set()
            elif known.awaits_return:
                self._set(one, lost(known, at), at)
                self._conclude(uid, wait, OfferState.LOST)
            else:
                self._conclude(uid, wait, known.sections[OPAMP].state, known.error)
        for counts in self._counts.values():
            self._let_follow(counts)

    async def _ask_for_absent(self) -> None:
        """Agents that this process does not serve any more may be back at another one: their rows say so."""
        absent, self._absent = list(self._absent), {}
        if not absent:
            return
        try:
            async with asyncio.timeout(STORE_SECONDS):
                rows = await self._journal.load_agents(absent)
        except (GitsyncError, TimeoutError) as error:
            log.warning("whether agents are back is not known: %s", str(error) or "the database is too slow")
            return
        for uid in absent:
            wait, row = self._waiting.get(uid), rows.get(uid)
            known = None if row is None else row.agent.connection
            if wait is None:
                continue
            if row is None or known is None or not known.awaits_return:
                state = OfferState.LOST if known is None or OPAMP not in known.sections else known.sections[OPAMP].state
                self._conclude(uid, wait, state)
                continue
            at, one = self._clock.now(), self._agents.get(uid)
            if one is not None and one.agent.connection is not None and one.agent.connection.awaits_return:
                self._set(one, lost(one.agent.connection, at), at)
            else:
                self._journal.note(replace(row, agent=replace(row.agent, connection=lost(known, at))))
            self._conclude(uid, wait, OfferState.LOST)

    # ── Inside ──────────────────────────────────────────────────────────────────────────────────────────────

    def _is_ready(self, one: ConnectedAgent) -> bool:
        """Whether anything may be offered to the agent now."""
        assignment, attempt = one.assignment, one.agent.current
        if one.backlog is not None or not one.connected or not one.session.offers_open or assignment is None:
            return False
        if assignment.kind in (Kind.OFFER, Kind.STOP) or assignment.reason is Reason.UNKNOWN_TYPE:
            return False
        if attempt is not None and attempt.state.is_open:
            return False
        assert assignment.target is not None, "it has a plan"
        desired = self._published.desired
        state = desired.states.get(assignment.target)
        if state is None or state.suspended or state.frozen or assignment.version is None:
            return False
        version = desired.versions.get((assignment.target, assignment.version))
        return version is not None and not version.suspend

    def _counts_of(self, one: ConnectedAgent, offer: Offerable) -> _Counts | None:
        section = offer.sections.get(OPAMP)
        if section is None or one.assignment is None or one.assignment.target is None:
            return None
        target = one.assignment.target
        return self._counts.setdefault((target, section.digest), _Counts(target))

    def _remember(self, one: ConnectedAgent, offer: Offerable, counts: _Counts | None) -> None:
        """Counts an agent whose row says what became of this very section, maybe in another process."""
        uid, known = one.agent.uid, one.agent.connection
        section = None if known is None else known.sections.get(OPAMP)
        if known is None or section is None or counts is None or section.digest != offer.sections[OPAMP].digest:
            return
        if section.state is OfferState.DONE:
            counts.done.add(uid)
        elif not section.state.is_open:
            counts.bad.add(uid)
        elif uid not in self._waiting:
            age = self._age(known, self._clock.now())
            counts.waiting.add(uid)
            self._waiting[uid] = _Wait(self._clock.monotonic() - age, one, counts)

    def _age(self, known: AgentConnection, at: datetime) -> float:
        """For how many seconds the agent could have been back; while this process was not here, it could not."""
        return max((at - max(known.offered_at, self._began)).total_seconds(), 0.0)

    def _give_up(self, one: ConnectedAgent, known: AgentConnection, at: datetime) -> None:
        self._set(one, lost(known, at), at)
        wait = self._waiting.get(one.agent.uid)
        if wait is not None:
            self._conclude(one.agent.uid, wait, OfferState.LOST)
        else:
            self._meters.connection_offers["lost"] += 1

    def _conclude(self, uid: AgentUid, wait: _Wait, state: OfferState, error: str = "") -> None:
        """An agent is not waited for any more; who follows, follows."""
        self._waiting.pop(uid, None)
        counts = wait.counts
        counts.waiting.discard(uid)
        self._meters.connection_offers[str(state)] += 1
        if state is OfferState.DONE:
            counts.done.add(uid)
            self._let_follow(counts)
            return
        counts.bad.add(uid)
        log.warning(
            "agent %s: connection settings %s%s; target %s offers them to nobody else",
            show_uid(uid),
            "FAILED" if state is OfferState.FAILED else "were offered, and it did not come back",
            f": {error}" if error else "",
            counts.target,
        )

    def _let_follow(self, counts: _Counts) -> None:
        """As many of those who wait as may go now. Of those that poll, who asks first goes first."""
        free = counts.ramp.free
        for uid in list(islice(counts.held, free + LOOKED_AT)) if free else ():
            if not free:
                return
            del counts.held[uid]
            one = self._agents.get(uid)
            if one is None or not one.connected:
                continue  # considered again when it is back
            counts.held[uid] = None  # at the end; `offer` takes it out
            self.consider(one)
            free -= one.transport != "http"

    def _set(self, one: ConnectedAgent, connection: AgentConnection, at: datetime) -> None:
        self._facts.see(one, ConnectionChanged(connection), at)
        self._facts.note(one)
