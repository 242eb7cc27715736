"""What `remove` means for the levels above: whoever takes a component out does not miss it in the lists either."""

from __future__ import annotations

from collections.abc import Collection

from gitsync.collector.document import Entry, Mapping, Node, Scalar, Sequence
from gitsync.collector.merge import SEPARATOR, remove

_LISTS = {
    "receivers": ("receivers",),
    "processors": ("processors",),
    "exporters": ("exporters",),
    "connectors": ("receivers", "exporters"),
}
"""Lists of a pipeline that name the components of a section."""


def withdraw(level: Mapping, path: str) -> Mapping:
    """One level's own configuration without what stands at `path`, and without the uses of that component."""
    level = remove(level, path) or level
    section, _, name = path.partition(SEPARATOR)
    lists = _LISTS.get(section, ())
    if not lists or not name or SEPARATOR in name:
        return level
    return _change(level, ("service", "pipelines"), lists, name)


def _change(node: Mapping, way: tuple[str, ...], lists: Collection[str], name: str) -> Mapping:
    """The map with the lists at the end of `way` (every pipeline there) without the name."""
    entries = []
    for entry in node.entries:
        value: Node = entry.value
        if isinstance(value, Mapping) and (not way or entry.key == way[0]):
            value = _change(value, way[1:], lists, name) if way else _shorten(value, lists, name)
        entries.append(Entry(entry.key, entry.key_origin, value))
    return Mapping(tuple(entries), node.origin)


def _shorten(pipeline: Mapping, lists: Collection[str], name: str) -> Mapping:
    entries = []
    for entry in pipeline.entries:
        value = entry.value
        if entry.key in lists and isinstance(value, Sequence):
            kept = tuple(one for one in value.items if not (isinstance(one, Scalar) and one.text.strip() == name))
            value = Sequence(kept, value.origin)
        entries.append(Entry(entry.key, entry.key_origin, value))
    return Mapping(tuple(entries), pipeline.origin)
