"""Paths: which are known, and what is said about those that are not."""

from __future__ import annotations

import json
from pathlib import Path as File

import pytest

from gitsync.ottl.finding import Finding
from gitsync.ottl.parser import parse
from gitsync.ottl.paths import resolve
from gitsync.ottl.tables import OttlTables, PathRule
from gitsync.ottl.tree import Path

FILE = File(__file__).resolve().parents[3] / "schemas/collector/0.159.0/ottl.json"
TABLES = OttlTables.from_json(json.loads(FILE.read_text()))


def found(text: str, context: str = "span", *, contextless: bool = False) -> PathRule | Finding:
    root = parse(text, "value").root
    assert isinstance(root, Path)
    return resolve(root, TABLES.contexts[context], TABLES, contextless=contextless)


@pytest.mark.parametrize(
    ("text", "context", "type_"),
    [
        ("span.name", "span", "string"),
        ('span.attributes["a"][0]["b"]', "span", "map"),
        ("span.attributes", "span", "map"),
        ('span.trace_state["a"]', "span", "string"),
        ("span.status.code", "span", "int"),
        ("span.status.code", "spanevent", "int"),
        ("resource.attributes", "datapoint", "map"),
        ("instrumentation_scope.name", "log", "string"),
        ('span.cache["a"]', "span", "map"),
        ('otelcol.client.metadata["a"]', "resource", "map"),
    ],
)
def test_a_path_with_its_context_is_known(text: str, context: str, type_: str) -> None:
    rule = found(text, context)
    assert isinstance(rule, PathRule)
    assert rule.type == type_


@pytest.mark.parametrize(
    "text", ["name", "status.code", 'attributes["a"]', "span.name", "resource.attributes", "cache"]
)
def test_a_path_may_leave_out_its_context_where_one_is_said(text: str) -> None:
    assert isinstance(found(text, contextless=True), PathRule)


@pytest.mark.parametrize(
    ("text", "code", "message", "hint"),
    [
        ("name", "GS1021", 'the path "name" has no context in front', "write span.name"),
        ("nam", "GS1021", 'the path "nam" has no context in front', "did you mean span.name?"),
        ("duration", "GS1021", 'the path "duration" has no context in front', "span.end_time - span.start_time"),
        ("status.message", "GS1021", 'the path "status.message" has no context', "write span.status.message"),
        ("spam.name", "GS1021", 'there is no context "spam"', "did you mean span?"),
        ("foo.bar", "GS1021", 'there is no context "foo"', "otelcol, resource, scope, span"),
        ('span["name"]', "GS1027", '"span" is a context, not a path', "span.attributes"),
        ("metric.name", "GS1022", "paths of metric cannot be reached from the context span", "context datapoint"),
        ("span.duration", "GS1023", 'there is no path "span.duration"', "span.end_time - span.start_time"),
        ("span.nam", "GS1023", 'there is no path "span.nam"', "did you mean span.name?"),
        ("span.attributes.http.method", "GS1023", "there is no path", 'write span.attributes["http.method"]'),
        ("span.status.codes", "GS1023", "there is no path", "did you mean span.status.code?"),
        ("span.status_code", "GS1023", "there is no path", "write span.status.code"),
        ('span.name["a"]', "GS1024", "span.name takes no key", "maps and lists"),
        ('span.status["a"].code', "GS1024", "status takes no key here", ""),
        ('span.trace_state["a"]["b"]', "GS1025", "span.trace_state takes exactly one key", ""),
        ('resource.cache["a"]', "GS1026", "resource has no cache here", "write span.cache"),
        ("span.cache.a", "GS1026", 'there is no path "span.cache.a"', 'write span.cache["key"]'),
        ("span", "GS1027", '"span" is a context, not a path', "such as span.attributes"),
        ("resource", "GS1027", '"resource" is a context, not a path', "such as resource.attributes"),
    ],
)
def test_what_is_wrong_with_a_path_is_said(text: str, code: str, message: str, hint: str) -> None:
    finding = found(text)
    assert isinstance(finding, Finding)
    assert finding.code == code
    assert message in finding.message
    assert hint in finding.hint


@pytest.mark.parametrize(
    ("text", "context", "hint"),
    [
        ("log.message", "log", "log.body"),
        ("log.severity", "log", "log.severity_number"),
        ("metric.value", "metric", "datapoint.value_double"),
        ("datapoint.value", "datapoint", "datapoint.value_int"),
        ("datapoint.name", "datapoint", "metric.name"),
        ("resource.service.name", "resource", 'resource.attributes["service.name"]'),
        ("body", "log", "log.body"),
    ],
)
def test_what_people_often_write_gets_the_right_name(text: str, context: str, hint: str) -> None:
    finding = found(text, context)
    assert isinstance(finding, Finding)
    assert hint in finding.hint


@pytest.mark.parametrize(
    ("text", "code"),
    [("nam", "GS1023"), ("resource", "GS1027"), ("metric.name", "GS1022"), ('resource["a"].attributes', "GS1023")],
)
def test_a_path_without_its_context_can_be_wrong_too(text: str, code: str) -> None:
    finding = found(text, contextless=True)
    assert isinstance(finding, Finding)
    assert finding.code == code


def test_a_finding_points_at_the_part_that_is_wrong() -> None:
    text = 'span.trace_state["a"]["b"]'
    finding = found(text)
    assert isinstance(finding, Finding)
    assert text[finding.start : finding.end] == '["b"]'
    finding = found('span.nam["a"]')
    assert isinstance(finding, Finding)
    assert (finding.start, finding.end) == (0, 8)


def test_a_long_path_is_answered_quickly() -> None:
    finding = found("span.attributes" + ".a" * 3000)
    assert isinstance(finding, Finding)
    assert len(finding.message) < 200
    assert finding.hint == "write the key in brackets"
