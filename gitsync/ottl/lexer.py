"""The words of an OTTL text: tokens, or what is wrong with single characters, strings and numbers.

Source: pkg/ottl/grammar.go buildLexer, and participle v2 map.go (strings are unquoted one character at a time, so a
line break may stand in a string). White space only separates; there are no comments.

One difference on purpose: the Collector's parser compares punctuation by its text alone, so that the string `","` can
stand for a comma. Here a string is always a string.
"""

from __future__ import annotations

import re
from typing import Final

from gitsync.ottl.characters import character_findings, string_finding
from gitsync.ottl.finding import Finding

STRING: Final = "string"
INT: Final = "int"
FLOAT: Final = "float"
BYTES: Final = "bytes"
LOWER: Final = "lower"
UPPER: Final = "upper"
BLANK: Final = "_"
NIL: Final = "nil"
NOT: Final = "not"
AND: Final = "and"
OR: Final = "or"
BOOL: Final = "bool"
COMPARE: Final = "compare"
ARROW: Final = "=>"
ADD: Final = "add"
MULTIPLY: Final = "multiply"
END: Final = "end"
_SPACE: Final = "space"
_WRONG: Final = "wrong"

RESERVED: Final = {"nil": NIL, "not": NOT, "and": AND, "or": OR, "true": BOOL, "false": BOOL}
"""Words that are no names; a capital letter right behind one makes it a name again (`nilX`)."""

_EXACT: Final = {
    **RESERVED,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), COMPARE),
    **dict.fromkeys("+-", ADD),
    **dict.fromkeys("*/", MULTIPLY),
    **{mark: mark for mark in ("=>", "=", "(", ")", "{", "}", ":", ",", ".", "[", "]", "_")},
    " ": _SPACE,
}
_BY_FIRST: Final = {
    '"': STRING,
    ".": FLOAT,
    **dict.fromkeys("abcdefghijklmnopqrstuvwxyz", LOWER),
    **dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", UPPER),
    **dict.fromkeys(" \t\n\f\r", _SPACE),
}
_RESERVED_KINDS: Final = frozenset(RESERVED.values())
_CAPITALS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS: Final = frozenset("0123456789")

# Every character of a text belongs to exactly one piece: offsets are sums of lengths. Nothing is tried twice: all is
# possessive, and a string that is not closed takes the whole rest.
_PIECE: Final = re.compile(
    r"""
      [a-z][a-z0-9_]*+
    | [ \t\n\f\r]++
    | "(?:[^"\\]++|\\[^\n])*+"
    | "[\s\S]*+
    | [][(),{}:]
    | \.(?![0-9])
    | [A-Z][A-Z0-9_]*+
    | 0x[0-9a-fA-F]++
    | (?:[0-9]++\.[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?
    | [0-9]++
    | [=!<>]=
    | =>
    | _[0-9A-Za-z_]++
    | [\s\S]
    """,
    re.VERBOSE,
)

_CLOSED: Final = re.compile(r'"(?:[^"\\]++|\\[^\n])*+"')


class Tokens:
    """The tokens of one text as parallel lists; the last one is `END`, behind the last character that counts.

    Attributes:
        kinds: one of the words above; punctuation is its own kind.
        values: what was written; for a string what it stands for.
        starts: offset of the first character.
        ends: offset behind the last character.
    """

    __slots__ = ("ends", "kinds", "starts", "values")

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.values: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []

    def close(self) -> None:
        """Adds `END`."""
        end = self.ends[-1] if self.ends else 0
        self.kinds.append(END)
        self.values.append("")
        self.starts.append(end)
        self.ends.append(end)


def tokenize(text: str) -> tuple[Tokens, tuple[Finding, ...]]:
    """All tokens of a text; with findings when it has characters or strings that the language does not know."""
    tokens = Tokens()
    kinds, values, starts, ends = tokens.kinds, tokens.values, tokens.starts, tokens.ends
    end = 0
    for piece in _PIECE.findall(text):
        start = end
        end += len(piece)
        kind = _EXACT.get(piece) or _BY_FIRST.get(piece[0]) or _other_kind(piece)
        if kind == _SPACE:
            continue
        if kind == STRING:
            if end == len(text) and not _CLOSED.fullmatch(piece):
                return tokens, character_findings(text, start)
            piece = piece[1:-1]
            if "\\" in piece:
                read = unquote(piece)
                if isinstance(read, tuple):
                    return tokens, (string_finding(piece, start + 1, *read),)
                piece = read
        elif kind == _WRONG:
            return tokens, character_findings(text, start)
        elif kind in _RESERVED_KINDS and text[end : end + 1] in _CAPITALS:
            kind = LOWER
        kinds.append(kind)
        values.append(piece)
        starts.append(start)
        ends.append(end)
    tokens.close()
    return tokens, ()


def _other_kind(piece: str) -> str:
    if piece[0] not in _DIGITS:
        return _WRONG
    if piece[1:2] == "x":
        return BYTES
    return FLOAT if "." in piece else INT


_SIMPLE: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
}
_NUMBERED: Final = {
    "x": re.compile(r"[0-9a-fA-F]{2}"),
    "u": re.compile(r"[0-9a-fA-F]{4}"),
    "U": re.compile(r"[0-9a-fA-F]{8}"),
}
_OCTAL: Final = re.compile(r"[0-7]{3}")
_SURROGATES: Final = range(0xD800, 0xE000)
_HIGHEST: Final = 0x10FFFF


def unquote(inner: str) -> str | tuple[int, int]:
    r"""What the text between two quotes stands for; start and end of the first escape that is none, otherwise.

    Source: strconv.UnquoteChar. `\xff` and `\377` are the character of that number, not a byte.
    """
    parts: list[str] = []
    done = 0
    at = inner.find("\\")
    while at >= 0:
        parts.append(inner[done:at])
        escape = inner[at + 1]
        simple = _SIMPLE.get(escape)
        if simple is not None:
            parts.append(simple)
            done = at + 2
        else:
            number, done = _numbered(inner, at, escape)
            if number is None:
                return at, done
            parts.append(chr(number))
        at = inner.find("\\", done)
    parts.append(inner[done:])
    return "".join(parts)


def _numbered(inner: str, at: int, escape: str) -> tuple[int | None, int]:
    """The character's number, None when it is no escape; and the offset behind it."""
    if escape in _NUMBERED:
        found = _NUMBERED[escape].match(inner, at + 2)
        number = int(found[0], 16) if found else -1
        if escape != "x" and number in _SURROGATES:
            number = -1
        return (number if 0 <= number <= _HIGHEST else None), found.end() if found else at + 2
    found = _OCTAL.match(inner, at + 1)
    number = int(found[0], 8) if found else -1
    return (number if 0 <= number <= 0o377 else None), found.end() if found else at + 2
