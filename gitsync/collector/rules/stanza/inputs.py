"""Receivers of logs, their own settings: files, TCP, UDP, syslog, the journal (pkg/stanza/operator/input)."""

from __future__ import annotations

import re

from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping, Scalar, Sequence, is_null
from gitsync.collector.rules import Rule, Rules
from gitsync.collector.rules.addresses import Refusal, split_host_port
from gitsync.collector.rules.demands import (
    ADDRESS,
    EMPTY,
    EXCLUSIVE,
    MISSING,
    PART,
    PATH,
    RANGE,
    REFUSED,
    TOGETHER,
    WORD,
    at_least,
    given,
    is_regex,
    not_negative,
    one_of,
    regex,
    require,
)
from gitsync.collector.rules.stanza.fields import (
    LAYOUT,
    byte_size,
    check_embedded,
    check_encoding,
    check_globs,
    check_zone,
)
from gitsync.collector.rules.stanza.operators import INPUTS, check_built, check_decoded
from gitsync.collector.rules.stanza.parsers import CHANGED, build_syslog
from gitsync.collector.rules.stanza.pipeline import check_operators
from gitsync.collector.settings import Settings
from gitsync.ottl.literals.layout import layout_hint, layout_problem
from gitsync.wording import quoted

_SMALLEST_FINGERPRINT = 16
_SMALLEST_LINE = 64 * 1024
_JOURNAL_FIELD = re.compile(r"[_A-Z]+")
_NEVER = ".^"
"""What udp_log has for `line_end_pattern` when nothing is written: it never matches."""
_GATES = {"delete_after_read": "filelog.allowFileDeletion", "mtime": "filelog.mtimeSortType"}


def decode_operators(settings: Settings, findings: Findings) -> None:
    """Every operator's type and fields (operator/config.go `Unmarshal`)."""
    operators = settings.node("operators")
    for node in operators.items if isinstance(operators, Sequence) else ():
        if is_null(node):
            findings.error(node.origin, MISSING, 'an operator needs a "type"', "as in type: json_parser")
        elif isinstance(node, Scalar) and node.tag == "str" and "${" not in node.text:
            hint = f'write "- type: {node.text}"' if node.text.isidentifier() else ""
            findings.error(node.origin, PART, "an operator is a map with a type, not text", hint)
    for operator in settings.items("operators"):
        check_decoded(operator, findings)


def decode_file(settings: Settings, findings: Findings) -> None:
    """Sizes, and the operators of the header."""
    for key in ("fingerprint_size", "initial_buffer_size", "max_log_size"):
        byte_size(settings, findings, key)
    for operator in settings.items("header", "metadata_operators"):
        check_decoded(operator, findings)


def decode_socket(settings: Settings, findings: Findings) -> None:
    """The size of a line from TCP."""
    byte_size(settings, findings, "max_log_size")
    byte_size(settings, findings, "tcp", "max_log_size")


def build_input(settings: Settings, findings: Findings) -> None:
    """Attributes with expressions (helper/input.go `Build`), and every operator behind it."""
    for key in ("attributes", "resource"):
        for name, _ in settings.entries(key):
            check_embedded(settings.node(key, name), findings)
    for operator in settings.items("operators"):
        check_built(operator, findings)


def build_file(settings: Settings, findings: Findings) -> None:
    """Everything about reading files (fileconsumer/config.go `Build`, `validate`)."""
    require(settings, findings, "include", hint="patterns of paths, as in /var/log/*.log", code=EMPTY)
    check_globs(settings, findings, "include")
    check_globs(settings, findings, "exclude")
    _build_ordering(settings.below("ordering_criteria"), findings)
    size = byte_size(settings, findings, "fingerprint_size")
    if size is not None and size < _SMALLEST_FINGERPRINT:
        message = f'"fingerprint_size" must be at least {_SMALLEST_FINGERPRINT} bytes'
        findings.error(settings.place("fingerprint_size"), RANGE, message)
    size = byte_size(settings, findings, "max_log_size")
    if size is not None and size <= 0:
        findings.error(settings.place("max_log_size"), RANGE, '"max_log_size" must be greater than 0')
    at_least(settings, findings, 1, "max_concurrent_files")
    not_negative(settings, findings, "max_batches", duration=False)
    one_of(settings, findings, ("split", "truncate"), "max_log_size_behavior", default="split")
    if settings.version >= CHANGED:
        one_of(settings, findings, ("ignore", "read_whole_file", "read_new"), "on_truncate", default="ignore")
    one_of(settings, findings, ("beginning", "end"), "start_at", default="end")
    _check_multiline(settings, findings, "")
    _check_beginning(settings, findings)
    _build_header(settings, findings)


def _check_beginning(settings: Settings, findings: Findings) -> None:
    """What needs `start_at: beginning`."""
    deletes = settings.flag("delete_after_read")
    if deletes and settings.version < CHANGED:
        message = f'"delete_after_read" needs the feature gate {_GATES["delete_after_read"]}'
        findings.error(settings.place("delete_after_read"), REFUSED, message, "it is off by default in this version")
    for key in ("delete_after_read", "header"):
        wanted = deletes if key == "delete_after_read" else settings.has("header")
        if wanted and settings.text("start_at", default="end") == "end":
            message = f'"{key}" is not possible with start_at: end'
            findings.error(settings.key_place(key), EXCLUSIVE, message, "set start_at: beginning")


def _build_header(settings: Settings, findings: Findings) -> None:
    """Lines at the top of files (fileconsumer/internal/header/config.go `NewConfig`)."""
    if not isinstance(settings.node("header"), Mapping):
        return
    header = settings.below("header")
    require(header, findings, "metadata_operators", hint="at least one, as in type: regex_parser", code=EMPTY)
    regex(header, findings, "pattern")
    for operator in header.items("metadata_operators"):
        check_built(operator, findings)
        kind = operator.text("type")
        if kind in INPUTS or kind in ("filter", "file_output", "stdout"):
            message = f"{quoted(kind)} is not possible in a header, it does not pass logs on"
            findings.error(operator.place("type"), REFUSED, message)


def _build_ordering(settings: Settings, findings: Findings) -> None:
    """Which files come first (fileconsumer/matcher/matcher.go `New`)."""
    if not settings.is_empty("group_by"):
        regex(settings, findings, "group_by")
    sorts = list(settings.items("sort_by"))
    if not sorts:
        return
    not_negative(settings, findings, "top_n", duration=False)
    kinds = {sort.text("sort_type") for sort in sorts}
    if kinds & {"numeric", "alphabetical", "timestamp"} and require(settings, findings, "regex"):
        regex(settings, findings, "regex")
    for sort in sorts:
        _build_sort(sort, findings)


def _build_sort(sort: Settings, findings: Findings) -> None:
    if not one_of(sort, findings, ("numeric", "alphabetical", "timestamp", "mtime"), "sort_type"):
        return
    kind = sort.text("sort_type")
    if kind == "mtime":
        message = f'sorting by "mtime" needs the feature gate {_GATES["mtime"]}'
        findings.error(sort.place("sort_type"), REFUSED, message, "it is off by default")
        return
    require(sort, findings, "regex_key", hint="the name of a group of the regex")
    if kind == "timestamp" and require(sort, findings, "layout", hint="as in %Y-%m-%d"):
        layout = sort.text("layout")
        problem = layout_problem(layout) if layout else None
        if layout and problem:
            findings.error(sort.place("layout"), LAYOUT, problem, layout_hint(layout))
        check_zone(sort, findings, "location")


def _check_multiline(settings: Settings, findings: Findings, end: str) -> None:
    """One of two patterns, none with the encoding nop (split/split.go `Func`); `end` is the default of the second."""
    encoding = check_encoding(settings, findings)
    first, last = given(settings, "multiline", "line_start_pattern"), given(settings, "multiline", "line_end_pattern")
    if last is False and end and not settings.has("multiline", "line_end_pattern"):
        last = True
    if encoding is not None and encoding.lower() == "nop":
        for key, there in (("line_end_pattern", last), ("line_start_pattern", first)):
            if there:
                message = f'"{key}" is not possible with the encoding nop'
                hint = 'set line_end_pattern: ""' if not settings.has("multiline", key) else "remove one of them"
                findings.error(settings.place("multiline", key), EXCLUSIVE, message, hint)
        return
    if first and last:
        message = '"line_start_pattern" and "line_end_pattern" exclude each other'
        written = settings.has("multiline", "line_end_pattern")
        at = settings.key_place("multiline", "line_end_pattern" if written else "line_start_pattern")
        hint = "keep one of them" if written else 'udp has a line_end_pattern by default: set line_end_pattern: "" too'
        findings.error(at, EXCLUSIVE, message, hint)
        return
    for key in ("line_start_pattern", "line_end_pattern"):
        node = settings.node("multiline", key)
        if isinstance(node, Scalar):
            is_regex(node, findings)


def build_tcp(settings: Settings, findings: Findings) -> None:
    """An address, sizes, lines (input/tcp/config.go `Build`)."""
    size = byte_size(settings, findings, "max_log_size")
    if size is not None and size != 0 and size < _SMALLEST_LINE:
        message = f'"max_log_size" must be at least {_SMALLEST_LINE} bytes'
        findings.error(settings.place("max_log_size"), RANGE, message, "64KiB")
    _check_listen(settings, findings)
    _check_multiline(settings, findings, "")
    not_negative(settings, findings, "max_connections", duration=False)


def build_udp(settings: Settings, findings: Findings) -> None:
    """An address and lines (input/udp/config.go `Build`)."""
    _check_listen(settings, findings)
    _check_multiline(settings, findings, _NEVER)


def _check_listen(settings: Settings, findings: Findings) -> None:
    if not require(settings, findings, "listen_address", hint="as in 0.0.0.0:5140"):
        return
    address = settings.text("listen_address")
    if address is None:
        return
    parts = split_host_port(address)
    if isinstance(parts, Refusal):
        message = f"{quoted(address)} is not an address of host and port: {parts.why}"
        findings.error(settings.place("listen_address"), ADDRESS, message, "as in 0.0.0.0:5140")
    elif parts[1].isascii() and parts[1].isdecimal() and int(parts[1][:9]) > 65535:
        findings.error(
            settings.place("listen_address"), ADDRESS, f"{quoted(parts[1])} is no port", "ports end at 65535"
        )


def build_syslog_receiver(settings: Settings, findings: Findings) -> None:
    """Protocol, and one of two ways to listen (input/syslog/config.go `Build`)."""
    build_syslog(settings, findings)
    if settings.has("on_error"):
        one_of(settings, findings, ("", "send", "send_quiet", "drop", "drop_quiet"), "on_error")
    tcp, udp = (isinstance(settings.node(key), Mapping) for key in ("tcp", "udp"))
    if settings.has("tcp") and tcp:
        build_tcp(settings.below("tcp"), findings)
    elif udp and not settings.has("tcp"):
        framed = settings.flag("enable_octet_counting") or settings.has("non_transparent_framing_trailer")
        if framed:
            key = "enable_octet_counting"
            at = settings.place(key if settings.flag(key) else "non_transparent_framing_trailer")
            findings.error(at, EXCLUSIVE, "framing is not possible with udp", "use tcp, or remove it")
            return
        build_udp(settings.below("udp"), findings)
    elif not settings.has("tcp") and not settings.has("udp"):
        entry = settings.here.entry("tcp") or settings.here.entry("udp")
        message = "syslog needs tcp or udp"
        place = entry.key_origin if entry else settings.place()
        findings.error(place, TOGETHER, message, "as in tcp: {listen_address: 0.0.0.0:54526}")


def build_journald(settings: Settings, findings: Findings) -> None:
    """Where to start, paths, fields (input/journald/config_linux.go `validate`, `buildArgs`)."""
    one_of(settings, findings, ("beginning", "end"), "start_at", default="end")
    root, program = settings.text("root_path"), settings.text("journalctl_path", default="journalctl")
    if root:
        if program is not None and not program.startswith("/"):
            message = '"journalctl_path" must be an absolute path when "root_path" is set'
            findings.error(settings.place("journalctl_path"), PATH, message, "as in /usr/bin/journalctl")
        elif not root.startswith("/"):
            findings.error(settings.place("root_path"), PATH, '"root_path" must be an absolute path')
    if program is not None and not program.strip():
        findings.error(settings.place("journalctl_path"), MISSING, '"journalctl_path" must not be empty')
    for match in settings.items("matches"):
        for entry in match.here.entries:
            if not _JOURNAL_FIELD.fullmatch(entry.key) and "${" not in entry.key:
                message = f"{quoted(entry.key)} is no field of the journal"
                findings.error(entry.key_origin, WORD, message, "capital letters and _, as in _SYSTEMD_UNIT")


def _behind(kind: str) -> Rule:
    def check(settings: Settings, findings: Findings) -> None:
        check_operators(settings, findings, kind)

    return check


VALIDATE: Rules = {
    "receiver/file_log": (decode_operators, decode_file),
    "receiver/journald": (decode_operators,),
    "receiver/otlp_json_file": (decode_file,),
    "receiver/syslog": (decode_operators, decode_socket),
    "receiver/tcp_log": (decode_operators, decode_socket),
    "receiver/udp_log": (decode_operators,),
    "receiver/windows_event_log": (decode_operators,),
}
CONSTRUCT: Rules = {
    "receiver/file_log": (build_file, build_input, _behind("file_input")),
    "receiver/journald": (build_journald, build_input, _behind("journald_input")),
    "receiver/otlp_json_file": (build_file,),
    "receiver/syslog": (build_syslog_receiver, build_input, _behind("syslog_input")),
    "receiver/tcp_log": (build_tcp, build_input, _behind("tcp_input")),
    "receiver/udp_log": (build_udp, build_input, _behind("udp_input")),
    "receiver/windows_event_log": (build_input, _behind("windows_eventlog_input")),
}
