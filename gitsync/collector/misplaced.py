"""Where a setting belongs that was written in the wrong place of a component."""

from __future__ import annotations

from dataclasses import dataclass

from gitsync.collector.schema import Entries, Items, Schema, Struct
from gitsync.wording import quoted

_DEEPEST = 3
"""Levels below the wrong place that are searched."""
_MOST = 400
"""Structs that are looked into."""
_EVERYWHERE = frozenset({"enabled", "name", "type", "id"})
"""Keys of so many structs that another one of them says nothing."""
_NAMED = 3
"""Places that a hint names."""


@dataclass(frozen=True, slots=True)
class Level:
    """A struct on the way to a place, and the key that leads to it (the component's id for the first)."""

    struct: Struct
    key: str


def belongs(key: str, above: tuple[Level, ...]) -> str:
    """A hint that says where a key belongs; empty when it is a setting of nothing near.

    Looked for in this order: below the place where it stands, directly in the structs around it (the nearest first),
    below those.

    Args:
        key: that the last struct does not know.
        above: the structs around the key, the outermost first.
    """
    if key in _EVERYWHERE:
        return ""
    here, outer = above[-1], above[:-1][::-1]
    below = _below(key, here.struct)
    if below:
        return "it belongs under " + _listed(below)
    for level in outer:
        if key in level.struct.fields:
            return f"it belongs directly under {quoted(level.key)}, beside {quoted(_child(level, above))}"
    for level in outer:
        below = _below(key, level.struct)
        if below:
            return f"it belongs under {_listed(below)} of {quoted(level.key)}"
    return ""


def _child(level: Level, above: tuple[Level, ...]) -> str:
    return above[above.index(level) + 1].key


def _listed(paths: list[str]) -> str:
    return " or ".join(quoted(path) for path in paths[:_NAMED])


def _below(key: str, struct: Struct) -> list[str]:
    """Paths to structs that know a key, all of the same depth, the least that there is."""
    level: list[tuple[str, Struct]] = [("", struct)]
    seen = {id(struct)}
    for _ in range(_DEEPEST):
        below: list[tuple[str, Struct]] = []
        for path, one in level:
            for name, field in one.fields.items():
                inner = _inside(field)
                if inner is not None and len(seen) < _MOST and (id(inner) not in seen or key in inner.fields):
                    seen.add(id(inner))
                    below.append((f"{path}::{name}" if path else name, inner))
        found = [path for path, one in below if key in one.fields]
        if found:
            return found
        level = below
    return []


def _inside(field: Schema) -> Struct | None:
    """The struct of a setting, also of the items of a list or map."""
    shape = field.shape
    if isinstance(shape, Items):
        shape = shape.item.shape
    elif isinstance(shape, Entries):
        shape = shape.value.shape
    return shape if isinstance(shape, Struct) else None
