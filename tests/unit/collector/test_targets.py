"""Pipelines that routing and failover name: each must be one that they can send to."""

import pytest

from gitsync.collector.document import parse_mapping
from gitsync.collector.findings import Findings
from gitsync.collector.pipelines import read_wiring
from gitsync.collector.targets import check_targets
from gitsync.diagnostics import Diagnostic

SHAPE = """\
connectors:
  {connector}
receivers: {{otlp: }}
exporters: {{debug: }}
service:
  pipelines:
    traces/in: {{receivers: [otlp], exporters: [{name}]}}
    traces/a: {{receivers: [{name}], exporters: [debug]}}
    traces/b: {{receivers: [{name}], exporters: [debug]}}
    traces/apart: {{receivers: [otlp], exporters: [debug]}}
    {more}
"""
LOGS = "logs/in: {receivers: [otlp], exporters: [failover]}\n    logs/a: {receivers: [failover], exporters: [debug]}"


def judged(connector: str, more: str = "") -> tuple[Diagnostic, ...]:
    """Findings about one connector, written on line 2, that gets from `traces/in` and sends to `traces/a` and `/b`."""
    name = connector.partition(":")[0]
    node, problems = parse_mapping("c.yaml", SHAPE.format(connector=connector, name=name, more=more).encode())
    assert node is not None, problems
    findings = Findings("c.yaml")
    check_targets(read_wiring(node, Findings("c.yaml")), findings)
    return findings.done()


@pytest.mark.parametrize(
    "connector",
    [
        "failover: {priority_levels: [[traces/a], [traces/b, traces/a]]}",
        "failover: {priority_levels: ['${env:LEVEL}', ['${env:PIPELINE}']]}",
        "failover: ${file:failover.yaml}",
        "failover/2: {priority_levels: [[ traces / a ]]}",
        "routing: {default_pipelines: [traces/a], table: [{condition: 'true', pipelines: [traces/b]}]}",
        "routing: {default_pipelines: traces/a, table: '${file:table.yaml}'}",
        "routing: {table: [{pipelines: [not an id]}]}",
        "forward: ",
    ],
)
def test_a_connector_may_send_to_pipelines_that_have_it_as_a_receiver(connector: str) -> None:
    assert judged(connector) == ()


@pytest.mark.parametrize(
    ("connector", "column", "message", "hint"),
    [
        ("failover: {priority_levels: [[traces/aa]]}", 33, "which is not there", 'did you mean "traces/a"?'),
        ("failover: {priority_levels: [[traces/apart]]}", 33, "does not have it as a receiver", "add failover to"),
        ("routing: {table: [{pipelines: [traces/x]}]}", 34, "which is not there", "traces/b"),
        (
            "routing: {default_pipelines: [traces/in], table: []}",
            33,
            "does not have it",
            "add routing to the receivers",
        ),
    ],
)
def test_a_pipeline_that_the_connector_cannot_reach_is_found(
    connector: str, column: int, message: str, hint: str
) -> None:
    (found,) = judged(connector)
    assert (found.code, found.line, found.column) == ("GS0251", 2, column)
    assert message in found.message
    assert hint in found.hint


def test_one_connector_for_two_signals_cannot_send_to_pipelines_of_both() -> None:
    found = judged("failover: {priority_levels: [[traces/a], [logs/a]]}", LOGS)
    assert [(one.code, one.column) for one in found] == [("GS0251", 33), ("GS0251", 45)]
    assert "carries logs" in found[0].message
    assert "one connector for each signal" in found[0].hint


def test_nothing_is_said_when_the_lists_of_a_pipeline_are_not_known() -> None:
    connector = "failover: {priority_levels: [[traces/x]]}"
    assert judged(connector, "traces/more: {receivers: '${file:r.yaml}', exporters: [debug]}") == ()
