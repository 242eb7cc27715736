"""The filter and transform processors, but for their OTTL."""

from __future__ import annotations

from gitsync.collector.findings import Findings
from gitsync.collector.node import Scalar
from gitsync.collector.rules import Rules
from gitsync.collector.rules.demands import EXCLUSIVE, REFUSED, WORD, given, one_of
from gitsync.collector.rules.matching import MATCH_TYPES, check_both, check_criteria
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

_EXPRESSION = "GS0269"
_CONDITIONS = {
    "traces": ("resource", "span", "spanevent"),
    "metrics": ("resource", "metric", "datapoint"),
    "logs": ("resource", "log_record"),
    "profiles": ("resource", "profile"),
}
_OLD = {"traces": "spans", "metrics": "metrics", "logs": "logs"}
"""Where `include` and `exclude` of a signal stand."""
_SEVERITIES = (
    *(str(number) for number in range(1, 25)),
    *(f"{name}{number}" for name in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL") for number in ("", 2, 3, 4)),
)


def check_filter(settings: Settings, findings: Findings) -> None:
    """Three ways to say what is dropped, one per signal (processor/filterprocessor/config.go `Validate`)."""
    for signal, keys in _CONDITIONS.items():
        own = [(signal, key) for key in keys if settings.has(signal, key)]
        old = [
            (_OLD[signal], key) for key in ("include", "exclude") if signal in _OLD and settings.has(_OLD[signal], key)
        ]
        inferred = f"{signal.removesuffix('s')}_conditions"
        if settings.has(inferred):
            # The processor forgets to compare trace_conditions with spans::include.
            others = own if signal == "traces" else [*own, *old]
            _exclude(settings, findings, (inferred,), others)
        _exclude(settings, findings, own[0] if own else None, old)
    for key in ("include", "exclude"):
        _check_severity(settings.below("logs", key, "severity_number"), findings)


def check_filter_matching(settings: Settings, findings: Findings) -> None:
    """The old ways, where OTTL does not take their place (filterprocessor/traces.go, metrics.go, logs.go)."""
    signals = {one for one in settings.signals if one in _OLD and not _has_conditions(settings, one)}
    if "traces" in signals:
        check_both(settings.below("spans"), findings, "traces")
    for key in ("include", "exclude"):
        if "metrics" in signals and settings.has("metrics", key):
            _check_metrics(settings.below("metrics", key), findings)
        if "logs" in signals and settings.has("logs", key):
            part = settings.below("logs", key)
            check_criteria(part, findings, ("bodies", "severity_texts"), ("record_attributes", "resource_attributes"))


def check_transform(settings: Settings, findings: Findings) -> None:
    """`flatten_data` is behind a gate (processor/transformprocessor/config.go `Validate`)."""
    if settings.flag("flatten_data"):
        message = '"flatten_data" needs the feature gate transform.flatten.logs'
        findings.error(settings.place("flatten_data"), REFUSED, message, "it is off by default")


def _has_conditions(settings: Settings, signal: str) -> bool:
    inferred = given(settings, f"{signal.removesuffix('s')}_conditions")
    return inferred is not False or any(settings.has(signal, key) for key in _CONDITIONS[signal])


def _exclude(
    settings: Settings, findings: Findings, one: tuple[str, ...] | None, others: list[tuple[str, str]]
) -> None:
    if one is None or not others:
        return
    first, second = "::".join(one), "::".join(others[0])
    message = f'"{first}" and "{second}" exclude each other'
    findings.error(settings.key_place(*others[0]), EXCLUSIVE, message, "keep one of them")


def _check_severity(settings: Settings, findings: Findings) -> None:
    """A number from 1 to 24, or a name (config.go `logSeverity.validate`)."""
    least = settings.text("min")
    if least and least.upper() not in _SEVERITIES:
        hint = did_you_mean(least.upper(), _SEVERITIES) or "as in INFO"
        findings.error(settings.place("min"), WORD, f"there is no severity {quoted(least)}", hint)


def _check_metrics(settings: Settings, findings: Findings) -> None:
    """Names or expressions, and attributes of the resource (metrics.go `newResExpr`, filtermetric.go `newExpr`)."""
    if settings.text("match_type") != "expr":
        check_criteria(settings, findings, ("metric_names",), ("resource_attributes",))
        return
    if any(one.has("value") for one in settings.items("resource_attributes")):
        one_of(settings, findings, MATCH_TYPES, "match_type")
        return
    from gitsync.collector.rules.stanza.expressions import check_expression  # which few configurations need

    listed = settings.texts("expressions") or ()
    for node in listed:
        wrong = check_expression(node.text, condition=False) if _is_text(node) else None
        if wrong is not None:
            message = f"the expression is wrong: {wrong[0]}"
            findings.error(node.origin, _EXPRESSION, message, "as in MetricName == 'a' && HasLabel('b')")


def _is_text(node: Scalar) -> bool:
    return node.tag == "str" and is_known(node)


VALIDATE: Rules = {
    "processor/filter": (check_filter,),
    "processor/transform": (check_transform,),
}
CONSTRUCT: Rules = {"processor/filter": (check_filter_matching,)}
