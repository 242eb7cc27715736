"""`::` in keys: the Collector's flat form of a configuration."""

import pytest

from gitsync.collector.document import Mapping, parse_mapping, to_python
from gitsync.collector.paths import expand_paths
from gitsync.diagnostics import Severity


def read(text: str) -> Mapping:
    node, found = parse_mapping("c.yaml", text.encode())
    assert found == ()
    assert node is not None
    return node


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("{a::b: 1}", {"a": {"b": 1}}),
        ("{a::b::c: [x]}", {"a": {"b": {"c": ["x"]}}}),
        ("{a::b: 1, a::c: 2}", {"a": {"b": 1, "c": 2}}),
        ("{a: {b: 1}, a::c: 2}", {"a": {"b": 1, "c": 2}}),
        ("{a::c: 2, a: {b: 1}}", {"a": {"c": 2, "b": 1}}),
        ("{a::b: {c: 1}, a::b::d: 2}", {"a": {"b": {"c": 1, "d": 2}}}),
        ("{a: {b::c: 1}}", {"a": {"b": {"c": 1}}}),
        ("{a: {b::c: 1, b: {d: {e::f: 2}}}}", {"a": {"b": {"c": 1, "d": {"e": {"f": 2}}}}}),
        ("{a: [{b::c: 1}]}", {"a": [{"b::c": 1}]}),
        ("{a:b: 1}", {"a:b": 1}),
        ("{a::b: {}}", {"a": {"b": {}}}),
        ("{receivers::otlp/x::protocols: , x: 1}", {"receivers": {"otlp/x": {"protocols": None}}, "x": 1}),
    ],
)
def test_a_path_becomes_nested_maps_outside_lists(text: str, expanded: object) -> None:
    node, found = expand_paths(read(text))
    assert found == ()
    assert to_python(node) == expanded


def test_a_map_without_paths_is_returned_as_it_is() -> None:
    node = read("{a: {b: 1}}")
    assert expand_paths(node)[0] is node


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("{a::b: 1, a: {b: 2}}", "GS0218", 15),
        ("{a: {b: 1}, a::b: 2}", "GS0218", 13),
        ("{a: 1, a::b: 2}", "GS0218", 8),
        ("{a::b: 2, a: 1}", "GS0218", 11),
        ("{a: , a::b: 2}", "GS0218", 7),
        ("{a::b: {c: 1}, a: {b: [1]}}", "GS0218", 20),
        ("{a::: 1}", "GS0219", 2),
        ("{'::1': 1}", "GS0219", 2),
        ("{'a:: ::b': 1}", "GS0219", 2),
        ("{'::': 1}", "GS0219", 2),
    ],
)
def test_a_path_with_two_values_or_an_empty_part_is_an_error(text: str, code: str, column: int) -> None:
    _, found = expand_paths(read(text))
    assert [(one.code, one.line, one.column) for one in found] == [(code, 1, column)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("{a::b: 1, a: {b: 2}}", {"a": {"b": 1}}),
        ("{a: {b: 2}, a::b: 1}", {"a": {"b": 1}}),
        ("{a: 1, a::b: 2}", {"a": {"b": 2}}),
        ("{a::b: 2, a: 1}", {"a": {"b": 2}}),
        ("{a::b: 5, a: {b: {c: 1}}}", {"a": {"b": 5}}),
        ("{a: {b: {c: 1}}, a::b: 5}", {"a": {"b": 5}}),
        ("{x: {a: 1, a::b: 2}}", {"x": {"a": {"b": 2}}}),
        ("{a: [1], a::b: {c: 2}}", {"a": {"b": {"c": 2}}}),
        ("{a: 1, a::b: {c: 1}, a::b::c: 2}", {"a": {"b": {"c": 2}}}),
    ],
)
def test_to_the_collector_the_longer_key_wins(text: str, kept: object) -> None:
    node, found = expand_paths(read(text), as_the_collector=True)
    assert to_python(node) == kept
    assert {(one.code, one.severity) for one in found} == {("GS0218", Severity.WARNING)}


def test_expanded_keys_know_where_they_were_written() -> None:
    node, _ = expand_paths(read("\nreceivers::otlp: 1\n"))
    entry = node.entry("receivers")
    assert entry is not None
    assert str(entry.key_origin) == "c.yaml:2:1"
    assert isinstance(entry.value, Mapping)
    assert str(entry.value.entries[0].key_origin) == "c.yaml:2:1"
