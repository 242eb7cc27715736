"""`service::telemetry`: what the Collector says about itself (service/telemetry/otelconftelemetry)."""

from __future__ import annotations

from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping, Scalar, Sequence, is_null
from gitsync.collector.rules import Rules
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

ENCODINGS = ("console", "json")
_PULL = "metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]}"
_PUSHED = ("console", "otlp")
_PROCESSORS = ("batch", "simple")
_SAMPLERS = ("always_off", "always_on", "jaeger_remote", "parent_based", "trace_id_ratio_based")
_MIXED_RESOURCE = (0, 150, 0)
"""Since then the resource is the list `attributes`, and the plain map before it is an old form."""


def without_removed(telemetry: Mapping, findings: Findings) -> Mapping:
    """`service::telemetry` without keys that were removed from the Collector, which are reported (GS0255)."""
    metrics = telemetry.get("metrics")
    entry = metrics.entry("address") if isinstance(metrics, Mapping) else None
    if entry is None or not isinstance(metrics, Mapping):
        return telemetry
    findings.error(
        entry.key_origin,
        "GS0255",
        '"service::telemetry::metrics::address" is no setting of the Collector any more',
        f"use a reader: {_PULL}",
    )
    rest = Mapping(tuple(one for one in metrics.entries if one is not entry), metrics.origin)
    return Mapping(
        tuple(type(one)(one.key, one.key_origin, rest) if one.key == "metrics" else one for one in telemetry.entries),
        telemetry.origin,
    )


def check_metrics(settings: Settings, findings: Findings) -> None:
    """Readers are needed, views need the level detailed (config.go `Config.Validate`)."""
    level = settings.text("metrics", "level", default="normal")
    if level is None:
        return
    readers = settings.node("metrics", "readers")
    if level.lower() != "none" and isinstance(readers, Sequence) and not readers.items:
        message = f"metrics of level {quoted(level)} need a reader"
        findings.error(readers.origin, "GS0254", message, f'add one ("{_PULL}"), or set level: none')
    if settings.has("metrics", "views") and level.lower() != "detailed":
        at = settings.key_place("metrics", "views")
        findings.error(at, "GS0254", f'"views" need the level detailed, not {quoted(level)}', "set level: detailed")


def check_logs(settings: Settings, findings: Findings) -> None:
    """An encoding that the Collector's logger does not have is found at its start only (zap `Config.Build`)."""
    encoding = settings.text("logs", "encoding", default=ENCODINGS[0])
    if encoding is not None and encoding not in ENCODINGS:
        hint = did_you_mean(encoding, ENCODINGS) or "console or json"
        message = f"the Collector cannot start with the log encoding {quoted(encoding)}"
        findings.warning(settings.place("logs", "encoding"), "GS0282", message, hint)


def check_resource(settings: Settings, findings: Findings) -> None:
    """The resource as a list, or in its old form as a map, not both (migration/v0.3.0.go `ResourceConfigV030`)."""
    resource = settings.node("resource")
    if not isinstance(resource, Mapping) or settings.version < _MIXED_RESOURCE:
        return
    listed = resource.entry("attributes_list")
    if listed is not None and not is_null(listed.value):
        message = '"attributes_list" is not supported by the Collector'
        findings.error(listed.key_origin, "GS0254", message, 'use "attributes", a list of {name, value}')
    own = {"schema_url", "attributes", "attributes_list", "detectors", "detection/development"}
    old = [one for one in resource.entries if one.key not in own]
    for entry in old:
        value = entry.value
        if not isinstance(value, Scalar) or (value.tag not in ("str", "null") and is_known(value)):
            message = f"the resource attribute {quoted(entry.key)} must be text or null"
            findings.error(value.origin, "GS0254", message, "put the value in quotes")
    attributes = resource.entry("attributes")
    if old and attributes is not None and isinstance(attributes.value, Sequence) and attributes.value.items:
        message = '"attributes" cannot stand beside attributes in the old form'
        findings.error(attributes.key_origin, "GS0254", message, f"move {quoted(old[0].key)} into the list")


def check_parts(settings: Settings, findings: Findings) -> None:
    """Processors, exporters, samplers: the Collector crashes of a name that it does not know (otelconf, v0.3.0)."""
    for reader in settings.items("metrics", "readers"):
        _check_names(reader, findings, ("pull", "exporter"), ("prometheus",))
        _check_names(reader, findings, ("periodic", "exporter"), _PUSHED)
    for signal, exporters in (("traces", (*_PUSHED, "zipkin")), ("logs", _PUSHED)):
        for processor in settings.items(signal, "processors"):
            _check_names(processor, findings, (), _PROCESSORS)
            for kind in _PROCESSORS:
                _check_names(processor, findings, (kind, "exporter"), exporters)
            _check_target(processor.below("batch", "exporter"), findings)
    _check_names(settings, findings, ("traces", "sampler"), _SAMPLERS)


def _check_names(settings: Settings, findings: Findings, path: tuple[str, ...], known: tuple[str, ...]) -> None:
    here = settings.node(*path)
    for entry in here.entries if isinstance(here, Mapping) else ():
        if entry.key not in known:
            what = path[-1] if path else "processor"
            message = f"the Collector crashes: its own telemetry has no {what} {quoted(entry.key)} here"
            hint = did_you_mean(entry.key, known) or f"known: {', '.join(known)}"
            findings.error(entry.key_origin, "GS0254", message, hint)


def _check_target(exporter: Settings, findings: Findings) -> None:
    """The Collector does not look whether there is an endpoint (internal/migration/v0.3.0.go)."""
    if isinstance(exporter.node("otlp"), Mapping) and not exporter.has("otlp", "endpoint"):
        message = 'the Collector crashes: "otlp" of its own telemetry has no "endpoint"'
        findings.error(exporter.key_place("otlp"), "GS0254", message, "as in http://localhost:4318")


VALIDATE: Rules = {"service/telemetry": (check_metrics, check_logs, check_resource, check_parts)}
