"""`Usage`: which pipelines use a component, and which extensions the service starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitsync.collector.pipelines import SECTIONS, Wiring

SOURCES = {
    "receivers": ("receivers", "connectors"),
    "processors": ("processors",),
    "exporters": ("exporters", "connectors"),
    "extensions": ("extensions",),
}
"""Where the ids of a list may be configured."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Who is used.

    Attributes:
        signals: section name to id to the signals of the pipelines that name it (of a connector, on both its sides;
            of an extension, none). A section is None when some list is not known here.
    """

    signals: Mapping[str, Mapping[str, frozenset[str]] | None]

    def uses(self, section: str, name: str) -> bool:
        """Whether a component is used; true when that is not known here."""
        used = self.signals[section]
        return used is None or name in used

    def of(self, section: str, name: str) -> frozenset[str]:
        """The signals that a component is used for; empty when it is not used, or that is not known."""
        return (self.signals[section] or {}).get(name, frozenset())


def read_usage(wiring: Wiring) -> Usage:
    """What the pipelines and `service::extensions` name."""
    found: dict[str, dict[str, set[str]] | None] = {name: {} for name in SECTIONS}
    pipelines = wiring.pipelines
    if pipelines is None or any(items is None for one in pipelines for _, items in one.lists()):
        found = dict.fromkeys(SECTIONS)
    for pipeline in pipelines or ():
        signal = pipeline.id.partition("/")[0]
        for role, items in pipeline.lists():
            for section in SOURCES[role]:
                used = found[section]
                if used is not None:
                    for item in items or ():
                        used.setdefault(item.id, set()).add(signal)
    extensions = None if wiring.extensions is None else {one.id: frozenset[str]() for one in wiring.extensions}
    signals: dict[str, Mapping[str, frozenset[str]] | None] = {
        section: None if used is None else {name: frozenset(words) for name, words in used.items()}
        for section, used in found.items()
    }
    return Usage({**signals, "extensions": extensions})
