"""Exporters to databases and brokers."""

from typing import Any

import pytest

from gitsync.collector.rules.remotes import CONSTRUCT, VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (
    VALIDATE,
    CONSTRUCT,
)
DEFAULTS: dict[str, dict[str, Any]] = {
    "exporter/prometheus_remote_write": {
        "endpoint": "http://some.url:9411/api/prom/push",
        "http": {"endpoint": "http://some.url:9411/api/prom/push"},
        "max_batch_size_bytes": 3000000,
        "protobuf_message": "prometheus.WriteRequest",
        "remote_write_queue": {"enabled": True, "num_consumers": 5, "queue_size": 10000},
    },
    "exporter/kafka": {
        "record_partitioner": {"sticky_key": {"hasher": "sarama_compat"}},
        "sending_queue": {
            "batch": {"flush_timeout": "200ms", "min_size": 8192},
            "num_consumers": 10,
            "queue_size": 1000,
        },
    },
}
SIGNALS: dict[str, list[str]] = {}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("exporter/prometheus", "endpoint: 0.0.0.0:8889", {}),
    ("exporter/prometheus", "endpoint: ${env:E}", {}),
    ("exporter/prometheus_remote_write", "", {}),
    ("exporter/prometheus_remote_write", "endpoint: https://a/api/v1/write\nexternal_labels: {a: b}", {}),
    ("exporter/prometheus_remote_write", "remote_write_queue: {enabled: false, queue_size: 0}", {}),
    ("exporter/prometheus_remote_write", "endpoint: ''\nhttp: {endpoint: http://a}", {}),
    ("exporter/prometheus_remote_write", "http:\nendpoint: ''", {}),
    ("exporter/prometheus_remote_write", "compression: gzip\nhttp: {}", {}),
    ("exporter/prometheus_remote_write", "external_labels: {a: '${env:A}'}", {}),
    ("exporter/prometheus_remote_write", "max_batch_request_parallelism:", {}),
    ("exporter/elasticsearch", "endpoint: https://a:9200", {}),
    ("exporter/elasticsearch", "endpoints: [http://a, '${env:B}']", {}),
    ("exporter/elasticsearch", "cloudid: 'name:aG9zdCRpZA=='", {}),
    ("exporter/elasticsearch", "cloudid: ${env:CLOUD}", {}),
    ("exporter/elasticsearch", "endpoint: http://a\nmapping: {allowed_modes: [OTel, no]}", {}),
    ("exporter/kafka", "", {}),
    ("exporter/kafka", "record_partitioner: {round_robin: {}}", {}),
    ("exporter/kafka", "record_partitioner: {}", {}),
    ("exporter/kafka", "record_partitioner: {sticky_key: {hasher: murmur2}}", {}),
    ("exporter/kafka", "include_metadata_keys: [a]", {}),
    ("exporter/kafka", "include_metadata_keys: [a]\nsending_queue: {enabled: false, batch: {}}", {}),
    ("exporter/kafka", "include_metadata_keys: [a]\nsending_queue: {batch: {partition: {metadata_keys: [a, b]}}}", {}),
    (
        "exporter/kafka",
        "include_metadata_keys: [a]\nsending_queue: {batch: {partition: {metadata_keys: ['${env:A}']}}}",
        {},
    ),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    ("exporter/prometheus", "", [("GS0260", 0, 0)], {}),
    ("exporter/prometheus", "endpoint: ' '", [("GS0260", 1, 11)], {}),
    ("exporter/prometheus_remote_write", "endpoint: ''", [("GS0263", 1, 11)], {}),
    ("exporter/prometheus_remote_write", "endpoint: a/b", [("GS0263", 1, 11)], {}),
    ("exporter/prometheus_remote_write", "http: {endpoint: ''}", [("GS0263", 1, 18)], {}),
    (
        "exporter/prometheus_remote_write",
        "http: {endpoint: ''}\nendpoint: ''",
        [("GS0263", 2, 11)],
        {"version": (0, 149, 0)},
    ),
    (
        "exporter/prometheus_remote_write",
        "external_labels: {a: '', b: null, '': c}",
        [("GS0260", 1, 19), ("GS0260", 1, 26), ("GS0260", 1, 35)],
        {},
    ),
    ("exporter/prometheus_remote_write", "compression: gzip", [("GS0267", 1, 14)], {}),
    ("exporter/prometheus_remote_write", "http: {compression: zstd}", [("GS0267", 1, 21)], {}),
    ("exporter/prometheus_remote_write", "remote_write_queue: {queue_size: 0}", [("GS0261", 1, 34)], {}),
    (
        "exporter/prometheus_remote_write",
        "remote_write_queue: {queue_size: -1, num_consumers: -1}",
        [("GS0261", 1, 34), ("GS0261", 1, 53)],
        {},
    ),
    (
        "exporter/prometheus_remote_write",
        "max_batch_request_parallelism: 0\nmax_batch_size_bytes: -1",
        [("GS0261", 1, 32), ("GS0261", 2, 23)],
        {},
    ),
    ("exporter/prometheus_remote_write", "protobuf_message:", [("GS0260", 1, 1)], {}),
    ("exporter/prometheus_remote_write", "protobuf_message: io.prometheus.write.v2.Request", [("GS0274", 1, 19)], {}),
    ("exporter/prometheus_remote_write", "include_metadata_keys: [X-Tenant, Content-Type]", [("GS0274", 1, 35)], {}),
    ("exporter/elasticsearch", "", [("GS0260", 0, 0)], {}),
    ("exporter/elasticsearch", "endpoint: http://a\nendpoints: [http://b]", [("GS0265", 2, 1)], {}),
    ("exporter/elasticsearch", "endpoint: a:9200", [("GS0263", 1, 11)], {}),
    ("exporter/elasticsearch", "endpoints: ['http://a b']", [("GS0263", 1, 13)], {}),
    ("exporter/elasticsearch", "cloudid: name", [("GS0267", 1, 10)], {}),
    ("exporter/elasticsearch", "cloudid: 'name:YWJj'", [("GS0267", 1, 10)], {}),
    ("exporter/elasticsearch", "endpoint: http://a\ncompression: zstd", [("GS0267", 2, 14)], {}),
    (
        "exporter/elasticsearch",
        "endpoint: http://a\nretry: {max_requests: 1, max_retries: -2}",
        [("GS0265", 2, 9), ("GS0261", 2, 39)],
        {},
    ),
    (
        "exporter/elasticsearch",
        "endpoint: http://a\nlogs_index: a\nlogs_dynamic_index: {enabled: true}",
        [("GS0265", 2, 1)],
        {},
    ),
    (
        "exporter/elasticsearch",
        "endpoint: http://a\nmapping: {allowed_modes: [flat]}\nmetadata_keys: [a, A]",
        [("GS0267", 2, 27), ("GS0268", 3, 20)],
        {},
    ),
    (
        "exporter/kafka",
        "partition_logs_by_resource_attributes: true\npartition_logs_by_trace_id: true",
        [("GS0265", 2, 1)],
        {},
    ),
    (
        "exporter/kafka",
        "traces: {message_key_from_metadata_key: a}\npartition_traces_by_id: true",
        [("GS0265", 2, 1)],
        {},
    ),
    ("exporter/kafka", "record_partitioner: {sticky_key: {}}", [("GS0260", 1, 22)], {}),
    ("exporter/kafka", "record_partitioner: {sticky_key: }", [("GS0260", 1, 1)], {}),
    ("exporter/kafka", "record_partitioner: {sticky_key: {hasher: md5}}", [("GS0267", 1, 43)], {}),
    ("exporter/kafka", "record_partitioner: {round_robin: {}, extension: a}", [("GS0265", 1, 39)], {}),
    ("exporter/kafka", "include_metadata_keys: [a]\nsending_queue: {batch: }", [("GS0266", 1, 25)], {}),
    (
        "exporter/kafka",
        "traces: {topic_from_metadata_key: a}\nsending_queue: {batch: {partition: {metadata_keys: [b]}}}",
        [("GS0266", 1, 35)],
        {},
    ),
]


@pytest.mark.parametrize(("component", "text", "options"), RIGHT)
def test_what_the_collector_takes_is_right(component: str, text: str, options: dict[str, Any]) -> None:
    assert diagnostics(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == ()


@pytest.mark.parametrize(("component", "text", "expected", "options"), WRONG)
def test_what_is_wrong_is_found_in_its_place(
    component: str, text: str, expected: list[tuple[str, int, int]], options: dict[str, Any]
) -> None:
    assert found(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == expected
