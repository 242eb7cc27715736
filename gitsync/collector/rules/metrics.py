"""Processors of metrics: metrics_transform, metricsgeneration, cumulative_to_delta, delta_to_rate and their kin."""

from __future__ import annotations

from gitsync.collector.findings import Findings
from gitsync.collector.node import Scalar, Sequence
from gitsync.collector.rules import Rules
from gitsync.collector.rules.amounts import require_positive
from gitsync.collector.rules.demands import (
    EMPTY,
    MISSING,
    NO_EFFECT,
    REFUSED,
    TOGETHER,
    WORD,
    given,
    is_regex,
    known_texts,
    not_negative,
    one_of,
    positive,
    regex,
    require,
)
from gitsync.collector.rules.matching import MATCH_TYPES, warn_regex
from gitsync.collector.settings import Settings
from gitsync.wording import did_you_mean, quoted

_ACTIONS = ("insert", "update", "combine", "group")
_OPERATIONS = (
    "add_label",
    "update_label",
    "delete_label_value",
    "toggle_scalar_data_type",
    "experimental_scale_value",
    "aggregate_labels",
    "aggregate_label_values",
)
_AGGREGATIONS = ("sum", "mean", "min", "max", "median", "count")
_OPERATION_NEEDS = {"update_label": ("label",), "add_label": ("new_label", "new_value")}
_COMBINES = (0, 150, 0)
"""Since about then `combine` must say its new name and how."""
_DELTAS = ("sum", "histogram", "exponentialhistogram")
_GENERATIONS = ("calculate", "scale")
_ARITHMETIC = ("add", "subtract", "multiply", "divide", "percent")
_STRATEGIES = ("true_reset_point", "subtract_initial_point", "start_time_metric")


def check_transforms(settings: Settings, findings: Findings) -> None:
    """Every transform (processor/metricstransformprocessor/factory.go `validateConfiguration`, `createFilter`)."""
    for transform in settings.items("transforms"):
        require(transform, findings, "include", hint="the name of a metric")
        _check_included(transform, findings)
        _check_transform(transform, findings)
        for operation in transform.items("operations"):
            _check_operation(operation, findings)


def _check_included(transform: Settings, findings: Findings) -> None:
    if not one_of(transform, findings, ("", *MATCH_TYPES), "match_type") or transform.text("match_type") != "regexp":
        return
    regex(transform, findings, "include")
    labels = transform.below("experimental_match_labels")
    for entry in labels.here.entries:
        if isinstance(entry.value, Scalar):
            is_regex(entry.value, findings)


def _check_transform(transform: Settings, findings: Findings) -> None:
    action = transform.text("action") if one_of(transform, findings, _ACTIONS, "action") else None
    combines = action == "combine" and transform.version >= _COMBINES
    if action == "insert" or combines:
        require(transform, findings, "new_name", hint=f"the action {action} makes a new metric")
    if combines:
        require(transform, findings, "aggregation_type", hint=f"one of {', '.join(_AGGREGATIONS)}")
    if action == "group" and not transform.has("group_resource_labels"):
        findings.error(transform.place(), MISSING, 'the action group needs "group_resource_labels"')
    one_of(transform, findings, ("", *_AGGREGATIONS), "aggregation_type")
    one_of(transform, findings, ("", "lower", "upper"), "submatch_case")


def _check_operation(operation: Settings, findings: Findings) -> None:
    if one_of(operation, findings, _OPERATIONS, "action"):
        action = operation.text("action") or ""
        for key in _OPERATION_NEEDS.get(action, ()):
            require(operation, findings, key, hint=f"the operation {action} needs it")
        scale = operation.number("experimental_scale")
        if action == "experimental_scale_value" and scale == 0:
            message = 'the operation experimental_scale_value needs "experimental_scale", a number other than 0'
            findings.error(operation.place("experimental_scale"), MISSING, message)
    one_of(operation, findings, ("", *_AGGREGATIONS), "aggregation_type")


def check_generation(settings: Settings, findings: Findings) -> None:
    """Every rule for a new metric (processor/metricsgenerationprocessor/config.go `Validate`)."""
    for rule in settings.items("rules"):
        require(rule, findings, "name", hint="of the new metric")
        require(rule, findings, "metric1", hint="the metric to begin with")
        if one_of(rule, findings, _GENERATIONS, "type"):
            kind = rule.text("type")
            if kind == "calculate":
                require(rule, findings, "metric2", hint="calculate needs two metrics")
            elif kind == "scale":
                require_positive(rule, findings, "scale_by", duration=False, hint="scale multiplies by it")
        one_of(rule, findings, ("", *_ARITHMETIC), "operation")
        name = rule.text("name")
        for key in ("metric1", "metric2"):
            if name and rule.text(key) == name:
                message = f"the new metric cannot have the name of {quoted(key)}"
                findings.error(rule.place("name"), REFUSED, message)


def check_deltas(settings: Settings, findings: Findings) -> None:
    """Kinds of matching and of metrics (processor/cumulativetodeltaprocessor/config.go `Validate`).

    A wrong kind of matching and a wrong pattern are not noticed (processor.go `newCumulativeToDeltaProcessor`).
    """
    for key in ("include", "exclude"):
        part = settings.below(key)
        metrics, match_type = given(part, "metrics"), given(part, "match_type")
        if metrics and match_type is False:
            message = '"metrics" need a "match_type"'
            findings.error(part.key_place("metrics"), TOGETHER, message, f"{' or '.join(MATCH_TYPES)}")
        elif match_type and metrics is False:
            findings.error(part.key_place("match_type"), TOGETHER, '"match_type" needs "metrics"')
        elif metrics and match_type:
            _check_delta_names(part, findings)
        types = part.node("metric_types")
        items = types.items if isinstance(types, Sequence) else ()
        nulls = (one for one in items if isinstance(one, Scalar) and one.tag == "null")
        for node in (*known_texts(part, "metric_types"), *nulls):
            if node.text.lower() not in _DELTAS:
                hint = did_you_mean(node.text, _DELTAS) or f"allowed: {', '.join(_DELTAS)}"
                findings.error(node.origin, WORD, f"metrics of the type {quoted(node.text)} have no delta", hint)


def _check_delta_names(part: Settings, findings: Findings) -> None:
    match_type = part.text("match_type")
    if match_type is not None and match_type not in MATCH_TYPES:
        hint = did_you_mean(match_type, MATCH_TYPES) or " or ".join(MATCH_TYPES)
        message = f"there is no match_type {quoted(match_type)}: the setting has no effect"
        findings.warning(part.place("match_type"), NO_EFFECT, message, hint)
    elif match_type == "regexp":
        for node in known_texts(part, "metrics"):
            warn_regex(node, findings, "the Collector crashes on the first metric")


def check_rate(settings: Settings, findings: Findings) -> None:
    """At least one metric (processor/deltatorateprocessor/config.go `Validate`)."""
    if settings.is_empty("metrics"):
        findings.error(settings.place("metrics"), EMPTY, '"metrics" must list at least one metric')


def check_cumulative(settings: Settings, findings: Findings) -> None:
    """How long, how many (processor/deltatocumulativeprocessor/config.go `Validate`)."""
    positive(settings, findings, "max_stale")
    not_negative(settings, findings, "max_streams", duration=False)


def check_interval(settings: Settings, findings: Findings) -> None:
    """A time (processor/intervalprocessor/config.go `Validate`)."""
    positive(settings, findings, "interval")


def check_start_time(settings: Settings, findings: Findings) -> None:
    """A strategy, and what belongs to it (processor/metricstarttimeprocessor/config.go `Validate`)."""
    known = one_of(settings, findings, _STRATEGIES, "strategy")
    positive(settings, findings, "gc_interval")
    if not given(settings, "start_time_metric_regex"):
        return
    regex(settings, findings, "start_time_metric_regex")
    if known and settings.text("strategy") != "start_time_metric":
        message = '"start_time_metric_regex" needs the strategy start_time_metric'
        findings.error(settings.key_place("start_time_metric_regex"), TOGETHER, message)


VALIDATE: Rules = {
    "processor/metrics_generation": (check_generation,),
    "processor/cumulative_to_delta": (check_deltas,),
    "processor/delta_to_rate": (check_rate,),
    "processor/delta_to_cumulative": (check_cumulative,),
    "processor/interval": (check_interval,),
    "processor/metric_start_time": (check_start_time,),
}
CONSTRUCT: Rules = {
    "processor/metrics_transform": (check_transforms,),
}
