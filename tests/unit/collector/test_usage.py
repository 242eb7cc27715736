"""Who is used, and for which signals."""

from gitsync.collector.document import parse_mapping
from gitsync.collector.findings import Findings
from gitsync.collector.pipelines import read_wiring
from gitsync.collector.usage import Usage, read_usage


def usage(text: str) -> Usage:
    node, found = parse_mapping("c.yaml", text.encode())
    assert node is not None, found
    return read_usage(read_wiring(node, Findings("c.yaml")))


def test_a_component_is_used_for_the_signals_of_its_pipelines() -> None:
    found = usage(
        "connectors: {count: }\n"
        "service: {extensions: [pprof], pipelines: {"
        "traces: {receivers: [otlp], exporters: [count]}, metrics/a: {receivers: [count, otlp], exporters: [debug]}}}"
    )
    assert found.of("receivers", "otlp") == {"traces", "metrics"}
    assert found.of("connectors", "count") == {"traces", "metrics"}
    assert found.of("exporters", "debug") == {"metrics"}
    assert found.of("exporters", "otlp") == frozenset()
    assert found.uses("extensions", "pprof")
    assert not found.uses("extensions", "zpages")
    assert not found.uses("exporters", "otlp")


def test_where_a_list_is_filled_in_by_the_agent_everything_counts_as_used() -> None:
    found = usage("service: {pipelines: {traces: {receivers: '${env:R}', exporters: [debug]}}}")
    assert found.uses("receivers", "otlp")
    assert found.uses("exporters", "otlp")
    assert found.of("exporters", "otlp") == frozenset()
