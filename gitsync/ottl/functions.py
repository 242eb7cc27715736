"""Calls: which function was meant, and which argument belongs to which parameter.

Source: pkg/ottl/functions.go newFunctionCall and buildArgs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from gitsync.ottl.tables import Function, OttlTables, Parameter
from gitsync.wording import nearest, quoted

_MISTAKES: Final[dict[str, str]] = {
    "drop": "OTTL changes records and drops none: the filter processor drops what its conditions match",
    "drop_if": "OTTL changes records and drops none: the filter processor drops what its conditions match",
    "filter": "OTTL changes records and drops none: the filter processor drops what its conditions match",
    "keep": "to keep some keys of a map, write keep_keys(map, [...]); to keep some records, use the filter processor",
    "route": "route() belongs to the statements of the routing connector",
    "delete": 'to delete a key of a map, write delete_key(span.attributes, "key")',
    "remove": 'to delete a key of a map, write delete_key(span.attributes, "key")',
    "delete_keys": "delete_key takes one key, delete_matching_keys a pattern",
    "delete_attribute": 'to delete a key of a map, write delete_key(span.attributes, "key")',
    "rename": "set the new key to the old value, then delete_key the old one",
    "rename_key": "set the new key to the old value, then delete_key the old one",
    "replace": "replace_pattern takes a regular expression, replace_match a glob",
    "add": "write set(target, value)",
    "insert": "write set(target, value) where target == nil",
    "update": "write set(target, value) where target != nil",
    "upsert": "write set(target, value)",
    "hash": "write set(target, SHA256(target))",
    "log": "there is no function that logs",
    "limit_all": "limit(map, number, [keys]) keeps some keys, truncate_all(map, length) shortens text",
    "truncate": "truncate_all(map, length) shortens text",
    "ToLower": "write ToLowerCase(text)",
    "ToUpper": "write ToUpperCase(text)",
    "Lower": "write ToLowerCase(text)",
    "Upper": "write ToUpperCase(text)",
    "Lowercase": "write ToLowerCase(text)",
    "Uppercase": "write ToUpperCase(text)",
    "Contains": "write IsMatch(text, pattern), or ContainsValue(list, value)",
    "StartsWith": "write HasPrefix(text, prefix)",
    "EndsWith": "write HasSuffix(text, suffix)",
    "Exists": "write path != nil",
    "IsNil": "write path == nil",
    "IsNull": "write path == nil",
    "Length": "write Len(value)",
    "Float": "write Double(value)",
    "Replace": "replace_pattern and replace_match are editors: they change a path in place",
    "Match": "write IsMatch(text, pattern)",
    "Matches": "write IsMatch(text, pattern)",
    "RegexMatch": "write IsMatch(text, pattern)",
    "ParseTime": "write Time(text, layout)",
    "Timestamp": "write Time(text, layout) or Now()",
    "If": "write two statements with where",
}
"""Functions that people write, and what they mean."""

_GO_NAMES: Final[dict[tuple[str, str], str]] = {
    ("CommunityID", "source_ip"): "SourceIP",
    ("CommunityID", "destination_ip"): "DestinationIP",
    ("URL", "uri"): "URI",
}
"""Parameters whose Go name does not follow from the name in the tables."""


def unknown_function(name: str, functions: Mapping[str, Function], tables: OttlTables) -> tuple[str, str, str]:
    """Code, message and hint for a function that is not available."""
    places = tables.places_of(name)
    if places or name in tables.functions:
        return "GS1041", f"the function {quoted(name)} is not available here", _where(places)
    if name in _MISTAKES:
        return "GS1040", f"there is no function {quoted(name)}", _MISTAKES[name]
    same_case = [one for one in functions if one[:1].islower() == name[:1].islower()]
    meant = nearest(name, same_case) or nearest(name, functions) or nearest(name, tables.functions)
    hint = ""
    if meant is not None and meant not in functions:
        hint = f"did you mean {meant}? {_where(tables.places_of(meant))}".strip()
    elif meant is not None and meant[:1].islower() != name[:1].islower():
        kind = (
            "an editor: it stands at the head of a statement"
            if meant[:1].islower()
            else "a converter: it gives a value"
        )
        hint = f"did you mean {meant}? It is {kind}"
    elif meant is not None:
        hint = f"did you mean {meant}?"
    return "GS1040", f"there is no function {quoted(name)}", hint


def _where(places: tuple[tuple[str, str], ...]) -> str:
    """Where a function can be used, as a hint."""
    by_component: dict[str, list[str]] = {}
    for component, context in places:
        by_component.setdefault(component, []).append(context)
    texts = [f"{component} in the context {' or '.join(contexts)}" for component, contexts in by_component.items()]
    return f"it works in {', and in '.join(texts)}" if texts else ""


@lru_cache(maxsize=4096)
def find_parameter(function: Function, written: str) -> Parameter | None:
    """The parameter that a name in a call stands for: `regex_pattern` and `regexPattern` are the same."""
    if len(written) > 64:
        return None
    go_name = to_camel(written)
    for one in function.parameters:
        if go_name == _GO_NAMES.get((function.name, one.name), to_camel(one.name)):
            return one
    return None


def writable_names(function: Function) -> list[str]:
    """Names of the parameters that can be used in a call, in their order."""
    return [one.name for one in function.parameters if find_parameter(function, one.name) is one]


def to_camel(name: str) -> str:
    """`utf8_safe` as `Utf8Safe`. Source: github.com/iancoleman/strcase v0.3.0, camel.go."""
    out: list[str] = []
    capital = True
    was_capital = False
    for char in name:
        is_capital = "A" <= char <= "Z"
        if "a" <= char <= "z" or is_capital:
            lowered = not capital and was_capital and is_capital
            out.append(char.upper() if capital else char.lower() if lowered else char)
            capital = False
        elif char.isdigit():
            out.append(char)
            capital = True
        else:
            capital = True
        was_capital = is_capital
    return "".join(out)
