"""Processors that hold data back or limit it: batch, memory_limiter, groupbytrace."""

from __future__ import annotations

from gitsync.collector.findings import Findings
from gitsync.collector.rules import Rules
from gitsync.collector.rules.amounts import require_positive
from gitsync.collector.rules.demands import (
    MISSING,
    RANGE,
    REFUSED,
    TWICE,
    known_texts,
    not_negative,
    whole,
)
from gitsync.collector.settings import Settings
from gitsync.wording import quoted

_MAX_INTERVALS = (0, 159, 0)
"""Since then memory_limiter may have longest intervals between collections of garbage."""


def check_batch(settings: Settings, findings: Findings) -> None:
    """Sizes, keys, time (processor/batchprocessor/config.go `Validate`)."""
    most, size = whole(settings, "send_batch_max_size"), whole(settings, "send_batch_size")
    if most is not None and size is not None and 0 < most < size:
        at = settings.place("send_batch_max_size" if settings.has("send_batch_max_size") else "send_batch_size")
        hint = f'"send_batch_size" is {size}' + ("" if settings.has("send_batch_size") else " by default")
        findings.error(at, RANGE, '"send_batch_max_size" must not be smaller than "send_batch_size"', hint)
    check_metadata_keys(settings, findings)
    not_negative(settings, findings, "timeout")


def check_metadata_keys(settings: Settings, findings: Findings) -> None:
    """No metadata key twice, whatever its case."""
    seen: set[str] = set()
    for node in known_texts(settings, "metadata_keys"):
        if node.text.lower() in seen:
            message = f"the metadata key {quoted(node.text)} is given twice"
            findings.error(node.origin, TWICE, message, "case does not count")
        seen.add(node.text.lower())


def check_memory_limiter(settings: Settings, findings: Findings) -> None:
    """Intervals and limits (internal/memorylimiter/config.go `Validate`)."""
    require_positive(settings, findings, "check_interval", hint="as in 1s")
    _check_collections(settings, findings)
    limit, percentage = whole(settings, "limit_mib"), whole(settings, "limit_percentage")
    if limit == 0 and percentage == 0:
        message = '"limit_mib" or "limit_percentage" must be greater than 0'
        key = "limit_mib" if settings.has("limit_mib") else "limit_percentage"
        code = RANGE if settings.has(key) else MISSING
        findings.error(settings.place(key), code, message, "as in limit_percentage: 80")
    for key in ("limit_percentage", "spike_limit_percentage"):
        value = whole(settings, key)
        if value is not None and value > 100:
            findings.error(settings.place(key), RANGE, f'"{key}" must be at most 100')
    for whole_limit, spike in (("limit_mib", "spike_limit_mib"), ("limit_percentage", "spike_limit_percentage")):
        most, part = whole(settings, whole_limit), whole(settings, spike)
        if most is not None and part is not None and 0 < most <= part:
            findings.error(settings.place(spike), RANGE, f'"{spike}" must be smaller than "{whole_limit}"')


def _check_collections(settings: Settings, findings: Findings) -> None:
    """Intervals between collections of garbage: a soft one is never shorter than the hard one beside it."""
    least_soft = settings.nanoseconds("min_gc_interval_when_soft_limited")
    least_hard = settings.nanoseconds("min_gc_interval_when_hard_limited")
    _ordered(settings, findings, "min_gc_interval_when_hard_limited", "min_gc_interval_when_soft_limited")
    if settings.version < _MAX_INTERVALS:
        return
    for mode, least in (("soft", least_soft), ("hard", least_hard)):
        key = f"max_gc_interval_when_{mode}_limited"
        not_negative(settings, findings, key)
        most = settings.nanoseconds(key)
        if most is not None and least is not None and 0 < most < least:
            at = settings.place(key if settings.has(key) else f"min_gc_interval_when_{mode}_limited")
            message = f'"{key}" must not be shorter than "min_gc_interval_when_{mode}_limited"'
            findings.error(at, RANGE, message, "0 means no limit of the growth")
    soft = settings.nanoseconds("max_gc_interval_when_soft_limited")
    if soft is not None and soft > 0:
        _ordered(settings, findings, "max_gc_interval_when_hard_limited", "max_gc_interval_when_soft_limited")


def _ordered(settings: Settings, findings: Findings, smaller: str, larger: str) -> None:
    low, high = settings.nanoseconds(smaller), settings.nanoseconds(larger)
    if low is not None and high is not None and high < low:
        at = settings.place(larger if settings.has(larger) else smaller)
        findings.error(at, RANGE, f'"{larger}" must not be shorter than "{smaller}"')


def check_group_by_trace(settings: Settings, findings: Findings) -> None:
    """Options that were never built (processor/groupbytraceprocessor/factory.go `createTracesProcessor`)."""
    for key in ("store_on_disk", "discard_orphans"):
        if settings.flag(key):
            findings.error(settings.place(key), REFUSED, f'"{key}" is not supported by the Collector', "remove it")


VALIDATE: Rules = {
    "processor/batch": (check_batch,),
    "processor/memory_limiter": (check_memory_limiter,),
    "extension/memory_limiter": (check_memory_limiter,),
}
CONSTRUCT: Rules = {"processor/groupbytrace": (check_group_by_trace,)}
