"""`receivers::otlp::protocols:`: the Collector reads `::` in a key as a path of keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from gitsync.collector.builder import DEFAULT_LIMITS
from gitsync.collector.findings import Findings
from gitsync.collector.merge import SEPARATOR
from gitsync.collector.node import Entry, Mapping, Node, Origin
from gitsync.diagnostics import Diagnostic
from gitsync.wording import quoted

_Rank: TypeAlias = tuple[int, ...]
"""How many parts the keys have that lead to a value, from the top: the Collector sets shorter keys first."""


@dataclass(slots=True)
class _Open:
    """A map that is still being put together from several entries."""

    origin: Origin
    slots: dict[str, _Slot] = field(default_factory=dict)


@dataclass(slots=True)
class _Slot:
    """A key of a map that is put together; `rank` tells which of two values stays."""

    key_origin: Origin
    value: _Open | Node
    rank: _Rank


def expand_paths(mapping: Mapping, *, as_the_collector: bool = False) -> tuple[Mapping, tuple[Diagnostic, ...]]:
    """The map with every `a::b` key as nested maps, at all levels but inside lists, as the Collector does.

    Args:
        mapping: a whole file.
        as_the_collector: two values for one path are what they are to the Collector, which keeps that of the longer
            key; and a warning.

    Returns:
        The expanded map, and errors: two values for one path (GS0218), a path with an empty part or too
        many parts (GS0219). An entry with an error is left out. A map without such keys is returned as it is.
    """
    if not _has_paths(mapping):
        return mapping, ()
    findings = Findings(mapping.origin.path)
    root = _Open(mapping.origin)
    _Filling(findings, as_the_collector=as_the_collector).fill(root, mapping, ())
    return _close(root), findings.done()


def _has_paths(mapping: Mapping) -> bool:
    return any(
        SEPARATOR in entry.key or (isinstance(entry.value, Mapping) and _has_paths(entry.value))
        for entry in mapping.entries
    )


class _Filling:
    """Puts entries into maps that are still open."""

    def __init__(self, findings: Findings, *, as_the_collector: bool) -> None:
        self._findings = findings
        self._report = findings.warning if as_the_collector else findings.error

    def fill(self, into: _Open, mapping: Mapping, above: _Rank, depth: int = 1) -> None:
        for entry in mapping.entries:
            parts = entry.key.split(SEPARATOR)
            if len(parts) > 1 and not all(part.strip() for part in parts):
                self._findings.error(
                    entry.key_origin,
                    "GS0219",
                    f"the key {quoted(entry.key)} has an empty part",
                    'the Collector reads "::" in a key as a path of keys',
                )
            elif depth + len(parts) > DEFAULT_LIMITS.depth:
                self._findings.error(entry.key_origin, "GS0219", f"the key {quoted(entry.key)} leads too deep")
            else:
                self._put(into, parts, entry, (*above, len(parts)), depth)

    def _put(self, into: _Open, parts: list[str], entry: Entry, rank: _Rank, depth: int) -> None:
        for part in parts[:-1]:
            slot = into.slots.setdefault(part, _Slot(entry.key_origin, _Open(entry.key_origin), rank))
            if not isinstance(slot.value, _Open) and not self._wins(slot, _Open(entry.key_origin), entry, rank):
                return
            assert isinstance(slot.value, _Open), "either it was, or it has become one"
            into = slot.value
        last, value = parts[-1], entry.value
        found = into.slots.get(last)
        if found is None:
            made = _Open(value.origin) if isinstance(value, Mapping) else value
            found = into.slots[last] = _Slot(entry.key_origin, made, rank)
            if not isinstance(value, Mapping):
                return
        elif not isinstance(value, Mapping):
            self._wins(found, value, entry, rank)
            return
        elif not isinstance(found.value, _Open) and not self._wins(found, _Open(value.origin), entry, rank):
            return
        assert isinstance(found.value, _Open), "either it was, or it has become one"
        self.fill(found.value, value, rank, depth + len(parts))

    def _wins(self, slot: _Slot, value: _Open | Node, entry: Entry, rank: _Rank) -> bool:
        """Reports two values for one path, and keeps the new one if its key has the higher rank."""
        self._report(
            entry.key_origin,
            "GS0218",
            f"the key {quoted(entry.key)} and the one at line {slot.key_origin.line} give one path two values",
            'the Collector reads "::" in a key as a path of keys',
        )
        if rank <= slot.rank:
            return False
        slot.key_origin, slot.value, slot.rank = entry.key_origin, value, rank
        return True


def _close(made: _Open) -> Mapping:
    entries = (
        Entry(key, slot.key_origin, _close(slot.value) if isinstance(slot.value, _Open) else slot.value)
        for key, slot in made.slots.items()
    )
    return Mapping(tuple(entries), made.origin)
