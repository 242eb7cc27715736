"""Properties of merging, reading and writing, over random trees."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.collector.document import (
    Entry,
    Mapping,
    Node,
    Origin,
    Scalar,
    Sequence,
    parse_mapping,
    parse_yaml,
)
from gitsync.collector.emit import emit, same_tree
from gitsync.collector.merge import merge, provenance, remove
from gitsync.collector.paths import expand_paths
from gitsync.collector.scalars import resolve

HERE = Origin("x.yaml", 1, 1)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        [
            "yes",
            "null",
            "",
            "1",
            "0x1F",
            "- a",
            "a: b",
            "#",
            "otlp/2",
            "\u2028",
            "\x85",
            "\ufeff",
            "\x07" * 200,
        ]
    ),
)
PLAIN = st.sampled_from(
    [
        "1",
        "-1",
        "012",
        "0x1F",
        "1_000",
        "0.10",
        ".5",
        "1e3",
        ".inf",
        "true",
        "FALSE",
        "~",
        "null",
        "",
        "9" * 30,
    ]
)


def scalar(text: str) -> Scalar:
    return Scalar(resolve(text), text, HERE)


def mapping(entries: dict[str, Node]) -> Mapping:
    return Mapping(tuple(Entry(key, HERE, value) for key, value in entries.items()), HERE)


LEAVES = st.one_of(TEXTS.map(lambda text: Scalar("str", text, HERE)), PLAIN.map(scalar))
NODES: st.SearchStrategy[Node] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: Sequence(tuple(items), HERE)),
        st.dictionaries(TEXTS, inner, max_size=4).map(mapping),
    ),
    max_leaves=20,
)
TREES = st.dictionaries(TEXTS, NODES, max_size=4).map(mapping)
# Merging is associative as long as no level turns a map into something else: m* are maps, v* are values.
MAPS: st.SearchStrategy[Mapping] = st.recursive(
    st.dictionaries(st.sampled_from(["v1", "v2", "v3"]), LEAVES, max_size=3).map(mapping),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "m1": inner,
            "m2": inner,
            "v1": LEAVES,
            "v2": st.lists(LEAVES).map(lambda one: Sequence(tuple(one), HERE)),
        },
    ).map(mapping),
    max_leaves=8,
)


@given(TREES)
@settings(deadline=None)
def test_what_is_written_is_read_back_as_the_same_tree(tree: Mapping) -> None:
    node, found = parse_mapping("out.yaml", emit(tree))
    assert found == ()
    assert node is not None
    assert same_tree(node, tree)
    assert emit(node) == emit(tree)


@given(TREES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_keys_leaves_no_trace_in_the_output(tree: Mapping, random: Random) -> None:
    shuffled = list(tree.entries)
    random.shuffle(shuffled)
    assert emit(Mapping(tuple(shuffled), HERE)) == emit(tree)


@given(MAPS, MAPS, MAPS)
@settings(deadline=None)
def test_merging_maps_is_associative(a: Mapping, b: Mapping, c: Mapping) -> None:
    assert same_tree(merge(merge(a, b), c), merge(a, merge(b, c)))


@given(TREES, TREES)
@settings(deadline=None)
def test_merging_is_deterministic_and_the_upper_tree_wins(a: Mapping, b: Mapping) -> None:
    merged = merge(a, b)
    assert emit(merged) == emit(merge(a, b))
    assert same_tree(merge(merged, b), merged)
    assert set(merged.keys()) == {*a.keys(), *b.keys()}


@given(TREES)
@settings(deadline=None)
def test_an_empty_map_changes_nothing_and_a_tree_over_itself_is_itself(tree: Mapping) -> None:
    empty = Mapping((), HERE)
    assert same_tree(merge(tree, empty), tree)
    assert same_tree(merge(empty, tree), tree)
    assert same_tree(merge(tree, tree), tree)


@given(MAPS, MAPS)
@settings(deadline=None)
def test_every_value_of_a_merged_tree_has_a_place_and_can_be_removed(a: Mapping, b: Mapping) -> None:
    merged = merge(a, b)
    for path in provenance(merged):
        if path.rpartition("::")[2].isdigit():
            continue
        left = remove(merged, path)
        assert left is not None
        assert path not in provenance(left)
        assert remove(left, path) is None


@given(MAPS)
@settings(deadline=None)
def test_a_flat_form_expands_to_the_nested_one(tree: Mapping) -> None:
    def leaves(node: Mapping, path: str) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for entry in node.entries:
            here = f"{path}::{entry.key}" if path else entry.key
            if isinstance(entry.value, Mapping) and entry.value.entries:
                found |= leaves(entry.value, here)
            else:
                found[here] = entry.value
        return found

    expanded, found = expand_paths(mapping(leaves(tree, "")))
    assert found == ()
    assert same_tree(expanded, tree)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    result = parse_yaml("x.yaml", data)
    assert (result.node is None) == bool(result.diagnostics)


@given(st.text(st.sampled_from("ab:-,[]{}&*!|>'\"%@`#?<~ \n\t0"), max_size=60))
@settings(deadline=None, max_examples=300)
def test_no_text_makes_the_reader_raise_and_what_it_reads_can_be_written(text: str) -> None:
    result = parse_yaml("x.yaml", text.encode())
    assert (result.node is None) == bool(result.diagnostics)
    for one in result.diagnostics:
        assert one.line <= text.count("\n") + 2
        assert "not valid YAML:" not in one.message
    if isinstance(result.node, Mapping):
        again = parse_yaml("x.yaml", emit(result.node)).node
        assert again is not None
        assert same_tree(again, result.node)
