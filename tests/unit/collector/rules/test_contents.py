"""The redaction, log_dedup, schema and geoip processors."""

from typing import Any

import pytest

from gitsync.collector.rules.contents import CONSTRUCT, VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (
    VALIDATE,
    CONSTRUCT,
)
DEFAULTS: dict[str, dict[str, Any]] = {
    "processor/log_dedup": {"interval": "10s", "log_count_attribute": "log_count", "timezone": "UTC"},
    "processor/schema": {"cache_cooldown": "5m0s", "cache_retry_limit": 5},
}
SIGNALS: dict[str, list[str]] = {}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("processor/redaction", "", {}),
    ("processor/redaction", "blocked_values: ['4[0-9]{12}']", {}),
    ("processor/redaction", "hash_function: sha3", {}),
    ("processor/redaction", "hash_function: hmac-sha256\nhmac_key: 0123456789abcdef0123456789abcdef", {}),
    ("processor/redaction", "hash_function: hmac-sha512\nhmac_key: ${env:KEY}", {}),
    ("processor/log_dedup", "", {}),
    (
        "processor/log_dedup",
        "interval: 1m\ntimezone: Europe/Berlin\nexclude_fields: [body.timestamp, attributes.id]",
        {},
    ),
    ("processor/log_dedup", "timezone: ${env:TZ}", {}),
    ("processor/log_dedup", "timezone: ''", {}),
    (
        "processor/schema",
        (
            "targets: ['https://opentelemetry.io/schemas/1.26.0', "
            "'https://example.com/schemas/1.2.3']\n"
            "prefetch: ['https://opentelemetry.io/schemas/1.9.0']"
        ),
        {},
    ),
    ("processor/schema", "targets: ['${env:SCHEMA}']", {}),
    (
        "processor/schema",
        "targets: ['https://a/b/1.2.3']\nmigration: [{target: 'https://a/b/1.2.3', from: 'https://a/b/1.2.0'}]",
        {},
    ),
    ("processor/geoip", "providers: {maxmind: {database_path: /geo.mmdb}}", {}),
    ("processor/geoip", "providers: ${file:providers.yaml}", {}),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    ("processor/redaction", "hash_function: HMAC-SHA256", [("GS0260", 0, 0)], {}),
    (
        "processor/redaction",
        "hash_function: hmac-sha512\nhmac_key: 0123456789abcdef0123456789abcdef",
        [("GS0261", 2, 11)],
        {},
    ),
    (
        "processor/redaction",
        "blocked_values: ['(']\nallowed_values: ['[']\nblocked_key_patterns: ['*']\nignored_key_patterns: ['a(?!b)']",
        [("GS0264", 1, 18), ("GS0264", 2, 18), ("GS0264", 3, 24), ("GS0264", 4, 24)],
        {},
    ),
    ("processor/log_dedup", "interval: 0", [("GS0261", 1, 11)], {}),
    ("processor/log_dedup", "log_count_attribute: ''", [("GS0260", 1, 22)], {}),
    ("processor/log_dedup", "timezone: Mars/Phobos", [("GS0267", 1, 11)], {}),
    ("processor/log_dedup", "exclude_fields: [body.a]\ninclude_fields: [body.b]", [("GS0265", 2, 1)], {}),
    ("processor/log_dedup", "exclude_fields: [body, resource.a]", [("GS0274", 1, 18), ("GS0267", 1, 24)], {}),
    ("processor/log_dedup", "include_fields: [attributes.a, attributes.a]", [("GS0268", 1, 32)], {}),
    ("processor/schema", "", [("GS0271", 0, 0)], {}),
    ("processor/schema", "targets: []", [("GS0271", 1, 10)], {}),
    (
        "processor/schema",
        "targets: [1.2.3, 'ftp://a/b/1.2.3', 'https:///b/1.2.3', 'https://a/b/1.2', 'https://a b/1.2.3']",
        [("GS0263", 1, 11), ("GS0263", 1, 18), ("GS0263", 1, 37), ("GS0263", 1, 57), ("GS0263", 1, 76)],
        {},
    ),
    ("processor/schema", "targets: ['https://a/b/1.2.3', 'https://a/b/1.2.4']", [("GS0268", 1, 32)], {}),
    ("processor/schema", "targets: ['https://a/b/1.2.3']\nprefetch: [x]", [("GS0263", 2, 12)], {}),
    (
        "processor/schema",
        "targets: ['https://a/b/1.2.3']\ncache_cooldown: -1s\ncache_retry_limit: -1",
        [("GS0261", 2, 17), ("GS0261", 3, 20)],
        {},
    ),
    (
        "processor/schema",
        (
            "targets: ['https://a/b/1.2.3']\nmigration: [{target: 'https://a/b/1.2.3', "
            "from: 'https://a/c/1.2.0'}, {target: 'https://a/b/1.2.3', from: 'https://a/b/1.2.0'}]"
        ),
        [("GS0274", 2, 49), ("GS0268", 2, 80)],
        {},
    ),
    (
        "processor/schema",
        (
            "targets: ['https://a/b/1.2.3']\nmigration: [{target: 'https://a/b/1.2.2', "
            "from: 'https://a/b/1.2.0'}, {target: 'https://a/b/1.2.3'}]"
        ),
        [("GS0274", 2, 22), ("GS0260", 2, 71)],
        {},
    ),
    ("processor/geoip", "", [("GS0260", 0, 0)], {}),
    ("processor/geoip", "providers: {maxmind: {}}", [("GS0260", 1, 13)], {}),
    ("processor/geoip", "providers: {maxmnd: {database_path: /geo.mmdb}}", [("GS0272", 1, 13)], {}),
    ("processor/geoip", "providers: {maxmind: {database_path: /geo.mmdb}}\nattributes: []", [("GS0271", 2, 13)], {}),
]


@pytest.mark.parametrize(("component", "text", "options"), RIGHT)
def test_what_the_collector_takes_is_right(component: str, text: str, options: dict[str, Any]) -> None:
    assert diagnostics(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == ()


@pytest.mark.parametrize(("component", "text", "expected", "options"), WRONG)
def test_what_is_wrong_is_found_in_its_place(
    component: str, text: str, expected: list[tuple[str, int, int]], options: dict[str, Any]
) -> None:
    assert found(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == expected
