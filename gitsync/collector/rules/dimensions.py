"""Connectors that make metrics of traces: span_metrics, service_graph, exceptions."""

from __future__ import annotations

import re

from gitsync.collector.findings import Findings
from gitsync.collector.rules import Rules
from gitsync.collector.rules.amounts import require_positive
from gitsync.collector.rules.demands import (
    EMPTY,
    EXCLUSIVE,
    MISSING,
    NO_EFFECT,
    RANGE,
    REFUSED,
    TWICE,
    WORD,
    exclusive,
    given,
    not_negative,
    opted,
    positive,
    whole,
)
from gitsync.collector.settings import Settings
from gitsync.wording import did_you_mean, quoted

_TEMPORALITIES = ("AGGREGATION_TEMPORALITY_CUMULATIVE", "AGGREGATION_TEMPORALITY_DELTA")
_OWN = ("service.name", "span.kind", "span.name", "status.code")
"""Dimensions that every metric has."""
_INSTANCE = "collector.instance.id"
_GLOBS = (0, 150, 0)
"""Since about then dimensions may be globs, all lists of them are checked, and the Collector's instance is one."""
_PLAIN_GLOB = re.compile(r"[^\[\]{}\\]{1,200}")
_PIECES = re.compile(r"\*\*|.", re.DOTALL)
_MOST = 40
"""Globs that are compared with the names, and characters of a name that is: their product is a matter of time."""


def check_span_metrics(settings: Settings, findings: Findings) -> None:
    """Dimensions, histogram, times, limits (connector/spanmetricsconnector/config.go `Validate`)."""
    check_dimensions(settings, findings, "dimensions")
    if settings.version >= _GLOBS:
        check_dimensions(settings, findings, "calls_dimensions")
        check_dimensions(settings.below("histogram"), findings, "dimensions")
    if settings.flag("events", "enabled"):
        if settings.is_empty("events", "dimensions"):
            message = "events are counted by dimensions, and there are none"
            findings.error(settings.place("events", "dimensions"), EMPTY, message, "as in [{name: exception.type}]")
        check_dimensions(settings.below("events"), findings, "dimensions")
    if opted(settings, "histogram", "explicit") and opted(settings, "histogram", "exponential"):
        message = '"explicit" and "exponential" exclude each other'
        findings.error(settings.key_place("histogram", "exponential"), EXCLUSIVE, message, "keep one of them")
    for key in ("metrics_flush_interval", "metrics_expiration", "series_expiration"):
        not_negative(settings, findings, key)
    _check_limits(settings, findings)


def _check_limits(settings: Settings, findings: Findings) -> None:
    not_negative(settings, findings, "aggregation_cardinality_limit", duration=False)
    if settings.flag("exemplars", "enabled"):
        not_negative(settings, findings, "exemplars", "max_per_data_point", duration=False)
    temporality = settings.text("aggregation_temporality", default=_TEMPORALITIES[0])
    if temporality == _TEMPORALITIES[1] and settings.has("metric_timestamp_cache_size"):
        positive(settings, findings, "metric_timestamp_cache_size", duration=False)
    elif temporality is not None and temporality not in ("", *_TEMPORALITIES):
        hint = did_you_mean(temporality, _TEMPORALITIES) or " or ".join(_TEMPORALITIES)
        message = f"there is no temporality {quoted(temporality)}: the metrics are cumulative"
        findings.warning(settings.place("aggregation_temporality"), NO_EFFECT, message, hint)


def check_span_metrics_cache(settings: Settings, findings: Findings) -> None:
    """A cache needs a size, a clock a beat (connector.go `newConnector`); without a beat the Collector crashes."""
    positive(settings, findings, "resource_metrics_cache_size", duration=False)
    if settings.nanoseconds("metrics_flush_interval") == 0:
        require_positive(settings, findings, "metrics_flush_interval")


def check_dimensions(settings: Settings, findings: Findings, key: str) -> None:
    """Names that are not there yet, or globs that match none of them (config.go `validateDimensions`)."""
    names = {*_OWN, _INSTANCE} if settings.version >= _GLOBS else set(_OWN)
    dimensions = list(settings.items(key))
    for one in dimensions:
        name = one.text("name")
        if settings.version >= _GLOBS and not _is_one(one, findings):
            continue
        if name is not None and name in names:
            hint = "every metric has it" if name in (*_OWN, _INSTANCE) else ""
            findings.error(one.place("name"), TWICE, f"there is another dimension {quoted(name)}", hint)
        elif name:
            names.add(name)
    if settings.version >= _GLOBS:
        short = {name for name in names if len(name) <= _MOST}
        for one in [one for one in dimensions if one.has("glob")][:_MOST]:
            _check_glob(one, findings, short)


def _is_one(dimension: Settings, findings: Findings) -> bool:
    """Whether it is a name."""
    name, glob = given(dimension, "name"), given(dimension, "glob")
    exclusive(dimension, findings, "name", "glob")
    if name is False and glob is False:
        findings.error(dimension.place(), MISSING, 'a dimension needs a "name" or a "glob"')
    return bool(name) and glob is False


def _check_glob(dimension: Settings, findings: Findings, names: set[str]) -> None:
    from gitsync.ottl.literals.glob import glob_problem  # which few configurations need

    glob = dimension.text("glob")
    if not glob or given(dimension, "name") is not False:
        return
    at = dimension.place("glob")
    if dimension.has("default"):
        findings.error(dimension.key_place("default"), REFUSED, 'a "glob" has no "default"', "remove it")
    problem = glob_problem(glob)
    if problem is not None:
        findings.error(at, WORD, problem)
    elif _PLAIN_GLOB.fullmatch(glob):
        same = sorted(name for name in names if _covers(glob, name))
        if same:
            findings.error(at, TWICE, f"the glob matches the dimension {quoted(same[0])} too", "make it narrower")


def _covers(glob: str, name: str) -> bool:
    """Whether a glob without brackets and braces matches: `*` and `?` stop at dots, `**` does not."""
    reached = {0}
    for piece in _PIECES.findall(glob):
        if piece == "**":
            reached = set(range(min(reached), len(name) + 1))
        elif piece == "*":
            ends = {at: name.find(".", at) for at in reached}
            reached = {to for at, end in ends.items() for to in range(at, (len(name) if end < 0 else end) + 1)}
        else:
            reached = {
                at + 1
                for at in reached
                if name[at : at + 1] == piece or (piece == "?" and name[at : at + 1] not in ("", "."))
            }
        if not reached:
            return False
    return len(name) in reached


def check_service_graph(settings: Settings, findings: Findings) -> None:
    """One kind of histogram (connector/servicegraphconnector/config.go `Validate`)."""
    buckets, size = settings.has("latency_histogram_buckets"), whole(settings, "exponential_histogram_max_size")
    if size is None:
        return
    if buckets and size > 0:
        message = '"latency_histogram_buckets" and "exponential_histogram_max_size" exclude each other'
        at = settings.key_place("exponential_histogram_max_size")
        findings.error(at, EXCLUSIVE, message, "keep one of them")
    elif not buckets and size < 0:
        at = settings.place("exponential_histogram_max_size")
        findings.error(at, RANGE, '"exponential_histogram_max_size" must not be negative')


def check_exceptions(settings: Settings, findings: Findings) -> None:
    """No dimension twice (connector/exceptionsconnector/config.go `Validate`)."""
    names = set(_OWN)
    for one in settings.items("dimensions"):
        name = one.text("name")
        if name is not None and name in names:
            hint = "every metric has it" if name in _OWN else ""
            findings.error(one.place("name"), TWICE, f"there is another dimension {quoted(name)}", hint)
        names.add(name or "")


VALIDATE: Rules = {
    "connector/span_metrics": (check_span_metrics,),
    "connector/service_graph": (check_service_graph,),
    "connector/exceptions": (check_exceptions,),
}
CONSTRUCT: Rules = {"connector/span_metrics": (check_span_metrics_cache,)}
