"""How what an agent says changes what is known of it: `observe(agent, event, at) -> Agent`, pure.

An attempt moves OFFERED -> APPLYING -> APPLIED -> PROVEN, or to FAILED or NO_ANSWER. PROVEN needs the evidence
that the agent declares it gives: APPLIED, healthy, and an effective configuration that contains what was sent.
FAILED counts against content only while that content is on trial; proven content that is reported as FAILED later
is a health event (one full disk must not move a host to an old commit).

APPLIED can be wrong: a supervisor that is offered something while it starts may overwrite it, run nothing, and say
APPLIED. An agent that reports to run something else is offered the same once more. Only once, because for an agent that
shows its configuration in another way each offer may mean a restart; and the attempt stays APPLIED meanwhile, because
agents do not say again what they said before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from gitsync.fleet.agent import FAILED_KEPT, STOP, Agent, Attempt, AttemptState, Reported, changed
from gitsync.fleet.connection import AgentConnection, is_doubtful, reported
from gitsync.fleet.health import keep
from gitsync.fleet.restart import (
    RestartEvent,
    RestartOverdue,
    RestartRequested,
    RestartSent,
    forget_request,
    look_for_sign,
    on_command,
)
from gitsync.ids import AgentUid, ConfigHash, TargetId
from gitsync.labels import RankedLabels
from gitsync.opamp import messages
from gitsync.opamp.messages import Capability, ConfigStatus, EffectiveReported
from gitsync.opamp.texts import Pool

VALIDATION_FAILED = "configuration validation failed"
"""How a supervisor with validate_config says that the Collector refused. It merges what runs over what is new, so once
a bad configuration runs, every good one is refused, too."""
RELAPSED = "failed-after-proof"
"""Flag of an agent that failed on proven content, until it is healthy or says APPLIED again."""
MAX_TRIES = 3
"""How often an offer without an answer is put on the wire before the agent is flagged."""
COOLING = timedelta(minutes=10)
"""How long a flagged agent is left alone, the first time; then twice as long each time, up to `LONGEST_COOLING`."""
LONGEST_COOLING = timedelta(hours=6)
EFFECT_PATIENCE = timedelta(seconds=30)
"""How long what an agent says that it applied may be missing from what it reports to run; supervisors need 5 s."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A payload was put on the wire for the agent."""

    digest: ConfigHash
    revision: int


@dataclass(frozen=True, slots=True)
class Assigned:
    """What the agent's target wants for it, whether or not it is offered."""

    target: TargetId | None
    wanted: ConfigHash | None
    flag: str | None = None


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The agent is on a new connection: what was offered on the old one may be lost."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What another process of the server, or this one long ago, knew of the agent was loaded."""


@dataclass(frozen=True, slots=True)
class FellDue:
    """The current attempt has waited long enough: see `due_at`."""


@dataclass(frozen=True, slots=True)
class Duplicated:
    """Another agent used the same instance uid at the same time; it is known by `twin` now (None: that is long ago)."""

    twin: AgentUid | None


@dataclass(frozen=True, slots=True)
class AnswerOverdue:
    """The deadline for an answer to the current offer has passed."""


@dataclass(frozen=True, slots=True)
class EffectiveJudged:
    """Whether the effective configuration contains the payload."""

    digest: ConfigHash
    effective: bytes
    contained: bool


@dataclass(frozen=True, slots=True)
class LabelsSet:
    """Labels that the server knows of the agent (not the reported ones)."""

    labels: RankedLabels


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """What was offered to the agent to connect to, or what became of it (`fleet.connection`)."""

    connection: AgentConnection


Observed = (
    messages.Event
    | ConnectionChanged
    | Offered
    | Assigned
    | Reconnected
    | Recalled
    | FellDue
    | Duplicated
    | AnswerOverdue
    | EffectiveJudged
    | LabelsSet
    | RestartEvent
)


def observe(agent: Agent, event: Observed, at: datetime) -> Agent:  # noqa: C901 - one case per event
    """The agent after one event; the same object when nothing that is kept has changed."""
    if agent.restart is not None:
        agent = look_for_sign(agent, event, isinstance(event, Reconnected), at)
    match event:
        case messages.Described():
            return _described(agent, event)
        case messages.CapabilitiesChanged(bits):
            return changed(agent, capabilities=bits)
        case messages.HealthReported(health):
            if is_doubtful(agent.connection, health):
                return agent  # we made it reconnect: what it said before that still holds
            agent = _without_doubts(agent)
            started = health.start_time_unix_nano
            started_at = _EPOCH + timedelta(microseconds=started // 1000) if started else agent.started_at
            kept = keep(health)
            if kept != agent.health or started_at != agent.started_at:
                agent = changed(agent, health=kept, started_at=started_at)
            return _settle(_without_relapse(agent) if health.healthy else agent, at)
        case messages.ConfigStatusReported():
            return _status(agent, event, at)
        case messages.EffectiveReported():
            digest = effective_digest(event)
            return agent if digest == agent.effective else replace(agent, effective=digest, contained=None)
        case messages.ComponentsReported(digest, _):
            return agent if digest == agent.components else replace(agent, components=digest)
        case messages.PackagesReported(packages, _, error):
            # Supervisors send an empty one with each full state, though they have no packages.
            known = event if packages or error else None
            return agent if known == agent.packages else replace(agent, packages=known)
        case messages.ConnectionStatusReported():
            offer = agent.connection
            return agent if offer is None else _connected(agent, reported(offer, event, at))
        case ConnectionChanged(connection):
            return _connected(agent, connection)
        case messages.Renamed(_, new):
            return replace(agent, uid=new)
        case Offered(digest, revision):
            return on_offer(agent, ConfigHash(digest), revision, at)
        case Assigned(target, wanted, flag):
            return on_assignment(agent, target, wanted, flag)
        case Reconnected():
            return _without_answer(_lacking_anew(agent, at), at, AttemptState.OFFERED)
        case Recalled():
            return forget_request(_without_answer(_lacking_anew(agent, at), at, AttemptState.OFFERED), at)
        case FellDue():
            return agent if agent.current is None else replace(agent, current=replace(agent.current, is_due=True))
        case Duplicated(twin):
            return replace(agent, twin=twin)
        case RestartRequested() | RestartSent() | RestartOverdue():
            return on_command(agent, event, at)
        case AnswerOverdue():
            return _without_answer(agent, at, AttemptState.OFFERED, AttemptState.APPLYING)
        case EffectiveJudged(digest, effective, contained):
            if agent.effective != effective or agent.current is None or agent.current.digest != digest:
                return agent
            lacking_since = None if contained else agent.lacking_since or at
            return _settle(replace(agent, contained=contained, lacking_since=lacking_since), at)
        case LabelsSet(labels):
            return replace(agent, labels=replace(labels, reported=agent.labels.reported))
        case (
            messages.Disconnected()
            | messages.OffersOpened()
            | messages.SequenceBroken()
            | messages.NumberRepeated()
            | messages.UidRequested()
            | messages.CustomCapabilitiesReported()
            | messages.CustomMessageReceived()
            | messages.ConnectionSettingsRequested()
        ):
            return agent
        case _:
            assert_never(event)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_SHARED_KEYS = 16
_keys: Pool[tuple[str, ...], tuple[str, ...]] = Pool(256)


def contradicts_itself(agent: Agent, digest: ConfigHash) -> bool:
    """Whether the agent says that it applied this payload, its newest offer, and reports to run something else."""
    attempt, said = agent.current, agent.reported
    if attempt is None or attempt.state is not AttemptState.APPLIED or attempt.digest != digest:
        return False
    if agent.contained is not False or not agent.can(Capability.REPORTS_EFFECTIVE_CONFIG):
        return False
    return said is not None and said.digest == digest


def due_at(agent: Agent) -> datetime | None:
    """When the current attempt will have waited long enough: for an answer, or to be seen in effect; None: never."""
    attempt = agent.current
    if attempt is None or attempt.is_due:
        return None
    if contradicts_itself(agent, attempt.digest):
        return max(attempt.changed_at, agent.lacking_since or attempt.changed_at) + EFFECT_PATIENCE
    if attempt.state is not AttemptState.NO_ANSWER or attempt.tries < MAX_TRIES:
        return None
    doublings = min(attempt.tries - MAX_TRIES, 10)
    return attempt.changed_at + min(COOLING * (1 << doublings), LONGEST_COOLING)


def effective_digest(event: EffectiveReported) -> bytes:
    """Identity of an effective configuration: SHA-256 over its objects, length-prefixed, by name."""
    digest = hashlib.sha256(b"gitsync.effective.v1\0")
    for name, one in sorted(event.objects.items()):
        for raw in (name.encode(), one.content_type.encode(), one.body):
            digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()


def _connected(agent: Agent, connection: AgentConnection) -> Agent:
    """The flag follows, unless it says something about configuration."""
    before = None if agent.connection is None else agent.connection.flag
    flag = connection.flag if agent.flag in (None, before) else agent.flag
    return replace(agent, connection=connection, flag=flag)


def _without_doubts(agent: Agent) -> Agent:
    known = agent.connection
    if known is None or not known.doubts_health:
        return agent
    return replace(agent, connection=replace(known, doubts_health=False))


def _without_relapse(agent: Agent) -> Agent:
    """It runs again what it had failed on after the proof."""
    return replace(agent, flag=None) if agent.flag == RELAPSED else agent


def _described(agent: Agent, event: messages.Described) -> Agent:
    reported = {**event.non_identifying, **event.identifying}
    keys = identifying_keys(event.identifying)
    if reported == agent.labels.reported and keys == agent.identifying_keys:
        return agent
    return changed(agent, labels=replace(agent.labels, reported=reported), identifying_keys=keys)


def identifying_keys(attributes: Iterable[str]) -> tuple[str, ...]:
    """The names of identifying attributes as agents keep them: sorted, one object for all who have the same."""
    keys = tuple(sorted(attributes))
    return _keys.share(keys, keys) if len(keys) <= MAX_SHARED_KEYS else keys


def _status(agent: Agent, event: messages.ConfigStatusReported, at: datetime) -> Agent:
    digest = ConfigHash(event.config_hash)
    said = Reported(digest, event.status, event.error)
    if said == agent.reported:
        said = agent.reported  # agents say it again on each new connection
    if not digest or event.status is ConfigStatus.UNSET:
        # An agent that says it has no remote configuration: new, or its memory is gone. `assign` offers again.
        return _without_answer(changed(agent, reported=said), at, AttemptState.APPLYING)
    attempt = agent.current
    if attempt is None or attempt.digest != digest:
        agent = changed(agent, reported=said)
        # A status for something else than the current offer: an agent that went back by itself, or one whose
        # attempts this server does not know. It is never booked on the current offer.
        if event.status is ConfigStatus.FAILED and digest != agent.last_good:
            agent = replace(agent, failed=_with(agent.failed, digest), error=event.error)
        # One that was applying the offer and now speaks of something else was interrupted (killed, say).
        return _without_answer(agent, at, AttemptState.APPLYING)
    match event.status:
        case ConfigStatus.APPLYING:
            begins_again = attempt.state is AttemptState.APPLIED and attempt.repeated
            if not (attempt.state.is_open or attempt.state is AttemptState.NO_ANSWER or begins_again):
                return changed(agent, reported=said)
            began = attempt.applying_at or at
            moved = changed(attempt, state=AttemptState.APPLYING, changed_at=at, applying_at=began, is_due=False)
            return changed(agent, reported=said, current=moved)
        case ConfigStatus.APPLIED:
            return _applied(agent, said, attempt, at)
        case _:
            return _failed(changed(agent, reported=said), attempt, event.error, at)


def _applied(agent: Agent, said: Reported, attempt: Attempt, at: datetime) -> Agent:
    # An agent that is offered what just failed on it may answer APPLIED although nothing changed: content that
    # failed stays failed.
    if attempt.state in (AttemptState.PROVEN, AttemptState.FAILED):
        agent = _without_relapse(agent) if attempt.state is AttemptState.PROVEN else agent
        return agent if said is agent.reported else changed(agent, reported=said)
    if attempt.state is not AttemptState.APPLIED:
        attempt = changed(attempt, state=AttemptState.APPLIED, changed_at=at, applied_at=at, error="", is_due=False)
    if attempt.digest == STOP:
        # The supervisor is free again: what it refused meanwhile says nothing about that content.
        failed = tuple(one for one in agent.failed if one != agent.last_good)
        return changed(agent, reported=said, current=attempt, stuck=False, freed=True, failed=failed)
    if not _is_evidenced(agent, attempt):
        return changed(agent, reported=said, current=attempt)
    return changed(agent, reported=said, **_proven(agent, attempt, at))


def _failed(agent: Agent, attempt: Attempt, error: str, at: datetime) -> Agent:
    if attempt.state is AttemptState.PROVEN:
        return replace(agent, flag=RELAPSED)
    moved = replace(attempt, state=AttemptState.FAILED, changed_at=at, failed_at=at, error=error)
    if VALIDATION_FAILED in error and attempt.digest == agent.last_good and not agent.freed:
        # It ran here before: what refuses it is what the supervisor runs now, not this content.
        return replace(agent, current=moved, stuck=True)
    failed = _with(agent.failed, attempt.digest)
    return replace(agent, current=moved, failed=failed, error=error or agent.error, stuck=False)


def _with(failed: tuple[ConfigHash, ...], digest: ConfigHash) -> tuple[ConfigHash, ...]:
    return (digest, *(one for one in failed if one != digest))[:FAILED_KEPT]


def on_offer(agent: Agent, digest: ConfigHash, revision: int, at: datetime) -> Agent:
    """`Offered`, for callers who make thousands of offers."""
    before, tries, repeated = agent.current, 1, False
    if before is not None and before.digest == digest:
        if contradicts_itself(agent, digest):
            again = changed(before, changed_at=at, tries=before.tries + 1, repeated=True, is_due=False)
            return changed(agent, current=again)
        if before.state is AttemptState.NO_ANSWER:
            tries, repeated = before.tries + 1, before.repeated
    attempt = Attempt(digest, revision, AttemptState.OFFERED, at, at, tries=tries, repeated=repeated)
    # An effective configuration that came before this offer says nothing about it, unless it is judged again.
    return changed(agent, current=attempt, contained=None, lacking_since=None)


def on_assignment(agent: Agent, target: TargetId | None, wanted: ConfigHash | None, flag: str | None) -> Agent:
    """`Assigned`, for callers who decide about thousands of agents; the same object when nothing differs."""
    target, wanted = target or agent.target, wanted or agent.wanted
    if agent.wanted == wanted and agent.target == target and agent.flag == flag:
        return agent
    failed = agent.failed
    if failed and agent.wanted is not None and wanted != agent.wanted:
        # What the target wants has changed and come back by a later commit: it gets a new chance.
        failed = tuple(one for one in failed if one != wanted)
    moved_away = agent.target is not None and target != agent.target
    return changed(
        agent,
        target=target,
        wanted=wanted,
        failed=failed,
        error=agent.error if wanted == agent.wanted or agent.wanted is None else "",
        last_good=None if moved_away else agent.last_good,
        flag=flag,
    )


def _lacking_anew(agent: Agent, at: datetime) -> Agent:
    """Whoever has just come may still be starting: what it reports gets the whole time again."""
    return agent if agent.contained is not False else changed(agent, lacking_since=at)


def _without_answer(agent: Agent, at: datetime, *states: AttemptState) -> Agent:
    """No answer will come to an attempt that is in one of these states."""
    attempt = agent.current
    if attempt is None or attempt.state not in states:
        return agent
    return changed(agent, current=changed(attempt, state=AttemptState.NO_ANSWER, changed_at=at))


def _settle(agent: Agent, at: datetime) -> Agent:
    """Moves the current attempt to PROVEN when all evidence that the agent declares is there."""
    attempt = agent.current
    if attempt is None or attempt.digest == STOP or not _is_evidenced(agent, attempt):
        return agent
    return changed(agent, **_proven(agent, attempt, at))


def _proven(agent: Agent, attempt: Attempt, at: datetime) -> dict[str, Any]:
    """What changes when the attempt is proven."""
    digest = attempt.digest
    applied_at = attempt.applied_at or at
    return {
        "current": changed(
            attempt, state=AttemptState.PROVEN, changed_at=at, healthy_at=at, applied_at=applied_at, is_due=False
        ),
        "last_good": digest,
        "failed": tuple([one for one in agent.failed if one != digest]) if agent.failed else (),
        "error": "" if agent.wanted is None or agent.wanted == digest else agent.error,
        "stuck": False,
        "freed": False,
        "flag": None if agent.flag == RELAPSED else agent.flag,
    }


def _is_evidenced(agent: Agent, attempt: Attempt) -> bool:
    reports_status = agent.can(Capability.REPORTS_REMOTE_CONFIG)
    reports_effective = agent.can(Capability.REPORTS_EFFECTIVE_CONFIG)
    if attempt.state is not AttemptState.APPLIED:
        # Without status reports the effective configuration is the only word there is.
        silent = attempt.state is AttemptState.OFFERED and not reports_status and reports_effective
        if not silent:
            return False
    if agent.can(Capability.REPORTS_HEALTH) and agent.healthy is not True:
        return False
    return not reports_effective or agent.contained is True


def has_weak_evidence(agent: Agent) -> bool:
    """Whether the agent declares neither health nor effective configuration, so that APPLIED is all there is."""
    return not agent.can(Capability.REPORTS_HEALTH) and not agent.can(Capability.REPORTS_EFFECTIVE_CONFIG)
