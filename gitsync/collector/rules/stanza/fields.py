"""What settings of log operators are made of: fields of a record, sizes, times, time zones, encodings, globs."""

from __future__ import annotations

import re

from gitsync.collector.findings import Findings
from gitsync.collector.node import Node, Scalar, is_null
from gitsync.collector.rules.demands import MISSING, PATH, WORD
from gitsync.collector.rules.stanza.expressions import check_expression
from gitsync.collector.settings import Settings, is_known
from gitsync.ottl.literals.encoding import BASE64, encoding_problem
from gitsync.ottl.literals.layout import layout_hint, layout_problem
from gitsync.ottl.literals.zones import ZONES
from gitsync.wording import did_you_mean, quoted

EXPRESSION = "GS0269"
LAYOUT = "GS0270"

_SIZE = re.compile(r"([0-9]++(?:\.[0-9]*+)?)\s*([kKmMgGtTpP]i?[bB])?")
_UNITS = {"": 1, **{f"{unit}b": 1000**power for power, unit in enumerate("kmgtp", 1)}}
_UNITS |= {f"{unit}ib": 1024**power for power, unit in enumerate("kmgtp", 1)}
_GO_FRACTION = re.compile(r"[^.,9]9+")
_EPOCHS = ("s", "ms", "us", "ns", "s.ms", "s.us", "s.ns")
_LAYOUTS = ("strptime", "gotime", "epoch", "native")
_LONGEST_DIGITS = 30
_LOCAL_ZONES = ("", "Local", "UTC")
_OTHER_ZONES = ("posix/", "right/")


def field_problem(text: str, *, rootable: bool = False) -> str | None:
    """Why a text names no field of a log record; None when it does (pkg/stanza/entry/field.go `newField`).

    Args:
        text: `body`, `attributes.a`, `resource["a.b"]`.
        rootable: whether `attributes` and `resource` may stand alone.
    """
    keys = _field_keys(text)
    if isinstance(keys, str):
        return keys
    if not keys or keys[0] not in ("attributes", "resource", "body"):
        return "it must begin with body, attributes or resource"
    if keys[0] != "body" and len(keys) == 1 and not rootable:
        return f"a key must follow {keys[0]}"
    return None


def _field_keys(text: str) -> list[str] | str:
    """The parts of a field, or why it cannot be split (field.go `fromJSONDot`)."""
    keys: list[str] = []
    at = 0
    while at < len(text):
        if text[at] != "[":
            end = min((found for found in (text.find(".", at), text.find("[", at)) if found >= 0), default=len(text))
            keys.append(text[at:end])
            at = end
            if text[at : at + 1] == ".":
                at += 1
                if at == len(text):
                    keys.append("")
            continue
        quote = text[at + 1 : at + 2]
        if quote not in ("'", '"'):
            return "keys in brackets need quotes" if quote else 'a "]" is missing'
        end = text.find(quote, at + 2)
        if end < 0:
            return "a quote is not closed"
        keys.append(text[at + 2 : end])
        if text[end + 1 : end + 2] != "]":
            return 'a "]" is missing'
        at = end + 2
        if text[at : at + 1] == ".":
            at += 1
            if at == len(text):
                keys.append("")
        elif at < len(text) and text[at] != "[":
            return 'after "]" comes a dot or a bracket'
    return keys


def check_field(settings: Settings, findings: Findings, *path: str, rootable: bool = False) -> None:
    """A field of a log record, when there is one."""
    node = settings.node(*path)
    if node is not None:
        check_field_node(node, findings, rootable=rootable)


def check_field_node(node: Node, findings: Findings, *, rootable: bool = False) -> None:
    """One written field."""
    if not isinstance(node, Scalar) or node.tag != "str" or not is_known(node):
        return
    problem = field_problem(node.text, rootable=rootable)
    if problem:
        message = f"{quoted(node.text)} is no field of a log: {problem}"
        findings.error(node.origin, WORD, message, _field_hint(node.text))


def _field_hint(text: str) -> str:
    first, _, rest = text.partition(".")
    if first in ("attribute", "attrs", "log_attributes") and rest:
        return f'did you mean "attributes.{rest}"?'
    if first in ("$body", "$record", "$", "record") or text.startswith("$"):
        return "body, body.key, attributes.key or resource.key"
    if first.isidentifier() and first not in ("attributes", "resource", "body"):
        return f'did you mean "attributes.{text}" or "body.{text}"?'
    return 'as in body, body.key, attributes["a.b"]'


def byte_size(settings: Settings, findings: Findings, *path: str) -> int | None:
    """Bytes of a size (`1MiB`, 1024); None when it is absent, not known, or reported as none (helper/bytesize.go)."""
    value = 0 if settings.is_nulled(*path) else settings.value(*path)
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is None or len(match[1]) > _LONGEST_DIGITS:
            if settings.has(*path):
                message = f"{quoted(value)} is no size in bytes"
                findings.error(settings.place(*path), WORD, message, "as in 512, 16KiB or 1MB")
            return None
        return int(float(match[1]) * _UNITS[(match[2] or "").lower()])
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1 << 62
    return int(value) if is_number else None


def check_condition(settings: Settings, findings: Findings, *path: str, condition: bool = True) -> None:
    """A written expression; columns inside it are told when it stands on one line."""
    node = settings.node(*path)
    if isinstance(node, Scalar) and node.tag == "str" and is_known(node):
        check_expression_node(node, findings, node.text, condition=condition)


def check_expression_node(node: Scalar, findings: Findings, text: str, *, condition: bool) -> None:
    """One expression, found in a text at a node."""
    problem = check_expression(text, condition=condition)
    if problem is not None:
        message, offset = problem
        where = f" at character {offset + 1}" if offset else ""
        findings.error(node.origin, EXPRESSION, f"the expression {quoted(text)} is wrong{where}: {message}")


def check_embedded(node: Node | None, findings: Findings) -> None:
    """The `EXPR(…)` parts of a text (helper/expr_string.go `ExprStringConfig.Build`)."""
    if not isinstance(node, Scalar) or node.tag != "str" or not is_known(node):
        return
    text, at = node.text, 0
    while (start := text.find("EXPR(", at)) >= 0:
        following = text.find("EXPR(", start + 5)
        end = text.rfind(")", start, following if following >= 0 else len(text))
        if end < 0:
            return
        check_expression_node(node, findings, text[start + 5 : end], condition=False)
        at = end + 1


def check_time(settings: Settings, findings: Findings) -> None:
    """A time: where it stands, and its layout (helper/time.go `TimeParser.Validate`)."""
    if not settings.has("parse_from"):
        findings.error(
            settings.place("parse_from"), MISSING, '"parse_from" must be set', "the field that holds the time"
        )
    kind, layout = settings.text("layout_type", default="strptime"), settings.text("layout")
    if kind is None:
        return
    kind = kind or "strptime"
    if kind not in _LAYOUTS:
        hint = did_you_mean(kind, _LAYOUTS) or "strptime, gotime or epoch"
        findings.error(settings.place("layout_type"), WORD, f"there is no layout type {quoted(kind)}", hint)
        return
    if kind == "native" or layout is None:
        return
    if not layout:
        findings.error(settings.place("layout"), MISSING, '"layout" must be set', "as in %Y-%m-%dT%H:%M:%S.%LZ")
        return
    problem, hint = _layout_problem(kind, layout)
    if problem:
        findings.error(settings.place("layout"), LAYOUT, f"{quoted(layout)} is no layout of {kind}: {problem}", hint)
    if kind == "epoch":
        return
    check_zone(settings, findings, "location")
    for name, _ in settings.entries("time_zone_locations"):
        check_zone(settings, findings, "time_zone_locations", name)
    directive = "MST" if kind == "gotime" else "%Z"
    if directive not in layout and not settings.is_empty("time_zone_locations"):
        message = f'"time_zone_locations" need {directive} in the layout'
        findings.error(settings.key_place("time_zone_locations"), LAYOUT, message)


def _layout_problem(kind: str, layout: str) -> tuple[str, str]:
    if kind == "strptime":
        problem = layout_problem(layout) or ""
        return problem, layout_hint(layout) if problem else ""
    if kind == "gotime":
        found = _GO_FRACTION.search(layout)
        return ("a fraction of a second must follow a dot or a comma" if found else ""), "as in 05.999"
    return ("" if layout in _EPOCHS else "it is no unit of time"), f"allowed: {', '.join(_EPOCHS)}"


def check_zone(settings: Settings, findings: Findings, *path: str) -> None:
    """The name of a time zone (Go's `time.LoadLocation`)."""
    name = settings.text(*path)
    if name is None or name in _LOCAL_ZONES or name in ZONES or name.startswith(_OTHER_ZONES):
        return
    near = "" if findings.full else did_you_mean(name, sorted(ZONES))
    hint = near or "a name of the time zone database, as in Europe/Berlin"
    findings.error(settings.place(*path), WORD, f"there is no time zone {quoted(name)}", hint)


def check_encoding(settings: Settings, findings: Findings) -> str | None:
    """The encoding of a text; its name, None when it is not known or wrong (internal/coreinternal/textutils)."""
    name = settings.text("encoding", default="utf-8")
    if name is None:
        return None
    problem = f"there is no text encoding {quoted(name)}" if name.lower() in BASE64 else encoding_problem(name)
    if problem:
        findings.error(settings.place("encoding"), WORD, problem, "as in utf-8, utf-16le, ascii, shift_jis, nop")
        return None
    return name


def glob_problem(pattern: str) -> str | None:
    """Why a pattern of paths is refused; None when it is not (bmatcuk/doublestar validate.go)."""
    depth, at = 0, 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 1
            if at >= len(pattern):
                return "nothing follows the backslash"
        elif char == "[":
            end = _class_end(pattern, at + 1)
            if end is None:
                return 'a "]" is missing, or nothing stands before it'
            at = end
        elif char in "{}":
            depth += 1 if char == "{" else -1
            if depth < 0:
                return 'a "{" is missing'
        at += 1
    return 'a "}" is missing' if depth else None


def _class_end(pattern: str, at: int) -> int | None:
    """The offset of the `]` of a class that begins at `at`."""
    if pattern[at : at + 1] in ("^", "!"):
        at += 1
    if pattern[at : at + 1] in ("", "]"):
        return None
    while at < len(pattern) and pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    return at if at < len(pattern) else None


def check_globs(settings: Settings, findings: Findings, key: str) -> None:
    """A list of patterns of paths."""
    for node in settings.texts(key) or ():
        problem = None if is_null(node) else glob_problem(node.text)
        if problem:
            findings.error(node.origin, PATH, f"{quoted(node.text)} is no pattern of paths: {problem}")
