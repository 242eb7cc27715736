"""`Settings`: the settings of one component, or of a part of it, as rules want to see them.

What is written wins over the component's default, and an absent value without a default is Go's zero value. A value
that only the agent knows (`${env:NAME}`), or one of a wrong kind (reported elsewhere), is None: no rule applies to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitsync.collector import node as tree
from gitsync.collector.duration import parse_duration
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
    """

    component: str
    id: str
    origin: Origin
    here: tree.Mapping
    path: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    version: tuple[int, int, int] = (0, 0, 0)
    signals: frozenset[str] = frozenset()

    def node(self, *path: str) -> Node | None:
        """What is written at a path of keys; None when nothing is, or null."""
        found: Node | None = self.here
        for key in path:
            found = found.get(key) if isinstance(found, tree.Mapping) else None
        return None if is_null(found) else found

    def has(self, *path: str) -> bool:
        """Whether something is written there, null not counted."""
        return self.node(*path) is not None

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
        """The component's default of a value; None when it has none but Go's zero."""
        found: Any = self.defaults
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    def value(self, *path: str) -> Any:
        """The written value of a scalar, or the default, as Python values; None when there is neither, or not known."""
        found = self.node(*path)
        if found is None:
            return self.default(*path)
        return scalar_value(found) if isinstance(found, Scalar) and is_known(found) else None

    def text(self, *path: str, default: str = "") -> str | None:
        """A text; None when it is not known."""
        value: str | None = self._typed(path, str, default)
        return value

    def flag(self, *path: str, default: bool = False) -> bool | None:
        """True or false; None when it is not known."""
        value: bool | None = self._typed(path, bool, default)
        return value

    def number(self, *path: str, default: float = 0) -> float | None:
        """A number; None when it is not known."""
        value = self._typed(path, (int, float), default)
        return None if isinstance(value, bool) else value

    def nanoseconds(self, *path: str, default: int = 0) -> int | None:
        """A duration; None when it is not known, or no duration."""
        value = self._typed(path, (str, int, float), default)
        return parse_duration(value) if isinstance(value, str) else None if value is None else int(value)

    def texts(self, *path: str) -> tuple[Scalar, ...] | None:
        """The known texts in a list (a single text counts as a list of one); empty when absent; None when not known."""
        found = self.node(*path)
        if found is None:
            return ()
        if isinstance(found, Scalar):
            return (found,) if is_known(found) else None
        if isinstance(found, Sequence):
            return tuple(one for one in found.items if isinstance(one, Scalar) and is_known(one))
        return None

    def is_empty(self, *path: str) -> bool:
        """Whether a list, a map or a text is absent or empty, and has no default; false when it is not known."""
        found = self.node(*path)
        if found is None:
            return not self.default(*path)
        if isinstance(found, Scalar):
            return found.tag == "str" and found.text == ""
        return not (found.items if isinstance(found, Sequence) else found.entries)

    def below(self, *path: str) -> Settings:
        """The view of a map inside this one; an empty view when there is none."""
        found = self.node(*path)
        default = self.default(*path)
        here = found if isinstance(found, tree.Mapping) else tree.Mapping((), self.place(*path))
        return self._view(here, self.key_place(*path), path, default if isinstance(default, Mapping) else {})

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
            inner = default if isinstance(default, Mapping) else {}
            yield entry.key, self._view(here, entry.key_origin, (*path, entry.key), inner)

    def _view(self, here: tree.Mapping, origin: Origin, path: tuple[str, ...], defaults: Mapping[str, Any]) -> Settings:
        path = (*self.path, *path)
        return Settings(self.component, self.id, origin, here, path, defaults, self.version, self.signals)

    def _typed(self, path: tuple[str, ...], kinds: Any, default: Any) -> Any:
        found = self.node(*path)
        if found is not None and not (isinstance(found, Scalar) and is_known(found)):
            return None
        value = self.default(*path) if found is None else scalar_value(found)
        if value is None:
            return default
        return value if isinstance(value, kinds) else None


def is_known(node: Node) -> bool:
    """Whether the agent fills nothing in: no `${…}` in a text."""
    return not (isinstance(node, Scalar) and node.tag == "str" and "${" in node.text)
