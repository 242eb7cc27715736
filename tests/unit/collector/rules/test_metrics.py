"""Processors of metrics."""

from typing import Any

import pytest

from gitsync.collector.rules.metrics import CONSTRUCT, VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (
    VALIDATE,
    CONSTRUCT,
)
DEFAULTS: dict[str, dict[str, Any]] = {
    "processor/delta_to_cumulative": {"max_stale": "5m0s", "max_streams": 9223372036854775807},
    "processor/interval": {"interval": "1m0s"},
    "processor/metric_start_time": {"strategy": "true_reset_point", "gc_interval": "10m0s"},
}
SIGNALS: dict[str, list[str]] = {}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("processor/metrics_transform", "", {}),
    ("processor/metrics_transform", "transforms: [{include: a, action: update, new_name: b}]", {}),
    ("processor/metrics_transform", "transforms: [{include: '(', action: update}]", {}),
    (
        "processor/metrics_transform",
        (
            "transforms: [{include: a.*, match_type: regexp, action: combine, new_name: b, "
            "aggregation_type: sum, submatch_case: lower}]"
        ),
        {},
    ),
    (
        "processor/metrics_transform",
        "transforms: [{include: a, match_type: strict, experimental_match_labels: {a: '('}, action: update}]",
        {},
    ),
    ("processor/metrics_transform", "transforms: [{include: a, action: group, group_resource_labels: {}}]", {}),
    ("processor/metrics_transform", "transforms: [{include: '${env:A}', action: '${env:B}'}]", {}),
    (
        "processor/metrics_transform",
        (
            "transforms: [{include: a, action: update, operations: [{action: add_label, "
            "new_label: a, new_value: b}, {action: experimental_scale_value, "
            "experimental_scale: 1.5}, {action: aggregate_labels}]}]"
        ),
        {},
    ),
    ("processor/metrics_transform", "transforms: [{include: a, action: combine}]", {"version": (0, 149, 0)}),
    ("processor/metrics_generation", "rules: [{name: a, type: scale, metric1: b, scale_by: 10}]", {}),
    (
        "processor/metrics_generation",
        "rules: [{name: a, type: calculate, metric1: b, metric2: c, operation: percent}]",
        {},
    ),
    ("processor/metrics_generation", "rules: [{name: '${env:A}', type: calculate, metric1: b, metric2: b}]", {}),
    ("processor/cumulative_to_delta", "", {}),
    (
        "processor/cumulative_to_delta",
        "include: {metrics: [a], match_type: strict}\nexclude: {metrics: [a.*], match_type: regexp}",
        {},
    ),
    ("processor/cumulative_to_delta", "include: {metric_types: [SUM, histogram]}", {}),
    ("processor/cumulative_to_delta", "include: {metrics: '${env:M}'}", {}),
    ("processor/delta_to_rate", "metrics: [a]", {}),
    ("processor/delta_to_rate", "metrics: ${env:M}", {}),
    ("processor/delta_to_cumulative", "", {}),
    ("processor/delta_to_cumulative", "max_stale: 1s\nmax_streams: 0", {}),
    ("processor/interval", "", {}),
    ("processor/interval", "interval: 10s", {}),
    ("processor/metric_start_time", "", {}),
    ("processor/metric_start_time", "strategy: start_time_metric\nstart_time_metric_regex: ^a", {}),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    ("processor/metrics_transform", "transforms: [{action: update}]", [("GS0260", 1, 14)], {}),
    ("processor/metrics_transform", "transforms: [{include: a}]", [("GS0260", 1, 14)], {}),
    ("processor/metrics_transform", "transforms: [{include: a, action: rename}]", [("GS0267", 1, 35)], {}),
    ("processor/metrics_transform", "transforms: [{include: a, action: insert}]", [("GS0260", 1, 14)], {}),
    (
        "processor/metrics_transform",
        "transforms: [{include: a, action: combine}]",
        [("GS0260", 1, 14), ("GS0260", 1, 14)],
        {},
    ),
    ("processor/metrics_transform", "transforms: [{include: a, action: group}]", [("GS0260", 1, 14)], {}),
    (
        "processor/metrics_transform",
        "transforms: [{include: a, action: update, match_type: glob}]",
        [("GS0267", 1, 55)],
        {},
    ),
    (
        "processor/metrics_transform",
        "transforms: [{include: '(', match_type: regexp, action: update}]",
        [("GS0264", 1, 24)],
        {},
    ),
    (
        "processor/metrics_transform",
        "transforms: [{include: a, match_type: regexp, experimental_match_labels: {a: '('}, action: update}]",
        [("GS0264", 1, 78)],
        {},
    ),
    (
        "processor/metrics_transform",
        "transforms: [{include: a, action: update, aggregation_type: total, submatch_case: title}]",
        [("GS0267", 1, 61), ("GS0267", 1, 83)],
        {},
    ),
    (
        "processor/metrics_transform",
        "transforms: [{include: a, action: update, operations: [{action: drop_label}, {}]}]",
        [("GS0267", 1, 65), ("GS0260", 1, 78)],
        {},
    ),
    (
        "processor/metrics_transform",
        "transforms: [{include: a, action: update, operations: [{action: add_label}, {action: update_label}]}]",
        [("GS0260", 1, 56), ("GS0260", 1, 56), ("GS0260", 1, 77)],
        {},
    ),
    (
        "processor/metrics_transform",
        (
            "transforms: [{include: a, action: update, "
            "operations: [{action: experimental_scale_value, experimental_scale: 0.0}]}]"
        ),
        [("GS0260", 1, 111)],
        {},
    ),
    (
        "processor/metrics_transform",
        "transforms: [{include: a, action: update, operations: [{action: aggregate_labels, aggregation_type: avg}]}]",
        [("GS0267", 1, 101)],
        {},
    ),
    ("processor/metrics_generation", "rules: [{}]", [("GS0260", 1, 9), ("GS0260", 1, 9), ("GS0260", 1, 9)], {}),
    ("processor/metrics_generation", "rules: [{name: a, type: guess, metric1: b}]", [("GS0267", 1, 25)], {}),
    ("processor/metrics_generation", "rules: [{name: a, type: calculate, metric1: b}]", [("GS0260", 1, 9)], {}),
    ("processor/metrics_generation", "rules: [{name: a, type: scale, metric1: b}]", [("GS0260", 1, 9)], {}),
    (
        "processor/metrics_generation",
        "rules: [{name: a, type: scale, metric1: b, scale_by: -1}]",
        [("GS0261", 1, 54)],
        {},
    ),
    (
        "processor/metrics_generation",
        "rules: [{name: a, type: calculate, metric1: b, metric2: a, operation: mod}]",
        [("GS0274", 1, 16), ("GS0267", 1, 71)],
        {},
    ),
    ("processor/cumulative_to_delta", "include: {metrics: [a]}", [("GS0266", 1, 11)], {}),
    ("processor/cumulative_to_delta", "exclude: {match_type: strict}", [("GS0266", 1, 11)], {}),
    ("processor/cumulative_to_delta", "include: {metric_types: [gauge]}", [("GS0267", 1, 26)], {}),
    ("processor/cumulative_to_delta", "include: {metric_types: [~]}", [("GS0267", 1, 26)], {}),
    ("processor/cumulative_to_delta", "include: {metrics: [a], match_type: glob}", [("GS0288", 1, 37)], {}),
    ("processor/cumulative_to_delta", "include: {metrics: ['('], match_type: regexp}", [("GS0280", 1, 21)], {}),
    ("processor/delta_to_rate", "", [("GS0271", 0, 0)], {}),
    ("processor/delta_to_rate", "metrics: []", [("GS0271", 1, 10)], {}),
    ("processor/delta_to_cumulative", "max_stale: 0\nmax_streams: -1", [("GS0261", 1, 12), ("GS0261", 2, 14)], {}),
    ("processor/delta_to_cumulative", "max_stale: null", [("GS0261", 1, 1)], {}),
    ("processor/interval", "interval: 0", [("GS0261", 1, 11)], {}),
    ("processor/metric_start_time", "strategy: guess", [("GS0267", 1, 11)], {}),
    ("processor/metric_start_time", "gc_interval: 0", [("GS0261", 1, 14)], {}),
    ("processor/metric_start_time", "start_time_metric_regex: a", [("GS0266", 1, 1)], {}),
    (
        "processor/metric_start_time",
        "strategy: start_time_metric\nstart_time_metric_regex: '('",
        [("GS0264", 2, 26)],
        {},
    ),
]


@pytest.mark.parametrize(("component", "text", "options"), RIGHT)
def test_what_the_collector_takes_is_right(component: str, text: str, options: dict[str, Any]) -> None:
    assert diagnostics(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == ()


@pytest.mark.parametrize(("component", "text", "expected", "options"), WRONG)
def test_what_is_wrong_is_found_in_its_place(
    component: str, text: str, expected: list[tuple[str, int, int]], options: dict[str, Any]
) -> None:
    assert found(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == expected
