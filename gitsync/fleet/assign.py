"""`assign`: what one agent should have now, and why. The only place that decides it; pure.

First hit wins (DESIGN section 3):

0. per target the definition in effect for this agent, 1. the best matching target, none: KEEP, 2. an agent that
cannot take configuration, or of unknown type: READ_ONLY, 3. the payload its version wants, 4. if that failed on this
agent: the first of its last good, stable, fallback that did not, else BLOCKED, 5. reported already, or on its way:
KEEP, 6. suspended or frozen: KEEP, 7. OFFER. Before 4, a supervisor that is stuck on what it runs gets STOP once: an
empty configuration frees it, then its last good one follows. 5 does not hold, once, for an agent that says that it
applied the payload and goes on reporting to run something without it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache

from gitsync.bundle.version import EMPTY_SLOT, TargetVersion
from gitsync.fleet.agent import STOP, Agent, AttemptState
from gitsync.fleet.desired import Desired, agent_type
from gitsync.fleet.observe import MAX_TRIES, contradicts_itself
from gitsync.ids import ConfigHash, TargetId, VersionDigest
from gitsync.opamp.messages import Capability, ConfigStatus
from gitsync.rollout.state import TargetState


class Kind(enum.StrEnum):
    """What is done about an agent."""

    OFFER = "offer"
    KEEP = "keep"
    READ_ONLY = "read-only"
    BLOCKED = "blocked"
    STOP = "stop"


class Reason(enum.StrEnum):
    """Why; the texts for people are made on demand (`fleet.why`)."""

    NO_TARGET = "no-target"
    CANNOT_TAKE_CONFIG = "cannot-take-config"
    UNKNOWN_TYPE = "unknown-type"
    ALL_FAILED = "all-failed"
    STUCK = "stuck"
    UP_TO_DATE = "up-to-date"
    ON_ITS_WAY = "on-its-way"
    NO_ANSWER = "no-answer"
    NOT_IN_EFFECT = "not-in-effect"
    SUSPENDED = "suspended"
    WANTED = "wanted"
    WANTED_FAILED = "wanted-failed"


_FLAGGED = (Reason.ALL_FAILED, Reason.STUCK, Reason.WANTED_FAILED, Reason.NO_ANSWER, Reason.NOT_IN_EFFECT)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one agent should have now.

    Attributes:
        version: of the target, in effect for this agent.
        wanted: payload that the version wants for it.
        digest: payload that it should have; differs from `wanted` when that one failed on it.
    """

    kind: Kind
    reason: Reason
    target: TargetId | None = None
    version: VersionDigest | None = None
    wanted: ConfigHash | None = None
    digest: ConfigHash | None = None

    @property
    def flag(self) -> str | None:
        """What people should look at."""
        return str(self.reason) if self.reason in _FLAGGED else None


def assign(agent: Agent, desired: Desired) -> Assignment:
    """What the agent should have now, and why."""
    match = desired.best(agent)
    if match is None:
        return _NO_TARGET
    version, target, wanted, type_ = match
    obstacle = _obstacle(agent, type_)
    if obstacle is not None:
        return _shared(Kind.READ_ONLY, obstacle, target, version.digest, wanted, None)
    if agent.stuck and _is_stuck(agent):
        kind = Kind.KEEP if agent.current is not None and agent.current.digest == STOP else Kind.STOP
        return _shared(kind, Reason.STUCK, target, version.digest, wanted, STOP)
    digest = _choose(agent, desired, version, wanted) if agent.failed else wanted
    if digest is None:
        return _shared(Kind.BLOCKED, Reason.ALL_FAILED, target, version.digest, wanted, None)
    kind, reason = _action(agent, desired.states[target], version, wanted, digest)
    return _shared(kind, reason, target, version.digest, wanted, digest)


_NO_TARGET = Assignment(Kind.KEEP, Reason.NO_TARGET)
_shared = lru_cache(maxsize=4096)(Assignment)
"""Most agents of a target are assigned the same: they share one object."""


def _obstacle(agent: Agent, type_: str | None) -> Reason | None:
    if type_ is None:
        return Reason.UNKNOWN_TYPE
    return None if agent.can(Capability.ACCEPTS_REMOTE_CONFIG) else Reason.CANNOT_TAKE_CONFIG


def _choose(agent: Agent, desired: Desired, version: TargetVersion, wanted: ConfigHash) -> ConfigHash | None:
    if not _wanted_failed(agent, wanted):
        return wanted
    state = desired.states[version.id]
    older = [desired.versions.get((version.id, one)) for one in (state.stable, state.fallback) if one is not None]
    last_good = agent.last_good if agent.target == version.id else None
    for digest in (last_good, *(one.slots[EMPTY_SLOT] for one in older if one is not None)):
        if digest is not None and digest not in agent.failed:
            return digest
    return None


def _is_stuck(agent: Agent) -> bool:
    """A supervisor that refuses everything because of what runs; only an empty configuration frees it."""
    return agent.stuck and agent.healthy is False and agent.last_good is not None


def _wanted_failed(agent: Agent, wanted: ConfigHash) -> bool:
    """Whether what the target wants failed here; content that went away and came back gets a new chance."""
    return wanted in agent.failed and agent.wanted in (None, wanted)


def _action(
    agent: Agent, state: TargetState, version: TargetVersion, wanted: ConfigHash, digest: ConfigHash
) -> tuple[Kind, Reason]:
    settled = Reason.UP_TO_DATE if digest == wanted else Reason.WANTED_FAILED
    attempt = agent.current
    if attempt is not None and attempt.digest == digest:
        if attempt.state.is_open:
            return Kind.KEEP, Reason.ON_ITS_WAY
        if attempt.state in (AttemptState.APPLIED, AttemptState.PROVEN) and _still_runs(agent, digest):
            if not (attempt.is_due and contradicts_itself(agent, digest)):
                return Kind.KEEP, settled
            if attempt.repeated:
                return Kind.KEEP, Reason.NOT_IN_EFFECT if digest == wanted else settled
        if attempt.state is AttemptState.NO_ANSWER and attempt.tries >= MAX_TRIES and not attempt.is_due:
            return Kind.KEEP, Reason.NO_ANSWER
    elif _reports(agent, digest):
        return Kind.KEEP, settled
    if state.suspended or version.suspend or state.frozen:
        return Kind.KEEP, Reason.SUSPENDED
    return Kind.OFFER, Reason.WANTED if digest == wanted else Reason.WANTED_FAILED


def _reports(agent: Agent, digest: ConfigHash) -> bool:
    reported = agent.reported
    return reported is not None and reported.digest == digest and reported.status is not ConfigStatus.FAILED


def _still_runs(agent: Agent, digest: ConfigHash) -> bool:
    """False when the agent has since said that it runs something else (it went back by itself, or was reset)."""
    return agent.reported is None or agent.reported.digest == digest


def type_of(agent: Agent, version: TargetVersion) -> str:
    """The agent's type as the version's rules see it; "unknown" when no rule knows it."""
    kind = agent_type(agent.labels.effective(), version.rules, has_components=agent.components is not None)
    return kind or "unknown"
