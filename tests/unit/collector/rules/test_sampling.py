"""The tail_sampling and probabilistic_sampler processors."""

from typing import Any

import pytest

from gitsync.collector.rules.sampling import CONSTRUCT, VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (
    VALIDATE,
    CONSTRUCT,
)
DEFAULTS: dict[str, dict[str, Any]] = {
    "processor/tail_sampling": {
        "decision_wait": "30s",
        "num_shards": 1,
        "num_traces": 50000,
        "sampling_strategy": "trace-complete",
    },
    "processor/probabilistic_sampler": {"sampling_precision": 4, "attribute_source": "traceID", "fail_closed": True},
}
SIGNALS: dict[str, list[str]] = {}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("processor/tail_sampling", "policies: [{name: a, type: always_sample}]", {}),
    ("processor/tail_sampling", "policies: [{name: a, type: my_extension, my_extension: {limit: 1}}]", {}),
    ("processor/tail_sampling", "policies: ${env:POLICIES}", {}),
    ("processor/tail_sampling", "policies: [{name: '${env:A}', type: '${env:B}'}, {name: b, type: trace_flags}]", {}),
    (
        "processor/tail_sampling",
        "policies: [{name: a, type: status_code, status_code: {status_codes: [ERROR, UNSET]}}]",
        {},
    ),
    (
        "processor/tail_sampling",
        (
            "policies: [{name: a, type: and, and: {and_sub_policy: [{name: b, type: latency, "
            "latency: {threshold_ms: 5}}, {name: c, type: not, not: {not_sub_policy: {name: d, "
            "type: always_sample}}}]}}]"
        ),
        {},
    ),
    (
        "processor/tail_sampling",
        (
            "policies: [{name: a, type: composite, composite: {policy_order: [b], "
            "composite_sub_policy: [{name: b, type: always_sample}], "
            "rate_allocation: [{policy: b, percent: 100}]}}]"
        ),
        {},
    ),
    (
        "processor/tail_sampling",
        (
            "policies: [{name: a, type: string_attribute, string_attribute: {key: a, "
            "values: ['('], enabled_regex_matching: false}}]"
        ),
        {},
    ),
    (
        "processor/tail_sampling",
        "policies: [{name: a, type: numeric_attribute, numeric_attribute: {key: a, min_value: 5}}]",
        {},
    ),
    (
        "processor/tail_sampling",
        "tail_storage: file_storage\npolicies: [{name: a, type: always_sample}]",
        {"version": (0, 149, 0)},
    ),
    ("processor/probabilistic_sampler", "", {}),
    ("processor/probabilistic_sampler", "sampling_percentage: 15.3", {}),
    ("processor/probabilistic_sampler", "sampling_percentage: 500", {}),
    ("processor/probabilistic_sampler", "sampling_percentage: 0", {}),
    ("processor/probabilistic_sampler", "sampling_percentage: ${env:P}", {}),
    ("processor/probabilistic_sampler", "sampling_precision: -1", {}),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    ("processor/tail_sampling", "", [("GS0288", 0, 0)], {}),
    ("processor/tail_sampling", "policies: []", [("GS0288", 1, 11)], {}),
    (
        "processor/tail_sampling",
        "sampling_strategy:\npolicies: [{name: a, type: always_sample}]",
        [("GS0260", 1, 1)],
        {},
    ),
    ("processor/tail_sampling", "num_shards: 257\npolicies: [{name: a, type: always_sample}]", [("GS0261", 1, 13)], {}),
    (
        "processor/tail_sampling",
        "num_shards: 2\ntail_storage: file_storage\npolicies: [{name: a, type: always_sample}]",
        [("GS0265", 1, 13), ("GS0274", 2, 1)],
        {},
    ),
    ("processor/tail_sampling", "policies: [{type: always_sample}]", [("GS0280", 1, 12)], {}),
    (
        "processor/tail_sampling",
        "policies: [{name: a, type: always_sample}, {name: a, type: always_sample}]",
        [("GS0280", 1, 51)],
        {},
    ),
    ("processor/tail_sampling", "policies: [{name: a}]", [("GS0280", 1, 12)], {}),
    ("processor/tail_sampling", "policies: [{name: a, type: latencies}]", [("GS0280", 1, 28)], {}),
    ("processor/tail_sampling", "policies: [{name: a, type: always_sample, latncy: 5}]", [("GS0231", 1, 43)], {}),
    (
        "processor/tail_sampling",
        "policies: [{name: a, type: and, and: {and_sub_policy: [{name: b, type: always_sample, latncy: [5]}]}}]",
        [("GS0231", 1, 87)],
        {},
    ),
    (
        "processor/tail_sampling",
        "policies: [{name: a, type: drop, drop: {drop_sub_policy: [{name: b, type: and}]}}]",
        [("GS0280", 1, 75)],
        {},
    ),
    ("processor/tail_sampling", "policies: [{name: a, type: not}]", [("GS0288", 1, 12)], {}),
    ("processor/tail_sampling", "policies: [{name: a, type: latency}]", [("GS0288", 1, 28)], {}),
    ("processor/tail_sampling", "policies: [{name: a, type: status_code}]", [("GS0280", 1, 12)], {}),
    (
        "processor/tail_sampling",
        "policies: [{name: a, type: status_code, status_code: {status_codes: [error]}}]",
        [("GS0280", 1, 70)],
        {},
    ),
    (
        "processor/tail_sampling",
        (
            "policies: [{name: a, type: string_attribute, string_attribute: {values: ['('], "
            "enabled_regex_matching: true}}]"
        ),
        [("GS0280", 1, 74)],
        {},
    ),
    (
        "processor/tail_sampling",
        "policies: [{name: a, type: numeric_attribute, numeric_attribute: {min_value: 5, max_value: 4}}]",
        [("GS0288", 1, 92)],
        {},
    ),
    (
        "processor/tail_sampling",
        (
            "policies: [{name: a, type: composite, composite: {policy_order: [x], "
            "composite_sub_policy: [{name: b, type: always_sample}], "
            "rate_allocation: [{policy: y, percent: 60}, {policy: b, percent: 60}]}}]"
        ),
        [("GS0288", 1, 66), ("GS0288", 1, 126), ("GS0288", 1, 153)],
        {},
    ),
    (
        "processor/tail_sampling",
        (
            "sampling_strategy: span-ingest\npolicies: [{name: a, type: rate_limiting, "
            "rate_limiting: {spans_per_second: 5}}]"
        ),
        [("GS0280", 2, 28)],
        {},
    ),
    ("processor/probabilistic_sampler", "sampling_percentage: -1", [("GS0261", 1, 22)], {}),
    ("processor/probabilistic_sampler", "sampling_percentage: .inf", [("GS0261", 1, 22)], {}),
    ("processor/probabilistic_sampler", "sampling_percentage: .nan", [("GS0261", 1, 22)], {}),
    ("processor/probabilistic_sampler", "sampling_percentage: 1e40", [("GS0261", 1, 22)], {}),
    ("processor/probabilistic_sampler", "sampling_percentage: 1e-20", [("GS0261", 1, 22)], {}),
    ("processor/probabilistic_sampler", "sampling_precision: 0", [("GS0261", 1, 21)], {}),
    ("processor/probabilistic_sampler", "sampling_precision: 15", [("GS0261", 1, 21)], {}),
]


@pytest.mark.parametrize(("component", "text", "options"), RIGHT)
def test_what_the_collector_takes_is_right(component: str, text: str, options: dict[str, Any]) -> None:
    assert diagnostics(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == ()


@pytest.mark.parametrize(("component", "text", "expected", "options"), WRONG)
def test_what_is_wrong_is_found_in_its_place(
    component: str, text: str, expected: list[tuple[str, int, int]], options: dict[str, Any]
) -> None:
    assert found(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == expected
