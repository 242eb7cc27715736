"""`Desired`: which version in effect an agent matches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitsync.bundle.version import COLLECTOR, MatchRules, TargetVersion, TypeRule
from gitsync.fleet.agent import Agent
from gitsync.fleet.desired import Desired, agent_type
from gitsync.ids import show_uid
from gitsync.labels import RankedLabels, Selector, parse_selector
from gitsync.rollout.cohort import BUCKETS, Cohort, rollout_bucket
from gitsync.rollout.plan import Plan
from gitsync.rollout.state import Phase, Rollout
from tests.support.builders import NOW, a_desired, a_state, a_version, an_agent


def matched(desired: Desired, agent: Agent) -> str | None:
    version = desired.match(agent)
    return None if version is None else version.path


def selecting(path: str, **labels: str) -> TargetVersion:
    return a_version(path, selector=Selector.labels(**labels))


# ── Which target is best ────────────────────────────────────────────────────────────────────────────────────


def test_without_targets_nobody_matches() -> None:
    assert matched(Desired(), an_agent()) is None


def test_the_default_target_takes_whom_no_other_one_selects() -> None:
    desired = a_desired(a_version("fallback", default=True), selecting("agents", role="agent"))
    assert matched(desired, an_agent({"role": "agent"})) == "agents"
    assert matched(desired, an_agent({"role": "other"})) == "fallback"


def test_the_deepest_target_wins() -> None:
    desired = a_desired(
        selecting("agents", role="agent"),
        selecting("agents/prod", role="agent", env="prod"),
        selecting("agents/prod/eu", role="agent", env="prod", region="eu"),
    )
    assert matched(desired, an_agent({"role": "agent"})) == "agents"
    assert matched(desired, an_agent({"role": "agent", "env": "prod"})) == "agents/prod"
    assert matched(desired, an_agent({"role": "agent", "env": "prod", "region": "eu"})) == "agents/prod/eu"


def test_a_higher_priority_wins_over_a_deeper_target_and_the_path_breaks_ties() -> None:
    deep = selecting("a/b/c", role="agent")
    urgent = a_version("z", selector=Selector.labels(role="agent"), priority=10)
    assert matched(a_desired(deep, urgent), an_agent({"role": "agent"})) == "z"
    assert matched(a_desired(selecting("y", env="x"), selecting("x", env="x")), an_agent({"env": "x"})) == "x"


def test_a_default_target_never_wins_over_a_selecting_one_whatever_its_priority() -> None:
    default = a_version("everything", default=True, priority=100)
    assert matched(a_desired(default, selecting("agents", role="agent")), an_agent({"role": "agent"})) == "agents"


# ── Which labels count ──────────────────────────────────────────────────────────────────────────────────────


def test_a_label_of_a_higher_rank_hides_the_reported_one() -> None:
    desired = a_desired(selecting("prod", env="prod"), selecting("dev", env="dev"))
    agent = an_agent()
    labels = RankedLabels(reported={"service.name": "otelcol", "env": "prod"}, operator={"env": "dev"})
    assert matched(desired, replace(agent, labels=labels)) == "dev"


def test_a_target_for_trusted_labels_ignores_what_is_merely_reported() -> None:
    trusted = a_version("prod", selector=Selector.labels(env="prod"), trusted_only=True)
    desired = a_desired(trusted)
    assert matched(desired, an_agent({"env": "prod"})) is None
    labels = RankedLabels(reported={"service.name": "otelcol"}, certificate={"env": "prod"})
    assert matched(desired, replace(an_agent(), labels=labels)) == "prod"


def test_aliases_stand_in_for_a_label_and_the_label_itself_goes_first() -> None:
    rules = MatchRules(aliases={"env": ("deployment.environment.name", "deployment.environment")})
    desired = a_desired(a_version("prod", selector=Selector.labels(env="prod"), rules=rules))
    assert matched(desired, an_agent({"deployment.environment": "prod"})) == "prod"
    assert matched(desired, an_agent({"deployment.environment.name": "prod"})) == "prod"
    assert matched(desired, an_agent({"deployment.environment": "prod", "env": "dev"})) is None


def test_not_in_also_takes_agents_without_the_label() -> None:
    desired = a_desired(a_version("rest", selector=parse_selector("env notin (prod)")))
    assert matched(desired, an_agent()) == "rest"
    assert matched(desired, an_agent({"env": "prod"})) is None


def test_labels_that_no_selector_uses_change_nothing() -> None:
    desired = a_desired(selecting("agents", role="agent"), a_version("rest", default=True))
    for number in range(50):
        agent = an_agent({"role": "agent", "host.name": f"host-{number}"}, number=number)
        assert matched(desired, agent) == "agents"
        assert matched(desired, an_agent({"host.name": f"host-{number}"}, number=number)) == "rest"


# ── What is in effect ───────────────────────────────────────────────────────────────────────────────────────


def rolling(old: TargetVersion | None, new: TargetVersion | None, cursor: int) -> Desired:
    """A target whose rollout from `old` to `new` is open to the first `cursor` buckets."""
    some = old or new
    assert some is not None
    rollout = Rollout(
        "r1",
        None if old is None else old.digest,
        None if new is None else new.digest,
        Plan(),
        Phase.PROGRESSING,
        Cohort(0, cursor),
        NOW,
    )
    state = replace(a_state(some), stable=None if old is None else old.digest, rollout=rollout)
    versions = {(one.id, one.digest): one for one in (old, new) if one is not None}
    return Desired(states={some.id: state}, versions=versions)


def test_while_a_rollout_runs_the_cohort_has_the_candidate_and_the_rest_the_stable_version() -> None:
    old, new = a_version("agents", "a"), a_version("agents", "b")
    agent = an_agent()
    bucket = rollout_bucket(old.source, old.path, show_uid(agent.uid))
    assert rolling(old, new, 0).match(agent) == old
    assert rolling(old, new, bucket).match(agent) == old
    assert rolling(old, new, bucket + 1).match(agent) == new
    assert rolling(old, new, BUCKETS).match(agent) == new


def test_a_new_target_exists_for_its_cohort_only() -> None:
    new = a_version("agents", "b")
    assert rolling(None, new, 0).match(an_agent()) is None
    assert rolling(None, new, BUCKETS).match(an_agent()) == new


def test_a_target_that_goes_away_is_gone_for_its_cohort_only() -> None:
    old = a_version("agents", "a")
    assert rolling(old, None, 0).match(an_agent()) == old
    assert rolling(old, None, BUCKETS).match(an_agent()) is None


def test_a_deleted_target_selects_nobody_any_more() -> None:
    version = selecting("agents", role="agent")
    desired = a_desired(version, a_version("rest", default=True))
    states = {**desired.states, version.id: replace(a_state(version), head=None, stable=None)}
    assert matched(replace(desired, states=states), an_agent({"role": "agent"})) == "rest"


# ── Types ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("service", "has_components", "expected"),
    [
        ("io.opentelemetry.collector", False, COLLECTOR),
        ("otelcol", False, COLLECTOR),
        ("otelcol-contrib", False, COLLECTOR),
        ("shop", True, COLLECTOR),
        ("shop", False, None),
        ("my-otelcol", False, None),
        ("", False, None),
    ],
)
def test_what_kind_of_agent_it_is_without_rules(service: str, has_components: bool, expected: str | None) -> None:
    assert agent_type({"service.name": service}, MatchRules(), has_components=has_components) == expected


def test_the_rules_of_the_repository_come_before_the_built_in_one_and_see_aliases() -> None:
    rules = MatchRules(
        aliases={"team": ("owner",)},
        types=(TypeRule("special", parse_selector("team=infra")), TypeRule("sdk", parse_selector("lang"))),
    )
    assert agent_type({"service.name": "otelcol", "owner": "infra"}, rules, has_components=False) == "special"
    assert agent_type({"service.name": "shop", "lang": "go"}, rules, has_components=True) == "sdk"
    assert agent_type({"service.name": "otelcol"}, rules, has_components=False) == COLLECTOR


def test_targets_of_another_type_are_passed_over_and_an_unknown_type_sees_what_it_would_get() -> None:
    rules = MatchRules(types=(TypeRule("sdk", parse_selector("lang")),))
    collectors = a_version("collectors", default=True, rules=rules)
    sdks = a_version("sdks", "b", selector=Selector.labels(role="agent"), agent_type="sdk", rules=rules)
    desired = a_desired(collectors, sdks)
    assert matched(desired, an_agent({"role": "agent"})) == "collectors"
    assert matched(desired, an_agent({"role": "agent", "lang": "go"}, service="shop")) == "sdks"
    assert matched(desired, an_agent({"role": "agent"}, service="shop")) == "sdks"
