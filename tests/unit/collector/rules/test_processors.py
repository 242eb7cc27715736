"""The batch, memory_limiter and groupbytrace processors."""

from typing import Any

import pytest

from gitsync.collector.rules.processors import CONSTRUCT, VALIDATE
from tests.support.rules import diagnostics, found, judged

RULES = (
    VALIDATE,
    CONSTRUCT,
)
DEFAULTS: dict[str, dict[str, Any]] = {
    "processor/batch": {"send_batch_size": 8192, "timeout": "200ms"},
    "processor/memory_limiter": {
        "min_gc_interval_when_soft_limited": "10s",
        "max_gc_interval_when_soft_limited": "30s",
        "max_gc_interval_when_hard_limited": "30s",
    },
}
SIGNALS: dict[str, list[str]] = {}

RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("processor/batch", "", {}),
    ("processor/batch", "send_batch_size: 0\nsend_batch_max_size: 5", {}),
    ("processor/batch", "send_batch_max_size: 0", {}),
    ("processor/batch", "send_batch_max_size: ${env:MOST}", {}),
    ("processor/batch", "metadata_keys: [tenant, region]", {}),
    ("processor/batch", "timeout: 0", {}),
    ("processor/memory_limiter", "check_interval: 1s\nlimit_mib: 100", {}),
    ("processor/memory_limiter", "check_interval: 1s\nlimit_percentage: 80\nspike_limit_percentage: 20", {}),
    ("processor/memory_limiter", "check_interval: ${env:EVERY}\nlimit_mib: ${env:MIB}", {}),
    ("processor/memory_limiter", "check_interval: 1s\nlimit_mib: 100\nspike_limit_mib: 99.9", {}),
    ("processor/memory_limiter", "check_interval: 1s\nlimit_mib: 1\nmax_gc_interval_when_soft_limited: 0", {}),
    ("processor/memory_limiter", "check_interval: 1s\nlimit_mib: 1\nmax_gc_interval_when_hard_limited: 0", {}),
    (
        "processor/memory_limiter",
        "check_interval: 1s\nlimit_mib: 1\nmin_gc_interval_when_soft_limited: 40s",
        {"version": (0, 149, 0)},
    ),
    ("processor/groupbytrace", "num_traces: 5\nstore_on_disk: false", {}),
]

WRONG: list[tuple[str, str, list[tuple[str, int, int]], dict[str, Any]]] = [
    ("processor/batch", "send_batch_size: 10\nsend_batch_max_size: 5", [("GS0261", 2, 22)], {}),
    ("processor/batch", "send_batch_max_size: 100", [("GS0261", 1, 22)], {}),
    ("processor/batch", "send_batch_size: 9000\nsend_batch_max_size: 8999.9", [("GS0261", 2, 22)], {}),
    ("processor/batch", "metadata_keys: [Tenant, tenant]", [("GS0268", 1, 25)], {}),
    ("processor/batch", "timeout: -1s", [("GS0261", 1, 10)], {}),
    ("processor/memory_limiter", "", [("GS0260", 0, 0), ("GS0260", 0, 0)], {}),
    ("processor/memory_limiter", "check_interval: 0\nlimit_mib: 0", [("GS0261", 1, 17), ("GS0261", 2, 12)], {}),
    ("processor/memory_limiter", "check_interval: 1s\nlimit_mib: 100\nspike_limit_mib: 100", [("GS0261", 3, 18)], {}),
    (
        "processor/memory_limiter",
        "check_interval: 1s\nlimit_percentage: 50\nspike_limit_percentage: 50",
        [("GS0261", 3, 25)],
        {},
    ),
    ("processor/memory_limiter", "check_interval: 1s\nlimit_percentage: 150", [("GS0261", 2, 19)], {}),
    (
        "processor/memory_limiter",
        (
            "check_interval: 1s\nlimit_mib: 1\nmin_gc_interval_when_soft_limited: 1s\n"
            "min_gc_interval_when_hard_limited: 2s"
        ),
        [("GS0261", 3, 36)],
        {},
    ),
    (
        "processor/memory_limiter",
        "check_interval: 1s\nlimit_mib: 1\nmin_gc_interval_when_soft_limited: 40s",
        [("GS0261", 3, 36)],
        {},
    ),
    (
        "processor/memory_limiter",
        "check_interval: 1s\nlimit_mib: 1\nmax_gc_interval_when_soft_limited: 5s",
        [("GS0261", 3, 36), ("GS0261", 3, 36)],
        {},
    ),
    (
        "processor/memory_limiter",
        "check_interval: 1s\nlimit_mib: 1\nmax_gc_interval_when_hard_limited: -1s",
        [("GS0261", 3, 36)],
        {},
    ),
    (
        "processor/memory_limiter",
        "check_interval: 1s\nlimit_mib: 1\nmax_gc_interval_when_hard_limited: 40s",
        [("GS0261", 3, 36)],
        {},
    ),
    ("processor/groupbytrace", "store_on_disk: true", [("GS0274", 1, 16)], {}),
    ("processor/groupbytrace", "discard_orphans: true", [("GS0274", 1, 18)], {}),
]


@pytest.mark.parametrize(("component", "text", "options"), RIGHT)
def test_what_the_collector_takes_is_right(component: str, text: str, options: dict[str, Any]) -> None:
    assert diagnostics(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == ()


@pytest.mark.parametrize(("component", "text", "expected", "options"), WRONG)
def test_what_is_wrong_is_found_in_its_place(
    component: str, text: str, expected: list[tuple[str, int, int]], options: dict[str, Any]
) -> None:
    assert found(RULES, judged(component, text, options, DEFAULTS, SIGNALS)) == expected
