"""`contains`: an effective configuration as a real agent reports it, held against what was sent."""

from __future__ import annotations

import pytest

from gitsync.bundle.version import COLLECTOR_CONTENT_TYPE, COLLECTOR_OBJECT, ConfigObject, Payload
from gitsync.fleet.effective import contains

SENT = """\
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:4317
processors:
  batch:
    timeout: 200ms
  memory_limiter:
    limit_mib: 100
exporters:
  otlphttp/backend:
    endpoint: https://backend.example:4318
    headers:
      authorization: ${env:TOKEN}
extensions:
  health_check:
service:
  extensions: [health_check]
  pipelines:
    traces:
      receivers: [otlp]
      processors: [memory_limiter, batch]
      exporters: [otlphttp/backend]
"""
REPORTED = """\
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:4317
        transport: tcp
        max_recv_msg_size_mib: 4
      http: null
processors:
  batch:
    timeout: 0.2s
    send_batch_size: 8192
  memory_limiter:
    limit_mib: 100
exporters:
  otlp_http/backend:
    endpoint: https://backend.example:4318/
    headers:
      authorization: "[REDACTED]"
    sending_queue: {enabled: true}
  nop: {}
extensions:
  health_check:
    endpoint: localhost:13133
  opamp:
    server: {}
service:
  extensions: [health_check, opamp]
  pipelines:
    traces:
      receivers: [otlp]
      processors: [memory_limiter, batch]
      exporters: [otlp_http/backend]
    logs/own:
      receivers: [otlp]
      exporters: [nop]
"""


def payload(text: str = SENT) -> Payload:
    return Payload.of([ConfigObject(COLLECTOR_OBJECT, COLLECTOR_CONTENT_TYPE, "", text.encode())])


def runs(reported: str, sent: str = SENT) -> bool:
    return contains(payload(sent), {"": reported.encode()})


def test_defaults_renamed_components_nulls_and_redacted_secrets_are_no_difference() -> None:
    assert runs(REPORTED)


def test_what_was_sent_contains_itself() -> None:
    assert runs(SENT)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("timeout: 0.2s", "timeout: 5s"),
        ("limit_mib: 100", "limit_mib: 200"),
        ("endpoint: 127.0.0.1:4317", "endpoint: 0.0.0.0:4317"),
        ("[memory_limiter, batch]", "[batch, memory_limiter]"),
        ("[memory_limiter, batch]", "[batch]"),
        ("exporters: [otlp_http/backend]", "exporters: [nop]"),
        ("exporters: [otlp_http/backend]", "exporters: [otlp_http/backend, nop]"),
        ("    traces:\n", "    traces/other:\n"),
        ("  otlp_http/backend:\n", "  otlp_http/another:\n"),
    ],
    ids=["a duration", "a number", "an address", "order", "one less", "another", "one more", "pipeline", "component"],
)
def test_what_the_agent_runs_otherwise_is_seen(was: str, now: str) -> None:
    assert was in REPORTED
    assert not runs(REPORTED.replace(was, now))


@pytest.mark.parametrize(
    ("sent", "reported"),
    [
        ("200ms", "0.2s"),
        ("200ms", "200ms"),
        ("1h30m", "5400s"),
        ("1_000", "1000"),
        ("4", "4.0"),
        ("TRUE", "true"),
        ("https://a.example", "https://a.example/"),
        ("${env:TIMEOUT}", "13s"),
        ("$TIMEOUT", "13s"),
        ("13s", "[REDACTED]"),
        ("null", "5s"),
        ("5s", "null"),
        ("nan", "nan"),
        ("inf", "inf"),
        (".inf", ".inf"),
        ("10", "ten"),
    ],
)
def test_values_that_mean_the_same_or_cannot_be_compared_agree(sent: str, reported: str) -> None:
    assert runs(SENT.replace("200ms", f"'{reported}'"), SENT.replace("200ms", f"'{sent}'"))


def test_the_objects_of_a_report_are_merged_by_name_the_unnamed_one_last() -> None:
    objects = {
        "b": SENT.replace("200ms", "1s").encode(),
        "a": b"receivers: {otlp: {protocols: {grpc: {endpoint: elsewhere}}}}\n",
        "": b"processors: {batch: {timeout: 200ms}}\n",
    }
    assert contains(payload(), objects)


def test_of_payloads_that_are_no_collector_configuration_only_the_agent_knows() -> None:
    other = Payload.of([ConfigObject("agent.json", "application/json", "", b"{}")])
    assert contains(other, {"": b"anything"})
    two = Payload.of([payload().objects[0], ConfigObject("extra.json", "application/json", "", b"{}")])
    assert contains(two, {"": b"anything"})


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"\x00\xff\xfe",
        b"just a text",
        b"[1, 2, 3]",
        b"receivers: [unclosed",
        b"receivers: 5\nservice: {pipelines: [a, b]}\n",
        b"service: {pipelines: {traces: {receivers: otlp, processors: {a: b}}}}",
        b"a: &a [*a]\n",
        b"[" * 50_000,
        b"{a: " * 50_000,
        b"x: &x [1,2,3]\n" + b"".join(b"y%d: [*x,*x,*x]\n" % n for n in range(1_000)),
        "receivers: {ü: ß}\n".encode("utf-16"),
        b"a" * (2 << 20),
    ],
    ids=range(13),
)
def test_a_report_that_is_garbage_contains_nothing_and_spoils_no_other_object(hostile: bytes) -> None:
    assert contains(payload(), {"": hostile}) is False
    assert contains(payload(), {"": SENT.encode(), "hostile": hostile}) is True


def test_a_report_without_objects_contains_nothing() -> None:
    assert not contains(payload(), {})


def test_a_long_text_is_compared_in_time_that_grows_with_its_length() -> None:
    """A search for durations in it would take hours, and hold the whole process."""
    long = SENT.replace("4317", "1" * 900_000 + "x")
    assert long != SENT
    assert not contains(payload(), {"": long.encode()})
