"""How an agent is, from its health tree: three words, numbers by name, the newest errors, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.fleet import health as h
from gitsync.fleet.agent import Agent, Attempt, AttemptState, Reported
from gitsync.fleet.observe import Offered, observe
from gitsync.ids import ConfigHash
from gitsync.opamp.messages import (
    Capability,
    ComponentHealth,
    ConfigStatus,
    HealthReported,
    PackagesReported,
    PackageState,
    PackageStatus,
    RecentError,
)
from tests.support.builders import NOW, a_hash, an_agent

OK = ComponentHealth(True, "StatusOK")
REFUSED = ComponentHealth(False, "StatusPermanentError", "connection refused")
RETRYING = ComponentHealth(False, "StatusRecoverableError", "retrying")
STARTING = ComponentHealth(False, "StatusStarting")


def tree(healthy: bool = True, status: str = "StatusOK", error: str = "", **parts: ComponentHealth) -> ComponentHealth:
    """A Collector with one pipeline of these components (`exporter_otlp` stands for `exporter:otlp`)."""
    members = {name.replace("_", ":", 1): one for name, one in parts.items()}
    own = all(one.healthy for one in members.values())
    return ComponentHealth(
        healthy,
        status,
        error,
        components={"pipeline:traces": ComponentHealth(own, "StatusOK" if own else "", "", 0, 0, members)},
    )


@pytest.mark.parametrize(
    ("health", "shown"),
    [
        (ComponentHealth(True), "Healthy"),
        (tree(receiver_otlp=OK, exporter_debug=OK), "Healthy"),
        (ComponentHealth(False), "Unhealthy"),
        (ComponentHealth(False, "StatusOK"), "Unhealthy"),
        (ComponentHealth(False, last_error="Collector is not responding"), "Unhealthy(Collector is not responding)"),
        (ComponentHealth(False, "StatusPermanentError"), "Unhealthy(StatusPermanentError)"),
        (ComponentHealth(False, "StatusStopped"), "Unhealthy(stopped)"),
        (tree(False, "StatusStarting", receiver_otlp=STARTING), "Unhealthy(starting)"),
        (tree(False, "StatusStopping", receiver_otlp=OK), "Unhealthy(stopping)"),
        (tree(False, "", receiver_otlp=STARTING), "Unhealthy(pipeline:traces/receiver:otlp: starting)"),
        (
            tree(False, "StatusPermanentError", exporter_otlp=REFUSED),
            "Unhealthy(pipeline:traces/exporter:otlp: connection refused)",
        ),
        (tree(False, "StatusPermanentError", "no disk", exporter_otlp=REFUSED), "Unhealthy(no disk)"),
        (tree(exporter_otlp=REFUSED), "Degraded(pipeline:traces/exporter:otlp: connection refused)"),
        (tree(exporter_otlp=RETRYING), "Degraded(pipeline:traces/exporter:otlp: retrying)"),
        (tree(exporter_otlp=ComponentHealth(False)), "Degraded(pipeline:traces/exporter:otlp: not healthy)"),
        (
            tree(exporter_otlp=ComponentHealth(True, "StatusRecoverableError")),
            "Degraded(pipeline:traces/exporter:otlp: StatusRecoverableError)",
        ),
        (
            tree(False, "StatusRecoverableError", exporter_otlp=RETRYING),
            "Degraded(pipeline:traces/exporter:otlp: retrying)",
        ),
        (ComponentHealth(False, "StatusRecoverableError", "retrying"), "Degraded(retrying)"),
        (ComponentHealth(True, "StatusRecoverableError"), "Degraded(StatusRecoverableError)"),
        (
            tree(exporter_a=ComponentHealth(False), exporter_b=REFUSED, exporter_c=STARTING),
            "Degraded(pipeline:traces/exporter:b: connection refused (and 2 more))",
        ),
        (
            ComponentHealth(
                True, components={"pipeline:logs": ComponentHealth(False, "", "boom", 0, 0, {"x": STARTING})}
            ),
            "Degraded(pipeline:logs: boom (and 1 more))",
        ),
        (ComponentHealth(False, last_error="two\n  lines\t"), "Unhealthy(two lines)"),
    ],
)
def test_a_health_tree_is_one_word_and_a_reason(health: ComponentHealth, shown: str) -> None:
    assert str(h.judge(health)) == shown
    assert h.judge(h.keep(health)) == h.judge(health), "what is kept says the same"


def test_an_agent_that_does_not_report_health_has_no_word() -> None:
    assert h.status_of(replace(an_agent(), health=None)) is None
    assert h.status_of(an_agent(capabilities=int(Capability.REPORTS_STATUS))) is None
    assert h.status_of(an_agent(healthy=False)) == h.HealthStatus(h.HealthWord.UNHEALTHY)


def test_a_reason_is_bounded_and_still_shows_the_error() -> None:
    long = ComponentHealth(True, components={"p" * 500: ComponentHealth(False, last_error="refused " + "e" * 900)})
    reason = h.judge(long).reason
    assert len(reason) == h.MAX_REASON_CHARS
    assert "…: refused e" in reason
    assert len(h.judge(ComponentHealth(False, last_error="e" * 900)).reason) == h.MAX_REASON_CHARS


@given(st.permutations(["exporter:a", "exporter:b", "processor:c", "receiver:d"]))
def test_the_order_in_which_components_are_sent_does_not_matter(names: list[str]) -> None:
    sent = ComponentHealth(True, components=dict.fromkeys(names, REFUSED))
    assert h.judge(sent).reason == "exporter:a: connection refused (and 3 more)"
    assert list(h.keep(sent).components) == sorted(names)


def test_metrics_are_numbers_by_name_the_agents_own_first() -> None:
    exporter = ComponentHealth(True, attributes={"queue_size": "10", "queue_capacity": "5000", "other": "1"})
    health = ComponentHealth(
        True,
        components={"exporter:otlp": exporter, "exporter:z": ComponentHealth(True, attributes={"queue_capacity": "7"})},
        attributes={"queue_size": "99", "cpu_usage_percent": "12.5", "host": "a", "memory_limit_bytes": "17179869184"},
    )
    assert h.metrics(health) == {
        "queue_size": 99.0,
        "cpu_usage_percent": 12.5,
        "memory_limit_bytes": 17179869184.0,
        "queue_capacity": 5000.0,
    }
    assert h.metrics(h.keep(health)) == h.metrics(health)
    assert h.metrics(None) == {}


def test_all_thirteen_metrics_are_known() -> None:
    health = ComponentHealth(True, attributes={name: str(number) for number, name in enumerate(h.METRICS)})
    assert list(h.metrics(health).values()) == [float(number) for number in range(13)]


@pytest.mark.parametrize("written", ["nan", "inf", "-1", "true", "", "1_000", "1e19", "0" * 33 + "1", "12 %"])
def test_what_is_no_number_in_bounds_is_left_out(written: str) -> None:
    assert h.metrics(ComponentHealth(True, attributes={"queue_size": written})) == {}


@given(st.floats(0, h.MAX_NUMBER))
def test_keeping_a_number_does_not_change_it(number: float) -> None:
    health = ComponentHealth(True, attributes={"export_latency_p99_ms": repr(number)})
    assert h.metrics(h.keep(health)) == {"export_latency_p99_ms": number}


def test_the_newest_errors_are_the_agents_own_or_those_of_a_component() -> None:
    own, below = (RecentError(NOW, "own", 2),), (RecentError(None, "below"),)
    components = {"a": OK, "b": ComponentHealth(True, recent_errors=below)}
    assert h.recent_errors(ComponentHealth(True, components=components, recent_errors=own)) == own
    assert h.recent_errors(ComponentHealth(True, components=components)) == below
    assert h.keep(ComponentHealth(True, components=components)).recent_errors == below
    assert h.recent_errors(None) == ()


# ── What is kept ────────────────────────────────────────────────────────────────────────────────────────────────


def test_agents_with_equal_components_share_one_tree() -> None:
    kept = [
        h.keep(tree(receiver_otlp=replace(OK, status_time_unix_nano=number), exporter_debug=OK)) for number in range(3)
    ]
    assert len({id(one.components) for one in kept}) == 1
    assert kept[0].components["pipeline:traces"].components["receiver:otlp"] == OK


def test_the_words_of_one_agent_are_not_kept_for_others() -> None:
    first, second = (h.keep(tree(exporter_otlp=REFUSED)) for _ in range(2))
    assert first == second
    assert first.components is not second.components


def test_of_a_large_tree_the_components_that_are_not_well_are_kept() -> None:
    parts = {f"exporter_{number:04d}": OK for number in range(900)} | {"exporter_0800": REFUSED}
    kept = h.keep(tree(**parts))
    assert list(kept.components["pipeline:traces"].components) == ["exporter:0800"]
    many = h.keep(tree(**dict.fromkeys(parts, replace(REFUSED, last_error="e" * 1000))))
    pipeline = many.components["pipeline:traces"].components
    assert len(pipeline) == h.MAX_NODES - 1
    assert {len(one.last_error) for one in pipeline.values()} == {h.MAX_REASON_CHARS}


names = st.sampled_from(["a", "b", "exporter:otlp", "x" * 130])
statuses = st.sampled_from(["", "StatusOK", "StatusStarting", "StatusRecoverableError", "StatusPermanentError", "own"])
trees = st.recursive(
    st.builds(ComponentHealth, st.booleans(), statuses, st.sampled_from(["", "e", "e" * 300])),
    lambda inner: st.builds(
        ComponentHealth,
        st.booleans(),
        statuses,
        st.just(""),
        st.just(1),
        st.just(2),
        st.dictionaries(names, inner, max_size=4),
    ),
    max_leaves=12,
)


@given(trees)
def test_keeping_what_was_kept_changes_nothing_and_says_the_same(health: ComponentHealth) -> None:
    kept = h.keep(health)
    assert h.keep(kept) == kept
    assert h.judge(kept) == h.judge(health)
    assert (h.judge(health).word is h.HealthWord.HEALTHY) <= health.healthy


# ── On agents ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_degraded_agent_proves_a_configuration_because_its_root_is_healthy() -> None:
    digest = ConfigHash(a_hash("new"))
    capabilities = int(Capability.REPORTS_STATUS | Capability.REPORTS_HEALTH | Capability.REPORTS_REMOTE_CONFIG)
    agent = observe(an_agent(capabilities=capabilities, healthy=False), Offered(digest, 1), NOW)
    assert agent.current is not None
    agent = replace(agent, current=replace(agent.current, state=AttemptState.APPLIED))
    assert state_after(agent, tree(False, "StatusRecoverableError", exporter_otlp=RETRYING)) is AttemptState.APPLIED
    assert state_after(agent, tree(exporter_otlp=RETRYING)) is AttemptState.PROVEN


def state_after(agent: Agent, health: ComponentHealth) -> AttemptState:
    attempt = observe(agent, HealthReported(health), NOW).current
    assert attempt is not None
    return attempt.state


def test_config_status_is_what_the_agent_spoke_of_last_and_when_it_last_applied_one() -> None:
    assert h.config_status(an_agent()) == h.ConfigOnAgent(None, None, ConfigStatus.UNSET)
    old = Attempt(a_hash("old"), 1, AttemptState.PROVEN, NOW, NOW, applied_at=NOW)
    new = Attempt(a_hash("new"), 2, AttemptState.FAILED, NOW, NOW, failed_at=NOW + timedelta(minutes=1))
    agent = an_agent(current=new, reported=Reported(a_hash("new"), ConfigStatus.FAILED, "no"))
    assert h.config_status(agent, [new, old]) == h.ConfigOnAgent(a_hash("new"), NOW, ConfigStatus.FAILED)
    cleared = replace(agent, reported=Reported(ConfigHash(b""), ConfigStatus.UNSET))
    assert h.config_status(cleared).hash is None


def test_a_report_of_other_numbers_is_told_from_one_that_says_more() -> None:
    def after(agent: Agent, health: ComponentHealth) -> Agent:
        return observe(agent, HealthReported(health), NOW)

    first = ComponentHealth(True, start_time_unix_nano=5, components={"a": OK}, attributes={"queue_size": "1"})
    agent = after(an_agent(), first)
    busier = replace(
        first, attributes={"queue_size": "2"}, status_time_unix_nano=9, recent_errors=(RecentError(NOW, "x"),)
    )
    assert h.is_only_numbers(agent, after(agent, busier))
    assert not h.is_only_numbers(agent, agent)
    assert not h.is_only_numbers(replace(agent, health=None), agent)
    assert not h.is_only_numbers(agent, replace(after(agent, busier), flag="x"))
    for more in ({"healthy": False}, {"status": "s"}, {"last_error": "e"}, {"components": {"a": STARTING}}):
        assert not h.is_only_numbers(agent, after(agent, replace(busier, **more)))


def test_reported_packages_are_kept_and_none_is_the_same_as_an_empty_report() -> None:
    state = PackageState("1.0", b"h", "", b"", PackageStatus.INSTALLED)
    reported = PackagesReported({"plugin": state}, b"")
    agent = observe(an_agent(), reported, NOW)
    assert agent.packages == reported
    assert observe(agent, PackagesReported({"plugin": state}, b""), NOW) is agent
    assert observe(agent, PackagesReported({}, b"all"), NOW).packages is None
    failed = PackagesReported({}, b"", "no space")
    assert observe(agent, failed, NOW).packages == failed
