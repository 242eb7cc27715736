"""Reading YAML: what is accepted, what is refused, and what the message says."""

import math

import pytest

from gitsync.collector.document import (
    Limits,
    Mapping,
    Scalar,
    Sequence,
    parse_mapping,
    parse_yaml,
    scalar_value,
    to_python,
)
from gitsync.diagnostics import Severity


def read(text: str) -> Mapping:
    node, found = parse_mapping("c.yaml", text.encode())
    assert found == ()
    assert node is not None
    return node


def refused(data: bytes | str, limits: Limits | None = None) -> list[tuple[int, int, str]]:
    raw = data.encode() if isinstance(data, str) else data
    result = parse_yaml("c.yaml", raw, limits or Limits())
    assert result.node is None
    assert all(one.path == "c.yaml" and one.severity is Severity.ERROR for one in result.diagnostics)
    return [(one.line, one.column, one.code) for one in result.diagnostics]


def message(text: str) -> str:
    return str(parse_mapping("c.yaml", text.encode())[1][0])


def test_every_node_knows_its_line_and_column() -> None:
    root = read("a:\n  b: [x,\n      y]\n")
    inner = root.get("a")
    assert isinstance(inner, Mapping)
    items = inner.get("b")
    assert isinstance(items, Sequence)
    assert [(one.origin.line, one.origin.column) for one in items.items] == [(2, 7), (3, 7)]
    assert str(root.entries[0].key_origin) == "c.yaml:1:1"
    assert str(inner.entries[0].key_origin) == "c.yaml:2:3"
    assert str(items.origin) == "c.yaml:2:6"


def test_columns_count_characters_not_bytes() -> None:
    entry = read("{käse: 1, b: 2}").entry("b")
    assert entry is not None
    assert entry.key_origin.column == 11


def test_a_byte_order_mark_moves_no_column() -> None:
    node = parse_yaml("c.yaml", b"\xef\xbb\xbfa: 1").node
    assert isinstance(node, Mapping)
    assert node.entries[0].key_origin.column == 1


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "~", "null", "---\n...\n"])
def test_a_file_without_content_is_an_empty_map(text: str) -> None:
    assert read(text).entries == ()


@pytest.mark.parametrize(
    ("text", "tag", "value"),
    [
        ("true", "bool", True),
        ("True", "bool", True),
        ("FALSE", "bool", False),
        ("tRUE", "str", "tRUE"),
        ("on", "str", "on"),
        ("yes", "str", "yes"),
        ("n", "str", "n"),
        ("~", "null", None),
        ("NULL", "null", None),
        ("nULL", "str", "nULL"),
        ("0", "int", 0),
        ("-12", "int", -12),
        ("+12", "int", 12),
        ("0x1F", "int", 31),
        ("-0x10", "int", -16),
        ("0o17", "int", 15),
        ("017", "int", 15),
        ("00", "int", 0),
        ("0b101", "int", 5),
        ("1_000", "int", 1000),
        ("_1", "str", "_1"),
        ("089", "float", 89.0),
        ("0x", "str", "0x"),
        ("0o8", "str", "0o8"),
        ("1:30", "str", "1:30"),
        ("2024-01-31", "str", "2024-01-31"),
        ("18446744073709551615", "int", 2**64 - 1),
        ("18446744073709551616", "float", 2.0**64),
        ("-9223372036854775809", "float", -(2.0**63)),
        (".5", "float", 0.5),
        ("5.", "float", 5.0),
        ("0.10", "float", 0.1),
        ("1e3", "float", 1000.0),
        ("-1.5E-3", "float", -0.0015),
        ("1e999", "str", "1e999"),
        (".inf", "float", math.inf),
        ("-.INF", "float", -math.inf),
        (".", "str", "."),
        ("-", "str", "-"),
        ("+", "str", "+"),
        ("1.2.3", "str", "1.2.3"),
        ("10s", "str", "10s"),
        ("٣", "str", "٣"),
        ("9" * 5000, "str", "9" * 5000),
    ],
)
def test_a_plain_scalar_is_what_the_collector_reads(text: str, tag: str, value: object) -> None:
    node = read(f"a: [{text}]" if text != "-" else "a: ['-']").get("a")
    assert isinstance(node, Sequence)
    scalar = node.items[0]
    assert isinstance(scalar, Scalar)
    assert (scalar.tag, scalar.text) == (tag, text)
    assert scalar_value(scalar) == value
    assert type(scalar_value(scalar)) is type(value)


def test_not_a_number_is_a_float() -> None:
    node = read("a: .NaN").get("a")
    assert isinstance(node, Scalar)
    assert math.isnan(float(scalar_value(node) or 0))


@pytest.mark.parametrize("text", ["'5'", '"5"', "|-\n 5", ">-\n 5", "!!str 5", "! 5"])
def test_a_quoted_or_tagged_number_is_a_string(text: str) -> None:
    assert to_python(read(f"a: {text}")) == {"a": "5"}


def test_explicit_standard_tags_are_taken_when_they_fit() -> None:
    text = "a: !!int '3'\nb: !!map {c: !!null ''}\nd: !!seq [!!bool \"true\", !!float 1.5]\n"
    assert to_python(read(text)) == {"a": 3, "b": {"c": None}, "d": [True, 1.5]}


def test_keys_are_text_whatever_they_look_like() -> None:
    assert to_python(read("8080: a\ntrue: b\n1.50: c\n'': d\n")) == {
        "8080": "a",
        "true": "b",
        "1.50": "c",
        "": "d",
    }


def test_json_is_read_the_same_way() -> None:
    data = b'{\n\t"a": {"b": [1, 2.5, null, "x\\ty"]},\n\t"c": "\\/"\n}\n'
    node, found = parse_mapping("c.json", data)
    assert found == ()
    assert node is not None
    assert to_python(node) == {"a": {"b": [1, 2.5, None, "x\ty"]}, "c": "/"}


def test_an_alias_is_the_anchored_value_and_keeps_its_place() -> None:
    root = read("a: &x {p: 1}\nb: *x\nc: [*x]\n")
    assert root.get("b") is root.get("a")
    assert to_python(root) == {"a": {"p": 1}, "b": {"p": 1}, "c": [{"p": 1}]}


def test_an_anchor_may_be_given_again() -> None:
    assert to_python(read("a: &x 1\nb: *x\nc: &x 2\nd: *x\n")) == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_an_alias_may_be_a_key() -> None:
    assert to_python(read("a: &x name\n*x : 1\n")) == {"a": "name", "name": 1}


@pytest.mark.parametrize(
    ("text", "merged"),
    [
        ("b: &b {p: 1, q: 2}\na: {<<: *b, q: 3}", {"p": 1, "q": 3}),
        ("b: &b {p: 1, q: 2}\na: {q: 3, <<: *b}", {"p": 1, "q": 3}),
        ("b: &b {p: 1}\nc: &c {p: 2, r: 3}\na: {<<: [*b, *c]}", {"p": 1, "r": 3}),
        ("b: &b {p: 1}\nc: &c {<<: *b, r: 3}\na: {<<: *c}", {"p": 1, "r": 3}),
        ("a: {<<: {p: 1}, q: 2}", {"p": 1, "q": 2}),
        ("a: {'<<': 1}", {"<<": 1}),
        ("a: {<<: []}", {}),
    ],
)
def test_merge_keys_are_resolved_first_wins_and_own_keys_win(text: str, merged: object) -> None:
    value = to_python(read(text))
    assert isinstance(value, dict)
    assert value["a"] == merged


def test_a_merged_key_keeps_the_place_it_was_written_at() -> None:
    node = read("b: &b\n  p: 1\na:\n  <<: *b\n").get("a")
    assert isinstance(node, Mapping)
    assert str(node.entries[0].key_origin) == "c.yaml:2:3"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a:\n\tb: 1", [(2, 1, "GS0111")]),
        ("a:\n  - x\n\t- y", [(3, 1, "GS0111")]),
        ("a: |\n \tx\n\ty", [(2, 2, "GS0111")]),
        ("a:\n  b: 1\n c: 2", [(3, 2, "GS0111")]),
        ("a:\n  b: 1\n  - c", [(3, 3, "GS0111")]),
        ("- a\nb: 1", [(2, 1, "GS0111")]),
        ("a: b: c", [(1, 5, "GS0110")]),
        ("a: 1\n  b: 2", [(2, 4, "GS0110")]),
        ("a: 1\nfoo\nb: 2", [(2, 1, "GS0110")]),
        ('x: 1\na: "x\nb: 1\n', [(2, 4, "GS0112")]),
        ("a: 'x\n---\ny'\n", [(1, 4, "GS0112")]),
        ("a: [1, 2\nb: 3\n", [(1, 4, "GS0112")]),
        ("a: {x: 1\n", [(1, 4, "GS0112")]),
        ("a: 'it's'\n", [(1, 8, "GS0110")]),
        ("a: @x", [(1, 4, "GS0110")]),
        ("a: `x`", [(1, 4, "GS0110")]),
        ("a: %x", [(1, 4, "GS0110")]),
        ("a: *", [(1, 4, "GS0110")]),
        ("a: &", [(1, 4, "GS0110")]),
        ("a: !e!x 1", [(1, 4, "GS0110")]),
        ("a: !<x 1", [(1, 4, "GS0110")]),
        ('a: "\\d"', [(1, 5, "GS0110")]),
        ('a: "\\ud83d\\ude00"', [(1, 7, "GS0110")]),
        ("a: |x\n  b", [(1, 5, "GS0110")]),
        ("a: |0\n  b", [(1, 5, "GS0110")]),
        ("a: ]", [(1, 4, "GS0110")]),
        ("a: [1,,2]", [(1, 7, "GS0110")]),
        ("%YAML 2.0\n---\na: 1", [(1, 1, "GS0110")]),
        ("%YAML 1.2\na: 1", [(2, 1, "GS0110")]),
        ("%FOO\n---\na: 1", [(1, 5, "GS0110")]),
        ("a: - b", [(1, 4, "GS0110")]),
        ("a: 1\na: 2\nb: {c: 1, c: 2}", [(2, 1, "GS0113"), (3, 11, "GS0113")]),
        ("1: x\n'1': y", [(2, 1, "GS0113")]),
        ("a: {<<: {b: 1}, <<: {c: 1}}", [(1, 17, "GS0113")]),
        ("a: 1\n---\nb: 2", [(2, 1, "GS0114")]),
        ("a: 1\n---\n", [(2, 1, "GS0114")]),
        ("a: !foo 1\nb: !foo {}\nc: !!set {}", [(1, 4, "GS0115"), (2, 4, "GS0115"), (3, 4, "GS0115")]),
        ("a: !!int x", [(1, 4, "GS0115")]),
        ("a: !!seq {}", [(1, 4, "GS0115")]),
        ("a: !!python/object:os.system x", [(1, 4, "GS0115")]),
        ("a: {{ x }}", [(1, 5, "GS0116")]),
        ("? [a]\n: 1", [(1, 3, "GS0116")]),
        ("~: 1", [(1, 1, "GS0116")]),
        ("a: {<<: 1}", [(1, 9, "GS0117")]),
        ("a: {<<: [{}, x]}", [(1, 9, "GS0117")]),
        ("a: *x", [(1, 4, "GS0108")]),
        ("a: &x [*x]", [(1, 8, "GS0107")]),
        ("&x a: {b: &y {c: *y}}", [(1, 18, "GS0107")]),
        ("k" * 1025 + ": 1", [(1, 1026, "GS0110")]),
        ("? " + "k" * 1025 + "\n: 1", [(1, 3, "GS0119")]),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(text: str, found: list[tuple[int, int, str]]) -> None:
    assert refused(text) == found


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"a: \xe9", [(1, 4, "GS0101")]),
        (b"a: 1\r\nb: \xc3\xa4\xff", [(2, 5, "GS0101")]),
        ("a: 1".encode("utf-16"), [(0, 0, "GS0101")]),
        (b"a: \0", [(0, 0, "GS0102")]),
        (b"\x7fELF\x02\x01", [(1, 1, "GS0102")]),
        (b"a: 1\nb: \x1b[0m", [(2, 4, "GS0102")]),
        ("a: x\ufeffy".encode(), [(1, 5, "GS0102")]),
        (b"a: " + b"x" * (1 << 20), [(0, 0, "GS0103")]),
    ],
)
def test_what_is_no_text_is_refused_before_it_is_parsed(data: bytes, found: list[tuple[int, int, str]]) -> None:
    assert refused(data) == found


@pytest.mark.parametrize("text", ["hello", "- a\n- b", "5", "<html>"])
def test_the_top_of_a_configuration_must_be_a_map(text: str) -> None:
    node, found = parse_mapping("c.yaml", text.encode())
    assert node is None
    assert [one.code for one in found] == ["GS0118"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a:\n\tb: 1", "c.yaml:2:1: error GS0111: a tab is used for indentation (YAML allows spaces only)"),
        ("a: [1\n", 'this "[" is not closed: expected "," or "]" at 2:1'),
        ("b:\n  c: 1\n  c: 2", 'the key "c" is already defined in this map at line 2'),
        ("base: &base {}\na: *bse", 'did you mean "base"?'),
        ("a: {{ x }}", "templates like {{ name }} are not filled in"),
        ("a: 1\n---\nb: 1", "the Collector would ignore it silently"),
        ("a: !!set {}", 'the tag "!!set" is not supported'),
    ],
)
def test_messages_say_what_was_meant(text: str, words: str) -> None:
    assert words in message(text)


def test_a_flood_of_findings_is_counted_not_listed() -> None:
    result = parse_yaml("c.yaml", b"a: 1\n" * 1000)
    assert len(result.diagnostics) == 101
    assert result.diagnostics[-1].code == "GS0100"
    assert result.diagnostics[-1].message == "899 more findings are not shown"


def test_a_long_name_is_cut_and_control_characters_are_escaped_in_messages() -> None:
    long = "k" * 500
    assert "k" * 79 + "…" in message(f"{long}: 1\n{long}: 2")
    assert r'"a\x1bb"' in message('"a\\eb": 1\n"a\\eb": 2')


@pytest.mark.parametrize(
    ("limits", "fits", "too_much", "code"),
    [
        (Limits(depth=3), "[[[1]]]", "[[[[]]]]", "GS0104"),
        (Limits(depth=3), "- &a [[1]]\n- *a", "- &a [[1]]\n- [*a]", "GS0104"),
        (Limits(nodes=4), "[1, 2, 3]", "[1, 2, 3, 4]", "GS0105"),
        (Limits(expanded_nodes=6), "[&a [1], *a, 2]", "[&a [1], *a, *a]", "GS0106"),
        (Limits(expanded_bytes=60), "{a: xxxx}", "{a: &b xxxxxxxxxx, c: [*b, *b, *b]}", "GS0106"),
        (Limits(file_bytes=5), "a: 12", "a: 123", "GS0103"),
        (Limits(key_chars=2), "ab: 1", "abc: 1", "GS0119"),
    ],
)
def test_each_limit_holds_exactly(limits: Limits, fits: str, too_much: str, code: str) -> None:
    assert parse_yaml("c.yaml", fits.encode(), limits).diagnostics == ()
    assert refused(too_much, limits)[0][2] == code


def test_python_values_have_a_budget() -> None:
    root = read("a: [1, 2, 3]")
    assert to_python(root, 5) == {"a": [1, 2, 3]}
    with pytest.raises(ValueError, match="more than 4 values"):
        to_python(root, 4)


def test_get_tells_an_absent_key_from_a_null() -> None:
    root = read("a: ~\n")
    assert isinstance(root.get("a"), Scalar)
    assert root.get("b") is None
    assert root.entry("b") is None
    assert root.keys() == ("a",)


def test_a_file_that_ends_inside_brackets_says_where_it_ends() -> None:
    (found,) = parse_yaml("a.yaml", b"a: 1\nreceivers: [\n").diagnostics
    assert (found.code, found.line, found.column) == ("GS0112", 2, 12)
    assert "not closed" in found.message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": "b\\/c"}', (1, 7)),
        ('a: 1\nb: "\\\\\\/"', (2, 4)),
        ('{"a\\/b": 1}', (1, 2)),
        ("%YAML 1.2\n---\na: b\n", (1, 1)),
    ],
)
def test_what_only_the_collectors_parser_refuses_is_an_error_where_it_reads_the_file(
    text: str, place: tuple[int, int]
) -> None:
    assert parse_yaml("c.yaml", text.encode()).diagnostics == ()
    (found,) = parse_yaml("c.yaml", text.encode(), as_the_collector=True).diagnostics
    assert (found.code, (found.line, found.column), found.severity) == ("GS0110", place, Severity.ERROR)


@pytest.mark.parametrize("text", ['a: "b\\\\/c"', r"a: 'b\/c'", r"a: b\/c", "%YAML 1.1\n---\na: b\n"])
def test_the_collector_takes_a_backslash_before_a_slash_that_is_no_escape(text: str) -> None:
    assert parse_yaml("c.yaml", text.encode(), as_the_collector=True).diagnostics == ()
