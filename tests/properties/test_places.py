"""Every character of a value, however it is written in YAML, is found at its place in the file."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitsync.collector.document import Mapping, Scalar, parse_mapping
from gitsync.collector.places import place

WORD = st.text(alphabet="aZ0é日:#\"'\\${}[]()=_.,/-", min_size=1, max_size=6)
PLAIN = st.text(alphabet="aZ09é日_./()=$", min_size=1, max_size=6)
INDENT = "    "


@st.composite
def literal_blocks(draw: st.DrawFn) -> str:
    """A `|` or `>` block with blank lines, deeper lines, and any header."""
    style = draw(st.sampled_from("|>"))
    chomping = draw(st.sampled_from(["", "+", "-"]))
    lines = draw(st.lists(st.tuples(st.sampled_from(["", " ", "   "]), WORD | st.just("")), min_size=1, max_size=6))
    first = draw(WORD)
    indicator = draw(st.sampled_from(["", "2"]))  # with 2, two of the four columns belong to the content
    comment = draw(st.sampled_from(["", " # why"]))
    lead = draw(st.sampled_from(["", "\n"]))
    body = "".join(f"{INDENT}{deeper if word else ''}{word}\n" for deeper, word in [("", first), *lines])
    return f"a:\n  v: {style}{indicator}{chomping}{comment}\n{lead}{body}"


@st.composite
def flow_texts(draw: st.DrawFn) -> str:
    """A plain or quoted scalar over several lines."""
    style = draw(st.sampled_from(["", "'", '"']))
    words = draw(st.lists(PLAIN if style == "" else WORD, min_size=1, max_size=6))
    parts = []
    for index, word in enumerate(words):
        written = word
        if style == "'":
            written = word.replace("'", "''")
        elif style == '"':
            written = json.dumps(word, ensure_ascii=draw(st.booleans()))[1:-1]
        glue = draw(st.sampled_from([" ", "  ", " \n   ", "\n\n   ", "\r\n    ", " \t "]))
        if style == '"':
            glue = draw(st.sampled_from([glue, "\\\n    ", "\\\n\n   ", " \\\n  \\ "]))
        parts.append(written if index == 0 else glue + written)
    lead = draw(st.sampled_from(["", "&x ", "!!str ", "&x\n  ", "&x # why\n  "]))
    return f"a:\n  v: {lead}{style}{''.join(parts)}{style}\n"


@settings(max_examples=400, deadline=None)
@given(literal_blocks() | flow_texts())
@example("a:\n  v: |\n    x\n\n      y\n    z\n")
@example("a:\n  v: >-\n    x\n    y\n\n    z\n      w\n    q")
@example("a:\n  v: >2+\n      x\n   y\n\n\n")
@example('a:\n  v: "\\u00e9\\x41\\U0001F600\\n\\t b"\n')
@example('{"a": {"v": "x\\"y\\/z"}}')
def test_every_character_of_a_value_is_found_in_the_file(source: str) -> None:
    scalar = value_of(source)
    if scalar is None:
        return
    lines = source.replace("\r\n", "\n").split("\n")
    for offset, char in enumerate(scalar.text):
        at = place(source, scalar, offset)
        written = lines[at.line - 1][at.column - 1 :]
        assert stands_for(written, char), (offset, char, at, written)
    end = place(source, scalar, len(scalar.text))
    assert (end.line, end.column) >= (scalar.origin.line, scalar.origin.column)


@settings(max_examples=200, deadline=None)
@given(flow_texts() | literal_blocks(), st.integers(0, 40))
def test_places_rise_along_a_value_and_are_not_the_fallback(source: str, offset: int) -> None:
    scalar = value_of(source)
    if scalar is None or offset + 1 >= len(scalar.text):
        return
    here, there = place(source, scalar, offset), place(source, scalar, offset + 1)
    assert (here.line, here.column) < (there.line, there.column)


@settings(max_examples=200, deadline=None)
@given(flow_texts() | literal_blocks(), st.text(max_size=30), st.integers(-3, 50))
def test_a_source_that_does_not_fit_gives_a_place_all_the_same(source: str, other: str, offset: int) -> None:
    scalar = value_of(source)
    if scalar is not None:
        assert place(other, scalar, offset).path == "c.yaml"


def value_of(source: str) -> Scalar | None:
    """The value of a::v; None when the generator made something that is no such file."""
    node, _ = parse_mapping("c.yaml", source.encode())
    inner = None if node is None else node.get("a")
    value = inner.get("v") if isinstance(inner, Mapping) else None
    return value if isinstance(value, Scalar) and value.tag == "str" else None


def stands_for(written: str, char: str) -> bool:
    """Whether a source that goes on like this writes the character: itself, an escape, or the end of a line."""
    if written.startswith("\\"):
        return True
    if char in " \n" and written.strip() == "":
        return True
    return written.startswith(char) or (char == "'" and written.startswith("''"))
