"""Single values against the type that reads them: texts, numbers, flags, durations, ids."""

from __future__ import annotations

import math
import re

from gitsync.collector.components import BadId, parse_component_id
from gitsync.collector.duration import format_duration, parse_duration
from gitsync.collector.expansion import expand
from gitsync.collector.findings import Findings
from gitsync.collector.node import Node, Scalar, kind
from gitsync.collector.scalars import resolve, scalar_value
from gitsync.collector.schema import (
    Anything,
    Duration,
    Entries,
    Flag,
    Identifier,
    Items,
    Number,
    Shape,
    Struct,
    Text,
    Whole,
)
from gitsync.wording import did_you_mean, quoted

_CREDENTIAL = re.compile(r"auth|token|secret|passw|key|credential|cookie|session|signature", re.IGNORECASE)
"""Keys of secrets; headers and certificates are of the same type, and mostly no secrets."""

_WANTED: dict[type, str] = {
    Text: "text",
    Duration: "a duration",
    Identifier: "a component id",
    Whole: "a whole number",
    Number: "a number",
    Flag: "true or false",
    Items: "a list",
    Entries: "a map",
    Struct: "a map",
}
_CLOCK = r"[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(?:\.[0-9]+)?"
_DATE = re.compile(
    rf"[0-9]{{4}}-(0?[1-9]|1[0-2])-(0?[1-9]|[12][0-9]|3[01])(?:[Tt]{_CLOCK}(?:Z|[-+][0-9]{{2}}:[0-9]{{2}})| {_CLOCK})?"
)
"""What the Collector's YAML parser reads as a date when it stands without quotes (yaml resolve.go `parseTimestamp`)."""
_SHORT_MONTHS = {"02": 29, "04": 30, "06": 30, "09": 30, "11": 30}
_TAGS: dict[type, tuple[str, ...]] = {
    Flag: ("bool",),
    Identifier: ("str",),
    Whole: ("int", "float"),
    Number: ("int", "float"),
    Anything: ("str", "int", "float", "bool"),
}
"""What other types take."""
_YES = frozenset({"true", "yes", "on", "y", "1", "enabled"})
_NO = frozenset({"false", "no", "off", "n", "0", "disabled"})
_LONG_UNITS = (
    (re.compile(r"([0-9.]+)\s*(?:d|days?)"), 24, "h"),
    (re.compile(r"([0-9.]+)\s*(?:w|weeks?)"), 168, "h"),
    (re.compile(r"([0-9.]+)\s*(?:h|hours?|hrs?)"), 1, "h"),
    (re.compile(r"([0-9.]+)\s*(?:m|min|mins|minutes?)"), 1, "m"),
    (re.compile(r"([0-9.]+)\s*(?:s|secs?|seconds?)"), 1, "s"),
    (re.compile(r"([0-9.]+)\s*(?:ms|msecs?|millis|milliseconds?)"), 1, "ms"),
)
_NO_DURATION = re.compile(r"[^-+0-9.nuµμmsh]")
"""A character that no duration has, whatever is filled in beside it."""
_LISTED = 12
"""Words that a hint lists."""
_LONGEST_HINT = 40


def check_scalar(node: Scalar, shape: Shape, key: str, findings: Findings, *, live: bool = True) -> None:
    """Reports one value that does not fit (GS0233 to GS0237, GS0240, GS0242).

    Args:
        node: not null.
        shape: no list, map or struct.
        key: that the value belongs to, for messages.
        findings: takes what is found.
        live: whether the Collector would validate what it decodes.
    """
    tag, text, known = node.tag, node.text, True
    if tag == "str" and "$" in text:
        expanded = expand(text)
        if expanded.typed:
            return
        text, known = expanded.text, expanded.known
        if not known and isinstance(shape, Duration):
            text, known = expanded.literal, _NO_DURATION.search(expanded.literal) is not None
    if is_date(node):
        check_date(node, shape, key, findings)
    elif isinstance(shape, Text):
        # Words of a plain type are checked with the rest of its settings, not when they are read.
        _check_text(node, text if known and (live or shape.own) else None, shape, key, findings)
    elif isinstance(shape, Duration):
        _check_duration(node, text, key, findings, known=known)
    elif tag not in _TAGS[type(shape)]:
        misfit(node, shape, key, findings)
    elif isinstance(shape, Identifier) and known:
        _check_id(node, text, key, findings)
    elif isinstance(shape, Whole):
        _check_whole(node, shape, key, findings)


def is_date(node: Scalar) -> bool:
    """Whether the Collector's YAML parser reads a scalar as a date, because it stands without quotes."""
    if node.style != "plain" or node.tag != "str" or not node.text[:4].isdigit():
        return False
    match = _DATE.fullmatch(node.text)
    return match is not None and int(match[2]) <= _SHORT_MONTHS.get(match[1].rjust(2, "0"), 31)


def check_date(node: Scalar, shape: Shape, key: str, findings: Findings) -> None:
    """Reports a date, which no type but `any` takes as it is meant (GS0233, GS0242).

    Underneath it is a struct without fields, which a map takes for an empty one.
    """
    if isinstance(shape, Anything) or (isinstance(shape, Text) and (shape.lax or shape.under == "")):
        return
    if isinstance(shape, Struct | Entries | Identifier) or (isinstance(shape, Text) and shape.under == "map"):
        message = f"{quoted(key)}: the Collector reads {quoted(node.text)} as a date, and ignores it"
        findings.warning(node.origin, "GS0242", message, "put a text in double quotes")
    else:
        misfit(node, shape, key, findings)


def misfit(node: Node, shape: Shape, key: str, findings: Findings) -> None:
    """Reports a value of a wrong kind (GS0233)."""
    found = "a date" if isinstance(node, Scalar) and is_date(node) else kind(node)
    message = f"{quoted(key)} must be {_WANTED[type(shape)]}, not {found}"
    findings.error(node.origin, "GS0233", message, _cure(node, shape))


def _cure(node: Node, shape: Shape) -> str:
    """How a value of a wrong kind becomes one of the right kind."""
    if not isinstance(node, Scalar):
        if isinstance(shape, Items):
            return 'write "- " in front of the first key'
        return 'remove the "- " in front of it' if isinstance(shape, Struct | Entries) else ""
    if len(node.text) > _LONGEST_HINT:
        return ""
    if "${" in node.text:
        return "text around a reference makes the whole value text"
    if isinstance(shape, Text):
        return "put it in double quotes" + ("" if shape.secret else f": {quoted(node.text)}")
    if isinstance(shape, Items):
        return f"write [{quoted(node.text)}]"
    if isinstance(shape, Whole | Number):
        is_number = node.tag == "str" and resolve(node.text) in ("int", "float")
        return "remove the quotes" if is_number else ""
    if isinstance(shape, Flag):
        word = node.text.lower()
        return "write true" if word in _YES else "write false" if word in _NO else ""
    if isinstance(shape, Struct | Entries):
        return 'write "key: value" lines below it'
    return 'write a number with a unit, such as "10s"' if isinstance(shape, Duration) else ""


def _check_text(node: Scalar, text: str | None, shape: Text, key: str, findings: Findings) -> None:
    words = shape.words
    if node.tag != "str":
        if not (shape.lax or shape.under in ("", "bool" if node.tag == "bool" else "number")):
            misfit(node, shape, key, findings)
        return
    if shape.secret and text and _CREDENTIAL.search(key):
        message = f"{quoted(key)} is a secret, and everybody who reads this file can read it"
        findings.warning(node.origin, "GS1101", message, "let the agent fill it in: ${env:NAME}, or ${file:path}")
    if text is None or words is None or (text.lower() if shape.fold else text) in words:
        return
    listed = sorted(word for word in words if word)
    hint = "" if findings.full else did_you_mean(text, listed)
    if not hint and len(listed) <= _LISTED:
        hint = "allowed: " + ", ".join(listed)
    findings.error(node.origin, "GS0234", f"{quoted(key)} cannot be {quoted(text)}", hint)


def _check_id(node: Scalar, text: str, key: str, findings: Findings) -> None:
    try:
        parse_component_id(text)
    except BadId as error:
        message = f"{quoted(key)} names a component, but {quoted(text)} {error}"
        findings.error(node.origin, "GS0240", message, error.hint)


def _check_duration(node: Scalar, text: str, key: str, findings: Findings, *, known: bool) -> None:
    if node.tag == "bool":
        misfit(node, Duration(), key, findings)
    elif node.tag == "str":
        if known and parse_duration(text) is None:
            findings.error(node.origin, "GS0235", f"{quoted(key)}: {quoted(text)} is not a duration", _unit_hint(text))
    else:
        value = scalar_value(node)
        assert isinstance(value, int | float), "the tag says so"
        if not math.isfinite(value):
            findings.warning(node.origin, "GS0242", f"{quoted(key)}: {node.text} is no number of nanoseconds")
        elif value:
            length = format_duration(int(value))
            hint = f'write "{length}"' if abs(value) >= _MEANT else f'write "{node.text}s" for seconds'
            findings.warning(node.origin, "GS0236", f"{quoted(key)}: {node.text} without a unit means {length}", hint)


_MEANT = 1_000_000
"""Nanoseconds; whoever writes more digits than that may have meant nanoseconds."""


def _unit_hint(text: str) -> str:
    plain = text.strip().lower()
    if len(plain) <= _LONGEST_HINT:
        if resolve(plain) in ("int", "float"):
            return f'write "{plain}s" for seconds'
        for pattern, factor, unit in _LONG_UNITS:
            match = pattern.fullmatch(plain)
            if match is not None and resolve(match[1]) in ("int", "float"):
                return f'write "{float(match[1]) * factor:g}{unit}"'
    return 'write numbers with units: "10s", "1h30m"; units are ns, us, ms, s, m, h'


def _check_whole(node: Scalar, shape: Whole, key: str, findings: Findings) -> None:
    value = scalar_value(node)
    assert isinstance(value, int | float), "the tag says so"
    name = quoted(key)
    if shape.low == 0 and value < 0:
        findings.error(node.origin, "GS0237", f"{name} cannot be negative")
    elif not math.isfinite(value):
        findings.warning(node.origin, "GS0242", f"{name} is a whole number, {node.text} becomes any number at all")
    elif not shape.low <= value <= shape.high:
        message = f"{name}: {node.text} is too large, and becomes another number"
        findings.warning(node.origin, "GS0242", message, f"{shape.low} to {shape.high} can be held")
    elif value != int(value):
        findings.warning(node.origin, "GS0242", f"{name} is a whole number, {node.text} becomes {int(value)}")
