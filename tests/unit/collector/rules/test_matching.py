"""Which telemetry the attributes processor looks at, per signal."""

from typing import Any

import pytest

from gitsync.collector.rules.attributes import CONSTRUCT, VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (
    VALIDATE,
    CONSTRUCT,
)
DEFAULTS: dict[str, dict[str, Any]] = {}
SIGNALS: dict[str, list[str]] = {"processor/attributes": ["traces"]}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    (
        "processor/attributes",
        (
            "actions: [{key: a, action: delete}]\ninclude: {match_type: strict, services: [a], "
            "span_kinds: [SPAN_KIND_SERVER]}"
        ),
        {},
    ),
    (
        "processor/attributes",
        (
            "actions: [{key: a, action: delete}]\ninclude: {match_type: regexp, "
            "services: ['${env:SERVICE}'], span_kinds: [CLIENT]}"
        ),
        {},
    ),
    ("processor/attributes", "actions: [{key: a, action: delete}]\ninclude: {services: '${env:SERVICES}'}", {}),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: '${env:HOW}', services: ['(']}",
        {},
    ),
    ("processor/attributes", "actions: [{key: a, action: delete}]\ninclude: {resources: [{key: a}]}", {}),
    (
        "processor/attributes",
        (
            "actions: [{key: a, action: delete}]\ninclude: {match_type: regexp, "
            "attributes: [{key: a, value: b.*}], regexp: {cacheenabled: true, "
            "cachemaxnumentries: 0}}"
        ),
        {},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {log_severity_number: {min: 9}}",
        {"signals": ["logs"]},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: strict, log_bodies: [a]}",
        {"signals": ["logs"]},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: expr, metric_names: [a]}",
        {"signals": ["metrics"]},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: regexp, resources: [{key: '', value: '('}]}",
        {"signals": ["metrics"]},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: glob, span_names: ['(']}",
        {"signals": []},
    ),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    ("processor/attributes", "actions: [{key: a, action: delete}]\ninclude: {services: [a]}", [("GS0260", 2, 1)], {}),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: glob, services: [a]}",
        [("GS0267", 2, 23)],
        {},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: regexp, services: ['a(?=b)']}",
        [("GS0264", 2, 42)],
        {},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: strict}",
        [("GS0266", 2, 1)],
        {},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: strict, metric_names: [a], log_bodies: [b]}",
        [("GS0274", 2, 31), ("GS0274", 2, 50)],
        {},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: strict, span_kinds: [server]}",
        [("GS0267", 2, 44)],
        {},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: strict, attributes: [{value: a}]}",
        [("GS0260", 2, 44)],
        {},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: regexp, attributes: [{key: a, value: 1}]}",
        [("GS0267", 2, 60)],
        {},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: regexp, attributes: [{key: a, value: [b]}]}",
        [("GS0267", 2, 60)],
        {},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {match_type: regexp, libraries: [{name: a, version: '('}]}",
        [("GS0264", 2, 62)],
        {},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\ninclude: {libraries: [{name: a}]}",
        [("GS0260", 2, 1)],
        {},
    ),
    (
        "processor/attributes",
        (
            "actions: [{key: a, action: delete}]\ninclude: {match_type: regexp, services: [a], "
            "regexp: {cacheenabled: true, cachemaxnumentries: -1}}"
        ),
        [("GS0274", 2, 95)],
        {},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\nexclude: {match_type: strict, services: [a]}",
        [("GS0274", 2, 31)],
        {"signals": ["logs"]},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\nexclude: {match_type: strict, attributes: [{key: a, value: b}]}",
        [("GS0274", 2, 31)],
        {"signals": ["metrics"]},
    ),
    (
        "processor/attributes",
        "actions: [{key: a, action: delete}]\nexclude: {match_type: strict, log_bodies: [a]}",
        [("GS0274", 2, 31)],
        {"signals": ["logs", "traces"]},
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
