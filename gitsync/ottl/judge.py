"""Judges texts: reads each one, finds out its context, and checks it there.

judge_text    one text whose context is known
judge_group   the statements and conditions of one group, which share a context that may have to be found out
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gitsync.diagnostics import Severity
from gitsync.ottl.check import Scope, check
from gitsync.ottl.finding import Finding
from gitsync.ottl.inference import infer
from gitsync.ottl.parser import parse
from gitsync.ottl.tables import Context, Function, OttlTables
from gitsync.ottl.tree import Kind
from gitsync.wording import did_you_mean, quoted

TRANSFORM: Final = "processor/transform"
FILTER: Final = "processor/filter"

SIGNAL_CONTEXTS: Final[dict[str, tuple[str, ...]]] = {
    "traces": ("resource", "scope", "span", "spanevent"),
    "metrics": ("resource", "scope", "metric", "datapoint", "exemplar"),
    "logs": ("resource", "scope", "log"),
    "profiles": ("resource", "scope", "profile"),
}
"""Contexts that the transform processor offers by signal; the filter processor has no exemplars."""
MOST_WRONG: Final = 200
"""Wrong texts of a group after which only the grammar of the others is checked."""


@dataclass(frozen=True, slots=True)
class Group:
    """Texts that share one context.

    Attributes:
        context: as written; None when nobody says.
        statements: may be empty.
        conditions: may be empty.
    """

    context: str | None
    statements: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupFindings:
    """What is wrong with a group, text by text.

    Attributes:
        context: that was said or found out; None when it is unknown.
        whole: what is wrong with the group itself: an unknown context.
        statements: findings of each statement, in their order.
        conditions: findings of each condition, in their order.
    """

    context: str | None
    whole: tuple[Finding, ...]
    statements: tuple[tuple[Finding, ...], ...]
    conditions: tuple[tuple[Finding, ...], ...]


def judge_text(
    text: str,
    kind: Kind,
    context: str,
    tables: OttlTables,
    *,
    functions: Mapping[str, Function] | None = None,
    contextless: bool = False,
    gates: frozenset[str] = frozenset(),
) -> tuple[Finding, ...]:
    """What is wrong with one text.

    Args:
        text: as written.
        kind: what it should be.
        context: `span`, `log`, …; case does not count.
        tables: of the release.
        functions: that are available; those of the transform processor when not given.
        contextless: whether a path may leave out its context.
        gates: feature gates that are on.
    """
    known = tables.contexts.get(context) or tables.contexts.get(context.lower())
    if known is None:
        return (_unknown_context(context, tables),)
    parsed = parse(text, kind)
    if parsed.root is None:
        return parsed.findings
    available = functions if functions is not None else tables.functions_for(TRANSFORM, known.name)
    found = check(parsed.root, kind, Scope(tables, known, available, gates, contextless))
    return parsed.findings + found if parsed.findings else found


def judge_group(
    group: Group,
    tables: OttlTables,
    candidates: Sequence[str],
    *,
    component: str = TRANSFORM,
    conditions_of: str = FILTER,
    separately: bool = False,
    gates: frozenset[str] = frozenset(),
) -> GroupFindings:
    """What is wrong with the texts of a group.

    A group that says its context may leave it out of its paths. In one that does not, every path begins with a
    context, and the most specific one is the context of all.

    Args:
        group: its texts.
        tables: of the release.
        candidates: contexts that can be had there; unknown ones are left out.
        component: whose functions statements may use, and that count when the context is found out.
        conditions_of: whose functions conditions may use; the transform processor uses those of the filter processor.
        separately: whether each text has a context of its own when nobody says one, as in the filter processor.
        gates: feature gates that are on.
    """
    offered = [one for one in candidates if one in tables.contexts]
    statements = [_Text(one, "statement", tables, component, gates) for one in group.statements]
    conditions = [_Text(one, "condition", tables, conditions_of, gates) for one in group.conditions]
    texts = statements + conditions
    whole: tuple[Finding, ...] = ()
    name: str | None = None
    if group.context is not None:
        context = tables.contexts.get(group.context.lower())
        if context is None or context.name not in offered:
            whole = (_unknown_context(group.context, tables, offered),)
        else:
            name = context.name
            _check(texts, context, contextless=True)
    else:
        for part in [[one] for one in texts] if separately else [texts]:
            found = _inferred(part, tables, offered, component)
            if found is None:
                continue
            name = found.name
            _check(part, found, contextless=False)
        if separately and len(texts) > 1:
            name = None
    return GroupFindings(
        name, whole, tuple(tuple(one.findings) for one in statements), tuple(tuple(one.findings) for one in conditions)
    )


class _Text:
    """One text of a group: its tree, and what was found so far."""

    __slots__ = ("_component", "_gates", "_kind", "_tables", "findings", "root")

    def __init__(self, text: str, kind: Kind, tables: OttlTables, component: str, gates: frozenset[str]) -> None:
        parsed = parse(text, kind)
        self.root = parsed.root
        self.findings = list(parsed.findings)
        self._kind: Kind = kind
        self._tables = tables
        self._component = component
        self._gates = gates

    def check(self, context: Context, *, contextless: bool) -> None:
        if self.root is not None:
            functions = self._tables.functions_for(self._component, context.name)
            scope = Scope(self._tables, context, functions, self._gates, contextless)
            self.findings.extend(check(self.root, self._kind, scope))

    def check_functions(self, context: Context) -> None:
        """Reports functions that are nowhere, of a text whose context is not known."""
        if self.root is not None:
            functions = self._tables.functions_for(self._component, context.name)
            scope = Scope(self._tables, context, functions, self._gates, contextless=True)
            self.findings.extend(one for one in check(self.root, self._kind, scope) if one.code == "GS1040")


def _check(texts: Sequence[_Text], context: Context, *, contextless: bool) -> None:
    """Checks texts until so many are wrong that nobody reads on: reading them all is cheap, finding hints is not."""
    wrong = 0
    for one in texts:
        if wrong >= MOST_WRONG:
            return
        one.check(context, contextless=contextless)
        wrong += any(found.severity is Severity.ERROR for found in one.findings)


def _inferred(texts: Sequence[_Text], tables: OttlTables, offered: Sequence[str], component: str) -> Context | None:
    """The context of texts that share one; where there is none, the finding is added to the text it belongs to."""
    readable = [one for one in texts if one.root is not None]
    roots = [one.root for one in readable if one.root is not None]
    if not roots:
        return None
    found = infer(roots, offered, tables, lambda name: tables.functions_for(component, name))
    if found.finding is not None:
        readable[found.index].findings.append(found.finding)
        for one in readable if offered else ():
            one.check_functions(tables.contexts[offered[-1]])
    return tables.contexts[found.context] if found.context is not None else None


def _unknown_context(name: str, tables: OttlTables, offered: Sequence[str] | None = None) -> Finding:
    names = sorted(offered if offered is not None else tables.contexts)
    hint = did_you_mean(name, names) or f"contexts here are {', '.join(names)}"
    return Finding(0, 0, Severity.ERROR, "GS1020", f"there is no context {quoted(name)} here", hint)
