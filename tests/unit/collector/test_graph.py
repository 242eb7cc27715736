"""The graph of pipelines: signals that components have, pairs that connectors join, circles."""

from collections.abc import Mapping

import pytest

from gitsync.collector.document import parse_mapping
from gitsync.collector.findings import Findings
from gitsync.collector.graph import check_graph
from gitsync.collector.pipelines import read_wiring

KNOWN: dict[tuple[str, str], dict[str, str]] = {
    ("receivers", "otlp"): {"traces": "stable", "metrics": "stable", "logs": "stable"},
    ("receivers", "host_metrics"): {"metrics": "beta"},
    ("processors", "span"): {"traces": "alpha"},
    ("exporters", "debug"): {"traces": "beta", "metrics": "beta", "logs": "beta"},
    ("exporters", "prometheus"): {"metrics": "beta"},
    ("connectors", "count"): {"traces_to_metrics": "alpha", "logs_to_metrics": "alpha"},
    ("connectors", "forward"): {"traces_to_traces": "beta", "metrics_to_metrics": "beta"},
}
PARTS = """\
receivers: {otlp: , host_metrics: , odd: }
processors: {span: }
exporters: {debug: , prometheus: }
connectors: {count: , forward: , forward/b: , strange: }
service:
  pipelines:
"""


def signals(section: str, name: str) -> Mapping[str, str] | None:
    return KNOWN.get((section, name))


def check(pipelines: str) -> list[tuple[str, int, int]]:
    node, found = parse_mapping("c.yaml", (PARTS + pipelines).encode())
    assert node is not None, found
    findings = Findings("c.yaml")
    check_graph(read_wiring(node, findings), signals, findings)
    return [(one.code, one.line, one.column) for one in findings.done()]


def test_components_that_carry_the_signals_of_their_pipelines_are_fine() -> None:
    assert not check(
        "    traces: {receivers: [otlp], processors: [span], exporters: [count, debug]}\n"
        "    metrics: {receivers: [count, host_metrics], exporters: [prometheus]}\n"
    )


@pytest.mark.parametrize(
    ("pipelines", "found"),
    [
        ("    logs: {receivers: [host_metrics], exporters: [debug]}\n", [("GS0250", 7, 24)]),
        ("    logs: {receivers: [otlp], processors: [span], exporters: [debug]}\n", [("GS0250", 7, 44)]),
        ("    logs: {receivers: [otlp], exporters: [prometheus]}\n", [("GS0250", 7, 43)]),
    ],
)
def test_a_component_without_the_signal_of_its_pipeline_is_found(
    pipelines: str, found: list[tuple[str, int, int]]
) -> None:
    assert check(pipelines) == found


def test_a_component_that_is_not_known_is_left_out() -> None:
    assert not check("    logs: {receivers: [odd], exporters: [debug]}\n")


def test_a_connector_that_cannot_join_its_pipelines_is_found_on_both_sides() -> None:
    found = check(
        "    metrics/in: {receivers: [otlp], exporters: [count]}\n"
        "    metrics: {receivers: [count], exporters: [debug]}\n"
    )
    assert found == [("GS0251", 7, 49), ("GS0251", 8, 27)]


def test_a_connector_that_joins_some_of_its_pipelines_is_fine_where_each_side_has_a_partner() -> None:
    assert not check(
        "    traces: {receivers: [otlp], exporters: [count]}\n"
        "    logs: {receivers: [otlp], exporters: [count]}\n"
        "    metrics: {receivers: [count], exporters: [debug]}\n"
    )


def test_a_connector_of_an_unknown_type_may_join_anything() -> None:
    assert not check(
        "    metrics/in: {receivers: [otlp], exporters: [strange]}\n"
        "    logs: {receivers: [strange], exporters: [debug]}\n"
    )


def test_a_circle_is_named_once_from_pipeline_to_pipeline() -> None:
    found = check(
        "    traces/a: {receivers: [otlp, forward/b], exporters: [forward]}\n"
        "    traces/b: {receivers: [forward], exporters: [forward/b, debug]}\n"
    )
    assert found == [("GS0252", 8, 50)]


def test_a_pipeline_that_feeds_itself_is_a_circle() -> None:
    assert check("    traces: {receivers: [otlp, forward], exporters: [forward, debug]}\n") == [("GS0252", 7, 54)]


def test_a_diamond_of_pipelines_is_no_circle() -> None:
    assert not check(
        "    traces: {receivers: [otlp], exporters: [forward, forward/b]}\n"
        "    traces/a: {receivers: [forward], exporters: [debug]}\n"
        "    traces/b: {receivers: [forward, forward/b], exporters: [debug]}\n"
    )


def test_pipelines_of_profiles_need_a_feature_gate() -> None:
    assert check("    profiles: {receivers: [otlp], exporters: [debug]}\n") == [("GS0253", 7, 5)]
