"""Expressions of log operators: what expr-lang's compiler takes and refuses."""

import pytest

from gitsync.collector.rules.stanza.expressions import check_expression

RIGHT = [
    'body matches "^[A-Z]"',
    'body contains "a" and not (attributes.level == "debug")',
    "body not contains 'x' or attributes[\"a.b\"] in ['x', 'y',]",
    '$ startsWith "x"',
    "$.level == 3",
    "attributes?.a?.[0]?.b != nil",
    "len(body) > 10 and body[0:3] == 'abc' and body[:3] == body[3:]",
    "any(attributes.list, {# > 3})",
    "filter(body.items, .size > 3) | len() > 0",
    "all(body, # in 1..3) and none(body, #acc == 1)",
    "reduce(body, #acc + #, {}) == 0",
    "let x = body.n; x > 1",
    "if body.x { true } else if body.y { false } else { true }",
    "body.a ? true : false",
    "body.a ?: true",
    "1 < body.n <= 0x1F",
    "-body.n * 2 ** 3 ** 2 % 5 == +1.5e3 - .5",
    "1_000 < 0b11 and 0o7 == 7 and 1..3 == [1, 2, 3]",
    'env("HOME") == body ?? "x"',
    '{a: 1, "b": 2, (body): 3,}.a == 1',
    "body == `raw \\d string`",
    "body == 'it\\'s \\x41 \\u0041 \\u{1F600} \\U0001F600 \\101\\n'",
    "b'bytes' == body",
    "true /* a comment */ // and another",
    "::len(body) > 1",
    "body.matches and body.not",
    "true",
    "attributes.count",
    "body.first().second(1, 2,)",
    "timestamp - timestamp > duration('1h')",
    "a; b",
    "not body",
    "0 ? 1 : 2" if False else "body ? 1 == 1 : nil == 1",
]

WRONG = [
    ("", 0),
    ("body ==", 7),
    ("body = 'x'", 5),
    ("body & true", 5),
    ("body == 'x", 8),
    ("body == 'x\n'", 8),
    (r'body matches "\d+"', 14),
    (r"body == 'a\"b'", 10),
    ("body matches '('", 13),
    ("(body", 5),
    ("body)", 4),
    ("body body", 5),
    ("body not == 1", 9),
    ("body @ 1", 5),
    ("1abc == 1", 0),
    ("1 == 'a'", 2),
    ("body and 'x'", 5),
    ("'a' + 1 == body", 4),
    ("not 'a'", 0),
    ("-'a' == 1", 0),
    ("body in 5", 5),
    ("'a' in 'abc'", 4),
    ("body ?? 1 + 2 > 1", 10),
    ("'text'", 0),
    ("1 + 2", 0),
    ("nil", 0),
    ("[true]", 0),
    ("body ? true", 11),
    ("1 ? true : false", 2),
    ("if body { true }", 16),
    ("let x 1; x", 6),
    ("body.", 5),
    ("body.'a'", 5),
    ("{1 2}", 3),
    ("{[]: 1}", 1),
    ("[1 2]", 3),
    ("f(1 2)", 4),
    ("any(body, # > 1", 15),
    ("# > 1", 0),
    ("/* open", 0),
    ("`open", 0),
    ("'\\u{110000}'", 1),
    ("99999999999999999999 == 1", 0),
    ("0x == 1", 0),
    ("body | 5", 7),
]


@pytest.mark.parametrize("text", RIGHT)
def test_right_expressions_are_taken(text: str) -> None:
    assert check_expression(text) is None


@pytest.mark.parametrize(("text", "at"), WRONG)
def test_wrong_expressions_are_refused_where_they_are_wrong(text: str, at: int) -> None:
    problem = check_expression(text)
    assert problem is not None
    assert problem[1] == at


def test_an_expression_that_is_no_condition_may_have_any_type() -> None:
    assert check_expression("'text'", condition=False) is None
    assert check_expression("1 + 2", condition=False) is None
    assert check_expression("1 +", condition=False) == ("it ends too early", 3)


def test_what_is_beyond_the_bounds_is_not_judged() -> None:
    assert check_expression("(" * 5000 + ")" * 4000) is None
    assert check_expression("not " * 200 + "true") is None
    assert check_expression("x" * 20_000 + " y") is None


def test_single_equals_signs_are_explained() -> None:
    assert check_expression("body = 'x'") == ('"=" has no meaning here; "==" compares', 5)
