"""`Settings`: the settings of one component, or of a part of it, as rules want to see them.

What is written wins over the component's default, and an absent value without a default is Go's zero value. Null is
Go's zero value for a scalar, and the default for everything else, as the Collector decodes it. A value that only the
agent knows (`${env:NAME}`), or one of a wrong kind (reported elsewhere), is None: no rule applies to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gitsync.collector import node as tree
from gitsync.collector.duration import parse_duration
from gitsync.collector.expansion import expand
from gitsync.collector.node import Node, Origin, Scalar, Sequence, is_null
from gitsync.collector.scalars import scalar_value


@dataclass(frozen=True, slots=True)
class Settings:
    """A view of a map.

    Attributes:
        component: `receiver/otlp`, with the newest name of the type.
        id: as configured: `otlp/2`.
        origin: the place of the component's id, or of the key that leads here.
        here: the map; an empty one when nothing is written.
        path: keys that lead here from the component's settings, list indexes as text.
        defaults: of the component, below `path`; as JSON, durations as Go text.
        version: of the Collector, `(0, 159, 0)`.
        signals: of the pipelines that use the component, empty when none does; for constructors.
        filled: whether the agent fills the whole map in (`${file:part.yaml}`).
    """

    component: str
    id: str
    origin: Origin
    here: tree.Mapping
    path: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    version: tuple[int, int, int] = (0, 0, 0)
    signals: frozenset[str] = frozenset()
    filled: bool = False

    def node(self, *path: str) -> Node | None:
        """What is written at a path of keys; None when nothing is, or null."""
        found: Node | None = self.here
        for key in path:
            found = found.get(key) if isinstance(found, tree.Mapping) else None
        return None if is_null(found) else found

    def has(self, *path: str) -> bool:
        """Whether something is written there, null not counted."""
        return self.node(*path) is not None

    def is_filled_in(self, *path: str) -> bool:
        """Whether the agent fills in what is at a path, or a map on the way to it: nothing is known of it then."""
        found: Node | None = self.here
        for key in path:
            if not isinstance(found, tree.Mapping):
                break
            found = found.get(key)
        return self.filled or (isinstance(found, Scalar) and not is_known(found))

    def place(self, *path: str) -> Origin:
        """Where a value is written; the nearest key above it when it is not."""
        at, here = self.origin, self.here
        for key in path:
            entry = here.entry(key) if isinstance(here, tree.Mapping) else None
            if entry is None:
                return at
            at = entry.key_origin if is_null(entry.value) else entry.value.origin
            if isinstance(entry.value, tree.Mapping):
                at, here = entry.key_origin, entry.value
            else:
                here = tree.Mapping((), at)
        return at

    def key_place(self, *path: str) -> Origin:
        """Where the last key of a path is written; the nearest one above it when it is not."""
        parent = self.node(*path[:-1])
        entry = parent.entry(path[-1]) if isinstance(parent, tree.Mapping) else None
        return self.place(*path[:-1]) if entry is None else entry.key_origin

    def default(self, *path: str) -> Any:
        """The component's default of a value; None when it has none but Go's zero, which a written null stands for."""
        found: Any = self.defaults
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return None if not isinstance(found, (dict, list)) and self.is_nulled(*path) else found

    def is_nulled(self, *path: str) -> bool:
        """Whether null is written there: lists and maps then keep their default, other values are Go's zero."""
        above = self.node(*path[:-1]) if len(path) > 1 else self.here
        entry = above.entry(path[-1]) if path and isinstance(above, tree.Mapping) else None
        return entry is not None and is_null(entry.value)

    def value(self, *path: str) -> Any:
        """The written value of a scalar, or the default, as Python values; None when there is neither, or not known."""
        found = self.node(*path)
        if found is None:
            return None if self.is_filled_in(*path) else self.default(*path)
        return _seen(found) if isinstance(found, Scalar) else None

    def text(self, *path: str, default: str = "") -> str | None:
        """A text; None when it is not known."""
        value: str | None = self._typed(path, str, default, "")
        return value

    def flag(self, *path: str, default: bool = False) -> bool | None:
        """True or false; None when it is not known."""
        value: bool | None = self._typed(path, bool, default, False)
        return value

    def number(self, *path: str, default: float = 0) -> float | None:
        """A number; None when it is not known."""
        value = self._typed(path, (int, float), default, 0)
        return None if isinstance(value, bool) else value

    def nanoseconds(self, *path: str, default: int = 0) -> int | None:
        """A duration; None when it is not known, or no duration."""
        value = self._typed(path, (str, int, float), default, 0)
        if isinstance(value, str):
            return parse_duration(value)
        return None if value is None or not math.isfinite(value) else int(value)

    def texts(self, *path: str) -> tuple[Scalar, ...] | None:
        """The known texts in a list; one text stands for what is between its commas, an empty one for nothing.

        Empty when absent; None when not known.
        """
        found = self.node(*path)
        if found is None:
            return None if self.is_filled_in(*path) else ()
        if isinstance(found, Scalar):
            if found.tag != "str" or not is_known(found):
                return None
            return tuple(replace(found, text=one) for one in found.text.split(",")) if found.text else ()
        if isinstance(found, Sequence):
            return tuple(one for one in found.items if isinstance(one, Scalar) and is_known(one))
        return None

    def is_empty(self, *path: str) -> bool:
        """Whether a list, a map or a text is absent or empty, and has no default; false when it is not known."""
        found = self.node(*path)
        if found is None:
            return not self.default(*path) and not self.is_filled_in(*path)
        if isinstance(found, Scalar):
            return found.tag == "str" and found.text == ""
        return not (found.items if isinstance(found, Sequence) else found.entries)

    def below(self, *path: str) -> Settings:
        """The view of a map inside this one; an empty view when there is none."""
        found = self.node(*path)
        default = self.default(*path)
        here = found if isinstance(found, tree.Mapping) else tree.Mapping((), self.place(*path))
        view = self._view(here, self.key_place(*path), path, default if isinstance(default, dict) else {})
        return replace(view, filled=True) if self.is_filled_in(*path) else view

    def items(self, *path: str) -> Iterator[Settings]:
        """Views of the maps in a list (a single map counts as a list of one)."""
        found = self.node(*path)
        listed = found.items if isinstance(found, Sequence) else (found,)
        for index, one in enumerate(listed):
            if isinstance(one, tree.Mapping):
                yield self._view(one, one.origin, (*path, str(index)), {})

    def entries(self, *path: str) -> Iterator[tuple[str, Settings]]:
        """Keys of a map, with views of their maps (empty views for null and for other values)."""
        found = self.node(*path)
        for entry in found.entries if isinstance(found, tree.Mapping) else ():
            here = entry.value if isinstance(entry.value, tree.Mapping) else tree.Mapping((), entry.value.origin)
            default = self.default(*path, entry.key)
            inner = default if isinstance(default, dict) else {}
            yield entry.key, self._view(here, entry.key_origin, (*path, entry.key), inner)

    def _view(self, here: tree.Mapping, origin: Origin, path: tuple[str, ...], defaults: Mapping[str, Any]) -> Settings:
        path = (*self.path, *path)
        return Settings(self.component, self.id, origin, here, path, defaults, self.version, self.signals)

    def _typed(self, path: tuple[str, ...], kinds: Any, default: Any, zero: Any) -> Any:
        found = self.node(*path)
        if found is None:
            if self.is_filled_in(*path):
                return None
            value = self.default(*path)
            if value is None:
                return zero if self.is_nulled(*path) else default
        else:
            value = _seen(found) if isinstance(found, Scalar) else None
        return value if isinstance(value, kinds) else None


def is_known(node: Node) -> bool:
    """Whether the agent fills nothing in: no `${…}` in a text but escaped ones."""
    return not (isinstance(node, Scalar) and node.tag == "str" and "${" in node.text) or expand(node.text).known


def _seen(node: Scalar) -> Any:
    """The value as the component sees it; None when the agent fills something in."""
    if node.tag != "str" or "$" not in node.text:
        return scalar_value(node)
    expanded = expand(node.text)
    return expanded.text if expanded.known else None
