"""Log operators, one at a time: their kinds, fields and settings (pkg/stanza/operator).

`check_decoded` is what the Collector finds in every declared receiver; `check_built` what it finds when it builds one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping as MappingNode
from gitsync.collector.node import Scalar, kind
from gitsync.collector.rules.demands import (
    AT_START,
    EMPTY,
    EXCLUSIVE,
    MISSING,
    PART,
    RANGE,
    TOGETHER,
    exclusive,
    given,
    is_regex,
    one_of,
    require,
)
from gitsync.collector.rules.stanza.fields import (
    byte_size,
    check_condition,
    check_embedded,
    check_field,
    check_field_node,
    check_time,
)
from gitsync.collector.rules.stanza.parsers import (
    build_csv,
    build_key_value,
    build_regex_parser,
    build_severity,
    build_syslog,
)
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

INPUTS = frozenset(
    {
        "file_input",
        "journald_input",
        "namedpipe",
        "syslog_input",
        "tcp_input",
        "udp_input",
        "windows_eventlog_input",
    }
)
"""Operators that read and take nothing from others; which of them a Collector has depends on its receivers."""
ENDS = frozenset({"file_output", "stdout"})
"""Operators that give nothing to others."""
PARSERS = frozenset(
    {
        "container",
        "csv_parser",
        "json_array_parser",
        "json_parser",
        "key_value_parser",
        "regex_parser",
        "syslog_parser",
        "uri_parser",
    }
)
_FIELDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(PARSERS, ("parse_from", "body")),
    "add": ("field",),
    "assign_keys": ("field",),
    "copy": ("from", "to"),
    "flatten": ("field",),
    "move": ("from", "to"),
    "recombine": ("combine_field", "source_identifier"),
    "regex_replace": ("field",),
    "sanitize_utf8": ("field",),
    "scope_name_parser": ("parse_from",),
    "severity_parser": ("parse_from",),
    "time_parser": ("parse_from",),
    "unquote": ("field",),
}
_KEYS: Mapping[str, tuple[str, ...]] = {
    "add": ("field", "value"),
    "assign_keys": ("field", "keys"),
    "container": ("format", "add_metadata_from_filepath", "max_log_size"),
    "copy": ("from", "to"),
    "csv_parser": ("header", "header_delimiter", "header_attribute", "delimiter", "lazy_quotes", "ignore_quotes"),
    "filter": ("expr", "drop_ratio"),
    "flatten": ("field",),
    "json_array_parser": ("header",),
    "json_parser": ("parse_ints",),
    "key_value_parser": ("delimiter", "pair_delimiter"),
    "move": ("from", "to"),
    "noop": (),
    "recombine": (
        "is_first_entry",
        "is_last_entry",
        "max_batch_size",
        "max_unmatched_batch_size",
        "combine_field",
        "combine_with",
        "source_identifier",
        "overwrite_with",
        "force_flush_period",
        "max_sources",
        "max_log_size",
    ),
    "regex_parser": ("regex", "cache"),
    "regex_replace": ("regex_name", "regex", "replace_with", "field"),
    "remove": ("field",),
    "retain": ("fields",),
    "router": ("routes", "default"),
    "sanitize_utf8": ("field",),
    "scope_name_parser": ("parse_from",),
    "severity_parser": ("parse_from", "preset", "mapping", "overwrite_text"),
    "syslog_parser": (
        "protocol",
        "location",
        "enable_octet_counting",
        "allow_skip_pri_header",
        "non_transparent_framing_trailer",
        "max_octets",
    ),
    "time_parser": ("parse_from", "layout", "layout_type", "location", "time_zone_locations"),
    "trace_parser": ("trace_id", "span_id", "trace_flags"),
    "unquote": ("field",),
    "uri_parser": (),
}
KINDS = frozenset(_KEYS) | INPUTS | ENDS
_BASIC = ("id", "type")
_WRITER = (*_BASIC, "output")
_TRANSFORMER = (*_WRITER, "on_error", "if")
_PARSER = (*_TRANSFORMER, "parse_from", "parse_to", "body", "timestamp", "severity", "trace", "scope_name")
_ON_ERROR = ("send", "send_quiet", "drop", "drop_quiet")
_IGNORED = "GS0286"

Build: TypeAlias = Callable[[Settings, Findings], None]


def operator_kind(settings: Settings) -> str | None:
    """The `type` of an operator, when it is known and exists."""
    name = settings.text("type")
    return name if name in KINDS else None


def check_decoded(settings: Settings, findings: Findings) -> None:
    """Type, fields and times of one operator (operator/config.go `Unmarshal`, helper/time.go `Validate`)."""
    name = _written_kind(settings, findings)
    if name is None:
        return
    if name not in KINDS:
        hint = (
            ""
            if findings.full
            else did_you_mean(name, KINDS) or "the operators are listed with the Collector's file_log receiver"
        )
        findings.error(settings.place("type"), PART, f"there is no operator {quoted(name)}", hint)
        return
    _check_fields(settings, findings, name)
    if name in ("container", "recombine"):
        byte_size(settings, findings, "max_log_size")
    _check_keys(settings, findings, name)


def _written_kind(settings: Settings, findings: Findings) -> str | None:
    """The `type` that is written, whether there is such an operator or not; None when there is none, or not known."""
    node = settings.node("type")
    if node is None:
        findings.error(settings.place("type"), MISSING, 'an operator needs a "type"', "as in type: json_parser")
    elif settings.text("type") is None and is_known(node):
        findings.error(settings.place("type"), "GS0233", f'"type" must be text, not {kind(node)}')
    else:
        return settings.text("type")
    return None


def _check_fields(settings: Settings, findings: Findings, name: str) -> None:
    for key in _FIELDS.get(name, ()):
        check_field(settings, findings, key)
    if name in PARSERS:
        _check_parser_parts(settings, findings)
    elif name == "time_parser":
        check_time(settings, findings)
    elif name == "trace_parser":
        _check_trace(settings, findings)
    elif name == "remove":
        check_field(settings, findings, "field", rootable=True)
    elif name == "retain":
        for node in settings.texts("fields") or ():
            check_field_node(node, findings)


def check_built(settings: Settings, findings: Findings) -> None:
    """What the operator's `Build` refuses (operator/*/*/config.go)."""
    name = operator_kind(settings)
    if name is None or name in INPUTS:
        return
    if name not in ENDS and name != "router":
        one_of(settings, findings, _ON_ERROR, "on_error", default="send")
        if given(settings, "if"):
            check_condition(settings, findings, "if")
    if name in PARSERS:
        if settings.has("body") and settings.text("parse_to") == "body":
            message = '"parse_to: body" is not possible with "body"'
            findings.error(settings.place("parse_to"), EXCLUSIVE, message, "remove one of them")
        if settings.has("severity"):
            build_severity(settings.below("severity"), findings)
    build = _BUILDS.get(name)
    if build is not None:
        build(settings, findings)


def _check_keys(settings: Settings, findings: Findings, name: str) -> None:
    """Keys that an operator does not have are left out without a word (operator/config.go `WithIgnoreUnused`)."""
    if name not in _KEYS:
        return
    basic = _PARSER if name in PARSERS else _BASIC if name == "router" else _TRANSFORMER
    known = (*basic, *_KEYS[name])
    for entry in settings.here.entries:
        if entry.key not in known:
            hint = "" if findings.full else did_you_mean(entry.key, known) or "remove it"
            message = f"{quoted(entry.key)} is no setting of {name}, the Collector ignores it"
            findings.warning(entry.key_origin, _IGNORED, message, hint)


def _check_parser_parts(settings: Settings, findings: Findings) -> None:
    check_field(settings, findings, "parse_to", rootable=True)
    if settings.has("timestamp"):
        check_field(settings, findings, "timestamp", "parse_from")
        if isinstance(settings.node("timestamp"), MappingNode):
            check_time(settings.below("timestamp"), findings)
    check_field(settings, findings, "severity", "parse_from")
    check_field(settings, findings, "scope_name", "parse_from")
    _check_trace(settings.below("trace"), findings)


def _check_trace(settings: Settings, findings: Findings) -> None:
    for key in ("trace_id", "span_id", "trace_flags"):
        check_field(settings, findings, key, "parse_from")


def _build_container(settings: Settings, findings: Findings) -> None:
    """A format, when one is named (parser/container/config.go `Build`)."""
    one_of(settings, findings, ("", "docker", "crio", "containerd"), "format")


def _build_move(settings: Settings, findings: Findings) -> None:
    """Two fields (transformer/move and copy, `Build`)."""
    require(settings, findings, "from", hint="the field to read")
    require(settings, findings, "to", hint="the field to write")


def _build_field(settings: Settings, findings: Findings) -> None:
    """A field (transformer/flatten and remove, `Build`)."""
    require(settings, findings, "field", hint="as in attributes.key")


def _build_assign_keys(settings: Settings, findings: Findings) -> None:
    """A field and keys (transformer/assignkeys `Build`)."""
    require(settings, findings, "keys", hint="the names of the values, in order", code=EMPTY)
    require(settings, findings, "field", hint="the field that holds the list")


def _build_retain(settings: Settings, findings: Findings) -> None:
    """At least one field (transformer/retain `Build`)."""
    require(settings, findings, "fields", hint="the fields to keep", code=EMPTY)


def _warn_field(settings: Settings, findings: Findings) -> None:
    """An operator without its field is built, and fails at the first record."""
    if given(settings, "field") is False:
        message = f'"field" of {settings.text("type") or "the operator"} is not set, the first log stops the Collector'
        findings.warning(settings.place("field"), AT_START, message, "as in attributes.key")


def _build_add(settings: Settings, findings: Findings) -> None:
    """A value that is an expression (transformer/add `Build`)."""
    _warn_field(settings, findings)
    text = settings.text("value")
    if text and text.startswith("EXPR(") and text.endswith(")"):
        check_embedded(settings.node("value"), findings)


def _build_regex_replace(settings: Settings, findings: Findings) -> None:
    """One expression, written or named (transformer/regexreplace `Build`)."""
    _warn_field(settings, findings)
    written, named = given(settings, "regex"), given(settings, "regex_name")
    if written is False and named is False:
        findings.error(settings.place(), TOGETHER, '"regex" or "regex_name" must be set', "what to replace")
    elif exclusive(settings, findings, "regex", "regex_name"):
        node = settings.node("regex")
        if isinstance(node, Scalar) and written:
            is_regex(node, findings)
        if named:
            one_of(settings, findings, ("ansi_control_sequences",), "regex_name")


def _build_filter(settings: Settings, findings: Findings) -> None:
    """A condition and a share (transformer/filter `Build`)."""
    if require(settings, findings, "expr", hint='as in body matches "^DEBUG"'):
        check_condition(settings, findings, "expr")
    ratio = settings.number("drop_ratio", default=1)
    if ratio is not None and not 0 <= ratio <= 1:
        findings.error(settings.place("drop_ratio"), RANGE, '"drop_ratio" must be between 0 and 1')


def _build_recombine(settings: Settings, findings: Findings) -> None:
    """One of two conditions, a field (transformer/recombine `Build`, which starts a ticker)."""
    first, last = given(settings, "is_first_entry"), given(settings, "is_last_entry")
    if first is False and last is False:
        message = '"is_first_entry" or "is_last_entry" must be set'
        findings.error(settings.place(), TOGETHER, message, 'as in is_first_entry: body matches "^[^\\\\s]"')
    elif exclusive(settings, findings, "is_first_entry", "is_last_entry"):
        for key in ("is_first_entry", "is_last_entry"):
            if given(settings, key):
                check_condition(settings, findings, key)
    require(settings, findings, "combine_field", hint="body, in most cases")
    one_of(settings, findings, ("", "newest", "oldest"), "overwrite_with")
    period = settings.nanoseconds("force_flush_period")
    if settings.has("force_flush_period") and period is not None and period <= 0:
        findings.error(settings.place("force_flush_period"), RANGE, '"force_flush_period" must be greater than 0')


def _build_router(settings: Settings, findings: Findings) -> None:
    """A condition for every route (transformer/router `Build`)."""
    for route in settings.items("routes"):
        if require(route, findings, "expr", hint='as in body contains "error"'):
            check_condition(route, findings, "expr")
        for name, _ in route.entries("attributes"):
            check_embedded(route.node("attributes", name), findings)


def _build_file_output(settings: Settings, findings: Findings) -> None:
    """A path (output/file `Build`)."""
    require(settings, findings, "path", hint="the file to write")


_BUILDS: Mapping[str, Build] = {
    "add": _build_add,
    "assign_keys": _build_assign_keys,
    "container": _build_container,
    "copy": _build_move,
    "csv_parser": build_csv,
    "file_output": _build_file_output,
    "filter": _build_filter,
    "flatten": _build_field,
    "key_value_parser": build_key_value,
    "move": _build_move,
    "recombine": _build_recombine,
    "regex_parser": build_regex_parser,
    "regex_replace": _build_regex_replace,
    "remove": _build_field,
    "retain": _build_retain,
    "router": _build_router,
    "sanitize_utf8": _warn_field,
    "severity_parser": build_severity,
    "syslog_parser": build_syslog,
    "unquote": _warn_field,
}
