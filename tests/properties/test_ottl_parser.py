"""Whatever the text, the parser gives a tree or findings inside the text; what a tree is written as gives that tree."""

import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitsync.ottl import tree
from gitsync.ottl.parser import parse
from gitsync.ottl.tree import Kind, Node
from tests.support.ottl_writer import write

KINDS: tuple[Kind, ...] = ("statement", "condition", "value")
WORDS = (
    *(
        "set",
        "a",
        "Foo",
        "FOO",
        "where",
        "not",
        "and",
        "or",
        "nil",
        "true",
        "_",
        "1",
        "1.5",
        "0xab",
        "0xa",
        '"x"',
        "'y'",
    ),
    *("(", ")", "[", "]", "{", "}", ",", ".", ":", "=", "==", "<", "=>", "+", "-", "*", "/", " ", "\n", "&&", "é", '"'),
)
RESERVED = {"nil", "not", "and", "or", "true", "false", "where"}

lower = st.from_regex(r"[a-z][a-z0-9_]{0,4}", fullmatch=True).filter(lambda name: name not in RESERVED)
upper = st.from_regex(r"[A-Z][A-Z0-9_]{0,3}", fullmatch=True)
capital = st.from_regex(r"[A-Z][a-z]{1,3}([A-Z][b-m]{1,3})?", fullmatch=True).filter(
    lambda name: not any(word in name for word in RESERVED)
)


@st.composite
def keys(draw: st.DrawFn, inner: st.SearchStrategy[Node]) -> tuple[tree.Key, ...]:
    texts = st.text(max_size=4).map(text_of)
    numbers = st.integers(0, 9).map(lambda value: tree.Integer(0, 0, value))
    return tuple(tree.Key(0, 0, one) for one in draw(st.lists(texts | numbers | inner, max_size=2)))


def text_of(value: str) -> tree.Text:
    return tree.Text(0, 0, value)


@st.composite
def paths(draw: st.DrawFn, inner: st.SearchStrategy[Node]) -> tree.Path:
    names = draw(st.lists(lower, min_size=1, max_size=3))
    return tree.Path(0, 0, tuple(tree.Field(0, 0, name, draw(keys(inner)), 0) for name in names))


@st.composite
def calls(draw: st.DrawFn, values: st.SearchStrategy[Node], numeric: st.SearchStrategy[Node]) -> tree.Call:
    arguments = draw(st.lists(st.tuples(st.none() | lower, values | capital.map(name_of)), max_size=3))
    made = tuple(tree.Argument(0, 0, name, value) for name, value in arguments)
    return tree.Call(0, 0, draw(capital), 0, made, draw(keys(numeric)))


def name_of(name: str) -> tree.Name:
    return tree.Name(0, 0, name)


plain_paths = paths(st.nothing())
leaves: st.SearchStrategy[Node] = st.one_of(
    st.integers(0, 2**63 - 1).map(lambda value: tree.Integer(0, 0, value)),
    st.integers(0, 10**6).map(lambda value: tree.Float(0, 0, value / 64)),
    plain_paths,
)
numerics: st.SearchStrategy[Node] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(tree.Signed, st.just(0), st.just(0), st.sampled_from("+-"), inner),
        st.builds(tree.Arithmetic, st.just(0), st.just(0), st.sampled_from("+-*/"), inner, inner),
        paths(inner.filter(lambda node: write(node)[0] not in "0123456789")),
        calls(inner, st.nothing()),
    ),
    max_leaves=4,
)
lambdas = st.builds(
    tree.Lambda,
    st.just(0),
    st.just(0),
    st.lists(lower | st.just("_"), max_size=2, unique=True).map(lambda names: tuple(map(name_of, names))),
    numerics,
)
values: st.SearchStrategy[Node] = st.recursive(
    st.one_of(
        st.text(max_size=5).map(text_of),
        st.booleans().map(lambda value: tree.Boolean(0, 0, value)),
        st.just(tree.Nil(0, 0)),
        st.binary(min_size=1, max_size=3).map(lambda value: tree.Bytes(0, 0, value)),
        upper.map(name_of),
        numerics,
        lambdas,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: tree.Items(0, 0, tuple(items))),
        st.lists(st.tuples(st.text(max_size=3).map(text_of), inner), max_size=2).map(
            lambda pairs: tree.Pairs(0, 0, tuple(tree.Pair(0, 0, key, value) for key, value in pairs))
        ),
        calls(inner, st.nothing()),
    ),
    max_leaves=4,
)
holds: st.SearchStrategy[Node] = st.recursive(
    st.one_of(
        st.builds(tree.Comparison, st.just(0), st.just(0), st.sampled_from(["==", "!=", "<", ">="]), numerics, values),
        st.booleans().map(lambda value: tree.Boolean(0, 0, value)),
        calls(values, numerics.filter(lambda node: write(node)[0] not in "0123456789")),
    ),
    lambda inner: st.one_of(
        inner.map(lambda node: tree.Not(0, 0, node)),
        st.builds(
            tree.Logic,
            st.just(0),
            st.just(0),
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=2, max_size=3).map(tuple),
        ),
    ),
    max_leaves=4,
)
statements = st.builds(
    tree.Statement,
    st.just(0),
    st.just(0),
    st.builds(
        tree.Call,
        st.just(0),
        st.just(0),
        lower,
        st.just(0),
        st.lists(values.map(lambda value: tree.Argument(0, 0, None, value)), max_size=3).map(tuple),
        st.just(()),
    ),
    st.none() | holds,
)


def shape(node: object) -> object:
    """A tree without its places."""
    if isinstance(node, tuple):
        return tuple(shape(one) for one in node)
    if not dataclasses.is_dataclass(node):
        return node
    fields = {one.name: getattr(node, one.name) for one in dataclasses.fields(node)}
    places = ("start", "end", "name_end")
    return (type(node).__name__, *(shape(value) for name, value in fields.items() if name not in places))


def assert_places(node: object, start: int, end: int) -> None:
    """Every node lies in its parent, and siblings in their order."""
    if isinstance(node, tuple):
        for one in node:
            assert_places(one, start, end)
            start = one.end
    elif isinstance(node, Node):
        assert start <= node.start < node.end <= end
        inside = node.start
        for one in dataclasses.fields(node):
            child = getattr(node, one.name)
            if isinstance(child, (Node, tuple)) and child:
                assert_places(child, inside, node.end)
                inside = (child[-1] if isinstance(child, tuple) else child).end


def check(text: str, kind: Kind) -> None:
    parsed = parse(text, kind)
    assert (parsed.root is None) == bool(parsed.findings)
    for one in parsed.findings:
        assert 0 <= one.start <= one.end <= len(text)
        assert "GS1001" <= one.code <= "GS1019"
        assert one.message
        assert one.message.isprintable()
        assert not one.message.endswith(".")
        assert one.hint.isprintable()
    assert list(parsed.findings) == sorted(parsed.findings)
    if parsed.root is not None:
        assert_places(parsed.root, 0, len(text))


@given(st.text(), st.sampled_from(KINDS))
@example("0¼À", "statement")
def test_any_text_gives_a_tree_or_findings_inside_the_text(text: str, kind: Kind) -> None:
    check(text, kind)


@given(st.lists(st.sampled_from(WORDS), max_size=25).map("".join), st.sampled_from(KINDS))
def test_any_row_of_words_gives_a_tree_or_findings_inside_the_text(text: str, kind: Kind) -> None:
    check(text, kind)


@given(statements, st.data())
def test_a_statement_that_is_cut_or_damaged_gives_findings_and_no_exception(root: Node, data: st.DataObject) -> None:
    text = write(root)
    at = data.draw(st.integers(0, len(text)))
    check(text[:at] + data.draw(st.sampled_from(("", *WORDS))) + text[at + data.draw(st.integers(0, 2)) :], "statement")


@pytest.mark.parametrize(("kind", "roots"), [("statement", statements), ("condition", holds), ("value", values)])
def test_what_a_tree_is_written_as_gives_the_same_tree(kind: Kind, roots: st.SearchStrategy[Node]) -> None:
    @given(roots)
    def round_trip(root: Node) -> None:
        text = write(root)
        parsed = parse(text, kind)
        assert parsed.findings == ()
        assert shape(parsed.root) == shape(root)
        assert_places(parsed.root, 0, len(text))

    round_trip()
