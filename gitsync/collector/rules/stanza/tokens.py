"""Tokens of expr-lang, the language of `if`, `expr` and `EXPR(…)` in log operators (expr-lang/expr parser/lexer)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["end", "operator", "bracket", "name", "number", "string", "bytes"]

_SPACE = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NAME = re.compile(r"[^\W\d]|\$")
_NAME_REST = re.compile(r"(?:\w|\$)*")
_NUMBER = re.compile(
    r"0[xX][0-9a-fA-F_]*|0[oO][0-7_]*|0[bB][01_]*"
    r"|(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]*)?"
)
_OPERATOR = re.compile(r"\?[.?]?|\|\|?|::?|[&!=*<>][&=*]?|\.\.?|[,;%+\-^/]|##?")
_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\'\"])|(?P<octal>[0-7]{3})|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})"
    r"|u\{(?P<b>[0-9a-fA-F]{1,6})\}|U(?P<long>[0-9a-fA-F]{8}))"
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_WORDS = frozenset(
    {"not", "in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else"},
)
_LAST_RUNE = 0x10FFFF


class BadExpression(Exception):
    """A text that is no expression.

    Attributes:
        at: offset in the text.
    """

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


@dataclass(frozen=True, slots=True)
class Token:
    """One token; the value of a string is what it means, not how it is written."""

    kind: Kind
    value: str
    at: int

    def is_operator(self, *values: str) -> bool:
        """Whether it is one of some operators (words such as `and` are operators)."""
        return self.kind == "operator" and self.value in values

    def is_bracket(self, value: str) -> bool:
        """Whether it is this bracket."""
        return self.kind == "bracket" and self.value == value


def tokens_of(text: str) -> list[Token]:
    """All tokens, an `end` at last.

    Raises:
        BadExpression: a character, number or string that the language does not have.
    """
    found: list[Token] = []
    at = 0
    while True:
        at = _after_space(text, at)
        if at == len(text):
            found.append(Token("end", "", at))
            return found
        token, at = _next(text, at)
        found.append(token)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    end = match.end() if match else at
    if text.startswith("/*", end):
        raise BadExpression("a comment is not closed", end)
    return end


def _next(text: str, at: int) -> tuple[Token, int]:
    char = text[at]
    if char in "'\"":
        return _string(text, at, at, "string")
    if char in "bB" and text[at + 1 : at + 2] in ("'", '"'):
        return _string(text, at, at + 1, "bytes")
    if char == "`":
        return _raw(text, at)
    if char.isascii() and (char.isdigit() or (char == "." and text[at + 1 : at + 2].isdigit())):
        return _number(text, at)
    if char in "()[]{}":
        return Token("bracket", char, at), at + 1
    if _NAME.match(char):
        rest = _NAME_REST.match(text, at)
        end = rest.end() if rest else at + 1
        word = text[at:end]
        return Token("operator" if word in _WORDS else "name", word, at), end
    operator = _OPERATOR.match(text, at)
    if operator is None:
        raise BadExpression(f"the character {char!r} has no meaning here", at)
    return Token("operator", operator[0], at), operator.end()


def _number(text: str, at: int) -> tuple[Token, int]:
    match = _NUMBER.match(text, at)
    end = match.end() if match else at + 1
    if _NAME.match(text[end : end + 1]):
        raise BadExpression("a number ends with letters", at)
    return Token("number", text[at:end].replace("_", ""), at), end


def _string(text: str, start: int, at: int, kind: Kind) -> tuple[Token, int]:
    quote = text[at]
    parts: list[str] = []
    here = at + 1
    while True:
        char = text[here : here + 1]
        if char in ("", "\n"):
            raise BadExpression("a string is not closed", at)
        if char == quote:
            return Token(kind, "".join(parts), start), here + 1
        if char != "\\":
            parts.append(char)
            here += 1
            continue
        match = _ESCAPE.match(text, here)
        if match is None or (match["simple"] in ("'", '"') and match["simple"] != quote):
            shown = text[here : here + 2]
            raise BadExpression(f"there is no escape {shown!r} in strings; a backslash is written twice", here)
        parts.append(_unescaped(match, here))
        here = match.end()


def _unescaped(match: re.Match[str], at: int) -> str:
    if match["simple"]:
        return _SIMPLE.get(match["simple"], match["simple"])
    code = (
        int(match["octal"], 8) if match["octal"] else int(match["x"] or match["u"] or match["b"] or match["long"], 16)
    )
    if code > _LAST_RUNE:
        raise BadExpression("there is no such character", at)
    return chr(code)


def _raw(text: str, at: int) -> tuple[Token, int]:
    """Between backquotes; two of them stand for one."""
    here = at + 1
    while True:
        end = text.find("`", here)
        if end < 0:
            raise BadExpression("a string is not closed", at)
        if text[end + 1 : end + 2] != "`":
            return Token("string", text[at + 1 : end].replace("``", "`"), at), end + 1
        here = end + 2
