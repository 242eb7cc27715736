"""Schemas out of the JSON Schema dialect of `schemas/collector`."""

from typing import Any

import pytest

from gitsync.collector.schema import (
    ANYTHING,
    Anything,
    Duration,
    Entries,
    Flag,
    Identifier,
    Items,
    Number,
    Schema,
    Schemas,
    Struct,
    Text,
    Whole,
)


def of(schema: Any, **definitions: Any) -> Schema:
    compiled = Schemas({"$defs": definitions, "components": {"receiver/x": schema}}).component("receiver/x")
    assert compiled is not None
    return compiled


@pytest.mark.parametrize(
    ("schema", "shape"),
    [
        ({}, Anything()),
        ({"x-custom": True}, Anything()),
        ({"type": "string"}, Text(under="str", plain=True)),
        ({"type": "string", "x-secret": True}, Text(under="str", secret=True)),
        ({"type": "string", "enum": ["a", "b"]}, Text(frozenset({"a", "b"}), under="str")),
        ({"type": "string", "enum": ["A"], "x-fold": True}, Text(frozenset({"a"}), fold=True, under="str")),
        ({"type": "string", "x-suggest": ["a"]}, Text(under="str")),
        ({"type": "string", "x-text": "a.B"}, Text(own=True)),
        ({"type": "string", "x-text": "a.B", "x-go": "string"}, Text(own=True, under="str")),
        ({"type": "string", "x-text": "a.B", "x-go": "int32"}, Text(own=True, under="number")),
        ({"type": "string", "x-text": "a.B", "x-go": "struct"}, Text(own=True, under="map")),
        ({"type": "string", "format": "duration"}, Duration()),
        ({"type": "string", "format": "id"}, Identifier()),
        ({"type": "integer", "x-go": "uint16"}, Whole("uint16", 0, 65535)),
        ({"type": "integer", "x-go": "int8"}, Whole("int8", -128, 127)),
        ({"type": "integer"}, Whole("int64", -(2**63), 2**63 - 1)),
        ({"type": "integer", "x-go": "uint"}, Whole("uint", 0, 2**64 - 1)),
        ({"type": "number"}, Number()),
        ({"type": "boolean"}, Flag()),
        ({"type": "array", "items": {"type": "number"}}, Items(Schema(Number()))),
        ({"type": "array"}, Items(ANYTHING)),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, Entries(Schema(Flag()))),
        ({"type": "object", "additionalProperties": {}, "x-pairs": True}, Entries(ANYTHING, pairs=True)),
        ({"type": "object"}, Entries(ANYTHING)),
        ({"type": "object", "additionalProperties": True}, Entries(ANYTHING)),
    ],
)
def test_each_kind_of_schema_has_its_shape(schema: Any, shape: object) -> None:
    assert of(schema).shape == shape


def test_a_struct_knows_its_keys_and_what_becomes_of_others() -> None:
    inside = {"type": "object", "properties": {"a": {"type": "boolean"}}, "additionalProperties": False}
    struct = of({"$ref": "#/$defs/p.T"}, **{"p.T": {**inside, "x-squash": ["q.S"], "x-ignores": True}}).shape
    assert isinstance(struct, Struct)
    assert (struct.name, list(struct.fields), struct.parts, struct.open, struct.ignores, struct.custom) == (
        "p.T",
        ["a"],
        ("q.S",),
        False,
        True,
        False,
    )
    inline = of({**inside, "additionalProperties": True, "x-custom": True}).shape
    assert isinstance(inline, Struct)
    assert (inline.name, inline.open, inline.custom) == ("", True, True)
    closed = of({"type": "object", "additionalProperties": False}).shape
    assert isinstance(closed, Struct)
    assert (closed.fields, closed.open) == ({}, False)


def test_what_stands_beside_a_reference_belongs_to_the_place() -> None:
    schema = of(
        {"$ref": "#/$defs/p.T", "x-null": True, "x-optional": "default", "default": {"a": 1}},
        **{"p.T": {"type": "object", "properties": {}}},
    )
    assert (schema.optional, schema.nullable, schema.defaults) == ("default", True, {"a": 1})
    assert of({"type": "string", "default": "x"}).defaults == {}


def test_a_definition_may_contain_itself() -> None:
    node = {"type": "object", "properties": {"more": {"type": "array", "items": {"$ref": "#/$defs/p.N"}}}}
    struct = of({"$ref": "#/$defs/p.N"}, **{"p.N": node}).shape
    assert isinstance(struct, Struct)
    more = struct.fields["more"].shape
    assert isinstance(more, Items)
    assert more.item.shape is struct


def test_a_definition_that_is_only_itself_is_anything() -> None:
    assert of({"$ref": "#/$defs/a"}, a={"$ref": "#/$defs/b"}, b={"$ref": "#/$defs/a"}).shape == Anything()
    assert of({"$ref": "#/$defs/gone"}).shape == Anything()
    assert of(True) == ANYTHING


def test_variants_of_a_type_share_its_name() -> None:
    empty = {"type": "object", "properties": {}}
    names = {"p.T": empty, "p.T2": empty, "p.OAuth2": empty}
    shapes = [of({"$ref": f"#/$defs/{name}"}, **names).shape for name in names]
    assert [one.name for one in shapes if isinstance(one, Struct)] == ["p.T", "p.T", "p.OAuth2"]


def test_below_a_yaml_library_texts_are_lax_and_lists_are_not() -> None:
    item = {"$ref": "#/$defs/p.Item"}
    definitions = {
        "prometheusreceiver.PromConfig": {"type": "object", "properties": {"item": item}},
        "p.Item": {"type": "object", "properties": {"name": {"type": "string"}}},
    }
    both = of(
        {"type": "object", "properties": {"yaml": {"$ref": "#/$defs/prometheusreceiver.PromConfig"}, "own": item}},
        **definitions,
    )
    assert isinstance(both.shape, Struct)
    root, own = both.shape.fields["yaml"].shape, both.shape.fields["own"].shape
    assert isinstance(root, Struct)
    assert isinstance(own, Struct)
    inner = root.fields["item"].shape
    assert isinstance(inner, Struct)
    assert inner.fields["name"].shape == Text(under="str", lax=True)
    assert own.fields["name"].shape == Text(under="str", plain=True)


def test_operators_are_known_by_their_type() -> None:
    items = of({"type": "array", "items": {}, "x-operators": {"move": {"type": "object", "properties": {}}}}).shape
    assert isinstance(items, Items)
    assert items.operators is not None
    assert list(items.operators) == ["move"]


def test_components_and_telemetry_that_are_not_there() -> None:
    schemas = Schemas({})
    assert schemas.component("receiver/x") is None
    assert schemas.telemetry() == ANYTHING
    assert Schemas({"telemetry": {"type": "boolean"}}).telemetry().shape == Flag()
