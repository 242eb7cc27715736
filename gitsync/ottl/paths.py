"""Paths: which one was written, and what is wrong with it.

Source: pkg/ottl/functions.go parsePathContext and isComplete, contexts/internal/ctxcommon/parser.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gitsync.diagnostics import Severity
from gitsync.ottl.finding import Finding
from gitsync.ottl.tables import Context, OttlTables, PathRule
from gitsync.ottl.tree import Path
from gitsync.wording import nearest, quoted

_MISTAKES: Final[dict[str, str]] = {
    "span.duration": "a span has no duration: write span.end_time - span.start_time",
    "span.id": "write span.span_id",
    "span.parent_id": "write span.parent_span_id",
    "span.status_code": "write span.status.code",
    "span.status_message": "write span.status.message",
    "span.service": 'write resource.attributes["service.name"]',
    "span.service.name": 'write resource.attributes["service.name"]',
    "span.error": "write span.status.code == STATUS_CODE_ERROR",
    "span.timestamp": "write span.start_time",
    "span.type": "write span.kind",
    "log.severity": "write log.severity_number or log.severity_text",
    "log.level": "write log.severity_number or log.severity_text",
    "log.message": "write log.body",
    "log.name": "write log.event_name, or log.body for the text",
    "log.timestamp": "write log.time or log.time_unix_nano",
    "log.service.name": 'write resource.attributes["service.name"]',
    "metric.value": "a value belongs to a data point: write datapoint.value_double or datapoint.value_int",
    "metric.attributes": "attributes belong to data points: write datapoint.attributes in the datapoint context",
    "datapoint.value": "write datapoint.value_double or datapoint.value_int",
    "datapoint.name": "write metric.name",
    "datapoint.type": "write metric.type",
    "datapoint.unit": "write metric.unit",
    "datapoint.timestamp": "write datapoint.time",
    "resource.name": 'write resource.attributes["service.name"]',
    "resource.service.name": 'write resource.attributes["service.name"]',
}
"""Paths that people write, and what they mean."""

_LEGACY: Final = "instrumentation_scope"


def resolve(path: Path, context: Context, tables: OttlTables, *, contextless: bool) -> PathRule | Finding:
    """The rule of a path that is not a name of a lambda, or what is wrong with it.

    Args:
        path: as written.
        context: the context of the statement.
        tables: to name the context where a path would be right.
        contextless: whether a path without a context is one of this context.
    """
    fields = path.fields
    first = fields[0]
    name = first.name if len(fields) == 1 else ".".join([one.name for one in fields])
    if len(fields) > 1 and not first.keys and first.name in context.prefixes:
        full = name
    elif contextless:
        full = f"{context.name}.{name}"
    else:
        return _no_context(path, name, context, tables)
    rule = context.paths.get(full)
    if rule is None:
        return _unknown(path, full, context, tables)
    for field in fields[:-1]:
        if field.keys:
            return _error(field.keys[0].start, field.keys[-1].end, "GS1024", f"{field.name} takes no key here")
    last = fields[-1]
    if last.keys and rule.index == "none":
        return _error(
            last.keys[0].start,
            last.keys[-1].end,
            "GS1024",
            f"{full} takes no key",
            "keys work on maps and lists only, such as attributes",
        )
    if len(last.keys) > 1 and rule.index == "one":
        return _error(last.keys[1].start, last.keys[-1].end, "GS1025", f"{full} takes exactly one key")
    return rule


def _error(start: int, end: int, code: str, message: str, hint: str = "") -> Finding:
    return Finding(start, end, Severity.ERROR, code, message, hint)


def _at_path(path: Path, code: str, message: str, hint: str = "") -> Finding:
    return _error(path.start, path.fields[-1].name_end, code, message, hint)


def _no_context(path: Path, name: str, context: Context, tables: OttlTables) -> Finding:
    """What to say about a path whose first field is no context that can be reached."""
    first = path.fields[0]
    if len(path.fields) == 1 and first.name in context.prefixes:
        return _bare(path, first.name, context)
    own = f"{context.name}.{name}"
    hint = _MISTAKES.get(own, "")
    if own in context.paths:
        hint = f"write {own}"
    if not hint and first.name in tables.contexts:
        return _out_of_reach(path, first.name, name, context, tables)
    if not hint and len(path.fields) > 1:
        meant = nearest(first.name, context.prefixes) or ""
        hint = f"did you mean {meant}?" if meant else f"a path begins with one of {_listed(context.prefixes)}"
        return _error(first.start, first.name_end, "GS1021", f"there is no context {quoted(first.name)}", hint)
    if not hint:
        close = nearest(own, context.paths)
        hint = f"did you mean {close}?" if close else f"a path begins with one of {_listed(context.prefixes)}"
    return _at_path(path, "GS1021", f"the path {quoted(name)} has no context in front", hint)


def _bare(path: Path, name: str, context: Context) -> Finding:
    examples = sorted(one for one in context.paths if one.startswith(f"{name}."))[:3]
    return _at_path(
        path,
        "GS1027",
        f"{quoted(name)} is a context, not a path",
        f"write a path inside it, such as {' or '.join(examples)}" if examples else "",
    )


def _out_of_reach(path: Path, prefix: str, name: str, context: Context, tables: OttlTables) -> Finding:
    right = sorted(other.name for other in tables.contexts.values() if prefix in other.prefixes and name in other.paths)
    hint = f"it is there in the context {' or '.join(right)}" if right else ""
    return _at_path(path, "GS1022", f"paths of {prefix} cannot be reached from the context {context.name}", hint)


def _unknown(path: Path, full: str, context: Context, tables: OttlTables) -> Finding:
    prefix, _, rest = full.partition(".")
    if rest == "cache" or rest.startswith("cache."):
        return _at_path(
            path,
            "GS1026",
            f"{prefix} has no cache here" if rest == "cache" else f"there is no path {quoted(full)}",
            f"write {context.name}.cache" + ("" if rest == "cache" else '["key"]'),
        )
    if len(path.fields) == 1 and path.fields[0].name in context.prefixes:
        return _bare(path, path.fields[0].name, context)
    hint = _MISTAKES.get(full, "") or _element(full, context)
    first = path.fields[0].name
    reachable = first in context.prefixes
    if not hint and not reachable and first in tables.contexts and len(path.fields) > 1:
        return _out_of_reach(path, first, full.partition(".")[2], context, tables)
    if not hint:
        same = [one for one in context.paths if one.startswith(f"{prefix}.")]
        meant = nearest(full, same) or nearest(full, context.paths) or _shorter(full, context)
        hint = f"did you mean {meant}?" if meant else ""
    start = path.start
    return _error(start, path.fields[-1].name_end, "GS1023", f"there is no path {quoted(full)}", hint)


def _element(full: str, context: Context) -> str:
    """`span.attributes.foo` means a key of a map."""
    parts = full.split(".")
    for count in range(len(parts) - 1, 1, -1):
        rule = context.paths.get(".".join(parts[:count]))
        if rule is not None and rule.index == "any":
            return f'write {rule.name}["{".".join(parts[count:])}"]' if len(full) < 120 else "write the key in brackets"
    return ""


def _shorter(full: str, context: Context) -> str:
    """The longest beginning of a path that is one."""
    parts = full.split(".")
    for count in range(len(parts) - 1, 1, -1):
        if ".".join(parts[:count]) in context.paths:
            return ".".join(parts[:count])
    return ""


def _listed(prefixes: Iterable[str]) -> str:
    return ", ".join(sorted(one for one in prefixes if one != _LEGACY))
