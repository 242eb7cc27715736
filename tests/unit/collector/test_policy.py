"""What a repository allows, and how much warnings count."""

import pytest

from gitsync.collector.document import parse_mapping
from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping, Origin
from gitsync.collector.policy import (
    AS_THE_COLLECTOR,
    BEFORE_PUBLISHING,
    Policy,
    check_component,
    check_endpoints,
    check_providers,
)
from gitsync.diagnostics import Diagnostic, Severity

AT = Origin("c.yaml", 1, 1)
WARNING = Diagnostic("c.yaml", 1, 1, Severity.WARNING, "GS0281", "said")
ERROR = Diagnostic("c.yaml", 1, 1, Severity.ERROR, "GS0231", "said")


def read(text: str) -> Mapping:
    node, found = parse_mapping("c.yaml", text.encode())
    assert node is not None, found
    return node


def test_the_collectors_own_verdict_changes_nothing() -> None:
    assert list(AS_THE_COLLECTOR.judge([WARNING, ERROR])) == [WARNING, ERROR]


def test_what_stops_the_collector_at_its_start_is_not_published() -> None:
    assert [one.severity for one in BEFORE_PUBLISHING.judge([WARNING, ERROR])] == [Severity.ERROR, Severity.ERROR]


def test_a_repository_can_let_a_warning_pass_and_never_an_error() -> None:
    policy = Policy(severity={"GS0281": Severity.WARNING, "GS0231": Severity.WARNING})
    assert list(policy.judge([WARNING, ERROR])) == [WARNING, ERROR]


@pytest.mark.parametrize(
    ("allow", "deny", "codes"),
    [
        (None, (), []),
        (("exporter/otlp_*",), (), []),
        (("exporter/otlp_grpc",), (), []),
        (("exporter/otlp",), (), []),
        (None, ("exporter/otlp",), ["GS1106"]),
        (("receiver/*",), (), ["GS1106"]),
        (None, ("exporter/otlp_grpc",), ["GS1106"]),
        (("exporter/*",), ("*/otlp_grpc",), ["GS1106"]),
        ((), (), ["GS1106"]),
    ],
)
def test_components_are_allowed_by_pattern(
    allow: tuple[str, ...] | None, deny: tuple[str, ...], codes: list[str]
) -> None:
    findings = Findings("c.yaml")
    check_component(Policy(allow, deny), ("exporter/otlp_grpc", "exporter/otlp"), 'exporter "otlp"', AT, findings)
    assert [one.code for one in findings.done()] == codes


@pytest.mark.parametrize(
    ("providers", "codes"),
    [(None, []), ({"env", "file"}, []), ({"env"}, ["GS1105"]), (set(), ["GS1105", "GS1105", "GS1105"])],
)
def test_providers_are_allowed_by_scheme(providers: set[str] | None, codes: list[str]) -> None:
    findings = Findings("c.yaml")
    root = read("a: ${env:A}\nb: ['x-${B}', '$${file:escaped}']\nc: {d: '${file:/etc/x}'}\n")
    check_providers(Policy(providers=None if providers is None else frozenset(providers)), root, findings)
    assert [one.code for one in findings.done()] == codes


@pytest.mark.parametrize(
    ("text", "patterns", "codes"),
    [
        ("endpoint: otel.example.com:4317", ("*.example.com",), []),
        ("endpoint: https://otel.example.com:4318/v1", ("*.example.com",), []),
        ("endpoint: https://OTEL.example.com/v1", ("otel.example.com",), []),
        ("endpoint: otel.example.com:4317", ("*.example.com:4317",), []),
        ("endpoint: otel.example.com:4318", ("*.example.com:4317",), ["GS1107"]),
        ("endpoint: example.com.evil.org:4317", ("*.example.com",), ["GS1107"]),
        ("traces_endpoint: http://elsewhere", ("*.example.com",), ["GS1107"]),
        ("brokers: [a.example.com:9092, b.evil.org:9092]", ("*.example.com",), ["GS1107"]),
        ("endpoint: ${env:WHERE}", ("*.example.com",), ["GS1107"]),
        ("endpoint: https://a.example.com@evil.org/", ("*.example.com",), ["GS1107"]),
        ("timeout: 5s", (), []),
        ("endpoint: anywhere", (), ["GS1107"]),
    ],
)
def test_exporters_send_only_where_they_may(text: str, patterns: tuple[str, ...], codes: list[str]) -> None:
    findings = Findings("c.yaml")
    check_endpoints(Policy(endpoints=patterns), read(text + "\n"), findings)
    assert [one.code for one in findings.done()] == codes
    unlimited = Findings("c.yaml")
    check_endpoints(Policy(), read(text + "\n"), unlimited)
    assert unlimited.done() == ()
