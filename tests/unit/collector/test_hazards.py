"""What is legal and wrong in a whole configuration: each hazard where it stands, and nothing where there is none."""

import pytest

from gitsync.collector.document import parse_mapping
from gitsync.collector.findings import Findings
from gitsync.collector.hazards import check_hazards
from gitsync.collector.pipelines import read_wiring
from gitsync.collector.usage import read_usage
from gitsync.diagnostics import Severity

TAIL = "service: {extensions: [%s], pipelines: {traces: {receivers: [otlp%s], processors: [%s], exporters: [%s]}}}\n"


def check(text: str) -> list[tuple[str, int, int]]:
    node, found = parse_mapping("c.yaml", text.encode())
    assert node is not None, found
    findings = Findings("c.yaml")
    wiring = read_wiring(node, findings)
    check_hazards(node, wiring, read_usage(wiring), findings)
    done = findings.done()
    assert all(one.severity is Severity.WARNING for one in done)
    return [(one.code, one.line, one.column) for one in done]


def service(*, extensions: str = "", receivers: str = "", processors: str = "", exporters: str = "otlp") -> str:
    return TAIL % (extensions, receivers, processors, exporters)


@pytest.mark.parametrize(
    ("extensions", "enabled", "found"),
    [
        ("extensions: {basicauth/a: }", "basicauth/a", []),
        ("extensions: {basicauth/a: }", "", [("GS0281", 2, 42)]),
        ("extensions: {}", "", [("GS0281", 2, 42)]),
        ("extensions: ${file:x}", "", []),
    ],
)
def test_an_authenticator_must_be_an_extension_that_the_service_starts(
    extensions: str, enabled: str, found: list[tuple[str, int, int]]
) -> None:
    head = f"{extensions}\nexporters: {{otlp: {{auth: {{authenticator: basicauth/a}}}}}}\nreceivers: {{otlp: }}\n"
    assert check(head + service(extensions=enabled)) == found


def test_a_storage_extension_is_looked_for_too() -> None:
    head = "exporters: {otlp: {sending_queue: {storage: file_storage}}}\nreceivers: {otlp: }\n"
    assert check(head + service()) == [("GS0281", 1, 45)]


def test_what_no_pipeline_uses_is_not_looked_at() -> None:
    head = "exporters: {otlp: , otlp/b: {auth: {authenticator: none}}}\nreceivers: {otlp: }\n"
    assert not check(head + service())


def test_a_memory_limiter_stands_first() -> None:
    head = "receivers: {otlp: }\nexporters: {otlp: }\nprocessors: {batch: , memory_limiter: }\n"
    assert check(head + service(processors="batch, memory_limiter")) == [("GS0283", 4, 87)]
    assert not check(head + service(processors="memory_limiter, batch"))


def test_a_debug_exporter_in_a_pipeline_is_named() -> None:
    head = "receivers: {otlp: }\nexporters: {otlp: , debug: }\n"
    assert [one[0] for one in check(head + service(exporters="otlp, debug"))] == ["GS1103"]


@pytest.mark.parametrize(("value", "codes"), [("true", ["GS1104"]), ("false", []), ('"${env:X}"', [])])
def test_an_unverified_certificate_is_named(value: str, codes: list[str]) -> None:
    head = f"receivers: {{otlp: }}\nexporters: {{otlp: {{tls: {{insecure_skip_verify: {value}}}}}}}\n"
    assert [one[0] for one in check(head + service())] == codes


@pytest.mark.parametrize(
    ("url", "codes"),
    [
        ("https://me:secret@host/x", ["GS1102"]),
        ("https://host/a@b:c", []),
        ("https://me@host", []),
        ("https://me:${env:PASSWORD}@host", []),
    ],
)
def test_a_password_in_a_url_is_named(url: str, codes: list[str]) -> None:
    head = f'receivers: {{otlp: }}\nexporters: {{otlp: {{endpoint: "{url}"}}}}\n'
    assert [one[0] for one in check(head + service())] == codes


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ("0.0.0.0:4317", "0.0.0.0:4317", [("GS0284", 1, 106)]),
        ("localhost:4317", "0.0.0.0:4317", [("GS0284", 1, 108)]),
        ("0.0.0.0:4317", "localhost:4317", [("GS0284", 1, 106)]),
        ("10.0.0.1:4317", "10.0.0.2:4317", []),
        ("0.0.0.0:4317", "0.0.0.0:4318", []),
        ("0.0.0.0:0", "0.0.0.0:0", []),
    ],
)
def test_two_listeners_need_two_addresses(first: str, second: str, found: list[tuple[str, int, int]]) -> None:
    one = f'otlp: {{protocols: {{grpc: {{endpoint: "{first}"}}}}}}'
    head = f'receivers: {{{one}, otlp/b: {{protocols: {{grpc: {{endpoint: "{second}"}}}}}}}}\nexporters: {{otlp: }}\n'
    assert check(head + service(receivers=", otlp/b")) == found
    assert not check(head + service())
