"""Texts of OTTL made to exhaust a parser: each is judged in linear time and within few frames."""

import sys

import pytest

from gitsync.ottl.finding import Finding
from gitsync.ottl.parser import DEEPEST, MOST_OPERATORS, parse
from gitsync.ottl.tree import Kind

MANY = 200_000

DEEP: list[tuple[Kind, str, str, str]] = [
    ("condition", "(", "true", ")"),
    ("condition", "not (", "true", ")"),
    ("value", "(", "1", ")"),
    ("value", "-(", "1", ")"),
    ("value", "[", "", "]"),
    ("value", '{"a": ', "1", "}"),
    ("value", "A(", "1", ")"),
    ("value", "A(x=[", "1", "])"),
    ("value", "a[", "1", "]"),
    ("value", "[a [", "1", ", 2]]"),
    ("value", "[A([a [", "1", ", 2]])]"),
    ("value", "A((x) => ", "x", ")"),
    ("value", "(x) => 1 == ", "1", ""),
]


def refused(text: str, kind: Kind) -> Finding:
    parsed = parse(text, kind)
    assert parsed.root is None
    finding = parsed.findings[0]
    assert 0 <= finding.start <= finding.end <= len(text)
    assert len(finding.message) < 400
    assert len(finding.hint) < 400
    return finding


@pytest.mark.parametrize(("kind", "opening", "inner", "closing"), DEEP)
def test_brackets_inside_each_other_are_read_up_to_the_limit_within_few_frames(
    kind: Kind, opening: str, inner: str, closing: str
) -> None:
    levels = DEEPEST // max(1, sum(map(opening.count, "([{")))
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(_frames() + 12 * DEEPEST)
    try:
        assert parse(opening * levels + inner + closing * levels, kind).findings == ()
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize(("kind", "opening", "inner", "closing"), DEEP)
@pytest.mark.parametrize("closed", [True, False])
def test_brackets_beyond_the_limit_are_refused_at_the_first_one_too_many(
    kind: Kind, opening: str, inner: str, closing: str, closed: bool
) -> None:
    text = opening * 50_000 + (inner + closing * 50_000) * closed
    finding = refused(text, kind)
    assert finding.code == "GS1019"
    assert text[finding.start : finding.end] in ("(", "[", "{")
    assert sum(map(text[: finding.start].count, "([{")) >= DEEPEST


@pytest.mark.parametrize("operator", "+-*/")
def test_a_chain_of_operators_is_read_up_to_the_limit_and_refused_at_the_next_one(operator: str) -> None:
    assert parse(operator.join("1" * (MOST_OPERATORS + 1)), "value").findings == ()
    finding = refused(operator.join("1" * 100_000), "value")
    assert (finding.code, finding.start) == ("GS1019", 2 * MOST_OPERATORS + 1)


@pytest.mark.parametrize("word", ["and", "or"])
def test_a_long_row_of_conditions_is_flat(word: str) -> None:
    parsed = parse(f" {word} ".join(["a == 1"] * 50_000), "condition")
    assert parsed.findings == ()


REPEATED: list[tuple[str, str, str]] = [
    ("a string without an end", '"', "x"),
    ("quotes", "", '"'),
    ("backslashes in a string", '"', "\\"),
    ("escaped quotes", '"', '\\"'),
    ("single quotes", "", "'"),
    ("quotes that are never closed by their own kind", "", "‘"),
    ("a word", "", "a"),
    ("foreign letters", "", "é"),
    ("foreign letters in words", "", "aé "),
    ("underscores", "", "_"),
    ("digits", "", "1"),
    ("digits behind a point", "1.", "1"),
    ("hexadecimal digits", "0x", "a"),
    ("zeros", "", "0"),
    ("words without commas", "[", "a "),
    ("capitals without commas", "[", "A "),
    ("words before a lambda", "[" + "a " * 1000 + "(_" + ", b" * 1000 + ") => 1 ", "a "),
    ("names of functions", "A(", "Ab "),
    ("parameters", "(a", ", b"),
    ("points", "a", ".a"),
    ("keys", "a", "[0]"),
    ("lists behind a path", "[a ", "[1, 2]"),
    ("entries of a map", "{", '"a": 1 '),
    ("commas", "[", ","),
    ("signs", "", "-"),
    ("not", "", "not "),
    ("comparisons", "a", " == a"),
    ("equal signs", "a", "="),
    ("blanks", "", " "),
    ("line breaks", "", "\n"),
    ("null characters", "", "\x00"),
    ("lone surrogates", "", "\ud800"),
    ("closing brackets", "a", ")"),
    ("arguments", "set(a", ", 1"),
    ("statements", "", "set(a, 1) "),
    ("lambdas side by side", "[", "() => 1 "),
    ("calls without an end", "[", "A(1)"),
]


@pytest.mark.parametrize("kind", ["statement", "value"])
@pytest.mark.parametrize(("head", "piece"), [pytest.param(*one[1:], id=one[0]) for one in REPEATED])
def test_a_long_text_is_read_to_a_few_findings_inside_of_it(kind: Kind, head: str, piece: str) -> None:
    """What takes more than linear time does not end before the test's own deadline."""
    text = head + piece * (MANY // len(piece))
    parsed = parse(text, kind)
    for one in parsed.findings:
        assert 0 <= one.start <= one.end <= len(text)
        assert len(one.message) + len(one.hint) < 600
    assert len(parsed.findings) <= 5


def _frames() -> int:
    frame, count = sys._getframe(), 0
    while frame.f_back is not None:
        frame, count = frame.f_back, count + 1
    return count
