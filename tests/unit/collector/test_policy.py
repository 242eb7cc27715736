"""What a repository allows, and how much warnings count."""

import pytest

from gitsync.collector.document import parse_mapping
from gitsync.collector.findings import Findings
from gitsync.collector.judge import Judge
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
from tests.support.compiling import catalog

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
    ("text", "codes"),
    [
        ("a: ${env:A:-${file:/etc/x}}", ["GS1105"]),
        ("a: ${${env:S:-file}:/etc/x}", ["GS1105"]),
        ("a: ${${env:S:-file:/etc/x}}", ["GS1105"]),
        ("a: ${env:${env:NAME}}", []),
        ("a: ${env:A:-${env:B}}", []),
    ],
)
def test_a_provider_inside_of_another_is_no_way_around(text: str, codes: list[str]) -> None:
    findings = Findings("c.yaml")
    check_providers(Policy(providers=frozenset({"env"})), read(text + "\n"), findings)
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
        ("endpoint: https://evil.org?.example.com", ("*.example.com",), ["GS1107"]),
        ("endpoint: 'https://evil.org#.example.com'", ("*.example.com",), ["GS1107"]),
        ("endpoint: dns:///a.example.com:4317", ("*.example.com",), []),
        ("endpoint: dns:a.example.com:4317", ("a.example.com",), []),
        ("endpoint: dns://a.example.com/evil.org:4317", ("*.example.com",), ["GS1107"]),
        ("endpoint: dns://evil.org/a.example.com:4317", ("*.example.com",), ["GS1107"]),
        ("endpoint: passthrough://a.example.com/evil.org:4317", ("*.example.com",), ["GS1107"]),
        ("brokers: a.example.com:9092,b.example.com:9092", ("*.example.com",), []),
        ("brokers: evil.org:9092,a.example.com:9092", ("*.example.com",), ["GS1107"]),
        ("resolver: {dns: {hostname: evil.org}}", ("*.example.com",), ["GS1107"]),
        ("resolver: {dns: {hostname: lb.example.com}}", ("*.example.com",), []),
        ("resolver: ${file:/etc/resolver.yaml}", ("*.example.com",), ["GS1107"]),
        ("hostname: this-machine", ("*.example.com",), []),
        ("ingest_url: https://evil.org", ("*.example.com",), ["GS1107"]),
        ("{endpoint: a.example.com, proxy_url: 'http://evil.org'}", ("*.example.com",), ["GS1107"]),
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


PIPELINES = "pipelines: {logs: {receivers: [nop], exporters: [nop]}}"
OWN = "traces: {processors: [{batch: {exporter: {otlp: {protocol: grpc, endpoint: 'http://%s:4317'}}}}]}"


@pytest.mark.parametrize(
    ("text", "policy", "codes"),
    [
        ("exporters: {nop: '${file:/x}'}", Policy(endpoints=("*.example.com",)), ["GS1107"]),
        ("exporters: ${file:/x}", Policy(endpoints=("*.example.com",)), ["GS1107"]),
        ("exporters: ${file:/x}", Policy(("exporter/nop", "receiver/*")), ["GS1106"]),
        ("exporters: ${file:/x}", Policy(deny=("exporter/debug",)), ["GS1106"]),
        ("exporters: ${file:/x}", Policy(), []),
        ("exporters: [nop]", Policy(deny=("exporter/debug",)), ["GS0202"]),
        ("exporters: {nop: '${file:/x}'}", Policy(deny=("exporter/debug",)), []),
        ("exporters: {nop: }", Policy(endpoints=("*.example.com",)), []),
    ],
)
def test_what_the_agent_fills_in_passes_no_policy(text: str, policy: Policy, codes: list[str]) -> None:
    root = read(f"receivers: {{nop: }}\n{text}\nservice: {{{PIPELINES}}}\n")
    assert [one.code for one in Judge(catalog().build(None, []), policy, {}).judge(root, path="c.yaml")] == codes


@pytest.mark.parametrize(
    ("telemetry", "codes"),
    [
        (OWN % "evil.org", ["GS1107"]),
        (OWN % "a.example.com", []),
        ("metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]}", []),
        (
            "metrics: {readers: [{periodic: {exporter: {otlp: {protocol: grpc, endpoint: 'http://evil.org'}}}}]}",
            ["GS1107"],
        ),
        ("resource: {url: 'http://elsewhere'}", []),
        ("traces: '${file:/x}'", ["GS1107"]),
    ],
)
def test_the_agents_own_telemetry_goes_only_where_exporters_may_send(telemetry: str, codes: list[str]) -> None:
    text = f"receivers: {{nop: }}\nexporters: {{nop: }}\nservice: {{telemetry: {{{telemetry}}}, {PIPELINES}}}\n"
    judge = Judge(catalog().build(None, []), Policy(endpoints=("*.example.com",)), {})
    assert [one.code for one in judge.judge(read(text), path="c.yaml")] == codes
