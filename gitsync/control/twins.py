"""`Twins`: agents that use one instance uid at the same time (clones of a machine, mostly), and what they are told.

Rules
- The one that came second is told a new uid once. One that ignores it is served on, and not told again.
- What it says under the new uid is another agent's: nothing of the first one's is known of it.
- Both are marked, and each pair is audited once.
- A mark goes an hour after the last sign that somebody else uses the uid too. A sign is the evidence itself, numbers
  that break, and that the one which was told another uid is here and uses this one. The hour is not stored: another
  process of the server, which cannot know of signs before it, lets it begin anew. Who is noticed later is marked again.
"""

from __future__ import annotations

import logging
from datetime import datetime

from gitsync.control.connected import ConnectedAgent
from gitsync.control.errands import Errands
from gitsync.control.meters import Meters
from gitsync.control.ports import Clock, Random
from gitsync.control.records import AuditEntry
from gitsync.ids import AgentUid, show_uid
from gitsync.opamp.messages import NumberRepeated, SequenceBroken
from gitsync.opamp.series import Echo, Series, echoed, follow

log = logging.getLogger("gitsync.agents")

TWINS_KEPT = 10_000
"""Pairs, and agents whose numbers jump, that are remembered."""
ALONE_SECONDS = 3_600.0
"""After which an agent of which nothing shows that it shares its uid is marked no more."""


class Twins:
    """Who shares a uid with whom."""

    def __init__(self, errands: Errands, meters: Meters, clock: Clock, random: Random) -> None:
        """Nobody is known to share a uid."""
        self._errands = errands
        self._meters = meters
        self._clock = clock
        self._random = random
        self._series: dict[AgentUid, Series] = {}
        self._echoes: dict[AgentUid, Echo] = {}
        self._newest: dict[AgentUid, AgentUid] = {}
        self._first: dict[AgentUid, AgentUid] = {}

    def newest_of(self, uid: AgentUid) -> AgentUid | None:
        """The uid that was given last to another agent which used this one."""
        return self._newest.get(uid)

    def first_of(self, uid: AgentUid) -> AgentUid | None:
        """The uid that was in use already when this one was given; None: it was not given for that reason."""
        return self._first.get(uid)

    def jumped(self, one: ConnectedAgent, event: SequenceBroken) -> bool:
        """Whether a message with this number shows that there are two, and that the one which sent it came second."""
        uid = one.session.uid
        series = follow(self._series.pop(uid, None), event.previous, event.number)
        if series.is_proven and series.is_later:
            return True
        _bound(self._series)
        self._series[uid] = series
        return False

    def repeated(self, one: ConnectedAgent, event: NumberRepeated) -> bool:
        """The same, of a message with the number of the one before: who says it again came second."""
        uid = one.session.uid
        echo = echoed(self._echoes.pop(uid, None), event.number, (one.previous_addr, one.remote_addr))
        if echo is None or echo.is_proven:
            return echo is not None
        _bound(self._echoes)
        self._echoes[uid] = echo
        return False

    def sign(self, one: ConnectedAgent) -> None:
        """Something shows now that another agent uses this one's uid, too."""
        one.shared_at = self._clock.monotonic()

    def is_over(self, one: ConnectedAgent, other: ConnectedAgent | None) -> bool:
        """Whether an agent with a mark has been alone under its uid for an hour; then the pair is forgotten here.

        Args:
            one: has the mark.
            other: whom it names; None when that one is not known to this process.
        """
        uid = one.agent.uid
        is_shared = other is not None and other.connected and other.session.uid == one.session.uid
        if is_shared or one.shared_at is None:
            self.sign(one)
            return False
        if self._clock.monotonic() - one.shared_at <= ALONE_SECONDS:
            return False
        one.shared_at = None
        self._first.pop(self._newest.pop(uid, uid), None)
        return True

    def part(self, first: ConnectedAgent, remote_addr: str, evidence: str) -> AgentUid:
        """A new uid for the one that came second; counted and audited.

        Args:
            first: the agent that keeps its uid.
            remote_addr: of the one that is told.
            evidence: how it was noticed.
        """
        uid, at = first.session.uid, self._clock.now()
        new = self._random.uuid7(at)
        _bound(self._newest)
        _bound(self._first)
        self._newest[uid] = new
        self._first[new] = uid
        self.sign(first)
        self._meters.duplicate_uids += 1
        log.warning(
            "duplicate instance uid %s: %s; the one at %s is told another", show_uid(uid), evidence, remote_addr
        )
        self._errands.audit(_entry(first, new, remote_addr, evidence, at))
        return new


def _bound(kept: dict[AgentUid, Series] | dict[AgentUid, Echo] | dict[AgentUid, AgentUid]) -> None:
    """Makes room for one more; what was noted longest ago goes."""
    if len(kept) >= TWINS_KEPT:
        del kept[next(iter(kept))]


def _entry(first: ConnectedAgent, new: AgentUid, remote_addr: str, evidence: str, at: datetime) -> AuditEntry:
    uid = first.session.uid
    return AuditEntry(
        at,
        "system",
        "duplicate_uid",
        f"agent/{show_uid(uid)}",
        "success",
        "duplicate instance uid",
        agent_uid=uid,
        remote_addr=remote_addr,
        details={"given": show_uid(new), "evidence": evidence, "first": first.remote_addr},
    )
