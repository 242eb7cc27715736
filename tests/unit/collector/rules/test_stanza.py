"""Receivers of logs and their operators: what the Collector decodes and builds, and what it refuses."""

import pytest

from gitsync.collector.rules.stanza.fields import field_problem, glob_problem
from gitsync.collector.rules.stanza.inputs import CONSTRUCT, VALIDATE
from tests.support.rules import diagnostics, found, settings_of

BOTH = (VALIDATE, CONSTRUCT)
FILE = "include: [/var/log/*.log]\n"
DEFAULTS = {
    "fingerprint_size": 1000,
    "max_log_size": 1048576,
    "start_at": "end",
    "encoding": "utf-8",
    "max_concurrent_files": 1024,
}


def of_operator(operator: str) -> list[tuple[str, int, int]]:
    """Findings about one operator, written in flow style on line 2 from column 13: `operators: [<here>]`."""
    yaml = FILE + "operators: [" + operator + "]\n"
    return found(BOTH, settings_of("receiver/file_log", yaml, DEFAULTS))


RIGHT = [
    "{type: json_parser}",
    "{type: json_parser, if: 'body matches \"^{\"', parse_from: body, parse_to: attributes, on_error: send_quiet}",
    "{type: json_parser, timestamp: {parse_from: attributes.time, layout: '%Y-%m-%dT%H:%M:%S.%LZ'}}",
    "{type: json_parser, timestamp: {parse_from: attributes.t, layout_type: epoch, layout: s.ns}}",
    "{type: json_parser, timestamp: {parse_from: attributes.t, layout_type: gotime, layout: '2006-01-02 05.999'}}",
    "{type: json_parser, severity: {parse_from: attributes.level, mapping: {error: [4xx, {min: 500, max: 599}, 1]}}}",
    "{type: json_parser, trace: {trace_id: {parse_from: attributes.trace}}, scope_name: {parse_from: attributes.s}}",
    "{type: regex_parser, regex: '^(?P<level>\\w+) (?<message>.*)$'}",
    "{type: regex_parser, regex: '${env:PATTERN}'}",
    "{type: csv_parser, header: 'a,b'}",
    "{type: csv_parser, header_attribute: columns, delimiter: ';'}",
    "{type: csv_parser, header: 'a|b', header_delimiter: '|', delimiter: \"\\t\"}",
    "{type: key_value_parser, delimiter: ':', pair_delimiter: ','}",
    "{type: uri_parser}",
    "{type: syslog_parser, protocol: RFC5424, location: Europe/Berlin}",
    "{type: syslog_parser, protocol: rfc5424, non_transparent_framing_trailer: NUL}",
    "{type: container, format: crio, max_log_size: 2MiB}",
    "{type: container}",
    "{type: time_parser, parse_from: attributes.time, layout: '%d %b %Y', location: '${env:ZONE}'}",
    "{type: time_parser, parse_from: attributes.time, layout: '%H:%M %Z', time_zone_locations: {IST: Asia/Kolkata}}",
    "{type: severity_parser, parse_from: attributes.level, preset: none, mapping: {warn2: notice}}",
    "{type: trace_parser}",
    "{type: scope_name_parser, parse_from: attributes.logger}",
    "{type: add, field: attributes.env, value: prod}",
    "{type: add, field: 'resource[\"a.b\"]', value: 'EXPR(body.x + \"y\")'}",
    "{type: assign_keys, field: body, keys: [a, b]}",
    "{type: copy, from: body.a, to: attributes.b}",
    "{type: move, from: \"attributes['a.b'].c\", to: body}",
    "{type: remove, field: attributes}",
    "{type: retain, fields: [attributes.a, body.b]}",
    "{type: flatten, field: body}",
    "{type: unquote, field: body}",
    "{type: regex_replace, field: body, regex: 'a+', replace_with: b}",
    "{type: regex_replace, field: body, regex_name: ansi_control_sequences}",
    "{type: recombine, combine_field: body, is_first_entry: 'body matches \"^[^\\\\s]\"'}",
    "{type: filter, expr: 'body contains \"health\"', drop_ratio: 0.5}",
    "{type: noop}, {type: noop}, {type: noop, id: end}",
    "{type: router, routes: [{expr: 'body == 1', output: a}], default: b}, {type: noop, id: a}, {type: noop, id: b}",
    "{type: json_parser, output: last}, {type: noop}, {type: noop, id: last}",
    "{type: noop, output: json_parser1}, {type: json_parser}, {type: json_parser}",
    "{type: stdout}",
    "{type: file_output, path: /tmp/x}",
    "{type: '${env:KIND}', output: nowhere}",
]

WRONG = [
    ("{id: x}", [("GS0260", 2, 13)]),
    ("{type: json_praser}", [("GS0272", 2, 20)]),
    ("json_parser", [("GS0272", 2, 13)]),
    ("{type: json_parser, on_error: ignore}", [("GS0267", 2, 43)]),
    ("{type: json_parser, if: 'body = 1'}", [("GS0269", 2, 37)]),
    ("{type: json_parser, parse_from: message}", [("GS0267", 2, 45)]),
    ("{type: json_parser, parse_to: attribute}", [("GS0267", 2, 43)]),
    ("{type: json_parser, parse_to: body, body: attributes.b}", [("GS0265", 2, 43)]),
    ("{type: json_parser, timestamp: {layout: '%Y'}}", [("GS0260", 2, 33)]),
    ("{type: json_parser, timestamp: {parse_from: body.t}}", [("GS0260", 2, 33)]),
    ("{type: json_parser, timestamp: {parse_from: body.t, layout: 'yyyy-%Q'}}", [("GS0270", 2, 73)]),
    ("{type: json_parser, timestamp: {parse_from: body.t, layout: x, layout_type: unix}}", [("GS0267", 2, 89)]),
    ("{type: json_parser, timestamp: {parse_from: body.t, layout: m, layout_type: epoch}}", [("GS0270", 2, 73)]),
    ("{type: json_parser, severity: {mapping: {error: 1}}}", [("GS0260", 2, 33)]),
    ("{type: json_parser, severity: {parse_from: body.s, mapping: {error: 1.5}}}", [("GS0267", 2, 81)]),
    ("{type: json_parser, severity: {parse_from: body.s, mapping: {critical: x}}}", [("GS0287", 2, 74)]),
    ("{type: json_parser, trace: {span_id: {parse_from: x}}}", [("GS0267", 2, 63)]),
    ("{type: json_parser, parse_int: true}", [("GS0286", 2, 33)]),
    ("{type: regex_parser}", [("GS0260", 2, 13)]),
    ("{type: regex_parser, regex: '('}", [("GS0264", 2, 41)]),
    ("{type: regex_parser, regex: '(.*)'}", [("GS0264", 2, 41)]),
    ("{type: csv_parser}", [("GS0266", 2, 13)]),
    ("{type: csv_parser, header: 'a,b', header_attribute: c}", [("GS0265", 2, 47)]),
    ("{type: csv_parser, header: 'a,b', delimiter: ',,'}", [("GS0267", 2, 58)]),
    ("{type: csv_parser, header: 'ab'}", [("GS0274", 2, 40)]),
    ("{type: csv_parser, header: 'a,b', lazy_quotes: true, ignore_quotes: true}", [("GS0265", 2, 60)]),
    ("{type: key_value_parser, pair_delimiter: '='}", [("GS0274", 2, 54)]),
    ("{type: key_value_parser, delimiter: ''}", [("GS0260", 2, 49)]),
    ("{type: syslog_parser}", [("GS0260", 2, 13)]),
    ("{type: syslog_parser, protocol: rfc1234}", [("GS0267", 2, 45)]),
    ("{type: syslog_parser, protocol: rfc3164, location: Berlin}", [("GS0267", 2, 64)]),
    ("{type: syslog_parser, protocol: rfc3164, non_transparent_framing_trailer: LF}", [("GS0265", 2, 54)]),
    ("{type: syslog_parser, protocol: rfc5424, non_transparent_framing_trailer: CR}", [("GS0267", 2, 87)]),
    ("{type: container, format: podman}", [("GS0267", 2, 39)]),
    ("{type: container, max_log_size: 2MBytes}", [("GS0267", 2, 45)]),
    ("{type: time_parser, layout: '%Y'}", [("GS0260", 2, 13)]),
    ("{type: time_parser, parse_from: body, layout: '%Y', time_zone_locations: {X: UTC}}", [("GS0270", 2, 65)]),
    ("{type: severity_parser}", [("GS0260", 2, 13)]),
    ("{type: add, field: attributes}", [("GS0267", 2, 32)]),
    ("{type: add, value: 1}", [("GS0280", 2, 13)]),
    ("{type: add, field: body.a, value: 'EXPR(1 +)'}", [("GS0269", 2, 47)]),
    ("{type: assign_keys, field: body}", [("GS0271", 2, 13)]),
    ("{type: copy, from: body.a}", [("GS0260", 2, 13)]),
    ("{type: move, to: 'body[a]'}", [("GS0260", 2, 13), ("GS0267", 2, 30)]),
    ("{type: remove}", [("GS0260", 2, 13)]),
    ("{type: retain, fields: []}", [("GS0271", 2, 36)]),
    ("{type: retain, fields: [a]}", [("GS0267", 2, 37)]),
    ("{type: regex_replace, field: body}", [("GS0266", 2, 13)]),
    ("{type: regex_replace, field: body, regex: '[', replace_with: b}", [("GS0264", 2, 55)]),
    ("{type: regex_replace, field: body, regex: 'a', regex_name: b}", [("GS0265", 2, 60)]),
    ("{type: regex_replace, field: body, regex_name: b}", [("GS0267", 2, 60)]),
    ("{type: recombine, combine_field: body}", [("GS0266", 2, 13)]),
    ("{type: recombine, is_last_entry: 'true'}", [("GS0260", 2, 13)]),
    ("{type: recombine, combine_field: body, is_last_entry: '1'}", [("GS0269", 2, 67)]),
    (
        "{type: recombine, combine_field: body, is_last_entry: 'true', is_first_entry: 'true', overwrite_with: first}",
        [("GS0265", 2, 52), ("GS0267", 2, 115)],
    ),
    ("{type: recombine, combine_field: body, is_last_entry: 'true', force_flush_period: 0s}", [("GS0261", 2, 95)]),
    ("{type: filter}", [("GS0260", 2, 13)]),
    ("{type: filter, expr: 'true', drop_ratio: 2}", [("GS0261", 2, 54)]),
    ("{type: router, routes: [{output: a}]}, {type: noop, id: a}", [("GS0260", 2, 37)]),
    ("{type: router, routes: [{expr: 'true', output: a}]}", [("GS0274", 2, 60)]),
    ("{type: noop, output: nop}, {type: noop, id: noop2}", [("GS0274", 2, 34)]),
    ("{type: noop, id: a}, {type: noop, id: a}", [("GS0268", 2, 51)]),
    ("{type: noop, id: a}, {type: noop, output: a}", [("GS0274", 2, 55)]),
    ("{type: noop, output: noop}", [("GS0274", 2, 34)]),
    ("{type: tcp_input, listen_address: ':1'}", [("GS0274", 2, 13)]),
    ("{type: noop, output: file_input}", [("GS0274", 2, 34)]),
    ("{type: file_output}", [("GS0260", 2, 13)]),
]


@pytest.mark.parametrize("operator", RIGHT)
def test_right_operators_say_nothing(operator: str) -> None:
    assert of_operator(operator) == []


@pytest.mark.parametrize(("operator", "expected"), WRONG)
def test_wrong_operators_are_found_in_their_place(operator: str, expected: list[tuple[str, int, int]]) -> None:
    assert of_operator(operator) == expected


RECEIVERS = [
    ("file_log", FILE + "start_at: beginning\nheader: {pattern: '^#', metadata_operators: [{type: json_parser}]}", []),
    ("file_log", FILE + "fingerprint_size: 1kb\nmax_log_size: ${env:SIZE}\nencoding: UTF-16LE", []),
    ("file_log", FILE + "multiline: {line_start_pattern: '^\\d'}\nattributes: {a: 'x EXPR(env(\"A\")) y'}", []),
    ("file_log", "include: /a/**/*.log\nexclude: ['/a/{b,c}/[!x-z].log']", []),
    ("file_log", FILE + "ordering_criteria: {sort_by: []}", []),
    (
        "file_log",
        FILE + "ordering_criteria: {regex: '(?P<n>\\d)', sort_by: [{sort_type: numeric, regex_key: n}]}",
        [],
    ),
    ("file_log", "{}", [("GS0271", 0, 0)]),
    ("file_log", "include: []", [("GS0271", 1, 10)]),
    ("file_log", "include: ['/a/[b', '/a/{b', '/a/b}', '/a/[]']", [("GS0273", 1, c) for c in (11, 20, 29, 38)]),
    ("file_log", FILE + "start_at: begin", [("GS0267", 2, 11)]),
    ("file_log", FILE + "fingerprint_size: 10", [("GS0261", 2, 19)]),
    ("file_log", FILE + "fingerprint_size: 1 kilobyte", [("GS0267", 2, 19)]),
    ("file_log", FILE + "max_log_size: 0", [("GS0261", 2, 15)]),
    ("file_log", FILE + "max_concurrent_files: 0\nmax_batches: -1", [("GS0261", 2, 23), ("GS0261", 3, 14)]),
    ("file_log", FILE + "max_log_size_behavior: cut\non_truncate: read", [("GS0267", 2, 24), ("GS0267", 3, 14)]),
    ("file_log", FILE + "encoding: utf-9", [("GS0267", 2, 11)]),
    ("file_log", FILE + "multiline: {line_start_pattern: a, line_end_pattern: b}", [("GS0265", 2, 36)]),
    ("file_log", FILE + "multiline: {line_start_pattern: '['}", [("GS0264", 2, 33)]),
    ("file_log", FILE + "encoding: nop\nmultiline: {line_start_pattern: a}", [("GS0265", 3, 33)]),
    ("file_log", FILE + "delete_after_read: true", [("GS0265", 2, 1)]),
    (
        "file_log",
        FILE + "header: {pattern: '(', metadata_operators: []}",
        [("GS0265", 2, 1), ("GS0264", 2, 19), ("GS0271", 2, 44)],
    ),
    (
        "file_log",
        FILE + "start_at: beginning\nheader: {metadata_operators: [{type: filter, expr: 'true'}]}",
        [("GS0274", 3, 38)],
    ),
    ("file_log", FILE + "ordering_criteria: {group_by: '('}", [("GS0264", 2, 31)]),
    ("file_log", FILE + "ordering_criteria: {sort_by: [{sort_type: numeric}]}", [("GS0260", 2, 1), ("GS0260", 2, 31)]),
    (
        "file_log",
        FILE + "ordering_criteria: {top_n: -1, sort_by: [{sort_type: mtime}]}",
        [("GS0261", 2, 28), ("GS0274", 2, 54)],
    ),
    ("file_log", FILE + "ordering_criteria: {regex: a, sort_by: [{sort_type: size}]}", [("GS0267", 2, 53)]),
    (
        "file_log",
        FILE + "ordering_criteria: {regex: a, sort_by: [{sort_type: timestamp, regex_key: t, layout: '%Q'}]}",
        [("GS0270", 2, 86)],
    ),
    ("file_log", FILE + "attributes: {a: 'EXPR(1 +)'}", [("GS0269", 2, 17)]),
    ("tcp_log", "listen_address: 0.0.0.0:5140\nmax_log_size: 64KiB", []),
    ("tcp_log", "listen_address: :${env:PORT}", []),
    ("tcp_log", "{}", [("GS0260", 0, 0)]),
    (
        "tcp_log",
        "listen_address: 0.0.0.0\nmax_log_size: 1KiB\nmax_connections: -1",
        [("GS0262", 1, 17), ("GS0261", 2, 15), ("GS0261", 3, 18)],
    ),
    ("tcp_log", "listen_address: 0.0.0.0:99999", [("GS0262", 1, 17)]),
    ("udp_log", "listen_address: 0.0.0.0:5140", []),
    ("udp_log", "listen_address: 0.0.0.0:5140\nmultiline: {line_start_pattern: a, line_end_pattern: ''}", []),
    ("udp_log", "listen_address: 0.0.0.0:5140\nmultiline: {line_start_pattern: a}", [("GS0265", 2, 13)]),
    ("udp_log", "listen_address: 0.0.0.0:5140\nencoding: nop", [("GS0265", 0, 0)]),
    ("syslog", "protocol: rfc5424\ntcp: {listen_address: '0.0.0.0:54526'}", []),
    ("syslog", "protocol: none\nudp: {listen_address: '0.0.0.0:54526'}", []),
    ("syslog", "protocol: rfc5424", [("GS0266", 0, 0)]),
    ("syslog", "tcp: {listen_address: '0.0.0.0:54526'}", [("GS0260", 0, 0)]),
    ("syslog", "protocol: rfc5424\nudp: {}", [("GS0260", 2, 1)]),
    ("syslog", "protocol: rfc5424\nudp: {listen_address: ':1'}\nenable_octet_counting: true", [("GS0265", 3, 24)]),
    ("journald", "units: [ssh]\nmatches: [{_SYSTEMD_UNIT: ssh, _UID: '0'}]", []),
    ("journald", "start_at: now\nmatches: [{uid: '0'}]", [("GS0267", 1, 11), ("GS0267", 2, 12)]),
    ("journald", "root_path: /host", [("GS0273", 0, 0)]),
    ("journald", "root_path: host\njournalctl_path: /bin/journalctl", [("GS0273", 1, 12)]),
    ("journald", "journalctl_path: ' '", [("GS0260", 1, 18)]),
    ("otlp_json_file", "include: [/a/*.json]", []),
    ("otlp_json_file", "{}", [("GS0271", 0, 0)]),
    ("windows_event_log", "channel: Application\noperators: [{type: nope}]", [("GS0272", 2, 20)]),
]


@pytest.mark.parametrize(("kind", "yaml", "expected"), RECEIVERS)
def test_receivers_of_logs_are_judged_by_their_own_settings(
    kind: str, yaml: str, expected: list[tuple[str, int, int]]
) -> None:
    assert found(BOTH, settings_of(f"receiver/{kind}", yaml, DEFAULTS if kind == "file_log" else {})) == expected


def test_operators_of_an_unused_receiver_are_decoded_only() -> None:
    yaml = "operators: [{type: nope}, {type: filter}, {type: move, from: x}]"
    assert found(VALIDATE, settings_of("receiver/file_log", yaml)) == [("GS0272", 1, 20), ("GS0267", 1, 62)]


def test_rules_of_older_collectors_are_theirs() -> None:
    old = (0, 149, 0)
    yaml = FILE + "start_at: beginning\ndelete_after_read: true"
    assert found(BOTH, settings_of("receiver/file_log", yaml, version=old)) == [("GS0274", 3, 20)]
    assert found(BOTH, settings_of("receiver/file_log", yaml)) == []
    yaml = "protocol: none\ntcp: {listen_address: ':1'}"
    assert found(BOTH, settings_of("receiver/syslog", yaml, version=old)) == [("GS0267", 1, 11)]
    yaml = "protocol: rfc3164\nenable_octet_counting: true\ntcp: {listen_address: ':1'}"
    assert found(BOTH, settings_of("receiver/syslog", yaml, version=old)) == [("GS0265", 2, 24)]


FIELDS = ["body", "body.a", "body.a.b", "body['a'].b", "body.a['b'][\"c\"]", "attributes.a", "resource['a.b']", "body."]
NO_FIELDS = [
    "",
    "a",
    "attributes",
    "resource",
    "body[a]",
    "body['a'",
    "body['a",
    "body['a']b",
    "body[",
    ".body",
    "$body",
]


@pytest.mark.parametrize("text", FIELDS)
def test_fields_of_a_log_are_known(text: str) -> None:
    assert field_problem(text) is None


@pytest.mark.parametrize("text", NO_FIELDS)
def test_what_is_no_field_is_refused(text: str) -> None:
    assert field_problem(text) is not None


def test_attributes_stand_alone_where_all_of_them_are_meant() -> None:
    assert field_problem("attributes", rootable=True) is None
    assert field_problem("resource", rootable=True) is None


@pytest.mark.parametrize("pattern", ["/a/**", "/a/[a-z]", "/a/[^\\]]", "/a/{b,{c,d}}", "\\{", "/a/[!a]", "*?"])
def test_patterns_of_paths_are_taken(pattern: str) -> None:
    assert glob_problem(pattern) is None


@pytest.mark.parametrize("pattern", ["/a\\", "/a/[", "/a/[a", "/a/[]", "/a/[^]", "/a/{b", "/a/b}", "[a\\"])
def test_broken_patterns_of_paths_are_refused(pattern: str) -> None:
    assert glob_problem(pattern) is not None


def test_a_field_without_its_place_is_explained() -> None:
    yaml = FILE + "operators: [{type: move, from: message, to: attributes.m}]"
    (one,) = diagnostics(BOTH, settings_of("receiver/file_log", yaml))
    assert one.hint == 'did you mean "attributes.message" or "body.message"?'
