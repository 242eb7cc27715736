"""Components of builds, as they are stored and shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gitsync.control.inventory import stored_key
from gitsync.control.ports import Store
from gitsync.server.api.views import ComponentView

MODULE = "code.namespace"
"""Attribute of a Collector's component: the module that it comes from, and its version."""
VERSIONS_SHOWN = 20


async def load_components(store: Store, components_hash: bytes) -> Mapping[str, ComponentView] | None:
    """The components of a build; None while nobody has told them.

    Raises:
        Unavailable: the store is away.
    """
    body = await store.load_blob(stored_key(components_hash))
    return None if body is None else _read(json.loads(body))


def _read(body: Mapping[str, Any]) -> dict[str, ComponentView]:
    return {name: ComponentView(metadata=one["metadata"], members=_read(one["members"])) for name, one in body.items()}


def summarize(components: Mapping[str, ComponentView]) -> tuple[dict[str, int], list[str]]:
    """How many components of each kind there are, and the versions of their modules, newest text last."""
    counts = {name: len(one.members) for name, one in components.items() if one.members}
    if not counts and components:
        counts["components"] = len(components)  # an agent that does not sort them by kind
    versions: set[str] = set()
    for one in components.values():
        _collect(one, versions)
    return counts, sorted(versions)[:VERSIONS_SHOWN]


def _collect(one: ComponentView, versions: set[str]) -> None:
    _, _, version = one.metadata.get(MODULE, "").rpartition(" ")
    if version.startswith("v") and len(version) <= 64:
        versions.add(version)
    for member in one.members.values():
        _collect(member, versions)
