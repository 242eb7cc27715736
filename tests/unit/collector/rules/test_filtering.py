"""The filter and transform processors, but for their OTTL."""

from typing import Any

import pytest

from gitsync.collector.rules.filtering import CONSTRUCT, VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (
    VALIDATE,
    CONSTRUCT,
)
DEFAULTS: dict[str, dict[str, Any]] = {}
SIGNALS: dict[str, list[str]] = {"processor/filter": ["traces", "metrics", "logs"]}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("processor/filter", "", {}),
    ("processor/filter", "traces: ${file:traces.yaml}\ntrace_conditions: [a]\nlogs: {include: '${file:a.yaml}'}", {}),
    (
        "processor/filter",
        "traces: {span: ['name == \"a\"']}\nmetrics: {include: {match_type: strict, metric_names: [a]}}",
        {},
    ),
    (
        "processor/filter",
        "trace_conditions: ['span.name == \"b\"']\nspans: {include: {match_type: strict, services: [a]}}",
        {},
    ),
    ("processor/filter", "logs: {include: {}}", {}),
    (
        "processor/filter",
        "logs: {include: {match_type: regexp, bodies: [a.*], record_attributes: [{key: a, value: b}]}}",
        {},
    ),
    ("processor/filter", "logs: {exclude: {severity_number: {min: warn2}}}", {}),
    (
        "processor/filter",
        'metrics: {include: {match_type: expr, expressions: [\'MetricName == "a" && HasLabel("x")\']}}',
        {},
    ),
    ("processor/filter", "metrics: {include: {metric_names: []}}", {}),
    ("processor/filter", "metrics: {include: {match_type: glob, metric_names: [a]}}", {"signals": ["traces"]}),
    ("processor/filter", "metrics: {metric: ['name == \"a\"']}", {}),
    ("processor/transform", "flatten_data: false", {}),
    ("processor/transform", "flatten_data: ${env:FLAT}", {}),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    (
        "processor/filter",
        "traces: {span: ['name == \"a\"']}\ntrace_conditions: ['span.name == \"b\"']",
        [("GS0265", 1, 10)],
        {},
    ),
    (
        "processor/filter",
        "traces: {span: ['name == \"a\"']}\nspans: {include: {match_type: strict, services: [a]}}",
        [("GS0265", 2, 9)],
        {},
    ),
    ("processor/filter", "metrics: {datapoint: []}\nmetric_conditions: []", [("GS0265", 1, 11)], {}),
    (
        "processor/filter",
        "metric_conditions: ['metric.name == \"a\"']\nmetrics: {exclude: {match_type: strict, metric_names: [a]}}",
        [("GS0265", 2, 11)],
        {},
    ),
    (
        "processor/filter",
        "logs: {log_record: ['body == \"a\"'], include: {match_type: strict, bodies: [a]}}",
        [("GS0265", 1, 37)],
        {},
    ),
    ("processor/filter", "profiles: {profile: ['true']}\nprofile_conditions: ['true']", [("GS0265", 1, 12)], {}),
    ("processor/filter", "spans: {include: {services: [a]}}", [("GS0260", 1, 9)], {}),
    ("processor/filter", "logs: {include: {bodies: [a]}}", [("GS0260", 1, 8)], {}),
    ("processor/filter", "logs: {include: {match_type: regexp, bodies: ['(']}}", [("GS0264", 1, 47)], {}),
    ("processor/filter", "logs: {exclude: {severity_number: {min: warning}}}", [("GS0267", 1, 41)], {}),
    ("processor/filter", "logs: {exclude: {severity_number: {min: '25'}}}", [("GS0267", 1, 41)], {}),
    ("processor/filter", "metrics: {include: {match_type: glob, metric_names: [a]}}", [("GS0267", 1, 33)], {}),
    (
        "processor/filter",
        "metrics: {exclude: {match_type: regexp, resource_attributes: [{key: a, value: 1}]}}",
        [("GS0267", 1, 79)],
        {},
    ),
    (
        "processor/filter",
        "metrics: {include: {match_type: expr, expressions: ['MetricName ==']}}",
        [("GS0269", 1, 53)],
        {},
    ),
    (
        "processor/filter",
        "metrics: {include: {match_type: expr, resource_attributes: [{key: a, value: b}]}}",
        [("GS0267", 1, 33)],
        {},
    ),
    ("processor/transform", "flatten_data: true", [("GS0274", 1, 15)], {}),
]


@pytest.mark.parametrize(("component", "text", "options"), RIGHT)
def test_what_the_collector_takes_is_right(component: str, text: str, options: dict[str, Any]) -> None:
    assert diagnostics(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == ()


@pytest.mark.parametrize(("component", "text", "expected", "options"), WRONG)
def test_what_is_wrong_is_found_in_its_place(
    component: str, text: str, expected: list[tuple[str, int, int]], options: dict[str, Any]
) -> None:
    assert found(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == expected
