"""`Catalog`: the schemas that checks need, read once by a shell and handed down as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REPOSITORY_SCHEMA = "gitsync.v1"
TARGET_SCHEMA = "target.v1"
ADDON_SCHEMA = "addon.v1"


@dataclass(frozen=True, slots=True)
class Catalog:
    """JSON Schemas (draft 2020-12) by the name of their file without `.json`."""

    schemas: Mapping[str, Mapping[str, Any]]
