"""Attributes and names: the attributes, resource and span processors."""

from __future__ import annotations

from gitsync.collector.findings import Findings
from gitsync.collector.node import Scalar
from gitsync.collector.rules import Rules
from gitsync.collector.rules.demands import (
    EMPTY,
    EXCLUSIVE,
    MISSING,
    REFUSED,
    REGEX,
    TOGETHER,
    WORD,
    given,
    is_regex,
    one_of,
    regex,
    regexes,
)
from gitsync.collector.rules.matching import check_both
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

_ACTIONS = ("insert", "update", "upsert", "delete", "hash", "extract", "convert")
_WRITING = ("insert", "update", "upsert")
_SOURCES = ("value", "from_attribute", "from_context")
_UNUSED = {
    **dict.fromkeys(_WRITING, ("pattern", "converted_type")),
    **dict.fromkeys(("delete", "hash"), ("value", "from_attribute", "converted_type")),
    "extract": (*_SOURCES, "converted_type"),
    "convert": (*_SOURCES, "pattern"),
}
"""Settings that an action refuses."""
_MEANT = {"set": "upsert", "add": "insert", "remove": "delete", "drop": "delete", "rename": "insert"}
_CODES = ("Ok", "Error", "Unset")


def check_attributes(settings: Settings, findings: Findings) -> None:
    """At least one action (processor/attributesprocessor/config.go `Validate`)."""
    _check_any(settings, findings, "actions")


def check_resource(settings: Settings, findings: Findings) -> None:
    """At least one action (processor/resourceprocessor/config.go `Validate`)."""
    _check_any(settings, findings, "attributes")


def check_attribute_actions(settings: Settings, findings: Findings) -> None:
    """Every action (attributesprocessor/factory.go), and for each signal what it is for."""
    for action in settings.items("actions"):
        check_action(action, findings)
    for signal in ("traces", "logs", "metrics"):
        if signal in settings.signals:
            check_both(settings, findings, signal)


def check_resource_actions(settings: Settings, findings: Findings) -> None:
    """Every action (resourceprocessor/factory.go)."""
    for action in settings.items("attributes"):
        check_action(action, findings)


def check_action(settings: Settings, findings: Findings) -> None:
    """One action (internal/coreinternal/attraction/attraction.go `NewAttrProc`)."""
    action = settings.text("action")
    if action is None:
        return
    action = action.lower()
    if action not in _ACTIONS:
        allowed = f"allowed: {', '.join(_ACTIONS)}"
        if not action:
            findings.error(settings.place("action"), MISSING, '"action" must be set', allowed)
        else:
            meant = _MEANT.get(action)
            hint = f'did you mean "{meant}"?' if meant else did_you_mean(action, _ACTIONS) or allowed
            findings.error(settings.place("action"), WORD, f"there is no action {quoted(action)}", hint)
        return
    _check_key(settings, findings, action)
    for key in _UNUSED[action]:
        if _is_there(settings, key):
            message = f'"{key}" has no meaning for the action {action}'
            findings.error(settings.key_place(key), EXCLUSIVE, message, "remove it")
    if action in _WRITING:
        _check_source(settings, findings)
    elif action == "extract":
        _check_groups(settings, findings)
    elif action == "convert":
        one_of(settings, findings, ("string", "int", "double"), "converted_type")
    else:
        regex(settings, findings, "pattern")


def check_span(settings: Settings, findings: Findings) -> None:
    """A new name or a status, and which spans (processor/spanprocessor/factory.go, span.go `newSpanProcessor`)."""
    if settings.signals and "traces" not in settings.signals:
        return
    parts = (("name", "from_attributes"), ("name", "to_attributes", "rules"))
    if not settings.has("status") and all(given(settings, *part) is False for part in parts):
        message = "the span processor has nothing to do"
        hint = "add from_attributes or to_attributes under name, or a status"
        findings.error(settings.place("name"), TOGETHER, message, hint)
        return
    if settings.has("status"):
        _check_status(settings.below("status"), findings)
    check_both(settings, findings, "traces")
    regexes(settings, findings, "name", "to_attributes", "rules")


def _check_any(settings: Settings, findings: Findings, key: str) -> None:
    if settings.is_empty(key):
        hint = "as in - {key: environment, value: prod, action: upsert}"
        findings.error(settings.place(key), EMPTY, f'"{key}" must list at least one action', hint)


def _check_key(settings: Settings, findings: Findings, action: str) -> None:
    if settings.text("key") != "":
        return
    if action not in ("delete", "hash"):
        findings.error(settings.place("key"), MISSING, f'the action {action} needs a "key"')
    elif given(settings, "pattern") is False:
        findings.error(settings.place("key"), TOGETHER, f'the action {action} needs a "key" or a "pattern"')


def _check_source(settings: Settings, findings: Findings) -> None:
    there = {key: _is_there(settings, key) for key in (*_SOURCES, "default_value")}
    if not any(one is not False for one in there.values()):
        message = "the action needs a value"
        findings.error(settings.place(), TOGETHER, message, "add value, from_attribute or from_context")
    several = [key for key in _SOURCES if there[key]]
    if len(several) > 1:
        names = " and ".join(f'"{key}"' for key in several)
        at = settings.key_place(several[-1])
        findings.error(at, EXCLUSIVE, f"{names} exclude each other", "keep one of them")


def _check_groups(settings: Settings, findings: Findings) -> None:
    """The names of a pattern's groups become attributes: every group needs one."""
    node = settings.node("pattern")
    if settings.text("pattern") == "":
        findings.error(settings.place("pattern"), MISSING, 'the action extract needs a "pattern"')
    if not isinstance(node, Scalar) or not node.text or not is_regex(node, findings):
        return
    from gitsync.ottl.literals.regex import read_regex  # loads RE2, which few configurations need

    read = read_regex(node.text)
    if not read.known:
        return
    if not read.groups:
        message = "the pattern has no named groups, so nothing is extracted"
        findings.error(node.origin, REGEX, message, "as in ^(?P<host>[^:]+):(?P<port>[0-9]+)$")
    elif read.groups > len(read.names):
        message = "every group of the pattern needs a name"
        findings.error(node.origin, REGEX, message, "write (?P<name>…), or (?:…) for a group that is not extracted")


def _check_status(settings: Settings, findings: Findings) -> None:
    if one_of(settings, findings, _CODES, "code") and given(settings, "description"):
        code = settings.text("code")
        if code != "Error":
            message = f"a status of {quoted(code or '')} has no description"
            findings.error(settings.key_place("description"), REFUSED, message, "only Error has one")


def _is_there(settings: Settings, key: str) -> bool | None:
    """Whether a setting counts as set: any value but null, and a text that is not empty for the named sources."""
    if key not in ("value", "default_value"):
        return given(settings, key)
    node = settings.node(key)
    return None if node is not None and not is_known(node) else node is not None


VALIDATE: Rules = {
    "processor/attributes": (check_attributes,),
    "processor/resource": (check_resource,),
}
CONSTRUCT: Rules = {
    "processor/attributes": (check_attribute_actions,),
    "processor/resource": (check_resource_actions,),
    "processor/span": (check_span,),
}
