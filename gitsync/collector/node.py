"""The tree that a YAML or JSON file becomes: frozen nodes that know where they were written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Tag: TypeAlias = Literal["str", "int", "float", "bool", "null"]
"""What a scalar is for the Collector. Dates, `yes` and `1:30` are strings."""
Style: TypeAlias = Literal["plain", "'", '"', "|", ">"]
"""How a scalar was written; never part of its meaning."""
_SMALL = 32
"""Keys among which one is found fast by looking at each."""


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where something was written.

    Attributes:
        path: path of the file in the config tree.
        line: 1-based.
        column: 1-based, in characters.
    """

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value.

    Attributes:
        tag: what it is.
        text: as written for everything but strings (`0x1F`, `~`, also empty for null); a string's content.
    """

    tag: Tag
    text: str
    origin: Origin
    style: Style = "plain"


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list, in order."""

    items: tuple[Node, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a map with its value; `key` is text, whatever it looked like in the file."""

    key: str
    key_origin: Origin
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    """A map: keys are unique, in the order of the file; merge keys are already resolved."""

    entries: tuple[Entry, ...]
    origin: Origin
    _index: dict[str, Entry] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By key, of a large map that was asked; rules ask for each key of maps that are as large as a file can be."""

    def get(self, key: str) -> Node | None:
        """The value of `key`; None when the key is absent (a null value is a `Scalar`)."""
        entry = self.entry(key)
        return None if entry is None else entry.value

    def entry(self, key: str) -> Entry | None:
        """The entry of `key`, with the place of the key itself; None when absent."""
        if len(self.entries) > _SMALL:
            if not self._index:
                self._index.update((one.key, one) for one in self.entries)
            return self._index.get(key)
        for entry in self.entries:
            if entry.key == key:
                return entry
        return None

    def keys(self) -> tuple[str, ...]:
        """All keys, in order."""
        return tuple(entry.key for entry in self.entries)


Node: TypeAlias = Scalar | Sequence | Mapping


def is_null(node: Node | None) -> bool:
    """Whether there is no value: an absent key, or a null."""
    return node is None or (isinstance(node, Scalar) and node.tag == "null")


def kind(node: Node) -> str:
    """What a node is, in the words of our messages: `a map`, `a list`, `text`, `a number`, ..."""
    if isinstance(node, Mapping):
        return "a map"
    if isinstance(node, Sequence):
        return "a list"
    return {"str": "text", "int": "a number", "float": "a number", "bool": "true or false", "null": "empty"}[node.tag]
