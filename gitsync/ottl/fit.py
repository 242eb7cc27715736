"""Which types can meet: at run time in an argument, in `set`, in a comparison, in arithmetic. For warnings only.

The Collector checks none of this when it reads a statement; what can never work fails, or does nothing, with every
record. `any` meets everything, so only types that are surely known are reported.
"""

from __future__ import annotations

from typing import Final

from gitsync.ottl.constants import Type

ANY: Final = "any"
_SCALARS: Final = frozenset({"string", "int", "float", "bool"})
_IDS: Final = frozenset({"TraceID", "SpanID", "ProfileID"})

TAKES: Final[dict[str, frozenset[Type]]] = {
    "StringGetter": frozenset({"string"}),
    "IntGetter": frozenset({"int"}),
    "FloatGetter": frozenset({"float"}),
    "BoolGetter": frozenset({"bool"}),
    "PMapGetter": frozenset({"map"}),
    "PSliceGetter": frozenset({"list"}),
    "TimeGetter": frozenset({"time"}),
    "DurationGetter": frozenset({"duration"}),
    "FloatLikeGetter": _SCALARS,
    "IntLikeGetter": _SCALARS,
    "BoolLikeGetter": _SCALARS,
    "ByteSliceLikeGetter": _SCALARS | {"bytes"},
    "PMapGetSetter": frozenset({"map"}),
    "PSliceGetSetter": frozenset({"list"}),
}
"""What an argument of each kind takes at run time; a kind that is missing takes anything."""

LITERALS: Final[dict[str, frozenset[Type]]] = {
    "StringGetter": frozenset({"string"}),
    "IntGetter": frozenset({"int"}),
    "FloatGetter": frozenset({"float"}),
    "BoolGetter": frozenset({"bool"}),
    "PMapGetter": frozenset({"map"}),
    "PSliceGetter": frozenset({"list"}),
    "TimeGetter": frozenset(),
    "DurationGetter": frozenset(),
    "FloatLikeGetter": _SCALARS | {"nil"},
    "IntLikeGetter": _SCALARS | {"nil"},
    "BoolLikeGetter": _SCALARS | {"nil"},
    "ByteSliceLikeGetter": _SCALARS | {"bytes", "nil"},
}
"""Which literals an argument of each kind takes: they are converted at once. Source: pkg/ottl/expression.go."""

_STRICT: Final = frozenset({"string", "int", "float", "bool", "time"}) | _IDS
"""Types of paths that take their own type only. Source: contexts/internal/ctxutil/typecheck.go ExpectType."""

_COMPARED: Final = _SCALARS | _IDS | {"time", "duration", "map", "list"}


def can_set(target: Type, value: Type) -> bool:
    """Whether a path of one type takes a value of the other."""
    if ANY in (target, value) or value == "nil" or target == value:
        return True
    if target in _STRICT:
        return value not in _COMPARED | {"bytes"}
    return not (target == "map" and value in _SCALARS | _IDS | {"time", "duration", "list", "bytes"})


def can_compare(left: Type, right: Type) -> bool:
    """Whether two types can ever be equal. Source: pkg/ottl/compare.go."""
    if left == right:
        return True
    if left in _COMPARED and right in _COMPARED:
        return {left, right} == {"int", "float"}
    return not ("bytes" in (left, right) and (left in _IDS or right in _IDS))


def result(operator: str, left: Type, right: Type) -> Type | None:
    """The type of a calculation, `any` when it is not known, None when it can only fail. Source: pkg/ottl/math.go."""
    if ANY in (left, right):
        return ANY
    numbers = {"int", "float"}
    if left in numbers and right in numbers:
        return "int" if left == right == "int" else "float"
    if operator == "+" and {left, right} == {"time", "duration"}:
        return "time"
    if operator == "-" and left == "time" and right in ("time", "duration"):
        return "duration" if right == "time" else "time"
    if operator in "+-" and left == right == "duration":
        return "duration"
    return None
