"""Reads the schemas that lie in the package."""

from __future__ import annotations

import json
from importlib.resources import files

from gitsync.bundle.catalog import ADDON_SCHEMA, REPOSITORY_SCHEMA, TARGET_SCHEMA, Catalog
from gitsync.errors import SettingsError


def load_catalog() -> Catalog:
    """All schemas of the package.

    Raises:
        SettingsError: the installation is incomplete.
    """
    directory = files("gitsync") / "schemas"
    try:
        return Catalog(
            {
                name: json.loads((directory / f"{name}.json").read_bytes())
                for name in (REPOSITORY_SCHEMA, TARGET_SCHEMA, ADDON_SCHEMA)
            }
        )
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the schemas of this installation cannot be read: {error}",
            code="install.schemas",
            hint="install gitsync again",
        ) from error
