"""Extensions: what their `Validate` refuses, and what it takes."""

from typing import Any

import pytest

from gitsync.collector.rules.extensions import VALIDATE
from tests.support.rules import found, settings_of

DEFAULTS: dict[str, dict[str, Any]] = {
    "file_storage": {
        "directory_permissions": "0750",
        "compaction": {
            "check_interval": "5s",
            "max_transaction_size": 65536,
            "rebound_needed_threshold_mib": 100,
            "rebound_trigger_threshold_mib": 10,
        },
    },
    "health_check": {"endpoint": "localhost:13133", "path": "/"},
    "k8s_observer": {"observe_pods": True},
}

RIGHT = [
    ("basicauth", "htpasswd: {inline: x}"),
    ("basicauth", "client_auth: {username: u, password: p}"),
    ("bearertokenauth", "token: ${env:TOKEN}"),
    ("bearertokenauth", "tokens: [a, b]"),
    ("bearertokenauth", "filename: /t"),
    ("oauth2client", "client_id: a\nclient_secret_file: /s\ntoken_url: https://t"),
    (
        "oauth2client",
        (
            "client_id_file: a\nclient_certificate_key: k\ngrant_type: urn:ietf:params:oauth:grant-type:jwt-bearer\n"
            "token_url: https://t"
        ),
    ),
    ("oauth2client", "client_id: a\ngrant_type: ${env:G}\ntoken_url: https://t"),
    ("oidc", ""),
    ("oidc", "issuer_url: https://a\naudience: b"),
    ("oidc", "providers: [{issuer_url: a, audience: b}, {issuer_url: c, ignore_audience: true}]"),
    ("headers_setter", "headers: [{key: a, value: b}, {action: delete, key: c}, {key: d, from_context: e}]"),
    ("health_check", "endpoint: 0.0.0.0:13133\npath: /health"),
    ("health_check", "http:"),
    ("zpages", "endpoint: localhost:1"),
    ("file_storage", "directory: /a\ncompaction: {on_rebound: true}\nmax_size: 104857600"),
    ("file_storage", "create_directory: true\ndirectory_permissions: '0700'"),
    ("file_storage", "directory_permissions: nonsense"),
    ("opamp", "server: {ws: {endpoint: 'wss://a'}}\ninstance_uid: 018fee23-4a51-7303-a441-73faed7d9deb"),
    (
        "opamp",
        "server: {http: {endpoint: 'https://a', polling_interval: 5s}}\ninstance_uid: 01BX5ZZKBKACTAV9WEVGEMMVRZ",
    ),
    ("opamp", "server: {ws: {endpoint: '${env:SERVER}'}}"),
    ("sigv4auth", "assume_role: {arn: a, web_identity_token_file: /t}"),
    ("k8s_observer", "observe_nodes: true"),
    ("k8s_observer", "observe_pods: ${env:PODS}"),
    ("otlp_encoding", "protocol: otlp_json"),
    ("jaegerremotesampling", "source: {file: /a.json}"),
    ("k8s_leader_elector", "lease_name: a\nlease_namespace: b"),
    ("http_forwarder", "egress: {endpoint: 'http://a'}"),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]]]] = [
    ("basicauth", "", [("GS0266", 0, 0)]),
    ("basicauth", "client_auth: {}\nhtpasswd: {}", [("GS0265", 1, 1)]),
    ("bearertokenauth", "", [("GS0266", 0, 0)]),
    ("bearertokenauth", "token: a\ntokens: [b]", [("GS0265", 2, 1)]),
    ("oauth2client", "", [("GS0260", 0, 0), ("GS0266", 0, 0), ("GS0266", 0, 0)]),
    (
        "oauth2client",
        "client_id: a\ngrant_type: urn:ietf:params:oauth:grant-type:jwt-bearer\ntoken_url: https://t",
        [("GS0266", 0, 0)],
    ),
    ("oidc", "issuer_url: https://a", [("GS0260", 0, 0)]),
    ("oidc", "providers: [{audience: a}]", [("GS0260", 1, 13)]),
    (
        "oidc",
        "providers: [{issuer_url: a, audience: b, ignore_issuer: true}, {issuer_url: a, audience: c}]",
        [("GS0265", 1, 57), ("GS0268", 1, 77)],
    ),
    ("headers_setter", "headers: []", [("GS0271", 1, 10)]),
    (
        "headers_setter",
        "headers: [{value: a}, {key: b}, {key: c, value: d, from_context: e}]",
        [("GS0260", 1, 11), ("GS0266", 1, 23), ("GS0265", 1, 42)],
    ),
    ("health_check", "path: health\nendpoint: ''", [("GS0273", 1, 7), ("GS0260", 2, 11)]),
    ("health_check", "grpc: {}", [("GS0274", 1, 1)]),
    ("zpages", "endpoint: ''", [("GS0260", 1, 11)]),
    ("file_storage", "max_size: -1\ncompaction: {max_transaction_size: -1}", [("GS0261", 1, 11), ("GS0261", 2, 36)]),
    (
        "file_storage",
        "max_size: 20971520\ncompaction: {on_rebound: true, check_interval: 0s}",
        [("GS0261", 2, 1), ("GS0261", 2, 48)],
    ),
    ("file_storage", "create_directory: true\ndirectory_permissions: '888'", [("GS0267", 2, 24)]),
    ("file_storage", "create_directory: true\ndirectory_permissions: '7777'", [("GS0261", 2, 24)]),
    ("opamp", "", [("GS0266", 0, 0)]),
    ("opamp", "server: {ws: {endpoint: a}, http: {endpoint: b}}", [("GS0265", 1, 29)]),
    ("opamp", "server: {http: {polling_interval: -1s}}", [("GS0260", 1, 10), ("GS0261", 1, 35)]),
    (
        "opamp",
        "server: {ws: {endpoint: a}}\ninstance_uid: x\ncapabilities: {accepts_restart_command: true}",
        [("GS0267", 2, 15), ("GS0274", 3, 41)],
    ),
    ("sigv4auth", "assume_role: {web_identity_token_file: /t}", [("GS0266", 1, 15)]),
    ("k8s_observer", "observe_pods: false", [("GS0266", 1, 15)]),
    ("otlp_encoding", "protocol: xml", [("GS0267", 1, 11)]),
    ("jaegerremotesampling", "source: {file: a, remote: {endpoint: b}}", [("GS0265", 1, 19)]),
    ("jaegerremotesampling", "http: {}", [("GS0266", 0, 0)]),
    ("k8s_leader_elector", "lease_name: a", [("GS0260", 0, 0)]),
    ("http_forwarder", "", [("GS0280", 0, 0)]),
]


@pytest.mark.parametrize(("kind", "yaml"), RIGHT)
def test_right_extensions_say_nothing(kind: str, yaml: str) -> None:
    assert found(VALIDATE, settings_of(f"extension/{kind}", yaml, DEFAULTS.get(kind))) == []


@pytest.mark.parametrize(("kind", "yaml", "expected"), WRONG)
def test_wrong_extensions_are_found_in_their_place(kind: str, yaml: str, expected: list[tuple[str, int, int]]) -> None:
    assert found(VALIDATE, settings_of(f"extension/{kind}", yaml, DEFAULTS.get(kind))) == expected
