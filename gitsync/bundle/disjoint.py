"""Whether an agent can match several selectors at once: decided from the selectors alone, with aliases.

Label values are free strings and keys are independent of each other, except where an alias stands for other keys
(`labels.resolve`: an agent's own label of that name comes first, then the list). The answers are exact.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from gitsync.labels import Operator, Requirement, Selector, equals, witness

Aliases = Mapping[str, tuple[str, ...]]

_NEGATION = {
    Operator.IN: Operator.NOT_IN,
    Operator.NOT_IN: Operator.IN,
    Operator.EXISTS: Operator.DOES_NOT_EXIST,
    Operator.DOES_NOT_EXIST: Operator.EXISTS,
}
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_WORDS = frozenset({"y", "yes", "n", "no", "on", "off", "true", "false", "null"})


def common_labels(aliases: Aliases, *selectors: Selector) -> dict[str, str] | None:
    """Labels of an agent that all these selectors match, aliases resolved; None when there can be none."""
    requirements = [one for selector in selectors for one in selector.requirements]
    # A name is absent only if all its stand-ins are absent too.
    absent = [one for one in requirements if one.operator is Operator.DOES_NOT_EXIST]
    implied = [Requirement(key, Operator.DOES_NOT_EXIST) for one in absent for key in aliases.get(one.key, ())]
    labels = witness(Selector.of([*requirements, *implied]))
    if labels is None:
        return None
    # A name that is only forbidden some values: a stand-in could give it one of them, so it gets a value of its own.
    lacking = {one.key for one in absent}
    for name, keys in aliases.items():
        if name not in labels and name not in lacking and any(key in labels for key in keys):
            forbidden = {value for one in requirements if one.key == name for value in one.values}
            if forbidden:
                labels[name] = _other_than(forbidden)
    return labels


def _other_than(values: Iterable[str]) -> str:
    taken = set(values)
    number = 0
    while (value := f"value{number or ''}") in taken:
        number += 1
    return value


def candidate_pairs(selectors: Sequence[Selector]) -> Iterator[tuple[int, int]]:
    """Pairs of positions that are not plainly disjoint, each once; every pair that can overlap is among them.

    Siblings mostly differ in the value of one label: grouping by the label that most of them fix keeps thousands of
    siblings from being compared each with each.
    """
    allowed = [_allowed(one) for one in selectors]
    uses: dict[str, int] = defaultdict(int)
    for one in allowed:
        for key in one:
            uses[key] += 1
    if not uses:
        yield from combinations(range(len(selectors)), 2)
        return
    common = max(sorted(uses), key=lambda key: uses[key])
    groups: dict[str, list[int]] = defaultdict(list)
    free = [index for index, one in enumerate(allowed) if common not in one]
    for index, one in enumerate(allowed):
        for value in one.get(common, ()):
            groups[value].append(index)
    seen: set[tuple[int, int]] = set()
    for group in groups.values():
        seen.update(combinations(group, 2))
    fixed = [index for index, one in enumerate(allowed) if common in one]
    seen.update((min(a, b), max(a, b)) for a in free for b in fixed)
    seen.update(combinations(free, 2))
    for a, b in sorted(seen):
        if not plainly_disjoint(allowed[a], allowed[b]):
            yield a, b


def fixed_values(selector: Selector) -> Mapping[str, frozenset[str]]:
    """For each key that must have one of some values: these values."""
    return _allowed(selector)


def _allowed(selector: Selector) -> dict[str, frozenset[str]]:
    allowed: dict[str, frozenset[str]] = {}
    for one in selector.requirements:
        if one.operator is Operator.IN:
            values = frozenset(one.values)
            allowed[one.key] = allowed[one.key] & values if one.key in allowed else values
    return allowed


def plainly_disjoint(a: Mapping[str, frozenset[str]], b: Mapping[str, frozenset[str]]) -> bool:
    """Whether two `fixed_values` leave no value for a key that both fix; a quick test, true only when it is so."""
    return any(key in b and values.isdisjoint(b[key]) for key, values in a.items())


def separation(aliases: Aliases, keep: Selector, change: Selector) -> Requirement | None:
    """A requirement that, added to `change`, makes it disjoint from `keep` and leaves it satisfiable.

    Returns:
        None when there is none: `change` selects only agents that `keep` selects too.
    """
    others = change.keys()
    choices = [one for one in keep.requirements if one not in change.requirements]
    # A label that the other side does not speak of reads best; then values, then presence.
    choices.sort(key=lambda one: (one.key in others, one.operator is not Operator.IN, one))
    for one in choices:
        negated = Requirement(one.key, _NEGATION[one.operator], one.values)
        if common_labels(aliases, change, Selector.of([negated])) is not None:
            return negated
    return None


def as_yaml(one: Requirement) -> str:
    """The requirement as an item of `matchExpressions`: `- {key: role, operator: NotIn, values: [gateway]}`."""
    values = f", values: [{', '.join(_flow(value) for value in one.values)}]" if one.values else ""
    return f"- {{key: {_flow(one.key)}, operator: {one.operator}{values}}}"


def show_labels(labels: Mapping[str, str]) -> str:
    """Labels for a message: `role=gateway,env=prod`."""
    return ",".join(str(equals(key, value)) for key, value in sorted(labels.items())) or "no labels at all"


def _flow(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
