"""Labels of agents and the selectors over them, as in Kubernetes, and what can be decided about selectors alone.

Labels come from several places; a higher rank hides a lower one of the same key (DESIGN section 4, "Labels").
`NotIn` also matches agents without the label, as in Kubernetes.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


class Rank(enum.IntEnum):
    """Where a label comes from; the higher value wins."""

    REPORTED = 0
    OPERATOR = 1
    TOKEN = 2
    CERTIFICATE = 3


class Operator(enum.StrEnum):
    """Operators of `matchExpressions`."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """One condition on one label.

    Attributes:
        values: sorted, without repeats; empty for Exists and DoesNotExist.
    """

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an agent with these labels meets the condition."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value in self.values
            case Operator.NOT_IN:
                return value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None

    def __str__(self) -> str:
        match self.operator:
            case Operator.IN if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case Operator.NOT_IN if len(self.values) == 1:
                return f"{self.key}!={self.values[0]}"
            case Operator.IN:
                return f"{self.key} in ({','.join(self.values)})"
            case Operator.NOT_IN:
                return f"{self.key} notin ({','.join(self.values)})"
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"


@dataclass(frozen=True, slots=True)
class Selector:
    """A conjunction of requirements, sorted and without repeats; an empty one matches every agent."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def of(cls, requirements: Iterable[Requirement]) -> Selector:
        """The canonical selector of these requirements."""
        return cls(tuple(sorted(set(requirements))))

    @classmethod
    def labels(cls, **labels: str) -> Selector:
        """All of these labels, for labels whose names are Python names."""
        return cls.of(equals(key, value) for key, value in labels.items())

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an agent with these labels is selected."""
        return all(one.matches(labels) for one in self.requirements)

    def keys(self) -> frozenset[str]:
        """Every label key that the decision depends on."""
        return frozenset(one.key for one in self.requirements)

    def and_(self, other: Selector) -> Selector:
        """The conjunction of both."""
        return Selector.of((*self.requirements, *other.requirements))

    def as_json(self) -> dict[str, Any]:
        """`{"matchLabels": {...}, "matchExpressions": [...]}`, canonical: equal selectors give equal objects."""
        match_labels: dict[str, str] = {}
        expressions: list[dict[str, Any]] = []
        for one in self.requirements:
            if one.operator is Operator.IN and len(one.values) == 1 and one.key not in match_labels:
                match_labels[one.key] = one.values[0]
                continue
            expression: dict[str, Any] = {"key": one.key, "operator": str(one.operator)}
            if one.values:
                expression["values"] = list(one.values)
            expressions.append(expression)
        return {"matchLabels": match_labels, "matchExpressions": expressions}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Selector:
        """The inverse of `as_json`.

        Raises:
            ValueError: an unknown operator, or values that do not fit it.
        """
        requirements = [equals(key, value) for key, value in data.get("matchLabels", {}).items()]
        expressions = data.get("matchExpressions", [])
        requirements += [requirement(one["key"], one["operator"], one.get("values", ())) for one in expressions]
        return cls.of(requirements)

    def __str__(self) -> str:
        return ",".join(str(one) for one in self.requirements) or "(everything)"


def equals(key: str, value: str) -> Requirement:
    """The requirement of one entry of `matchLabels`."""
    return Requirement(key, Operator.IN, (value,))


def requirement(key: str, operator: str, values: Iterable[str] = ()) -> Requirement:
    """A checked requirement.

    Raises:
        ValueError: an unknown operator, values missing for In and NotIn, or given for the others.
    """
    try:
        kind = Operator(operator)
    except ValueError:
        raise ValueError(f"unknown operator {operator!r}; known are In, NotIn, Exists, DoesNotExist") from None
    given = tuple(sorted(set(values)))
    if kind in (Operator.IN, Operator.NOT_IN) and not given:
        raise ValueError(f"operator {kind} needs at least one value")
    if kind in (Operator.EXISTS, Operator.DOES_NOT_EXIST) and given:
        raise ValueError(f"operator {kind} takes no values")
    return Requirement(key, kind, given)


_SET_TERM = re.compile(r"^(?P<key>[^\s!=(),]+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUAL_TERM = re.compile(r"^(?P<key>[^\s!=(),]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s!=(),]*)$")
_KEY_TERM = re.compile(r"^(?P<no>!?)\s*(?P<key>[^\s!=(),]+)$")


def parse_selector(text: str) -> Selector:
    """A selector in kubectl's string form: `k=v,k2!=v2,k3 in (a,b),k4 notin (c),k5,!k6`.

    Raises:
        ValueError: names the term that cannot be read.
    """
    requirements = [_parse_term(term.strip()) for term in re.split(r",(?![^()]*\))", text) if term.strip()]
    return Selector.of(requirements)


def _parse_term(term: str) -> Requirement:
    if found := _SET_TERM.match(term):
        operator = "In" if found["operator"] == "in" else "NotIn"
        return requirement(found["key"], operator, [one.strip() for one in found["values"].split(",") if one.strip()])
    if found := _EQUAL_TERM.match(term):
        operator = "NotIn" if found["operator"] == "!=" else "In"
        return requirement(found["key"], operator, [found["value"]])
    if found := _KEY_TERM.match(term):
        return requirement(found["key"], "DoesNotExist" if found["no"] else "Exists")
    raise ValueError(f"cannot read the selector term {term!r}; write k=v, k!=v, k in (a,b), k or !k")


@dataclass(slots=True)
class _Bounds:
    """What all requirements on one key leave open."""

    allowed: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()
    must_exist: bool = False
    must_lack: bool = False

    def add(self, one: Requirement) -> None:
        match one.operator:
            case Operator.IN:
                values = frozenset(one.values)
                self.allowed = values if self.allowed is None else self.allowed & values
                self.must_exist = True
            case Operator.NOT_IN:
                self.excluded |= frozenset(one.values)
            case Operator.EXISTS:
                self.must_exist = True
            case Operator.DOES_NOT_EXIST:
                self.must_lack = True

    def example(self) -> str | None:
        """A value that fits; "" never stands for absence here.

        Raises:
            LookupError: nothing fits.
        """
        if self.must_lack:
            if self.must_exist:
                raise LookupError
            return None
        if self.allowed is not None:
            left = self.allowed - self.excluded
            if not left:
                raise LookupError
            return min(left)
        if not self.must_exist:
            return None
        number = 0
        while (value := f"value{number or ''}") in self.excluded:
            number += 1
        return value


def witness(*selectors: Selector) -> dict[str, str] | None:
    """Labels that every one of these selectors matches; None when no agent can match them all.

    Label values are free strings, so the keys are independent of each other and the answer is exact.
    """
    bounds: dict[str, _Bounds] = {}
    for selector in selectors:
        for one in selector.requirements:
            bounds.setdefault(one.key, _Bounds()).add(one)
    labels: dict[str, str] = {}
    for key, bound in bounds.items():
        try:
            value = bound.example()
        except LookupError:
            return None
        if value is not None:
            labels[key] = value
    return labels


_NO_LABELS: Mapping[str, str] = MappingProxyType({})


def _no_labels() -> Mapping[str, str]:
    """One object for all agents: most have labels of one rank only."""
    return _NO_LABELS


@dataclass(frozen=True, slots=True)
class RankedLabels:
    """The labels of one agent, by where they come from."""

    reported: Mapping[str, str] = field(default_factory=_no_labels)
    operator: Mapping[str, str] = field(default_factory=_no_labels)
    token: Mapping[str, str] = field(default_factory=_no_labels)
    certificate: Mapping[str, str] = field(default_factory=_no_labels)
    seen: tuple[Any, ...] | None = field(default=None, init=False, compare=False, repr=False)
    """What somebody worked out from these labels, for the next time; no part of the value."""

    def remember(self, seen: tuple[Any, ...]) -> None:
        """Sets `seen`."""
        object.__setattr__(self, "seen", seen)

    def of_rank(self, rank: Rank) -> Mapping[str, str]:
        """The labels that come from one place."""
        return (self.reported, self.operator, self.token, self.certificate)[rank]

    def effective(self, *, trusted_only: bool = False) -> Mapping[str, str]:
        """One value per key, the highest rank wins; `trusted_only` ignores what is merely reported."""
        if not (self.operator or self.token or self.certificate):
            return _NO_LABELS if trusted_only else self.reported
        reported = _NO_LABELS if trusted_only else self.reported
        return {**reported, **self.operator, **self.token, **self.certificate}


def resolve(labels: Mapping[str, str], aliases: Mapping[str, tuple[str, ...]]) -> Mapping[str, str]:
    """The labels with aliases filled in: an agent's own label of that name first, then the list in order."""
    if not aliases:
        return labels
    resolved = dict(labels)
    for name, keys in aliases.items():
        if name in labels:
            continue
        for key in keys:
            if key in labels:
                resolved[name] = labels[key]
                break
    return resolved
