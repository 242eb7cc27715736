"""Where OTTL stands in settings: which texts are one group, in which context, and when the component reads them."""

import pytest

from gitsync.collector.document import parse_mapping
from gitsync.collector.embedded import Site, sites
from gitsync.collector.findings import Findings
from gitsync.collector.node import Origin
from gitsync.collector.settings import Settings


def look(component: str, text: str) -> tuple[list[Site], list[tuple[str, int]]]:
    node, found = parse_mapping("c.yaml", text.encode())
    assert node is not None, found
    findings = Findings("c.yaml")
    settings = Settings(component, component, Origin("c.yaml", 1, 1), node)
    return list(sites(settings, findings)), [(one.code, one.line) for one in findings.done()]


def shown(site: Site) -> tuple[str | None, list[str], list[str], list[str]]:
    return (
        site.context,
        [one.text for one in site.statements],
        [one.text for one in site.conditions],
        [one.text for one in site.values],
    )


def test_a_flat_list_of_the_transform_processor_is_one_group_whose_context_is_inferred() -> None:
    found, wrong = look("processor/transform", "trace_statements: [one, two]\nlog_statements: [three]\n")
    assert not wrong
    assert [shown(one) for one in found] == [(None, ["one", "two"], [], []), (None, ["three"], [], [])]
    assert found[0].candidates == ("resource", "scope", "span", "spanevent")
    assert found[1].candidates == ("resource", "scope", "log")


def test_groups_of_the_transform_processor_have_a_context_and_conditions() -> None:
    found, wrong = look(
        "processor/transform",
        "metric_statements:\n- {context: DataPoint, statements: [a], conditions: [b]}\n- {statements: [c]}\n",
    )
    assert not wrong
    assert [shown(one) for one in found] == [("datapoint", ["a"], ["b"], []), (None, ["c"], [], [])]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("trace_statements: text\n", [("GS1032", 1)]),
        ("trace_statements: {span: [a]}\n", [("GS1032", 1)]),
        ("trace_statements:\n- a\n- {statements: [b]}\n", [("GS1032", 3)]),
        ("trace_statements:\n- {statements: [b]}\n- a\n", []),
        ("trace_statements:\n-\n- a\n", [("GS1032", 2)]),
        ("trace_statements:\n- {context: log, statements: [a]}\n", [("GS1020", 2)]),
        ("trace_statements: ${file:x}\n", []),
        ("trace_statements: []\n", []),
    ],
)
def test_what_is_no_group_is_reported_where_it_stands(text: str, wrong: list[tuple[str, int]]) -> None:
    found, reported = look("processor/transform", text)
    assert reported == wrong
    assert not [one for one in found if one.context == "log"]


def test_the_filter_processor_has_conditions_by_signal_and_context_or_each_with_its_own() -> None:
    found, wrong = look(
        "processor/filter",
        "traces: {span: [a], spanevent: [b]}\nlogs: {log_record: [c]}\nmetric_conditions: [d]\n",
    )
    assert not wrong
    assert {(one.context, one.separately, one.conditions[0].text) for one in found} == {
        ("span", False, "a"),
        ("spanevent", False, "b"),
        ("log", False, "c"),
        (None, True, "d"),
    }


def test_conditions_of_sampling_policies_are_found_at_every_depth_and_read_at_the_start() -> None:
    found, wrong = look(
        "processor/tail_sampling",
        "policies:\n"
        "- {type: ottl_condition, ottl_condition: {span: [a]}}\n"
        "- {type: and, and: {and_sub_policy: [{ottl_condition: {spanevent: [b]}}]}}\n"
        "- {type: drop, drop: {drop_sub_policy: [{ottl_condition: {span: [c]}}]}}\n",
    )
    assert not wrong
    assert sorted(one.conditions[0].text for one in found) == ["a", "b", "c"]
    assert {one.stage for one in found} == {"start"}


def test_connectors_that_count_have_conditions_by_metric() -> None:
    found, _ = look("connector/count", "spans: {my.metric: {conditions: [a, b]}}\nlogs: {x: {conditions: [c]}}\n")
    assert [shown(one) for one in found] == [("span", [], ["a", "b"], []), ("log", [], ["c"], [])]


def test_metrics_from_signals_have_conditions_and_values() -> None:
    found, _ = look(
        "connector/signal_to_metrics",
        "spans:\n- {name: m, conditions: [a], sum: {value: b}, histogram: {count: c, value: d}}\n",
    )
    assert [shown(one) for one in found] == [("span", [], ["a"], []), ("span", [], [], ["c", "d", "b"])]


def test_routes_infer_their_context_and_fall_back_to_the_resource() -> None:
    found, _ = look(
        "connector/routing",
        "table:\n- {condition: a}\n- {context: span, statement: b}\n- {context: request, condition: c}\n",
    )
    assert [(one.context, one.fallback, one.stage) for one in found] == [
        (None, "resource", "construct"),
        ("span", "resource", "construct"),
    ]


def test_other_components_have_no_ottl() -> None:
    assert look("processor/batch", "trace_statements: text\n") == ([], [])
