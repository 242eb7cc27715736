"""The tree of an OTTL text: what was written, and where.

Every node has `start` and `end`, offsets of characters in the text. Names follow the grammar of pkg/ottl (grammar.go).
Nothing is resolved yet: whether the first field of a path is a context, and whether a bare upper-case name is an enum
or a function, is decided by the check, which knows the context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Node:
    """A part of the text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A string literal; `value` is what the quotes and escapes stand for."""

    value: str


@dataclass(frozen=True, slots=True)
class Integer(Node):
    """Digits; a sign in front is a `Signed`."""

    value: int


@dataclass(frozen=True, slots=True)
class Float(Node):
    """Digits with a point, and an exponent perhaps."""

    value: float


@dataclass(frozen=True, slots=True)
class Boolean(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Nil(Node):
    """`nil`."""


@dataclass(frozen=True, slots=True)
class Bytes(Node):
    """`0x` and an even number of hexadecimal digits."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A bare upper-case word: an enum symbol, or (as an argument) the name of a function."""

    name: str


@dataclass(frozen=True, slots=True)
class Key(Node):
    """`[…]` behind a field or a converter; the brackets belong to it."""

    value: Value


@dataclass(frozen=True, slots=True)
class Field(Node):
    """One step of a path; `end` is behind its keys, `name_end` behind its name."""

    name: str
    keys: tuple[Key, ...]
    name_end: int


@dataclass(frozen=True, slots=True)
class Path(Node):
    """`span.attributes["a"]`; at least one field, the first may be a context (or a name that a lambda binds)."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """One argument of a call; `name` when it was written as `name=value`."""

    name: str | None
    value: Value


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function with its arguments: an editor (lower case, without keys) or a converter."""

    name: str
    name_end: int
    arguments: tuple[Argument, ...]
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Items(Node):
    """A list literal."""

    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Pair(Node):
    """One entry of a map literal."""

    key: Text
    value: Value


@dataclass(frozen=True, slots=True)
class Pairs(Node):
    """A map literal."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Signed(Node):
    """A sign in front of a value of arithmetic."""

    sign: Literal["+", "-"]
    value: Value


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """`left operator right`; operators of one rank lean to the left."""

    operator: Literal["+", "-", "*", "/"]
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Lambda(Node):
    """`(a, _) => body`."""

    parameters: tuple[Name, ...]
    body: Value | Condition


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """`left operator right`."""

    operator: Literal["==", "!=", "<", "<=", ">", ">="]
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Not(Node):
    """`not condition`."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """Two or more conditions with the same word between them."""

    operator: Literal["and", "or"]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Statement(Node):
    """`editor where condition`."""

    editor: Call
    condition: Condition | None


Value: TypeAlias = (
    Text | Integer | Float | Boolean | Nil | Bytes | Name | Path | Call | Items | Pairs | Signed | Arithmetic | Lambda
)
Condition: TypeAlias = Comparison | Boolean | Call | Not | Logic
Root: TypeAlias = Statement | Condition | Value
Kind: TypeAlias = Literal["statement", "condition", "value"]
"""What a whole text is."""
