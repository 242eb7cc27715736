"""Tokens of OTTL: the same pieces that the Collector's lexer makes, with their places."""

import pytest

from gitsync.ottl import lexer as t
from gitsync.ottl.finding import Finding
from gitsync.ottl.lexer import tokenize, unquote


def pieces(text: str) -> list[tuple[str, str]]:
    tokens, findings = tokenize(text)
    assert not findings
    assert tokens.kinds[-1] == t.END
    return list(zip(tokens.kinds[:-1], tokens.values[:-1], strict=True))


def refused(text: str) -> tuple[Finding, ...]:
    _, findings = tokenize(text)
    assert findings
    return findings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", [(t.LOWER, "abc")]),
        ("ABC", [(t.UPPER, "ABC")]),
        ("aBCd_123E_4", [(t.LOWER, "a"), (t.UPPER, "BC"), (t.LOWER, "d_123"), (t.UPPER, "E_4")]),
        ("IsMatch", [(t.UPPER, "I"), (t.LOWER, "s"), (t.UPPER, "M"), (t.LOWER, "atch")]),
        ("12345", [(t.INT, "12345")]),
        ("3.14159", [(t.FLOAT, "3.14159")]),
        ("3.", [(t.FLOAT, "3.")]),
        (".3", [(t.FLOAT, ".3")]),
        ("1.e5 2.5e-3 3.14E+10", [(t.FLOAT, "1.e5"), (t.FLOAT, "2.5e-3"), (t.FLOAT, "3.14E+10")]),
        ("1e5", [(t.INT, "1"), (t.LOWER, "e5")]),
        ("1.5e", [(t.FLOAT, "1.5"), (t.LOWER, "e")]),
        ("1.5.2", [(t.FLOAT, "1.5"), (t.FLOAT, ".2")]),
        ("0x1F", [(t.BYTES, "0x1F")]),
        ("0x", [(t.INT, "0"), (t.LOWER, "x")]),
        ("0xag", [(t.BYTES, "0xa"), (t.LOWER, "g")]),
        ("3==4", [(t.INT, "3"), (t.COMPARE, "=="), (t.INT, "4")]),
        ("a<=b", [(t.LOWER, "a"), (t.COMPARE, "<="), (t.LOWER, "b")]),
        ("a=<b", [(t.LOWER, "a"), ("=", "="), (t.COMPARE, "<"), (t.LOWER, "b")]),
        ("=>=", [(t.ARROW, "=>"), ("=", "=")]),
        ("===", [(t.COMPARE, "=="), ("=", "=")]),
        ("+-*/", [(t.ADD, "+"), (t.ADD, "-"), (t.MULTIPLY, "*"), (t.MULTIPLY, "/")]),
        ("a.b", [(t.LOWER, "a"), (".", "."), (t.LOWER, "b")]),
        ("a.5", [(t.LOWER, "a"), (t.FLOAT, ".5")]),
        ("_", [(t.BLANK, "_")]),
        ("(_,a)", [("(", "("), (t.BLANK, "_"), (",", ","), (t.LOWER, "a"), (")", ")")]),
        ('{"a":[1]}', [("{", "{"), (t.STRING, "a"), (":", ":"), ("[", "["), (t.INT, "1"), ("]", "]"), ("}", "}")]),
        ('"" "a"', [(t.STRING, ""), (t.STRING, "a")]),
        ('"\\\\", "b"', [(t.STRING, "\\"), (",", ","), (t.STRING, "b")]),
        ('"first\nsecond"', [(t.STRING, "first\nsecond")]),
        (" \t\r\n\fa ", [(t.LOWER, "a")]),
        ("", []),
    ],
)
def test_a_text_falls_into_the_pieces_of_the_collector(text: str, expected: list[tuple[str, str]]) -> None:
    assert pieces(text) == expected


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("nil not or and true false", [t.NIL, t.NOT, t.OR, t.AND, t.BOOL, t.BOOL]),
        ("android oreo nothing nils true_ or1", [t.LOWER] * 6),
        ("NOT AND", [t.UPPER, t.UPPER]),
        ("nilX", [t.LOWER, t.UPPER]),
        ("Xor", [t.UPPER, t.OR]),
        ("nil(", [t.NIL, "("]),
    ],
)
def test_a_reserved_word_is_one_only_when_no_word_goes_on_behind_it(text: str, kinds: list[str]) -> None:
    assert [kind for kind, _ in pieces(text)] == kinds


def test_every_token_knows_its_place() -> None:
    text = ' set(a,\n "x\\n")'
    tokens, _ = tokenize(text)
    written = [text[start:end] for start, end in zip(tokens.starts, tokens.ends, strict=True)]
    assert written == ["set", "(", "a", ",", '"x\\n"', ")", ""]
    assert tokens.starts[-1] == len(text)


def test_the_end_stands_behind_the_last_token_and_not_behind_blanks() -> None:
    tokens, _ = tokenize("a  \n")
    assert (tokens.starts[-1], tokens.ends[-1]) == (1, 1)


@pytest.mark.parametrize(
    ("inner", "value"),
    [
        ("plain", "plain"),
        (r"\a\b\f\n\r\t\v\\\"", '\a\b\f\n\r\t\v\\"'),
        (r"\x41\xff", "A\xff"),
        (r"\u00e9\U0001F600", "é\U0001f600"),
        (r"\101\377", "A\xff"),
        (r"a\\d+", r"a\d+"),
        (r"\\\\", r"\\"),
    ],
)
def test_escapes_stand_for_what_go_reads(inner: str, value: str) -> None:
    assert unquote(inner) == value


@pytest.mark.parametrize(
    ("inner", "place"),
    [
        (r"\d", (0, 2)),
        (r"ab\S", (2, 4)),
        (r"\'", (0, 2)),
        (r"\x4", (0, 2)),
        (r"\u12", (0, 2)),
        (r"\ud800", (0, 6)),
        (r"\U00110000", (0, 10)),
        (r"\U99999999", (0, 10)),
        (r"\1", (0, 2)),
        (r"\400", (0, 4)),
        (r"\n\q", (2, 4)),
    ],
)
def test_an_escape_that_go_refuses_is_refused_where_it_stands(inner: str, place: tuple[int, int]) -> None:
    assert unquote(inner) == place


@pytest.mark.parametrize(
    ("text", "code", "marked", "message", "hint"),
    [
        ("a['x']", "GS1003", "'x'", "single quotes", 'write "x"'),
        ("a[`x`]", "GS1003", "`x`", "backticks", 'write "x"'),
        ("set(a, “x”)", "GS1003", "“x”", "another character", 'write "x"'),
        (r"IsMatch(a, '\d')", "GS1003", r"'\d'", "single quotes", 'write "…"'),
        ("a == 'it", "GS1003", "'", "single quotes", 'write "…"'),
        ('a == "x', "GS1004", '"', "not closed", 'write " at its end'),
        ('a == "x\\"', "GS1004", '"', "not closed", "the last quote is escaped"),
        ('"\\" + a', "GS1004", '"', "not closed", "quote inside the string"),
        ('"\\d+"', "GS1005", "\\d", "no escape", "write \\\\d"),
        ('"\\u12"', "GS1005", "\\u", "no escape", "4 hexadecimal digits"),
        ('"\\1"', "GS1005", "\\1", "no escape", "three octal digits"),
        ('"\\\'"', "GS1005", "\\'", "no escape", "needs no backslash"),
        ("a && b", "GS1002", "&&", "no operator", "write and"),
        ("a || b", "GS1002", "||", "no operator", "write or"),
        ("!a", "GS1002", "!", "no operator", "write not"),
        ("a % 2", "GS1002", "%", "no operator", "remainder"),
        ('a =~ "x"', "GS1002", "=~", "no operator", "IsMatch"),
        ('a !~ "x"', "GS1002", "!~", "no operator", "not IsMatch"),
        ("a # b", "GS1002", "#", "no comments", "YAML"),
        ("set(a, 1); set(b, 2)", "GS1002", ";", "one statement", "entry of its own"),
        ("$a", "GS1002", "$", "no place", "without a mark"),
        ("größe == 1", "GS1002", "größe", "names have the letters", "in a string"),
        ("a ≠ 1", "GS1002", "≠", "no place outside a string", "write !="),
        ("a – 1", "GS1002", "–", "no place outside a string", "write -"),
        ("a\u00a0== 1", "GS1002", "\u00a0", "no ordinary space", "write a space"),
        ("a \x00", "GS1002", "\x00", "no place outside", ""),
        ("_a", "GS1002", "_a", "cannot begin with _", ""),
        ("1_000", "GS1002", "_000", "no _ in a number", "without it"),
        ("a \\", "GS1002", "\\", "outside a string", "next line"),
    ],
)
def test_a_wrong_character_says_what_was_meant(text: str, code: str, marked: str, message: str, hint: str) -> None:
    finding = refused(text)[0]
    assert (finding.code, text[finding.start : finding.end]) == (code, marked)
    assert message in finding.message
    assert hint in finding.hint


def test_several_wrong_characters_are_reported_at_once_but_not_those_in_strings() -> None:
    text = "a == 'x' && b != \"'&&'\" || !c"
    assert [text[one.start : one.end] for one in refused(text)] == ["'x'", "&&", "||", "!"]


def test_what_follows_a_comment_sign_is_not_judged() -> None:
    assert len(refused("a == 1 # don't && won't")) == 1


def test_a_flood_of_wrong_characters_gives_few_findings() -> None:
    assert len(refused("&& " * 1000)) == 5
