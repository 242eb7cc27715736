"""Exporters of OTLP, and load_balancing."""

from typing import Any

import pytest

from gitsync.collector.rules.otlp import CONSTRUCT, TYPES, VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (
    VALIDATE,
    CONSTRUCT,
    TYPES,
)
DEFAULTS: dict[str, dict[str, Any]] = {
    "exporter/load_balancing": {"protocol": {"otlp": {"endpoint": "placeholder:4317"}}}
}
SIGNALS: dict[str, list[str]] = {"exporter/otlp_http": ["traces"], "exporter/load_balancing": ["traces"]}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("otlpexporter.Config", "endpoint: collector:4317", {}),
    ("otlpexporter.Config", "endpoint: https://collector:4317", {}),
    ("otlpexporter.Config", "endpoint: dns:///collector:4317", {}),
    ("otlpexporter.Config", "endpoint: ${env:ENDPOINT}", {}),
    ("exporter/otlp_http", "endpoint: https://collector:4318", {}),
    ("exporter/otlp_http", "traces_endpoint: http://collector:4318/v1/traces", {}),
    ("exporter/otlp_http", "endpoint: ${env:ENDPOINT}", {}),
    ("exporter/otlp_http", "metrics_endpoint: ${env:METRICS}\nendpoint: http://a", {}),
    ("exporter/otlp_http", "endpoint: http://a\nmetrics_endpoint: 'http://[::1'", {}),
    ("exporter/load_balancing", "resolver: {static: {hostnames: [a, b]}}", {}),
    ("exporter/load_balancing", "resolver: {dns: {hostname: a}, static: }", {}),
    ("exporter/load_balancing", "resolver: {static: {enabled: false}, dns: {hostname: a}}", {}),
    ("exporter/load_balancing", "resolver: {k8s: {service: a.b.svc.cluster.local}}", {}),
    ("exporter/load_balancing", "resolver: {k8s: {service: a.b}}\nrouting_key: service", {}),
    ("exporter/load_balancing", "resolver: {aws_cloud_map: {namespace: a, service_name: b}}", {}),
    (
        "exporter/load_balancing",
        "resolver: {static: {hostnames: [a]}}\nrouting_key: attributes\nrouting_attributes: [tenant]",
        {},
    ),
    ("exporter/load_balancing", "resolver: ${file:resolver.yaml}", {}),
    (
        "exporter/load_balancing",
        "resolver: {static: {hostnames: [a]}}\nrouting_key: streamID",
        {"signals": ["metrics"]},
    ),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    ("otlpexporter.Config", "", [("GS0260", 0, 0)], {}),
    ("otlpexporter.Config", "endpoint: ''", [("GS0260", 1, 11)], {}),
    ("otlpexporter.Config", "endpoint: http://", [("GS0262", 1, 11)], {}),
    ("otlpexporter.Config", "endpoint: dns:///", [("GS0262", 1, 11)], {}),
    ("exporter/otlp_http", "", [("GS0260", 0, 0), ("GS0260", 0, 0)], {}),
    ("exporter/otlp_http", "endpoint: ''", [("GS0260", 0, 0), ("GS0260", 1, 11)], {}),
    ("exporter/otlp_http", "metrics_endpoint: http://a", [("GS0260", 0, 0)], {}),
    ("exporter/otlp_http", "endpoint: 'http://a b'", [("GS0263", 1, 11)], {}),
    ("exporter/otlp_http", "endpoint: http://a/%zz", [("GS0263", 1, 11)], {}),
    ("exporter/otlp_http", "endpoint: 10.0.0.1:4318", [("GS0263", 1, 11)], {}),
    ("exporter/otlp_http", "endpoint: localhost:4318", [("GS0288", 1, 11)], {}),
    ("exporter/otlp_http", "endpoint: http://a\ntraces_endpoint: 'http://[::1'", [("GS0263", 2, 18)], {}),
    (
        "exporter/otlp_http",
        "traces_endpoint: http://a",
        [("GS0260", 0, 0), ("GS0260", 0, 0)],
        {"signals": ["logs", "metrics", "traces"]},
    ),
    ("exporter/load_balancing", "", [("GS0260", 0, 0)], {}),
    ("exporter/load_balancing", "resolver: {static: }", [("GS0260", 1, 1)], {}),
    ("exporter/load_balancing", "resolver: {static: {hostnames: [a]}, dns: {hostname: a}}", [("GS0265", 1, 38)], {}),
    ("exporter/load_balancing", "resolver: {static: {hostnames: []}}", [("GS0271", 1, 32)], {}),
    ("exporter/load_balancing", "resolver: {dns: {}}", [("GS0260", 1, 12)], {}),
    ("exporter/load_balancing", "resolver: {k8s: {}}", [("GS0260", 1, 12)], {}),
    ("exporter/load_balancing", "resolver: {k8s: {service: a.b.c}}", [("GS0262", 1, 27)], {}),
    ("exporter/load_balancing", "resolver: {k8s: {service: a..svc}}", [("GS0262", 1, 27)], {}),
    ("exporter/load_balancing", "resolver: {k8s: {service: a.b.svc}}", [("GS0262", 1, 27)], {}),
    ("exporter/load_balancing", "resolver: {aws_cloud_map: {}}", [("GS0260", 1, 12), ("GS0260", 1, 12)], {}),
    ("exporter/load_balancing", "resolver: {static: {hostnames: [a]}}\nrouting_key: metric", [("GS0267", 2, 14)], {}),
    (
        "exporter/load_balancing",
        "resolver: {static: {hostnames: [a]}}\nrouting_key: traceID",
        [("GS0267", 2, 14)],
        {"signals": ["metrics"]},
    ),
    (
        "exporter/load_balancing",
        "resolver: {static: {hostnames: [a]}}\nrouting_key: Service",
        [("GS0267", 2, 14)],
        {"signals": ["logs", "traces"]},
    ),
    (
        "exporter/load_balancing",
        "resolver: {static: {hostnames: [a]}}\nrouting_key: attributes",
        [("GS0266", 0, 0)],
        {},
    ),
    (
        "exporter/load_balancing",
        "resolver: {static: {hostnames: [a]}}\nrouting_attributes: [tenant]",
        [("GS0266", 2, 1)],
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
