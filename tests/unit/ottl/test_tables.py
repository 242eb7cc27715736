"""The tables of a release: out of the data file, and out of a small one of our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gitsync.ottl.tables import OttlTables

COMMITTED = sorted(Path(__file__).resolve().parents[3].glob("schemas/collector/*/ottl.json"))


def small() -> dict[str, Any]:
    """Two contexts, three functions."""
    return {
        "version": "0.159.0",
        "functions": {
            "set": {
                "args": [{"name": "target", "kind": "Setter", "optional": False}, {"name": "value", "kind": "Getter"}]
            },
            "Find": {
                "args": [
                    {"name": "source", "kind": "Getter"},
                    {"name": "mapper", "kind": "LambdaExpression", "optional": True},
                ],
                "gate": "ottl.functions.enableLambda",
            },
            "scale_metric": {"args": [{"name": "multiplier", "kind": "float64", "optional": False}]},
        },
        "standard": ["set", "Find"],
        "components": {"processor/transform": {"metric": ["scale_metric"]}},
        "contexts": {
            "resource": {
                "enums": {},
                "paths": {"resource.attributes": {"type": "map", "writable": True, "index": "any"}},
            },
            "metric": {
                "enums": {"FLAG_NONE": 0},
                "paths": {
                    "metric.name": {"type": "string", "writable": True},
                    "metric.type": {"type": "int (kind of data)", "writable": False},
                    "resource.attributes": {"type": "map", "writable": False, "index": "any"},
                },
            },
        },
    }


def test_a_function_knows_how_many_arguments_it_needs() -> None:
    tables = OttlTables.from_json(small())
    assert tables.functions["set"].required == 2
    assert tables.functions["Find"].required == 1


def test_a_component_has_the_standard_functions_and_its_own() -> None:
    tables = OttlTables.from_json(small())
    assert set(tables.functions_for("processor/transform", "metric")) == {"set", "Find", "scale_metric"}
    assert set(tables.functions_for("processor/transform", "resource")) == {"set", "Find"}
    assert set(tables.functions_for("connector/unheard_of", "metric")) == {"set", "Find"}


def test_functions_are_made_once_for_known_places_only() -> None:
    tables = OttlTables.from_json(small())
    first = tables.functions_for("processor/transform", "metric")
    assert tables.functions_for("processor/transform", "metric") is first
    for number in range(10):
        tables.functions_for(f"processor/{number}", "metric")
    assert len(tables._available) == 1


def test_the_places_of_a_function_are_named() -> None:
    tables = OttlTables.from_json(small())
    assert tables.places_of("scale_metric") == (("processor/transform", "metric"),)
    assert tables.places_of("set") == ()


def test_a_context_reaches_the_contexts_of_its_paths() -> None:
    tables = OttlTables.from_json(small())
    assert tables.contexts["metric"].prefixes == {"metric", "resource"}
    assert tables.contexts["resource"].prefixes == {"resource"}


def test_what_one_context_can_write_counts_as_writable_in_all() -> None:
    paths = OttlTables.from_json(small()).contexts["metric"].paths
    assert paths["resource.attributes"].writable
    assert not paths["metric.type"].writable


def test_a_remark_behind_a_type_is_dropped() -> None:
    assert OttlTables.from_json(small()).contexts["metric"].paths["metric.type"].type == "int"


def test_the_release_is_two_numbers() -> None:
    assert OttlTables.from_json(small()).release == (0, 159)


@pytest.mark.parametrize("file", COMMITTED, ids=lambda one: one.parent.name)
def test_the_committed_tables_can_be_read(file: Path) -> None:
    tables = OttlTables.from_json(json.loads(file.read_text()))
    span = tables.contexts["span"]
    assert {"span", "scope", "resource", "instrumentation_scope"} <= span.prefixes
    assert span.paths["span.attributes"].index == "any"
    assert span.paths["span.trace_state"].index == "one"
    assert span.paths["span.name"].index == "none"
    assert span.enums["SPAN_KIND_SERVER"] == 2
    assert "convert_sum_to_gauge" in tables.functions_for("processor/transform", "metric")
    assert "convert_sum_to_gauge" not in tables.functions_for("processor/transform", "datapoint")
    assert tables.functions["replace_pattern"].required == 3
