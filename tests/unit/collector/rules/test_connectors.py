"""The count, sum, signal_to_metrics, routing and failover connectors."""

from typing import Any

import pytest

from gitsync.collector.rules.connectors import CONSTRUCT, VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (
    VALIDATE,
    CONSTRUCT,
)
DEFAULTS: dict[str, dict[str, Any]] = {"connector/failover": {"retry_interval": "10m0s"}}
SIGNALS: dict[str, list[str]] = {}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("connector/count", "", {}),
    ("connector/count", "spans: {a: {attributes: [{key: b, default_value: 1}]}}", {}),
    ("connector/count", "metrics: {a: }", {}),
    ("connector/sum", "spans: {a: {source_attribute: b}}", {}),
    ("connector/signal_to_metrics", "spans: [{name: a, sum: {value: '1'}}]", {}),
    (
        "connector/signal_to_metrics",
        "logs: [{name: a, gauge: {value: '1'}, sum: , attributes: [{key: a}, {keys_expression: 'x'}]}]",
        {},
    ),
    ("connector/signal_to_metrics", "spans: [{name: a, exponential_histogram: {value: '1', max_size: 0}}]", {}),
    ("connector/signal_to_metrics", "spans: ${file:spans.yaml}", {}),
    ("connector/signal_to_metrics", 'logs: [{name: a, gauge: {value: \'ExtractGrokPatterns(body, "x")["a"]\'}}]', {}),
    ("connector/signal_to_metrics", "logs: [{name: a, sum: {value: 'ExtractGrokPatterns(body, \"x\")'}}]", {}),
    ("connector/routing", "table: [{condition: 'true', pipelines: [traces/a]}]", {}),
    ("connector/routing", "table: [{context: otelcol, statement: route(), pipelines: [traces/a], action: copy}]", {}),
    ("connector/routing", 'table: [{context: request, condition: \'request["a"] == "b"\', pipelines: [traces/a]}]', {}),
    ("connector/routing", "table: [{context: request, condition: '${env:C}', pipelines: [traces/a]}]", {}),
    ("connector/routing", "table: ${file:table.yaml}", {}),
    ("connector/failover", "priority_levels: [[traces/a], [traces/b]]", {}),
    ("connector/failover", "priority_levels: ${env:LEVELS}", {}),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    ("connector/count", "spans: {'': {}}", [("GS0260", 1, 9)], {}),
    ("connector/count", "spans: {a: {attributes: [{default_value: 1}]}}", [("GS0260", 1, 26)], {}),
    ("connector/count", "metrics: {a: {attributes: [{key: b}]}}", [("GS0274", 1, 15)], {}),
    ("connector/sum", "spans: {a: {}}", [("GS0260", 1, 9)], {}),
    ("connector/sum", "metrics: {a: {source_attribute: b, attributes: [{key: c}]}}", [("GS0274", 1, 36)], {}),
    ("connector/signal_to_metrics", "", [("GS0271", 0, 0)], {}),
    ("connector/signal_to_metrics", "spans: []", [("GS0271", 0, 0)], {}),
    ("connector/signal_to_metrics", "spans: [~]", [("GS0271", 1, 9)], {}),
    (
        "connector/signal_to_metrics",
        "logs: [{name: a, gauge: {value: 'ExtractGrokPatterns(body, \"x\")'}}]",
        [("GS0274", 1, 33)],
        {},
    ),
    ("connector/signal_to_metrics", "spans: [{sum: {value: '1'}}]", [("GS0260", 1, 9)], {}),
    ("connector/signal_to_metrics", "spans: [{name: a}]", [("GS0266", 1, 9)], {}),
    (
        "connector/signal_to_metrics",
        "spans: [{name: a, sum: {value: '1'}, gauge: {value: '1'}}]",
        [("GS0265", 1, 38)],
        {},
    ),
    ("connector/signal_to_metrics", "spans: [{name: a, sum: {}}]", [("GS0260", 1, 19)], {}),
    (
        "connector/signal_to_metrics",
        "spans: [{name: a, exponential_histogram: {value: '1', max_size: 1}}]",
        [("GS0261", 1, 65)],
        {},
    ),
    (
        "connector/signal_to_metrics",
        "spans: [{name: a, sum: {value: '1'}, attributes: [{}, {key: a, keys_expression: b}]}]",
        [("GS0260", 1, 51), ("GS0265", 1, 64)],
        {},
    ),
    (
        "connector/signal_to_metrics",
        (
            "spans: [{name: a, sum: {value: '1'}, include_resource_attributes: [{key: a}, "
            "{key: a, optional: true, default_value: 1}]}]"
        ),
        [("GS0268", 1, 84), ("GS0265", 1, 87)],
        {},
    ),
    ("connector/routing", "", [("GS0271", 0, 0)], {}),
    ("connector/routing", "table: []", [("GS0271", 1, 8)], {}),
    ("connector/routing", "table: [{pipelines: [traces/a]}]", [("GS0260", 1, 9)], {}),
    (
        "connector/routing",
        "table: [{condition: 'true', statement: route(), pipelines: [traces/a]}]",
        [("GS0265", 1, 29)],
        {},
    ),
    ("connector/routing", "table: [{condition: 'true'}]", [("GS0271", 1, 9)], {}),
    (
        "connector/routing",
        "table: [{condition: 'true', pipelines: [traces/a], action: clone}]",
        [("GS0267", 1, 60)],
        {},
    ),
    (
        "connector/routing",
        "table: [{context: logs, condition: 'true', pipelines: [traces/a]}]",
        [("GS0267", 1, 19)],
        {},
    ),
    (
        "connector/routing",
        "table: [{context: otelcol, condition: 'true', pipelines: [traces/a]}]",
        [("GS0267", 1, 19)],
        {"version": (0, 149, 0)},
    ),
    (
        "connector/routing",
        "table: [{context: request, statement: route(), pipelines: [traces/a]}]",
        [("GS0266", 1, 19)],
        {},
    ),
    (
        "connector/routing",
        "table: [{context: request, condition: 'request[\"a\"] == b', pipelines: [traces/a]}]",
        [("GS0267", 1, 39)],
        {},
    ),
    (
        "connector/routing",
        "table: [{context: request, condition: 'true', pipelines: [traces/a]}]",
        [("GS0267", 1, 39)],
        {},
    ),
    ("connector/failover", "", [("GS0271", 0, 0)], {}),
    ("connector/failover", "priority_levels: []", [("GS0271", 1, 18)], {}),
    ("connector/failover", "priority_levels: [[traces/a], []]", [("GS0271", 1, 31)], {}),
    ("connector/failover", "priority_levels: [[traces/a]]\nretry_interval: 0", [("GS0261", 2, 17)], {}),
]


@pytest.mark.parametrize(("component", "text", "options"), RIGHT)
def test_what_the_collector_takes_is_right(component: str, text: str, options: dict[str, Any]) -> None:
    assert diagnostics(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == ()


@pytest.mark.parametrize(("component", "text", "expected", "options"), WRONG)
def test_what_is_wrong_is_found_in_its_place(
    component: str, text: str, expected: list[tuple[str, int, int]], options: dict[str, Any]
) -> None:
    assert found(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == expected
