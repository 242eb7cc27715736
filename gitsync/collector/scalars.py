"""What a plain scalar is: the YAML 1.2 core rules as the Collector's Go parser applies them.

Differences from PyYAML's YAML 1.1: `on`, `yes`, `1:30` and `2024-01-31` are strings; `0o17` is a number.
Differences from the bare YAML 1.2 core schema, as the Collector's parser has them: `0b101`, `1_000`, octal
`017`.
"""

from __future__ import annotations

import math
import re

from gitsync.collector.node import Scalar, Tag

_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_SPECIAL_FLOATS = {
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INT = re.compile(r"[-+]?(?:(0[xX])([0-9a-fA-F]+)|(0[bB])([01]+)|(0[oO]?)([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NUMBER_START = re.compile(r"[-+]?[.0-9_]")
_LONGEST_NUMBER = 400
"""Characters; a longer run of digits is text for every reader, and slow to convert."""
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


def resolve(text: str) -> Tag:
    """The tag of a plain (unquoted) scalar with this text."""
    if text in _BOOLS:
        return "bool"
    if text in _NULLS:
        return "null"
    if text in _SPECIAL_FLOATS:
        return "float"
    value = _number(text)
    if value is None:
        return "str"
    return "int" if isinstance(value, int) else "float"


def scalar_value(node: Scalar) -> str | int | float | bool | None:
    """The Python value of a scalar, as the Collector would read it (`017` is 15, `.inf` is infinite)."""
    if node.tag == "str":
        return node.text
    if node.tag == "null":
        return None
    if node.tag == "bool":
        return _BOOLS[node.text]
    if node.text in _SPECIAL_FLOATS:
        return _SPECIAL_FLOATS[node.text]
    value = _number(node.text)
    assert value is not None, "only resolved texts carry a number's tag"
    return value


def _number(text: str) -> int | float | None:
    """The number that a plain scalar is; None: it is text. Integers beyond 64 bits are floats, as in Go."""
    if len(text) > _LONGEST_NUMBER or not _NUMBER_START.match(text) or text[0] == "_":
        return None
    # Only after a digit or a sign: `.5_0` is text.
    plain = text if text[0] == "." else text.replace("_", "")
    match = _INT.fullmatch(plain)
    if match is not None:
        value = _integer(match, negative=plain[0] == "-")
        if _SMALLEST <= value <= _LARGEST:
            return value
    if _FLOAT.fullmatch(plain) is None:
        return None
    number = float(plain)
    return None if math.isinf(number) else number


def _integer(match: re.Match[str], *, negative: bool) -> int:
    hexadecimal, binary, octal, decimal = match[2], match[4], match[6], match[7]
    if hexadecimal is not None:
        value = int(hexadecimal, 16)
    elif binary is not None:
        value = int(binary, 2)
    elif octal is not None:
        value = int(octal, 8)
    else:
        value = int(decimal)
    return -value if negative else value
