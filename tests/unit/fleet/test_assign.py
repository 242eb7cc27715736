"""`assign`: the first rule that hits, in order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitsync.bundle.version import MatchRules, TypeRule
from gitsync.fleet.agent import STOP, Agent, Attempt, AttemptState, Reported
from gitsync.fleet.assign import Kind, Reason, assign
from gitsync.fleet.observe import Assigned, Offered, observe
from gitsync.fleet.progress import SyncState, progress
from gitsync.ids import TargetId
from gitsync.labels import RankedLabels, Selector, parse_selector
from gitsync.opamp.messages import Capability, ConfigStatus, ConfigStatusReported
from tests.support.builders import NOW, SUPERVISOR, a_desired, a_hash, a_version, an_agent

AGENTS = a_version("agents", "new", selector=Selector.labels(role="agent"))
OLD = a_version("agents", "old", selector=Selector.labels(role="agent"))
DESIRED = a_desired(AGENTS, fallbacks={"agents": OLD})


def agent(**known: object) -> Agent:
    return an_agent({"role": "agent"}, **known)  # type: ignore[arg-type]


def attempt(text: str, state: AttemptState, tries: int = 1) -> Attempt:
    return Attempt(a_hash(text), 1, state, NOW, NOW, tries=tries)


def test_an_agent_that_no_target_selects_keeps_what_it_has() -> None:
    result = assign(an_agent({"role": "other"}), DESIRED)
    assert (result.kind, result.reason, result.digest) == (Kind.KEEP, Reason.NO_TARGET, None)
    assert progress(an_agent(), result) is SyncState.PENDING


def test_an_agent_of_a_target_is_offered_its_payload() -> None:
    result = assign(agent(), DESIRED)
    assert (result.kind, result.target, result.digest) == (Kind.OFFER, AGENTS.id, a_hash("new"))


def test_an_agent_that_takes_no_configuration_is_read_only() -> None:
    result = assign(agent(capabilities=int(SUPERVISOR & ~Capability.ACCEPTS_REMOTE_CONFIG)), DESIRED)
    assert (result.kind, result.reason) == (Kind.READ_ONLY, Reason.CANNOT_TAKE_CONFIG)


def test_an_agent_of_unknown_type_is_read_only_and_never_sent_collector_yaml() -> None:
    result = assign(an_agent({"role": "agent"}, service="shop"), DESIRED)
    assert (result.kind, result.reason, result.target) == (Kind.READ_ONLY, Reason.UNKNOWN_TYPE, AGENTS.id)


def test_a_report_of_components_makes_a_collector() -> None:
    result = assign(an_agent({"role": "agent"}, service="shop", components=b"h"), DESIRED)
    assert result.kind is Kind.OFFER


def test_an_agent_types_rule_keeps_other_agents_off_collector_targets() -> None:
    rules = MatchRules(types=(TypeRule("sdk", parse_selector("telemetry.sdk.language")),))
    sdk = a_version("sdk", "json", agent_type="sdk", rules=rules)
    collectors = a_version("agents", "new", rules=rules)
    desired = a_desired(sdk, collectors)
    python = an_agent({"telemetry.sdk.language": "python"}, service="shop")
    assert assign(python, desired).target == sdk.id
    assert assign(an_agent(), desired).target == collectors.id


def test_the_deepest_matching_target_wins() -> None:
    deep = a_version("agents/env=prod", "deep", selector=Selector.labels(role="agent", env="prod"))
    desired = a_desired(AGENTS, deep)
    assert assign(an_agent({"role": "agent", "env": "prod"}), desired).target == deep.id
    assert assign(agent(), desired).target == AGENTS.id


def test_a_higher_priority_wins_over_depth_and_the_default_comes_last() -> None:
    deep = a_version("agents/env=prod", "deep", selector=Selector.labels(role="agent"))
    urgent = a_version("urgent", "urgent", selector=Selector.labels(role="agent"), priority=10)
    rest = a_version("rest", "rest", default=True)
    desired = a_desired(deep, urgent, rest)
    assert assign(agent(), desired).target == urgent.id
    assert assign(an_agent(), desired).target == rest.id


def test_aliases_resolve_before_selectors() -> None:
    rules = MatchRules(aliases={"env": ("deployment.environment.name", "deployment.environment")})
    version = a_version("agents", "new", selector=Selector.labels(env="prod"), rules=rules)
    desired = a_desired(version)
    assert assign(an_agent({"deployment.environment": "prod"}), desired).target == version.id
    own_first = an_agent({"env": "dev", "deployment.environment": "prod"})
    assert assign(own_first, desired).reason is Reason.NO_TARGET


def test_a_trusted_only_target_ignores_what_is_merely_reported() -> None:
    version = a_version("agents", "new", selector=Selector.labels(env="prod"), trusted_only=True)
    desired = a_desired(version)
    claims = an_agent({"env": "prod"})
    assert assign(claims, desired).reason is Reason.NO_TARGET
    proven = replace(claims, labels=RankedLabels(claims.labels.reported, token={"env": "prod"}))
    assert assign(proven, desired).target == version.id


def test_a_failed_payload_gives_way_to_the_last_good_one() -> None:
    failed = agent(
        failed=(a_hash("new"),),
        wanted=a_hash("new"),
        last_good=a_hash("older"),
        target=AGENTS.id,
        reported=Reported(a_hash("new"), ConfigStatus.FAILED),
        current=attempt("new", AttemptState.FAILED),
    )
    result = assign(failed, DESIRED)
    assert (result.kind, result.digest, result.reason) == (Kind.OFFER, a_hash("older"), Reason.WANTED_FAILED)
    assert progress(failed, result) is SyncState.FAILED


def test_without_a_last_good_one_the_fallback_is_given() -> None:
    failed = agent(failed=(a_hash("new"),), wanted=a_hash("new"))
    assert assign(failed, DESIRED).digest == a_hash("old")


def test_the_last_good_of_another_target_does_not_count() -> None:
    failed = agent(
        failed=(a_hash("new"),),
        wanted=a_hash("new"),
        last_good=a_hash("elsewhere"),
        target=TargetId(AGENTS.source, "elsewhere"),
    )
    assert assign(failed, DESIRED).digest == a_hash("old")


def test_when_everything_failed_the_agent_is_blocked_and_flagged() -> None:
    failed = agent(failed=(a_hash("new"), a_hash("old")), wanted=a_hash("new"))
    result = assign(failed, DESIRED)
    assert (result.kind, result.reason, result.flag) == (Kind.BLOCKED, Reason.ALL_FAILED, "all-failed")
    assert progress(failed, result) is SyncState.FAILED


def test_content_that_went_away_and_came_back_gets_a_new_chance() -> None:
    failed = agent(failed=(a_hash("new"),), wanted=a_hash("old"))
    assert assign(failed, DESIRED).digest == a_hash("new")
    recorded = observe(failed, Assigned(AGENTS.id, a_hash("new")), NOW)
    assert recorded.failed == ()
    assert assign(recorded, DESIRED).digest == a_hash("new")


@pytest.mark.parametrize("state", [AttemptState.OFFERED, AttemptState.APPLYING])
def test_an_open_attempt_is_left_alone(state: AttemptState) -> None:
    result = assign(agent(current=attempt("new", state)), DESIRED)
    assert (result.kind, result.reason) == (Kind.KEEP, Reason.ON_ITS_WAY)


@pytest.mark.parametrize("state", [AttemptState.APPLIED, AttemptState.PROVEN])
def test_an_agent_that_has_it_keeps_it(state: AttemptState) -> None:
    result = assign(agent(current=attempt("new", state)), DESIRED)
    assert (result.kind, result.reason) == (Kind.KEEP, Reason.UP_TO_DATE)


def test_an_agent_that_reports_it_keeps_it_even_if_it_was_never_offered_here() -> None:
    reports = agent(reported=Reported(a_hash("new"), ConfigStatus.APPLIED))
    result = assign(reports, DESIRED)
    assert (result.kind, result.reason) == (Kind.KEEP, Reason.UP_TO_DATE)
    assert progress(reports, result) is SyncState.APPLIED


def test_an_agent_whose_memory_is_gone_is_offered_again() -> None:
    had = agent(current=attempt("new", AttemptState.PROVEN), last_good=a_hash("new"))
    lost = observe(had, ConfigStatusReported(b"", ConfigStatus.UNSET), NOW)
    assert assign(lost, DESIRED).kind is Kind.OFFER


def test_an_agent_that_never_answers_is_offered_a_few_times_and_then_flagged() -> None:
    once = agent(current=attempt("new", AttemptState.NO_ANSWER, tries=1))
    assert assign(once, DESIRED).kind is Kind.OFFER
    thrice = agent(current=attempt("new", AttemptState.NO_ANSWER, tries=3))
    result = assign(thrice, DESIRED)
    assert (result.kind, result.reason, result.flag) == (Kind.KEEP, Reason.NO_ANSWER, "no-answer")


def test_a_suspended_target_offers_nothing_new() -> None:
    version = a_version("agents", "new", suspend=True)
    assert assign(an_agent(), a_desired(version)).reason is Reason.SUSPENDED


def test_after_the_offer_nothing_is_offered_twice() -> None:
    offered = observe(agent(), Offered(a_hash("new"), 7), NOW)
    assert assign(offered, DESIRED).kind is Kind.KEEP


def test_a_stuck_supervisor_is_stopped_once_and_then_given_its_last_good() -> None:
    text = "configuration validation failed: exit status 1"
    stuck = agent(
        failed=(a_hash("new"),), wanted=a_hash("new"), last_good=a_hash("old"), target=AGENTS.id, healthy=False
    )
    assert assign(stuck, DESIRED).digest == a_hash("old")
    stuck = observe(stuck, Offered(a_hash("old"), 1), NOW)
    stuck = observe(stuck, ConfigStatusReported(a_hash("old"), ConfigStatus.FAILED, text), NOW)
    result = assign(stuck, DESIRED)
    assert (result.kind, result.reason, result.digest) == (Kind.STOP, Reason.STUCK, STOP)
    assert progress(stuck, result) is SyncState.FAILED
    stuck = observe(stuck, Offered(STOP, 1), NOW)
    assert assign(stuck, DESIRED).kind is Kind.KEEP
    freed = observe(stuck, ConfigStatusReported(STOP, ConfigStatus.APPLIED), NOW)
    result = assign(freed, DESIRED)
    assert (result.kind, result.digest) == (Kind.OFFER, a_hash("old"))
    freed = observe(freed, Offered(a_hash("old"), 1), NOW)
    again = observe(freed, ConfigStatusReported(a_hash("old"), ConfigStatus.FAILED, text), NOW)
    assert assign(again, DESIRED).kind is Kind.BLOCKED


def test_a_healthy_agent_is_never_stopped() -> None:
    stuck = agent(stuck=True, wanted=a_hash("new"), last_good=a_hash("old"), target=AGENTS.id, healthy=True)
    assert assign(stuck, DESIRED).kind is Kind.OFFER


def test_a_last_good_that_fails_when_it_comes_back_is_not_offered_in_a_loop() -> None:
    back = agent(failed=(a_hash("new"),), wanted=a_hash("new"), last_good=a_hash("old"), target=AGENTS.id)
    back = observe(back, Offered(a_hash("old"), 1), NOW)
    back = observe(back, ConfigStatusReported(a_hash("old"), ConfigStatus.FAILED, "port in use"), NOW)
    assert assign(back, DESIRED).kind is Kind.BLOCKED
