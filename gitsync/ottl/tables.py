"""What one release of the Collector knows of its language: contexts, paths, enums, functions and their arguments.

The values come from `schemas/collector/<version>/ottl.json` (format: schemas/collector/README.md). What a function
gives back, and what its constructor refuses, is not in there: `returns` and `constructors` have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, Self, TypeAlias

Index: TypeAlias = Literal["none", "any", "one"]
"""How many keys a path takes."""

LAMBDA_GATE: Final = "ottl.functions.enableLambda"
CONVERTER_KEYS: Final = (0, 155)
"""The first release known to look into the keys behind a converter before they are used; 0.149 does not."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function; `kind` is the Go type (`StringGetter`, `[]string`), `optional` may be left out."""

    name: str
    kind: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """An editor (lower case) or a converter.

    Attributes:
        name: as it is written.
        parameters: in their order.
        gate: the feature gate that it needs; None for most.
        required: how many arguments are needed.
    """

    name: str
    parameters: tuple[Parameter, ...] = ()
    gate: str | None = None
    required: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "required", sum(not one.optional for one in self.parameters))


@dataclass(frozen=True, slots=True)
class PathRule:
    """One path of a context; `type` is a word of the table (`string`, `map`, `SpanID`, …)."""

    name: str
    type: str
    writable: bool
    index: Index


@dataclass(frozen=True, slots=True)
class Context:
    """What statements of one context may name.

    Attributes:
        name: `span`, `log`, …
        paths: by the whole name with its context in front, `span.status.code`.
        enums: symbol to number.
        prefixes: contexts whose paths can be reached from here, itself included.
    """

    name: str
    paths: Mapping[str, PathRule]
    enums: Mapping[str, int]
    prefixes: frozenset[str]


@dataclass(frozen=True, slots=True)
class OttlTables:
    """All of one release."""

    version: str
    functions: Mapping[str, Function]
    standard: frozenset[str]
    components: Mapping[str, Mapping[str, frozenset[str]]]
    contexts: Mapping[str, Context]
    _available: dict[tuple[str, str], Mapping[str, Function]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Tables out of the parsed data file.

        Raises:
            KeyError: the data does not follow its format.
        """
        writable = frozenset(
            path for one in data["contexts"].values() for path, rule in one["paths"].items() if rule.get("writable")
        )
        return cls(
            version=data["version"],
            functions={name: _function(name, one) for name, one in data["functions"].items()},
            standard=frozenset(data["standard"]),
            components={
                component: {context: frozenset(names) for context, names in contexts.items()}
                for component, contexts in data.get("components", {}).items()
            },
            contexts={name: _context(name, one, writable) for name, one in data["contexts"].items()},
        )

    def functions_for(self, component: str, context: str) -> Mapping[str, Function]:
        """Functions by name that a component offers in a context: the standard ones and its own.

        Args:
            component: kind and type, `processor/transform`; an unknown one has the standard functions.
            context: `span`, `log`, …
        """
        key = (component, context)
        found = self._available.get(key)
        if found is None:
            names = self.standard | self.components.get(component, {}).get(context, frozenset())
            found = MappingProxyType({name: self.functions[name] for name in sorted(names) if name in self.functions})
            if component in self.components and context in self.contexts:
                self._available[key] = found
        return found

    def places_of(self, function: str) -> tuple[tuple[str, str], ...]:
        """Components and contexts that offer this function beyond the standard ones, sorted."""
        return tuple(
            sorted(
                (component, context)
                for component, contexts in self.components.items()
                for context, names in contexts.items()
                if function in names
            )
        )

    @property
    def release(self) -> tuple[int, int]:
        """The version as two numbers, `(0, 159)`."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)


def _function(name: str, data: Mapping[str, Any]) -> Function:
    return Function(
        name,
        tuple(Parameter(one["name"], one["kind"], bool(one.get("optional"))) for one in data["args"]),
        data.get("gate"),
    )


def _context(name: str, data: Mapping[str, Any], writable: frozenset[str]) -> Context:
    """One context; a path that some context can write counts as writable everywhere: data of its kind may be needed."""
    paths = {
        path: PathRule(path, _type(one.get("type", "any")), path in writable, one.get("index", "none"))
        for path, one in data["paths"].items()
    }
    prefixes = frozenset(path.split(".", 1)[0] for path in paths) | {name}
    return Context(name, paths, dict(data["enums"]), prefixes)


def _type(text: str) -> str:
    """`int (number points)` as `int`, `list of int` as `list`."""
    return text.split(" ", 1)[0]
