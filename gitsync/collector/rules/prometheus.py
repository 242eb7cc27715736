"""The prometheus receiver: Prometheus' own configuration under `config:`, read when the Collector reads its own.

Whether a file exists that a configuration names (certificates, credentials) only the agent knows.
"""

from __future__ import annotations

import re

from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping, Node, Scalar, Sequence, is_null, kind
from gitsync.collector.rules import Rules
from gitsync.collector.rules.addresses import Refusal, parse_url
from gitsync.collector.rules.demands import (
    ADDRESS,
    EMPTY,
    MISSING,
    PATH,
    RANGE,
    REFUSED,
    TOGETHER,
    TWICE,
    URL,
    WORD,
    given,
    one_of,
    positive,
    require,
    switched_on,
)
from gitsync.collector.rules.httpclient import check_http_client
from gitsync.collector.rules.relabel import check_relabel
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

_DURATION = re.compile(
    r"(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?"
)
_HOURS = (24 * 365, 24 * 7, 24, 1)
_MILLISECONDS = (*(hours * 3_600_000 for hours in _HOURS), 60_000, 1000, 1)
_LONGEST = 60
_PATTERN = re.compile(r"[^*]*(\*[^/]*)?")
_SD_FILE = re.compile(r"[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)")
_PROTOCOLS = (
    "PrometheusProto",
    "PrometheusText0.0.4",
    "PrometheusText1.0.0",
    "OpenMetricsText0.0.1",
    "OpenMetricsText1.0.0",
)
_SELECTED = {
    "pod": ("pod", "node"),
    "service": ("service",),
    "endpoints": ("pod", "service", "endpoints"),
    "endpointslice": ("pod", "service", "endpointslice"),
    "node": ("node",),
    "ingress": ("ingress",),
}
"""Roles in Kubernetes, with those of their selectors."""
_LOGINS = ("basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file")
_CLIENT = (
    *("basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file", "tls_config", "follow_redirects"),
    *("enable_http2", "http_headers", "proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header"),
)
_DISCOVERY = {
    "static_configs": ("targets", "labels"),
    "file_sd_configs": ("files", "refresh_interval"),
    "dns_sd_configs": ("names", "refresh_interval", "type", "port"),
    "http_sd_configs": ("url", "refresh_interval", *_CLIENT),
    "kubernetes_sd_configs": (
        *("role", "api_server", "kubeconfig_file", "namespaces", "selectors", "attach_metadata"),
        *_CLIENT,
    ),
}
"""Ways to find targets that are used most, with their settings."""
_SINGLE = ("refresh_interval", "type", "port", "url", "api_server", "kubeconfig_file", "proxy_url", "no_proxy")
"""Their settings that are one value."""
_MINUTE = 60_000
_LISTS = ("relabel_configs", "metric_relabel_configs", "scrape_protocols", "static_configs")


def check_receiver(settings: Settings, findings: Findings) -> None:
    """Something to scrape, nothing that only Prometheus does (receiver/prometheusreceiver/config.go `Validate`)."""
    config = settings.node("config")
    allocator = switched_on(settings, "target_allocator")
    scrapes = settings.below("config")
    found = given(scrapes, "scrape_configs"), given(scrapes, "scrape_config_files")
    if config is None or isinstance(config, Mapping):
        if allocator is False and found == (False, False):
            at = settings.key_place("config", "scrape_configs") if config is not None else settings.place()
            findings.error(
                at, TOGETHER, '"config::scrape_configs" or "target_allocator" must be set', "nothing is scraped"
            )
        _check_config(scrapes, findings)
    if allocator:
        _check_allocator(settings.below("target_allocator"), findings)


def _check_allocator(settings: Settings, findings: Findings) -> None:
    """A URL, an id and an interval (internal/targetallocator/config.go `Validate`)."""
    endpoint = settings.text("endpoint")
    parts = None if endpoint is None else parse_url(endpoint, request=True)
    if endpoint == "":
        findings.error(settings.place("endpoint"), MISSING, '"endpoint" must be set', "as in http://allocator:80")
    elif isinstance(parts, Refusal):
        findings.error(settings.place("endpoint"), URL, f"{quoted(endpoint or '')} is not a URL: {parts.why}")
    if given(settings, "collector_id") is False:
        findings.error(settings.place("collector_id"), MISSING, '"collector_id" must be set', "as in ${env:POD_NAME}")
    if given(settings, "interval") is False:
        findings.error(settings.place("interval"), MISSING, '"interval" must be set', "as in 30s")
    positive(settings, findings, "interval")


def _check_config(settings: Settings, findings: Findings) -> None:
    """Prometheus' configuration (prometheus/config/config.go `UnmarshalYAML`)."""
    for key in ("remote_write", "remote_read", "rule_files"):
        if given(settings, key):
            message = f'"{key}" is a setting of Prometheus that the Collector does not have'
            findings.error(settings.key_place(key), REFUSED, message, "remove it; exporters send data")
    for key in ("alert_relabel_configs", "alertmanagers"):
        if given(settings, "alerting", key):
            findings.error(settings.key_place("alerting"), REFUSED, "the Collector does not alert", "remove it")
    for node in settings.texts("scrape_config_files") or ():
        if is_known(node) and not _PATTERN.fullmatch(node.text):
            message = f"{quoted(node.text)} is no pattern of files"
            findings.error(node.origin, PATH, message, '"*" may stand in the last part only')
    interval = _check_global(settings.below("global"), findings)
    jobs: set[str] = set()
    listed = settings.node("scrape_configs")
    for one in listed.items if isinstance(listed, Sequence) else ():
        if is_null(one):
            findings.error(one.origin, EMPTY, "a scrape config is empty", "give it a job_name")
    legacy = settings.text("global", "metric_name_validation_scheme") == "legacy"
    for job in settings.items("scrape_configs"):
        name = job.text("job_name")
        if name in jobs and name:
            findings.error(job.place("job_name"), TWICE, f"there are two jobs with the name {quoted(name)}")
        jobs.add(name or "")
        _check_job(job, findings, interval, legacy=legacy)


def _check_global(settings: Settings, findings: Findings) -> int | None:
    """The interval of all jobs, in milliseconds; None when not known."""
    interval = _duration(settings, findings, "scrape_interval")
    timeout = _duration(settings, findings, "scrape_timeout")
    _duration(settings, findings, "evaluation_interval")
    _check_protocols(settings, findings)
    interval = _MINUTE if interval == 0 else interval
    if interval is not None and timeout is not None and timeout > interval:
        _report_timeout(settings, findings, interval)
    return interval


def _check_job(settings: Settings, findings: Findings, interval: int | None, *, legacy: bool) -> None:
    """One job (config.go `ScrapeConfig.UnmarshalYAML`, `Validate`)."""
    _check_lists(settings, findings, _LISTS)
    for group in settings.items("static_configs"):
        _check_lists(group, findings, ("targets",))
        targets = group.node("targets")
        for item in targets.items if isinstance(targets, Sequence) else ():
            _check_word("targets", item, findings)
        labels = group.node("labels")
        for entry in labels.entries if isinstance(labels, Mapping) else ():
            _check_word(entry.key, entry.value, findings)
    require(settings, findings, "job_name", hint="a name for these targets")
    own, longest = _duration(settings, findings, "scrape_interval"), _duration(settings, findings, "scrape_timeout")
    interval = interval if own == 0 else own
    if interval is not None and longest is not None and longest > interval:
        _report_timeout(settings, findings, interval)
    _check_protocols(settings, findings)
    if given(settings, "fallback_scrape_protocol"):
        one_of(settings, findings, _PROTOCOLS, "fallback_scrape_protocol")
    scheme = settings.text("metric_name_validation_scheme")
    own_legacy = legacy if not scheme else scheme == "legacy"
    for key in ("relabel_configs", "metric_relabel_configs"):
        check_relabel(settings, findings, key, legacy=own_legacy)
    if given(settings, "relabel_configs") is False:
        _check_targets(settings, findings)
    _check_discovery(settings, findings)
    check_http_client(settings, findings)


def _check_lists(settings: Settings, findings: Findings, keys: tuple[str, ...]) -> None:
    """Prometheus takes no single value for a list, other than the Collector."""
    for key in keys:
        node = settings.node(key)
        if node is not None and not isinstance(node, Sequence) and is_known(node):
            findings.error(node.origin, "GS0233", f'"{key}" must be a list', "write [value], or a line with a dash")


def _check_word(key: str, node: Node, findings: Findings) -> None:
    """A text; Prometheus takes a number for one, other than the Collector."""
    if not isinstance(node, Scalar):
        findings.error(node.origin, "GS0233", f"{quoted(key)} must be one value, not {kind(node)}")


def _report_timeout(settings: Settings, findings: Findings, interval: int) -> None:
    at = settings.place("scrape_timeout" if settings.has("scrape_timeout") else "scrape_interval")
    message = '"scrape_timeout" must not be longer than "scrape_interval"'
    findings.error(at, RANGE, message, f"the interval is {interval / 1000:g}s")


def _duration(settings: Settings, findings: Findings, key: str) -> int | None:
    """Milliseconds of a duration as Prometheus has them (`1d12h`); 0 when absent, None when not known."""
    node = settings.node(key)
    if node is None:
        return 0
    if not isinstance(node, Scalar) or not is_known(node):
        return None
    match = _DURATION.fullmatch(node.text) if node.text and len(node.text) < _LONGEST else None
    if match is None and node.text != "0":
        hint = "whole numbers with units: 90s, 1m30s, 500ms"
        findings.error(node.origin, "GS0235", f"{quoted(node.text)} is no duration of Prometheus", hint)
        return None
    if match is None:
        return 0
    return sum(int(part) * unit for part, unit in zip(match.groups(), _MILLISECONDS, strict=True) if part)


def _check_protocols(settings: Settings, findings: Findings) -> None:
    """Known protocols, none twice (config.go `validateAcceptScrapeProtocols`)."""
    node = settings.node("scrape_protocols")
    if isinstance(node, Sequence) and not node.items:
        findings.error(node.origin, EMPTY, '"scrape_protocols" must not be empty', f"known: {', '.join(_PROTOCOLS)}")
    seen: set[str] = set()
    for one in settings.texts("scrape_protocols") or ():
        if one.text.lower() in seen:
            findings.error(one.origin, TWICE, f"the protocol {quoted(one.text)} is given twice")
        elif one.text not in _PROTOCOLS:
            hint = did_you_mean(one.text, _PROTOCOLS) or f"known: {', '.join(_PROTOCOLS)}"
            findings.error(one.origin, WORD, f"there is no scrape protocol {quoted(one.text)}", hint)
        seen.add(one.text.lower())


def _check_targets(settings: Settings, findings: Findings) -> None:
    """Targets are addresses, not URLs (config.go `CheckTargetAddress`); relabelling may make some of others."""
    for group in settings.items("static_configs"):
        for node in group.texts("targets") or ():
            if "/" in node.text:
                message = f"{quoted(node.text)} is no target, which is host:port"
                hint = 'write the address only; "scheme" and "metrics_path" of the job have the rest'
                findings.error(node.origin, ADDRESS, message, hint)


def _check_discovery(settings: Settings, findings: Findings) -> None:
    """Where targets come from (prometheus/discovery/*/*.go `UnmarshalYAML`)."""
    for key, known in _DISCOVERY.items():
        for found in settings.items(key):
            _check_keys(found, findings, key, known)
    for found in settings.items("file_sd_configs"):
        _check_files(found, findings)
    for found in settings.items("dns_sd_configs"):
        _check_dns(found, findings)
    for found in settings.items("http_sd_configs"):
        _check_http_discovery(found, findings)
    for found in settings.items("kubernetes_sd_configs"):
        _check_kubernetes(found, findings)


def _check_files(settings: Settings, findings: Findings) -> None:
    require(settings, findings, "files", hint="as in /etc/targets/*.yml", code=EMPTY)
    files = settings.node("files")
    for item in files.items if isinstance(files, Sequence) else ():
        _check_word("files", item, findings)
    for node in settings.texts("files") or ():
        if not _SD_FILE.fullmatch(node.text):
            message = f"{quoted(node.text)} is no file of targets"
            findings.error(node.origin, PATH, message, 'it ends with .json, .yml or .yaml; "*" only in the last part')


def _check_dns(settings: Settings, findings: Findings) -> None:
    require(settings, findings, "names", hint="names of records", code=EMPTY)
    kind = settings.text("type", default="SRV") or "SRV"
    if kind.upper() not in ("SRV", "A", "AAAA", "MX", "NS"):
        findings.error(settings.place("type"), WORD, f"{quoted(kind)} is no type of DNS record", "SRV, A, AAAA, MX, NS")
    elif kind.upper() != "SRV" and settings.number("port") == 0 and settings.text("type") is not None:
        findings.error(settings.place("port"), MISSING, f'records of type {kind.upper()} need a "port"')


def _check_kubernetes(settings: Settings, findings: Findings) -> None:
    """A role, one way to the API, selectors that the role knows (discovery/kubernetes/kubernetes.go)."""
    _check_role(settings, findings)
    _check_lists(settings, findings, ("selectors",))
    ways = [key for key in ("api_server", "kubeconfig_file") if given(settings, key)]
    if len(ways) > 1:
        message = '"api_server" and "kubeconfig_file" exclude each other'
        findings.error(settings.place("kubeconfig_file"), REFUSED, message, "keep one of them")
    elif ways and settings.flag("namespaces", "own_namespace"):
        message = f'"own_namespace" and {quoted(ways[0])} exclude each other'
        findings.error(settings.key_place("namespaces", "own_namespace"), REFUSED, message, "name the namespaces")
    login = next((key for key in _LOGINS if given(settings, key)), None)
    if login is not None and given(settings, "api_server") is False:
        message = f'{quoted(login)} needs the URL of an "api_server"'
        findings.error(settings.key_place(login), TOGETHER, message, "without it, the account of the pod is used")
    role = settings.text("role")
    seen: set[str] = set()
    for selector in settings.items("selectors"):
        own = selector.text("role")
        if not _check_role(selector, findings) or own is None:
            continue
        if own in seen:
            findings.error(selector.place("role"), TWICE, f"there are two selectors of the role {quoted(own)}")
        elif role in _SELECTED and own not in _SELECTED[role]:
            message = f"targets of the role {quoted(role)} have no selector of the role {quoted(own)}"
            findings.error(selector.place("role"), REFUSED, message, f"possible: {', '.join(_SELECTED[role])}")
        seen.add(own)
    check_http_client(settings, findings)


def _check_role(settings: Settings, findings: Findings) -> bool:
    role = settings.node("role")
    if role is not None and not (isinstance(role, Scalar) and role.tag == "str"):
        message = f'"role" must be text, not {kind(role)}'
        findings.error(role.origin, "GS0233", message, f"one of {', '.join(_SELECTED)}")
        return False
    return one_of(settings, findings, tuple(_SELECTED), "role")


def _check_keys(settings: Settings, findings: Findings, key: str, known: tuple[str, ...]) -> None:
    """Prometheus refuses what it does not know."""
    for entry in settings.here.entries:
        if entry.key not in known:
            message = f"{quoted(entry.key)} is not a setting of {quoted(key)}"
            findings.error(entry.key_origin, "GS0231", message, did_you_mean(entry.key, known))
        elif entry.key in _SINGLE:
            _check_word(entry.key, entry.value, findings)


def _check_http_discovery(settings: Settings, findings: Findings) -> None:
    if not require(settings, findings, "url"):
        return
    text = settings.text("url")
    parts = None if text is None else parse_url(text)
    if isinstance(parts, Refusal):
        findings.error(settings.place("url"), URL, f"{quoted(text or '')} is not a URL: {parts.why}")
    elif parts is not None and (parts.scheme not in ("http", "https") or not parts.host):
        findings.error(
            settings.place("url"), URL, f"{quoted(text or '')} is no URL of HTTP", "as in http://host/targets"
        )
    check_http_client(settings, findings)


VALIDATE: Rules = {"receiver/prometheus": (check_receiver,)}
