"""Numbers and durations that a component cannot do without."""

from __future__ import annotations

from gitsync.collector.findings import Findings
from gitsync.collector.rules.demands import MISSING, RANGE
from gitsync.collector.settings import Settings


def require_positive(settings: Settings, findings: Findings, *path: str, duration: bool = True, hint: str = "") -> None:
    """A duration (or number) above 0; absent without a default, it is 0."""
    value = settings.nanoseconds(*path) if duration else settings.number(*path)
    if value is None or value > 0:
        return
    if settings.has(*path):
        findings.error(settings.place(*path), RANGE, f'"{path[-1]}" must be greater than 0', hint)
    else:
        findings.error(settings.place(*path), MISSING, f'"{path[-1]}" must be set', hint)
