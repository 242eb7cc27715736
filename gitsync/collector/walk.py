"""Settings against their schema, with the rules of the Collector's decoder.

The decoder is mapstructure without weak typing, behind the hooks of confmap (confmap/internal/decoder.go),
measured with v1.65:

- Keys are case sensitive, unknown ones are refused. Null sets scalars to zero, and leaves lists, maps, structs,
  pointers and optionals as they are.
- A text takes text only, and an unquoted date is none. A number takes numbers only: fractions are cut off, what does
  not fit wraps around; a negative number for an unsigned type is refused. A flag takes `true` and `false` only.
- A list takes lists; a list of plain texts takes one text too, and splits it at commas. A map of secrets may be a list
  of `{name, value}`. Structs and maps take maps.
- A duration is a text with units, or a number of nanoseconds.

A value that is nothing but references may become anything; one with other characters around them is always text.
"""

from __future__ import annotations

from collections.abc import Mapping as Values
from dataclasses import dataclass
from typing import Any

from gitsync.collector.expansion import expand
from gitsync.collector.findings import Findings
from gitsync.collector.misplaced import Level, belongs
from gitsync.collector.node import Entry, Mapping, Node, Origin, Scalar, Sequence, is_null
from gitsync.collector.schema import Anything, Entries, Identifier, Items, Schema, Struct, Text
from gitsync.collector.settings import Settings
from gitsync.collector.values import check_date, check_scalar, is_date, misfit
from gitsync.wording import nearest, quoted

_ENABLED = "enabled"
_FEW = 8
"""Settings that a hint lists."""
_NAME = Schema(Text(under="str", plain=True))
_SEVERAL = (Items, Entries, Struct)
_EMPTY: Values[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Visited:
    """Settings of a known type, which the type's own checks apply to.

    Attributes:
        name: of the type (`configtls.ClientConfig`).
        settings: what is written there.
    """

    name: str
    settings: Settings


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a value stands.

    Attributes:
        key: that leads here; of a list, for its items.
        origin: of that key.
        path: from the component's settings.
        defaults: of the component, below `path`.
        live: whether the Collector would check it: not inside of what is switched off.
        quiet: whether unknown keys are ignored by the Collector.
        above: the structs that it stands in, the outermost first.
    """

    key: str
    origin: Origin
    path: tuple[str, ...]
    defaults: Values[str, Any]
    live: bool = True
    quiet: bool = False
    above: tuple[Level, ...] = ()


def walk(settings: Settings, schema: Schema, findings: Findings) -> list[Visited]:
    """Reports what does not fit to the schema (GS0231 to GS0237, GS0240, GS0242).

    Args:
        settings: of a whole component.
        schema: what the component takes.
        findings: takes what is found.

    Returns:
        Every place with settings of a known type, the component's own included, in the order of the file. Not those
        that `enabled: false` switches off.
    """
    run = _Walk(settings, findings)
    run.value(settings.here, schema, _Spot(settings.id, settings.origin, settings.path, settings.defaults))
    return run.visited


class _Walk:
    """One pass over the settings of one component."""

    __slots__ = ("_findings", "_settings", "visited")

    def __init__(self, settings: Settings, findings: Findings) -> None:
        self.visited: list[Visited] = []
        self._settings = settings
        self._findings = findings

    def value(self, node: Node, field: Schema, spot: _Spot) -> None:
        shape = field.shape
        if isinstance(node, Scalar):
            if node.tag == "null":
                self._null(node, field, spot)
            elif isinstance(shape, Items | Entries | Struct):
                self._single(node, shape, spot)
            else:
                check_scalar(node, shape, spot.key, self._findings, live=spot.live)
        elif isinstance(shape, Anything):
            return
        elif isinstance(node, Mapping):
            if isinstance(shape, Struct):
                self._struct(node, shape, field, spot)
            elif isinstance(shape, Entries):
                self._entries(node, shape, spot)
            else:
                self._misfit(node, field, spot)
        elif isinstance(shape, Items):
            self._items(node, shape, spot)
        elif isinstance(shape, Entries) and shape.pairs:
            pair = Struct("", {"name": _NAME, "value": shape.value})
            self._items(node, Items(Schema(pair)), spot)
        else:
            self._misfit(node, field, spot)

    def _struct(self, node: Mapping, struct: Struct, field: Schema, spot: _Spot) -> None:
        live = spot.live and not (field.optional and self._is_off(node))
        if live:
            self._visit(node, struct, spot)
        fields, path = struct.fields, spot.path
        above = (*spot.above, Level(struct, spot.key))
        quiet = spot.quiet or struct.custom
        for entry in node.entries:
            key, value = entry.key, entry.value
            one = fields.get(key)
            if one is None:
                if key == _ENABLED and field.optional:
                    self._enabled(value)
                elif struct.custom or not struct.open:
                    self._unknown(entry, struct, spot, above)
            elif (
                isinstance(value, Scalar)
                and value.tag != "null"
                and not isinstance(one.shape, Items | Struct | Entries)
            ):
                check_scalar(value, one.shape, key, self._findings, live=live)
            else:
                inside = _inner(spot.defaults.get(key), one.default)
                below = _Spot(key, entry.key_origin, (*path, key), inside, live, quiet, above)
                self.value(value, one, below)

    def _entries(self, node: Mapping, shape: Entries, spot: _Spot) -> None:
        field = shape.value
        if isinstance(field.shape, Anything):
            return
        for entry in node.entries:
            key = entry.key
            inside = _inner(spot.defaults.get(key), field.default)
            below = _Spot(key, entry.key_origin, (*spot.path, key), inside, spot.live, spot.quiet, spot.above)
            if isinstance(field.shape, Struct) and is_null(entry.value):
                # Null becomes an empty one, behind a pointer too (expandNilStructPointersHookFunc).
                self._visit_empty(field.shape, below)
            else:
                self.value(entry.value, field, below)

    def _items(self, node: Sequence, shape: Items, spot: _Spot) -> None:
        for index, item in enumerate(node.items):
            field, quiet = shape.item, spot.quiet
            if shape.operators is not None:
                known = self._operator(item, shape.operators)
                field, quiet = known or field, quiet or known is not None
            path = (*spot.path, str(index))
            inside = _inner(None, field.default)
            below = _Spot(spot.key, item.origin, path, inside, spot.live, quiet, spot.above)
            if is_null(item) and isinstance(field.shape, Struct) and not field.nullable:
                self._visit_empty(field.shape, below)
            else:
                self.value(item, field, below)

    def _operator(self, item: Node, operators: Values[str, Schema]) -> Schema | None:
        """What a log operator takes, by its `type`; None when that is missing or unknown (a rule says so of maps)."""
        if is_null(item):
            message, hint = 'an operator needs a "type", this one is empty', "remove it, or write type: json_parser"
            self._findings.error(item.origin, "GS0260", message, hint)
        kind = item.get("type") if isinstance(item, Mapping) else None
        if kind is None or is_null(kind):
            return None
        if not isinstance(kind, Scalar) or kind.tag != "str":
            misfit(kind, _NAME.shape, "type", self._findings)
            return None
        return operators.get(kind.text)

    def _null(self, node: Scalar, field: Schema, spot: _Spot) -> None:
        """Null gives an optional its default; everything else stays unset."""
        if field.optional in ("default", "some") and isinstance(field.shape, Struct):
            self._visit_empty(field.shape, spot)

    def _single(self, node: Scalar, shape: Items | Entries | Struct, spot: _Spot) -> None:
        """One value where there should be several."""
        if node.tag == "str" and "$" in node.text and expand(node.text).typed:
            return
        if is_date(node) and not (isinstance(shape, Entries) and shape.pairs):
            check_date(node, shape, spot.key, self._findings)
            return
        if isinstance(shape, Items) and node.tag == "str":
            item = shape.item.shape
            if isinstance(item, Anything) or (isinstance(item, Text) and item.plain):
                return
        self._misfit(node, Schema(shape), spot)

    def _misfit(self, node: Node, field: Schema, spot: _Spot) -> None:
        written = "list" if isinstance(node, Sequence) else "map"
        empty = isinstance(node, Mapping) and not node.entries
        if isinstance(field.shape, Text) and (
            field.shape.under == "" or (field.shape.under == written and (empty or field.shape.words is None))
        ):
            return  # its words tell that what is underneath has no keys of its own
        if isinstance(field.shape, Identifier) and empty:
            return  # a struct underneath, without keys
        misfit(node, field.shape, spot.key, self._findings)

    def _is_off(self, node: Mapping) -> bool:
        """Whether an optional is switched off, or may be."""
        value = node.get(_ENABLED)
        return isinstance(value, Scalar) and not (value.tag == "bool" and value.text.lower() == "true")

    def _enabled(self, value: Node) -> None:
        """An optional's switch is read strictly: null is refused too (configoptional/optional.go `Unmarshal`)."""
        if isinstance(value, Scalar) and (value.tag == "bool" or (value.tag == "str" and expand(value.text).typed)):
            return
        self._findings.error(
            value.origin,
            "GS0233",
            f'"{_ENABLED}" must be true or false',
            "remove it: the settings are used when they are there",
        )

    def _visit(self, node: Mapping, struct: Struct, spot: _Spot) -> None:
        if not struct.name and not struct.parts:
            return
        top = self._settings
        here = (
            top
            if node is top.here
            else Settings(top.component, top.id, spot.origin, node, spot.path, spot.defaults, top.version, top.signals)
        )
        if struct.name:
            self.visited.append(Visited(struct.name, here))
        for part in struct.parts:
            self.visited.append(Visited(part, here))

    def _visit_empty(self, struct: Struct, spot: _Spot) -> None:
        if spot.live:
            self._visit(Mapping((), spot.origin), struct, spot)

    def _unknown(self, entry: Entry, struct: Struct, spot: _Spot, above: tuple[Level, ...]) -> None:
        """A key that nothing reads: misspelt, or in the wrong place."""
        key = entry.key
        code, message, hint = "GS0231", f"{quoted(key)} is not a setting of {quoted(spot.key)}", ""
        close: str | None = None
        if not self._findings.full:
            # Beyond it nobody reads the hint, and looking for it costs.
            close = nearest(key, struct.fields)
            where = "" if close is not None and _same_letters(close, key) else belongs(key, above)
            if where and not struct.custom:
                code, message, hint = "GS0232", f"{quoted(key)} does not belong here", where
            else:
                close_enough = close or _begun(key, struct)
                hint = f'did you mean "{close_enough}"?' if close_enough else _some(struct)
        if struct.custom:
            # It takes keys beyond its fields, or ignores them: only what looks like a slip is worth a word.
            if close is not None:
                message = f"{quoted(key)} may not be a setting of {quoted(spot.key)}"
                self._findings.warning(entry.key_origin, code, message, hint)
        elif spot.quiet or struct.ignores:
            self._findings.warning(entry.key_origin, code, f"{message}, and is ignored", hint)
        else:
            self._findings.error(entry.key_origin, code, message, hint)


def _inner(first: Any, second: Any) -> Values[str, Any]:
    """The defaults below a key: those of what stands around it, else the field's own."""
    if isinstance(first, dict):  # as JSON has them
        return first
    return second if isinstance(second, dict) else _EMPTY


def _same_letters(one: str, other: str) -> bool:
    return one.replace("_", "").lower() == other.replace("_", "").replace("-", "").lower()


def _begun(key: str, struct: Struct) -> str:
    """The one setting whose first word is the key: `trace_statements` for `traces`; empty when there are several."""
    word = key.removesuffix("s")
    found = [one for one in struct.fields if one.startswith(f"{word}_")] if word else []
    return found[0] if len(found) == 1 else ""


def _some(struct: Struct) -> str:
    """A hint that lists the settings of a small struct."""
    names = sorted(struct.fields)
    if not names:
        return "it has no settings"
    return "known: " + ", ".join(names) if len(names) <= _FEW else ""
