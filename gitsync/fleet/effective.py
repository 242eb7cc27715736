"""Whether an effective configuration contains what was sent: evidence that an agent runs it. Pure.

A Collector reports its configuration with every default filled in, renamed components, nulls expanded and secrets
redacted, so equality means nothing. What is compared:

- every pipeline that was sent exists, with the same receivers, processors (in order) and exporters,
- every component that was sent is there,
- where both sides have a plain value at the same place, they mean the same; `${...}` and redacted values match
  anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingABC

from gitsync.bundle.version import COLLECTOR_OBJECT, Payload
from gitsync.collector.document import Mapping, Node, Scalar, Sequence, is_null, parse_yaml
from gitsync.collector.merge import merge
from gitsync.collector.pipelines import SECTIONS

_REDACTED = "[REDACTED]"
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_NUMBER = 64
"""Longer text is no number or duration; looking for one takes time that grows with the square of its length."""
_RENAMED = {"otlp": "otlpgrpc"}
"""Exporter types whose new name is not just the old one with underscores."""


def contains(payload: Payload, effective: MappingABC[str, bytes]) -> bool:
    """Whether the agent runs what it was given.

    Args:
        effective: bodies by name, as reported; those of a Collector are merged by name, the unnamed one last.

    Returns:
        True for payloads that are no Collector configuration: only the agent knows how it shows those.
    """
    sent = next((one for one in payload.objects if one.name == COLLECTOR_OBJECT), None)
    if sent is None or len(payload.objects) != 1:
        return True
    wanted = parse_yaml(COLLECTOR_OBJECT, sent.body).node
    running = _merged(effective)
    if not isinstance(wanted, Mapping) or running is None:
        return False
    return _has_components(wanted, running) and _has_pipelines(wanted, running) and _has_values(wanted, running)


def _merged(effective: MappingABC[str, bytes]) -> Mapping | None:
    merged: Mapping | None = None
    for name in sorted(effective, key=lambda one: (one == "", one.encode())):
        node = parse_yaml(name or "effective", effective[name]).node
        if isinstance(node, Mapping):
            merged = node if merged is None else merge(merged, node)
    return merged


def _section(config: Mapping, name: str) -> MappingABC[str, Node]:
    section = config.get(name)
    if not isinstance(section, Mapping):
        return {}
    return {_same_name(one.key): one.value for one in section.entries}


def _same_name(component: str) -> str:
    """Component ids as they compare: `otlphttp/a` and `otlp_http/a` are one."""
    kind, slash, name = component.partition("/")
    plain = kind.strip().replace("_", "")
    return _RENAMED.get(plain, plain) + slash + name.strip()


def _has_components(wanted: Mapping, running: Mapping) -> bool:
    return all(_section(wanted, name).keys() <= _section(running, name).keys() for name in SECTIONS)


def _pipelines(config: Mapping) -> MappingABC[str, Node]:
    service = config.get("service")
    pipelines = service.get("pipelines") if isinstance(service, Mapping) else None
    if not isinstance(pipelines, Mapping):
        return {}
    return {one.key: one.value for one in pipelines.entries}


def _members(pipeline: Node, role: str) -> tuple[str, ...]:
    names = pipeline.get(role) if isinstance(pipeline, Mapping) else None
    if not isinstance(names, Sequence):
        return ()
    return tuple(_same_name(one.text) for one in names.items if isinstance(one, Scalar))


def _has_pipelines(wanted: Mapping, running: Mapping) -> bool:
    there = _pipelines(running)
    for name, pipeline in _pipelines(wanted).items():
        if name not in there:
            return False
        other = there[name]
        for role in ("receivers", "exporters"):
            if set(_members(pipeline, role)) != set(_members(other, role)):
                return False
        if _members(pipeline, "processors") != _members(other, "processors"):
            return False
    return True


def _has_values(wanted: Mapping, running: Mapping) -> bool:
    for name in SECTIONS:
        there = _section(running, name)
        for component, value in _section(wanted, name).items():
            if not _agrees(value, there[component]):
                return False
    return True


def _agrees(wanted: Node, running: Node) -> bool:
    """False only where both sides say something of the same form, and it differs."""
    if isinstance(wanted, Mapping) and isinstance(running, Mapping):
        for one in wanted.entries:
            other = running.get(one.key)
            if other is not None and not _agrees(one.value, other):
                return False
        return True
    if isinstance(wanted, Scalar) and isinstance(running, Scalar):
        return _same_value(wanted, running)
    return True


def _same_value(wanted: Scalar, running: Scalar) -> bool:
    if is_null(wanted) or is_null(running) or "$" in wanted.text or _REDACTED in running.text:
        return True
    if wanted.text == running.text:
        return True  # also `nan` and `inf`, which as numbers are not equal to themselves, or have no difference
    one, other = _normal(wanted.text), _normal(running.text)
    if isinstance(one, float) and isinstance(other, float):
        # Both are written by machines from one value; a truncated fraction is still that value.
        return abs(one - other) < 1.0 or abs(one - other) <= 1e-6 * abs(one)
    if isinstance(one, float) or isinstance(other, float):
        return True
    return one == other


def _normal(text: str) -> str | float:
    """Numbers and durations as numbers, other text without case and without a slash at its end."""
    plain = text.strip()
    if len(plain) > _LONGEST_NUMBER:
        return plain.casefold().rstrip("/")
    try:
        return float(plain.replace("_", ""))
    except ValueError:
        pass
    if plain and not _DURATION_PART.sub("", plain):
        return sum(float(amount) * _SECONDS[unit] for amount, unit in _DURATION_PART.findall(plain))
    return plain.casefold().rstrip("/")
