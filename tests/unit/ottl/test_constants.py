"""Literals as values, and which types can meet."""

from __future__ import annotations

import pytest

from gitsync.ottl import fit
from gitsync.ottl.constants import Constant, constant, is_float_text
from gitsync.ottl.parser import parse
from gitsync.ottl.tree import Arithmetic, Comparison, Logic, Not, Statement


def value_of(text: str) -> Constant | None:
    root = parse(text, "value").root
    assert root is not None
    assert not isinstance(root, (Statement, Comparison, Logic, Not))
    return constant(root, {"STATUS_CODE_OK": 1})


@pytest.mark.parametrize(
    ("text", "type_", "value"),
    [
        ('"a"', "string", "a"),
        ("5", "int", 5),
        ("-5", "int", -5),
        ("+5", "int", 5),
        ("+(5)", "int", 5),
        ("(5)", "int", 5),
        ("-2.5", "float", -2.5),
        ("true", "bool", True),
        ("0x00ff", "bytes", b"\x00\xff"),
        ("nil", "nil", None),
        ("STATUS_CODE_OK", "int", 1),
        ('[1, "a", [nil]]', "list", None),
        ('{"a": {"b": 1}}', "map", None),
        ("(a) => 1", "lambda", None),
    ],
)
def test_a_literal_is_known_before_anything_runs(text: str, type_: str, value: object) -> None:
    found = value_of(text)
    assert found is not None
    assert (found.type, found.value) == (type_, value)


@pytest.mark.parametrize(
    "text",
    ["span.name", "Now()", "1 + 1", "-(1)", "-span.flags", "+span.flags", "FOO", "[1, span.name]", '{"a": Now()}'],
)
def test_what_is_known_at_run_time_only_is_no_constant(text: str) -> None:
    assert value_of(text) is None


@pytest.mark.parametrize(
    "text", ["1", "-1.5", "1e5", ".5", "5.", "inf", "-Infinity", "NaN", "0x1p-2", "0x1.8p3", "1_000.5"]
)
def test_texts_that_go_reads_as_a_float(text: str) -> None:
    assert is_float_text(text)


@pytest.mark.parametrize("text", ["", " 1", "1 ", "one", "1e", "1__0", "_1", "0x1", "1,5", "1e400", "-1e999", "."])
def test_texts_that_go_does_not_read_as_a_float(text: str) -> None:
    assert not is_float_text(text)


def test_a_path_takes_its_own_type() -> None:
    assert fit.can_set("string", "string")
    assert fit.can_set("string", "any")
    assert fit.can_set("any", "int")
    assert fit.can_set("int", "nil")
    assert fit.can_set("SpanEventSlice", "list")
    assert not fit.can_set("float", "int")
    assert not fit.can_set("TraceID", "bytes")
    assert not fit.can_set("map", "string")


def test_numbers_can_be_compared_with_each_other_and_with_nothing_else() -> None:
    assert fit.can_compare("int", "float")
    assert fit.can_compare("any", "string")
    assert fit.can_compare("nil", "string")
    assert fit.can_compare("SpanEventSlice", "int")
    assert not fit.can_compare("int", "string")
    assert not fit.can_compare("SpanID", "bytes")
    assert not fit.can_compare("duration", "int")


@pytest.mark.parametrize(
    ("operator", "left", "right", "type_"),
    [
        ("+", "int", "int", "int"),
        ("*", "int", "float", "float"),
        ("-", "time", "time", "duration"),
        ("-", "time", "duration", "time"),
        ("+", "duration", "time", "time"),
        ("+", "duration", "duration", "duration"),
        ("/", "any", "string", "any"),
        ("+", "string", "string", None),
        ("*", "duration", "int", None),
        ("+", "time", "time", None),
        ("-", "duration", "time", None),
    ],
)
def test_calculations_have_a_type_or_always_fail(operator: str, left: str, right: str, type_: str | None) -> None:
    assert fit.result(operator, left, right) == type_


def test_arithmetic_is_no_literal() -> None:
    root = parse("1 + 1", "value").root
    assert isinstance(root, Arithmetic)
    assert constant(root, {}) is None
