"""`service::telemetry`: removed keys, readers, views, encodings, and the two forms of the resource."""

import pytest

from gitsync.collector.document import parse_mapping
from gitsync.collector.findings import Findings
from gitsync.collector.rules.telemetry import VALIDATE, without_removed
from gitsync.collector.settings import Settings

NEW, OLD = (0, 159, 0), (0, 149, 0)


def check(text: str, version: tuple[int, int, int] = NEW) -> list[tuple[str, int]]:
    node, found = parse_mapping("c.yaml", text.encode())
    assert node is not None, found
    findings = Findings("c.yaml")
    rest = without_removed(node, findings)
    settings = Settings("service/telemetry", "telemetry", node.origin, rest, version=version)
    for rule in VALIDATE["service/telemetry"]:
        rule(settings, findings)
    return [(one.code, one.line) for one in findings.done()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("metrics:\n  level: basic\n  address: 0.0.0.0:8888\n", [("GS0255", 3)]),
        ("metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]}\n", []),
        ("metrics: {level: none, readers: []}\n", []),
        ("metrics: {level: None, readers: []}\n", []),
        ("metrics:\n  readers: []\n", [("GS0254", 2)]),
        ("metrics:\n  level: basic\n  views: [{}]\n", [("GS0254", 3)]),
        ("metrics: {level: detailed, views: [{}]}\n", []),
        ("metrics: {level: '${env:LEVEL}', readers: []}\n", []),
        ("logs:\n  encoding: logfmt\n", [("GS0282", 2)]),
        ("logs: {encoding: json}\n", []),
        ("resource: {a: b, c: null}\n", []),
        ("resource:\n  a: 1\n", [("GS0254", 2)]),
        ("resource: {attributes: [{name: a, value: b}]}\n", []),
        ("resource:\n  attributes: [{name: a, value: b}]\n  c: d\n", [("GS0254", 2)]),
        ("resource:\n  attributes_list: a=b\n", [("GS0254", 2)]),
        ("metrics: {readers: [{pull: {exporter: {otlp: {}}}}]}\n", [("GS0254", 1)]),
        ("metrics: {readers: [{periodic: {exporter: {prometheus: {}}}}]}\n", [("GS0254", 1)]),
        ("metrics: {readers: [{periodic: {exporter: {console: , otlp: {}}}}]}\n", []),
        ("traces: {processors: [{batch: {exporter: {zipkin: {}}}}, ~, {}]}\n", []),
        ("logs: {processors: [{simple: {exporter: {zipkin: {}}}}]}\n", [("GS0254", 1)]),
        ("logs: {processors: [{batches: {}}]}\n", [("GS0254", 1)]),
        ("traces: {processors: [{batch: {exporter: {otlp: {protocol: grpc}}}}]}\n", [("GS0254", 1)]),
        ("traces: {processors: [{batch: {exporter: {otlp: {endpoint: }}}}]}\n", [("GS0254", 1)]),
        ("traces: {processors: [{batch: {exporter: {otlp: {endpoint: ''}}}}]}\n", []),
        ("traces: {processors: [{batch: {exporter: {otlp: {endpoint: '${env:A}'}}}}]}\n", []),
        ("traces: {processors: [{batch: {exporter: {otlp: }}}, {simple: {exporter: {otlp: {}}}}]}\n", []),
        ("traces: {sampler: {always: {}}}\n", [("GS0254", 1)]),
        ("traces: {sampler: {parent_based: {}}}\n", []),
        ("{}\n", []),
    ],
)
def test_what_the_collector_refuses_is_found_where_it_stands(text: str, found: list[tuple[str, int]]) -> None:
    assert check(text) == found


def test_older_versions_take_any_resource() -> None:
    assert check("resource: {attributes_list: a=b}\n", OLD) == []
