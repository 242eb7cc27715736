"""The host_metrics receiver: its scrapers and their filters; metric settings that all scrapers of metrics share."""

from __future__ import annotations

from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping
from gitsync.collector.rules import Rules
from gitsync.collector.rules.demands import EMPTY, PART, REFUSED, is_regex, one_of
from gitsync.collector.rules.shared import check_scrape
from gitsync.collector.settings import Settings
from gitsync.wording import did_you_mean, quoted

SCRAPERS = (
    "cpu",
    "disk",
    "filesystem",
    "load",
    "memory",
    "network",
    "nfs",
    "paging",
    "process",
    "processes",
    "system",
)
_FILTERS = {
    "disk": (("include", "devices"), ("exclude", "devices")),
    "filesystem": (
        ("include_devices", "devices"),
        ("exclude_devices", "devices"),
        ("include_fs_types", "fs_types"),
        ("exclude_fs_types", "fs_types"),
        ("include_mount_points", "mount_points"),
        ("exclude_mount_points", "mount_points"),
    ),
    "network": (("include", "interfaces"), ("exclude", "interfaces")),
    "process": (("include", "names"), ("exclude", "names")),
}
_STRATEGIES = ("sum", "avg", "min", "max")
_LEGACY = ("process.cpu.utilization", "system.cpu.utilization")


def check_scrapers(settings: Settings, findings: Findings) -> None:
    """At least one scraper, none unknown (receiver/hostmetricsreceiver/config.go `Unmarshal`, `Validate`)."""
    scrapers = settings.node("scrapers")
    if scrapers is None:
        message = "host_metrics needs at least one scraper"
        findings.error(settings.key_place("scrapers"), EMPTY, message, "add cpu: under scrapers:")
        return
    if not isinstance(scrapers, Mapping):
        return
    if not scrapers.entries:
        findings.error(settings.key_place("scrapers"), EMPTY, "host_metrics needs at least one scraper", "add cpu:")
    for entry in scrapers.entries:
        if entry.key not in SCRAPERS:
            hint = did_you_mean(entry.key, SCRAPERS) or f"known: {', '.join(SCRAPERS)}"
            findings.error(entry.key_origin, PART, f"there is no scraper {quoted(entry.key)}", hint)


def check_metric_settings(settings: Settings, findings: Findings) -> None:
    """How values are put together (every scraper's internal/metadata/generated_config.go `…MetricConfig.Validate`)."""
    for _, metric in settings.entries("metrics"):
        if metric.has("aggregation_strategy"):
            one_of(metric, findings, _STRATEGIES, "aggregation_strategy")


def check_scraper_metrics(settings: Settings, findings: Findings) -> None:
    """Metric settings of every scraper."""
    for _, scraper in settings.entries("scrapers"):
        check_metric_settings(scraper, findings)


def check_filters(settings: Settings, findings: Findings) -> None:
    """Filters with a kind of matching (hostmetricsreceiver/internal/scraper/*, internal/filter `CreateFilterSet`).

    They are made when the receiver is built for metrics.
    """
    if settings.signals and "metrics" not in settings.signals:
        return
    for name, scraper in settings.entries("scrapers"):
        for key, values in _FILTERS.get(name, ()):
            check_filter(scraper.below(key), findings, values)


def check_filter(settings: Settings, findings: Findings, values: str) -> None:
    """One filter: a list of texts, strict or regular expressions; an empty list needs no `match_type`."""
    texts = settings.texts(values)
    if not texts:
        return
    if not one_of(settings, findings, ("strict", "regexp"), "match_type"):
        return
    if settings.text("match_type") == "regexp":
        for node in texts:
            is_regex(node, findings)
        size = settings.number("regexp", "cachemaxnumentries")
        if settings.flag("regexp", "cacheenabled") and size is not None and size < 0:
            findings.error(settings.place("regexp", "cachemaxnumentries"), REFUSED, "the cache needs a size above 0")


VALIDATE: Rules = {
    "receiver/host_metrics": (check_scrape, check_scrapers, check_scraper_metrics),
}
CONSTRUCT: Rules = {
    "receiver/host_metrics": (check_filters,),
}
