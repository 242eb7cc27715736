"""Globs, layouts, networks, grok patterns, XPath, encodings, zones: what the Collector's own libraries take."""

from __future__ import annotations

import pytest

from gitsync.ottl.literals.encoding import encoding_problem
from gitsync.ottl.literals.glob import glob_problem
from gitsync.ottl.literals.grok import grok_problem, read_definitions
from gitsync.ottl.literals.layout import layout_hint, layout_problem
from gitsync.ottl.literals.network import network_problem
from gitsync.ottl.literals.xpath import LONGEST, xpath_problem
from gitsync.ottl.literals.zones import LOCALES, ZONES


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "*",
        "/user/*/list/*",
        "a?c",
        "{a,b}",
        "{a",
        "a}",
        "[a-z]",
        "[!a-z]",
        "[abc]",
        r"\[",
        r"[\]]",
        "[^a]",
        "[[]",
    ],
)
def test_these_are_globs(pattern: str) -> None:
    assert glob_problem(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("[", "not closed"),
        ("[a", "not closed"),
        ("[a-z", "not closed"),
        ("[a-]", "not closed"),
        ("a[b-", "not closed"),
        ("[\\]", "not closed"),
        ("[]", "nothing between"),
        ("[!]", "nothing between"),
        ("[z-a]", "before it begins"),
        ("[a-zA-Z]", "two characters"),
        ("\ufffd", "broken text"),
    ],
)
def test_these_are_no_globs(pattern: str, words: str) -> None:
    assert words in (glob_problem(pattern) or "")


@pytest.mark.parametrize(
    "layout", ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S.%L%z", "%d/%b/%Y %T,%f", "Z", "%%", "%e %c", "100%"[3:]]
)
def test_these_are_layouts(layout: str) -> None:
    assert layout_problem(layout) is None


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ("", "empty"),
        ("2006-01-02", "digits"),
        ("%Y-%m-%d %H:%M:%S %L", "dot or a comma"),
        ("%Q", '"%Q"'),
        ("%E", '"%E"'),
        ("%G-%v", '"%G"'),
    ],
)
def test_these_are_no_layouts(layout: str, words: str) -> None:
    assert words in (layout_problem(layout) or "")


def test_layouts_of_other_languages_are_recognised() -> None:
    assert "Go's way" in layout_hint("2006-01-02")
    assert "Java's way" in layout_hint("yyyy-MM-dd")
    assert "%Y" in layout_hint("%Q")


@pytest.mark.parametrize(
    "network", ["10.0.0.0/8", "10.1.2.3/8", "::/0", "2001:db8::/32", "0.0.0.0/0", "::ffff:1.2.3.4/96"]
)
def test_these_are_networks(network: str) -> None:
    assert network_problem(network) is None


@pytest.mark.parametrize(
    "network",
    [
        "",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0/8",
        "::/129",
        "a/8",
        "1.2.3.4/-1",
        "1.2.3.4/8/8",
        "fe80::1%eth0/64",
    ],
)
def test_these_are_no_networks(network: str) -> None:
    assert "is no network" in (network_problem(network) or "")


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "%{IP:client} %{IP:server}",
        "%{WORD} %{WORD}",
        "%{NUMBER:n:int}",
        "%{WORD",
        "%{A B}",
        "%{HTTPD_COMBINEDLOG}",
        "%{MY:a.b}",
    ],
)
def test_these_are_grok_patterns(pattern: str) -> None:
    assert grok_problem(pattern, {"MY": "[a-z]+"}, named_only=False) is None


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("%{NOPE}", '"NOPE"'),
        ("%{word}", '"word"'),
        ("(", "missing"),
        ("%{WORD:a+b}", "group"),
        ("%{OWN}", "uses itself"),
        ("%{BAD:x}", "missing"),
        ("%{CISCOFW733100}", "cannot be used"),
        ("%{TWICE}", "uses itself"),
    ],
)
def test_these_are_no_grok_patterns(pattern: str, words: str) -> None:
    own = {"OWN": "a%{OWN}", "BAD": "(", "TWICE": "%{TWICE}%{TWICE}"}
    problem = grok_problem(pattern, own, named_only=False)
    assert problem is not None
    assert words in problem[0]


def test_a_near_grok_pattern_is_named() -> None:
    assert grok_problem("%{IPADDR}%{GREEDY_DATA}", {"IPADDR": "."}, named_only=False) == (
        'there is no grok pattern "GREEDY_DATA"',
        'did you mean "GREEDYDATA"?',
    )


def test_a_grok_pattern_that_is_too_much_to_fill_in_is_not_judged() -> None:
    chain = {f"A{number}": f"%{{A{number + 1}}}" for number in range(200)} | {"A200": "("}
    assert grok_problem("%{A0}", chain, named_only=False) is None
    doubling = {f"B{number}": f"%{{B{number + 1}}}" * 2 for number in range(40)} | {"B40": "x"}
    assert grok_problem("%{B0}", doubling, named_only=False) is None


def test_named_captures_only_needs_a_name_somewhere() -> None:
    assert grok_problem("%{WORD}", {}, named_only=True) is not None
    assert grok_problem("%{WORD:a}", {}, named_only=True) is None
    assert grok_problem("%{SYSLOGBASE}", {}, named_only=True) is None
    assert grok_problem("(?P<a>x)", {}, named_only=True) is None


def test_definitions_are_split_at_the_first_equals_sign() -> None:
    assert read_definitions(["A=b=c", "D="]) == {"A": "b=c", "D": ""}
    assert "NAME=pattern" in str(read_definitions(["A"]))
    assert "colon" in str(read_definitions(["A:b=c"]))


@pytest.mark.parametrize(
    "expression",
    [
        "/", "/a/b", "//a[@b='c']/text()", "//*[local-name()=\"x\"]", "//@*", "..", "a | b", "count(//a) > 1", "-1 + 2",
        "a:b/c:*", "child::a", "processing-instruction('x')", "(//a)[1]", "a]", "//a[contains(text(), 'x')][2]", "a!",
        "é/ü", "a/(b,c)",
        "substring-before(a, 'b')", "a" * (LONGEST + 1), "(" * 100 + "a" + ")" * 100, "not(a) and b or c",
    ],
    ids=lambda one: one[:20],
)  # fmt: skip
def test_these_are_xpath_expressions_or_not_judged(expression: str) -> None:
    assert xpath_problem(expression) is None


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "empty"),
        ("//", "ends where"),
        ("//a[", "ends where"),
        ("//a[1", '"]" is missing'),
        ("//a['x", "not closed"),
        ("foo(a)", 'no function "foo"'),
        ("foo::a", 'no axis "foo"'),
        ("$x", "no variables"),
        ("{", '"{" means nothing'),
        ("concat(a)", "2 arguments"),
        ("contains(a b)", '"," is missing'),
        ("text(", '")" is missing'),
        ("a/", "ends where"),
        ("[a]", "a name should stand"),
    ],
)
def test_these_are_no_xpath_expressions(expression: str, words: str) -> None:
    assert words in (xpath_problem(expression) or "")


def test_encodings_are_known_by_their_names() -> None:
    for name in ("base64", "base64-raw-url", "utf-8", "UTF8", "", "ISO-8859-1", "shift_jis", " gbk "):
        assert encoding_problem(name) is None
    assert encoding_problem("base32") == 'there is no text encoding "base32"'
    assert encoding_problem("BASE64")


def test_zones_and_locales_are_known() -> None:
    assert {"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "US/Pacific", "EST5EDT"} <= ZONES
    assert "Europe/Nowhere" not in ZONES
    assert {"en", "en-US", "de", "zh-Hans-CN"} <= LOCALES
