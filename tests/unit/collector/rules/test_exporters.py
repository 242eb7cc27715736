"""Exporters to files, storage and vendors."""

from typing import Any

import pytest

from gitsync.collector.rules.exporters import CONSTRUCT, VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (
    VALIDATE,
    CONSTRUCT,
)
DEFAULTS: dict[str, dict[str, Any]] = {
    "exporter/debug": {"use_internal_logger": True},
    "exporter/file": {
        "format": "json",
        "rotation": {"max_backups": 100},
        "group_by": {"resource_attribute": "fileexporter.path_segment"},
    },
    "exporter/zipkin": {"format": "json"},
    "exporter/splunk_hec": {"log_data_enabled": True, "profiling_data_enabled": True},
    "exporter/awss3": {"s3uploader": {"region": "us-east-1", "storage_class": "STANDARD", "retry_mode": "standard"}},
    "exporter/syslog": {"port": 514, "network": "tcp", "protocol": "rfc5424"},
}
SIGNALS: dict[str, list[str]] = {}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("exporter/debug", "", {}),
    ("exporter/debug", "verbosity: detailed", {}),
    ("exporter/debug", "verbosity: 0", {}),
    ("exporter/debug", "use_internal_logger: false\noutput_paths: [stdout]", {}),
    ("exporter/debug", "verbosity: ${env:V}", {}),
    ("exporter/file", "path: /a", {}),
    ("exporter/file", "path: /a\nrotation: {}\nformat: proto\ncompression: zstd", {}),
    ("exporter/file", "path: /a\nappend: true", {}),
    ("exporter/file", "path: /a/*.json\ngroup_by: {enabled: true}", {}),
    ("exporter/file", "path: /a\ncreate_directory: true\ndirectory_permissions: '0750'", {}),
    ("exporter/file", "path: ${env:P}\ngroup_by: {enabled: true}", {}),
    ("exporter/zipkin", "endpoint: http://a", {}),
    ("exporter/zipkin", "endpoint: http://a\nformat: proto", {}),
    ("exporter/splunk_hec", "endpoint: https://a:8088\ntoken: ${env:T}", {}),
    ("exporter/splunk_hec", "endpoint: ${env:E}\ntoken: ${env:T}", {}),
    ("exporter/syslog", "endpoint: a", {}),
    ("exporter/syslog", "endpoint: /run/a\nnetwork: UNIX\nport: 0", {}),
    ("exporter/syslog", "endpoint: a\nprotocol: rfc3164", {}),
    ("exporter/awss3", "s3uploader: {s3_bucket: a}", {}),
    ("exporter/awss3", "s3uploader: ${file:s3.yaml}", {}),
    ("exporter/awss3", "s3uploader: {endpoint: a, compression: gzip, acl: private, unique_key_func_name: uuidv7}", {}),
    ("exporter/awss3", "s3uploader: {s3_bucket: a}\nmarshaler: sumo_ic", {"signals": ["logs"]}),
    ("exporter/clickhouse", "endpoint: tcp://a:9000?x=1", {}),
    ("exporter/clickhouse", "endpoint: ${env:E}", {}),
    ("exporter/coralogix", "domain: a\nprivate_key: ${env:K}\napplication_name: b", {}),
    ("exporter/coralogix", "traces: {endpoint: a:443}\nprivate_key: ${env:K}\napplication_name: b", {}),
    ("exporter/sumologic", "endpoint: http://a\ntimeout: 55s", {}),
    ("exporter/sumologic", "log_format: json\nmetric_format: prometheus\ncompression: ''", {}),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    ("exporter/debug", "verbosity: None", [("GS0267", 1, 12)], {}),
    ("exporter/debug", "verbosity: -1", [("GS0267", 1, 12)], {}),
    ("exporter/debug", "verbosity: 5", [("GS0267", 1, 12)], {}),
    ("exporter/debug", "output_paths: [stdout]", [("GS0266", 1, 1)], {}),
    ("exporter/debug", "use_internal_logger: false\noutput_paths: []", [("GS0271", 2, 15)], {}),
    ("exporter/file", "", [("GS0273", 0, 0)], {}),
    ("exporter/file", "path: /a\nappend: true\nrotation: {}", [("GS0265", 3, 1)], {}),
    ("exporter/file", "path: /a\nformat: yaml", [("GS0267", 2, 9)], {}),
    ("exporter/file", "path: /a\ncompression: gzip", [("GS0267", 2, 14)], {}),
    ("exporter/file", "path: /a\nflush_interval: -1s", [("GS0261", 2, 17)], {}),
    ("exporter/file", "path: /a\ngroup_by: {enabled: true}", [("GS0273", 1, 7)], {}),
    (
        "exporter/file",
        "path: '*/a'\ngroup_by: {enabled: true, resource_attribute: ''}",
        [("GS0273", 1, 7), ("GS0260", 2, 47)],
        {},
    ),
    ("exporter/file", "path: /a\ndirectory_permissions: '0755'", [("GS0266", 2, 1)], {}),
    ("exporter/file", "path: /a\ncreate_directory: true\ndirectory_permissions: '0o755'", [("GS0267", 3, 24)], {}),
    ("exporter/file", "path: /a\ncreate_directory: true\ndirectory_permissions: '1777'", [("GS0261", 3, 24)], {}),
    ("exporter/file", "path: /a\ncreate_directory: true\ndirectory_permissions: '-1'", [("GS0261", 3, 24)], {}),
    ("exporter/zipkin", "", [("GS0260", 0, 0)], {}),
    ("exporter/zipkin", "endpoint: http://a\nformat: xml", [("GS0267", 2, 9)], {}),
    ("exporter/splunk_hec", "", [("GS0260", 0, 0), ("GS0260", 0, 0)], {}),
    ("exporter/splunk_hec", "endpoint: 'http://a:b'\ntoken: t", [("GS0263", 1, 11)], {}),
    (
        "exporter/splunk_hec",
        "endpoint: http://a\ntoken: t\nlog_data_enabled: false\nprofiling_data_enabled: false",
        [("GS0266", 3, 19)],
        {},
    ),
    ("exporter/splunk_hec", "endpoint: http://a\ntoken: t\nmax_event_size: 900000000", [("GS0261", 3, 17)], {}),
    ("exporter/syslog", "", [("GS0260", 0, 0)], {}),
    ("exporter/syslog", "endpoint: a\nnetwork: tls", [("GS0267", 2, 10)], {}),
    ("exporter/syslog", "endpoint: a\nport: 70000", [("GS0261", 2, 7)], {}),
    ("exporter/syslog", "endpoint: a\nprotocol: rfc1", [("GS0267", 2, 11)], {}),
    ("exporter/syslog", "endpoint: a\nprotocol: rfc3164\nenable_octet_counting: true", [("GS0266", 3, 1)], {}),
    ("exporter/awss3", "", [("GS0260", 0, 0)], {}),
    (
        "exporter/awss3",
        "s3uploader: {s3_bucket: a, region: '', storage_class: standard, acl: secret}",
        [("GS0260", 1, 36), ("GS0267", 1, 55), ("GS0267", 1, 70)],
        {},
    ),
    (
        "exporter/awss3",
        "s3uploader: {s3_bucket: a, compression: snappy, retry_mode: often, unique_key_func_name: v4}",
        [("GS0267", 1, 41), ("GS0267", 1, 61), ("GS0267", 1, 90)],
        {},
    ),
    (
        "exporter/awss3",
        "s3uploader: {s3_bucket: a}\nmarshaler: sumo_ic",
        [("GS0274", 2, 12)],
        {"signals": ["logs", "metrics"]},
    ),
    ("exporter/clickhouse", "", [("GS0260", 0, 0)], {}),
    ("exporter/clickhouse", "endpoint: localhost:9000", [("GS0263", 1, 11)], {}),
    ("exporter/clickhouse", "endpoint: 'http://a b'", [("GS0263", 1, 11)], {}),
    ("exporter/coralogix", "", [("GS0260", 0, 0), ("GS0260", 0, 0), ("GS0260", 0, 0)], {}),
    (
        "exporter/coralogix",
        "domain: a\nprivate_key: ${env:K}\napplication_name: b\nprotocol: tcp",
        [("GS0267", 4, 11)],
        {},
    ),
    ("exporter/sumologic", "timeout: 56s", [("GS0261", 1, 10)], {}),
    (
        "exporter/sumologic",
        "log_format: xml\nmetric_format: graphite\ncompression: lz4",
        [("GS0267", 1, 13), ("GS0267", 2, 16), ("GS0267", 3, 14)],
        {},
    ),
    ("exporter/sumologic", "endpoint: 'http://a b'", [("GS0263", 1, 11)], {}),
]


@pytest.mark.parametrize(("component", "text", "options"), RIGHT)
def test_what_the_collector_takes_is_right(component: str, text: str, options: dict[str, Any]) -> None:
    assert diagnostics(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == ()


@pytest.mark.parametrize(("component", "text", "expected", "options"), WRONG)
def test_what_is_wrong_is_found_in_its_place(
    component: str, text: str, expected: list[tuple[str, int, int]], options: dict[str, Any]
) -> None:
    assert found(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == expected
