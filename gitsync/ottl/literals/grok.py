"""Grok patterns as `ExtractGrokPatterns` takes them.

Source: github.com/elastic/go-grok v0.3.1, grok.go expand, and ottlfuncs/func_extract_grok_patterns.go. What a known
pattern matches does not matter here: it stands for one character, but counts as naming its captures or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from gitsync.ottl.literals.grok_names import BROKEN, CAPTURING, GROK_PATTERNS
from gitsync.ottl.literals.regex import read_regex
from gitsync.wording import nearest, quoted

LARGEST: Final = 65_536
"""Characters of a pattern with its definitions filled in; a larger one is not judged."""
DEEPEST: Final = 64
"""Definitions that use one another; the Collector takes 1000."""

_REFERENCE: Final = re.compile(r"%\{(\w+(?::[\w+.]+(?::\w+)?)?)\}", re.ASCII)


def read_definitions(definitions: Iterable[str]) -> dict[str, str] | str:
    """The patterns by name out of texts like `NAME=pattern`, or why one of them is wrong."""
    read: dict[str, str] = {}
    for one in definitions:
        name, equals, pattern = one.partition("=")
        if not equals:
            return f"{quoted(one)} defines no pattern: it must look like NAME=pattern"
        if ":" in name:
            return f"the name of a pattern must not hold a colon: {quoted(name)}"
        read[name] = pattern
    return read


def grok_problem(pattern: str, definitions: Mapping[str, str], *, named_only: bool) -> tuple[str, str] | None:
    """Why this is no grok pattern, and a hint; None when it is one.

    Args:
        pattern: what was written.
        definitions: the patterns that the statement defines itself.
        named_only: whether only what is named counts as captured.
    """
    try:
        expanded, captures = _expand(pattern, definitions, named_only=named_only)
    except _GrokError as error:
        return error.problem, error.hint
    except _UnsureError:
        return None
    verdict = read_regex(expanded)
    if verdict.problem:
        return verdict.problem, verdict.hint
    if named_only and verdict.known and not verdict.names and not captures:
        return "the pattern names nothing that it captures", "name at least one part: %{WORD:method}"
    return None


class _UnsureError(Exception):
    """Too much to fill in."""


class _GrokError(Exception):
    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def _expand(pattern: str, definitions: Mapping[str, str], *, named_only: bool) -> tuple[str, bool]:
    captures = False

    def fill(match: re.Match[str]) -> str:
        nonlocal captures
        name, *more = match[1].split(":")
        target = more[0].replace(".", "___") if more else name
        definition = definitions.get(name)
        if definition is None:
            _must_be_known(name, definitions)
            definition = "."
            captures = captures or name in CAPTURING
        return f"({definition})" if named_only and not more else f"(?P<{target}>{definition})"

    for _ in range(min(len(definitions) + 1, DEEPEST)):
        if not _REFERENCE.search(pattern):
            return pattern, captures
        pattern = _REFERENCE.sub(fill, pattern)
        if len(pattern) > LARGEST:
            raise _UnsureError
    if not _REFERENCE.search(pattern):
        return pattern, captures
    if len(definitions) >= DEEPEST:
        raise _UnsureError
    raise _GrokError("a definition of the pattern uses itself")


def _must_be_known(name: str, definitions: Mapping[str, str]) -> None:
    if name in BROKEN:
        raise _GrokError(f"the grok pattern {quoted(name)} cannot be used: its own regular expression is wrong")
    if name not in GROK_PATTERNS:
        meant = nearest(name, [*definitions, *sorted(GROK_PATTERNS)])
        raise _GrokError(f"there is no grok pattern {quoted(name)}", f'did you mean "{meant}"?' if meant else "")
