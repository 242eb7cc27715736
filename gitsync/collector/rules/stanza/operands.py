"""Types of expr-lang operands, as far as they are certain (expr-lang/expr checker/checker.go)."""

from __future__ import annotations

from typing import Literal, TypeAlias

from gitsync.collector.rules.stanza.tokens import BadExpression, Token

Type: TypeAlias = Literal["unknown", "bool", "integer", "float", "text", "nil", "list", "map", "bytes"]

CONSTANTS: dict[str, Type] = {"true": "bool", "false": "bool", "nil": "nil"}
COMPARED = ("<", ">", ">=", "<=")
_NUMBERS: tuple[Type, ...] = ("integer", "float")
NAMES: dict[Type, str] = {
    "bool": "true or false",
    "integer": "a number",
    "float": "a number",
    "text": "text",
    "nil": "nil",
    "list": "a list",
    "map": "a map",
    "bytes": "bytes",
    "unknown": "anything",
}
_WANTED: dict[str, tuple[Type, ...]] = {
    **dict.fromkeys(("or", "||", "and", "&&"), ("bool",)),
    **dict.fromkeys(COMPARED, (*_NUMBERS, "text")),
    **dict.fromkeys(("-", "*", "/", "**", "^"), _NUMBERS),
    **dict.fromkeys(("%", ".."), ("integer",)),
    "+": (*_NUMBERS, "text"),
    **dict.fromkeys(("matches", "contains", "startsWith", "endsWith"), ("text", "bytes")),
}
"""Types of an operand beside an unknown one."""


def number_type(token: Token) -> Type:
    """Integer or float; refuses what has more than 64 bits."""
    text = token.value.lower()
    if not text.startswith("0x") and ("." in text or "e" in text):
        return "float"
    digits, base = (text[2:], {"x": 16, "o": 8, "b": 2}[text[1]]) if text[1:2] in ("x", "o", "b") else (text, 10)
    if not digits or int(digits, base) >= 2**63:
        raise BadExpression(f'"{token.value}" is not a whole number of 64 bits', token.at)
    return "integer"


def check_pattern(token: Token) -> None:
    """The pattern of `matches` is compiled when it is written as text."""
    from gitsync.ottl.literals.regex import read_regex  # loads RE2, which few configurations need

    problem = read_regex(token.value).problem
    if problem:
        raise BadExpression(problem, token.at)


def negated(token: Token, kind: Type) -> Type:
    """The type of `operator operand` (checker.go `unaryNode`)."""
    if token.value in ("!", "not"):
        if kind in ("bool", "unknown"):
            return "bool"
    elif kind in (*_NUMBERS, "unknown"):
        return kind
    raise BadExpression(f'"{token.value}" cannot stand before {NAMES[kind]}', token.at)


def combined(left: Type, token: Token, right: Type) -> Type:
    """The type of `left operator right` (checker.go `binaryNode`)."""
    operator = token.value
    if operator in ("==", "!="):
        if "unknown" in (left, right) or "nil" in (left, right) or _alike(left, right):
            return "bool"
    elif operator == "in":
        if right in ("list", "map", "unknown") or (left == "unknown" and right == "text"):
            return "bool"
    elif operator == "??":
        return "unknown"
    else:
        wanted = _WANTED[operator]
        fitting = left in (*wanted, "unknown") and right in (*wanted, "unknown")
        if fitting and ("unknown" in (left, right) or _alike(left, right)):
            return _result(operator, left, right)
    what = f"{NAMES[left]} and {NAMES[right]}"
    raise BadExpression(f'"{operator}" cannot stand between {what}', token.at)


def _alike(left: Type, right: Type) -> bool:
    return left == right or (left in _NUMBERS and right in _NUMBERS)


def _result(operator: str, left: Type, right: Type) -> Type:
    if operator in ("+", "-", "*"):
        return "unknown" if "unknown" in (left, right) else left if left == right else "float"
    if operator in ("/", "**", "^"):
        return "float"
    return "integer" if operator == "%" else "list" if operator == ".." else "bool"
