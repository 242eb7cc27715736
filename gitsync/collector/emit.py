"""A node tree to the bytes that agents get: one tree, one text, for ever.

The format is a promise (golden files pin it), because its digest decides whether an agent is offered
something new: UTF-8, LF, block style, indent 2, keys sorted by their UTF-8 bytes at every level, lists in
order, no comments, no anchors. Numbers, booleans and null keep the text they were written with. A string
stands plain only if nobody could read it as anything else; otherwise it is quoted as in JSON.
"""

from __future__ import annotations

import json
import re

from gitsync.collector.node import Mapping, Node, Scalar, Sequence

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_WORDS = frozenset(
    form
    for word in ("y", "yes", "n", "no", "on", "off", "true", "false", "null")
    for form in (word, word.capitalize(), word.upper())
)
# JSON leaves these as they are; YAML 1.2 calls them unprintable or a line break.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LONGEST_SIMPLE_KEY = 1000
"""Characters; YAML parsers accept `key:` up to 1,024 and need `? key` beyond."""


def emit(node: Mapping) -> bytes:
    """The compiled YAML of a tree (DATAMODEL, "Compiled YAML"); ends with a line feed.

    Parsing the result gives the same tree, by `same_tree`.
    """
    lines: list[str] = []
    _write(lines, "", "", node)
    lines.append("")
    return "\n".join(lines).encode()


def same_tree(a: Node, b: Node) -> bool:
    """Whether tags and texts of two trees are equal; order of keys, style and origins do not count."""
    if isinstance(a, Scalar) and isinstance(b, Scalar):
        return a.tag == b.tag and a.text == b.text
    if isinstance(a, Sequence) and isinstance(b, Sequence):
        return len(a.items) == len(b.items) and all(map(same_tree, a.items, b.items))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        if len(a.entries) != len(b.entries):
            return False
        others = {entry.key: entry.value for entry in b.entries}
        return all(entry.key in others and same_tree(entry.value, others[entry.key]) for entry in a.entries)
    return False


def _write(lines: list[str], lead: str, indent: str, node: Node) -> None:
    """Appends the lines of a node: the first begins with `lead`, the others with `indent`."""
    inline = _inline(node)
    if inline is not None:
        lines.append((lead + inline).rstrip(" "))
    elif isinstance(node, Sequence):
        for item in node.items:
            _write(lines, lead + "- ", indent + "  ", item)
            lead = indent
    elif isinstance(node, Mapping):
        for entry in sorted(node.entries, key=lambda one: one.key.encode()):
            key = _string(entry.key)
            if len(key) > _LONGEST_SIMPLE_KEY:
                lines.append(f"{lead}? {key}")
                lead, key = indent, ""
            beside = _inline(entry.value)
            if beside is None:
                lines.append(f"{lead}{key}:")
                _write(lines, indent + "  ", indent + "  ", entry.value)
            else:
                lines.append(f"{lead}{key}: {beside}".rstrip(" "))
            lead = indent


def _inline(node: Node) -> str | None:
    """The text of a node that stands behind its key or dash; None for a list or map with content."""
    if isinstance(node, Scalar):
        return _string(node.text) if node.tag == "str" else node.text
    if isinstance(node, Sequence):
        return None if node.items else "[]"
    return None if node.entries else "{}"


def _string(text: str) -> str:
    if _PLAIN.fullmatch(text) and text not in _WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)
