"""Groups of OTTL in the transform and filter processors."""

from typing import Any

import pytest

from gitsync.collector.rules.groups import VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (VALIDATE,)
DEFAULTS: dict[str, dict[str, Any]] = {}
SIGNALS: dict[str, list[str]] = {}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("processor/transform", "trace_statements: []", {}),
    ("processor/transform", "trace_statements: [{context: span}]", {}),
    ("processor/transform", "trace_statements: [{conditions: ['span.name == \"a\"']}]", {}),
    ("processor/transform", "log_statements: ['set(log.body, 1)']", {}),
    ("processor/transform", "trace_statements: [{context: span, statements: 'set(name, \"a\")'}]", {}),
    ("processor/transform", "trace_statements: [{context: span, statements: [null]}]", {}),
    ("processor/transform", "trace_statements: ${file:statements.yaml}", {}),
    ("processor/filter", "trace_conditions: [{}]", {}),
    ("processor/filter", "trace_conditions: [{context: span, error_mode: IGNORE, conditions: ['true']}]", {}),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    ("processor/transform", "trace_statements:", [("GS0233", 1, 1)], {}),
    ("processor/transform", "trace_statements: [{}]", [("GS0271", 1, 20)], {}),
    ("processor/transform", "trace_statements: [{statements: []}]", [("GS0271", 1, 20)], {}),
    ("processor/transform", "log_statements: [{'set(log.body, \"x': 'y\")'}]", [("GS0271", 1, 18)], {}),
    ("processor/transform", "trace_statements: [{context: '', statements: [a]}]", [("GS0267", 1, 21)], {}),
    (
        "processor/transform",
        "trace_statements: [{context: null, statements: [a], error_mode: null}]",
        [("GS0267", 1, 21), ("GS0267", 1, 53)],
        {},
    ),
    (
        "processor/transform",
        "trace_statements: [{context: 1, error_mode: [a]}]",
        [("GS0271", 1, 20), ("GS0233", 1, 30), ("GS0233", 1, 45)],
        {},
    ),
    ("processor/transform", "trace_statements: [{context: span, statements: {}}]", [("GS0233", 1, 48)], {}),
    (
        "processor/transform",
        "metric_statements: [{context: metric, statements: [1, {a: b}, []]}]",
        [("GS0233", 1, 52), ("GS0233", 1, 55), ("GS0233", 1, 63)],
        {},
    ),
    ("processor/transform", "metric_statements: [{context: metric, conditions: 1.5}]", [("GS0233", 1, 51)], {}),
    ("processor/filter", "trace_conditions:", [("GS0233", 1, 1)], {}),
    (
        "processor/filter",
        "log_conditions: [{error_mode: null, conditions: [true]}]",
        [("GS0267", 1, 19), ("GS0233", 1, 50)],
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
