"""`Catalog`: the schemas that checks need, read once by a shell and handed down as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitsync.collector.build import DISTRIBUTIONS, Build, CollectorVersion, parse_version

REPOSITORY_SCHEMA = "gitsync.v1"
TARGET_SCHEMA = "target.v1"
ADDON_SCHEMA = "addon.v1"

_DEFAULT_DISTRIBUTION = "contrib"


@dataclass(frozen=True, slots=True)
class Catalog:
    """What an installation knows.

    Attributes:
        schemas: JSON Schemas (draft 2020-12) by the name of their file without `.json`.
        collectors: releases of the Collector by version.
    """

    schemas: Mapping[str, Mapping[str, Any]]
    collectors: Mapping[str, CollectorVersion] = field(default_factory=dict)

    def build(self, distribution: str | None, versions: Sequence[str]) -> Build:
        """What a configuration must run on.

        Args:
            distribution: a name of `DISTRIBUTIONS`; None means contrib.
            versions: as written; each stands for the nearest known one (`nearest`). Empty: the newest known one.

        Raises:
            KeyError: there is no such distribution.
            LookupError: the catalog knows no release at all.
        """
        name = DISTRIBUTIONS[distribution or _DEFAULT_DISTRIBUTION]
        found = [self.collectors[self.nearest(one)] for one in versions or [""]]
        unique = {one.version: one for one in found}
        listed = tuple(sorted(unique.values(), key=lambda one: one.number))
        return Build(name, listed, tuple(self.collectors.values()))

    def nearest(self, version: str) -> str:
        """The known version that stands for one: itself, or the closest one; the newest for what is no version.

        Raises:
            LookupError: the catalog knows no release at all.
        """
        known = sorted(self.collectors.values(), key=lambda one: one.number)
        if not known:
            raise LookupError("no release of the Collector is known")
        wanted = parse_version(version)
        if wanted is None:
            return known[-1].version
        # Of two that are as near, the newer one: most who name an unknown version are ahead of us.
        return min(
            reversed(known), key=lambda one: [abs(a - b) for a, b in zip(one.number, wanted, strict=True)]
        ).version
