"""Receivers that are called or that ask: what their `Validate` and constructors refuse, and what they take."""

from typing import Any

import pytest

from gitsync.collector.rules import hostmetrics, kafka, receivers, scrapers
from tests.support.rules import found, settings_of

ALL = (
    *(pack.VALIDATE for pack in (hostmetrics, kafka, receivers, scrapers)),
    *(pack.CONSTRUCT for pack in (hostmetrics, receivers, scrapers)),
    kafka.TYPES,
    receivers.TYPES,
)
DEFAULTS: dict[str, dict[str, Any]] = {
    "receiver/host_metrics": {"collection_interval": "1m", "initial_delay": "1s"},
    "receiver/kubelet_stats": {"auth_type": "tls", "collection_interval": "10s"},
    "receiver/otlp": {"protocols": {"grpc": {"endpoint": "localhost:4317"}, "http": {"endpoint": "localhost:4318"}}},
    "receiver/statsd": {"aggregation_interval": "1m"},
    "configkafka.ConsumerConfig": {"min_fetch_size": 1, "max_fetch_size": 1048576, "initial_offset": "latest"},
    "configkafka.ProducerConfig": {"compression": "none", "max_message_bytes": 1000000},
}

RIGHT = [
    ("receiver/otlp", "protocols: {grpc: , http: }"),
    ("receiver/otlp", "protocols: {grpc: {enabled: false}, http: {traces_url_path: /x}}"),
    ("receiver/otlp", "protocols: {grpc: '${env:GRPC}'}"),
    ("receiver/otlp", "protocols: ${file:protocols.yml}"),
    ("receiver/host_metrics", "scrapers: {cpu: , memory: {}}"),
    ("receiver/host_metrics", "scrapers: {cpu: {metrics: {system.cpu.time: {aggregation_strategy: avg}}}}"),
    ("receiver/host_metrics", "scrapers: {network: {include: {interfaces: [lo], match_type: strict}}}"),
    ("receiver/host_metrics", "scrapers: {process: {exclude: {names: ['^x'], match_type: regexp}}}"),
    ("receiver/host_metrics", "scrapers: {disk: {exclude: {match_type: '${env:M}', devices: ['(']}}}"),
    ("receiver/host_metrics", "scrapers: ${file:scrapers.yml}"),
    ("receiver/jaeger", "protocols: {grpc: , thrift_compact: {endpoint: 'localhost:6831'}}"),
    ("receiver/statsd", "counter_type: int\ntimer_histogram_mapping: [{statsd_type: timer, observer_type: gauge}]"),
    (
        "receiver/statsd",
        (
            "timer_histogram_mapping: [{statsd_type: timing, observer_type: histogram, "
            "histogram: {max_size: 50, explicit_buckets: [{matcher_pattern: a, buckets: [1, 2.5, 1e3]}]}}]"
        ),
    ),
    (
        "receiver/statsd",
        "timer_histogram_mapping: [{statsd_type: timing, observer_type: summary, summary: {percentiles: [0, 99.9]}}]",
    ),
    ("receiver/webhook_event", "endpoint: localhost:8088\nread_timeout: 10s\nrequired_header: {key: a, value: b}"),
    ("receiver/k8s_cluster", "auth_type: serviceAccount\ndistribution: openshift"),
    ("receiver/k8s_events", "auth_type: ${env:AUTH}"),
    ("receiver/k8s_objects", "objects: [{name: pods, mode: pull, interval: 15m}, {name: events, mode: watch}]"),
    (
        "receiver/kubelet_stats",
        "auth_type: serviceAccount\nmetric_groups: [node, pod]\nextra_metadata_labels: [container.id]",
    ),
    (
        "receiver/kubelet_stats",
        "cert_file: /c\nkey_file: /k\nmetrics: {k8s.pod.cpu.node.utilization: {enabled: false}}",
    ),
    (
        "receiver/kubelet_stats",
        "auth_type: none\nnode: ${env:N}\nmetrics: {k8s.pod.cpu.node.utilization: {enabled: true}}",
    ),
    ("receiver/carbon", "parser: {type: regex}\ntcp_idle_timeout: 0"),
    ("receiver/carbon", "parser: {type: regex, config: {rules: [{regexp: a}], name_separator: _}}"),
    ("receiver/carbon", "parser: {type: '${env:TYPE}', config: '${env:CONFIG}'}"),
    ("receiver/carbon", "parser: {config: }"),
    ("receiver/systemd", "scope: user\nunits: [ssh.service]"),
    ("receiver/kafka", "logs: {topics: [^logs-.*], exclude_topics: [^logs-test]}"),
    ("receiver/kafka", "logs: {topics: ['${env:TOPIC}'], exclude_topics: [a]}"),
    ("configkafka.ClientConfig", "brokers: [localhost:9092]\nprotocol_version: 2.1.0\nconn_idle_timeout: 9m"),
    ("configkafka.ConsumerConfig", "initial_offset: earliest\ngroup_rebalance_strategy: cooperative-sticky"),
    ("configkafka.ConsumerConfig", "group_rebalance_strategies: [range, my_extension/a]"),
    ("configkafka.ProducerConfig", "compression: gzip\ncompression_params: {level: 9}\nrequired_acks: all"),
    ("configkafka.SASLConfig", "mechanism: PLAIN\nusername: u\npassword: ${env:P}\nversion: 1"),
    ("configkafka.SASLConfig", "mechanism: OAUTHBEARER\noauthbearer_token_source: oauth2client"),
    ("k8sconfig.APIConfig", "auth_type: kubeConfig\nkube_api_qps: 5"),
    ("receiver/http_check", "targets: [{endpoint: 'http://a'}, {endpoints: ['https://b:1/c', '${env:URL}']}]"),
    ("receiver/apache", "endpoint: http://localhost:8080/server-status?auto"),
    ("receiver/postgresql", "endpoint: localhost:5432\nusername: u\npassword: ${env:P}\ntransport: unix"),
    ("receiver/redis", "endpoint: localhost:6379\nmetrics: {redis.uptime: {enabled: false}}"),
    ("receiver/docker_stats", "api_version: '1.44'"),
    (
        "receiver/sqlquery",
        (
            "driver: postgres\ndatasource: ${env:DSN}\nqueries: [{sql: x, metrics: [{metric_name: a, value_column: b, "
            "data_type: sum, aggregation: delta}]}, {sql: y, logs: [{body_column: c}]}]"
        ),
    ),
    ("receiver/sqlquery", "driver: sqlserver\nhost: h\ndatabase: d\nqueries: [{sql: y, logs: [{body_column: c}]}]"),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]]]] = [
    ("receiver/otlp", "", [("GS0266", 0, 0)]),
    ("receiver/otlp", "protocols: {}", [("GS0266", 1, 1)]),
    ("receiver/otlp", "protocols: {grpc: {enabled: false}}", [("GS0266", 1, 1)]),
    ("receiver/otlp", "protocols: {http: {logs_url_path: '%zz'}}", [("GS0263", 1, 35)]),
    ("receiver/host_metrics", "", [("GS0271", 0, 0)]),
    ("receiver/host_metrics", "scrapers: {}", [("GS0271", 1, 1)]),
    ("receiver/host_metrics", "scrapers: {cpus: }\ncollection_interval: 0s", [("GS0272", 1, 12), ("GS0261", 2, 22)]),
    (
        "receiver/host_metrics",
        "scrapers: {cpu: {metrics: {system.cpu.time: {aggregation_strategy: mean}}}}",
        [("GS0267", 1, 68)],
    ),
    ("receiver/host_metrics", "scrapers: {disk: {include: {devices: [a]}}}", [("GS0260", 1, 19)]),
    (
        "receiver/host_metrics",
        "scrapers: {filesystem: {exclude_fs_types: {fs_types: ['('], match_type: regexp}}}",
        [("GS0264", 1, 55)],
    ),
    (
        "receiver/host_metrics",
        (
            "scrapers: {network: {include: {interfaces: [a], match_type: regexp, "
            "regexp: {cacheenabled: true, cachemaxnumentries: -1}}}}"
        ),
        [("GS0274", 1, 118)],
    ),
    ("receiver/jaeger", "protocols:", [("GS0266", 1, 1)]),
    (
        "receiver/jaeger",
        "protocols: {grpc: {endpoint: a}, thrift_http: {endpoint: 'a:0'}}",
        [("GS0262", 1, 30), ("GS0262", 1, 58)],
    ),
    ("receiver/jaeger", "protocols: {grpc: }\nremote_sampling: {}", [("GS0274", 2, 1)]),
    ("receiver/statsd", "aggregation_interval: 0s\ncounter_type: long", [("GS0261", 1, 23), ("GS0267", 2, 15)]),
    ("receiver/statsd", "timer_histogram_mapping: [{statsd_type: set}]", [("GS0260", 1, 27), ("GS0267", 1, 41)]),
    (
        "receiver/statsd",
        "timer_histogram_mapping: [{statsd_type: timer, observer_type: gauge, histogram: {max_size: 5}}]",
        [("GS0266", 1, 70)],
    ),
    (
        "receiver/statsd",
        "timer_histogram_mapping: [{statsd_type: timer, observer_type: histogram, summary: {percentiles: [101]}}]",
        [("GS0266", 1, 74), ("GS0261", 1, 98)],
    ),
    (
        "receiver/statsd",
        (
            "timer_histogram_mapping: [{statsd_type: timer, observer_type: histogram, histogram: {max_size: 1, "
            "explicit_buckets: [{buckets: [2, 1]}, {matcher_pattern: '(', buckets: []}]}}]"
        ),
        [("GS0261", 1, 96), ("GS0260", 1, 118), ("GS0261", 1, 128), ("GS0264", 1, 155), ("GS0271", 1, 169)],
    ),
    ("receiver/webhook_event", "", [("GS0260", 0, 0)]),
    (
        "receiver/webhook_event",
        "endpoint: a:1\nread_timeout: 11s\nwrite_timeout: soon\nrequired_header: {key: a}\nheader_attribute_regex: '('",
        [("GS0261", 2, 15), ("GS0235", 3, 16), ("GS0266", 4, 1), ("GS0264", 5, 25)],
    ),
    (
        "receiver/webhook_event",
        "endpoint: a:1\nsplit_logs_at_newline: true\nsplit_logs_at_json_boundary: true",
        [("GS0265", 3, 30)],
    ),
    ("receiver/k8s_cluster", "auth_type: token\ndistribution: k3s", [("GS0267", 1, 12), ("GS0267", 2, 15)]),
    ("receiver/k8s_events", "kube_api_qps: -1", [("GS0261", 1, 15)]),
    (
        "receiver/k8s_objects",
        (
            "error_mode: loud\ninterval: -1s\nobjects: [{mode: poll}, {mode: pull, exclude_watch_type: [ADDED]}, "
            "{mode: watch, initial_delay: 1s}, {namespaces: [a], exclude_namespaces: [{regex: b}], interval: -1s}]"
        ),
        [
            ("GS0267", 1, 13),
            ("GS0261", 2, 11),
            ("GS0267", 3, 18),
            ("GS0266", 3, 38),
            ("GS0266", 3, 97),
            ("GS0265", 3, 120),
            ("GS0261", 3, 164),
        ],
    ),
    ("receiver/kubelet_stats", "", [("GS0260", 0, 0)]),
    (
        "receiver/kubelet_stats",
        "auth_type: none\nmetric_groups: [pods]\nextra_metadata_labels: [a, container.id, container.id]",
        [("GS0267", 2, 17), ("GS0267", 3, 25), ("GS0268", 3, 42)],
    ),
    (
        "receiver/kubelet_stats",
        "auth_type: none\nmetrics: {k8s.container.cpu.node.utilization: {enabled: true}}",
        [("GS0266", 2, 11)],
    ),
    ("receiver/carbon", "tcp_idle_timeout: -1s\nparser: {type: csv}", [("GS0261", 1, 19), ("GS0267", 2, 16)]),
    ("receiver/systemd", "scope: session\nunits: []", [("GS0267", 1, 8), ("GS0271", 2, 8)]),
    ("receiver/kafka", "logs: {topics: [a], exclude_topics: [b]}", [("GS0266", 1, 21)]),
    ("receiver/kafka", "traces: {topics: [^a], exclude_topics: ['(', '']}", [("GS0264", 1, 41), ("GS0260", 1, 46)]),
    (
        "configkafka.ClientConfig",
        "brokers: []\nprotocol_version: two\nconn_idle_timeout: 0s",
        [("GS0271", 1, 10), ("GS0267", 2, 19), ("GS0261", 3, 20)],
    ),
    (
        "configkafka.ConsumerConfig",
        "initial_offset: first\ngroup_rebalance_strategy: 1a\nmin_fetch_size: 2000000",
        [("GS0267", 1, 17), ("GS0267", 2, 27), ("GS0261", 3, 17)],
    ),
    (
        "configkafka.ConsumerConfig",
        "group_rebalance_strategy: range\ngroup_rebalance_strategies: [range]\nmax_fetch_size: -1",
        [("GS0265", 1, 1), ("GS0261", 3, 17), ("GS0261", 3, 17)],
    ),
    (
        "configkafka.ProducerConfig",
        "compression: snappy\ncompression_params: {level: 1}\nmax_message_bytes: 3000000000\nrequired_acks: 2",
        [("GS0261", 2, 29), ("GS0261", 3, 20), ("GS0261", 4, 16)],
    ),
    (
        "configkafka.ProducerConfig",
        "compression: brotli\nflush_max_messages: 0\nmax_broker_write_bytes: 10",
        [("GS0267", 1, 14), ("GS0261", 2, 21), ("GS0261", 3, 25)],
    ),
    ("configkafka.SASLConfig", "", [("GS0260", 0, 0)]),
    ("configkafka.SASLConfig", "mechanism: plain", [("GS0267", 1, 12)]),
    ("configkafka.SASLConfig", "mechanism: PLAIN\nversion: 2", [("GS0260", 0, 0), ("GS0260", 0, 0), ("GS0261", 2, 10)]),
    ("configkafka.SASLConfig", "mechanism: OAUTHBEARER", [("GS0260", 0, 0)]),
    ("receiver/http_check", "", [("GS0271", 0, 0)]),
    ("receiver/http_check", "targets: [{method: GET}, {endpoints: [a]}]", [("GS0266", 1, 11), ("GS0263", 1, 39)]),
    ("receiver/apache", "endpoint: http://a/status", [("GS0263", 1, 11)]),
    ("receiver/apache", "endpoint: 'http://?auto'", [("GS0263", 1, 11)]),
    ("receiver/apache", "endpoint: ':a'", [("GS0263", 1, 11)]),
    (
        "receiver/postgresql",
        "endpoint: localhost\ntransport: udp\ntls: {min_version: '1.2'}",
        [("GS0260", 0, 0), ("GS0260", 0, 0), ("GS0262", 1, 11), ("GS0267", 2, 12), ("GS0274", 3, 7)],
    ),
    ("receiver/redis", "", [("GS0260", 0, 0)]),
    ("receiver/redis", "endpoint: localhost\ncollection_interval: -1s", [("GS0262", 1, 11), ("GS0261", 2, 22)]),
    ("receiver/docker_stats", "api_version: v1.44", [("GS0267", 1, 14)]),
    ("receiver/docker_stats", "api_version: '1.20'\nendpoint:", [("GS0261", 1, 14), ("GS0260", 2, 1)]),
    ("receiver/carbon", "endpoint:", [("GS0260", 1, 1)]),
    ("receiver/carbon", "parser: {config: {rules: []}}", [("GS0231", 1, 19)]),
    ("receiver/carbon", "parser: {type: , config: {rules: []}}", [("GS0231", 1, 27)]),
    ("receiver/carbon", "parser: {type: regex, config: [a]}", [("GS0233", 1, 31)]),
    ("receiver/carbon", "parser: {type: regex, config: {rules: [a, ~]}}", [("GS0233", 1, 40), ("GS0233", 1, 43)]),
    ("receiver/haproxy", "", [("GS0260", 0, 0)]),
    ("receiver/mongodb", "hosts: []\nusername: u", [("GS0271", 1, 8), ("GS0266", 2, 1)]),
    ("receiver/mongodb", "hosts: [{transport: tcp}]\npassword: p", [("GS0260", 1, 9), ("GS0266", 2, 1)]),
    ("receiver/rabbitmq", "endpoint: ':a'", [("GS0260", 0, 0), ("GS0260", 0, 0), ("GS0263", 1, 11)]),
    ("receiver/sqlquery", "", [("GS0260", 0, 0)] * 4 + [("GS0271", 0, 0)]),
    (
        "receiver/sqlquery",
        (
            "driver: sqlite\ndatasource: a\nhost: b\nqueries: [{metrics: [{value_type: text, data_type: gauge, "
            "aggregation: delta, row_condition: {}}]}, {sql: a, logs: [{}]}, {sql: b}]"
        ),
        [
            ("GS0267", 1, 9),
            ("GS0265", 3, 1),
            ("GS0260", 4, 11),
            ("GS0260", 4, 22),
            ("GS0260", 4, 22),
            ("GS0267", 4, 35),
            ("GS0265", 4, 59),
            ("GS0260", 4, 79),
            ("GS0260", 4, 117),
            ("GS0266", 4, 123),
        ],
    ),
]


@pytest.mark.parametrize(("component", "yaml"), RIGHT)
def test_right_receivers_say_nothing(component: str, yaml: str) -> None:
    assert found(ALL, settings_of(component, yaml, DEFAULTS.get(component), signals=["metrics"])) == []


@pytest.mark.parametrize(("component", "yaml", "expected"), WRONG)
def test_wrong_receivers_are_found_in_their_place(
    component: str, yaml: str, expected: list[tuple[str, int, int]]
) -> None:
    assert found(ALL, settings_of(component, yaml, DEFAULTS.get(component), signals=["metrics"])) == expected


def test_filters_of_host_metrics_are_not_made_for_logs() -> None:
    yaml = "scrapers: {disk: {include: {devices: [a]}}}"
    assert found(ALL, settings_of("receiver/host_metrics", yaml, signals=["logs"])) == []
    assert found(ALL, settings_of("receiver/host_metrics", yaml, signals=["logs", "metrics"])) == [("GS0260", 1, 19)]
