"""The bytes of compiled YAML: golden files pin them, because their digest decides what agents are offered."""

from pathlib import Path

import pytest

from gitsync.collector.document import Mapping, Node, parse_mapping
from gitsync.collector.emit import emit, same_tree

GOLDEN = Path(__file__).parent / "golden"


def read(data: bytes | str) -> Mapping:
    node, found = parse_mapping("c.yaml", data.encode() if isinstance(data, str) else data)
    assert found == ()
    assert node is not None
    return node


def value(text: str) -> Node:
    node = read(f"a: {text}").get("a")
    assert node is not None
    return node


@pytest.mark.parametrize("name", sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml")))
def test_compiled_yaml_is_the_golden_file_byte_for_byte(name: str) -> None:
    compiled = emit(read((GOLDEN / f"{name}.in.yaml").read_bytes()))
    assert compiled == (GOLDEN / f"{name}.out.yaml").read_bytes()
    assert emit(read(compiled)) == compiled


def test_there_are_golden_files() -> None:
    assert len(list(GOLDEN.glob("*.in.yaml"))) >= 3
    assert len(list(GOLDEN.glob("*.in.yaml"))) == len(list(GOLDEN.glob("*.out.yaml")))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("otlp", b"a: otlp"),
        ("'otlp'", b"a: otlp"),
        ("otlp/backup-2.x", b"a: otlp/backup-2.x"),
        ("/var/log", b"a: /var/log"),
        ("_x", b"a: _x"),
        ("'123'", b'a: "123"'),
        ("123", b"a: 123"),
        ("0.10", b"a: 0.10"),
        ("012", b"a: 012"),
        ("0x1F", b"a: 0x1F"),
        ("1_000", b"a: 1_000"),
        ("99999999999999999999999", b"a: 99999999999999999999999"),
        ("True", b"a: True"),
        ("'true'", b'a: "true"'),
        ("yes", b'a: "yes"'),
        ("y", b'a: "y"'),
        ("Off", b'a: "Off"'),
        ("oN", b"a: oN"),
        ("'null'", b'a: "null"'),
        ("'~'", b'a: "~"'),
        ("~", b"a: ~"),
        ("Null", b"a: Null"),
        ("", b"a:"),
        ("''", b'a: ""'),
        ("2024-01-31", b'a: "2024-01-31"'),
        ("1:30", b'a: "1:30"'),
        ("'0.0.0.0:4317'", b'a: "0.0.0.0:4317"'),
        ("${env:X}", b'a: "${env:X}"'),
        (".5", b"a: .5"),
        (".inf", b"a: .inf"),
        ("'.inf'", b'a: ".inf"'),
        ("'-x'", b'a: "-x"'),
        ("two words", b'a: "two words"'),
        ("käse", 'a: "käse"'.encode()),
        ('"\\U0001F600"', 'a: "😀"'.encode()),
        ('"a\\tb\\nc\\"d\\\\"', b'a: "a\\tb\\nc\\"d\\\\"'),
        ('"\\0\\x07\\x7f\\x85"', b'a: "\\u0000\\u0007\\u007f\\u0085"'),
        ('"\\u2028\\ufeff\\uffff"', b'a: "\\u2028\\ufeff\\uffff"'),
        ("{}", b"a: {}"),
        ("[]", b"a: []"),
        ("[[], {}, ~, [x, [w]]]", b"a:\n  - []\n  - {}\n  - ~\n  - - x\n    - - w"),
        ("[{b: 1, a: {c: 2}}, {d: }]", b"a:\n  - a:\n      c: 2\n    b: 1\n  - d:"),
        ("[~, '', ]", b'a:\n  - ~\n  - ""'),
    ],
)
def test_each_kind_of_value_has_one_text(text: str, line: bytes) -> None:
    tree = read(f"a: {text}")
    assert emit(tree) == line + b"\n"
    assert same_tree(read(emit(tree)), tree)


def test_an_empty_null_in_a_list_is_a_dash_alone() -> None:
    tree = read("a:\n  -\n  - - \n    - x\n")
    assert emit(tree) == b"a:\n  -\n  - -\n    - x\n"
    assert same_tree(read(emit(tree)), tree)


def test_an_empty_configuration_is_an_empty_map() -> None:
    assert emit(read("")) == b"{}\n"


def test_keys_follow_the_rule_for_strings_and_are_sorted_by_bytes() -> None:
    tree = read("{b: 1, B: 2, a/c: 3, a: 4, 8080: 5, 'on': 6, ä: 7, 𝄞: 8, ｡: 9, '': 10, a.b: 11}")
    assert emit(tree).decode().splitlines() == [
        '"": 10',
        '"8080": 5',
        "B: 2",
        "a: 4",
        "a.b: 11",
        "a/c: 3",
        "b: 1",
        '"on": 6',
        '"ä": 7',
        '"｡": 9',
        '"𝄞": 8',
    ]


@pytest.mark.parametrize("inner", ["1", "{b: 1, c: [x]}", "[x, {y: z}]", "{}", "~"])
def test_a_key_too_long_for_the_short_form_is_still_read_back(inner: str) -> None:
    key = "é" * 400 + "\\u2028" * 300
    tree = read(f'? "{key}"\n: {inner}\nz: [{{? "{key}" : {inner}, a: b}}]\n')
    assert b"? " in emit(tree)
    assert same_tree(read(emit(tree)), tree)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{a: 1, b: 2}", "{b: 2, a: 1}"),
        ("'x'", "x"),
        ("|-\n  x", "x"),
        ("[1, [2]]", "\n - 1\n - - 2"),
    ],
)
def test_trees_are_the_same_whatever_their_style_and_order(one: str, other: str) -> None:
    assert same_tree(value(one), value(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "'1'"),
        ("1", "1.0"),
        ("~", "null"),
        ("[1, 2]", "[2, 1]"),
        ("[1]", "[1, 1]"),
        ("{a: 1}", "{a: 1, b: 1}"),
        ("{a: 1, b: 1}", "{a: 1}"),
        ("{a: 1}", "{b: 1}"),
        ("{}", "[]"),
        ("[]", "''"),
    ],
)
def test_trees_that_differ_in_a_tag_or_a_text_differ(one: str, other: str) -> None:
    assert not same_tree(value(one), value(other))
    assert not same_tree(value(other), value(one))
