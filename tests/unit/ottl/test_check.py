"""The check of a tree: errors where the Collector refuses, warnings where nothing can come of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gitsync.diagnostics import Severity
from gitsync.ottl.check import ALLOW_NIL_GATE, MOST, Scope, check
from gitsync.ottl.finding import Finding
from gitsync.ottl.parser import parse
from gitsync.ottl.tables import LAMBDA_GATE, OttlTables
from gitsync.ottl.tree import Kind

FILE = Path(__file__).resolve().parents[3] / "schemas/collector/0.159.0/ottl.json"
TABLES = OttlTables.from_json(json.loads(FILE.read_text()))
LAMBDAS = frozenset({LAMBDA_GATE})


def checked(
    text: str, context: str = "span", kind: Kind = "statement", gates: frozenset[str] = frozenset()
) -> tuple[Finding, ...]:
    root = parse(text, kind).root
    assert root is not None, text
    scope = Scope(TABLES, TABLES.contexts[context], TABLES.functions_for("processor/transform", context), gates)
    return check(root, kind, scope)


def only(text: str, context: str = "span", kind: Kind = "statement", gates: frozenset[str] = frozenset()) -> Finding:
    findings = checked(text, context, kind, gates)
    assert len(findings) == 1, findings
    return findings[0]


@pytest.mark.parametrize(
    ("context", "text"),
    [
        ("span", 'set(span.attributes["a"], SHA256(span.attributes["b"])) where span.kind == SPAN_KIND_SERVER'),
        ("span", 'replace_pattern(span.name, "/users/\\\\d+", "/users/{id}")'),
        ("span", 'replace_pattern(span.name, "a", "b", function=SHA256, replacement_format="x-%s")'),
        ("span", 'replace_pattern(span.attributes["a"], regexPattern="a", replacement="b")'),
        ("span", 'keep_keys(span.attributes, ["http.route", span.name])'),
        ("span", 'set(span.status.message, "slow") where span.end_time - span.start_time > Duration("3s")'),
        ("span", "set(span.attributes[\"n\"], -(1) + 2 * span.flags)"),
        ("span", 'set(span.attributes[Concat(["a", span.name], ".")], {"a": [1, nil, {"b": 0x00}]})'),
        ("span", 'set(span.trace_id, TraceID("00112233445566778899aabbccddeeff"))'),
        ("span", "set(span.attributes[\"x\"], Split(span.name, \"-\")[0])"),
        ("span", 'append(span.attributes["a"], values=["x", 1])'),
        ("span", 'set(span.attributes["t"], FormatTime(Now(), "%Y-%m-%d"))'),
        ("span", 'set(span.name, "x") where IsInt(span.name) or not IsMap(span.kind)'),
        ("span", 'set(span.attributes["a"], Double("1_0.5e3")) where Bool("T") == true'),
        ("metric", "scale_metric(10.0, \"kWh\")"),
        ("metric", 'aggregate_on_attributes("sum", ["a"])'),
        ("datapoint", "set(datapoint.value_double, Double(datapoint.value_int))"),
        ("log", 'merge_maps(log.cache, ParseJSON(log.body), "upsert") where IsMatch(log.body, "^\\\\{")'),
        ("resource", 'set(resource.attributes["a"], otelcol.client.metadata["tenant"])'),
    ],
)  # fmt: skip
def test_what_people_write_every_day_is_fine(context: str, text: str) -> None:
    assert checked(text, context) == ()


ERRORS = [
    ("drop()", "GS1040", "drop"),
    ("convert_sum_to_gauge()", "GS1041", "convert_sum_to_gauge"),
    ("set(span.nam, 1)", "GS1023", "span.nam"),
    ("set(name, 1)", "GS1021", "name"),
    ("set(span.attributes[span.nam], 1)", "GS1023", "span.nam"),
    ('set(span.attributes["a"], Split(span.name, "-")[span.nam])', "GS1023", "span.nam"),
    ("set(span.kind, SPAN_KIND_SERVR)", "GS1029", "SPAN_KIND_SERVR"),
    ("set(span.name)", "GS1043", "set(span.name)"),
    ('set(span.name, "a", "b")', "GS1043", 'set(span.name, "a", "b")'),
    ('replace_pattern(span.name, regex="a", replacement="b")', "GS1044", "regex"),
    ('set(target=span.name, "x")', "GS1045", '"x"'),
    ('set("span.name", "x")', "GS1046", '"span.name"'),
    ('set((span.name), "x")', "GS1046", "span.name)"),
    ("delete_key(ParseJSON(span.name), \"a\")", "GS1046", "ParseJSON(span.name)"),
    ('limit(span.attributes, "10", [])', "GS1047", '"10"'),
    ("limit(span.attributes, -1, [])", "GS1047", "-1"),
    ("limit(span.attributes, (1), [])", "GS1047", "1"),
    ("limit(span.attributes, 5, [1])", "GS1047", "1"),
    ("flatten(span.attributes, span.name)", "GS1047", "span.name"),
    ("truncate_all(span.attributes, 10, \"true\")", "GS1047", '"true"'),
    ("set(span.name, SHA256(1))", "GS1048", "1"),
    ("set(span.name, SHA256(nil))", "GS1048", "nil"),
    ("set(span.name, SHA256([]))", "GS1048", "[]"),
    ("set(span.name, SHA256(STATUS_CODE_OK))", "GS1048", "STATUS_CODE_OK"),
    ('set(span.name, FormatTime("now", "%Y"))', "GS1048", '"now"'),
    ("set(span.kind, Seconds(5))", "GS1048", "5"),
    ('set(span.attributes["a"], Double("many"))', "GS1048", '"many"'),
    ('set(span.attributes["a"], Bool("yes"))', "GS1048", '"yes"'),
    ("set(span.name, String(Len(IsDouble(2))))", "GS1048", "2"),
    ("keep_keys(span.attributes, [1])", "GS1048", "1"),
    ('set(span.attributes["a"], {"a": [[{"b": 1}]]})', "GS1048", '[{"b": 1}]'),
    ('set(span.attributes["a"], ContainsValue([{"a": 1}], 1))', "GS1048", '[{"a": 1}]'),
    ('keep_keys(span.attributes, "a")', "GS1049", '"a"'),
    ('replace_pattern(span.name, "a", "b", SHA256("x"))', "GS1050", 'SHA256("x")'),
    ('replace_pattern(span.name, "a", "b", SHA257)', "GS1040", "SHA257"),
    ('set(span.attributes["a"], Filter(span.attributes, (k, v) => true))', "GS1042", "(k, v) => true"),
    ('replace_pattern(span.name, "(?=a)", "b")', "GS1060", '"(?=a)"'),
    ('replace_match(span.name, "[a", "b")', "GS1061", '"[a"'),
    ('set(span.attributes["a"], Time(span.name, "2006"))', "GS1062", '"2006"'),
    ('set(span.attributes["a"], Time(span.name, "%Y", "Europe/Berln"))', "GS1063", '"Europe/Berln"'),
    ('set(span.attributes["a"], Time(span.name, "%Y", locale="qq"))', "GS1063", '"qq"'),
    ('set(span.attributes["a"], ExtractGrokPatterns(span.name, "%{NOPE}"))', "GS1064", '"%{NOPE}"'),
    ('set(span.attributes["a"], ExtractGrokPatterns(span.name, "a", true, ["A"]))', "GS1064", '["A"]'),
    ('set(span.name, GetXML(span.name, "//a["))', "GS1065", '"//a["'),
    ('set(span.attributes["a"], IsInCIDR(span.name, ["10.0.0.0/8", "10.0.0.0"]))', "GS1066", '"10.0.0.0"'),
    ('merge_maps(span.attributes, resource.attributes, "merge")', "GS1067", '"merge"'),
    ('set(span.name, ConvertCase(span.name, "title"))', "GS1067", '"title"'),
    ("limit(span.attributes, 1, [\"a\", \"b\"])", "GS1068", "1"),
    ("flatten(span.attributes, depth=0)", "GS1068", "0"),
    ('truncate_all(span.attributes, 2, truncation_marker="…")', "GS1068", '"…"'),
    ('set(span.attributes["a"], ParseKeyValue(span.name, "", " "))', "GS1069", '""'),
    ('set(span.attributes["a"], ParseKeyValue(span.name, " "))', "GS1069", '" "'),
    ('set(span.attributes["a"], ParseCSV(span.name, "a", delimiter=";;"))', "GS1069", '";;"'),
    ("set(span.trace_id, TraceID(0x0011))", "GS1070", "0x0011"),
    ('set(span.span_id, SpanID("zz11223344556677"))', "GS1070", '"zz11223344556677"'),
    ('set(span.name, Decode(span.name, "utf-99"))', "GS1071", '"utf-99"'),
    ('set(span.attributes["a"], Coalesce([]))', "GS1072", "[]"),
    ("append(span.attributes[\"a\"])", "GS1073", "append"),
    ('set_semconv_span_name("1.36.0")', "GS1074", '"1.36.0"'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "part"), ERRORS, ids=lambda one: str(one)[:50])
def test_what_the_collector_refuses_is_an_error_at_the_right_place(text: str, code: str, part: str) -> None:
    finding = only(text)
    assert finding.severity is Severity.ERROR
    assert finding.code == code
    assert text[finding.start : finding.end] == part
    assert not finding.message.endswith(".")


WARNINGS = [
    ("delete_key(span.name, \"a\")", "GS1080", "span.name"),
    ("replace_pattern(span.kind, \"a\", \"b\")", "GS1080", "span.kind"),
    ("set(span.name, SHA256(span.kind))", "GS1080", "span.kind"),
    ("set(span.name, SHA256([span.name]))", "GS1080", "[span.name]"),
    ("set(span.kind, Year(span.start_time_unix_nano))", "GS1080", "span.start_time_unix_nano"),
    ("set(span.name, 1)", "GS1081", "1"),
    ('set(span.kind, "server")', "GS1081", '"server"'),
    ("set(span.start_time, span.start_time_unix_nano)", "GS1081", "span.start_time_unix_nano"),
    ("set(span.attributes, Len(span.name))", "GS1081", "Len(span.name)"),
    ("set(otelcol.client.addr, \"x\")", "GS1082", "otelcol.client.addr"),
    ("set(span.name, \"x\") where span.name == 1", "GS1083", "span.name == 1"),
    ("set(span.name, \"x\") where span.trace_id != 0x00", "GS1083", "span.trace_id != 0x00"),
    ("set(span.name, \"x\") where Now() - span.end_time > 5", "GS1083", "Now() - span.end_time > 5"),
    ("set(span.name, \"x\") where 1 == 1", "GS1084", "1 == 1"),
    ("set(span.name, nil)", "GS1085", "nil"),
    ('set(span.attributes["a"], span.attributes["a"])', "GS1085", 'set(span.attributes["a"], span.attributes["a"])'),
    ("set(span.attributes[\"a\"], span.name + 1)", "GS1086", "span.name + 1"),
    ("set(span.attributes[\"a\"], -span.name)", "GS1086", "-span.name"),
    ("set(span.attributes[\"a\"], UUID(1, 2))", "GS1087", "1, 2"),
    ('set(span.attributes["a"], ExtractPatterns(span.name, "(a)"))', "GS1088", '"(a)"'),
    ('set(span.attributes["a"], Duration("1d"))', "GS1088", '"1d"'),
    ('set(span.name, Base64Encode(span.name, "hex"))', "GS1088", '"hex"'),
    ('replace_match(span.name, "a", "b", SHA256, "%d")', "GS1088", '"%d"'),
    ('set(span.name, Substring(span.name, 0, length=1, length=2))', "GS1089", "length=2"),
    ("set(span.name, \"x\") where Len(span.name)", "GS1090", "Len"),
    ('set(span.attributes["a"], {"k": 1, "l": 2, "k": 3})', "GS1091", '"k"'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "part"), WARNINGS, ids=lambda one: str(one)[:50])
def test_what_can_never_work_is_a_warning(text: str, code: str, part: str) -> None:
    finding = only(text)
    assert finding.severity is Severity.WARNING
    assert finding.code == code
    assert text[finding.start : finding.end] == part


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('set(span.kind, "server")', "SPAN_KIND_SERVER"),
        ('set(span.name, "x") where span.status.code == "STATUS_CODE_ERROR"', "STATUS_CODE_ERROR, without quotes"),
        ('set(span.name, "x") where span.kind == "2"', "without quotes"),
        ('set(span.name, "x") where span.trace_id == "00"', ".string"),
        ('set(span.name, "x") where span.end_time - span.start_time > 5', 'Duration("3s")'),
        ('set(span.name, "x") where span.start_time > 5', "_unix_nano"),
        ("set(span.name, 1)", "double quotes"),
        ('set(span.attributes["a"], span.name + span.name)', "Concat("),
        ("set(span.start_time, 1)", "Time(…)"),
        ("set(span.kind, METRIC_DATA_TYPE_SUM)", "in the context datapoint or metric"),
        ("set(span.kind, TRUE)", "write true"),
        ("set(span.kind, SHA256)", "SHA256(…)"),
        ("set(span.kind, XYZZY)", "double quotes"),
        ("set(span.name, SHA256(1))", "String(…)"),
        ("set(span.name, FormatTime(1, \"%Y\"))", "Time("),
        ("set(span.kind, Seconds(1))", "Duration("),
        ("limit(span.attributes, \"1\", [])", "without quotes"),
        ("flatten(span.attributes, span.name)", "double quotes"),
        ("set(span.name, nil)", "delete_key"),
        ("set(span.name)", "set(target, value)"),
        ("set(span.name, Substring(span.name))", "Substring(target, start, length, [utf8_safe])"),
    ],
)  # fmt: skip
def test_a_hint_says_what_was_meant(text: str, hint: str) -> None:
    assert hint in only(text).hint


@pytest.mark.parametrize(
    ("context", "text", "code"),
    [
        ("metric", "scale_metric(10)", "GS1047"),
        ("metric", 'aggregate_on_attributes("avg")', "GS1067"),
        ("metric", 'convert_gauge_to_sum("Delta", true)', "GS1067"),
        ("metric", "extract_percentile_metric(100.0)", "GS1068"),
        ("metric", 'convert_exponential_histogram_to_histogram("random", [])', "GS1072"),
        ("datapoint", 'merge_histogram_buckets(1.5, "limit_buckets")', "GS1068"),
        ("datapoint", "merge_histogram_buckets(nil)", "GS1068"),
        ("log", 'set(log.attributes["a"], ParseCLF(log.body, "nginx"))', "GS1067"),
    ],
)
def test_functions_of_other_contexts_are_checked_too(context: str, text: str, code: str) -> None:
    assert only(text, context).code == code


def test_all_faults_of_a_text_are_found_in_their_order() -> None:
    findings = checked('set(span.nam, SHA25(span.kin, FOO)) where span.name == BAR or IsMatch(span.name, "(")')
    assert [one.code for one in findings] == ["GS1023", "GS1040", "GS1023", "GS1029", "GS1060"]


def test_a_lambda_needs_its_gate_and_the_right_number_of_parameters() -> None:
    text = 'set(span.attributes["a"], Any(span.attributes, (k, v) => k == "x" and v != nil))'
    assert checked(text, gates=LAMBDAS) == ()
    assert only(text).code == "GS1042"
    assert only("All(span.attributes, (v) => true)", kind="condition", gates=LAMBDAS).code == "GS1052"
    assert only("Filter(span.attributes, true)", kind="value", gates=LAMBDAS).code == "GS1051"
    assert only("Find(span.attributes, (_, _) => true, (_, v) => v.x)", kind="value", gates=LAMBDAS).code == "GS1028"
    assert only("Reduce(span.attributes, 0, (a, _, v) => w + a)", kind="value", gates=LAMBDAS).code == "GS1021"
    assert checked('When(() => span.kind == 1, "a", "b")', kind="value", gates=LAMBDAS) == ()


def test_names_of_a_lambda_end_with_it() -> None:
    assert only("[MapEach(span.attributes, (k, v) => v[k]), v]", kind="value", gates=LAMBDAS).code == "GS1021"


def test_nil_counts_once_its_gate_is_on() -> None:
    assert checked('set(span.attributes["a"], nil)', gates=frozenset({ALLOW_NIL_GATE})) == ()


def test_a_key_that_is_given_twice_has_its_last_value() -> None:
    assert checked('merge_maps(span.cache, {"a": {"b": 1}, "c": [[1]]}, "upsert")') == ()
    findings = checked('set(span.name, SHA256({"a": span.name, "a": 1}))')
    assert [one.code for one in findings] == ["GS1048", "GS1091"]


def test_a_missing_argument_that_others_stand_in_for_is_seen() -> None:
    finding = only("Unix(nanoseconds=5)", kind="value")
    assert (finding.code, finding.hint) == ("GS1089", "Unix(seconds, [nanoseconds])")
    findings = checked("merge_maps(target=span.attributes, target=span.attributes, source=span.attributes)")
    assert [one.code for one in findings if one.severity is Severity.ERROR] == ["GS1067"]


def test_arguments_of_a_function_that_takes_none_are_not_looked_at() -> None:
    assert only("Now(span.nam, FOO)", kind="value").code == "GS1087"


@pytest.mark.parametrize(
    "text",
    [
        "SHA256(" * 60 + "span.name" + ")" * 60,
        "[" * 60 + "]" * 60,
        "1" + " + span.flags" * 140,
        "Concat([" + "span.name, " * 3000 + 'span.name], "")',
        "{" + ", ".join(f'"k{number}": [{number}]' for number in range(2000)) + "}",
    ],
    ids=["nested calls", "nested lists", "a long sum", "a long list", "a large map"],
)
def test_deep_and_long_texts_are_checked_within_bounds(text: str) -> None:
    assert checked(text, kind="value") == ()


def test_an_older_release_does_not_look_into_the_keys_behind_a_converter() -> None:
    old = OttlTables.from_json(json.loads(FILE.read_text()) | {"version": "0.149.0"})
    root = parse('Split(span.name, "-")[span.nam]', "value").root
    assert root is not None
    assert (
        check(root, "value", Scope(old, old.contexts["span"], old.functions_for("processor/transform", "span"))) == ()
    )


@pytest.mark.parametrize(
    ("version", "text", "codes"),
    [
        ("0.149.0", 'set_semconv_span_name("1.38.0")', ["GS1074"]),
        ("0.149.0", 'set_semconv_span_name("1.37.0")', []),
        ("0.158.0", 'set_semconv_span_name("1.40.0")', []),
        ("0.158.0", 'set_semconv_span_name("1.43.0")', ["GS1074"]),
        ("0.159.0", 'set_semconv_span_name("v1.43")', []),
        ("0.159.0", 'set_semconv_span_name("1.43.1")', ["GS1074"]),
        ("0.159.0", 'set_semconv_span_name("1.37.0-rc1")', ["GS1074"]),
        ("0.159.0", 'set_semconv_span_name("1.37.0", "")', ["GS1067"]),
    ],
)
def test_what_is_refused_depends_on_the_release(version: str, text: str, codes: list[str]) -> None:
    tables = OttlTables.from_json(json.loads(FILE.read_text()) | {"version": version})
    root = parse(text, "statement").root
    assert root is not None
    scope = Scope(tables, tables.contexts["span"], tables.functions_for("processor/transform", "span"))
    assert [one.code for one in check(root, "statement", scope)] == codes


def test_an_unknown_encoding_fails_when_it_is_read_since_the_release_that_looks() -> None:
    old = OttlTables.from_json(json.loads(FILE.read_text()) | {"version": "0.149.0"})
    root = parse('Decode(span.name, "utf-99")', "value").root
    assert root is not None
    (found,) = check(root, "value", Scope(old, old.contexts["span"], old.functions_for("processor/transform", "span")))
    assert found.severity is Severity.WARNING
    assert only('Decode(span.name, "utf-99")', kind="value").severity is Severity.ERROR


def test_no_more_is_said_of_one_text_than_anybody_reads() -> None:
    errors = checked("Concat([" + ", ".join(f"span.nam{number}" for number in range(3000)) + '], "")', kind="value")
    assert len(errors) == MOST
    warnings = checked("[" + ", ".join(["-span.name"] * 3000) + "]", kind="value")
    assert [one.severity for one in warnings] == [Severity.WARNING] * MOST


def test_an_error_behind_many_warnings_is_found() -> None:
    text = "[" + ", ".join(["-span.name"] * 100) + ", span.nam]"
    assert sum(one.severity is Severity.ERROR for one in checked(text, kind="value")) == 1
