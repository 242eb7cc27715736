"""Regular expressions: what Go takes and refuses, where RE2 alone would say something else."""

from __future__ import annotations

import pytest

from gitsync.ottl.literals.regex import LONGEST, read_regex

RIGHT = [
    r"^/api/v\d+/users$",
    r"(?i)password",
    r"(?P<user>\w+)@(?<host>\w+)",
    r"\pN+\p{Greek}\P{Lu}",
    r"\p{Letter}",
    r"\p{greek}",
    r"\p{Uppercase_Letter}",
    r"[\p{ASCII}]",
    r"a\z",
    r"\Qa(b\E",
    r"\Q\C\E",
    r"[[:word:]-]",
    r"(?ims-U)a",
    r"a{1000}",
    r"(?:a{10}){100}",
    r"é+",
    "",
    "|",
    "(?P<n>a)(?P<n>b)",
    "(" * 900 + ")" * 900,
    "[(]" * 1200,
    "[\\pL]{1000}",
]
WRONG = [
    r"(?=a)",
    r"(?!a)",
    r"(?<=a)b",
    r"(?<!a)b",
    r"(a)\1",
    r"a++",
    r"(?>a)",
    r"\C",
    r"\Z",
    r"(?P<é>a)",
    r"(?P<a b>c)",
    r"\p{Foo}",
    r"a{1001}",
    r"(a{100}){100}",
    r"a{99999999999}",
    "*",
    "a**",
    "(",
    ")",
    "[",
    "[z-a]",
    "\\",
    r"\8",
    "(" * 1001 + ")" * 1001,
]


@pytest.mark.parametrize("pattern", RIGHT, ids=lambda one: one[:20])
def test_what_go_compiles_is_right(pattern: str) -> None:
    assert read_regex(pattern).problem == ""


@pytest.mark.parametrize("pattern", WRONG, ids=lambda one: one[:20])
def test_what_go_refuses_is_refused(pattern: str) -> None:
    assert read_regex(pattern).problem


def test_the_names_of_groups_are_known() -> None:
    assert read_regex(r"(?P<a>x)(?<b>y)(z)").names == {"a", "b"}


def test_a_pattern_that_is_too_large_to_compile_is_not_judged() -> None:
    assert not read_regex("a" * (LONGEST + 1)).known
    assert read_regex("(" * (LONGEST + 1)).problem == ""
    assert not read_regex(r"[\pL]{1000}").known


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(?=a)", "lookahead"),
        ("(?<!a)b", "lookbehind"),
        (r"(a)\1", "backreferences"),
        ("a++", "possessive"),
        ("*.log", ".*"),
        (r"a\Z", r"\z"),
    ],
)
def test_the_hint_names_what_other_dialects_have(pattern: str, words: str) -> None:
    assert words in read_regex(pattern).hint


def test_the_part_that_is_wrong_is_quoted() -> None:
    assert read_regex("[z-a]").problem == 'the regular expression is wrong: invalid character class range "z-a"'
