"""`Facts`: what becomes known of live agents, and its way into the journal."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial

from gitsync.control.connected import ConnectedAgent, record_of
from gitsync.control.ports import AgentJournal, Clock
from gitsync.fleet.observe import Observed, observe

BACKLOG_LIMIT = 256


class Facts:
    """Folds events into agents, and hands their records to the journal."""

    def __init__(self, journal: AgentJournal, clock: Clock, replica_id: str) -> None:
        self._journal = journal
        self._clock = clock
        self._replica_id = replica_id

    def see(self, one: ConnectedAgent, event: Observed, at: datetime) -> None:
        """Something about the agent has become known."""
        if one.backlog is not None and len(one.backlog) < BACKLOG_LIMIT:
            one.backlog.append((event, at))
        one.agent = observe(one.agent, event, at)

    def note(self, one: ConnectedAgent) -> None:
        """Hands the newest facts to the journal; nothing before the stored row was loaded, it would be lost."""
        if one.backlog is not None:
            return
        one.noted_at = self._clock.monotonic()
        record = one.record
        if record is None:  # one for each agent: the journal knows it again, and does not note the same twice
            record = one.record = partial(record_of, one, self._replica_id, self._clock)
        agent = one.agent
        self._journal.note_later(agent.uid, agent.current, record)

    def note_before(self, one: ConnectedAgent) -> None:
        """Hands over what is known until now: what waits for its record must not get a later one of a row unknown."""
        self._journal.note(record_of(one, self._replica_id, self._clock))

    def note_gone(self, one: ConnectedAgent) -> None:
        """The agent is not connected under this uid any more; what it is under another one is noted elsewhere."""
        self._journal.note(replace(record_of(one, self._replica_id, self._clock), connected=False))

    def keep(self, digest: bytes, kind: str, body: bytes) -> None:
        """A large value, kept once."""
        self._journal.note_blob(digest, kind, body)
