"""The place of a character inside a value, by example."""

import pytest

from gitsync.collector.document import Mapping, Node, Origin, Scalar, Sequence, parse_yaml
from gitsync.collector.expansion import expand
from gitsync.collector.places import place


def value(source: str) -> Scalar:
    """The first text in a file."""
    node: Node | None = parse_yaml("c.yaml", source.encode()).node
    while not isinstance(node, Scalar):
        assert node is not None
        node = node.entries[0].value if isinstance(node, Mapping) else node.items[0]
    return node


@pytest.mark.parametrize(
    ("source", "sought", "line", "column"),
    [
        ("a: one two", "two", 1, 8),
        ("a: one\n  two\n  three", "three", 3, 3),
        ("a: 'it''s two'", "two", 1, 11),
        ('a: "x\\ty \\u0041 two"', "two", 1, 17),
        ('a: "one\n  two \\\n   three"', "three", 3, 4),
        ("a: |\n  one\n  two\n", "two", 3, 3),
        ("a: |-  # why\n\n  one\n    two\n", "two", 4, 5),
        ("a: |2\n    one\n  two\n", "two", 3, 3),
        ("a: >\n  one\n  two\n\n  three\n", "three", 5, 3),
        ("a: >-\n  one\n    two\n  three\n", "three", 4, 3),
        ("a:\n  - |+\n    one\n    two\n\n", "two", 4, 5),
        ("a: &x !!str\n  one two", "two", 2, 7),
        ('{"a": "one \\"two\\""}', "two", 1, 14),
        ("a: |\r\n  one\r\n  two\r\n", "two", 3, 3),
        ("ä: 'ü two'", "two", 1, 7),
    ],
)
def test_a_word_is_found_where_it_is_written(source: str, sought: str, line: int, column: int) -> None:
    scalar = value(source)
    assert place(source, scalar, scalar.text.index(sought)) == Origin("c.yaml", line, column)


def test_the_end_of_a_value_has_a_place_too() -> None:
    source = "a: one two # why"
    assert place(source, value(source), 7) == Origin("c.yaml", 1, 11)


def test_an_escape_is_the_place_of_the_character_that_it_stands_for() -> None:
    source = 'a: "\\n\\x41b"'
    assert [place(source, value(source), index).column for index in range(3)] == [5, 7, 11]


def test_a_place_is_found_through_dollar_signs() -> None:
    source = "a: '$${1} it''s two'"
    scalar = value(source)
    seen = expand(scalar.text)
    assert place(source, scalar, seen.offset(seen.text.index("two"))) == Origin("c.yaml", 1, 17)


@pytest.mark.parametrize(
    ("source", "offset"), [("b: other text", 1), ("", 0), ("a:\n\n\n", 2), ("a: 'one two'", 99), ("a: 'one two'", -1)]
)
def test_what_does_not_fit_is_placed_at_the_value(source: str, offset: int) -> None:
    scalar = value("a: 'one two'")
    assert place(source, scalar, offset) == scalar.origin


def test_an_alias_is_placed_where_its_anchor_is() -> None:
    source = "a: &x\n  one two\nb: [*x]\n"
    node = parse_yaml("c.yaml", source.encode()).node
    assert isinstance(node, Mapping)
    listed = node.get("b")
    assert isinstance(listed, Sequence)
    alias = listed.items[0]
    assert isinstance(alias, Scalar)
    assert place(source, alias, 4) == Origin("c.yaml", 2, 7)


@pytest.mark.parametrize(
    "source",
    [
        "a: |\n" + "  x\n" * 100_000,
        'a: "' + "x \\n\n " * 80_000 + '"',
        "a: '" + "''" * 200_000 + "'",
        "a: >\n" + "  x\n\n" * 80_000,
    ],
    ids=["literal", "double", "single", "folded"],
)
def test_places_in_large_values_are_found(source: str) -> None:
    scalar = value(source)
    # The layout is read once for all of them: a hundred readings would take longer than a test may.
    for offset in range(100):
        assert place(source, scalar, len(scalar.text) - offset - 1) != scalar.origin
