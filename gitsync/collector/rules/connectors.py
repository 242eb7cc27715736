"""Connectors: count, sum, signal_to_metrics, routing, failover. Those with dimensions are in `dimensions`."""

from __future__ import annotations

import re

from gitsync.collector.findings import Findings
from gitsync.collector.node import Scalar, Sequence, is_null
from gitsync.collector.rules import Rules
from gitsync.collector.rules.amounts import require_positive
from gitsync.collector.rules.demands import (
    EMPTY,
    EXCLUSIVE,
    MISSING,
    RANGE,
    REFUSED,
    TOGETHER,
    TWICE,
    WORD,
    exclusive,
    given,
    one_of,
    opted,
    require,
    whole,
)
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import quoted

_COUNTED = ("spans", "spanevents", "metrics", "datapoints", "logs", "profiles")
_SECTIONS = ("spans", "datapoints", "logs", "profiles")
_KINDS = ("histogram", "exponential_histogram", "sum", "gauge")
_SIZES = (2, 16384)
"""Of an exponential histogram (lightstep/go-expohisto, structure/config.go)."""
_CONTEXTS = ("resource", "span", "metric", "datapoint", "log", "request")
_OTELCOL = (0, 150, 0)
"""Since about then routing has the context `otelcol`."""
_COMPARATOR = re.compile("==|!=")
_FIELD = re.compile(r'request\[".*"\]')
_VALUE = re.compile(r'".*"')
_GROK = "ExtractGrokPatterns"
_GROK_KEY = re.compile(_GROK + r"\([^)]*\)\s*\[[^\]]+\]")


def check_count(settings: Settings, findings: Findings) -> None:
    """Names and attributes of metrics (connector/countconnector/config.go `Validate`)."""
    for section in _COUNTED:
        for name, metric in settings.entries(section):
            _check_metric(metric, findings, name, section)


def check_sum(settings: Settings, findings: Findings) -> None:
    """Names and attributes of metrics, and what is summed up (connector/sumconnector/config.go `Validate`)."""
    for section in _COUNTED:
        for name, metric in settings.entries(section):
            _check_metric(metric, findings, name, section)
            require(metric, findings, "source_attribute", hint="the attribute whose values are summed up")


def _check_metric(metric: Settings, findings: Findings, name: str, section: str) -> None:
    if not name:
        findings.error(metric.place(), MISSING, "a metric needs a name")
    if section == "metrics":
        if given(metric, "attributes"):
            message = "there are no attributes of metrics, only of what they are made of"
            findings.error(metric.key_place("attributes"), REFUSED, message, "use datapoints instead of metrics")
        return
    for attribute in metric.items("attributes"):
        require(attribute, findings, "key")


def check_signal_to_metrics(settings: Settings, findings: Findings) -> None:
    """Metrics of signals (connector/signaltometricsconnector/config/config.go `Validate`)."""
    if all(given(settings, section) is False for section in _SECTIONS):
        message = "signal_to_metrics makes no metric"
        findings.error(settings.place(), EMPTY, message, f"add one below {', '.join(_SECTIONS)}")
    for section in _SECTIONS:
        listed = settings.node(section)
        for one in listed.items if isinstance(listed, Sequence) else ():
            if is_null(one):
                findings.error(one.origin, EMPTY, "a metric is empty", "give it a name and a value")
        for metric in settings.items(section):
            require(metric, findings, "name")
            _check_made(metric, findings)
            for key in ("include_resource_attributes", "attributes"):
                _check_attributes(metric, findings, key)


def _check_made(metric: Settings, findings: Findings) -> None:
    """Exactly one kind of metric, with a value."""
    kinds = [kind for kind in _KINDS if opted(metric, kind)]
    if len(kinds) > 1:
        names = " and ".join(f'"{kind}"' for kind in kinds)
        findings.error(metric.key_place(kinds[-1]), EXCLUSIVE, f"{names} exclude each other", "keep one of them")
    elif not kinds and all(opted(metric, kind) is False for kind in _KINDS):
        findings.error(metric.place(), TOGETHER, f"the metric needs one of {', '.join(_KINDS)}")
    for kind in kinds:
        own = metric.below(kind)
        require(own, findings, "value", hint='an OTTL value, as in Int(span.attributes["bytes"])')
        value = own.text("value") if kind == "gauge" else None
        if value and _GROK in value and not _GROK_KEY.search(value):
            message = f"a gauge takes one value of {_GROK}, not all that it finds"
            findings.error(own.place("value"), REFUSED, message, f'name it: {_GROK}(…)["name"]')
        size = whole(own, "max_size")
        if kind == "exponential_histogram" and size and not _SIZES[0] <= size <= _SIZES[1]:
            message = f'"max_size" must be between {_SIZES[0]} and {_SIZES[1]}'
            findings.error(own.place("max_size"), RANGE, message)


def _check_attributes(metric: Settings, findings: Findings, key: str) -> None:
    seen: set[str] = set()
    for one in metric.items(key):
        exclusive(one, findings, "key", "keys_expression")
        if given(one, "key") is False and given(one, "keys_expression") is False:
            findings.error(one.place(), MISSING, 'an attribute needs a "key"')
        text = one.text("key")
        if text and text in seen:
            findings.error(one.place("key"), TWICE, f"there is another attribute {quoted(text)}")
        seen.add(text or "")
        if one.has("default_value") and one.flag("optional"):
            message = '"default_value" and "optional" exclude each other'
            findings.error(one.key_place("optional"), EXCLUSIVE, message, "keep one of them")


def check_routing(settings: Settings, findings: Findings) -> None:
    """A table of routes (connector/routingconnector/config.go `Validate`)."""
    if settings.is_empty("table"):
        message = '"table" must have at least one route'
        findings.error(settings.place("table"), EMPTY, message, "as in - {condition: …, pipelines: [traces/a]}")
    contexts = (*_CONTEXTS, "otelcol") if settings.version >= _OTELCOL else _CONTEXTS
    for route in settings.items("table"):
        _check_route(route, findings, contexts)


def _check_route(route: Settings, findings: Findings, contexts: tuple[str, ...]) -> None:
    statement, condition = given(route, "statement"), given(route, "condition")
    if statement and condition:
        message = '"statement" and "condition" exclude each other'
        findings.error(route.key_place("statement"), EXCLUSIVE, message, "keep the condition")
    elif statement is False and condition is False:
        hint = 'as in attributes["tenant"] == "a"'
        findings.error(route.place("condition"), MISSING, 'a route needs a "condition"', hint)
    if route.is_empty("pipelines"):
        findings.error(route.place("pipelines"), EMPTY, '"pipelines" must name at least one pipeline')
    one_of(route, findings, ("", "copy", "move"), "action")
    if not one_of(route, findings, ("", *contexts), "context") or route.text("context") != "request":
        return
    if statement or condition is False:
        findings.error(route.place("context"), TOGETHER, 'the context request needs a "condition"')
    else:
        _check_request(route, findings)


def _check_request(route: Settings, findings: Findings) -> None:
    """`request["name"] == "value"` or `!=` (connector/routingconnector/request.go `parseRequestCondition`)."""
    node = route.node("condition")
    if not isinstance(node, Scalar) or node.tag != "str" or not is_known(node):
        return
    sides = _COMPARATOR.split(node.text)
    if len(sides) != 2 or not _FIELD.search(sides[0]) or not _VALUE.search(sides[1]):
        message = f"{quoted(node.text)} is no condition of a request"
        findings.error(node.origin, WORD, message, 'as in request["X-Tenant"] == "a"')


def check_failover(settings: Settings, findings: Findings) -> None:
    """Levels, and how often to look (connector/failoverconnector/config.go `Validate`)."""
    if settings.is_empty("priority_levels"):
        message = '"priority_levels" must not be empty'
        hint = "as in - [traces/first] and - [traces/second]"
        findings.error(settings.place("priority_levels"), EMPTY, message, hint)
    if settings.has("retry_interval") or settings.default("retry_interval"):
        require_positive(settings, findings, "retry_interval")


def check_levels(settings: Settings, findings: Findings) -> None:
    """No level without a pipeline (connector/failoverconnector/failover.go `newBaseFailoverRouter`)."""
    levels = settings.node("priority_levels")
    for level in levels.items if isinstance(levels, Sequence) else ():
        if is_null(level) or (isinstance(level, Sequence) and not level.items):
            findings.error(level.origin, EMPTY, "a level must name at least one pipeline", "remove it")


VALIDATE: Rules = {
    "connector/count": (check_count,),
    "connector/sum": (check_sum,),
    "connector/signal_to_metrics": (check_signal_to_metrics,),
    "connector/routing": (check_routing,),
    "connector/failover": (check_failover,),
}
CONSTRUCT: Rules = {"connector/failover": (check_levels,)}
