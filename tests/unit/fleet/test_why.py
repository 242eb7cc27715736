"""The sentences for people: each reason has one, and the steps name what decided."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitsync.bundle.version import MatchRules
from gitsync.fleet.agent import Agent, Attempt, AttemptState
from gitsync.fleet.assign import Assignment, Kind, Reason, assign
from gitsync.fleet.connection import AgentConnection, OfferState, SectionOffer, lost
from gitsync.fleet.why import reason_text, steps
from gitsync.ids import show_digest
from gitsync.labels import Selector, parse_selector
from gitsync.opamp.messages import Capability, ComponentHealth
from tests.support.builders import NOW, SUPERVISOR, a_commit, a_desired, a_hash, a_version, an_agent

NEW = a_version("agents", "new", selector=Selector.labels(role="agent"), commit=a_commit(7, "raise the limit"))
OLD = a_version("agents", "old", selector=Selector.labels(role="agent"))
DESIRED = a_desired(NEW, fallbacks={"agents": OLD})


def agent(**known: object) -> Agent:
    return an_agent({"role": "agent"}, **known)  # type: ignore[arg-type]


def attempt(text: str, state: AttemptState, error: str = "") -> Attempt:
    return Attempt(a_hash(text), 17, state, NOW, NOW, error)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_sentence_of_its_own(reason: Reason) -> None:
    text = reason_text(agent(), Assignment(Kind.KEEP, reason))
    others = {reason_text(agent(), Assignment(Kind.KEEP, one)) for one in Reason if one is not reason}
    assert len(text) > 15
    assert text not in others
    assert not text.endswith(".")


def test_the_agents_own_words_about_a_failure_are_repeated() -> None:
    failed = agent(failed=(a_hash("new"),), error="port 4317 is in use", last_good=a_hash("old"), target=NEW.id)
    text = reason_text(failed, assign(failed, DESIRED))
    assert text.endswith("it is kept on the last configuration that worked: port 4317 is in use")


def test_an_agent_that_has_what_it_should_and_is_unwell_says_so() -> None:
    sick = replace(
        agent(current=attempt("new", AttemptState.PROVEN)),
        health=ComponentHealth(healthy=False, last_error="disk full"),
    )
    text = reason_text(sick, assign(sick, DESIRED))
    assert text == "it has what its target wants, but it is unhealthy: disk full"
    quiet = replace(sick, health=ComponentHealth(healthy=False))
    assert reason_text(quiet, assign(quiet, DESIRED)).endswith("but it is unhealthy")


def test_an_agent_that_cannot_take_configuration_reads_which_switch_is_off() -> None:
    deaf = agent(capabilities=int(SUPERVISOR & ~Capability.ACCEPTS_REMOTE_CONFIG))
    assert "accepts_remote_config is off" in reason_text(deaf, assign(deaf, DESIRED))


def test_the_steps_name_type_target_selector_labels_commit_and_payload() -> None:
    one = agent()
    lines = steps(one, DESIRED, assign(one, DESIRED))
    assert "type: collector" in lines
    assert "target: agents" in lines
    assert "selector: role=agent (the agent has role=agent)" in lines
    assert f"commit: {a_commit(7).id} raise the limit" in lines
    assert f"wanted: {show_digest(a_hash('new'))}" in lines


def test_the_steps_name_the_last_offer_and_what_is_given_instead() -> None:
    failed = agent(
        current=attempt("old", AttemptState.APPLYING, "slow"),
        failed=(a_hash("new"),),
        last_good=a_hash("old"),
        target=NEW.id,
    )
    lines = steps(failed, DESIRED, assign(failed, DESIRED))
    assert f"given instead: {show_digest(a_hash('old'))}, because the wanted one failed here" in lines
    assert f"last offer: {show_digest(a_hash('old'))}, applying (slow), revision 17" in lines


def test_without_a_target_the_steps_show_the_labels_that_were_looked_at() -> None:
    other = an_agent({"role": "other"})
    lines = steps(other, DESIRED, assign(other, DESIRED))
    assert lines == ("labels: role=other, service.name=otelcol", "target: none selects these labels")
    nameless = replace(other, labels=replace(other.labels, reported={}))
    assert steps(nameless, DESIRED, assign(nameless, DESIRED))[0] == "labels: (none)"


def test_a_label_that_comes_by_an_alias_is_shown_as_the_selector_sees_it() -> None:
    rules = MatchRules(aliases={"env": ("deployment.environment",)})
    version = a_version("prod", selector=parse_selector("env=prod,tier"), rules=rules)
    one = an_agent({"deployment.environment": "prod", "tier": "1"})
    desired = a_desired(version)
    lines = steps(one, desired, assign(one, desired))
    assert "selector: env=prod (the agent has env=prod)" in lines
    assert "selector: tier (the agent has tier=1)" in lines


def test_the_default_target_and_weak_evidence_are_said() -> None:
    desired = a_desired(a_version("everything", default=True))
    bits = Capability.ACCEPTS_REMOTE_CONFIG | Capability.REPORTS_REMOTE_CONFIG
    weak = an_agent(capabilities=int(bits))
    lines = steps(weak, desired, assign(weak, desired))
    assert "selector: default target, nothing else selects the agent" in lines
    assert lines[-1].startswith("evidence: weak")


def test_the_steps_say_what_became_of_connection_settings() -> None:
    sections = {"opamp": SectionOffer(b"a", OfferState.DONE), "telemetry": SectionOffer(b"b", OfferState.OFFERED)}
    known = AgentConnection(b"h", sections, NOW, NOW, heartbeat_seconds=45)
    one = agent(connection=known)
    assert "connection settings: opamp done, telemetry offered, heartbeat 45 s" in steps(
        one, DESIRED, assign(one, DESIRED)
    )
    gone = agent(connection=lost(known, NOW))
    (line,) = [text for text in steps(gone, DESIRED, assign(gone, DESIRED)) if text.startswith("connection")]
    assert "opamp lost, telemetry offered (it did not come back on a new connection)" in line
