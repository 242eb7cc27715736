"""Faults made by rule from the cases that the real Collector accepts: the same ones in every run.

Which of the many possible mutations of a case are taken is decided by a digest of its name, so that a new case does not
change those of the others.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from tests.agreement.cases import ConfigCase, TextCase, read_yaml, text_case

PER_CONFIG = 7
PER_TEXT = 2
LEAVES: tuple[tuple[str, Any], ...] = (
    ("a-text", "text"),
    ("an-empty-text", ""),
    ("a-number-in-quotes", "7"),
    ("one", 1),
    ("minus-one", -1),
    ("a-fraction", 1.5),
    ("true", True),
    ("null", None),
    ("an-empty-list", []),
    ("a-list-of-text", ["text"]),
    ("an-empty-map", {}),
    ("a-map", {"key": "value"}),
    ("a-duration", "10s"),
)
ARGUMENTS = (
    "nil", '"x"', '""', '"("', "1", "-1", "1.5", "true", "SHA256", "0x0102", "[]", '["a"]', "[1]", "{}", '{"a": 1}',
    "resource.attributes", 'resource.attributes["a"]', "resource.schema_url", "resource", 'Int("1")',
    'Concat(["a"], "")', "1 + 1", "Now()", 'Duration("1s")', "FOO_BAR", 'name="x"', "",
)  # fmt: skip
Path = tuple[str | int, ...]


def mutated_configs(bases: Sequence[ConfigCase]) -> Iterator[ConfigCase]:
    """Some mutations of each base that is one file: wrong types, unknown keys, misspelled keys, keys left out."""
    for base in bases:
        if len(base.files) != 1 or base.env or base.expected is not None:
            continue
        try:
            document = read_yaml(base.files[0])
        except (yaml.YAMLError, ValueError):
            continue
        if not isinstance(document, dict):
            continue
        found = sorted(_mutations(document, base.focus), key=lambda one: _rank(base.id, one[0]))
        for name, text in found[:PER_CONFIG]:
            yield ConfigCase(f"mutated/{base.id}/{name}", (text,), {}, base.focus)


def _mutations(document: dict[str, Any], focus: Path) -> Iterator[tuple[str, str]]:
    for path, value in _nodes(document, ()):
        if path[: len(focus)] != focus or path == focus:
            continue
        where = ".".join(str(step) for step in path)
        if isinstance(value, dict):
            yield from _dumped(f"unknown-key-in-{where}", document, (*path, "unknown_key"), 1)
        if path[-1:] and isinstance(path[-1], str):
            yield from _renamed(document, path, where)
        for name, leaf in LEAVES:
            if type(leaf) is not type(value) or leaf != value:
                yield from _dumped(f"{name}-at-{where}", document, path, leaf)


def _nodes(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if path:
        yield path, value
    items: Any = ()
    if isinstance(value, dict):
        items = [(key, one) for key, one in value.items() if isinstance(key, str)]
    elif isinstance(value, list):
        items = enumerate(value)
    for key, one in items:
        yield from _nodes(one, (*path, key))


def _renamed(document: dict[str, Any], path: Path, where: str) -> Iterator[tuple[str, str]]:
    key = str(path[-1])
    for how, new in (("shortened", key[:-1]), ("upper-case", key.upper()), ("left-out", None)):
        changed = copy.deepcopy(document)
        parent = _at(changed, path[:-1])
        value = parent.pop(key)
        if new:
            parent[new] = value
        yield from _text(f"{how}-{where}", changed)


def _dumped(name: str, document: dict[str, Any], path: Path, value: Any) -> Iterator[tuple[str, str]]:
    changed = copy.deepcopy(document)
    _at(changed, path[:-1])[path[-1]] = value
    yield from _text(name, changed)


def _text(name: str, document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        yield name, json.dumps(document, indent=1, allow_nan=False)
    except (TypeError, ValueError):
        return  # a date, a number that is none


def _at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def mutated_texts(bases: Sequence[TextCase]) -> Iterator[TextCase]:
    """Some mutations of each base: an argument of another kind, one too few or too many, characters left out."""
    seen = {base.text for base in bases}
    for base in bases:
        found = sorted(set(_text_mutations(base.text)), key=lambda text: _rank(base.id, text))
        for text in found[:PER_TEXT]:
            if text not in seen:
                yield text_case("mutated/statements", base.context, base.kind, text)


def _text_mutations(text: str) -> Iterator[str]:
    for opened, separators, closed in _calls(text):
        edges = [opened, *separators, closed]
        for start, end in itertools.pairwise(edges):
            for argument in ARGUMENTS:
                yield f"{text[: start + 1]} {argument}{text[end:]}"
        yield f"{text[: edges[-2] if len(edges) > 2 else opened + 1]}{text[closed:]}"
        yield f'{text[:closed]}, "more"{text[closed:]}'
    words = text.split(" ")
    for number in range(len(words)):
        yield " ".join(words[:number] + words[number + 1 :])
    yield text[:-1]
    yield text.swapcase()
    yield text.replace(".", ".x", 1)


def _calls(text: str) -> Iterator[tuple[int, list[int], int]]:
    """Brackets of each call with the places of the commas between its arguments; texts in quotes are skipped."""
    stack: list[tuple[str, int, list[int]]] = []
    quoted = False
    for place, sign in enumerate(text):
        if sign == '"' and (not place or text[place - 1] != "\\"):
            quoted = not quoted
        if quoted:
            continue
        if sign in "([{":
            stack.append((sign, place, []))
        elif sign == "," and stack:
            stack[-1][2].append(place)
        elif sign in ")]}" and stack:
            kind, opened, separators = stack.pop()
            if kind == "(" and place > opened + 1:
                yield opened, separators, place


def _rank(base: str, name: str) -> str:
    return hashlib.sha256(f"{base}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()
