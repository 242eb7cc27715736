"""Log operators that parse: what their `Build` refuses (pkg/stanza/operator/parser)."""

from __future__ import annotations

from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping, Node, Scalar, Sequence, is_null, kind
from gitsync.collector.rules.demands import (
    EXCLUSIVE,
    MISSING,
    REFUSED,
    REGEX,
    TOGETHER,
    WORD,
    exclusive,
    given,
    one_of,
    regex,
    require,
)
from gitsync.collector.rules.stanza.fields import check_zone
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

_LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")
_SEVERITIES = frozenset({f"{level}{number}" for level in _LEVELS for number in ("", "2", "3", "4")}) | {
    str(number) for number in range(1, 25)
}
_NO_LEVEL = "GS0287"
CHANGED = (0, 150, 0)
"""Rules that differ between 0.149 and 0.159 are taken to have changed with this release."""


def build_severity(settings: Settings, findings: Findings) -> None:
    """Where the severity stands, and what its values mean (helper/severity_builder.go `Build`)."""
    if not settings.has("parse_from"):
        hint = "the field that holds the severity, as in attributes.level"
        findings.error(settings.place("parse_from"), MISSING, '"parse_from" must be set', hint)
    mapping = settings.node("mapping")
    for entry in mapping.entries if isinstance(mapping, Mapping) else ():
        if entry.key.lower() not in _SEVERITIES and "${" not in entry.key:
            hint = did_you_mean(entry.key.lower(), _LEVELS) or ", ".join(_LEVELS)
            message = f"there is no severity {quoted(entry.key)}; its values get none"
            findings.warning(entry.key_origin, _NO_LEVEL, message, hint)
        values = entry.value.items if isinstance(entry.value, Sequence) else (entry.value,)
        for value in values:
            if not _is_severity_value(value) and not (value is entry.value and is_null(value)):
                message = f"a value of a severity is text, a whole number or a range, not {kind(value)}"
                findings.error(value.origin, WORD, message, "as in error, 4xx, or {min: 500, max: 599}")


def _is_severity_value(node: Node) -> bool:
    if isinstance(node, Scalar):
        return node.tag in ("str", "int")
    if isinstance(node, Sequence):
        return False
    ends = [node.get("min"), node.get("max")]
    return all(isinstance(end, Scalar) and (end.tag == "int" or not is_known(end)) for end in ends)


def build_csv(settings: Settings, findings: Findings) -> None:
    """Delimiters of one character, one header (parser/csv/config.go `Build`)."""
    delimiter = settings.text("delimiter")
    header_delimiter = settings.text("header_delimiter")
    for key, value in (("delimiter", delimiter), ("header_delimiter", header_delimiter)):
        if value and len(value) != 1:
            findings.error(settings.place(key), WORD, f'"{key}" must be one character', 'a tab is written as "\\t"')
            return
    if settings.flag("ignore_quotes") and settings.flag("lazy_quotes"):
        message = '"ignore_quotes" and "lazy_quotes" exclude each other'
        findings.error(settings.place("lazy_quotes"), EXCLUSIVE, message, "keep one of them")
    if given(settings, "header") is False and given(settings, "header_attribute") is False:
        message = '"header" or "header_attribute" must be set'
        findings.error(settings.place(), TOGETHER, message, "as in header: time,level,message")
        return
    exclusive(settings, findings, "header", "header_attribute")
    header = settings.text("header")
    if header and delimiter is not None and header_delimiter is not None:
        needed = header_delimiter or delimiter or ","
        if needed not in header:
            message = f"the header has no delimiter {quoted(needed)}"
            findings.error(settings.place("header"), REFUSED, message, "it needs two columns at least")


def build_key_value(settings: Settings, findings: Findings) -> None:
    """Two delimiters that differ (parser/keyvalue/config.go `Build`)."""
    delimiter, pair = settings.text("delimiter", default="="), settings.text("pair_delimiter")
    if delimiter == "" and settings.has("delimiter"):
        findings.error(settings.place("delimiter"), MISSING, '"delimiter" must not be empty', 'the default is "="')
    elif delimiter is not None and pair is not None and delimiter == (pair or " "):
        at = settings.place("pair_delimiter" if settings.has("pair_delimiter") else "delimiter")
        findings.error(at, REFUSED, '"delimiter" and "pair_delimiter" must differ', 'they are "=" and " " by default')


def build_regex_parser(settings: Settings, findings: Findings) -> None:
    """An expression with at least one named group (parser/regex/config.go `Build`)."""
    if not require(settings, findings, "regex") or not regex(settings, findings, "regex"):
        return
    from gitsync.ottl.literals.regex import read_regex

    read = read_regex(settings.text("regex") or "")
    if read.known and not read.names:
        message = "the regular expression has no named group, so nothing is kept"
        findings.error(settings.place("regex"), REGEX, message, "as in ^(?P<level>[A-Z]+) (?P<message>.*)$")


def build_syslog(settings: Settings, findings: Findings) -> None:
    """Protocol, framing and zone; also of the receiver (parser/syslog/config.go `Build`)."""
    protocol = settings.text("protocol")
    if protocol is None:
        return
    if not protocol:
        findings.error(settings.place("protocol"), MISSING, '"protocol" must be set', "rfc5424 or rfc3164")
        return
    name = protocol.lower()
    known = ("rfc5424", "rfc3164", "none") if settings.version >= CHANGED else ("rfc5424", "rfc3164")
    if name not in known:
        message = f"there is no syslog protocol {quoted(protocol)}"
        findings.error(settings.place("protocol"), WORD, message, f"allowed: {', '.join(known)}")
    elif name != "rfc5424" and settings.version < CHANGED and settings.flag("enable_octet_counting"):
        at = settings.place("enable_octet_counting")
        findings.error(at, EXCLUSIVE, f'"enable_octet_counting" is only for rfc5424, not for {name}')
    elif settings.has("non_transparent_framing_trailer"):
        _check_framing(settings, findings, name)
    check_zone(settings, findings, "location")


def _check_framing(settings: Settings, findings: Findings, protocol: str) -> None:
    key = "non_transparent_framing_trailer"
    if settings.flag("enable_octet_counting"):
        message = f'"{key}" and "enable_octet_counting" exclude each other'
        findings.error(settings.key_place(key), EXCLUSIVE, message, "keep one of them")
    elif protocol != "rfc5424":
        findings.error(settings.key_place(key), EXCLUSIVE, f'"{key}" is only for rfc5424, not for {protocol}')
    else:
        one_of(settings, findings, ("LF", "NUL"), key)
