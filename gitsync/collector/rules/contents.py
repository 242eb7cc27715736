"""Processors that change what telemetry says: redaction, log_dedup, schema, geoip."""

from __future__ import annotations

import re

from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping, Scalar, Sequence
from gitsync.collector.rules import Rules
from gitsync.collector.rules.addresses import Refusal, parse_url
from gitsync.collector.rules.demands import (
    EMPTY,
    MISSING,
    PART,
    RANGE,
    REFUSED,
    TWICE,
    URL,
    WORD,
    exclusive,
    known_texts,
    not_negative,
    positive,
    regexes,
    require,
)
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

_KEY_BYTES = {"hmac-sha256": 32, "hmac-sha512": 64}
_PATTERNS = ("ignored_key_patterns", "blocked_values", "blocked_key_patterns", "allowed_values")
_ROOTS = ("body", "attributes")
_VERSION = re.compile(r"[-+]?[0-9]+(\.[-+]?[0-9]+){2}")
_PROVIDERS = ("maxmind",)


def check_redaction(settings: Settings, findings: Findings) -> None:
    """A keyed hash has a key that is long enough (processor/redactionprocessor/config.go `Validate`)."""
    kind = settings.text("hash_function")
    length = _KEY_BYTES.get(kind.lower()) if kind is not None else None
    if length is None:
        return
    key = settings.text("hmac_key")
    hint = f"at least {length} bytes, from the environment: ${{env:HMAC_KEY}}"
    if require(settings, findings, "hmac_key", hint=hint) and key is not None and len(key.encode()) < length:
        findings.error(settings.place("hmac_key"), RANGE, f'"hmac_key" is too short for {kind}', hint)


def check_redaction_patterns(settings: Settings, findings: Findings) -> None:
    """Every pattern (processor/redactionprocessor/processor.go `newRedaction`)."""
    for key in _PATTERNS:
        regexes(settings, findings, key)


def check_log_dedup(settings: Settings, findings: Findings) -> None:
    """Interval, zone, fields (processor/logdedupprocessor/config.go `Validate`)."""
    positive(settings, findings, "interval")
    if settings.has("log_count_attribute") or settings.default("log_count_attribute"):
        require(settings, findings, "log_count_attribute")
    zone = settings.text("timezone")
    if zone and settings.has("timezone"):
        from gitsync.ottl.literals.zones import ZONES

        if zone not in ZONES and zone not in ("UTC", "Local"):
            findings.error(settings.place("timezone"), WORD, f"there is no time zone {quoted(zone)}", "as in UTC")
    exclusive(settings, findings, "exclude_fields", "include_fields")
    for key in ("exclude_fields", "include_fields"):
        _check_fields(settings, findings, key)


def _check_fields(settings: Settings, findings: Findings, key: str) -> None:
    seen: set[str] = set()
    for node in known_texts(settings, key):
        if node.text == "body":
            findings.error(node.origin, REFUSED, f'the whole body cannot stand in "{key}"', "as in body.message")
        elif node.text.partition(".")[0] not in _ROOTS:
            message = f"the field {quoted(node.text)} must begin with body or attributes"
            findings.error(node.origin, WORD, message, f"as in attributes.{node.text or 'name'}")
        elif node.text in seen:
            findings.error(node.origin, TWICE, f"the field {quoted(node.text)} is given twice")
        seen.add(node.text)


def check_schema(settings: Settings, findings: Findings) -> None:
    """URLs of schemas, each family once (processor/schemaprocessor/config.go `Validate`)."""
    not_negative(settings, findings, "cache_cooldown")
    not_negative(settings, findings, "cache_retry_limit", duration=False)
    for node in known_texts(settings, "prefetch"):
        _family(node, findings)
    if settings.is_empty("targets"):
        hint = "as in https://opentelemetry.io/schemas/1.26.0"
        findings.error(settings.place("targets"), EMPTY, '"targets" must list at least one schema', hint)
    seen: set[str] = set()
    for node in known_texts(settings, "targets"):
        family = _family(node, findings)
        if family and family in seen:
            message = f"there are two targets of the family {quoted(family)}"
            findings.error(node.origin, TWICE, message, "keep one version of each family")
        seen.add(family)
    _check_migrations(settings, findings)


def _check_migrations(settings: Settings, findings: Findings) -> None:
    listed = settings.texts("targets")
    known = {node.text for node in listed or ()}
    seen: set[str] = set()
    for one in settings.items("migration"):
        require(one, findings, "from", hint="the schema that you come from")
        target = one.text("target")
        if target is None or listed is None:
            continue
        if target not in known:
            message = f"{quoted(target)} is none of the targets"
            hint = "" if findings.full else did_you_mean(target, sorted(known))
            findings.error(one.place("target"), REFUSED, message, hint)
        elif target in seen:
            findings.error(one.place("target"), TWICE, f"there is another migration to {quoted(target)}")
        seen.add(target)
        origin = one.node("from")
        if isinstance(origin, Scalar) and origin.text:
            family = _family(origin, findings)
            if family and target in known and family != target.rpartition("/")[0]:
                message = "a migration stays within one family of schemas"
                findings.error(origin.origin, REFUSED, message, f"the target is {quoted(target)}")


def _family(node: Scalar, findings: Findings) -> str:
    """The URL without the version; empty when it is none or not known (translation `GetFamilyAndVersion`)."""
    if node.tag != "str" or not is_known(node):
        return ""
    parts = parse_url(node.text)
    why = ""
    if isinstance(parts, Refusal):
        why = parts.why
    elif parts.opaque or not _VERSION.fullmatch(parts.path.rpartition("/")[2]):
        why = "it does not end with a version of three numbers"
    elif parts.scheme not in ("http", "https"):
        why = "it does not begin with http:// or https://"
    elif not parts.host:
        why = "it has no host"
    if why:
        hint = "as in https://opentelemetry.io/schemas/1.26.0"
        findings.error(node.origin, URL, f"{quoted(node.text)} is not the URL of a schema: {why}", hint)
        return ""
    return node.text.rpartition("/")[0]


def check_geoip(settings: Settings, findings: Findings) -> None:
    """A provider of places (processor/geoipprocessor/config.go `Unmarshal`, `Validate`; its maxmind provider)."""
    providers = settings.node("providers")
    if settings.is_empty("providers"):
        message = "geoip needs a provider"
        findings.error(settings.key_place("providers"), MISSING, message, "as in maxmind: {database_path: /geo.mmdb}")
    for entry in providers.entries if isinstance(providers, Mapping) else ():
        if entry.key not in _PROVIDERS:
            hint = did_you_mean(entry.key, _PROVIDERS) or f"known: {', '.join(_PROVIDERS)}"
            findings.error(entry.key_origin, PART, f"there is no provider {quoted(entry.key)}", hint)
        else:
            require(settings.below("providers", entry.key), findings, "database_path")
    attributes = settings.node("attributes")
    if isinstance(attributes, Sequence) and not attributes.items:
        findings.error(attributes.origin, EMPTY, '"attributes" must not be empty', "remove it to look at all")


VALIDATE: Rules = {
    "processor/redaction": (check_redaction,),
    "processor/log_dedup": (check_log_dedup,),
    "processor/schema": (check_schema,),
    "processor/geoip": (check_geoip,),
}
CONSTRUCT: Rules = {"processor/redaction": (check_redaction_patterns,)}
