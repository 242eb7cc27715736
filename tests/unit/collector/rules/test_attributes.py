"""The attributes, resource and span processors."""

from typing import Any

import pytest

from gitsync.collector.rules.attributes import CONSTRUCT, VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (
    VALIDATE,
    CONSTRUCT,
)
DEFAULTS: dict[str, dict[str, Any]] = {}
SIGNALS: dict[str, list[str]] = {"processor/attributes": ["traces"], "processor/span": ["traces"]}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("processor/attributes", "actions: [{key: a, action: UPSERT, value: 1}]", {}),
    ("processor/attributes", 'actions: [{key: a, action: insert, value: ""}]', {}),
    ("processor/attributes", "actions: [{key: a, action: insert, value: {}}]", {}),
    ("processor/attributes", 'actions: [{key: a, action: insert, from_attribute: "", default_value: 1}]', {}),
    ("processor/attributes", "actions: [{key: a, action: update, value: '${env:A}'}]", {}),
    ("processor/attributes", "actions: [{key: a, action: upsert, value: '${env:A}', from_context: b}]", {}),
    ("processor/attributes", "actions: [{key: a, action: delete, from_context: x}]", {}),
    ("processor/attributes", "actions: [{pattern: ^a, action: hash}]", {}),
    ("processor/attributes", "actions: [{key: a, action: extract, pattern: '(?P<x>a)(?:b)'}]", {}),
    ("processor/attributes", "actions: [{key: a, action: convert, converted_type: int}]", {}),
    ("processor/attributes", "actions: ${env:ACTIONS}", {}),
    ("processor/attributes", "actions: [{key: a, action: '${env:DO}'}]", {}),
    ("processor/resource", "attributes: [{key: a, action: delete}]", {}),
    ("processor/resource", "attributes: {key: a, value: b, action: insert}", {}),
    ("processor/span", "name: {from_attributes: [a]}", {}),
    ("processor/span", "name: {to_attributes: {rules: ['^/(?P<a>.*)$']}}", {}),
    ("processor/span", "status: {code: Error, description: bad}", {}),
    ("processor/span", "status: {code: '${env:CODE}'}", {}),
    ("processor/span", "", {"signals": ["logs"]}),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    ("processor/attributes", "", [("GS0271", 0, 0)], {}),
    ("processor/attributes", "actions: []", [("GS0271", 1, 10)], {}),
    ("processor/attributes", "actions: [{key: a}]", [("GS0260", 1, 11)], {}),
    ("processor/attributes", "actions: [{key: a, action: set, value: 1}]", [("GS0267", 1, 28)], {}),
    ("processor/attributes", "actions: [{key: a, action: updat, value: 1}]", [("GS0267", 1, 28)], {}),
    ("processor/attributes", "actions: [{action: insert, value: 1}]", [("GS0260", 1, 11)], {}),
    ("processor/attributes", "actions: [{action: delete}]", [("GS0266", 1, 11)], {}),
    ("processor/attributes", "actions: [{key: a, action: insert}]", [("GS0266", 1, 11)], {}),
    ("processor/attributes", "actions: [{key: a, action: insert, value: null}]", [("GS0266", 1, 11)], {}),
    (
        "processor/attributes",
        "actions: [{key: a, action: insert, value: 1, from_attribute: b}]",
        [("GS0265", 1, 46)],
        {},
    ),
    ("processor/attributes", "actions: [{key: a, action: insert, value: 1, pattern: b}]", [("GS0265", 1, 46)], {}),
    ("processor/attributes", "actions: [{key: a, action: delete, value: 1}]", [("GS0265", 1, 36)], {}),
    ("processor/attributes", "actions: [{key: a, action: hash, pattern: '('}]", [("GS0264", 1, 43)], {}),
    ("processor/attributes", "actions: [{key: a, action: extract}]", [("GS0260", 1, 11)], {}),
    ("processor/attributes", "actions: [{key: a, action: extract, pattern: '('}]", [("GS0264", 1, 46)], {}),
    ("processor/attributes", "actions: [{key: a, action: extract, pattern: a}]", [("GS0264", 1, 46)], {}),
    ("processor/attributes", "actions: [{key: a, action: extract, pattern: '(?P<x>a)(b)'}]", [("GS0264", 1, 46)], {}),
    (
        "processor/attributes",
        "actions: [{key: a, action: extract, pattern: '(?P<x>a)', value: 1}]",
        [("GS0265", 1, 58)],
        {},
    ),
    ("processor/attributes", "actions: [{key: a, action: convert}]", [("GS0260", 1, 11)], {}),
    ("processor/attributes", "actions: [{key: a, action: convert, converted_type: bool}]", [("GS0267", 1, 53)], {}),
    (
        "processor/attributes",
        "actions: [{key: a, action: convert, converted_type: int, pattern: a}]",
        [("GS0265", 1, 58)],
        {},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {log_bodies: [a]}",
        [("GS0274", 2, 11)],
        {},
    ),
    ("processor/attributes", "actions: [{key: a, action: delete}]\nexclude: {}", [("GS0266", 2, 1)], {}),
    ("processor/resource", "", [("GS0271", 0, 0)], {}),
    ("processor/resource", "attributes: [{key: a, value: b}]", [("GS0260", 1, 14)], {}),
    ("processor/span", "", [("GS0266", 0, 0)], {}),
    ("processor/span", "name: {from_attributes: ''}", [("GS0266", 1, 1)], {}),
    ("processor/span", "status: {}", [("GS0260", 1, 1)], {}),
    ("processor/span", "status: {code: ok}", [("GS0267", 1, 16)], {}),
    ("processor/span", "status: {code: Ok, description: fine}", [("GS0274", 1, 20)], {}),
    ("processor/span", "name: {to_attributes: {rules: ['(']}}", [("GS0264", 1, 32)], {}),
    ("processor/span", "status: {code: Ok}\ninclude: {match_type: strict}", [("GS0266", 2, 1)], {}),
]


@pytest.mark.parametrize(("component", "text", "options"), RIGHT)
def test_what_the_collector_takes_is_right(component: str, text: str, options: dict[str, Any]) -> None:
    assert diagnostics(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == ()


@pytest.mark.parametrize(("component", "text", "expected", "options"), WRONG)
def test_what_is_wrong_is_found_in_its_place(
    component: str, text: str, expected: list[tuple[str, int, int]], options: dict[str, Any]
) -> None:
    assert found(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == expected
