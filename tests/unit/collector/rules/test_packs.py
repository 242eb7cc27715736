"""All packs together: names of older releases, variants of types, and files that nobody means well with."""

import pytest

from gitsync.collector.rules.packs import CONSTRUCT, TYPES, VALIDATE
from tests.support.rules import found, settings_of

ALL = (VALIDATE, CONSTRUCT, TYPES)

HOSTILE = [
    "~",
    "a",
    "''",
    "${env:X}",
    "{}",
    "[]",
    "[[]]",
    "[~, 1, a, {}]",
    "{a: {b: {c: [d]}}}",
    "1",
    "-1",
    "1e999",
    ".nan",
    ".inf",
    "99999999999999999999",
    "true",
    "'\\ud83d'",
    "'" + "(" * 300 + "'",
    "[{type: [], id: {}, output: {a: b}, routes: 5, expr: [], mapping: [1]}]",
    "[{type: router, routes: [1, {expr: {}, output: [~, {}]}], default: {}}]",
    "{endpoint: {}, timeout: [], collection_interval: {}, scrapers: [cpu], metrics: {a: 1, b: []}}",
]
KEYS = sorted(
    {
        "action",
        "auth_type",
        "batch",
        "brokers",
        "collection_interval",
        "config",
        "directory_permissions",
        "driver",
        "encoding",
        "endpoint",
        "header",
        "headers",
        "include",
        "listen_address",
        "logs",
        "max_log_size",
        "multiline",
        "objects",
        "operators",
        "ordering_criteria",
        "protocols",
        "queries",
        "scrapers",
        "server",
        "targets",
        "tcp",
        "timer_histogram_mapping",
        "transport",
    }
)


def test_components_of_older_releases_keep_their_rules() -> None:
    assert VALIDATE["receiver/hostmetrics"] == VALIDATE["receiver/host_metrics"]
    assert CONSTRUCT["receiver/filelog"] == CONSTRUCT["receiver/file_log"]


def test_variants_of_a_shared_type_have_the_same_rules() -> None:
    assert TYPES["configgrpc.ServerConfig2"] == TYPES["configgrpc.ServerConfig"]


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_of_any_kind_stops_a_rule(value: str) -> None:
    yaml = "\n".join(f"{key}: {value}" for key in KEYS)
    names = {*VALIDATE, *CONSTRUCT, *TYPES}
    for name in sorted(names):
        for one in found(ALL, settings_of(name, yaml, signals=["metrics", "logs", "traces"])):
            assert one[0].startswith("GS")


def test_a_thousand_operators_in_a_circle_are_judged_at_once() -> None:
    operators = ", ".join(f"{{type: noop, id: n{i}, output: n{(i + 1) % 1000}}}" for i in range(1000))
    yaml = f"include: [a]\noperators: [{operators}]"
    assert [code for code, _, _ in found(ALL, settings_of("receiver/file_log", yaml))] == ["GS0274"]
