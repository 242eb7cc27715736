"""Settings against their schema. What is refused and what passes was measured with confmap v1.65."""

import pytest

from gitsync.collector.document import Mapping, Origin, parse_mapping
from gitsync.collector.findings import Findings
from gitsync.collector.settings import Settings
from gitsync.collector.walk import Visited, walk
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.worker.schemas import load_catalog
from tests.support.collectorcatalog import newest


def walked(component: str, text: str) -> tuple[tuple[Diagnostic, ...], list[Visited]]:
    """Findings and visits for the settings of one component, written from line 1."""
    kind, _, name = component.partition("/")
    schema = newest().schema(kind, name)
    assert schema is not None
    node, problems = parse_mapping("c.yaml", text.encode())
    assert isinstance(node, Mapping), problems
    findings = Findings("c.yaml")
    settings = Settings(component, name, Origin("c.yaml", 0, 0), node, (), schema.defaults, newest().number)
    visited = walk(settings, schema, findings)
    return findings.done(), visited


def found(component: str, text: str) -> tuple[Diagnostic, ...]:
    return walked(component, text)[0]


def codes(component: str, text: str) -> list[str]:
    return [one.code for one in found(component, text)]


def only(component: str, text: str) -> Diagnostic:
    (one,) = found(component, text)
    return one


@pytest.mark.parametrize(
    ("component", "text"),
    [
        ("processor/batch", ""),
        ("processor/batch", "{timeout: 10s, send_batch_size: 5, metadata_keys: [a, b]}"),
        ("processor/batch", "{timeout: ~, send_batch_size: , metadata_keys: ~}"),
        ("processor/batch", "timeout: 0"),
        ("processor/batch", "timeout: ${env:T}"),
        ("processor/batch", "timeout: ${env:N}s"),
        ("processor/batch", "timeout: 1.${env:A}${env:UNIT}"),
        ("exporter/otlp_grpc", "sending_queue: {batch: {enabled: false, mode: not-checked-then}}"),
        ("processor/batch", "send_batch_size: ${env:N}"),
        ("processor/batch", "send_batch_size: 8e3"),
        ("processor/batch", "metadata_keys: a,b"),
        ("processor/batch", "metadata_keys: ${env:KEYS}"),
        ("processor/batch", "metadata_keys: [~]"),
        ("receiver/otlp", "protocols: {grpc: , http: {}}"),
        ("receiver/otlp", "protocols: {grpc: {enabled: false}, http: {enabled: True}}"),
        ("receiver/otlp", "protocols: ${file:protocols.yaml}"),
        ("receiver/otlp", "protocols: {grpc: {enabled: '${env:ON}', tls: {reload_interval: 1h}}}"),
        ("receiver/otlp", "protocols: {http: {response_headers: {a: b}}}"),
        ("receiver/otlp", "protocols: {http: {response_headers: [{name: a, value: b}]}}"),
        ("exporter/otlp_grpc", "{compression: gzip, headers: {a: b, c: ~, d: '$$x ${env:Y}'}}"),
        ("exporter/otlp_grpc", "{compression: '', auth: {authenticator: oauth2client/x}}"),
        (
            "exporter/otlp_grpc",
            "{sending_queue: {storage: file_storage, batch: {}}, retry_on_failure: {enabled: false}}",
        ),
        ("exporter/otlp_grpc", "auth: {authenticator: '${env:AUTH}'}"),
        ("exporter/otlp_grpc", "auth: {authenticator: 'x/${env:AUTH}'}"),
        ("receiver/odd", "{mode: IGNORE, level: 1, size: 10, ids: [a, b/c], numbers: [1, 2.5]}"),
        ("receiver/odd", "{any: {a: [1, 2024-01-31]}, free: {x: 1}, open: {a: true, b: 1}, nothing: {}}"),
        ("receiver/odd", "{size: {a: b}, host: {}}"),
        ("receiver/odd", "{size: [1], host: x}"),
        ("receiver/odd", "root: {name: a, children: [{name: b}, ~], by_name: {x: ~, y: {name: c}}}"),
        ("receiver/odd", "custom: {count: 1, list: [{name: a}], more: 1}"),
        ("receiver/odd", "size: 2024-01-31"),
        ("receiver/odd", "config: {scrape_configs: [{job_name: 2024-01-31}]}"),
        ("receiver/odd", "operators: [{type: json_parser, parse_ints: true}, {type: who, a: 1}, {a: 1}, {type: }]"),
        ("receiver/odd", "{sizer: {}, labels: {a: b}}"),
        ("receiver/odd", "{labels: [{name: a, value: b}]}"),
        ("receiver/odd", "config: {scrape_configs: [{job_name: 5, params: {a: [1, true]}}]}"),
    ],
)
def test_what_the_collector_takes_is_not_reported(component: str, text: str) -> None:
    assert found(component, text) == ()


@pytest.mark.parametrize(
    ("component", "text", "wanted"),
    [
        ("processor/batch", "send_batch_size: '5'", "a whole number, not text"),
        ("processor/batch", "send_batch_size: x", "a whole number, not text"),
        ("processor/batch", "send_batch_size: true", "a whole number, not true or false"),
        ("processor/batch", "send_batch_size: 1${env:N}", "a whole number, not text"),
        ("processor/batch", "send_batch_size: [1]", "a whole number, not a list"),
        ("processor/batch", "timeout: true", "a duration, not true or false"),
        ("processor/batch", "timeout: {a: 1}", "a duration, not a map"),
        ("processor/batch", "metadata_keys: 1", "a list, not a number"),
        ("processor/batch", "metadata_keys: {}", "a list, not a map"),
        ("processor/batch", "metadata_keys: [1]", "text, not a number"),
        ("processor/batch", "metadata_keys: [[a]]", "text, not a list"),
        ("receiver/otlp", "protocols: []", "a map, not a list"),
        ("receiver/otlp", "protocols: {grpc: true}", "a map, not true or false"),
        ("receiver/otlp", "protocols: {grpc: ''}", "a map, not text"),
        ("receiver/otlp", "protocols: {grpc: {endpoint: 4317}}", "text, not a number"),
        ("receiver/otlp", "protocols: {grpc: {endpoint: true}}", "text, not true or false"),
        ("receiver/otlp", "protocols: {grpc: {endpoint: {}}}", "text, not a map"),
        ("receiver/otlp", "protocols: {grpc: {transport: [tcp]}}", "text, not a list"),
        ("receiver/otlp", "protocols: {http: {response_headers: [x]}}", "a map, not text"),
        ("receiver/otlp", "protocols: {http: {response_headers: x}}", "a map, not text"),
        ("receiver/otlp", "protocols: {http: {response_headers: [{name: a, value: 1}]}}", "text, not a number"),
        ("exporter/otlp_grpc", "headers: {a: 1}", "text, not a number"),
        ("receiver/otlp", "protocols: {http: {response_headers: 2024-01-31}}", "a map, not a date"),
        ("exporter/otlp_grpc", "headers: [{name: a, value: b}]", "a map, not a list"),
        ("exporter/otlp_grpc", "headers: {a: {b: c}}", "text, not a map"),
        ("exporter/otlp_grpc", "tls: {insecure: 'true'}", "true or false, not text"),
        ("exporter/otlp_grpc", "tls: {insecure: yes}", "true or false, not text"),
        ("exporter/otlp_grpc", "tls: {insecure: 1}", "true or false, not a number"),
        ("exporter/otlp_grpc", "tls: {ca_file: 2024-01-31}", "text, not a date"),
        ("exporter/otlp_grpc", "tls: {ca_file: 2024-01-31 10:00:00}", "text, not a date"),
        ("exporter/otlp_grpc", "tls: {ca_file: 2024-1-3T10:00:00Z}", "text, not a date"),
        ("exporter/otlp_grpc", "retry_on_failure: {multiplier: '2'}", "a number, not text"),
        ("exporter/otlp_grpc", "auth: {authenticator: 1}", "a component id, not a number"),
        ("exporter/otlp_grpc", "auth: {authenticator: [a]}", "a component id, not a list"),
        ("receiver/odd", "ids: a", "a list, not text"),
        ("receiver/odd", "secrets: a", "a list, not text"),
        ("receiver/odd", "numbers: 1", "a list, not a number"),
        ("receiver/odd", "groups: {name: a}", "a list, not a map"),
        ("receiver/odd", "level: true", "text, not true or false"),
        ("receiver/odd", "level: [info]", "text, not a list"),
        ("receiver/odd", "mode: 1", "text, not a number"),
        ("receiver/odd", "host: 1", "text, not a number"),
        ("receiver/odd", "sizer: {a: 1}", "text, not a map"),
        ("receiver/odd", "labels: {a: 1}", "text, not a number"),
        ("receiver/odd", "labels: [{name: 1, value: b}]", "text, not a number"),
        ("receiver/odd", "operators: [{type: 1}]", "text, not a number"),
        ("receiver/odd", "operators: [{type: []}]", "text, not a list"),
        ("receiver/odd", "operators: [json_parser]", "a map, not text"),
        ("receiver/odd", "custom: {count: x}", "a whole number, not text"),
        ("receiver/odd", "custom: {list: [text]}", "a map, not text"),
        ("receiver/odd", "mode: 2024-01-31", "text, not a date"),
        ("processor/batch", "metadata_keys: 2024-01-31", "a list, not a date"),
        ("processor/batch", "timeout: 2024-01-31", "a duration, not a date"),
        ("receiver/odd", "config: {scrape_configs: [{params: {a: b}}]}", "a list, not text"),
        ("receiver/odd", "config: {scrape_configs: [{honor_labels: yes}]}", "true or false, not text"),
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error(component: str, text: str, wanted: str) -> None:
    one = only(component, text)
    assert (one.code, one.severity) == ("GS0233", Severity.ERROR)
    assert one.message.endswith(f"must be {wanted}")


@pytest.mark.parametrize(
    ("component", "text", "hint"),
    [
        ("processor/batch", "send_batch_size: '5'", "remove the quotes"),
        ("processor/batch", "send_batch_size: x${env:N}", "text around a reference"),
        ("processor/batch", "timeout: true", 'such as "10s"'),
        ("processor/batch", "metadata_keys: 1", 'write ["1"]'),
        ("receiver/otlp", "protocols: [{grpc: }]", 'remove the "- "'),
        ("receiver/otlp", "protocols: {grpc: {endpoint: 4317}}", 'put it in double quotes: "4317"'),
        ("exporter/otlp_grpc", "tls: {insecure: yes}", "write true"),
        ("exporter/otlp_grpc", "tls: {insecure: 'off'}", "write false"),
        ("receiver/odd", "groups: {name: a}", 'write "- "'),
        ("receiver/otlp", "protocols: grpc", 'write "key: value" lines'),
    ],
)
def test_a_wrong_kind_comes_with_its_cure(component: str, text: str, hint: str) -> None:
    assert hint in only(component, text).hint


def test_a_secret_is_never_repeated() -> None:
    one = only("exporter/otlp_grpc", "tls: {key_pem: 123456}")
    assert "123456" not in one.message + one.hint


@pytest.mark.parametrize(
    "text", ["2024-13-45", "24-01-01", "2024-02-30", "2024-01-31T10:00:00", "'2024-01-31'", "2024-01"]
)
def test_what_only_looks_like_a_date_is_text(text: str) -> None:
    assert found("exporter/otlp_grpc", f"tls: {{ca_file: {text}}}") == ()


@pytest.mark.parametrize(
    ("component", "text", "code", "place", "hint"),
    [
        ("processor/batch", "timout: 5s", "GS0231", (1, 1), 'did you mean "timeout"?'),
        ("processor/batch", "Timeout: 5s", "GS0231", (1, 1), 'did you mean "timeout"?'),
        ("processor/batch", "sendBatchSize: 5", "GS0231", (1, 1), 'did you mean "send_batch_size"?'),
        ("processor/batch", "zzz: 5", "GS0231", (1, 1), "known: metadata_keys, send_batch_size, timeout"),
        (
            "receiver/otlp",
            "{protocols: {grpc: {}}, \nendpoint: x}",
            "GS0232",
            (2, 1),
            '"protocols::grpc" or "protocols::http"',
        ),
        ("receiver/otlp", "protocols:\n  endpoint: x", "GS0232", (2, 3), 'under "grpc" or "http"'),
        (
            "receiver/otlp",
            "protocols:\n  grpc:\n    http:",
            "GS0232",
            (3, 5),
            'directly under "protocols", beside "grpc"',
        ),
        ("receiver/otlp", "protocols:\n  grpc:\n    cert_file: a", "GS0232", (3, 5), 'it belongs under "tls"'),
        ("exporter/otlp_grpc", "insecure: true", "GS0232", (1, 1), 'it belongs under "tls"'),
        ("exporter/otlp_grpc", "tls: {min_size: 1}", "GS0232", (1, 7), '"sending_queue::batch" of "otlp_grpc"'),
        ("exporter/otlp_grpc", "sending_queue: {timeout: 5s}", "GS0232", (1, 17), 'directly under "otlp_grpc"'),
        ("receiver/otlp", "protocols: {http: {response_headers: [{name: a, val: b}]}}", "GS0231", (1, 49), "value"),
        ("exporter/otlp_grpc", "tls: {enabled: true}", "GS0231", (1, 7), ""),
        ("receiver/odd", "nothing: {zz: 1}", "GS0231", (1, 11), "no settings"),
        ("receiver/odd", "root: {children: [{nam: x}]}", "GS0231", (1, 20), 'did you mean "name"?'),
    ],
)
def test_an_unknown_key_is_an_error_with_the_right_name_or_place(
    component: str, text: str, code: str, place: tuple[int, int], hint: str
) -> None:
    one = only(component, text)
    assert (one.code, one.severity, (one.line, one.column)) == (code, Severity.ERROR, place)
    assert hint in one.hint


@pytest.mark.parametrize("text", ["root: 2024-01-31", "free: {}\nhost: 2024-01-31", "ids: [2024-01-31]"])
def test_a_date_where_a_map_could_stand_is_silently_ignored_by_the_collector(text: str) -> None:
    one = only("receiver/odd", text)
    assert (one.code, one.severity) == ("GS0242", Severity.WARNING)


def test_keys_of_and_below_a_part_that_decodes_itself_are_warned_about() -> None:
    one = only("receiver/odd", "custom: {cuont: 1, more: 1}")
    assert (one.severity, one.column, one.hint) == (Severity.WARNING, 10, 'did you mean "count"?')
    one = only("receiver/odd", "custom: {list: [{nam: x}]}")
    assert (one.severity, one.hint) == (Severity.WARNING, 'did you mean "name"?')


def test_unknown_keys_of_log_operators_are_ignored_by_the_collector_and_only_warned_about() -> None:
    one = only("receiver/odd", "operators: [{type: regex_parser, regexp: x, cache: {size: 5}}]")
    assert (one.code, one.severity, one.hint) == ("GS0231", Severity.WARNING, 'did you mean "regex"?')
    assert codes("receiver/odd", "operators: [{type: regex_parser, cache: {size: x}}]") == ["GS0233"]


def test_a_struct_may_ignore_keys_though_those_inside_do_not() -> None:
    one = only("receiver/odd", "deaf: {zz: 1}")
    assert (one.code, one.severity) == ("GS0231", Severity.WARNING)
    assert only("receiver/odd", "deaf: {scrapers: {zz: 1}}").severity is Severity.ERROR


def test_an_empty_operator_has_no_type() -> None:
    one = only("receiver/odd", "operators:\n  - {type: json_parser}\n  -\n")
    assert (one.code, one.line) == ("GS0260", 3)


@pytest.mark.parametrize("value", ["yes", "1", "~", "[a]", "x${env:Y}"])
def test_the_switch_of_an_optional_is_read_strictly(value: str) -> None:
    one = only("receiver/otlp", f"protocols:\n  grpc:\n    enabled: {value}")
    assert (one.code, one.line, one.column) == ("GS0233", 3, 14)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10", '"10s"'),
        ("''", "units"),
        ("1d", '"24h"'),
        ("2 weeks", '"336h"'),
        ("5 s", '"5s"'),
        ("1.5min", '"1.5m"'),
        ("500 millis", '"500ms"'),
        ("soon", "units"),
        ("x${env:N}s", "units"),
    ],
)
def test_a_text_that_is_no_duration_is_an_error(text: str, hint: str) -> None:
    quote = "" if text.startswith("'") else "'"
    one = only("processor/batch", f"timeout: {quote}{text}{quote}")
    assert (one.code, one.severity) == ("GS0235", Severity.ERROR)
    assert hint in one.hint


@pytest.mark.parametrize(
    ("value", "means", "hint"),
    [
        ("10", "10ns", 'write "10s"'),
        ("1.5", "1ns", '"1.5s"'),
        ("5000000000", "5s", 'write "5s"'),
        ("-3", "-3ns", "-3s"),
    ],
)
def test_a_bare_number_of_nanoseconds_is_a_warning(value: str, means: str, hint: str) -> None:
    one = only("processor/batch", f"timeout: {value}")
    assert (one.code, one.severity) == ("GS0236", Severity.WARNING)
    assert one.message.endswith(f"means {means}")
    assert hint in one.hint


@pytest.mark.parametrize(
    ("component", "text", "code", "severity"),
    [
        ("processor/batch", "send_batch_size: -1", "GS0237", Severity.ERROR),
        ("processor/batch", "send_batch_size: -0.5", "GS0237", Severity.ERROR),
        ("processor/batch", "send_batch_size: 1.5", "GS0242", Severity.WARNING),
        ("processor/batch", "send_batch_size: 5000000000", "GS0242", Severity.WARNING),
        ("processor/batch", "send_batch_size: .inf", "GS0242", Severity.WARNING),
        ("processor/batch", "timeout: .nan", "GS0242", Severity.WARNING),
        ("receiver/odd", "small: 300", "GS0242", Severity.WARNING),
        ("receiver/odd", "small: -300", "GS0242", Severity.WARNING),
        ("receiver/odd", "operators: [{type: regex_parser, cache: {size: 70000}}]", "GS0242", Severity.WARNING),
    ],
)
def test_numbers_wrap_and_lose_fractions_silently_but_may_not_be_negative(
    component: str, text: str, code: str, severity: Severity
) -> None:
    one = only(component, text)
    assert (one.code, one.severity) == (code, severity)


@pytest.mark.parametrize(
    ("component", "text", "hint"),
    [
        ("exporter/otlp_grpc", "compression: gzp", 'did you mean "gzip"?'),
        ("exporter/otlp_grpc", "compression: GZIP", 'did you mean "gzip"?'),
        ("exporter/otlp_grpc", "compression: brotli", "allowed: gzip, none, zstd"),
        ("exporter/otlp_grpc", "sending_queue: {batch: {mode: strict}}", "allowed: lax"),
        ("receiver/odd", "mode: Ignored", 'did you mean "ignore"?'),
        ("receiver/odd", "level: ''", "allowed: debug, info"),
    ],
)
def test_a_word_that_is_not_allowed_is_an_error(component: str, text: str, hint: str) -> None:
    one = only(component, text)
    assert (one.code, one.severity, one.hint) == ("GS0234", Severity.ERROR, hint)


@pytest.mark.parametrize("value", ["a b", "''", "a/", "1a"])
def test_a_bad_id_as_a_value_is_an_error(value: str) -> None:
    written = value if value.startswith("'") else f"'{value}'"
    assert codes("exporter/otlp_grpc", f"auth: {{authenticator: {written}}}") == ["GS0240"]
    assert codes("receiver/odd", f"ids: [ok, {written}]") == ["GS0240"]


def visits(component: str, text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.name, one.settings.path) for one in walked(component, text)[1]]


def test_every_place_with_a_known_type_is_visited() -> None:
    text = "protocols:\n  grpc:\n    tls: {cert_file: a}\n  http: {endpoint: x}\n"
    assert visits("receiver/otlp", text) == [
        ("otlpreceiver.Config", ()),
        ("otlpreceiver.Protocols", ("protocols",)),
        ("configgrpc.ServerConfig", ("protocols", "grpc")),
        ("configtls.ServerConfig", ("protocols", "grpc", "tls")),
        ("confighttp.ServerConfig", ("protocols", "http")),
    ]


def test_a_visit_has_the_settings_with_their_defaults_and_place() -> None:
    visited = walked("receiver/otlp", "protocols:\n  grpc:\n    tls: {cert_file: a}\n  http: {endpoint: x}\n")[1]
    grpc, http = visited[2].settings, visited[4].settings
    assert (grpc.text("endpoint"), http.text("endpoint")) == ("localhost:4317", "x")
    assert (grpc.origin.line, grpc.origin.column, grpc.component, grpc.id) == (2, 3, "receiver/otlp", "otlp")


def test_null_switches_an_optional_on_where_it_has_a_default() -> None:
    assert ("configgrpc.ServerConfig", ("protocols", "grpc")) in visits("receiver/otlp", "protocols: {grpc: }")
    assert visits("receiver/otlp", "protocols: {grpc: {tls: }}")[-1][0] == "configgrpc.ServerConfig"


def test_what_is_switched_off_or_may_be_is_read_but_not_visited() -> None:
    for value in ("false", "${env:ON}"):
        text = f"protocols: {{grpc: {{enabled: '{value}', tls: {{cert_file: 1}}}}}}".replace("'false'", "false")
        assert visits("receiver/otlp", text) == [
            ("otlpreceiver.Config", ()),
            ("otlpreceiver.Protocols", ("protocols",)),
        ]
        assert codes("receiver/otlp", text) == ["GS0233"]


def test_types_that_are_merged_into_a_struct_are_visited_with_it() -> None:
    assert visits("exporter/otlp_grpc", "endpoint: x") == [("otlpexporter.Config", ()), ("configgrpc.ClientConfig", ())]


def test_empty_items_and_variants_of_a_type_are_visited_by_its_one_name() -> None:
    assert visits("receiver/odd", "groups: [~, {name: a}]")[1:] == [
        ("tree.Node", ("groups", "0")),
        ("tree.Node", ("groups", "1")),
    ]
    assert visits("receiver/odd", "root: {by_name: {x: }}")[1:] == [
        ("tree.Node", ("root",)),
        ("tree.Node", ("root", "by_name", "x")),
    ]
    assert ("regex.Config", ("operators", "0")) in visits("receiver/odd", "operators: [{type: regex_parser}]")


def test_each_fault_is_reported_once_and_the_others_too() -> None:
    text = "timeout: 10\nsend_batch_size: x\nbogus: 1\nmetadata_keys: [1, a, true]\n"
    assert codes("processor/batch", text) == ["GS0236", "GS0233", "GS0231", "GS0233", "GS0233"]


def test_thousands_of_faults_are_reported_up_to_the_limit() -> None:
    text = "\n".join(f"bogus_key_number_{index}: 1" for index in range(5000))
    assert codes("exporter/otlp_grpc", text) == ["GS0231"] * 100 + ["GS0100"]


@pytest.mark.parametrize(
    ("component", "text", "codes_found"),
    [
        ("exporter/otlp_grpc", '{endpoint: "a:1", headers: {authorization: Bearer x}}', ["GS1101"]),
        ("exporter/otlp_grpc", '{endpoint: "a:1", headers: [{name: a, value: x}]}', []),
        ("exporter/otlp_grpc", '{endpoint: "a:1", headers: {x-scope-orgid: x}}', []),
        ("exporter/otlp_grpc", '{endpoint: "a:1", headers: {authorization: "${env:A}"}}', []),
        ("exporter/otlp_grpc", '{endpoint: "a:1", headers: {authorization: ""}}', []),
    ],
)
def test_a_secret_that_is_written_out_is_named_without_repeating_it(
    component: str, text: str, codes_found: list[str]
) -> None:
    known = load_catalog().build("contrib", ("0.159.0",)).newest
    schema = known.schema(*component.split("/"))
    assert schema is not None
    node, problems = parse_mapping("c.yaml", text.encode())
    assert isinstance(node, Mapping), problems
    findings = Findings("c.yaml")
    walk(Settings(component, "a", node.origin, node, (), schema.defaults, known.number), schema, findings)
    assert [one.code for one in findings.done()] == codes_found
    assert "Bearer" not in str(findings.done())
