"""Which directories are targets, whom they select, and which of them stand in each other's way."""

import pytest

from gitsync.bundle.targets import DEFAULT_PRIORITY
from gitsync.bundle.version import Bundle
from gitsync.labels import Selector, parse_selector
from tests.support.compiling import bundle_of, codes_of, compiled
from tests.support.configrepo import COLLECTOR_YAML, QUIET, tree_of

C = COLLECTOR_YAML


def selectors(bundle: Bundle) -> dict[str, str | None]:
    return {path: None if one.selector is None else str(one.selector) for path, one in bundle.versions.items()}


def test_directories_become_selectors() -> None:
    bundle = bundle_of(
        {
            "README.md": "# fleet",
            ".github/workflows/ci.yaml": "on: push",
            "docs/notes.yaml": "a: [",
            "mkdocs.yml": "not: ours",
            "lib/base.yaml": C,
            "agents/target.yaml": "selector: {matchExpressions: [{key: role, operator: NotIn, values: [gateway]}]}",
            "agents/collector.yaml": C,
            "agents/env=prod/README.md": "no configuration of its own",
            "agents/env=prod/region=eu-west-1/x.yaml": "",
            "agents/env=prod/canary/target.yaml": "selector: {matchLabels: {region: x, canary: 'true'}}",
            "plain/below/env=dev/c.yaml": C,
            "plain/below/env=dev/target.yaml": "selector: {matchLabels: {role: gateway}}",
        }
    )
    assert selectors(bundle) == {
        "agents": "role!=gateway",
        "agents/env=prod": "env=prod,role!=gateway",
        "agents/env=prod/canary": "canary=true,env=prod,region=x,role!=gateway",
        "agents/env=prod/region=eu-west-1": "env=prod,region=eu-west-1,role!=gateway",
        "plain/below/env=dev": "env=dev,role=gateway",
    }


def test_the_value_of_a_label_directory_may_contain_an_equals_sign() -> None:
    bundle = bundle_of({"team=a=b/c.yaml": C})
    assert bundle.versions["team=a=b"].selector == Selector.labels(team="a=b")


def test_parents_hand_down_trust_priority_and_type() -> None:
    bundle = bundle_of(
        {
            "a/target.yaml": "selector: {}\npriority: 7\ntrustedOnly: true",
            "a/c.yaml": C,
            "a/x=y/target.yaml": "trustedOnly: false",
            "a/x=y/z=1/c.yaml": "",
        }
    )
    child = bundle.versions["a/x=y/z=1"]
    assert (child.trusted_only, child.priority, child.agent_type) == (True, 7, "collector")


def test_the_default_target_and_all_below_it_come_last() -> None:
    bundle = bundle_of(
        {
            "rest/target.yaml": "default: true",
            "rest/c.yaml": C,
            "rest/env=prod/x.yaml": "",
            "gateways/target.yaml": "selector: {matchLabels: {role: gateway}}",
            "gateways/c.yaml": C,
        }
    )
    rest, below = bundle.versions["rest"], bundle.versions["rest/env=prod"]
    assert rest.selector is None
    assert below.selector == parse_selector("env=prod")
    assert rest.priority == below.priority == DEFAULT_PRIORITY < bundle.versions["gateways"].priority


@pytest.mark.parametrize(
    "files",
    [
        {"a/target.yaml": "default: true", "a/b=c/target.yaml": "default: true"},
        {"a/b=c/target.yaml": "default: true"},
        {"a/target.yaml": "default: true\npriority: 1"},
    ],
)
def test_a_default_target_stands_above_all_and_has_no_priority(files: dict[str, str]) -> None:
    assert "GS0508" in codes_of(compiled(files | {"a/c.yaml": C} if "a/target.yaml" in files else files))


# ── Siblings ────────────────────────────────────────────────────────────────────────────────────────────────────


def overlap(a: str, b: str, repository: str = "") -> str:
    """What is said about two root targets with these manifests; "" when they are disjoint."""
    files = {"gitsync.yaml": repository, "a/target.yaml": a, "a/c.yaml": C, "b/target.yaml": b, "b/c.yaml": C}
    found = [one for one in compiled(files).diagnostics if one.code == "GS0506"]
    assert len(found) < 2
    return str(found[0]) if found else ""


ROLE = "selector: {matchLabels: {role: gateway}}"
ENV = "selector: {matchLabels: {env: prod}}"


def test_an_overlap_shows_an_agent_and_both_places_and_a_line_that_fixes_it() -> None:
    assert overlap(ROLE, ENV) == (
        'b/target.yaml:1:1: error GS0506: an agent with env=prod,role=gateway matches both "b" and "a" '
        "(a/target.yaml:1:1) (add to selector.matchExpressions in b/target.yaml: "
        "- {key: role, operator: NotIn, values: [gateway]})"
    )
    line = "{key: role, operator: NotIn, values: [gateway]}"
    assert overlap(ROLE, f"selector: {{matchLabels: {{env: prod}}, matchExpressions: [{line}]}}") == ""


def test_a_target_inside_another_one_is_not_asked_to_step_aside() -> None:
    said = overlap(ENV, "selector: {matchLabels: {env: prod, role: gateway}}")
    assert said.startswith("a/target.yaml:1:1")
    assert "in a/target.yaml: - {key: role, operator: NotIn, values: [gateway]}" in said


def test_equal_selectors_have_no_line_that_would_help() -> None:
    assert "join them" in overlap(ENV, ENV)
    assert "no labels at all" in overlap("selector: {}", "selector: {}")


def test_values_that_yaml_would_read_otherwise_are_quoted_in_the_hint() -> None:
    said = overlap("selector: {matchLabels: {canary: 'true', v: '1.0'}}", ENV)
    assert '- {key: canary, operator: NotIn, values: ["true"]}' in said


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (ENV, "selector: {matchLabels: {env: dev}}"),
        (ENV, "selector: {matchExpressions: [{key: env, operator: NotIn, values: [prod]}]}"),
        (ENV, "selector: {matchExpressions: [{key: env, operator: DoesNotExist}]}"),
        (ENV, ENV + "\npriority: 1"),
        (ENV, "default: true"),
        (ENV, ENV + "\nagentType: sdk\nobjects: [{name: a, file: c.yaml}]"),
    ],
)
def test_what_is_disjoint_ranked_or_for_another_type_is_no_overlap(a: str, b: str) -> None:
    rules = "agentTypes: [{type: sdk, selector: {matchLabels: {sdk: 'yes'}}}]"
    assert overlap(a, b, rules) == ""


def test_siblings_deeper_down_are_compared_too() -> None:
    result = compiled({"a/target.yaml": "selector: {}", "a/c.yaml": C, "a/env=prod/x.yaml": "", "a/role=db/x.yaml": ""})
    (found,) = result.diagnostics
    assert str(found).startswith("a/role=db/x.yaml:1:1: error GS0506: an agent with env=prod,role=db")
    assert "in a/role=db/target.yaml: - {key: env, operator: NotIn, values: [prod]}" in found.hint


def test_a_target_of_another_type_than_its_parent_meets_targets_of_its_own_type() -> None:
    sdk = "agentType: sdk\ninherit: false\nobjects: [{name: a, file: c.json}]\n"
    files = {
        "gitsync.yaml": QUIET + "agentTypes: [{type: sdk, selector: {matchLabels: {sdk: 'yes'}}}]",
        "a/target.yaml": "selector: {matchLabels: {role: x}}",
        "a/c.yaml": C,
        "a/apps/target.yaml": sdk + "selector: {matchLabels: {app: checkout}}",
        "a/apps/c.json": "{}",
        "b/target.yaml": sdk + "selector: {matchLabels: {env: prod}}",
        "b/c.json": "{}",
    }
    (found,) = compiled(files).diagnostics
    assert found.code == "GS0506"
    assert "app=checkout,env=prod,role=x" in found.message


def test_aliases_count_when_selectors_are_compared() -> None:
    repository = "aliases: {env: [deployment.environment]}"
    absent = "selector: {matchExpressions: [{key: env, operator: DoesNotExist}]}"
    raw = "selector: {matchLabels: {deployment.environment: prod}}"
    assert overlap(absent, raw, repository) == ""
    assert overlap(absent, raw) != ""
    said = overlap("selector: {matchExpressions: [{key: env, operator: NotIn, values: [prod]}]}", raw, repository)
    assert "deployment.environment=prod,env=value" in said


def test_a_thousand_siblings_are_compared_quickly() -> None:
    files = {f"host=h{number}/c.yaml": "" for number in range(1000)}
    result = compiled(tree_of(files | {"gitsync.yaml": QUIET, "host=h1/c.yaml": C}))
    assert set(codes_of(result)) == {"GS0519"}


def test_below_a_broken_manifest_nothing_is_guessed() -> None:
    result = compiled({"a/target.yaml": "selctor: {}", "a/x/y.yaml": "[", "a/env=prod/target.yaml": "priority: 1"})
    assert codes_of(result) == ["GS0402"]


def test_a_target_file_with_the_wrong_ending_is_noticed() -> None:
    (found,) = compiled({"a/target.yml": "selector: {}", "a/c.yaml": C}).diagnostics
    assert (found.code, found.path, found.hint) == ("GS0409", "a/target.yml", "rename it")


def test_gitsync_yaml_in_a_target_and_both_manifests_in_one_place_are_refused() -> None:
    files = {
        "a/target.yaml": "selector: {}",
        "a/c.yaml": C,
        "a/gitsync.yaml": "",
        "b/target.yaml": "",
        "b/addon.yaml": "",
    }
    assert codes_of(compiled(files)) == ["GS0409", "GS0409", "GS0901"]
