"""`observe`: attempts, evidence, failures and what is remembered of them."""

from __future__ import annotations

import pytest

from gitsync.fleet.agent import Agent, AttemptState
from gitsync.fleet.observe import (
    AnswerOverdue,
    Assigned,
    EffectiveJudged,
    LabelsSet,
    Observed,
    Offered,
    Reconnected,
    has_weak_evidence,
    observe,
)
from gitsync.ids import TargetId
from gitsync.labels import RankedLabels
from gitsync.opamp.messages import (
    CapabilitiesChanged,
    Capability,
    ComponentHealth,
    ConfigStatus,
    ConfigStatusReported,
    Described,
    EffectiveObject,
    EffectiveReported,
    HealthReported,
    Renamed,
)
from tests.support.builders import NOW, a_hash, a_uid, an_agent, later

A, B = a_hash("a"), a_hash("b")
EFFECTIVE = EffectiveReported({"": EffectiveObject(b"receivers: {}")})
TARGET = TargetId(an_agent().uid and "default", "agents")  # type: ignore[arg-type]


def applied(digest: bytes) -> ConfigStatusReported:
    return ConfigStatusReported(digest, ConfigStatus.APPLIED)


def failed(digest: bytes, error: str = "exit code 1") -> ConfigStatusReported:
    return ConfigStatusReported(digest, ConfigStatus.FAILED, error)


def fold(agent: Agent, *events: Observed) -> Agent:
    for number, event in enumerate(events):
        agent = observe(agent, event, later(number))
    return agent


def judged(agent: Agent, digest: bytes, contained: bool = True) -> EffectiveJudged:
    assert agent.effective is not None
    return EffectiveJudged(digest, agent.effective, contained)  # type: ignore[arg-type]


def proven(digest: bytes = A) -> Agent:
    agent = fold(an_agent(), Offered(digest, 1), EFFECTIVE, applied(digest))  # type: ignore[arg-type]
    return fold(agent, judged(agent, digest))


def state(agent: Agent) -> AttemptState:
    assert agent.current is not None
    return agent.current.state


def test_a_good_attempt_goes_from_offered_to_proven() -> None:
    agent = fold(an_agent(), Offered(A, 7))
    assert (state(agent), agent.current and agent.current.revision) == (AttemptState.OFFERED, 7)
    agent = fold(agent, ConfigStatusReported(A, ConfigStatus.APPLYING))
    assert state(agent) is AttemptState.APPLYING
    agent = fold(agent, EFFECTIVE, applied(A))
    assert state(agent) is AttemptState.APPLIED
    assert agent.last_good is None
    agent = fold(agent, judged(agent, A))
    assert state(agent) is AttemptState.PROVEN
    assert agent.last_good == A


def test_applied_without_health_is_no_proof() -> None:
    agent = fold(an_agent(healthy=False), Offered(A, 1), EFFECTIVE, applied(A))
    agent = fold(agent, judged(agent, A))
    assert state(agent) is AttemptState.APPLIED
    agent = fold(agent, HealthReported(ComponentHealth(healthy=True)))
    assert state(agent) is AttemptState.PROVEN


def test_applied_without_what_was_sent_is_no_proof() -> None:
    agent = fold(an_agent(), Offered(A, 1), EFFECTIVE, applied(A))
    agent = fold(agent, judged(agent, A, contained=False))
    assert state(agent) is AttemptState.APPLIED
    assert agent.contained is False


def test_a_verdict_about_something_else_changes_nothing() -> None:
    agent = fold(an_agent(), Offered(A, 1), EFFECTIVE, applied(A))
    assert fold(agent, EffectiveJudged(B, agent.effective or b"", contained=True)) is agent
    assert fold(agent, EffectiveJudged(A, b"older", contained=True)) is agent


def test_an_agent_that_declares_no_evidence_counts_by_applied_alone() -> None:
    bits = Capability.ACCEPTS_REMOTE_CONFIG | Capability.REPORTS_REMOTE_CONFIG
    agent = fold(an_agent(capabilities=int(bits)), Offered(A, 1), applied(A))
    assert state(agent) is AttemptState.PROVEN
    assert has_weak_evidence(agent)


def test_an_agent_without_status_reports_is_judged_by_its_effective_configuration() -> None:
    bits = Capability.ACCEPTS_REMOTE_CONFIG | Capability.REPORTS_EFFECTIVE_CONFIG
    agent = fold(an_agent(capabilities=int(bits)), Offered(A, 1), EFFECTIVE)
    assert state(agent) is AttemptState.OFFERED
    agent = fold(agent, judged(agent, A))
    assert state(agent) is AttemptState.PROVEN


def test_failed_content_on_trial_is_remembered_with_its_error() -> None:
    agent = fold(an_agent(), Offered(A, 1), failed(A, "bad port"))
    assert state(agent) is AttemptState.FAILED
    assert agent.failed == (A,)
    assert agent.current is not None
    assert agent.current.error == "bad port"


def test_failed_after_proof_is_a_health_event_and_counts_not_against_the_content() -> None:
    agent = fold(proven(), failed(A))
    assert state(agent) is AttemptState.PROVEN
    assert agent.failed == ()
    assert agent.flag == "failed-after-proof"


@pytest.mark.parametrize(
    "sign", [applied(A), HealthReported(ComponentHealth(healthy=True))], ids=["applied", "healthy"]
)
def test_an_agent_that_runs_again_what_it_failed_on_after_the_proof_is_not_flagged_any_more(sign: Observed) -> None:
    assert fold(proven(), failed(A), sign).flag is None
    unhealthy = HealthReported(ComponentHealth(healthy=False))
    assert fold(proven(), failed(A), unhealthy).flag == "failed-after-proof"


def test_the_flag_of_failed_after_proof_ends_with_the_proof_of_something_else() -> None:
    agent = fold(proven(), failed(A), Offered(B, 2), EffectiveReported({"": EffectiveObject(b"b: 1")}), applied(B))
    assert agent.flag == "failed-after-proof"
    assert fold(agent, judged(agent, B)).flag is None


def test_applied_for_what_just_failed_is_not_believed() -> None:
    agent = fold(an_agent(), Offered(A, 1), failed(A), applied(A))
    assert state(agent) is AttemptState.FAILED


def test_an_agent_that_went_back_by_itself_books_nothing_on_the_failed_offer() -> None:
    agent = fold(proven(A), Offered(B, 2), failed(B), applied(A))
    assert state(agent) is AttemptState.FAILED
    assert agent.failed == (B,)
    assert agent.reported is not None
    assert agent.reported.digest == A
    assert agent.last_good == A


def test_a_failure_that_this_server_did_not_see_counts_too() -> None:
    agent = fold(an_agent(), failed(B))
    assert agent.failed == (B,)


def test_a_failure_of_the_last_good_reported_by_a_fresh_process_does_not_count() -> None:
    agent = fold(proven(A), Offered(B, 2), failed(A))
    assert agent.failed == ()


def test_the_same_payload_offered_again_after_no_answer_counts_tries() -> None:
    agent = fold(an_agent(), Offered(A, 1), AnswerOverdue())
    assert state(agent) is AttemptState.NO_ANSWER
    agent = fold(agent, Offered(A, 1))
    assert agent.current is not None
    assert agent.current.tries == 2


def test_a_late_answer_is_still_an_answer() -> None:
    agent = fold(an_agent(), Offered(A, 1), AnswerOverdue(), ConfigStatusReported(A, ConfigStatus.APPLYING))
    assert state(agent) is AttemptState.APPLYING


def test_a_new_connection_makes_an_unanswered_offer_doubtful_but_not_an_applying_one() -> None:
    assert state(fold(an_agent(), Offered(A, 1), Reconnected())) is AttemptState.NO_ANSWER
    applying = fold(an_agent(), Offered(A, 1), ConfigStatusReported(A, ConfigStatus.APPLYING), Reconnected())
    assert state(applying) is AttemptState.APPLYING


@pytest.mark.parametrize(
    "word",
    [applied(B), failed(B), ConfigStatusReported(b"", ConfigStatus.UNSET)],
    ids=["an older one", "an older failure", "nothing"],
)
def test_an_agent_killed_while_applying_is_offered_again(word: ConfigStatusReported) -> None:
    applying = fold(an_agent(), Offered(A, 1), ConfigStatusReported(A, ConfigStatus.APPLYING))
    assert state(fold(applying, Reconnected(), word)) is AttemptState.NO_ANSWER


def test_applying_without_an_end_has_a_deadline() -> None:
    applying = fold(an_agent(), Offered(A, 1), ConfigStatusReported(A, ConfigStatus.APPLYING), AnswerOverdue())
    assert state(applying) is AttemptState.NO_ANSWER
    assert state(fold(applying, applied(A))) is AttemptState.APPLIED


def test_moving_to_another_target_forgets_the_last_good() -> None:
    first, second = TargetId("default", "a"), TargetId("default", "b")  # type: ignore[arg-type]
    agent = fold(proven(A), Assigned(first, A))
    assert agent.last_good == A
    assert fold(agent, Assigned(second, B)).last_good is None


def test_no_target_keeps_what_is_known_of_the_old_one() -> None:
    first = TargetId("default", "a")  # type: ignore[arg-type]
    agent = fold(proven(A), Assigned(first, A))
    assert fold(agent, Assigned(None, None)).target == first


def test_an_unchanged_report_gives_the_same_object() -> None:
    described = Described({"service.name": "otelcol"}, {"os.type": "linux"})
    agent = fold(an_agent(), described)
    assert agent.labels.reported == {"service.name": "otelcol", "os.type": "linux"}
    assert fold(agent, described) is agent
    agent = fold(agent, EFFECTIVE)
    assert fold(agent, EFFECTIVE) is agent


def test_labels_of_the_server_do_not_touch_the_reported_ones() -> None:
    agent = fold(an_agent({"env": "dev"}), LabelsSet(RankedLabels(operator={"env": "prod"})))
    assert agent.labels.effective()["env"] == "prod"
    assert agent.labels.reported["env"] == "dev"


def test_renaming_and_capabilities_replace() -> None:
    agent = fold(an_agent(), Renamed(a_uid(1), a_uid(2)), CapabilitiesChanged(3))
    assert (agent.uid, agent.capabilities) == (a_uid(2), 3)


@pytest.mark.parametrize("nanos", [0, 1_795_230_264_154_014_843])
def test_health_tells_when_the_agent_started(nanos: int) -> None:
    agent = fold(an_agent(), HealthReported(ComponentHealth(healthy=True, start_time_unix_nano=nanos)))
    assert (agent.started_at is None) == (nanos == 0)
    assert agent.started_at is None or agent.started_at > NOW.replace(year=2020)
