"""Relabelling rules of Prometheus: actions, what they need, and what they must not have (model/relabel/relabel.go)."""

from __future__ import annotations

import re

from gitsync.collector.findings import Findings
from gitsync.collector.node import Scalar, Sequence, is_null
from gitsync.collector.rules.demands import EMPTY, EXCLUSIVE, MISSING, RANGE, WORD, given, is_regex
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

_ACTIONS = (
    "replace",
    "keep",
    "drop",
    "hashmod",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
    "keepequal",
    "dropequal",
)
_NEED_TARGET = frozenset({"replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"})
_DEFAULTS = {"target_label": "", "separator": ";", "regex": "(.*)", "replacement": "$1"}
_FORBIDDEN = {
    **dict.fromkeys(("lowercase", "uppercase"), ("replacement",)),
    **dict.fromkeys(("keepequal", "dropequal"), ("regex", "modulus", "separator", "replacement")),
    **dict.fromkeys(
        ("labeldrop", "labelkeep"), ("source_labels", "target_label", "modulus", "separator", "replacement")
    ),
}
_LEGACY_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def check_relabel(settings: Settings, findings: Findings, key: str, *, legacy: bool) -> None:
    """A list of rules.

    Args:
        settings: of the job.
        findings: what is found.
        key: of the list.
        legacy: whether names of labels have letters, digits and `_` only.
    """
    listed = settings.node(key)
    for node in listed.items if isinstance(listed, Sequence) else ():
        if is_null(node):
            findings.error(node.origin, EMPTY, f"a rule in {key} is empty", "remove it")
    for rule in settings.items(key):
        _check_rule(rule, findings, legacy=legacy)


def _check_rule(rule: Settings, findings: Findings, *, legacy: bool) -> None:
    node = rule.node("regex")
    if isinstance(node, Scalar) and is_known(node):
        is_regex(node, findings)
    action = rule.text("action", default="replace")
    if action is None:
        return
    name = action.lower()
    if name not in _ACTIONS:
        hint = did_you_mean(name, _ACTIONS) or f"known: {', '.join(_ACTIONS)}"
        findings.error(rule.place("action"), WORD, f"there is no relabel action {quoted(action)}", hint)
        return
    if name == "hashmod" and rule.number("modulus") == 0:
        at = rule.place("modulus")
        findings.error(at, RANGE if rule.has("modulus") else MISSING, 'hashmod needs a "modulus" above 0')
    target = rule.text("target_label")
    if name in _NEED_TARGET and target == "":
        findings.error(rule.place("target_label"), MISSING, f'{name} needs a "target_label"', "the label to write")
    elif name in _NEED_TARGET and target and legacy and "$" not in target and not _LEGACY_NAME.fullmatch(target):
        findings.error(
            rule.place("target_label"), WORD, f"{quoted(target)} is no name of a label", "letters, digits, _"
        )
    for key in _FORBIDDEN.get(name, ()):
        if _differs(rule, key):
            findings.error(rule.key_place(key), EXCLUSIVE, f'{name} has no "{key}"', "remove it")


def _differs(rule: Settings, key: str) -> bool:
    """Whether a setting is certainly not what it is by default; the Collector reads `$$` as `$`."""
    if key == "source_labels":
        return rule.has(key)
    if key == "modulus":
        return rule.number(key) not in (0, None)
    text = rule.text(key)
    return bool(given(rule, key)) and text is not None and text.replace("$$", "$") != _DEFAULTS[key]
