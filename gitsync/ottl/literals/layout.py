"""Layouts of times as `Time` and `FormatTime` take them: directives with `%`, as in strptime.

Source: internal/coreinternal/timeutils of v0.159.0, internal/ctimefmt/ctimefmt.go Validate.
"""

from __future__ import annotations

import re
from typing import Final

from gitsync.wording import quoted

DIRECTIVES: Final = frozenset("YymoqbhBdegaAHlIpPMSLfsZzwijkDxFTXrRnt%c")
"""The letters behind `%`."""

_DIGIT: Final = re.compile(r"[0-9]")
_FRACTION: Final = re.compile(r"[^.,]%[Lfs]")
_DIRECTIVE: Final = re.compile(r"%.")


def layout_problem(layout: str) -> str | None:
    """Why this is no layout; None when it is one."""
    if not layout:
        return "the layout of a time must not be empty"
    if _DIGIT.search(layout):
        return "the layout of a time must not hold digits"
    if found := _FRACTION.search(layout):
        return f"a fraction of a second must follow a dot or a comma, not {quoted(found[0][0])}"
    for found in _DIRECTIVE.finditer(layout):
        if found[0][1] not in DIRECTIVES:
            return f"there is no directive {quoted(found[0])} for times"
    return None


def layout_hint(layout: str) -> str:
    """How to write what was probably meant; empty when that is not clear."""
    if "2006" in layout or "15:04" in layout:
        return "this is Go's way; write %Y-%m-%dT%H:%M:%S"
    if "yyyy" in layout.lower() or "HH:mm" in layout:
        return "this is Java's way; write %Y-%m-%dT%H:%M:%S"
    return "the directives are listed with the Collector's Time function: %Y %m %d %H %M %S %L %z …"
