"""Builds the node tree from the parser's events, within limits.

Sizes are computed bottom-up, as numbers: an alias adds what it would expand to, and nothing is ever expanded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, cast

from yaml import events

from gitsync.collector.findings import Findings
from gitsync.collector.node import Entry, Mapping, Node, Origin, Scalar, Sequence, Style, Tag, kind
from gitsync.collector.scalars import resolve
from gitsync.wording import did_you_mean, quoted


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost.

    Attributes:
        file_bytes: size of the file.
        depth: maps and lists inside each other, through aliases too.
        nodes: keys, values, maps and lists that are written in the file.
        expanded_nodes: the same with every alias and merge key written out.
        expanded_bytes: texts, and the path of keys that leads to each value, with every alias written out.
        key_chars: length of one key.
    """

    file_bytes: int = 1 << 20
    depth: int = 64
    nodes: int = 100_000
    expanded_nodes: int = 300_000
    expanded_bytes: int = 32 << 20
    key_chars: int = 1024


DEFAULT_LIMITS = Limits()


class Refused(Exception):
    """A limit is passed, or nothing sensible can follow: reading stops here."""

    def __init__(self, at: Origin, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.at, self.code, self.message, self.hint = at, code, message, hint


@dataclass(slots=True)
class _Size:
    """Of one node with all its aliases written out: how many nodes, how many bytes, how deep."""

    nodes: int = 1
    cost: int = 0
    height: int = 0


@dataclass(slots=True)
class _Frame:
    """A list or map whose end has not come yet."""

    kind: Literal["list", "map"]
    origin: Origin
    anchor: str | None
    size: _Size = field(default_factory=_Size)
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    merged: list[Mapping] = field(default_factory=list)
    merge_at: Origin | None = None
    key: _Key | None = None


@dataclass(slots=True)
class _Key:
    """A key that waits for its value; `use` says what becomes of it."""

    text: str
    origin: Origin
    use: Literal["entry", "merge", "drop"]


_STANDARD = "tag:yaml.org,2002:"
_ITEM_COST = 8
"""Bytes that a list index adds to a path, about."""


class Builder:
    """Takes events one by one; `root` is the tree after the last one.

    Attributes:
        root: None before the first document's end, and for a file without content.
        ended: a second document began that does not count.
    """

    def __init__(self, path: str, limits: Limits, findings: Findings, *, as_the_collector: bool = False) -> None:
        self.root: Node | None = None
        self.ended = False
        self._as_the_collector = as_the_collector
        self._closed: Origin | None = None
        self._path = path
        self._limits = limits
        self._findings = findings
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Node, _Size] | _Frame] = {}
        self._nodes = 0
        self._expanded = 0
        self._documents = 0

    def feed(self, event: events.Event) -> None:
        """Takes the next event.

        Raises:
            Refused: reading must stop.
        """
        if isinstance(event, events.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, events.CollectionStartEvent):
            self._open(event)
        elif isinstance(event, events.CollectionEndEvent):
            self._close()
        elif isinstance(event, events.AliasEvent):
            self._alias(event)
        elif isinstance(event, events.DocumentStartEvent):
            self._documents += 1
            if self._as_the_collector and event.version not in (None, (1, 1)):
                message = "the Collector takes no %YAML directive but that of version 1.1"
                self._findings.error(self._origin(event), "GS0110", message, "leave the line out")
            if self._documents > 1:
                self._end(self._origin(event))
        elif isinstance(event, events.DocumentEndEvent):
            self._closed = self._origin(event)

    def skip_rest(self) -> bool:
        """Whether what cannot be read stands behind the end of the first document, and does not count."""
        if self._closed is None or not self._as_the_collector:
            return False
        self._end(self._closed)
        return True

    def _end(self, at: Origin) -> None:
        message = "a second document begins here"
        hint = 'the Collector would ignore it silently; make it a file of its own, or remove the "---"'
        if not self._as_the_collector:
            raise Refused(at, "GS0114", message, hint)
        self._findings.warning(at, "GS0114", message, hint)
        self.ended = True

    def _origin(self, event: events.Event) -> Origin:
        mark = event.start_mark
        assert mark is not None, "the parser marks every event"
        return Origin(self._path, mark.line + 1, mark.column + 1)

    def _count(self, at: Origin, size: _Size) -> None:
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            raise Refused(at, "GS0105", f"more than {self._limits.nodes} values in one file", "split the file")
        self._expanded += size.nodes
        if self._expanded > self._limits.expanded_nodes:
            raise self._too_big(at)

    def _too_big(self, at: Origin) -> Refused:
        message = f"more than {self._limits.expanded_nodes} values or {self._limits.expanded_bytes} bytes"
        return Refused(at, "GS0106", f"{message} once aliases and merge keys are written out", "use fewer aliases")

    def _check_depth(self, at: Origin, depth: int) -> None:
        if depth > self._limits.depth:
            raise Refused(at, "GS0104", f"more than {self._limits.depth} maps and lists inside each other")

    def _scalar(self, event: events.ScalarEvent) -> None:
        at = self._origin(event)
        style = cast("Style", event.style or "plain")
        node = Scalar(self._tag(event, at, style), event.value, at, style)
        size = _Size(cost=len(node.text))
        self._count(at, size)
        is_merge = style == "plain" and node.text == "<<" and event.tag is None
        self._add(node, size, at, is_merge=is_merge)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, size)

    def _tag(self, event: events.ScalarEvent, at: Origin, style: Style) -> Tag:
        if event.tag is None:
            return resolve(event.value) if style == "plain" else "str"
        name = event.tag.removeprefix(_STANDARD)
        if event.tag == "!" or name == "str":
            return "str"
        if name not in ("int", "float", "bool", "null"):
            self._bad_tag(event.tag, at)
        elif resolve(event.value) != name:
            self._report_tag(at, f'the value does not fit its tag "!!{name}"', "leave the tag out")
            return resolve(event.value) if self._as_the_collector else "str"
        else:
            return name
        return "str"

    def _bad_tag(self, tag: str, at: Origin) -> None:
        shown = "!!" + tag.removeprefix(_STANDARD) if tag.startswith(_STANDARD) else tag
        hint = 'put the value in double quotes if the "!" belongs to it'
        self._report_tag(at, f"the tag {quoted(shown)} is not supported", hint)

    def _report_tag(self, at: Origin, message: str, hint: str) -> None:
        say = self._findings.warning if self._as_the_collector else self._findings.error
        say(at, "GS0115", message, hint)

    def _open(self, event: events.CollectionStartEvent) -> None:
        at = self._origin(event)
        self._check_depth(at, len(self._stack) + 1)
        what: Literal["list", "map"] = "map" if isinstance(event, events.MappingStartEvent) else "list"
        if event.tag not in (None, "!", _STANDARD + ("map" if what == "map" else "seq")):
            self._bad_tag(event.tag, at)
        frame = _Frame(what, at, event.anchor)
        self._count(at, frame.size)
        if event.anchor is not None:
            self._anchors[event.anchor] = frame
        self._stack.append(frame)

    def _close(self) -> None:
        frame = self._stack.pop()
        node: Node
        if frame.kind == "list":
            node = Sequence(tuple(frame.items), frame.origin)
        else:
            entries = dict(frame.entries)
            for source in frame.merged:
                for entry in source.entries:
                    entries.setdefault(entry.key, entry)
            node = Mapping(tuple(entries.values()), frame.origin)
        frame.size.height += 1
        if frame.anchor is not None and self._anchors.get(frame.anchor) is frame:
            self._anchors[frame.anchor] = (node, frame.size)
        self._add(node, frame.size, frame.origin)

    def _alias(self, event: events.AliasEvent) -> None:
        at = self._origin(event)
        name = str(event.anchor)
        target = self._anchors.get(name)
        if target is None:
            known = [one for one, what in self._anchors.items() if not isinstance(what, _Frame)]
            hint = did_you_mean(name, known) or 'put a value that starts with "*" in double quotes'
            raise Refused(at, "GS0108", f"no anchor {quoted('&' + name)} before this alias", hint)
        if isinstance(target, _Frame):
            raise Refused(at, "GS0107", f"the alias {quoted('*' + name)} stands inside its own anchor")
        node, size = target
        self._check_depth(at, len(self._stack) + size.height)
        self._count(at, size)
        self._add(node, size, at)

    def _add(self, node: Node, size: _Size, at: Origin, *, is_merge: bool = False) -> None:
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        step = _ITEM_COST
        if frame.kind == "map" and frame.key is not None:
            step = len(frame.key.text) + 2
        total = frame.size
        total.nodes += size.nodes
        total.cost += size.cost + step * size.nodes
        total.height = max(total.height, size.height)
        if total.cost > self._limits.expanded_bytes:
            raise self._too_big(at)
        if frame.kind == "list":
            frame.items.append(node)
        elif frame.key is None:
            frame.key = self._as_key(frame, node, at, is_merge=is_merge)
        else:
            key, frame.key = frame.key, None
            if key.use == "entry":
                frame.entries[key.text] = Entry(key.text, key.origin, node)
            elif key.use == "merge":
                self._merge(frame, node, at)

    def _as_key(self, frame: _Frame, node: Node, at: Origin, *, is_merge: bool) -> _Key:
        if not isinstance(node, Scalar) or node.tag == "null":
            what = "empty" if isinstance(node, Scalar) else kind(node)
            hint = "put the key in quotes"
            if not isinstance(node, Scalar):
                hint = "templates like {{ name }} are not filled in; put a text that contains them in quotes"
            self._findings.error(at, "GS0116", f"a key must be text, this one is {what}", hint)
            return _Key("", at, "drop")
        if len(node.text) > self._limits.key_chars:
            self._findings.error(at, "GS0119", f"a key of more than {self._limits.key_chars} characters")
            return _Key("", at, "drop")
        first = frame.merge_at if is_merge else None
        if not is_merge and node.text in frame.entries:
            first = frame.entries[node.text].key_origin
        if first is not None:
            hint = "merge several maps with <<: [*one, *two]" if is_merge else "the Collector refuses this; keep one"
            self._findings.error(
                at,
                "GS0113",
                f"the key {quoted(node.text)} is already defined in this map at line {first.line}",
                hint,
            )
            return _Key(node.text, at, "drop")
        if is_merge:
            frame.merge_at = at
            return _Key(node.text, at, "merge")
        return _Key(node.text, at, "entry")

    def _merge(self, frame: _Frame, node: Node, at: Origin) -> None:
        sources = node.items if isinstance(node, Sequence) else (node,)
        for source in sources:
            if isinstance(source, Mapping):
                frame.merged.append(source)
            else:
                self._findings.error(
                    at,
                    "GS0117",
                    f'"<<" merges maps, this is {kind(source)}',
                    "write <<: *anchor, or quote the key",
                )
                return
