"""How far an agent is with what is desired for it now, in the words of metrics, REST and CLI."""

from __future__ import annotations

import enum

from gitsync.fleet.agent import Agent, AttemptState
from gitsync.fleet.assign import Assignment, Kind, Reason


class SyncState(enum.StrEnum):
    """How far an agent is with what is desired for it now (label `state` of `gitsync_agents`)."""

    PENDING = "pending"
    OFFERED = "offered"
    APPLYING = "applying"
    APPLIED = "applied"
    FAILED = "failed"


_OF_ATTEMPT = {
    AttemptState.OFFERED: SyncState.OFFERED,
    AttemptState.NO_ANSWER: SyncState.OFFERED,
    AttemptState.APPLYING: SyncState.APPLYING,
    AttemptState.APPLIED: SyncState.APPLIED,
    AttemptState.PROVEN: SyncState.APPLIED,
    AttemptState.FAILED: SyncState.FAILED,
}


def progress(agent: Agent, assignment: Assignment) -> SyncState:
    """The state of the agent towards what its target wants; FAILED also when it is back on something older."""
    if assignment.target is None or assignment.kind is Kind.READ_ONLY:
        return SyncState.PENDING
    if assignment.kind in (Kind.BLOCKED, Kind.STOP) or assignment.digest != assignment.wanted:
        return SyncState.FAILED
    attempt = agent.current
    # The agent's word: "applied" stays true of one that reports to run something else (`Reason.NOT_IN_EFFECT`). Flag
    # and reason say so; the five words are those of all lists, metrics and stored rows.
    if attempt is not None and attempt.digest == assignment.wanted:
        return _OF_ATTEMPT[attempt.state]
    if assignment.reason is Reason.UP_TO_DATE:
        # It reports what is wanted although this server never offered it (its own memory, another replica).
        return SyncState.APPLIED
    return SyncState.PENDING
