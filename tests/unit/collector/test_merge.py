"""Merging by the Collector's rules, removing, provenance, and lists that hide an ancestor's."""

import pytest

from gitsync.collector.document import Mapping, Origin, parse_mapping, to_python
from gitsync.collector.merge import hidden_lists, merge, not_there, provenance, remove
from gitsync.diagnostics import Severity


def read(text: str, path: str = "c.yaml") -> Mapping:
    node, found = parse_mapping(path, text.encode())
    assert found == ()
    assert node is not None
    return node


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ("{a: 1}", "{b: 2}", {"a": 1, "b": 2}),
        ("{a: {b: 1, c: 2}}", "{a: {c: 3, d: 4}}", {"a": {"b": 1, "c": 3, "d": 4}}),
        ("{a: {b: {c: {d: 1}}}}", "{a: {b: {c: {e: 2}}}}", {"a": {"b": {"c": {"d": 1, "e": 2}}}}),
        ("{a: [1, 2]}", "{a: [3]}", {"a": [3]}),
        ("{a: [1, 2]}", "{a: []}", {"a": []}),
        ("{a: [{b: 1}]}", "{a: [{c: 1}]}", {"a": [{"c": 1}]}),
        ("{a: {b: 1}}", "{a: ~}", {"a": None}),
        ("{a: [1]}", "{a: }", {"a": None}),
        ("{a: ~}", "{a: {b: 1}}", {"a": {"b": 1}}),
        ("{a: 1}", "{a: {b: 1}}", {"a": {"b": 1}}),
        ("{a: {b: 1}}", "{a: 1}", {"a": 1}),
        ("{a: {b: 1}}", "{a: [1]}", {"a": [1]}),
        ("{a: {b: 1}}", "{a: {}}", {"a": {"b": 1}}),
        ("{}", "{a: 1}", {"a": 1}),
        ("{a: 1}", "{}", {"a": 1}),
        ("{a: 1}", "{A: 2}", {"a": 1, "A": 2}),
    ],
)
def test_maps_merge_and_everything_else_replaces(base: str, over: str, merged: object) -> None:
    assert to_python(merge(read(base), read(over))) == merged


def test_what_only_one_side_has_stays_the_same_node_so_that_it_is_judged_once() -> None:
    base = read("{a: {b: {x: 1}, c: {x: 1}}}")
    merged = merge(base, read("{a: {c: {x: 2}, d: {}}}"))
    before, after = base.get("a"), merged.get("a")
    assert isinstance(before, Mapping)
    assert isinstance(after, Mapping)
    assert after.get("b") is before.get("b")
    assert after.get("c") is not before.get("c")


def test_merging_leaves_its_inputs_as_they_were() -> None:
    base, over = read("{a: {b: 1}}"), read("{a: {c: 2}}")
    merge(base, over)
    assert to_python(base) == {"a": {"b": 1}}
    assert to_python(over) == {"a": {"c": 2}}


def test_each_value_keeps_the_file_and_line_it_came_from() -> None:
    base = read("exporters:\n  otlp:\n    endpoint: a\n    headers: [x, {k: v}]\n", "agents/collector.yaml")
    over = read("exporters:\n  otlp:\n    endpoint: b\n  debug: {}\n", "agents/env=prod/collector.yaml")
    where = provenance(merge(base, over))
    assert {path: str(origin) for path, origin in where.items()} == {
        "exporters::otlp::endpoint": "agents/env=prod/collector.yaml:3:15",
        "exporters::otlp::headers": "agents/collector.yaml:4:14",
        "exporters::otlp::headers::0": "agents/collector.yaml:4:15",
        "exporters::otlp::headers::1::k": "agents/collector.yaml:4:22",
        "exporters::debug": "agents/env=prod/collector.yaml:4:10",
    }


def test_a_map_that_both_have_keeps_the_place_of_the_first() -> None:
    merged = merge(read("a:\n  b: 1", "base.yaml"), read("\na:\n  c: 1", "over.yaml"))
    entry = merged.entry("a")
    assert entry is not None
    assert str(entry.key_origin) == "base.yaml:1:1"


def test_nothing_has_no_provenance() -> None:
    assert provenance(read("")) == {}


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("exporters::otlp/backup", {"exporters": {"otlp": {"a": 1}}, "x": 1}),
        ("exporters::otlp::a", {"exporters": {"otlp": {}, "otlp/backup": None}, "x": 1}),
        ("exporters", {"x": 1}),
        ("x", {"exporters": {"otlp": {"a": 1}, "otlp/backup": None}}),
    ],
)
def test_a_key_is_removed_by_its_path(path: str, left: object) -> None:
    removed = remove(read("{exporters: {otlp: {a: 1}, otlp/backup: }, x: 1}"), path)
    assert removed is not None
    assert to_python(removed) == left


@pytest.mark.parametrize("path", ["", "::", "exporters::nope", "x::y", "a::0", "exporters::", "exporters::otlp::a::b"])
def test_removing_what_is_not_there_is_none(path: str) -> None:
    assert remove(read("{exporters: {otlp: {a: 1}}, x: 1, a: [1]}"), path) is None


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("exporters::otpl", 'did you mean "otlp"?'),
        ("exporter::otlp", 'did you mean "exporters"?'),
        ("exporters::otlp::a", '"exporters::otlp" has no keys'),
        ("exporters::unlike", ""),
    ],
)
def test_the_error_for_it_names_what_was_probably_meant(path: str, hint: str) -> None:
    found = not_there(read("{exporters: {otlp: 1}}"), path, Origin("a/target.yaml", 3, 5))
    assert found.code == "GS0302"
    assert found.severity is Severity.ERROR
    assert found.location() == "a/target.yaml:3:5"
    assert f'"{path}" is not in the inherited configuration' in found.message
    assert found.hint == hint


def pipelines(*exporters: str, path: str) -> Mapping:
    return read(f"service:\n  pipelines:\n    traces:\n      exporters: [{', '.join(exporters)}]\n", path)


def test_a_list_that_drops_a_component_of_its_ancestor_is_a_warning_with_both_places() -> None:
    (found,) = hidden_lists(
        [pipelines("a", "b", path="agents/c.yaml"), pipelines("a", "c", path="agents/env=prod/c.yaml")]
    )
    assert found.severity is Severity.WARNING
    assert found.code == "GS0301"
    assert found.location() == "agents/env=prod/c.yaml:4:18"
    assert '"b"' in found.message
    assert '"a"' not in found.message
    assert "agents/c.yaml:4:18" in found.message
    assert "agents/c.yaml:4:22" in found.hint


@pytest.mark.parametrize(
    "levels",
    [
        [],
        [("a", "b")],
        [("a", "b"), ("b", "a")],
        [("a",), ("a", "b")],
        [("a", "b"), ("a",), ("a", "b")],
        [("otlp/x", "b"), ("'otlp / x'", "b")],
    ],
)
def test_a_list_that_keeps_everything_is_fine(levels: list[tuple[str, ...]]) -> None:
    assert hidden_lists([pipelines(*names, path=f"{n}.yaml") for n, names in enumerate(levels)]) == ()


def test_each_level_is_compared_with_the_nearest_one_above_that_has_the_list() -> None:
    levels = [pipelines("a", "b", path="0.yaml"), read("{}", "1.yaml"), pipelines("a", path="2.yaml")]
    (found,) = hidden_lists(levels)
    assert found.path == "2.yaml"
    assert "0.yaml:4:18" in found.message


@pytest.mark.parametrize(
    "text", ["service: 1", "service: {pipelines: []}", "service: {pipelines: {traces: x}}", "a: [b]"]
)
def test_levels_of_a_wrong_shape_are_left_to_the_shape_rules(text: str) -> None:
    assert hidden_lists([pipelines("a", path="0.yaml"), read(text)]) == ()
