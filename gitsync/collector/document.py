"""Reading YAML and JSON: bytes to a node tree, with marks and limits; no exception for what a user wrote.

The rules, in this order:
1. Size, encoding (UTF-8, one BOM allowed) and control characters, before any parser sees the text.
2. One linear pass over the C parser's events builds the tree. Events come from a state machine without
   recursion: a file of brackets cannot exhaust the stack. Each limit is checked as the event arrives,
   before anything grows.
3. An alias shares the node it names and adds that node's expanded size to its parent: nothing is ever
   copied out, a bomb is refused by arithmetic. An alias inside its own anchor is an error.
4. Scalars are resolved by the rules of `scalars`. Duplicate keys, custom tags, keys that are no text: errors.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import yaml
from yaml import events

from gitsync.collector.builder import DEFAULT_LIMITS, Builder, Limits, Refused
from gitsync.collector.encoding import decode
from gitsync.collector.findings import Findings
from gitsync.collector.node import Entry, Mapping, Node, Origin, Scalar, Sequence, is_null, kind
from gitsync.collector.scalars import scalar_value
from gitsync.collector.syntax import explain
from gitsync.diagnostics import Diagnostic

__all__ = [
    "DEFAULT_LIMITS",
    "Entry",
    "Limits",
    "Mapping",
    "Node",
    "Origin",
    "ParseResult",
    "Scalar",
    "Sequence",
    "is_null",
    "kind",
    "parse_mapping",
    "parse_yaml",
    "scalar_value",
    "to_python",
]


_SLASH = r"\/"
_ESCAPE = re.compile(r"\\.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ParseResult:
    """What a file became.

    Attributes:
        node: the tree; None if and only if there is an error. A file without content is an empty `Mapping`.
        diagnostics: sorted by place, at most a hundred.
    """

    node: Node | None
    diagnostics: tuple[Diagnostic, ...]


def parse_yaml(
    path: str, data: bytes, limits: Limits = DEFAULT_LIMITS, *, as_the_collector: bool = False
) -> ParseResult:
    """Reads one YAML or JSON document; never raises. Codes GS0101 to GS0119.

    Args:
        path: named by findings.
        data: the file.
        limits: what it may cost.
        as_the_collector: a second document and tags are what they are to the Collector, ignored; and a warning.
    """
    findings = Findings(path)
    text = decode(path, data, limits.file_bytes, findings)
    if text is None:
        return ParseResult(None, findings.done())
    escapes = as_the_collector and _SLASH in text
    builder = Builder(path, limits, findings, as_the_collector=as_the_collector)
    try:
        with contextlib.closing(_events(text)) as stream:
            for event in stream:
                builder.feed(event)
                if builder.ended:
                    break
                if escapes and isinstance(event, events.ScalarEvent):
                    _check_escapes(event, path, text, findings)
    except Refused as refused:
        findings.error(refused.at, refused.code, refused.message, refused.hint)
    except yaml.YAMLError as error:
        if not builder.skip_rest():
            why = explain(error, path, text.splitlines())
            findings.error(why.at, why.code, why.message, why.hint)
    if findings.errors:
        return ParseResult(None, findings.done())
    root = builder.root
    if root is None or is_null(root):
        root = Mapping((), Origin(path, 1, 1))
    return ParseResult(root, findings.done())


def parse_mapping(
    path: str, data: bytes, limits: Limits = DEFAULT_LIMITS, *, as_the_collector: bool = False
) -> tuple[Mapping | None, tuple[Diagnostic, ...]]:
    """Like `parse_yaml`, for files whose top must be a map (GS0118 if not); None if there is an error."""
    result = parse_yaml(path, data, limits, as_the_collector=as_the_collector)
    if result.node is None or isinstance(result.node, Mapping):
        return result.node, result.diagnostics
    findings = Findings(path)
    findings.error(
        result.node.origin,
        "GS0118",
        f"the file must be a map of keys, not {kind(result.node)}",
        'write "key: value" lines',
    )
    return None, findings.done()


Python: TypeAlias = "str | int | float | bool | list[Any] | dict[str, Any] | None"


def to_python(node: Node, max_nodes: int = DEFAULT_LIMITS.expanded_nodes) -> Python:
    """The tree as plain Python values (for JSON Schema and manifests; never for what an agent gets).

    Raises:
        ValueError: more than `max_nodes` values; cannot happen for a tree of `parse_yaml` with the default.
    """
    budget = [max_nodes]

    def convert(one: Node) -> Python:
        budget[0] -= 1
        if budget[0] < 0:
            raise ValueError(f"more than {max_nodes} values")
        if isinstance(one, Scalar):
            return scalar_value(one)
        if isinstance(one, Sequence):
            return [convert(item) for item in one.items]
        return {entry.key: convert(entry.value) for entry in one.entries}

    return convert(node)


def _check_escapes(event: events.ScalarEvent, path: str, text: str, findings: Findings) -> None:
    """Reports a slash that JSON's way of writing escapes: the Collector's YAML parser refuses it."""
    start, end = event.start_mark, event.end_mark
    if event.style != '"' or start is None or end is None:
        return
    if any(match[0] == _SLASH for match in _ESCAPE.finditer(text, start.index, end.index)):
        at = Origin(path, start.line + 1, start.column + 1)
        findings.error(at, "GS0110", r'the Collector does not know the escape "\/"', 'write "/"')


def _events(text: str) -> Generator[events.Event, None, None]:
    """The C parser's events; CSafeLoader is used as a parser only, nothing is composed or constructed."""
    return cast("Generator[events.Event, None, None]", yaml.parse(text, Loader=yaml.CSafeLoader))
