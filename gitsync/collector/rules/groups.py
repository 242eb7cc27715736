"""Groups of OTTL in the transform and filter processors: `{context, conditions, statements, error_mode}`.

Their code decodes them, so the schemas say nothing; keys and texts are judged where the texts are found.
"""

from __future__ import annotations

from gitsync.collector.findings import Findings
from gitsync.collector.node import Entry, Mapping, Node, Scalar, Sequence, is_null, kind
from gitsync.collector.rules import Rules
from gitsync.collector.rules.demands import EMPTY, WORD
from gitsync.collector.settings import Settings

_KIND = "GS0233"
_SIGNALS = ("trace", "metric", "log", "profile")


def check_statements(settings: Settings, findings: Findings) -> None:
    """Groups of statements (processor/transformprocessor/config.go `Unmarshal`, internal/common/config.go)."""
    for signal in _SIGNALS:
        _check_groups(settings, findings, f"{signal}_statements", "statements")


def check_conditions(settings: Settings, findings: Findings) -> None:
    """Groups of conditions (processor/filterprocessor/config.go `Unmarshal`, internal/condition)."""
    for signal in _SIGNALS:
        _check_groups(settings, findings, f"{signal}_conditions", "conditions")


def _check_groups(settings: Settings, findings: Findings, key: str, inner: str) -> None:
    node = settings.here.get(key)
    if node is not None and is_null(node):
        message = f'"{key}" must be a list, not empty'
        findings.error(settings.key_place(key), _KIND, message, "remove the key, or write - … below it")
    for item in node.items if isinstance(node, Sequence) else ():
        if isinstance(item, Mapping):
            _check_group(item, findings, inner)


def _check_group(group: Mapping, findings: Findings, inner: str) -> None:
    if inner == "statements" and not any(_items(group.get(key)) for key in ("context", "statements", "conditions")):
        hint = "as in {context: resource, statements: […]}"
        if len(group.entries) == 1 and "(" in group.entries[0].key:
            hint = "the text has a colon and a blank, so YAML reads a map: put it in quotes, or write it below - |"
        findings.error(group.origin, EMPTY, "the group has neither a context nor statements", hint)
    for entry in group.entries:
        if entry.key in ("statements", "conditions"):
            _check_texts(entry, findings)
        elif entry.key in ("context", "error_mode"):
            _check_word(entry, findings)


def _check_texts(entry: Entry, findings: Findings) -> None:
    node = entry.value
    if isinstance(node, Mapping) or (isinstance(node, Scalar) and node.tag not in ("str", "null")):
        message = f'"{entry.key}" must be a list, not {kind(node)}'
        findings.error(node.origin, _KIND, message, "write each one as - …")
    for item in node.items if isinstance(node, Sequence) else ():
        if not isinstance(item, Scalar) or item.tag not in ("str", "null"):
            message = f'"{entry.key}" lists texts, this is {kind(item)}'
            hint = "put it in quotes: it has a colon and a blank" if isinstance(item, Mapping) else "put it in quotes"
            findings.error(item.origin, _KIND, message, hint)


def _check_word(entry: Entry, findings: Findings) -> None:
    """A context or a mode is a text; whether it is a known one is judged with the texts of the group."""
    node = entry.value
    if is_null(node) or (entry.key == "context" and isinstance(node, Scalar) and node.tag == "str" and not node.text):
        findings.error(entry.key_origin, WORD, f'"{entry.key}" must not be empty', "remove the key")
    elif not isinstance(node, Scalar) or node.tag != "str":
        findings.error(node.origin, _KIND, f'"{entry.key}" must be text, not {kind(node)}')


def _items(node: Node | None) -> bool:
    """Whether there is something in a list, or a text that stands for one."""
    if isinstance(node, Scalar):
        return node.tag == "str" and bool(node.text)
    return isinstance(node, Sequence) and bool(node.items)


VALIDATE: Rules = {
    "processor/transform": (check_statements,),
    "processor/filter": (check_conditions,),
}
