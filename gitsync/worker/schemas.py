"""Reads the schemas that lie in the package."""

from __future__ import annotations

import json
from importlib.resources import files
from importlib.resources.abc import Traversable

from gitsync.bundle.catalog import ADDON_SCHEMA, REPOSITORY_SCHEMA, TARGET_SCHEMA, Catalog
from gitsync.collector.build import CollectorVersion
from gitsync.errors import SettingsError

_LAST = "ottl.json"
"""Written last by the generator: a release without it is not complete."""


def load_catalog() -> Catalog:
    """All schemas of the package, and what it knows of releases of the Collector.

    Raises:
        SettingsError: the installation is incomplete.
    """
    directory = files("gitsync") / "schemas"
    try:
        schemas = {
            name: json.loads((directory / f"{name}.json").read_bytes())
            for name in (REPOSITORY_SCHEMA, TARGET_SCHEMA, ADDON_SCHEMA)
        }
        releases = [_release(one) for one in (directory / "collector").iterdir() if (one / _LAST).is_file()]
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the schemas of this installation cannot be read: {error}",
            code="install.schemas",
            hint="install gitsync again",
        ) from error
    return Catalog(schemas, {one.version: one for one in sorted(releases, key=lambda one: one.number)})


def _release(directory: Traversable) -> CollectorVersion:
    """One release; its files are read here, and parsed when they are needed."""
    components, settings, ottl = (
        (directory / f"{name}.json").read_bytes() for name in ("components", "settings", "ottl")
    )
    return CollectorVersion(directory.name, components, settings, ottl)
