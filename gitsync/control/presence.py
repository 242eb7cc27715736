"""`Presence`: which agents this process serves, and which link each of them is on.

Rules
- Of two links of one agent the newer one wins. The older one stays for a while: whoever says something on it while the
  newer one is open shows that there are two agents with one uid. Then the older one keeps the uid and everything that
  was known, and the newer one is another agent, whatever uid it goes on using.
- An older link on which nothing is said is left behind, and closed.
- A WebSocket that ends takes all its agents with it; a POST that ends takes nobody.
- An agent that is gone is kept for an hour, so that one that speaks seldom goes on in its sequence; less when the room
  is needed. One that comes back and does not go on in its sequence may have been at another server, so its row is
  loaded again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gitsync.control.connected import ConnectedAgent
from gitsync.control.errands import Errands
from gitsync.control.facts import Facts
from gitsync.control.fewlines import FewLines
from gitsync.control.load import LinkLoad
from gitsync.control.ports import AgentLink, Clock
from gitsync.control.twins import Twins
from gitsync.errors import ProtocolError
from gitsync.fleet.agent import Agent
from gitsync.fleet.observe import Duplicated, Observed, Reconnected
from gitsync.ids import AgentUid, show_uid
from gitsync.opamp.session import DEFAULT_HEARTBEAT_SECONDS, Session

log = logging.getLogger("gitsync.agents")

CONNECTED, DISCONNECTED = "Agent connected", "Agent disconnected"
COMINGS_PER_SECOND = 20
"""Lines about agents that come, and as many about those that go; of the others only the number is logged."""

AGENTS_PER_LINK = 1_000
"""A proxy may carry several agents; a peer that invents them may not fill the memory."""
KEPT_SECONDS = 3_600.0
"""How long an agent that is gone is kept."""
CROSSING_SECONDS = 2.0
"""What comes on the older of two links for this long may have been under way when the newer one was opened."""
LEFT_BEHIND_SECONDS = 10.0
"""How much longer than its heartbeat an older link may be silent."""
FULL = "opamp.full"
"""Code of the answer to an agent more than the server takes."""


class Watcher(Protocol):
    """Who wants to know that agents come and go."""

    def arrived(self, one: ConnectedAgent) -> None:
        """The agent, which is known, is on a new connection."""

    def left(self, one: ConnectedAgent) -> None:
        """The agent is on no link any more."""


@dataclass(slots=True, eq=False)
class Contest:
    """An agent that spoke on another link while its old one was open, as it was on the old one.

    Attributes:
        ends_at: monotonic seconds; who is silent until then is not there.
    """

    link: AgentLink
    agent: Agent
    session: Session
    backlog: list[tuple[Observed, datetime]] | None
    sequences: int
    remote_addr: str
    connected_at: datetime
    began_at: float
    ends_at: float


class Presence:
    """The live agents by uid, and their links."""

    def __init__(
        self,
        max_agents: int,
        greeting: tuple[int, tuple[str, ...]],
        facts: Facts,
        errands: Errands,
        twins: Twins,
        watchers: Sequence[Watcher],
        clock: Clock,
        message_cost: float = 0.0,
        *,
        is_alone: bool = False,
    ) -> None:
        """Nobody is here yet.

        Args:
            max_agents: that are served or were until lately.
            greeting: capability bits and custom capabilities of the server, for first answers.
            facts: what is known of agents.
            errands: what takes I/O.
            twins: who shares a uid.
            watchers: told who comes and goes.
            clock: the time.
            message_cost: see `LinkLoad`.
            is_alone: no other server has the same agents.
        """
        self._max_agents = max_agents
        self._greeting = greeting
        self._facts = facts
        self._errands = errands
        self._twins = twins
        self._watchers = watchers
        self._clock = clock
        self._message_cost = message_cost
        self._is_alone = is_alone
        self._comings = FewLines(log, clock.monotonic, level=logging.INFO, lines=COMINGS_PER_SECOND, seconds=1.0)
        self._agents: dict[AgentUid, ConnectedAgent] = {}
        self._links: dict[AgentLink, LinkLoad] = {}
        self._away: dict[AgentUid, None] = {}
        self._contests: dict[AgentUid, Contest] = {}
        self._rivals: dict[tuple[AgentLink, AgentUid], ConnectedAgent] = {}

    def get(self, uid: AgentUid) -> ConnectedAgent | None:
        """The live agent; None when this process does not serve it."""
        return self._agents.get(uid)

    def everybody(self) -> list[ConnectedAgent]:
        """The live agents, connected or lately gone, each once."""
        return list(self.each())

    def each(self) -> Iterator[ConnectedAgent]:
        """The same, while nobody comes or goes."""
        for uid, one in self._agents.items():
            if uid == one.agent.uid:  # not the second entry of an agent that was told a new uid and does not use it yet
                yield one

    def farewell(self, one: ConnectedAgent) -> None:
        """The agent said that it leaves; some say it twice."""
        if one.connected:
            self._comings.note(DISCONNECTED, one.remote_addr)
        self.leave(one)

    def load(self, link: AgentLink) -> LinkLoad | None:
        """What the link carries; None when it is not open."""
        return self._links.get(link)

    # ── Links ───────────────────────────────────────────────────────────────────────────────────────────────

    def opened(self, link: AgentLink) -> None:
        """A socket is ready, or a POST has begun."""
        self._links[link] = LinkLoad(self._message_cost)
        if link.transport == "websocket":
            self._comings.note(CONNECTED, link.remote_addr)

    def closed(self, link: AgentLink) -> None:
        """The socket is gone, or the POST was answered."""
        load = self._links.pop(link, None)
        if link.transport == "websocket":
            self._comings.note(DISCONNECTED, link.remote_addr)
        for uid in list(load or ()):
            one = self._agents.get(uid)
            contest = self._contests.get(uid)
            if contest is not None and contest.link is link:
                self._drop(uid, contest)
            elif contest is not None and one is not None and one.link is link:
                del self._contests[uid]  # who speaks on the older one is back, and nobody else is there
            if one is None or one.link is not link:
                continue
            if link.transport == "websocket":
                self.disconnected(one)
            else:
                one.link = None

    def connect(
        self, uid: AgentUid, link: AgentLink, now: float, *, number: int, leaving: bool = False
    ) -> ConnectedAgent | None:
        """The agent that speaks on this link; made when it is new, moved when it was on another one.

        Args:
            uid: that its message carries.
            link: where the message came.
            now: monotonic seconds.
            number: of the message, in its sequence.
            leaving: the message is a farewell.

        Returns:
            None: the message was under way when the agent opened a newer link, and says nothing any more.

        Raises:
            ProtocolError: there are too many agents on the link (`opamp.too-many-agents`), or here (`opamp.full`).
        """
        one = self._agents.get(uid)
        if one is not None:
            if one.link is link:
                return one
            rival = self._rivals.get((link, uid)) if self._rivals else None
            if rival is not None:
                return rival
            contest = self._contests.get(uid)
            if contest is not None and contest.link is link:
                if not self._prove(one, contest, now, leaving=leaving):
                    return None
                if one.link is link:
                    return one
        load = self._links.get(link)
        if load is None:
            load = self._links[link] = LinkLoad(self._message_cost)
        if len(load) >= AGENTS_PER_LINK:
            raise ProtocolError(f"more than {AGENTS_PER_LINK} agents on one connection", code="opamp.too-many-agents")
        if one is None:
            one = self._admit(Agent(uid, twin=self._twins.first_of(uid)), uid, link, now)
        elif leaving and not one.connected:
            one.link = link  # a farewell that was said before: nothing begins anew
        else:
            self._move(one, link, now, number)
        load.add(one.agent.uid)
        return one

    def _admit(self, agent: Agent, wire_uid: AgentUid, link: AgentLink, now: float) -> ConnectedAgent:
        while len(self._agents) >= self._max_agents:
            if not self._away:
                raise ProtocolError("the server has too many agents, try again later", code=FULL)
            oldest = next(iter(self._away))
            del self._away[oldest]
            known = self._agents.get(oldest)
            if known is not None:
                self.forget(known)
        at = self._clock.now()
        capabilities, custom = self._greeting
        one = ConnectedAgent(
            agent=agent,
            session=Session(wire_uid, server_capabilities=capabilities, server_custom=custom),
            link=link,
            transport=link.transport,
            remote_addr=link.remote_addr,
            conn_epoch=_microseconds(at),
            connected_at=at,
            last_seen=now,
        )
        self._agents[agent.uid] = one
        self._errands.load_row(agent.uid)
        if link.transport == "http":
            self._comings.note(CONNECTED, link.remote_addr)
        return one

    def _move(self, one: ConnectedAgent, link: AgentLink, now: float, number: int) -> None:
        """The agent speaks on another link than before."""
        before = one.link
        if before is not None and before.transport == "websocket":
            self._contend(one, before, now)
        one.link = link
        one.previous_addr, one.remote_addr = one.remote_addr, link.remote_addr
        is_new_connection = link.transport == "websocket" or one.transport != "http" or not one.connected
        one.transport = link.transport
        if not is_new_connection:
            return
        at = self._clock.now()
        self._away.pop(one.agent.uid, None)
        if one.backlog is None and not self._is_alone and one.session.sequence_num not in (None, number - 1):
            self._facts.note_before(one)
            one.backlog = []
            self._errands.load_row(one.agent.uid)
        one.session.reconnected(now)
        one.connected = True
        one.connected_at = at
        one.conn_epoch = max(one.conn_epoch + 1, _microseconds(at))
        self._facts.see(one, Reconnected(), at)
        self._facts.note(one)
        for watcher in self._watchers:
            watcher.arrived(one)
        if link.transport == "http":
            self._comings.note(CONNECTED, link.remote_addr)

    # ── Two links with one uid ──────────────────────────────────────────────────────────────────────────────

    def _contend(self, one: ConnectedAgent, before: AgentLink, now: float) -> None:
        """The older link stays, and is asked for a sign of life."""
        uid = one.agent.uid
        self._rivals.pop((before, one.session.uid), None)
        known = self._contests.pop(uid, None)
        if known is not None:
            self._leave_behind(uid, known.link)
        if not before.is_open or one.session.uid != uid:
            self._leave_behind(uid, before)
            return
        patience = (one.session.heartbeat_seconds or DEFAULT_HEARTBEAT_SECONDS) + LEFT_BEHIND_SECONDS
        self._contests[uid] = Contest(
            link=before,
            agent=one.agent,
            session=copy(one.session),
            backlog=None if one.backlog is None else list(one.backlog),
            sequences=one.sequences,
            remote_addr=one.remote_addr,
            connected_at=one.connected_at,
            began_at=now,
            ends_at=now + patience,
        )
        before.ping()

    def _prove(self, one: ConnectedAgent, contest: Contest, now: float, *, leaving: bool) -> bool:
        """Something was said on the older link; whether it counts."""
        uid = one.agent.uid
        newer = one.link
        if leaving:
            self._drop(uid, contest)
            return False
        if newer is None or not newer.is_open:
            del self._contests[uid]  # the newer one is gone or was a poll: the agent is back where it was
            return True
        is_full = len(self._agents) >= self._max_agents and not self._away
        if is_full or now - contest.began_at < CROSSING_SECONDS:
            return False
        self._part(one, contest, newer, now)
        return True

    def _part(self, one: ConnectedAgent, contest: Contest, newer: AgentLink, now: float) -> None:
        """There are two agents: the older one is what it was, the newer one is somebody else."""
        uid, at = one.agent.uid, self._clock.now()
        self._twins.sign(one)
        known = self._twins.newest_of(uid)
        rival = None if known is None else self._agents.get(known)
        # One that took its new uid and is gone is somebody else; one that never did has come back.
        is_told = rival is not None and not rival.connected and rival.session.uid == uid
        given = known if is_told and known is not None else self._twins.part(one, newer.remote_addr, "two connections")
        # 1. A place for the newer one, which may be refused, before anything has changed.
        if is_told and rival is not None:
            self._seat(rival, newer, now)
        else:
            rival = self._admit(Agent(given, twin=uid), uid, newer, now)
            newer.send((rival.session.rename(given).reply,))
        # 2. The older one as it was when the newer one came.
        del self._contests[uid]
        one.link, one.remote_addr, one.connected_at = contest.link, contest.remote_addr, contest.connected_at
        one.agent, one.session, one.sequences = contest.agent, contest.session, contest.sequences
        one.backlog = contest.backlog
        if contest.backlog is not None:
            self._errands.load_row(uid)
        one.conn_epoch = max(one.conn_epoch + 1, _microseconds(at))
        one.generation, one.assignment, one.effective = -1, None, None
        # 3. Who is on which link.
        self._links[newer].discard(uid)
        self._links[newer].add(given)
        self._rivals[newer, uid] = rival
        self._facts.see(one, Duplicated(given), at)
        self._facts.note(one)

    def _seat(self, rival: ConnectedAgent, link: AgentLink, now: float) -> None:
        """One that ignores its new uid is back."""
        rival.link, rival.remote_addr, rival.transport = link, link.remote_addr, link.transport
        rival.connected, rival.last_seen, rival.connected_at = True, now, self._clock.now()
        rival.conn_epoch = max(rival.conn_epoch + 1, _microseconds(rival.connected_at))
        rival.generation = -1
        self._away.pop(rival.agent.uid, None)
        rival.session.reconnected(now)
        self._facts.see(rival, Reconnected(), rival.connected_at)
        self._facts.note(rival)

    def check(self, now: float) -> None:
        """Closes older links on which nobody was heard, and forgets who is gone for long."""
        self._comings.tell()
        for uid, contest in list(self._contests.items()):
            if now >= contest.ends_at:
                self._drop(uid, contest)
        for uid in list(self._away):
            one = self._agents.get(uid)
            if one is None:
                del self._away[uid]
            elif now - one.last_seen <= KEPT_SECONDS:
                break  # those who left later are behind it
            else:
                self.forget(one)

    def _drop(self, uid: AgentUid, contest: Contest) -> None:
        del self._contests[uid]
        one = self._agents.get(uid)
        if one is None or one.link is not contest.link:
            self._leave_behind(uid, contest.link)

    def _leave_behind(self, uid: AgentUid, link: AgentLink) -> None:
        """The agent is not on this link any more; without any agents the link is closed."""
        load = self._links.get(link)
        if load is not None:
            load.discard(uid)
        if link.is_open and not load:
            link.close(1001, "this agent has a newer connection")

    # ── Uids ────────────────────────────────────────────────────────────────────────────────────────────────

    def expect(self, new: AgentUid, one: ConnectedAgent) -> None:
        """The agent was told a new uid: its messages may carry either."""
        self._agents[new] = one

    def renamed(self, one: ConnectedAgent, old: AgentUid, new: AgentUid) -> None:
        """From now on it is `new`; nobody is connected as `old` any more."""
        if one.agent.uid == new:  # it used the uid of another agent until now, and was known by this one
            if one.link is not None:
                self._rivals.pop((one.link, old), None)
            return
        if one.backlog is not None:
            self._errands.load_row(new)
        else:
            self._facts.note_gone(one)
        self._agents.pop(old, None)
        self._away.pop(old, None)
        self._agents[new] = one
        if one.link is not None and one.link in self._links:
            self._links[one.link].discard(old)
            self._links[one.link].add(new)

    # ── The end ─────────────────────────────────────────────────────────────────────────────────────────────

    def disconnected(self, one: ConnectedAgent) -> None:
        """The agent is gone, for now."""
        self.leave(one)
        self._facts.note(one)

    def leave(self, one: ConnectedAgent) -> None:
        """The agent is on no link now; others may go on using the one that it had."""
        link, one.link = one.link, None
        if link is not None:
            self._rivals.pop((link, one.session.uid), None)
            load = self._links.get(link)
            if load is not None:
                load.discard(one.agent.uid)
        one.connected = False
        self._away[one.agent.uid] = None
        for watcher in self._watchers:
            watcher.left(one)

    def silent(self, one: ConnectedAgent) -> None:
        """The agent has not been heard of for too long: it is not connected any more."""
        link = one.link
        self.disconnected(one)
        if link is not None and link.is_open and not self._links.get(link):
            link.close(1001, "no heartbeat")

    def forget(self, one: ConnectedAgent) -> None:
        """The agent that is gone is not kept any more; what is stored of it stays."""
        log.debug("agent %s is not kept in memory any more", show_uid(one.agent.uid))
        for uid in (one.agent.uid, one.session.uid, one.session.new_uid):
            if uid is not None and self._agents.get(uid) is one:
                del self._agents[uid]
        self._away.pop(one.agent.uid, None)
        one.record = None  # it refers to the agent: a cycle, and those are looked for seldom


def _microseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)
