"""Literals as values: what the Collector knows of an argument before anything runs.

Text, numbers (a sign in front included), booleans, nil, bytes, enum symbols, and lists and maps of these. A path, a
converter and arithmetic are not constant. Source: pkg/ottl/expression.go newGetter, math.go evaluateMathValue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

from gitsync.ottl.tree import (
    Arithmetic,
    Boolean,
    Bytes,
    Call,
    Float,
    Integer,
    Items,
    Lambda,
    Name,
    Nil,
    Pairs,
    Path,
    Signed,
    Text,
    Value,
)

Type: TypeAlias = str
"""`string`, `int`, `float`, `bool`, `bytes`, `nil`, `list`, `map`, `lambda`, `any`, or a type of the tables."""
Plain: TypeAlias = str | int | float | bool | bytes | None


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is known; `value` is None for nil, lists, maps and lambdas."""

    type: Literal["string", "int", "float", "bool", "bytes", "nil", "list", "map", "lambda"]
    value: Plain = None


_Plain: TypeAlias = Text | Integer | Float | Boolean | Bytes
_PLAIN: Final[dict[type, Literal["string", "int", "float", "bool", "bytes"]]] = {
    Text: "string",
    Integer: "int",
    Float: "float",
    Boolean: "bool",
    Bytes: "bytes",
}
NIL: Final = Constant("nil")
LIST: Final = Constant("list")
MAP: Final = Constant("map")
LAMBDA: Final = Constant("lambda")


def constant(node: Value, enums: Mapping[str, int]) -> Constant | None:
    """The value of a literal; None for what is known at run time only, and for an unknown enum symbol."""
    kind = type(node)
    if kind is Path or kind is Call or kind is Arithmetic:
        return None
    plain = _PLAIN.get(kind)
    if plain is not None:
        return Constant(plain, cast("_Plain", node).value)
    match node:
        case Nil():
            return NIL
        case Name(name=symbol):
            return Constant("int", enums[symbol]) if symbol in enums else None
        case Signed():
            return _signed(node, enums)
        case Items(items=items):
            return LIST if all(constant(one, enums) is not None for one in items) else None
        case Pairs():
            return MAP if all(constant(one, enums) is not None for one in map_values(node)) else None
        case Lambda():
            return LAMBDA
        case _:
            return None


def _signed(node: Signed, enums: Mapping[str, int]) -> Constant | None:
    """A sign belongs to a number right behind it; `-(1)` is arithmetic, `+(1)` is the number."""
    inner = node.value
    if node.sign == "+":
        return constant(inner, enums) if isinstance(inner, (Integer, Float, Signed)) else None
    if node.end != inner.end or not isinstance(inner, (Integer, Float)):
        return None
    return Constant("int", -inner.value) if isinstance(inner, Integer) else Constant("float", -inner.value)


_DIGITS: Final = r"[0-9](?:_?[0-9])*"
_FLOAT: Final = re.compile(
    rf"[+-]?(?:inf|infinity|nan|(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:e[+-]?{_DIGITS})?"
    r"|0x(?:[0-9a-f_]++(?:\.[0-9a-f_]*)?|\.[0-9a-f]+)p[+-]?[0-9]+)",
    re.IGNORECASE,
)
TRUTHS: Final = frozenset({"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"})
"""Texts that stand for a boolean. Source: Go, strconv.ParseBool."""


def is_float_text(text: str) -> bool:
    """Whether a text stands for a float64. Source: Go, strconv.ParseFloat."""
    if not _FLOAT.fullmatch(text):
        return False
    if "x" in text.lower():
        return True
    named = text.lstrip("+-").lower().startswith(("i", "n"))
    return named or len(text) > 4000 or abs(float(text)) != float("inf")


def map_values(node: Pairs) -> Iterable[Value]:
    """The values of a map; of a key that is given twice the last one."""
    return {pair.key.value: pair.value for pair in node.pairs}.values()


def is_raw(node: Value) -> bool:
    """Whether a constant inside a list or map can be copied as it is: no map two lists deep, and no lambda.

    Source: pkg/ottl/expression.go mapGetter, pdata Slice.FromRaw.
    """
    match node:
        case Items(items=items):
            return all(is_raw(one) for one in items)
        case Pairs() | Lambda():
            return False
        case _:
            return True


def map_problem(node: Pairs) -> Value | None:
    """The first value of a constant map that the Collector cannot store; None when there is none."""
    for value in map_values(node):
        if isinstance(value, Lambda):
            return value
        if isinstance(value, Items):
            for one in value.items:
                if not isinstance(one, Pairs) and not is_raw(one):
                    return one
        if isinstance(value, Pairs):
            found = map_problem(value)
            if found is not None:
                return found
    return None
