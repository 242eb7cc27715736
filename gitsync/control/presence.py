"""`Presence`: which agents this process serves, and which link each of them is on.

Rules
- Of two links of one agent the newer one wins.
- A WebSocket that ends takes all its agents with it; a POST that ends takes nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

from gitsync.control.connected import ConnectedAgent
from gitsync.control.errands import Errands
from gitsync.control.facts import Facts
from gitsync.control.ports import AgentLink, Clock
from gitsync.errors import ProtocolError
from gitsync.fleet.agent import Agent
from gitsync.fleet.observe import Reconnected
from gitsync.ids import AgentUid
from gitsync.opamp.session import Session

log = logging.getLogger("gitsync.agents")

AGENTS_PER_LINK = 1_000
"""A proxy may carry several agents; a peer that invents them may not fill the memory."""
FULL = "opamp.full"
"""Code of the answer to an agent more than the server takes."""


class Presence:
    """The live agents by uid, and their links."""

    def __init__(
        self, max_agents: int, greeting: tuple[int, tuple[str, ...]], facts: Facts, errands: Errands, clock: Clock
    ) -> None:
        """Nobody is here yet.

        Args:
            max_agents: that are served or were until lately.
            greeting: capability bits and custom capabilities of the server, for first answers.
        """
        self._max_agents = max_agents
        self._greeting = greeting
        self._facts = facts
        self._errands = errands
        self._clock = clock
        self._agents: dict[AgentUid, ConnectedAgent] = {}
        self._links: dict[AgentLink, set[AgentUid]] = {}

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

    # ── Links ───────────────────────────────────────────────────────────────────────────────────────────────

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
                self.disconnected(one)

    def connect(self, uid: AgentUid, link: AgentLink, now: float) -> ConnectedAgent:
        """The agent that speaks on this link; made when it is new, moved when it was on another one.

        Raises:
            ProtocolError: there are too many agents on the link (`opamp.too-many-agents`), or here (`opamp.full`).
        """
        one = self._agents.get(uid)
        if one is not None and one.link is link:
            return one
        if len(self._links.get(link, ())) >= AGENTS_PER_LINK:
            raise ProtocolError(f"more than {AGENTS_PER_LINK} agents on one connection", code="opamp.too-many-agents")
        if one is None:
            if len(self._agents) >= self._max_agents:
                raise ProtocolError("the server has too many agents, try again later", code=FULL)
            one = self._admit(uid, link, now)
        else:
            self._move(one, link, now)
        self._links.setdefault(link, set()).add(uid)
        return one

    def _admit(self, uid: AgentUid, link: AgentLink, now: float) -> ConnectedAgent:
        at = self._clock.now()
        capabilities, custom = self._greeting
        one = ConnectedAgent(
            agent=Agent(uid),
            session=Session(uid, server_capabilities=capabilities, server_custom=custom),
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
        self._facts.see(one, Reconnected(), at)
        self._facts.note(one)
        if link.transport == "http":
            log.info("Agent connected: %s", link.remote_addr)

    # ── Uids ────────────────────────────────────────────────────────────────────────────────────────────────

    def expect(self, new: AgentUid, one: ConnectedAgent) -> None:
        """The agent was told a new uid: its messages may carry either."""
        self._agents[new] = one

    def renamed(self, one: ConnectedAgent, old: AgentUid, new: AgentUid) -> None:
        """From now on it is `new`; nobody is connected as `old` any more."""
        if one.backlog is not None:
            self._errands.load_row(new)
        else:
            self._facts.note_gone(one)
        self._agents.pop(old, None)
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
        if one.link is not None:
            self._links.get(one.link, set()).discard(one.agent.uid)
        one.link = None
        one.connected = False

    def gone(self, one: ConnectedAgent) -> None:
        """The agent was silent for too long: it is not served any more."""
        link = one.link
        self.disconnected(one)
        if link is not None and link.is_open and not self._links.get(link):
            link.close(1001, "no heartbeat")
        self._agents.pop(one.agent.uid, None)
        if one.session.new_uid is not None:
            self._agents.pop(one.session.new_uid, None)


def _microseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)
