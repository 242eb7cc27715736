"""Trees of OTTL: what is accepted, how it is read, where each part stands; and what is said about the rest."""

import dataclasses
from typing import cast

import pytest

from gitsync.diagnostics import Severity
from gitsync.ottl.finding import Finding
from gitsync.ottl.parser import parse
from gitsync.ottl.tree import (
    Arithmetic,
    Boolean,
    Bytes,
    Call,
    Comparison,
    Condition,
    Field,
    Float,
    Integer,
    Items,
    Kind,
    Lambda,
    Logic,
    Name,
    Nil,
    Node,
    Not,
    Pairs,
    Path,
    Signed,
    Statement,
    Text,
    Value,
)
from tests.support.ottl_writer import write


def statement(text: str) -> Statement:
    return cast("Statement", accepted(text, "statement"))


def condition(text: str) -> Condition:
    return cast("Condition", accepted(text, "condition"))


def value(text: str) -> Value:
    return cast("Value", accepted(text, "value"))


def accepted(text: str, kind: Kind) -> Node:
    parsed = parse(text, kind)
    assert parsed.findings == ()
    assert parsed.root is not None
    return parsed.root


def refused(text: str, kind: Kind) -> Finding:
    parsed = parse(text, kind)
    assert parsed.root is None
    assert all(one.severity is Severity.ERROR for one in parsed.findings)
    return parsed.findings[0]


def brackets(node: object) -> object:
    """Conditions and arithmetic as nested tuples; everything else as it is written."""
    match node:
        case Logic(operator=operator, conditions=conditions):
            return (operator, *map(brackets, conditions))
        case Not(condition=inner):
            return ("not", brackets(inner))
        case (
            Comparison(operator=operator, left=left, right=right)
            | Arithmetic(operator=operator, left=left, right=right)
        ):
            return (operator, brackets(left), brackets(right))
        case Signed(sign=sign, value=inner):
            return (sign, brackets(inner))
    return write(cast("Node", node))


# values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"a\\tb"', Text(0, 6, "a\tb")),
        ("10", Integer(0, 2, 10)),
        ("010", Integer(0, 3, 8)),
        ("00", Integer(0, 2, 0)),
        ("9223372036854775807", Integer(0, 19, 2**63 - 1)),
        ("0777777777777777777777", Integer(0, 22, 2**63 - 1)),
        ("1.5", Float(0, 3, 1.5)),
        (".5e1", Float(0, 4, 5.0)),
        ("1.0e-999", Float(0, 8, 0.0)),
        ("true", Boolean(0, 4, True)),
        ("false", Boolean(0, 5, False)),
        ("nil", Nil(0, 3)),
        ("0xaB01", Bytes(0, 6, b"\xab\x01")),
        ("FOO_1", Name(0, 5, "FOO_1")),
        ("-1", Signed(0, 2, "-", Integer(1, 2, 1))),
        ("[]", Items(0, 2, ())),
        ("{}", Pairs(0, 2, ())),
    ],
)
def test_a_literal_stands_for_its_value(text: str, expected: Node) -> None:
    assert value(text) == expected


def test_a_path_has_fields_with_their_keys() -> None:
    path = value('span.attributes["a"][0][b.c]')
    assert isinstance(path, Path)
    assert [(one.name, write(Path(0, 0, (one,)))) for one in path.fields] == [
        ("span", "span"),
        ("attributes", 'attributes["a"][0][b.c]'),
    ]


def test_a_call_has_arguments_by_place_and_by_name_and_keys() -> None:
    call = value('Is Match(a, pattern = "x", fnName=Sha256)["k"]')
    assert isinstance(call, Call)
    assert call.name == "IsMatch"
    assert [one.name for one in call.arguments] == [None, "pattern", "fnName"]
    assert isinstance(call.arguments[2].value, Name)
    assert call.arguments[2].value.name == "Sha256"
    assert len(call.keys) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", ("+", "1", ("*", "2", "3"))),
        ("1 - 2 - 3", ("-", ("-", "1", "2"), "3")),
        ("8 / 4 / 2", ("/", ("/", "8", "4"), "2")),
        ("(1 + 2) * 3", ("*", ("+", "1", "2"), "3")),
        ("1 * (2 + 3)", ("*", "1", ("+", "2", "3"))),
        ("1 - -2", ("-", "1", ("-", "2"))),
        ("-a * 2", ("*", ("-", "a"), "2")),
        ("-(1 + 2)", ("-", ("+", "1", "2"))),
        ("-(-1)", ("-", ("-", "1"))),
        ("A() + b.c[0] / 1.5", ("+", "A()", ("/", "b.c[0]", write(Float(0, 0, 1.5))))),
        ("((a))", "a"),
    ],
)
def test_products_bind_tighter_than_sums_and_both_lean_to_the_left(text: str, expected: object) -> None:
    assert brackets(value(text)) == expected


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("[1, 2, 3]", 3),
        ("[1 2, 3]", 3),
        ("[, 1]", 1),
        ("[a [1, 2]]", 2),
        ("[a[1] b[2]]", 2),
        ("[a [1 2] [3, 4], [5]]", 4),
        ('["a" - 1]', 2),
        ("[FOO BAR]", 2),
        ("[foo (_) => 1]", 2),
        ("[FOO (_, a) => a]", 2),
        ("[(x) => (y == 1) +2]", 2),
    ],
)
def test_a_list_may_lack_commas_up_to_the_first_one(text: str, count: int) -> None:
    items = value(text)
    assert isinstance(items, Items)
    assert len(items.items) == count


@pytest.mark.parametrize("text", ['{"a": 1, "b": [2]}', '{"a": 1 "b": [2],}', '{ "a" :1\n"b":[2] }'])
def test_a_map_may_lack_commas_and_may_end_with_one(text: str) -> None:
    pairs = value(text)
    assert isinstance(pairs, Pairs)
    assert [one.key.value for one in pairs.pairs] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "parameters", "body"),
    [
        ("() => 1", [], Integer),
        ("(a, _) => a * 2", ["a", "_"], Arithmetic),
        ("(_, _) => nil", ["_", "_"], Nil),
        ("(a) => a == 1", ["a"], Comparison),
        ("(a) => (a == 1) and true", ["a"], Logic),
        ("(a) => not a == 1", ["a"], Not),
        ("(a) => (a) + 1", ["a"], Arithmetic),
        ("(a) => IsInt(a)", ["a"], Call),
        ("(a) => (IsInt(a))", ["a"], Call),
        ("(a) => (b) => 1 == 2 == 3", ["a"], Comparison),
    ],
)
def test_a_lambda_gives_a_value_or_whether_something_holds(text: str, parameters: list[str], body: type[Node]) -> None:
    found = value(text)
    assert isinstance(found, Lambda)
    assert [one.name for one in found.parameters] == parameters
    assert isinstance(found.body, body)


# conditions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a == 1", ("==", "a", "1")),
        ("true", "true"),
        ("IsInt(a)", "IsInt(a)"),
        ("a == 1 or b == 2 and true", ("or", ("==", "a", "1"), ("and", ("==", "b", "2"), "true"))),
        ("true and false and true", ("and", "true", "false", "true")),
        ("true or false or true", ("or", "true", "false", "true")),
        ("(true or false) and true", ("and", ("or", "true", "false"), "true")),
        ("true and (false and true)", ("and", "true", ("and", "false", "true"))),
        ("not true and false", ("and", ("not", "true"), "false")),
        ("not (true and false)", ("not", ("and", "true", "false"))),
        ("not a == 1", ("not", ("==", "a", "1"))),
        ("not (not true)", ("not", ("not", "true"))),
        ("((a == 1))", ("==", "a", "1")),
        ("(a) == 1", ("==", "a", "1")),
        ("((a) + 1) * 2 == 4", ("==", ("*", ("+", "a", "1"), "2"), "4")),
        ("(A(1)) and true", ("and", "A(1)", "true")),
        ("(A(1)) == 2", ("==", "A(1)", "2")),
        ("true == false", ("==", "true", "false")),
        ("nil != [1]", ("!=", "nil", "[1]")),
        ("where == 1", ("==", "where", "1")),
    ],
)
def test_and_binds_tighter_than_or_and_not_tighter_than_and(text: str, expected: object) -> None:
    assert brackets(condition(text)) == expected


def test_a_statement_is_an_editor_with_a_condition_perhaps() -> None:
    assert statement("set(a, 1)").condition is None
    root = statement("delete key(\n  a,\n  where)\nwhere where == 1")
    assert root.editor.name == "deletekey"
    assert isinstance(root.condition, Comparison)


# places


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'set(span.attributes["a"], Len(b)[0]) where not (c == 1 or true)',
            {
                "Statement": ['set(span.attributes["a"], Len(b)[0]) where not (c == 1 or true)'],
                "Call": ['set(span.attributes["a"], Len(b)[0])', "Len(b)[0]"],
                "Argument": ['span.attributes["a"]', "Len(b)[0]", "b"],
                "Path": ['span.attributes["a"]', "b", "c"],
                "Field": ["span", 'attributes["a"]', "b", "c"],
                "Key": ['["a"]', "[0]"],
                "Not": ["not (c == 1 or true)"],
                "Logic": ["c == 1 or true"],
                "Comparison": ["c == 1"],
            },
        ),
        (
            'set(x=(1 + a) * -2, {"k": [nil, 0xab]}) where (b) == 1.5 and IsX( (q) => q )',
            {
                "Argument": ["x=(1 + a) * -2", '{"k": [nil, 0xab]}', "(q) => q"],
                "Arithmetic": ["(1 + a) * -2", "1 + a"],
                "Signed": ["-2"],
                "Pairs": ['{"k": [nil, 0xab]}'],
                "Pair": ['"k": [nil, 0xab]'],
                "Items": ["[nil, 0xab]"],
                "Comparison": ["(b) == 1.5"],
                "Logic": ["(b) == 1.5 and IsX( (q) => q )"],
                "Lambda": ["(q) => q"],
                "Name": ["q"],
            },
        ),
    ],
)
def test_every_node_knows_its_place(text: str, expected: dict[str, list[str]]) -> None:
    found: dict[str, list[str]] = {}

    def visit(node: object) -> None:
        if isinstance(node, tuple):
            for one in node:
                visit(one)
        elif isinstance(node, Node):
            found.setdefault(type(node).__name__, []).append(text[node.start : node.end])
            for one in dataclasses.fields(node):
                visit(getattr(node, one.name))

    visit(statement(text))
    assert {name: found[name] for name in expected} == expected


def test_the_end_of_a_name_is_known_apart_from_keys_and_arguments() -> None:
    text = 'Is Int(a["b"])["c"]'
    call = value(text)
    assert isinstance(call, Call)
    assert text[: call.name_end] == "Is Int"
    field = cast("Path", call.arguments[0].value).fields[0]
    assert isinstance(field, Field)
    assert text[field.start : field.name_end] == "a"


# refusals: the text, what is marked, and words of message and hint

STATEMENTS = [
    ("", "GS1001", "", "empty", "leave the entry out"),
    (" \n ", "GS1001", "", "empty", ""),
    ("Set(a, 1)", "GS1012", "Set", "begins with an editor", "write set("),
    ('DeleteKey(a, "x")', "GS1012", "DeleteKey", "gives a value", "write delete_key("),
    ("Concat([a])", "GS1012", "Concat", "gives a value", "set(target"),
    ("set", "GS1012", "set", "arguments of set are missing", "set("),
    ("a = 1", "GS1012", "=", "no assignment", "set(target, value)"),
    ('attributes["x"] == 1', "GS1012", "attributes", "begins with an editor", "make this a condition"),
    ("if a == 1", "GS1012", "if", "no word", "where condition"),
    ("where a == 1", "GS1012", "where", "no editor in front of where", "set(target"),
    ("// x", "GS1002", "//", "no comments", "YAML"),
    ("set(a, 1) // x", "GS1002", "//", "no comments", "YAML"),
    ("set(a, 1) a == 1", "GS1010", "a", "begins with where", "where"),
    ("set(a, 1) and true", "GS1010", "and", "begins with where", "where instead"),
    ("set(a, 1) if a == 1", "GS1010", "if", "no word", "write where"),
    ("set(a, 1) unless a == 1", "GS1010", "unless", "no word", "where not"),
    ("set(a, 1) WHERE true", "GS1010", "WHERE", "lower-case", "write where"),
    ("set(a, 1) set(b, 2)", "GS1010", "set", "second statement", "entry of its own"),
    ("set(a, 1) where true set(b, 2)", "GS1010", "set", "second statement", "entry of its own"),
    ("set(a, 1) where true where true", "GS1010", "where", "second where", "write and"),
    ("set(a, 1) where", "GS1008", "", "the text ends", ""),
    ("set(a, 1", "GS1009", "(", "not closed", "write )"),
    ("set(a, 1 where true)", "GS1009", "(", "in front of where", "write )"),
    ('set(a["x"), 1)', "GS1009", "[", "not closed in front of )", "write ]"),
    ("set(a, 1))", "GS1009", ")", "closes nothing", ""),
    ('set(a, 1)["x"]', "GS1014", "[", "no index behind an editor", "converters"),
    ("set(a, set(b, 1))", "GS1013", "set", "gives no value", "converter"),
    ("set(a, concat([b]))", "GS1013", "concat", "capital letter", '"Concat"'),
    ('set(a, is_match(b, "x"))', "GS1013", "is_match", "capital letter", '"IsMatch"'),
    ("set(a, 1,)", "GS1017", ",", "no comma behind the last argument", "leave the comma out"),
    ("set(a,, 1)", "GS1017", ",", "two commas", ""),
    ("set(, a)", "GS1017", ",", "no argument in front", ""),
    ("set(a 1)", "GS1017", "1", "comma is missing", "write a comma"),
    ('set(a["x"] = 1)', "GS1008", "=", "name of an argument", "write a comma"),
    ("set(a, b == 1)", "GS1008", "==", "comparison has no place", "behind where"),
    ("set(a, (b == 1))", "GS1008", "==", "comparison has no place", "not a value"),
    ("set(attributes.not, 1)", "GS1008", "not", "reserved word", 'attributes["not"]'),
    ("set(span.HttpMethod, 1)", "GS1008", "HttpMethod", "lower-case letters only", "http_method"),
    ("set(spanName, 1)", "GS1008", "spanName", "lower-case letters only", "span_name"),
    ("set(a.0, 1)", "GS1008", ".0", "no field", "[0]"),
    ("set(a., 1)", "GS1008", ",", "name of a field is expected", ""),
    ('set(a.["x"], 1)', "GS1008", "[", "without a point", ""),
]

CONDITIONS = [
    ("a", "GS1015", "a", "a path alone", "!= nil"),
    ('a["x"].b', "GS1015", 'a["x"].b', "a path alone", "== true"),
    ('"x"', "GS1015", '"x"', "a string alone", "compare"),
    ("not 1", "GS1015", "1", "a number alone", "compare"),
    ("true and (a)", "GS1015", "a", "alone is neither", "compare"),
    ("TRUE", "GS1015", "TRUE", "an enum alone", ""),
    ('("x") == 1', "GS1015", '"x"', "a string alone", ""),
    ("(true) == 1", "GS1008", "==", "no place here", ""),
    ("not not true", "GS1015", "not", "twice", "leave both out"),
    ("where true", "GS1015", "where", "does not begin with where", "leave where out"),
    ("true where true", "GS1010", "where", "has no where", ""),
    ("a == 1 b == 2", "GS1010", "b", "ends in front of", "and or or"),
    ("a = 1", "GS1011", "=", "does not compare", "write =="),
    ("a === 1", "GS1011", "===", "no comparison", "=="),
    ("a =< 1", "GS1011", "=<", "no comparison", "<="),
    ("a => 1", "GS1011", "=>", "lambda", ">="),
    ("a <> 1", "GS1008", "<>", "no comparison", "!="),
    ("1 < a < 2", "GS1008", "<", "cannot be chained", "and"),
    ("a == 1 AND b == 2", "GS1008", "AND", "no word", "write and"),
    ("a in [1]", "GS1008", "in", "no word", "ContainsValue"),
    ('a matches "x"', "GS1008", "matches", "no word", "IsMatch"),
    ("a is nil", "GS1008", "is", "no word", "=="),
    ("a exists", "GS1008", "exists", "no word", "!= nil"),
    ("a not in [1]", "GS1008", "not", "in front of a condition", "not ("),
    ("a == Nil", "GS1008", "Nil", "neither a path", "write nil"),
    ("a == None", "GS1008", "None", "neither a path", "write nil"),
    ("a == True", "GS1008", "True", "neither a path", "write true"),
    ('isMatch(a, "x")', "GS1013", "isMatch", "capital letter", '"IsMatch"'),
    ("set(a, 1) where true", "GS1013", "set", "head of a statement", "no place for a statement"),
    ("true or", "GS1008", "", "the text ends", ""),
    ("(a == 1", "GS1009", "(", "not closed", "write )"),
    ("a == 1)", "GS1009", ")", "closes nothing", ""),
    ("(a == 1]", "GS1009", "(", "in front of ]", "write )"),
    ('a + "x" == 1', "GS1016", '"x"', "not a string", "Concat"),
    ('"x" + a == 1', "GS1016", "+", "not with a string", "Concat"),
    ("a ** 2 == 4", "GS1002", "**", "no operator", "a * a"),
]

VALUES = [
    ("a b", "GS1010", "b", "the value ends", ""),
    ("[1, 2,]", "GS1017", ",", "last entry of a list", "leave the comma out"),
    ("[1, 2 3]", "GS1017", "3", "comma is missing", ""),
    ("[a", "GS1009", "[", "not closed", "write ]"),
    ("{b: 2}", "GS1008", "b", "key of a map is a string", '"b"'),
    ('{"a" = 2}', "GS1008", "=", "both sides of :", ""),
    ('{"a" 2}', "GS1008", "2", "both sides of :", ""),
    ("a[]", "GS1008", "[]", "nothing between", "[0]"),
    ("a[1 + 1]", "GS1008", "[1 + 1]", "does not begin with a number", "("),
    ("a[FOO]", "GS1008", "[FOO]", "an index is", ""),
    ("a[1, 2]", "GS1008", "[1, 2]", "an index is", ""),
    ("--1", "GS1016", "--", "one sign", "brackets"),
    ("1 - - - 1", "GS1016", "- -", "one sign", ""),
    ("1 + true", "GS1016", "true", "not true or false", ""),
    ("1 + FOO", "GS1016", "FOO", "not an enum", ""),
    ('("x")', "GS1016", '"x"', "not a string", "brackets out"),
    ("1e5", "GS1006", "1e5", "needs a point", "1.0e5"),
    ("5s", "GS1006", "5s", "no number", 'Duration("5s")'),
    ("0x", "GS1006", "0x", "no number", "hexadecimal"),
    ("0xabc", "GS1007", "0xabc", "two hexadecimal digits", "0x0abc"),
    ("089", "GS1006", "089", "octal", "write 89"),
    ("9223372036854775808", "GS1006", "9223372036854775808", "larger than", "with a point"),
    ("-9223372036854775808", "GS1006", "9223372036854775808", "larger than", "smallest integer"),
    ("1.5e400", "GS1006", "1.5e400", "largest float", ""),
    ("(a, a) => a", "GS1018", "a", "two parameters", "_"),
    ("(a) => (b) => 1", "GS1018", "(b) => 1", "cannot give back a lambda", "one lambda"),
    ("(a) => ", "GS1008", "", "the text ends", ""),
    ("_", "GS1008", "_", "stands where a value", ""),
]


@pytest.mark.parametrize(
    ("kind", "text", "code", "marked", "message", "hint"),
    [
        *(("statement", *one) for one in STATEMENTS),
        *(("condition", *one) for one in CONDITIONS),
        *(("value", *one) for one in VALUES),
    ],
)
def test_a_mistake_is_marked_where_it_stands_and_says_what_was_meant(
    kind: Kind, text: str, code: str, marked: str, message: str, hint: str
) -> None:
    finding = refused(text, kind)
    assert (finding.code, text[finding.start : finding.end]) == (code, marked)
    assert message in finding.message
    assert hint in finding.hint


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("set(a, 1,)", 8),
        ("set(a, 1))", 9),
        ("set(a, b = 1) where c = 1", 22),
        ("1 < a < 2", 6),
        ("set(a, [b, (c])", 11),
        ("set(a, 1) where ", 15),
    ],
)
def test_of_several_equal_characters_the_wrong_one_is_marked(text: str, start: int) -> None:
    assert refused(text, "condition" if text[0] == "1" else "statement").start == start


def test_wrong_characters_are_all_reported_before_the_order_of_the_rest_is_judged() -> None:
    parsed = parse("Set(a, 'x') && 'y'", "statement")
    assert [one.code for one in parsed.findings] == ["GS1003", "GS1002", "GS1003"]


@pytest.mark.parametrize("text", ['a "," b', '[1, ["("]]', '{"a": 1 ",": 2}', '["]", "["]', 'Split(a, ",")'])
def test_a_string_is_never_punctuation(text: str) -> None:
    parsed = parse(text, "value")
    assert (parsed.root is None) == (text == 'a "," b')


@pytest.mark.parametrize("text", ["Xor(a) == 1", "a == Foo or(1)"])
def test_a_reserved_word_inside_a_name_splits_it_as_the_collector_does(text: str) -> None:
    assert parse(text, "condition").root is None
