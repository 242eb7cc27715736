"""The span_metrics, service_graph and exceptions connectors."""

from typing import Any

import pytest

from gitsync.collector.rules.dimensions import CONSTRUCT, VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (
    VALIDATE,
    CONSTRUCT,
)
DEFAULTS: dict[str, dict[str, Any]] = {
    "connector/span_metrics": {
        "resource_metrics_cache_size": 1000,
        "metrics_flush_interval": "1m0s",
        "aggregation_temporality": "AGGREGATION_TEMPORALITY_CUMULATIVE",
        "exemplars": {"max_per_data_point": 5},
    }
}
SIGNALS: dict[str, list[str]] = {}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("connector/span_metrics", "", {}),
    ("connector/span_metrics", "dimensions: [{name: http.method, default: GET}, {glob: 'x.*'}]", {}),
    ("connector/span_metrics", "dimensions: [{name: '${env:A}'}, {name: '${env:A}'}]", {}),
    ("connector/span_metrics", "dimensions: [{glob: 's*'}, {glob: 'a.?'}, {name: a.bc}]", {}),
    ("connector/span_metrics", "histogram: {explicit: , exponential: {max_size: 5}}", {}),
    ("connector/span_metrics", "histogram: {explicit: {enabled: false}, exponential: {}}", {}),
    ("connector/span_metrics", "events: {dimensions: [{name: a}, {name: a}]}", {}),
    (
        "connector/span_metrics",
        "dimensions: [{name: ''}]\ncalls_dimensions: [{name: a}, {name: a}]",
        {"version": (0, 149, 0)},
    ),
    ("connector/span_metrics", "metric_timestamp_cache_size: 0", {}),
    ("connector/service_graph", "", {}),
    ("connector/service_graph", "latency_histogram_buckets: [1ms]\nexponential_histogram_max_size: -5", {}),
    ("connector/service_graph", "exponential_histogram_max_size: 5", {}),
    ("connector/exceptions", "dimensions: [{name: a}, {name: b}]", {}),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    ("connector/span_metrics", "dimensions: [{name: service.name}]", [("GS0268", 1, 21)], {}),
    ("connector/span_metrics", "dimensions: [{name: a}, {name: a}]", [("GS0268", 1, 32)], {}),
    ("connector/span_metrics", "dimensions: [{name: collector.instance.id}]", [("GS0268", 1, 21)], {}),
    (
        "connector/span_metrics",
        "calls_dimensions: [{name: span.kind}]\nhistogram: {dimensions: [{name: a}, {name: a}]}",
        [("GS0268", 1, 27), ("GS0268", 2, 44)],
        {},
    ),
    ("connector/span_metrics", "dimensions: [{}]", [("GS0260", 1, 14)], {}),
    ("connector/span_metrics", "dimensions: [{name: a, glob: b}]", [("GS0265", 1, 24)], {}),
    ("connector/span_metrics", "dimensions: [{glob: 'x.*', default: a}]", [("GS0274", 1, 28)], {}),
    ("connector/span_metrics", "dimensions: [{glob: 'x.['}]", [("GS0267", 1, 21)], {}),
    ("connector/span_metrics", "dimensions: [{glob: 'span.?ind'}]", [("GS0268", 1, 21)], {}),
    ("connector/span_metrics", "dimensions: [{glob: 'a.*'}, {name: a.b}]", [("GS0268", 1, 21)], {}),
    ("connector/span_metrics", "dimensions: [{glob: '**'}]", [("GS0268", 1, 21)], {}),
    ("connector/span_metrics", "events: {enabled: true}", [("GS0271", 1, 1)], {}),
    ("connector/span_metrics", "events: {enabled: true, dimensions: [{name: a}, {name: a}]}", [("GS0268", 1, 56)], {}),
    ("connector/span_metrics", "histogram: {explicit: {}, exponential: {}}", [("GS0265", 1, 27)], {}),
    (
        "connector/span_metrics",
        "metrics_flush_interval: -1s\nmetrics_expiration: -1s\nseries_expiration: -1s",
        [("GS0261", 1, 25), ("GS0261", 2, 21), ("GS0261", 3, 20)],
        {},
    ),
    ("connector/span_metrics", "metrics_flush_interval: 0", [("GS0261", 1, 25)], {}),
    ("connector/span_metrics", "resource_metrics_cache_size: 0", [("GS0261", 1, 30)], {}),
    (
        "connector/span_metrics",
        "aggregation_cardinality_limit: -1\nexemplars: {enabled: true, max_per_data_point: -1}",
        [("GS0261", 1, 32), ("GS0261", 2, 48)],
        {},
    ),
    ("connector/span_metrics", "aggregation_temporality: delta", [("GS0288", 1, 26)], {}),
    (
        "connector/span_metrics",
        "aggregation_temporality: AGGREGATION_TEMPORALITY_DELTA\nmetric_timestamp_cache_size: 0",
        [("GS0261", 2, 30)],
        {},
    ),
    ("connector/service_graph", "exponential_histogram_max_size: -5", [("GS0261", 1, 33)], {}),
    (
        "connector/service_graph",
        "latency_histogram_buckets: []\nexponential_histogram_max_size: 5",
        [("GS0265", 2, 1)],
        {},
    ),
    ("connector/exceptions", "dimensions: [{name: span.name}]", [("GS0268", 1, 21)], {}),
    ("connector/exceptions", "dimensions: [{name: a}, {name: a}]", [("GS0268", 1, 32)], {}),
]


@pytest.mark.parametrize(("component", "text", "options"), RIGHT)
def test_what_the_collector_takes_is_right(component: str, text: str, options: dict[str, Any]) -> None:
    assert diagnostics(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == ()


@pytest.mark.parametrize(("component", "text", "expected", "options"), WRONG)
def test_what_is_wrong_is_found_in_its_place(
    component: str, text: str, expected: list[tuple[str, int, int]], options: dict[str, Any]
) -> None:
    assert found(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == expected
