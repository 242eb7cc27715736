"""`Schemas`: what the Collector's types take, compiled from the JSON Schema dialect of `schemas/collector/README.md`.

Every definition is compiled once, when it is first needed; a definition may contain itself. Two ways of reading
meet in one configuration: the Collector's own decoder, and a YAML library for the Prometheus configuration inside
of the receiver of that name, which is laxer with texts and stricter with lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

_PREFIX = "#/$defs/"
_YAML_ROOTS = frozenset({"prometheusreceiver.PromConfig"})
"""Definitions that a YAML library decodes, with everything below them."""


@dataclass(frozen=True, slots=True)
class Anything:
    """An interface, or a part whose own code takes more than its fields say."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text.

    Attributes:
        words: all that are allowed; None: any.
        fold: whether case does not count for them.
        own: the type reads itself from text.
        under: its Go kind, whose values such a type takes too: `number`, `bool`, `list`, `map`, or `str` for none
            other; empty when it is not known.
        secret: a literal does not belong into Git.
        lax: numbers and booleans are texts too, as for a YAML library.
        plain: Go's own `string`, as far as known; a list of those can be written as one text.
    """

    words: frozenset[str] | None = None
    fold: bool = False
    own: bool = False
    under: str = ""
    secret: bool = False
    lax: bool = False
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Duration:
    """Go's `time.Duration`."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """The id of a component."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number.

    Attributes:
        go: its Go type, for messages.
        low: the least value that it holds.
        high: the greatest.
    """

    go: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number with or without a fraction."""


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false, nothing else."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list.

    Attributes:
        item: of each item.
        operators: by the value of `type` of an item, for a list of log operators; else None.
    """

    item: Schema
    operators: Mapping[str, Schema] | None = None


@dataclass(frozen=True, slots=True)
class Entries:
    """A map with keys of the user's choice.

    Attributes:
        value: of each value.
        pairs: whether a list of `{name, value}` is taken as well.
    """

    value: Schema
    pairs: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Struct:
    """A map with known keys.

    Attributes:
        name: of its definition; empty when it has none of its own.
        fields: by key, with `enabled` only where it is a field of the type itself.
        parts: names of types whose keys are merged into it.
        open: whether other keys are taken.
        ignores: whether it ignores keys that it does not know.
        custom: whether the type's own code decodes it, which may take other kinds of values.
    """

    name: str
    fields: dict[str, Schema] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    open: bool = False
    ignores: bool = False
    custom: bool = False


Shape: TypeAlias = Anything | Text | Duration | Identifier | Whole | Number | Flag | Items | Entries | Struct


@dataclass(frozen=True, slots=True)
class Schema:
    """What a component, a key, an item or a value takes.

    Attributes:
        shape: the type.
        optional: for a `configoptional.Optional` of a struct, the flavor of its default: `none`, `default` (has values
            once its key is there) or `some`; else empty. `enabled: false` switches it off.
        nullable: null leaves it unset (a pointer, or an optional).
        default: of the component, as JSON; None when it is Go's zero value.
    """

    shape: Shape
    optional: str = ""
    nullable: bool = False
    default: Any = None

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The default of a struct by key; empty when it has none."""
        return self.default if isinstance(self.default, Mapping) else {}


ANYTHING = Schema(Anything())
_SHAPES: dict[str, Shape] = {"number": Number(), "boolean": Flag()}
_UNDER = {
    "string": "str",
    "int": "number",
    "uint": "number",
    "float": "number",
    "bool": "bool",
    "slice": "list",
    "array": "list",
    "struct": "map",
    "map": "map",
}
_BITS = {"int": 64, "int8": 8, "int16": 16, "int32": 32, "int64": 64}


class Schemas:
    """The compiled schemas of one release.

    Args:
        document: the parsed `settings.json`.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._definitions: Mapping[str, Any] = document.get("$defs", {})
        self._components: Mapping[str, Any] = document.get("components", {})
        self._telemetry: Any = document.get("telemetry")
        self._shapes: dict[tuple[str, bool], Shape] = {}
        self._fields: dict[str, Schema] = {}

    def component(self, id: str) -> Schema | None:  # noqa: A002
        """The settings of `kind/type`; None when they are not known."""
        if id not in self._components:
            return None
        if id not in self._fields:
            self._fields[id] = self._field(self._components[id])
        return self._fields[id]

    def telemetry(self) -> Schema:
        """What `service::telemetry` takes."""
        if "" not in self._fields:
            self._fields[""] = ANYTHING if self._telemetry is None else self._field(self._telemetry)
        return self._fields[""]

    def _field(self, schema: Any, *, lax: bool = False) -> Schema:
        if not isinstance(schema, Mapping):
            return ANYTHING
        shape = self._shape(schema, lax=lax)
        return Schema(shape, schema.get("x-optional", ""), bool(schema.get("x-null")), schema.get("default"))

    def _shape(self, schema: Mapping[str, Any], *, lax: bool) -> Shape:
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._definition(reference.removeprefix(_PREFIX), lax=lax)
        kind = schema.get("type")
        if kind == "string":
            return _text(schema, lax=lax)
        if kind == "integer":
            return _whole(schema.get("x-go", "int64"))
        if kind == "array" and _is_pair(schema.get("items")):
            return Entries(Schema(Text(under="str", plain=True)), pairs=True)
        if kind == "array":
            operators = schema.get("x-operators")
            return Items(
                self._field(schema.get("items"), lax=lax),
                None if operators is None else {name: self._field(one) for name, one in operators.items()},
            )
        if kind == "object" and "properties" not in schema:
            return self._entries(schema, lax=lax)
        if kind == "object":
            return self._filled(_struct("", schema), schema, lax=lax)
        return _SHAPES.get(str(kind), ANYTHING.shape)

    def _entries(self, schema: Mapping[str, Any], *, lax: bool) -> Shape:
        rest = schema.get("additionalProperties", True)
        if rest is False:
            return Struct("")
        return Entries(self._field(rest, lax=lax), bool(schema.get("x-pairs")))

    def _filled(self, struct: Struct, schema: Mapping[str, Any], *, lax: bool) -> Struct:
        for key, one in schema["properties"].items():
            struct.fields[key] = self._field(one, lax=lax)
        return struct

    def _definition(self, name: str, *, lax: bool) -> Shape:
        lax = lax or name in _YAML_ROOTS
        known = self._shapes.get((name, lax))
        if known is not None:
            return known
        schema = self._definitions.get(name)
        if not isinstance(schema, Mapping):
            return ANYTHING.shape
        if schema.get("type") == "object" and "properties" in schema:
            # Known before its fields are: they may lead back here.
            struct = _struct(self._type_name(name), schema)
            self._shapes[name, lax] = struct
            return self._filled(struct, schema, lax=lax)
        self._shapes[name, lax] = ANYTHING.shape
        shape = self._shape(schema, lax=lax)
        self._shapes[name, lax] = shape
        return shape

    def _type_name(self, name: str) -> str:
        """The name of a definition without the number that tells variants of one type apart."""
        plain = name.rstrip("0123456789")
        return plain if plain in self._definitions else name


def _is_pair(items: Any) -> bool:
    """Whether items are a name with a value; older forms of the Collector's telemetry have a map in their place."""
    return isinstance(items, Mapping) and str(items.get("$ref", "")).endswith(".NameStringValuePair")


def _struct(name: str, schema: Mapping[str, Any]) -> Struct:
    is_open = schema.get("additionalProperties", True) is not False
    parts = tuple(schema.get("x-squash", ()))
    return Struct(name, {}, parts, is_open, bool(schema.get("x-ignores")), bool(schema.get("x-custom")))


def _text(schema: Mapping[str, Any], *, lax: bool) -> Shape:
    if schema.get("format") == "duration":
        return Duration()
    if schema.get("format") == "id":
        return Identifier()
    words = schema.get("enum")
    fold = bool(schema.get("x-fold"))
    own = "x-text" in schema
    secret = bool(schema.get("x-secret"))
    plain = not (own or secret or words is not None or "x-suggest" in schema or lax)
    allowed = None if words is None else frozenset(str(one).lower() if fold else str(one) for one in words)
    under = _UNDER.get(schema.get("x-go", "").rstrip("0123456789"), "") if own else "str"
    return Text(allowed, fold, own, under, secret, lax, plain)


def _whole(go: str) -> Whole:
    bits = _BITS.get(go.removeprefix("u"), 64)
    return Whole(go, 0, 2**bits - 1) if go.startswith("u") else Whole(go, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
