"""Putting configurations on top of each other by the Collector's own rules; where each value came from.

The rules (as for several `--config` files): maps merge key by key; lists and scalars replace; null
replaces, which makes the component use its defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Levels
from itertools import pairwise

from gitsync.collector.components import normal_id
from gitsync.collector.findings import Findings
from gitsync.collector.node import Entry, Mapping, Node, Origin, Scalar, Sequence
from gitsync.diagnostics import Diagnostic
from gitsync.wording import did_you_mean, quoted

SEPARATOR = "::"
"""Between the keys of a path, as in the Collector."""


def merge(base: Mapping, over: Mapping) -> Mapping:
    """`over` on top of `base`; each node keeps its origin, a map that both have keeps that of `base`."""
    entries = {entry.key: entry for entry in base.entries}
    for entry in over.entries:
        below = entries.get(entry.key)
        if below is not None and isinstance(below.value, Mapping) and isinstance(entry.value, Mapping):
            entry = Entry(entry.key, below.key_origin, merge(below.value, entry.value))
        entries[entry.key] = entry
    return Mapping(tuple(entries.values()), base.origin)


def provenance(node: Mapping) -> dict[str, Origin]:
    """Where each value was written, by its path (`exporters::otlp::endpoint`).

    A scalar, a list and an empty map have one entry each; items of a list also have theirs (`…::0`,
    `…::0::key`).
    """
    found: dict[str, Origin] = {}
    _add_places(found, node, "")
    return found


def remove(node: Mapping, path: str) -> Mapping | None:
    """The tree without the key at `path` (`exporters::otlp/backup`); maps that become empty stay.

    Returns:
        None when there is nothing at `path`: see `not_there`.
    """
    key, more, rest = path.partition(SEPARATOR)
    entry = node.entry(key)
    if entry is None:
        return None
    if not more:
        return Mapping(tuple(one for one in node.entries if one.key != key), node.origin)
    below = remove(entry.value, rest) if isinstance(entry.value, Mapping) else None
    if below is None:
        return None
    changed = Entry(key, entry.key_origin, below)
    return Mapping(tuple(changed if one.key == key else one for one in node.entries), node.origin)


def not_there(node: Mapping, path: str, at: Origin) -> Diagnostic:
    """The error (GS0302) for a `remove`, written at `at`, that finds nothing in what is inherited."""
    findings = Findings(at.path)
    here: Node = node
    done: list[str] = []
    hint = ""
    for key in path.split(SEPARATOR):
        following = here.get(key) if isinstance(here, Mapping) else None
        if following is None:
            keys = here.keys() if isinstance(here, Mapping) else ()
            hint = did_you_mean(key, keys)
            if not keys and done:
                hint = f"{quoted(SEPARATOR.join(done))} has no keys"
            break
        done.append(key)
        here = following
    findings.error(at, "GS0302", f"nothing to remove: {quoted(path)} is not in the inherited configuration", hint)
    return findings.done()[0]


def hidden_lists(levels: Levels[Mapping]) -> tuple[Diagnostic, ...]:
    """Warnings (GS0301) for pipeline lists of a deeper level that lose components which an ancestor's list
    has.

    Args:
        levels: the configuration of each level by itself, from the root target down.
    """
    findings = Findings(levels[-1].origin.path if levels else "")
    seen: dict[tuple[str, str], list[Sequence]] = {}
    for level in levels:
        for pipeline, name, items in _pipeline_lists(level):
            seen.setdefault((pipeline, name), []).append(items)
    for (pipeline, name), lists in seen.items():
        final = set(_ids(lists[-1]))
        for above, below in pairwise(lists):
            kept = final.union(_ids(below))
            lost = {text: item for text, item in _ids(above).items() if text not in kept}
            if not lost:
                continue
            where = f"the {name} of pipeline {quoted(pipeline)} at {above.origin}"
            shown = ", ".join(quoted(text) for text in list(lost)[:5]) + (", …" if len(lost) > 5 else "")
            first = next(iter(lost.values()))
            findings.warning(
                below.origin,
                "GS0301",
                f"this list replaces {where} and drops {shown}",
                f"lists do not merge; repeat what stands at {first.origin}, if it is still wanted",
            )
    return findings.done()


def _add_places(found: dict[str, Origin], node: Node, path: str) -> None:
    if isinstance(node, Mapping) and node.entries:
        for entry in node.entries:
            _add_places(found, entry.value, f"{path}{SEPARATOR}{entry.key}" if path else entry.key)
        return
    if path:
        found[path] = node.origin
    if isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            _add_places(found, item, f"{path}{SEPARATOR}{index}")


def _pipeline_lists(level: Mapping) -> Iterator[tuple[str, str, Sequence]]:
    service = level.get("service")
    pipelines = service.get("pipelines") if isinstance(service, Mapping) else None
    for pipeline in pipelines.entries if isinstance(pipelines, Mapping) else ():
        for entry in pipeline.value.entries if isinstance(pipeline.value, Mapping) else ():
            if isinstance(entry.value, Sequence):
                yield pipeline.key, entry.key, entry.value


def _ids(items: Sequence) -> dict[str, Scalar]:
    return {normal_id(item.text): item for item in items.items if isinstance(item, Scalar)}
