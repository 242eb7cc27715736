"""The samples that people start from, with the mistakes that they contain: each is named where it stands, and what was
meant is valid; in every way in which YAML and JSON write a text.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from gitsync.collector.judge import judge_files
from gitsync.collector.script import check_script
from gitsync.diagnostics import Diagnostic, Severity
from tests.support.compiling import catalog

BUILD = catalog().build("contrib", ["0.149.0", "0.159.0"])


def judged(text: str, name: str = "collector.yaml") -> tuple[Diagnostic, ...]:
    """What is found in a Collector file, for both versions."""
    return judge_files([(name, text.encode())], BUILD).diagnostics


def errors(text: str, name: str = "collector.yaml") -> list[Diagnostic]:
    return [one for one in judged(text, name) if one.severity is Severity.ERROR]


def place_of(text: str, token: str) -> tuple[int, int]:
    """Line and column of the first time that a token stands in a file."""
    before = text[: text.index(token)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def document(processors: str, *, order: str = "[transform]") -> str:
    """A whole configuration around processors that are written with two spaces in front."""
    return f"""\
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "0.0.0.0:4317"}}
      http: {{endpoint: "0.0.0.0:4318"}}
processors:
{processors}
exporters:
  otlp_grpc:
    endpoint: backend.example.com:4317
service:
  pipelines:
    traces:
      receivers: [otlp]
      processors: {order}
      exporters: [otlp_grpc]
"""


@dataclass(frozen=True)
class Mistake:
    """A statement as it was written, the token that is wrong, what is said of it, and what was meant."""

    wrong: str
    token: str
    code: str
    message: str
    hint: str
    right: str


MISTAKES = {
    "drop() as a function": Mistake(
        'drop() where name == "/healthz"',
        "drop",
        "GS1040",
        'there is no function "drop"',
        "the filter processor drops what its conditions match",
        'set(attributes["dropped"], true) where name == "/healthz"',
    ),
    "duration as a path of spans": Mistake(
        'set(status.message, "timeout_exceeded") where duration > Duration("3s")',
        "duration",
        "GS1023",
        'there is no path "span.duration"',
        "write span.end_time - span.start_time",
        'set(status.message, "timeout_exceeded") where end_time - start_time > Duration("3s")',
    ),
    "a converter as a statement": Mistake(
        'SHA256(attributes["user.id"]) where resource.attributes["env"] == "prod"',
        "SHA256",
        "GS1012",
        '"SHA256" gives a value',
        "set(target, …)",
        'set(attributes["user.id"], SHA256(attributes["user.id"])) where resource.attributes["env"] == "prod"',
    ),
}
HEAD = "  transform:\n    trace_statements:\n      - context: span\n        statements:\n          - "
IN_LINES = "\n              where "
YAML_STYLES: dict[str, Callable[[str], str]] = {
    "plain": lambda text: f"{HEAD}{text}",
    "single quotes": lambda text: f"{HEAD}'{text}'",
    "double quotes": lambda text: f"{HEAD}{json.dumps(text)}",
    "single quotes on two lines": lambda text: f"{HEAD}'{text.replace(' where ', IN_LINES)}'",
    "literal": lambda text: f"{HEAD}|\n            {text.replace(' where ', IN_LINES)}",
    "literal with a word about its indentation": lambda text: f"{HEAD}|2-\n            {text}\n",
    "folded": lambda text: f"{HEAD}>\n            {text.replace(' where ', IN_LINES.replace('  where', 'where'))}",
    "folded and stripped": lambda text: f"{HEAD}>-\n\n            {text}\n",
    "with an anchor and a tag": lambda text: f"{HEAD}&one !!str |\n            {text}",
    "behind other statements": lambda text: f'{HEAD}set(kind, 1)\n          - set(name, "x")\n          - {text}',
    "in a flow list": lambda text: (
        f"  transform: {{trace_statements: [{{context: span, statements: [{json.dumps(text)}]}}]}}"
    ),
}


def as_json(text: str, indent: int | None) -> str:
    """The same configuration as a JSON file."""
    group = {"context": "span", "statements": ["set(kind, 1)", text]}
    whole: dict[str, Any] = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "0.0.0.0:4317"}}}},
        "processors": {"transform": {"trace_statements": [group]}},
        "exporters": {"otlp_grpc": {"endpoint": "backend.example.com:4317"}},
        "service": {
            "pipelines": {"traces": {"receivers": ["otlp"], "processors": ["transform"], "exporters": ["otlp_grpc"]}}
        },
    }
    return json.dumps(whole, indent=indent)


def assert_names(found: list[Diagnostic], mistake: Mistake, place: tuple[int, int]) -> None:
    (one,) = found
    assert (one.line, one.column) == place
    assert one.code == mistake.code
    assert mistake.message in one.message
    assert mistake.hint in one.hint


@pytest.mark.parametrize("style", YAML_STYLES)
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_statement_is_named_at_its_token_however_yaml_writes_it(name: str, style: str) -> None:
    mistake = MISTAKES[name]
    text = document(YAML_STYLES[style](mistake.wrong))
    assert_names(errors(text), mistake, place_of(text, mistake.token))
    crlf = text.replace("\n", "\r\n")
    assert_names(errors(crlf), mistake, place_of(text, mistake.token))
    assert judged(document(YAML_STYLES[style](mistake.right))) == ()


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_json_file_is_named_at_its_token(name: str, indent: int | None) -> None:
    mistake = MISTAKES[name]
    text = as_json(mistake.wrong, indent)
    assert_names(errors(text, "collector.json"), mistake, place_of(text, mistake.token))
    assert judged(as_json(mistake.right, indent), "collector.json") == ()


@pytest.mark.parametrize("style", ["plain", "literal", "double quotes"])
def test_a_list_of_statements_without_a_context_names_the_path_that_lacks_one(style: str) -> None:
    def flat(text: str) -> str:
        written = YAML_STYLES[style](text).replace(HEAD, "  transform:\n    trace_statements:\n      - ")
        return document(written)

    text = flat('drop() where name == "/healthz"')
    function, path = errors(text)
    assert (function.code, function.line, function.column) == ("GS1040", *place_of(text, "drop"))
    assert (path.code, path.line, path.column) == ("GS1030", *place_of(text, "name =="))
    assert path.hint == "write span.name"
    text = flat('set(span.status.message, "timeout_exceeded") where duration > Duration("3s")')
    (found,) = errors(text)
    assert (found.code, found.line, found.column) == ("GS1021", *place_of(text, "duration"))
    assert found.hint == "a span has no duration: write span.end_time - span.start_time"
    right = 'set(span.status.message, "timeout_exceeded") where span.end_time - span.start_time > Duration("3s")'
    assert judged(flat(right)) == ()


def test_what_drop_was_meant_to_do_is_valid_in_the_filter_processor() -> None:
    old = "  filter:\n    error_mode: ignore\n    traces:\n      span:\n        - 'name == \"/healthz\"'"
    assert judged(document(old, order="[filter]")) == ()
    new = "  filter:\n    trace_conditions:\n      - context: span\n        conditions: ['name == \"/healthz\"']"
    only_new = judge_files([("c.yaml", document(new, order="[filter]").encode())], catalog().build(None, ["0.159.0"]))
    assert only_new.diagnostics == ()


def test_statements_under_traces_are_sent_to_trace_statements() -> None:
    text = document(
        "  transform:\n    error_mode: ignore\n    traces:\n"
        '      - delete_key(span.attributes, "http.request.header.cookie")'
    )
    (found,) = errors(text)
    assert (found.code, found.line, found.column) == ("GS0231", *place_of(text, "traces:"))
    assert found.message == '"traces" is not a setting of "transform"'
    assert found.hint == 'did you mean "trace_statements"?'
    assert judged(text.replace("    traces:\n      - d", "    trace_statements:\n      - d")) == ()


ADDRESS = "  telemetry:\n    metrics:\n      address: 0.0.0.0:8888\n  pipelines:"
READERS = """\
  telemetry:
    metrics:
      readers:
        - pull:
            exporter:
              prometheus: {host: 0.0.0.0, port: 8888}
  pipelines:"""


def test_the_address_of_the_own_metrics_is_sent_to_a_reader() -> None:
    plain = document("  batch: {}", order="[batch]")
    text = plain.replace("  pipelines:", ADDRESS)
    (found,) = errors(text)
    assert (found.code, found.line, found.column) == ("GS0255", *place_of(text, "address: 0.0.0.0"))
    assert '"service::telemetry::metrics::address"' in found.message
    assert "{readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]}" in found.hint
    assert judged(plain.replace("  pipelines:", READERS)) == ()


def test_all_mistakes_of_one_file_are_said_at_once() -> None:
    text = document(
        "  transform:\n    error_mode: ignore\n    traces: []\n    trace_statements:\n      - context: span\n"
        '        statements:\n          - drop() where name == "/healthz"\n          - |\n'
        '            set(status.message, "timeout_exceeded")\n              where duration > Duration("3s")\n'
    ).replace("  pipelines:", ADDRESS)
    assert [one.code for one in errors(text)] == ["GS0231", "GS1040", "GS1023", "GS0255"]


FIRST = """\
receivers:
  otlp:
    protocols:
      grpc: {endpoint: 0.0.0.0:4317}
      http: {endpoint: 0.0.0.0:4318}
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 512, spike_limit_mib: 128}
  batch: {timeout: 10s, send_batch_size: 1024}
  transform:
    error_mode: ignore
    trace_statements:
      - context: span
        statements:
          - set(attributes["user.id"], SHA256(attributes["user.id"])) where resource.attributes["env"] == "prod"
          - delete_key(attributes, "http.request.header.cookie")
          - delete_key(attributes, "http.request.header.authorization")
          - set(status.message, "timeout_exceeded") where end_time - start_time > Duration("3s")
  tail_sampling:
    decision_wait: 10s
    num_traces: 100000
    policies:
      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
      - {name: slow, type: latency, latency: {threshold_ms: 1000}}
      - {name: some, type: probabilistic, probabilistic: {sampling_percentage: 10}}
exporters:
  otlp_grpc/primary:
    endpoint: primary.example.com:4317
    tls: {ca_file: /etc/otel/ca.crt, cert_file: /etc/otel/tls.crt, key_file: /etc/otel/tls.key}
    retry_on_failure: {enabled: true, initial_interval: 1s, max_interval: 30s}
    sending_queue: {enabled: true, num_consumers: 10, queue_size: 5000}
  otlp_grpc/backup:
    endpoint: backup.example.com:4317
service:
  pipelines:
    traces:
      receivers: [otlp]
      processors: [memory_limiter, batch, transform, tail_sampling]
      exporters: [otlp_grpc/primary, otlp_grpc/backup]
"""


def test_the_sample_configuration_in_its_corrected_form_is_valid() -> None:
    assert judged(FIRST) == ()


def test_the_old_names_of_the_sample_are_warnings_at_their_places() -> None:
    old = FIRST.replace("otlp_grpc", "otlp")
    found = judged(old)
    assert [(one.severity, one.code, one.line) for one in found] == [
        (Severity.WARNING, "GS0238", old[: old.index(f"  otlp/{name}:")].count("\n") + 1)
        for name in ("primary", "backup")
    ]
    assert found[0].hint == 'write "otlp_grpc/primary", here and where it is used'


DURATION = 'write numbers with units: "10s", "1h30m"; units are ns, us, ms, s, m, h'
VALUES = {
    "check_interval: 1s": ("check_interval: soon", "soon", "GS0235", DURATION),
    "limit_mib: 512": ("limit_mib: lots", "lots", "GS0233", ""),
    "spike_limit_mib: 128": ("spike_limit_mib: 600", "600", "GS0261", ""),
    "send_batch_size: 1024": ("send_batch_size: -1", "-1", "GS0237", ""),
    "timeout: 10s": ("timeout: 10 s", "10 s", "GS0235", 'write "10s"'),
    "num_consumers: 10": ("num_consumers: 0", "0,", "GS0261", ""),
    "num_traces: 100000": ("num_trace: 100000", "num_trace", "GS0231", 'did you mean "num_traces"?'),
    "[ERROR]": ("[BROKEN]", "BROKEN", "GS0280", "known: OK, ERROR, UNSET"),
    "[otlp_grpc/primary,": ("[otlp_grpc/primry,", "otlp_grpc/primry", "GS0212", 'did you mean "otlp_grpc/primary"?'),
}


@pytest.mark.parametrize("right", VALUES)
def test_a_slip_in_a_value_of_the_sample_is_found_where_it_stands(right: str) -> None:
    wrong, token, code, hint = VALUES[right]
    text = FIRST.replace(right, wrong)
    line, column = place_of(text, wrong)
    column += (wrong + ",").index(token)
    (found,) = judged(text)
    assert (found.line, found.column, found.code, found.hint) == (line, column, code, hint)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_file_of_statements_is_checked_like_those_inside_of_a_configuration(name: str) -> None:
    mistake = MISTAKES[name]
    text = f"# why\n{mistake.wrong.replace(' where ', IN_LINES)}\n".replace(" name", " span.name")
    text = text.replace("(status", "(span.status").replace(" duration", " span.duration").replace("(attr", "(span.attr")
    found = [one for one in check_script("a.ottl", text, BUILD) if one.severity is Severity.ERROR]
    token = "span.duration" if mistake.token == "duration" else mistake.token
    assert_names(found, mistake, place_of(text, token))
