"""All packs of rules, as one."""

from __future__ import annotations

from collections import defaultdict
from types import ModuleType

from gitsync.collector.rules import (
    Rule,
    Rules,
    attributes,
    connectors,
    contents,
    dimensions,
    enrichment,
    exporters,
    extensions,
    filtering,
    groups,
    hostmetrics,
    kafka,
    metrics,
    otlp,
    processors,
    prometheus,
    receivers,
    remotes,
    sampling,
    scrapers,
    shared,
    telemetry,
)
from gitsync.collector.rules.stanza import inputs as stanza

_PACKS: tuple[ModuleType, ...] = (
    remotes,
    otlp,
    exporters,
    dimensions,
    connectors,
    sampling,
    processors,
    metrics,
    filtering,
    groups,
    enrichment,
    contents,
    attributes,
    extensions,
    hostmetrics,
    kafka,
    prometheus,
    receivers,
    scrapers,
    shared,
    stanza,
    telemetry,
)


_FORMER = {"exporter/otlp_grpc": "exporter/otlp"}
"""Names of components in releases before they got the ones that the packs use; the others lost their underscores."""
_VARIANTS = ("", "2", "3")
"""Numbers behind names of types that the schemas hold several times, with different optional parts."""


def _gather(table: str) -> Rules:
    found: dict[str, tuple[Rule, ...]] = defaultdict(tuple)
    for pack in _PACKS:
        for name, rules in getattr(pack, table, {}).items():
            found[name] += rules
    return dict(found)


def _with_former(rules: Rules) -> Rules:
    """The same rules under the names that components had before."""
    former = {_FORMER.get(name, name.replace("_", "")): one for name, one in rules.items()}
    return {**former, **rules}


def _with_variants(rules: Rules) -> Rules:
    return {f"{name}{number}": one for name, one in rules.items() for number in _VARIANTS}


VALIDATE = _with_former(_gather("VALIDATE"))
CONSTRUCT = _with_former(_gather("CONSTRUCT"))
TYPES = _with_variants(_gather("TYPES"))
