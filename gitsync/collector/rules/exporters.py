"""Exporters to files, storage and vendors: debug, file, zipkin, splunk_hec, syslog, awss3, clickhouse and others."""

from __future__ import annotations

import re

from gitsync.collector.findings import Findings
from gitsync.collector.rules import Rules
from gitsync.collector.rules.addresses import Refusal, parse_url
from gitsync.collector.rules.demands import (
    EMPTY,
    EXCLUSIVE,
    MISSING,
    PATH,
    RANGE,
    REFUSED,
    TOGETHER,
    URL,
    WORD,
    between,
    given,
    not_negative,
    one_of,
    require,
    url,
    whole,
)
from gitsync.collector.settings import Settings
from gitsync.wording import quoted

_OCTAL = re.compile(r"[-+]?[0-7]{1,11}")
_SPLUNK_SIZES = ("max_content_length_logs", "max_content_length_metrics", "max_content_length_traces", "max_event_size")
_SPLUNK_MOST = 800 * 1024 * 1024
_STORAGE_CLASSES = (
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "OUTPOSTS",
    "GLACIER_IR",
    "SNOW",
    "EXPRESS_ONEZONE",
    "FSX_OPENZFS",
    "FSX_ONTAP",
)
_ACLS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
)
_LEVELS = (0, 1, 2)
"""Basic, normal, detailed: as numbers they are taken too."""
_SECOND = 1_000_000_000


def check_debug(settings: Settings, findings: Findings) -> None:
    """How much is shown, and where (exporter/debugexporter/config.go `Validate`)."""
    verbosity = settings.value("verbosity")
    level = verbosity if isinstance(verbosity, int) else -1 if str(verbosity).lower() == "none" else 0
    if settings.has("verbosity") and verbosity is not None and level not in _LEVELS:
        message = f"the debug exporter has no verbosity {verbosity}"
        findings.error(settings.place("verbosity"), WORD, message, "basic, normal or detailed")
    if not settings.has("output_paths"):
        return
    internal = settings.flag("use_internal_logger")
    if internal:
        message = '"output_paths" needs use_internal_logger: false'
        findings.error(settings.key_place("output_paths"), TOGETHER, message)
    elif internal is False and settings.is_empty("output_paths"):
        findings.error(settings.place("output_paths"), EMPTY, '"output_paths" must not be empty', "as in [stdout]")


def check_file(settings: Settings, findings: Findings) -> None:
    """Path, format, rotation, permissions (exporter/fileexporter/config.go `Unmarshal`, `Validate`)."""
    require(settings, findings, "path", hint="as in /var/lib/otel/out.json", code=PATH)
    rotation = settings.here.entry("rotation")
    if rotation is not None and settings.flag("append"):
        message = '"append" and "rotation" exclude each other'
        findings.error(rotation.key_origin, EXCLUSIVE, message, "keep one of them")
    one_of(settings, findings, ("json", "proto"), "format")
    one_of(settings, findings, ("", "zstd"), "compression")
    not_negative(settings, findings, "flush_interval")
    if settings.flag("group_by", "enabled"):
        _check_grouping(settings, findings)
    _check_permissions(settings, findings)


def _check_grouping(settings: Settings, findings: Findings) -> None:
    require(settings, findings, "group_by", "resource_attribute")
    path = settings.text("path")
    hint = "as in /var/lib/otel/*.json"
    if path and path.count("*") != 1:
        findings.error(settings.place("path"), PATH, 'with group_by, "path" must have exactly one "*"', hint)
    elif path and path.startswith("*"):
        findings.error(settings.place("path"), PATH, 'with group_by, "path" must not begin with "*"', hint)


def _check_permissions(settings: Settings, findings: Findings) -> None:
    create, permissions = settings.flag("create_directory"), settings.text("directory_permissions")
    if not permissions or create is None:
        return
    at = settings.place("directory_permissions")
    if not create:
        message = '"directory_permissions" needs create_directory: true'
        findings.error(settings.key_place("directory_permissions"), TOGETHER, message)
    elif not _OCTAL.fullmatch(permissions):
        message = f"{quoted(permissions)} is no octal number of permissions"
        findings.error(at, WORD, message, 'as in "0755"')
    elif not 0 <= int(permissions, 8) <= 0o777:
        findings.error(at, RANGE, f"{quoted(permissions)} has other bits than permissions", 'as in "0755"')


def check_zipkin(settings: Settings, findings: Findings) -> None:
    """An endpoint (exporter/zipkinexporter/config.go `Validate`)."""
    require(settings, findings, "endpoint", hint="as in http://zipkin.example:9411/api/v2/spans")


def check_zipkin_format(settings: Settings, findings: Findings) -> None:
    """A format (exporter/zipkinexporter/zipkin.go `createZipkinExporter`)."""
    one_of(settings, findings, ("json", "proto"), "format")


def check_splunk(settings: Settings, findings: Findings) -> None:
    """Endpoint, token, sizes (exporter/splunkhecexporter/config.go `Validate`)."""
    if settings.flag("log_data_enabled") is False and settings.flag("profiling_data_enabled") is False:
        message = 'one of "log_data_enabled" and "profiling_data_enabled" must be true'
        findings.error(settings.place("log_data_enabled"), TOGETHER, message)
    if require(settings, findings, "endpoint", hint="as in https://splunk.example:8088/services/collector"):
        url(settings, findings, "endpoint")
    require(settings, findings, "token", hint="from the environment: ${env:SPLUNK_HEC_TOKEN}")
    for key in _SPLUNK_SIZES:
        size = whole(settings, key)
        if size is not None and size > _SPLUNK_MOST:
            findings.error(settings.place(key), RANGE, f'"{key}" must be at most {_SPLUNK_MOST}')


def check_syslog(settings: Settings, findings: Findings) -> None:
    """Where and how (exporter/syslogexporter/config.go `Validate`)."""
    require(settings, findings, "endpoint")
    network, protocol = settings.text("network", default="tcp"), settings.text("protocol", default="rfc5424")
    if network is not None and network.lower() not in ("tcp", "udp", "unix"):
        message = f'"network" cannot be {quoted(network)}'
        findings.error(settings.place("network"), WORD, message, "tcp, udp or unix")
    elif network is not None and network.lower() != "unix" and settings.has("port"):
        between(settings, findings, 1, 65535, "port")
    if settings.has("protocol"):
        one_of(settings, findings, ("rfc3164", "rfc5424"), "protocol")
    if settings.flag("enable_octet_counting") and protocol not in (None, "rfc5424"):
        message = '"enable_octet_counting" needs protocol: rfc5424'
        findings.error(settings.key_place("enable_octet_counting"), TOGETHER, message)


def check_s3(settings: Settings, findings: Findings) -> None:
    """The bucket, and how to write to it (exporter/awss3exporter/config.go `Validate`)."""
    uploader = settings.below("s3uploader")
    require(uploader, findings, "region")
    if given(uploader, "s3_bucket") is False and given(uploader, "endpoint") is False:
        message = '"s3_bucket" or "endpoint" must be set'
        findings.error(uploader.place("s3_bucket"), MISSING, message, "as in s3uploader: {s3_bucket: telemetry}")
    one_of(uploader, findings, _STORAGE_CLASSES, "storage_class")
    one_of(uploader, findings, ("", *_ACLS), "acl")
    compression = uploader.text("compression")
    if compression in ("zlib", "deflate", "snappy", "x-snappy-framed", "lz4"):
        message = f"objects cannot be compressed with {compression}"
        findings.error(uploader.place("compression"), WORD, message, "gzip or zstd")
    one_of(uploader, findings, ("nop", "standard", "adaptive"), "retry_mode")
    one_of(uploader, findings, ("", "uuidv7"), "unique_key_func_name")


def check_s3_format(settings: Settings, findings: Findings) -> None:
    """A format of Sumo Logic, which has logs only (exporter/awss3exporter/factory.go)."""
    others = sorted(settings.signals & {"traces", "metrics"})
    if settings.text("marshaler") == "sumo_ic" and others:
        message = f"the marshaler sumo_ic does not support {' and '.join(others)}"
        findings.error(settings.place("marshaler"), REFUSED, message, "otlp_json or otlp_proto")


def check_clickhouse(settings: Settings, findings: Findings) -> None:
    """An address with a host (exporter/clickhouseexporter/config.go `Validate`, `buildDSN`)."""
    hint = "as in tcp://clickhouse.example:9000?dial_timeout=10s"
    text = settings.text("endpoint")
    if not require(settings, findings, "endpoint", hint=hint) or text is None:
        return
    parts = parse_url(text)
    if isinstance(parts, Refusal):
        findings.error(settings.place("endpoint"), URL, f"{quoted(text)} is not a URL: {parts.why}", hint)
    elif not parts.host:
        findings.error(settings.place("endpoint"), URL, f"{quoted(text)} has no host", hint)


def check_coralogix(settings: Settings, findings: Findings) -> None:
    """Domain, key, name (exporter/coralogixexporter/config.go `Validate`)."""
    if settings.has("protocol"):
        one_of(settings, findings, ("", "grpc", "http"), "protocol")
    places = [("domain",), *((signal, "endpoint") for signal in ("traces", "metrics", "logs", "profiles"))]
    if all(settings.text(*place) in ("", "http://", "https://") for place in places):
        findings.error(settings.place("domain"), MISSING, '"domain" must be set', "as in eu2.coralogix.com")
    require(settings, findings, "private_key", hint="from the environment: ${env:CORALOGIX_KEY}")
    require(settings, findings, "application_name")


def check_sumologic(settings: Settings, findings: Findings) -> None:
    """Formats and time (exporter/sumologicexporter/config.go `Validate`)."""
    timeout = settings.nanoseconds("timeout")
    if settings.has("timeout") and timeout is not None and not 1 <= timeout <= 55 * _SECOND:
        findings.error(settings.place("timeout"), RANGE, '"timeout" must be at most 55s, and more than 0')
    if settings.has("log_format"):
        one_of(settings, findings, ("otlp", "json", "text"), "log_format")
    if settings.has("metric_format"):
        one_of(settings, findings, ("otlp", "prometheus"), "metric_format")
    if settings.has("compression"):
        one_of(settings, findings, ("", "gzip", "deflate", "zstd"), "compression")
    url(settings, findings, "endpoint")


VALIDATE: Rules = {
    "exporter/debug": (check_debug,),
    "exporter/file": (check_file,),
    "exporter/zipkin": (check_zipkin,),
    "exporter/splunk_hec": (check_splunk,),
    "exporter/syslog": (check_syslog,),
    "exporter/awss3": (check_s3,),
    "exporter/clickhouse": (check_clickhouse,),
    "exporter/coralogix": (check_coralogix,),
    "exporter/sumologic": (check_sumologic,),
}
CONSTRUCT: Rules = {
    "exporter/zipkin": (check_zipkin_format,),
    "exporter/awss3": (check_s3_format,),
}
