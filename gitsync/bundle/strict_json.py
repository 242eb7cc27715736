"""JSON from strangers: bounded, and only one way to read it.

What the standard library tolerates (a repeated member, NaN, any depth) lets two programs read one text differently.
Texts that carry a signature, or are compared with one that does, are read here.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

MAX_DEPTH = 16
_TOKENS = re.compile(rb'\\.|["\[\]{}]', re.DOTALL)


def parse_strict_json(data: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> Any:
    """The value of a JSON text; numbers are integers.

    Raises:
        ValueError: larger than `max_bytes`, deeper than `max_depth`, not UTF-8, a byte order mark, a repeated member,
            a fraction, NaN, or bytes after the value. The message names the fault and repeats nothing of the text.
    """
    if len(data) > max_bytes:
        raise ValueError(f"{len(data)} bytes, the limit is {max_bytes}")
    if data.startswith(b"\xef\xbb\xbf"):
        raise ValueError("it begins with a byte order mark")
    _check_depth(data, max_depth)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_float=_no_fraction, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error.msg} at byte {error.pos}") from None


def _check_depth(data: bytes, max_depth: int) -> None:
    """Counts brackets before the parser, which recurses, sees them; linear for every input."""
    depth, in_string = 0, False
    for token in _TOKENS.finditer(data):
        match token[0]:
            case b'"':
                in_string = not in_string
            case b"[" | b"{" if not in_string:
                depth += 1
                if depth > max_depth:
                    raise ValueError(f"it is nested deeper than {max_depth}")
            case b"]" | b"}" if not in_string:
                depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice in one object")
    return members


def _no_fraction(_: str) -> NoReturn:
    raise ValueError("a number is not an integer")


def _no_constant(_: str) -> NoReturn:
    raise ValueError("a number is not finite")
