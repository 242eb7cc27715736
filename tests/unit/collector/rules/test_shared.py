"""Shared types: what the Collector's own `Validate` methods refuse, and what they take."""

import pytest

from gitsync.collector.rules.shared import TYPES
from tests.support.rules import diagnostics, found, settings_of

QUEUE = {"num_consumers": 10, "queue_size": 1000, "sizer": "requests"}
BATCH = {"flush_timeout": "200ms", "sizer": "items", "min_size": 8192}
RETRY = {"enabled": True, "initial_interval": "5s", "max_interval": "30s", "max_elapsed_time": "5m"}

RIGHT = [
    ("configtls.ClientConfig", ""),
    ("configtls.ClientConfig", "ca_file: /ca.pem\ncert_file: /c.pem\nkey_pem: secret"),
    ("configtls.ClientConfig", "min_version: '1.0'\nmax_version: '1.1'"),
    ("configtls.ClientConfig", "cert_file: ${env:CERT}"),
    ("configtls.ClientConfig", "cert_file: /c.pem\nkey_file: ${env:KEY}"),
    ("configtls.ClientConfig", "curve_preferences: [P256, X25519]"),
    ("configtls.ServerConfig", "cert_file: /c.pem\nkey_file: /k.pem\nclient_ca_file: /ca.pem"),
    ("configtls.ServerConfig", "cert_pem: ${env:CERT}"),
    ("configgrpc.ClientConfig", "endpoint: localhost:4317\nbalancer_name: pick_first"),
    ("configgrpc.ClientConfig", "endpoint: https://collector.example:443"),
    ("configgrpc.ClientConfig", "endpoint: '[::1]:4317'"),
    ("configgrpc.ClientConfig", "endpoint: dns:///collector.example:4317"),
    ("configgrpc.ClientConfig", "endpoint: unix:///run/otel.sock"),
    ("configgrpc.ClientConfig", "endpoint: ${env:HOST}:4317"),
    ("configgrpc.ClientConfig", "balancer_name: Round_Robin"),
    ("configgrpc.ServerConfig", "endpoint: 0.0.0.0:4317\nmax_recv_msg_size_mib: 16"),
    ("configgrpc.ServerConfig", "endpoint: /run/otel.sock\ntransport: unix"),
    ("confighttp.ClientConfig", "compression: gzip\ncompression_params: {level: 9}"),
    ("confighttp.ClientConfig", "compression: zstd\ncompression_params: {level: 22}"),
    ("confighttp.ClientConfig", "compression: none\ncompression_params: {level: 22}"),
    ("confighttp.ClientConfig", "proxy_url: http://proxy.example:3128"),
    ("confighttp.ServerConfig", "endpoint: localhost:4318"),
    ("confignet.AddrConfig", "transport: npipe\nendpoint: '\\\\.\\pipe\\otel'"),
    ("configretry.BackOffConfig", "max_elapsed_time: 0\ninitial_interval: 1h"),
    ("configretry.BackOffConfig", "max_elapsed_time: ${env:LIMIT}\ninitial_interval: 1h"),
    ("exporterhelper.queuebatch.Config", "storage: file_storage\nblock_on_overflow: true"),
    ("exporterhelper.queuebatch.Config", "sizer: bytes\nqueue_size: 100000\nbatch: {min_size: 1000}"),
    ("exporterhelper.queuebatch.Config", "sizer: requests\nbatch: {enabled: false}"),
    ("exporterhelper.queuebatch.Config", "sizer: requests\nbatch: {sizer: items}"),
    ("exporterhelper.queuebatch.Config", "sizer: requests\nbatch:"),
    ("exporterhelper.queuebatch.BatchConfig", "flush_timeout: 1s\nmin_size: 10\nmax_size: 10"),
    ("exporterhelper.queuebatch.BatchConfig", "max_size: 0"),
    ("exporterhelper.queuebatch.PartitionConfig", "metadata_keys: [tenant, region]"),
    ("scraperhelper.controller.ControllerConfig", "collection_interval: 10s\ninitial_delay: -1s\ntimeout: 0"),
    ("internal.TimeoutConfig", "timeout: 0"),
    ("internal.TimeoutConfig", "timeout: .inf"),
]

WRONG = [
    ("configtls.ClientConfig", "ca_file: /a\nca_pem: b", [("GS0265", 2, 1)]),
    (
        "configtls.ClientConfig",
        "cert_file: /a\ncert_pem: b\nkey_file: /k\nkey_pem: l",
        [("GS0265", 2, 1), ("GS0265", 4, 1)],
    ),
    ("configtls.ClientConfig", "cert_pem: a", [("GS0266", 1, 1)]),
    ("configtls.ClientConfig", "ca_file: /a\nkey_file: /k", [("GS0266", 2, 1)]),
    ("configtls.ClientConfig", "min_version: TLS1.2", [("GS0267", 1, 14)]),
    ("configtls.ClientConfig", "min_version: '1.3'\nmax_version: '1.2'", [("GS0261", 2, 14)]),
    ("configtls.ClientConfig", "max_version: '1.1'", [("GS0261", 1, 14)]),
    ("configtls.ClientConfig", "curve_preferences: [P256, P-384]", [("GS0280", 1, 27)]),
    ("configtls.ServerConfig", "ca_file: /ca.pem", [("GS0266", 0, 0)]),
    ("configtls.ServerConfig", "cert_file: /c.pem", [("GS0266", 1, 1)]),
    ("configgrpc.ClientConfig", "endpoint: localhost", [("GS0262", 1, 11)]),
    ("configgrpc.ClientConfig", "endpoint: http://localhost:4317/v1/traces", [("GS0262", 1, 11)]),
    ("configgrpc.ClientConfig", "endpoint: ::1:4317", [("GS0262", 1, 11)]),
    ("configgrpc.ClientConfig", "endpoint: 'localhost:'", [("GS0262", 1, 11)]),
    ("configgrpc.ClientConfig", "endpoint: dns:///collector.example", [("GS0262", 1, 11)]),
    ("configgrpc.ClientConfig", "endpoint: unix://", [("GS0262", 1, 11)]),
    ("configgrpc.ClientConfig", "balancer_name: round-robin", [("GS0267", 1, 16)]),
    ("configgrpc.ServerConfig", "max_recv_msg_size_mib: -1", [("GS0261", 1, 24)]),
    ("configgrpc.ServerConfig", "max_recv_msg_size_mib: 8796093022208", [("GS0261", 1, 24)]),
    ("configgrpc.ServerConfig", "read_buffer_size: -1\nwrite_buffer_size: -2", [("GS0261", 1, 19), ("GS0261", 2, 20)]),
    ("configgrpc.ServerConfig", "endpoint: 0.0.0.0", [("GS0280", 1, 11)]),
    ("configgrpc.ServerConfig", "endpoint: 0.0.0.0:70000", [("GS0280", 1, 11)]),
    ("confighttp.ClientConfig", "compression: gzip\ncompression_params: {level: 10}", [("GS0261", 2, 29)]),
    ("confighttp.ClientConfig", "compression: snappy\ncompression_params: {level: 1}", [("GS0261", 2, 29)]),
    ("confighttp.ClientConfig", "proxy_url: proxy.example:3128x/", []),
    ("confighttp.ClientConfig", "proxy_url: 'http://proxy:port'", [("GS0280", 1, 12)]),
    ("confighttp.ServerConfig", "transport: ''", [("GS0267", 1, 12)]),
    ("confignet.AddrConfig", "transport: npipe\nendpoint: /run/x.sock", [("GS0273", 2, 11)]),
    ("configretry.BackOffConfig", "initial_interval: -1s", [("GS0261", 1, 19)]),
    ("configretry.BackOffConfig", "randomization_factor: 1.5\nmultiplier: -1", [("GS0261", 1, 23), ("GS0261", 2, 13)]),
    ("configretry.BackOffConfig", "max_elapsed_time: 1s", [("GS0261", 1, 19)]),
    ("configretry.BackOffConfig", "max_interval: 10m", [("GS0261", 1, 15)]),
    ("exporterhelper.queuebatch.Config", "num_consumers: 0\nqueue_size: -1", [("GS0261", 1, 16), ("GS0261", 2, 13)]),
    ("exporterhelper.queuebatch.Config", "storage: file_storage\nwait_for_result: true", [("GS0274", 2, 18)]),
    ("exporterhelper.queuebatch.Config", "sizer: items\nbatch: {min_size: 1001}", [("GS0261", 2, 19)]),
    ("exporterhelper.queuebatch.Config", "sizer: requests\nbatch: {flush_timeout: 1s}", [("GS0267", 2, 1)]),
    ("exporterhelper.queuebatch.BatchConfig", "sizer: requests", [("GS0267", 1, 8)]),
    (
        "exporterhelper.queuebatch.BatchConfig",
        "flush_timeout: 0s\nmin_size: -1",
        [("GS0261", 1, 16), ("GS0261", 2, 11)],
    ),
    ("exporterhelper.queuebatch.BatchConfig", "max_size: 100", [("GS0261", 1, 11)]),
    ("exporterhelper.queuebatch.PartitionConfig", "metadata_keys: [tenant, Tenant]", [("GS0268", 1, 25)]),
    ("scraperhelper.controller.ControllerConfig", "collection_interval: 0s", [("GS0261", 1, 22)]),
    ("scraperhelper.controller.ControllerConfig", "timeout: -1s", [("GS0261", 1, 10)]),
    ("internal.TimeoutConfig", "timeout: -5s", [("GS0261", 1, 10)]),
]

DEFAULTS = {
    "exporterhelper.queuebatch.Config": QUEUE,
    "exporterhelper.queuebatch.BatchConfig": BATCH,
    "configretry.BackOffConfig": RETRY,
    "configgrpc.ServerConfig": {"transport": "tcp"},
    "confighttp.ServerConfig": {"transport": "tcp"},
}


@pytest.mark.parametrize(("kind", "yaml"), RIGHT)
def test_right_settings_of_shared_types_say_nothing(kind: str, yaml: str) -> None:
    assert found(TYPES, settings_of(kind, yaml, DEFAULTS.get(kind))) == []


@pytest.mark.parametrize(("kind", "yaml", "expected"), WRONG)
def test_wrong_settings_of_shared_types_are_found_in_their_place(
    kind: str, yaml: str, expected: list[tuple[str, int, int]]
) -> None:
    assert found(TYPES, settings_of(kind, yaml, DEFAULTS.get(kind))) == expected


@pytest.mark.parametrize("kind", ["configgrpc.ClientConfig", "confighttp.ClientConfig"])
def test_a_header_in_a_list_is_given_once(kind: str) -> None:
    once = "headers: [{name: a, value: b}, {name: b, value: c}, {name: '${env:H}', value: d}]"
    assert found(TYPES, settings_of(kind, once)) == []
    twice = "headers: [{name: a, value: b}, {name: a, value: c}]"
    assert found(TYPES, settings_of(kind, twice)) == [("GS0268", 1, 39)]
    assert found(TYPES, settings_of(kind, "headers: {a: b}")) == []


def test_null_stands_for_the_zero_of_go() -> None:
    assert found(TYPES, settings_of("scraperhelper.controller.ControllerConfig", "collection_interval:")) == [
        ("GS0261", 1, 1)
    ]
    nulled = settings_of("exporterhelper.queuebatch.Config", "sizer: items\nbatch:", {**QUEUE, "batch": BATCH})
    assert found(TYPES, nulled) == [("GS0261", 2, 1)]


def test_a_whole_component_without_a_transport_is_refused() -> None:
    assert found(TYPES, settings_of("confignet.AddrConfig", "endpoint: localhost:1")) == [("GS0267", 0, 0)]
    assert found(TYPES, settings_of("confignet.AddrConfig", "endpoint: localhost:1", {"transport": "tcp"})) == []


def test_retries_that_are_switched_off_are_not_judged_by_old_collectors() -> None:
    yaml = "enabled: false\nmultiplier: -1"
    assert found(TYPES, settings_of("configretry.BackOffConfig", yaml, RETRY, version=(0, 149, 0))) == []
    assert found(TYPES, settings_of("configretry.BackOffConfig", yaml, RETRY)) == [("GS0261", 2, 13)]


def test_old_collectors_know_few_schemes_of_grpc_endpoints() -> None:
    yaml = "endpoint: passthrough:///collector.example:4317"
    assert found(TYPES, settings_of("configgrpc.ClientConfig", yaml)) == []
    old = settings_of("configgrpc.ClientConfig", yaml, version=(0, 149, 0))
    assert found(TYPES, old) == [("GS0262", 1, 11)]


def test_an_endpoint_with_a_path_is_explained() -> None:
    (one,) = diagnostics(TYPES, settings_of("configgrpc.ClientConfig", "endpoint: http://otel:4317/v1"))
    assert one.message == '"http://otel:4317/v1" has no valid port'
    assert one.hint == "an endpoint of gRPC is host:port, without a path"


def test_a_minimum_by_default_is_named_when_the_maximum_is_below_it() -> None:
    (one,) = diagnostics(TYPES, settings_of("exporterhelper.queuebatch.BatchConfig", "max_size: 100", BATCH))
    assert one.hint == '"min_size" is 8192 by default'
