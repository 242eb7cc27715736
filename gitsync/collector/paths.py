"""`receivers::otlp::protocols:`: the Collector reads `::` in a key as a path of keys."""

from __future__ import annotations

from dataclasses import dataclass, field

from gitsync.collector.builder import DEFAULT_LIMITS
from gitsync.collector.findings import Findings
from gitsync.collector.merge import SEPARATOR
from gitsync.collector.node import Entry, Mapping, Node, Origin
from gitsync.diagnostics import Diagnostic
from gitsync.wording import quoted


@dataclass(slots=True)
class _Open:
    """A map that is still being put together from several entries."""

    origin: Origin
    slots: dict[str, _Slot] = field(default_factory=dict)


@dataclass(slots=True)
class _Slot:
    key_origin: Origin
    value: _Open | Node


def expand_paths(mapping: Mapping) -> tuple[Mapping, tuple[Diagnostic, ...]]:
    """The map with every `a::b` key as nested maps, at all levels but inside lists, as the Collector does.

    Returns:
        The expanded map, and errors: two values for one path (GS0218), a path with an empty part or too
        many parts (GS0219). An entry with an error is left out. A map without such keys is returned as it is.
    """
    if not _has_paths(mapping):
        return mapping, ()
    findings = Findings(mapping.origin.path)
    root = _Open(mapping.origin)
    _fill(root, mapping, 1, findings)
    return _close(root), findings.done()


def _has_paths(mapping: Mapping) -> bool:
    return any(
        SEPARATOR in entry.key or (isinstance(entry.value, Mapping) and _has_paths(entry.value))
        for entry in mapping.entries
    )


def _fill(into: _Open, mapping: Mapping, depth: int, findings: Findings) -> None:
    for entry in mapping.entries:
        parts = entry.key.split(SEPARATOR)
        if len(parts) > 1 and not all(part.strip() for part in parts):
            findings.error(
                entry.key_origin,
                "GS0219",
                f"the key {quoted(entry.key)} has an empty part",
                'the Collector reads "::" in a key as a path of keys',
            )
        elif depth + len(parts) > DEFAULT_LIMITS.depth:
            findings.error(entry.key_origin, "GS0219", f"the key {quoted(entry.key)} leads too deep")
        else:
            _put(into, parts, entry, depth, findings)


def _put(into: _Open, parts: list[str], entry: Entry, depth: int, findings: Findings) -> None:
    for part in parts[:-1]:
        slot = into.slots.setdefault(part, _Slot(entry.key_origin, _Open(entry.key_origin)))
        if not isinstance(slot.value, _Open):
            _conflict(entry, slot, findings)
            return
        into = slot.value
    last, value = parts[-1], entry.value
    found = into.slots.get(last)
    if isinstance(value, Mapping):
        if found is None:
            found = into.slots[last] = _Slot(entry.key_origin, _Open(value.origin))
        if isinstance(found.value, _Open):
            _fill(found.value, value, depth + len(parts), findings)
            return
    if found is not None:
        _conflict(entry, found, findings)
        return
    into.slots[last] = _Slot(entry.key_origin, value)


def _conflict(entry: Entry, other: _Slot, findings: Findings) -> None:
    findings.error(
        entry.key_origin,
        "GS0218",
        f"the key {quoted(entry.key)} and the one at line {other.key_origin.line} give one path two values",
        'the Collector reads "::" in a key as a path of keys',
    )


def _close(made: _Open) -> Mapping:
    entries = (
        Entry(key, slot.key_origin, _close(slot.value) if isinstance(slot.value, _Open) else slot.value)
        for key, slot in made.slots.items()
    )
    return Mapping(tuple(entries), made.origin)
