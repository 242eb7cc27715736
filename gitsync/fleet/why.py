"""Why an agent has what it has, in sentences for people; made on demand, never stored."""

from __future__ import annotations

from gitsync.bundle.version import TargetVersion
from gitsync.fleet.agent import Agent
from gitsync.fleet.assign import Assignment, Reason, type_of
from gitsync.fleet.connection import AgentConnection
from gitsync.fleet.desired import Desired
from gitsync.fleet.health import HealthWord, status_of
from gitsync.fleet.observe import contradicts_itself, has_weak_evidence
from gitsync.ids import show_digest

_REASONS = {
    Reason.NO_TARGET: "no target selects it; it keeps what it has",
    Reason.CANNOT_TAKE_CONFIG: (
        "it cannot take configuration: it does not declare AcceptsRemoteConfig "
        "(of a supervisor: accepts_remote_config is off in the supervisor's file)"
    ),
    Reason.UNKNOWN_TYPE: "its type is unknown: add an agentTypes rule to gitsync.yaml",
    Reason.ALL_FAILED: "everything that could be given to it has failed on it",
    Reason.STUCK: "its supervisor refuses everything because of what it runs; it is stopped once to free it",
    Reason.UP_TO_DATE: "it has what its target wants",
    Reason.ON_ITS_WAY: "the configuration is on its way",
    Reason.NO_ANSWER: "it was offered the configuration several times and never answered",
    Reason.NOT_IN_EFFECT: "it says that it applied the configuration, but the one that it reports to run lacks it",
    Reason.SUSPENDED: "its target is suspended",
    Reason.WANTED: "it is about to be offered what its target wants",
    Reason.WANTED_FAILED: "what its target wants failed on it; it is kept on the last configuration that worked",
}


def reason_text(agent: Agent, assignment: Assignment) -> str:
    """One sentence for the REASON column; the agent's own words where it gave some."""
    text = _REASONS[assignment.reason]
    if assignment.reason in (Reason.WANTED_FAILED, Reason.ALL_FAILED) and agent.error:
        return f"{text}: {agent.error}"
    if assignment.reason is Reason.UP_TO_DATE:
        health = status_of(agent)
        if health is not None and health.word is not HealthWord.HEALTHY:
            return f"{text}, but it is {health.word.lower()}" + (f": {health.reason}" if health.reason else "")
    return text


def steps(agent: Agent, desired: Desired, assignment: Assignment) -> tuple[str, ...]:
    """The decision step by step, as `gitsync describe agent` prints it."""
    lines: list[str] = []
    if assignment.target is None:
        labels = ", ".join(f"{key}={value}" for key, value in sorted(agent.labels.effective().items()))
        lines.append(f"labels: {labels or '(none)'}")
        lines.append("target: none selects these labels")
        return tuple(lines)
    version = desired.versions.get((assignment.target, assignment.version)) if assignment.version else None
    if version is not None:
        lines.extend(_matching(agent, version))
    if assignment.wanted is not None:
        lines.append(f"wanted: {show_digest(assignment.wanted)}")
    if assignment.digest is not None and assignment.digest != assignment.wanted:
        lines.append(f"given instead: {show_digest(assignment.digest)}, because the wanted one failed here")
    attempt = agent.current
    if attempt is not None:
        error = f" ({attempt.error})" if attempt.error else ""
        lines.append(f"last offer: {show_digest(attempt.digest)}, {attempt.state}{error}, revision {attempt.revision}")
    if agent.connection is not None:
        lines.append(_connection(agent.connection))
    if attempt is not None and contradicts_itself(agent, attempt.digest):
        again = ", though it was offered it once more" if attempt.repeated else " so far"
        lines.append(f"evidence: the configuration that it reports to run lacks the last offer{again}")
    if has_weak_evidence(agent):
        lines.append("evidence: weak, the agent reports neither health nor its effective configuration")
    return tuple(lines)


def _connection(known: AgentConnection) -> str:
    """Sections with their states; what an agent does not report on stays "offered"."""
    sections = ", ".join(f"{name} {one.state}" for name, one in sorted(known.sections.items()))
    error = f" ({known.error})" if known.error else ""
    heartbeat = f", heartbeat {known.heartbeat_seconds} s" if known.heartbeat_seconds else ""
    return f"connection settings: {sections}{error}{heartbeat}"


def _matching(agent: Agent, version: TargetVersion) -> list[str]:
    labels = version.rules.resolve(agent.labels.effective(trusted_only=version.trusted_only))
    lines = [f"type: {type_of(agent, version)}", f"target: {version.path}"]
    if version.selector is None:
        lines.append("selector: default target, nothing else selects the agent")
    else:
        lines += [
            f"selector: {one} (the agent has {one.key}={labels.get(one.key, '(absent)')})"
            for one in version.selector.requirements
        ]
    lines.append(f"commit: {version.origin.id} {version.origin.subject}")
    return lines
