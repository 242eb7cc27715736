"""Which telemetry a processor looks at: `include` and `exclude` as contrib's internal/filter reads them.

The attributes, span and filter processors have them. They are read when the processor is built, once per signal: what
suits spans does not suit logs.
"""

from __future__ import annotations

from collections.abc import Iterable

from gitsync.collector.findings import Findings
from gitsync.collector.node import Scalar
from gitsync.collector.rules.demands import (
    AT_START,
    MISSING,
    REFUSED,
    TOGETHER,
    WORD,
    given,
    is_regex,
    known_texts,
    one_of,
    whole,
)
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

MATCH_TYPES = ("strict", "regexp")
_OWN = {
    "traces": ("services", "span_names", "span_kinds", "attributes", "resources", "libraries"),
    "logs": (
        "log_bodies",
        "log_severity_texts",
        "log_severity_number",
        "attributes",
        "resources",
        "libraries",
    ),
    "metrics": ("metric_names", "resources"),
}
"""Criteria that suit a signal; at least one of them must be there."""
_OTHERS = {
    "traces": ("log_bodies", "log_severity_texts", "log_severity_number", "metric_names"),
    "logs": ("services", "span_names", "span_kinds", "metric_names"),
    "metrics": (
        "services",
        "span_names",
        "span_kinds",
        "log_bodies",
        "log_severity_texts",
        "log_severity_number",
        "attributes",
        "libraries",
    ),
}
"""Criteria that a signal refuses."""
_TEXTS = {
    "traces": ("services", "span_names", "span_kinds"),
    "logs": ("log_bodies", "log_severity_texts"),
    "metrics": ("metric_names",),
}
_ATTRIBUTES = {"traces": ("attributes", "resources"), "logs": ("attributes", "resources"), "metrics": ()}
_KINDS = tuple(f"SPAN_KIND_{kind}" for kind in ("INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"))


def check_both(settings: Settings, findings: Findings, signal: str) -> None:
    """`include` and `exclude` in the view of a processor, for one signal."""
    for key in ("include", "exclude"):
        if settings.has(key):
            check_properties(settings.below(key), findings, signal)


def check_properties(settings: Settings, findings: Findings, signal: str) -> None:
    """One `include` or `exclude` (filterconfig/config.go `ValidateForSpans`, `…Logs`, `…Metrics`)."""
    others = [key for key in _OTHERS[signal] if _is_there(settings, key)]
    for key in others:
        message = f"{quoted(key)} says nothing about {_name(signal)}"
        findings.error(settings.key_place(key), REFUSED, message, f"for {_name(signal)}: {', '.join(_OWN[signal])}")
    if others:
        return
    there = [_is_there(settings, key) for key in _OWN[signal]]
    if all(one is False for one in there):
        message = f'"{settings.path[-1]}" needs at least one of {", ".join(_OWN[signal])}'
        findings.error(settings.place(), TOGETHER, message)
        return
    if signal == "metrics" and settings.text("match_type") == "expr":
        return
    check_criteria(settings, findings, _TEXTS[signal], _ATTRIBUTES[signal], libraries=signal != "metrics")
    if signal == "traces" and settings.text("match_type") == "strict":
        _check_kinds(settings, findings)


def check_criteria(
    settings: Settings,
    findings: Findings,
    texts: Iterable[str],
    attributes: Iterable[str],
    *,
    libraries: bool = False,
) -> None:
    """Lists of texts and of attributes with one kind of matching (filterset/config.go, filtermatcher).

    Args:
        settings: `include` or `exclude`.
        findings: gets the errors.
        texts: keys of lists of texts.
        attributes: keys of lists of `{key, value}`.
        libraries: whether `libraries` count too.
    """
    texts, attributes = tuple(texts), tuple(attributes)
    listed = [one for key in texts for one in known_texts(settings, key)]
    pairs = [one for key in attributes for one in settings.items(key)]
    scopes = list(settings.items("libraries")) if libraries else []
    for one in pairs:
        if one.text("key") == "":
            findings.error(one.place("key"), MISSING, 'an attribute to match needs a "key"')
    valued = [one for one in pairs if one.has("value")]
    if not (listed or valued or scopes) or not one_of(settings, findings, MATCH_TYPES, "match_type"):
        return
    if settings.text("match_type") != "regexp":
        return
    for node in listed:
        is_regex(node, findings)
    for one in scopes:
        for key in ("name", "version"):
            scope = one.node(key)
            if isinstance(scope, Scalar):
                is_regex(scope, findings)
    for one in valued:
        _check_pattern(one, findings)
    _check_cache(settings, findings)


def _check_pattern(attribute: Settings, findings: Findings) -> None:
    """With regular expressions, the value of an attribute is a text."""
    node = attribute.node("value")
    if not isinstance(node, Scalar) or (node.tag != "str" and is_known(node)):
        message = "with match_type regexp, the value of an attribute is a pattern, so it must be text"
        findings.error(attribute.place("value"), WORD, message, "put it in quotes, or use match_type: strict")
    else:
        is_regex(node, findings)


def _check_cache(settings: Settings, findings: Findings) -> None:
    """A cache of matches needs a size (filterset/regexp/regexpfilterset.go `NewFilterSet`)."""
    size = whole(settings, "regexp", "cachemaxnumentries")
    if settings.flag("regexp", "cacheenabled") and size is not None and size < 0:
        findings.error(settings.place("regexp", "cachemaxnumentries"), REFUSED, "the cache needs a size above 0")


def _check_kinds(settings: Settings, findings: Findings) -> None:
    for node in known_texts(settings, "span_kinds"):
        if node.text not in _KINDS:
            hint = did_you_mean(node.text, _KINDS) or did_you_mean(f"SPAN_KIND_{node.text.upper()}", _KINDS)
            message = f"there is no kind of span {quoted(node.text)}"
            findings.error(node.origin, WORD, message, hint or f"known: {', '.join(_KINDS)}")


def _is_there(settings: Settings, key: str) -> bool | None:
    return settings.has(key) if key == "log_severity_number" else given(settings, key)


def _name(signal: str) -> str:
    return "spans" if signal == "traces" else signal


def warn_regex(node: Scalar, findings: Findings, consequence: str) -> None:
    """Warns of a wrong pattern where `validate` does not look at it.

    Args:
        node: the pattern.
        findings: gets the warning.
        consequence: what becomes of it, the end of a sentence.
    """
    if node.tag != "str" or not is_known(node):
        return
    from gitsync.ottl.literals.regex import read_regex  # loads RE2, which few configurations need

    read = read_regex(node.text)
    if read.problem:
        findings.warning(node.origin, AT_START, f"{read.problem}; {consequence}", read.hint)
