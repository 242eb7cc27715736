"""A new compiler never re-rolls a fleet: what means the same keeps the bytes that agents already run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gitsync.bundle.version import (
    COLLECTOR_OBJECT,
    Bundle,
    Payload,
    Slot,
    TargetVersion,
    version_digest,
)
from gitsync.collector import document
from gitsync.collector.emit import same_tree
from gitsync.ids import ConfigHash


def keep_stable(bundle: Bundle, stable: Mapping[str, TargetVersion], payloads: Mapping[ConfigHash, Payload]) -> Bundle:
    """The bundle, with payloads that equal the stable one's node tree replaced by that stable payload.

    Args:
        stable: version by target path, of what is published.
        payloads: of those versions; what is missing is left as it was compiled.
    """
    kept = dict(bundle.payloads)
    versions: dict[str, TargetVersion] = {}
    for path, version in bundle.versions.items():
        before = stable.get(path)
        slots = dict(version.slots)
        for slot, digest in version.slots.items():
            old = None if before is None else before.slots.get(slot)
            if old is None or old == digest or old not in payloads:
                continue
            if _means_the_same(bundle.payloads[digest], payloads[old]):
                slots[slot] = old
                kept[old] = replace(payloads[old], provenance=bundle.payloads[digest].provenance)
        versions[path] = version if slots == version.slots else _with_slots(version, slots)
    used = {digest for version in versions.values() for digest in version.slots.values()}
    return replace(bundle, versions=versions, payloads={digest: kept[digest] for digest in kept if digest in used})


def _means_the_same(new: Payload, old: Payload) -> bool:
    """Only Collector configurations have a meaning that we know; other objects are their bytes."""
    if [one.name for one in new.objects] != [COLLECTOR_OBJECT] or [one.name for one in old.objects] != [
        COLLECTOR_OBJECT
    ]:
        return False
    if (new.objects[0].content_type, new.objects[0].role) != (old.objects[0].content_type, old.objects[0].role):
        return False
    trees = [document.parse_yaml(COLLECTOR_OBJECT, one.objects[0].body).node for one in (new, old)]
    first, second = trees
    return isinstance(first, document.Mapping) and isinstance(second, document.Mapping) and same_tree(first, second)


def _with_slots(version: TargetVersion, slots: Mapping[Slot, ConfigHash]) -> TargetVersion:
    digest = version_digest(
        source=version.source,
        path=version.path,
        selector=version.selector,
        trusted_only=version.trusted_only,
        priority=version.priority,
        agent_type=version.agent_type,
        rules=version.rules,
        variants=version.variants,
        slots=slots,
    )
    return replace(version, slots=slots, digest=digest)
