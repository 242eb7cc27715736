"""Messages and hints of the check: types in plain words, and how to write what was meant."""

from __future__ import annotations

from typing import Final

from gitsync.ottl.constants import Type
from gitsync.ottl.tables import Function, Parameter
from gitsync.ottl.tree import Integer, Name, Path, Signed, Text, Value

_WORDS: Final[dict[Type, str]] = {
    "string": "text",
    "int": "a whole number",
    "float": "a number with a point",
    "bool": "true or false",
    "bytes": "bytes",
    "map": "a map",
    "list": "a list",
    "time": "a time",
    "duration": "a duration",
    "nil": "nil",
}


def in_words(type_: Type) -> str:
    """A type as a reader calls it."""
    return _WORDS.get(type_) or f"a {type_}"


def target_hint(value: Value) -> str:
    """For a value where a path must stand."""
    if isinstance(value, Text):
        return "a path stands without quotes"
    return "it stands without parentheses" if isinstance(value, Path) else "a path names a place: span.name"


def set_hint(target: Type, value: Type) -> str:
    """For `set` of a path to a value of another type."""
    match target, value:
        case "float", "int":
            return "write the number with a point, or Double(…)"
        case "int", "float" | "string":
            return "write a whole number, or Int(…)"
        case "string", _:
            return "write it in double quotes, or String(…)"
        case (("TraceID" | "SpanID" | "ProfileID"), _):
            return f"write {target}(0x…), or set the path with .string behind it"
        case "time", _:
            return "write Time(…), or set the path that ends in _unix_nano"
        case _:
            return ""


def gate_hint(gate: str) -> str:
    """For a feature gate that is off."""
    return f"it is off unless the Collector runs with --feature-gates={gate}"


def count_message(function: Function, count: int) -> str:
    """Too many or too few arguments."""
    least, most = function.required, len(function.parameters)
    number = str(most) if least == most else f"{least} to {most}"
    noun = "argument" if least == most == 1 else "arguments"
    return f"{function.name} takes {number} {noun}, and gets {count}"


def shape(function: Function) -> str:
    """How a call looks: `delete_index(target, start_index, [end_index])`."""
    names = [f"[{one.name}]" if one.optional else one.name for one in function.parameters]
    return f"{function.name}({', '.join(names)})"


def literal_hint(kind: str, value: Value) -> str:
    """For a value where a literal of another kind must stand."""
    match kind, value:
        case "float64", Integer(value=number):
            return f"write {number}.0"
        case "string", Path() | Name():
            return "text stands in double quotes; a path is not taken here"
        case "int64", Text() | Signed():
            return "numbers stand without quotes and signs here"
        case "bool", Text():
            return "write true or false without quotes"
        case _:
            return ""


def getter_message(function: Function, parameter: Parameter, takes: frozenset[Type], type_: Type) -> str:
    """An argument of a type that its parameter does not take."""
    wanted = " or ".join(in_words(one) for one in sorted(takes - {"nil"}))
    if not wanted:
        wanted = "a time" if parameter.kind.endswith("TimeGetter") else "a duration"
    return f"{parameter.name} of {function.name} must be {wanted}, and this is {in_words(type_)}"


def getter_hint(kind: str, type_: Type) -> str:
    """For a literal that its parameter does not take."""
    if kind == "TimeGetter":
        return 'write Time("2024-01-31", "%Y-%m-%d") or a path that is a time'
    if kind == "DurationGetter":
        return 'write Duration("1h")'
    if kind == "FloatGetter" and type_ == "int":
        return "write the number with a point"
    if kind == "IntGetter" and type_ == "string":
        return "numbers stand without quotes"
    if kind == "StringGetter" and type_ in ("int", "float", "bool"):
        return "write it in double quotes, or use String(…)"
    return ""
