"""Which context a group of texts belongs to, when nobody says.

Source: pkg/ottl/context_inferrer.go and parser_collection.go of v0.149.0 and v0.159.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gitsync.diagnostics import Severity
from gitsync.ottl.finding import Finding
from gitsync.ottl.tables import CONVERTER_KEYS, Function, OttlTables
from gitsync.ottl.tree import (
    Arithmetic,
    Call,
    Comparison,
    Items,
    Lambda,
    Logic,
    Name,
    Node,
    Not,
    Pairs,
    Path,
    Root,
    Signed,
    Statement,
)
from gitsync.wording import quoted

PRIORITY: Final = (
    "log",
    "exemplar",
    "datapoint",
    "metric",
    "spanevent",
    "span",
    "profile",
    "scope",
    "instrumentation_scope",
    "resource",
)
"""The context that wins comes first."""
_MEANT: Final = ("log", "span", "metric", "datapoint", "profile", "spanevent", "exemplar", "scope", "resource")
"""The context that people mean comes first, for hints."""
_LAST: Final = len(PRIORITY)


@dataclass(frozen=True, slots=True)
class Inferred:
    """The context of a group, or why there is none; `index` is the text that the finding belongs to."""

    context: str | None
    finding: Finding | None = None
    index: int = 0


def infer(
    roots: Sequence[Root],
    candidates: Sequence[str],
    tables: OttlTables,
    functions_of: Callable[[str], Mapping[str, Function]],
) -> Inferred:
    """The one context of all texts of a group.

    Args:
        roots: their trees, at least one.
        candidates: contexts that the component offers there, such as resource, scope, span and spanevent.
        tables: of the release.
        functions_of: functions that the component offers in a context.
    """
    hints = _Hints(converter_keys=tables.release >= CONVERTER_KEYS)
    for index, root in enumerate(roots):
        hints.index = index
        hints.root(root)
    best = _best(hints, tables)
    if best is None:
        return _no_context(roots, hints, candidates, tables)
    name, node, index = best
    intended = _intended(name, hints, candidates, tables)
    if intended:
        return Inferred(intended)
    if not hints.functions and not hints.enums and name in candidates:
        return Inferred(name)
    if name not in tables.contexts and name in hints.bare:
        path, node, index = hints.bare[name]
        meant = _meant(path, candidates, tables)
        if meant:
            message = f"the path {quoted(path)} has no context in front"
            return Inferred(None, _error(node.start, node.end, "GS1021", message, f"write {meant}"), index)
    if name not in candidates:
        message = f"the context {quoted(name)} is not one of {', '.join(candidates)}"
        hint = "write scope" if name == "instrumentation_scope" else ""
        return Inferred(None, _error(node.start, node.end, "GS1031", message, hint), index)
    missing = _missing(name, hints, tables, functions_of)
    if missing is None:
        return Inferred(name)
    lower = [one for one in candidates if one != name and name in tables.contexts[one].prefixes]
    for other in sorted(lower, key=_rank):
        if _missing(other, hints, tables, functions_of) is None:
            return Inferred(other)
    node, index, what = missing
    message = f"the paths mean the context {name}, which has no {what}"
    return Inferred(
        None, _error(node.start, node.end, "GS1031", message, "all texts of a group share one context"), index
    )


def _intended(name: str, hints: _Hints, candidates: Sequence[str], tables: OttlTables) -> str:
    """The more specific context of a path that lacks its own; empty when all paths fit where they are.

    Such a path is refused in any context, so only the words for it depend on which one it is judged in.
    """
    for first, (path, _, _) in hints.bare.items():
        if name not in tables.contexts or first in tables.contexts or f"{name}.{path}" in tables.contexts[name].paths:
            continue
        meant = _meant(path, candidates, tables).partition(".")[0]
        if meant and name in tables.contexts[meant].prefixes:
            return meant
    return ""


def _no_context(roots: Sequence[Root], hints: _Hints, candidates: Sequence[str], tables: OttlTables) -> Inferred:
    """What to say when no path begins with a context: at the first path that could, else at the first text."""
    message = "no path begins with a context, so the context cannot be found out"
    for path, node, index in hints.bare.values():
        meant = _meant(path, candidates, tables)
        if meant:
            return Inferred(None, _error(node.start, node.end, "GS1030", message, f"write {meant}"), index)
    likely = next((one for one in _MEANT if one in candidates), "resource")
    return Inferred(None, _error(0, roots[0].end, "GS1030", message, f"write {likely}.… in front of a path"))


def _meant(path: str, candidates: Sequence[str], tables: OttlTables) -> str:
    """A path with its context in front; empty when no context has such a path."""
    found = (one for one in _MEANT if one in candidates and f"{one}.{path}" in tables.contexts[one].paths)
    context = next(found, "")
    return context and f"{context}.{path}"


def _rank(context: str) -> int:
    return PRIORITY.index(context) if context in PRIORITY else _LAST


def _error(start: int, end: int, code: str, message: str, hint: str = "") -> Finding:
    return Finding(start, end, Severity.ERROR, code, message, hint)


def _best(hints: _Hints, tables: OttlTables) -> tuple[str, Node, int] | None:
    """The context that wins among those of all paths; before exemplars were known their context came last."""
    best: tuple[str, Node, int] | None = None
    best_rank = _LAST + 1
    for name, node, index in hints.paths:
        rank = _rank(name) if name != "exemplar" or name in tables.contexts else _LAST
        if rank < best_rank:
            best, best_rank = (name, node, index), rank
    return best


def _missing(
    context: str, hints: _Hints, tables: OttlTables, functions_of: Callable[[str], Mapping[str, Function]]
) -> tuple[Node, int, str] | None:
    """The first function or enum symbol that a context lacks, and in which text it stands."""
    functions = functions_of(context)
    for name, (node, index) in hints.functions.items():
        # One that is nowhere decides nothing: the check of the context names the one that was meant.
        if name not in functions and (name in tables.functions or tables.places_of(name)):
            return node, index, f"function {quoted(name)}"
    enums = tables.contexts[context].enums
    for name, (node, index) in hints.enums.items():
        elsewhere = name in tables.functions or any(name in one.enums for one in tables.contexts.values())
        if name not in enums and elsewhere:
            return node, index, f"enum symbol {quoted(name)}"
    return None


@dataclass(slots=True)
class _Hints:
    """Contexts of paths, functions and enum symbols, each with its place, gathered from trees one after the other.

    Attributes:
        bare: by first name, the first path that begins with it; what is no context there lacks one.
    """

    converter_keys: bool
    index: int = 0
    paths: list[tuple[str, Node, int]] = field(default_factory=list)
    bare: dict[str, tuple[str, Node, int]] = field(default_factory=dict)
    functions: dict[str, tuple[Node, int]] = field(default_factory=dict)
    enums: dict[str, tuple[Node, int]] = field(default_factory=dict)
    _locals: list[frozenset[str]] = field(default_factory=list)

    def root(self, node: Root) -> None:
        if isinstance(node, Statement):
            self._call(node.editor)
            if node.condition is not None:
                self._visit(node.condition)
        else:
            self._visit(node)

    def _visit(self, node: Node) -> None:
        match node:
            case Path():
                self._path(node)
            case Call():
                self._call(node)
            case Name(name=name):
                self.enums.setdefault(name, (node, self.index))
            case Comparison(left=left, right=right) | Arithmetic(left=left, right=right):
                self._visit(left)
                self._visit(right)
            case Logic(conditions=parts) | Items(items=parts):
                for one in parts:
                    self._visit(one)
            case Pairs(pairs=pairs):
                for pair in pairs:
                    self._visit(pair.value)
            case Not(condition=inner) | Signed(value=inner):
                self._visit(inner)
            case Lambda():
                self._locals.append(frozenset(one.name for one in node.parameters if one.name != "_"))
                self._visit(node.body)
                self._locals.pop()
            case _:
                pass

    def _path(self, node: Path) -> None:
        first = node.fields[0]
        if not any(first.name in frame for frame in self._locals):
            full = ".".join([one.name for one in node.fields])
            self.bare.setdefault(first.name, (full, Node(first.start, node.fields[-1].name_end), self.index))
            if len(node.fields) > 1 and not first.keys:
                self.paths.append((first.name, Node(first.start, first.name_end), self.index))
        for one in node.fields:
            for key in one.keys:
                self._visit(key.value)

    def _call(self, node: Call) -> None:
        self.functions.setdefault(node.name, (Node(node.start, node.name_end), self.index))
        for argument in node.arguments:
            self._visit(argument.value)
        if self.converter_keys:
            for key in node.keys:
                self._visit(key.value)
