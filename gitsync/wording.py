"""Words for messages: a user's own text, quoted; the nearest right name for a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 80
"""Characters of a name that is compared; comparing is quadratic in it."""
MOST = 400
"""Candidates that are compared."""
SHOWN = 80
"""Characters of a user's own text in a message."""


def quoted(text: str) -> str:
    """A user's text inside a message: in double quotes, on one line, at most 80 characters."""
    short = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    safe = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in short)
    return f'"{safe}"'


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was probably meant; None when none is close (or the names are too long to compare).

    A name that differs by case or by `-` and `_` only comes first.
    """
    if len(name) > LONGEST:
        return None
    names = [one for one in candidates if len(one) <= LONGEST][:MOST]
    folded = _fold(name)
    for one in names:
        if _fold(one) == folded:
            return one
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A hint that names the nearest candidate; empty when none is close."""
    found = nearest(name, candidates)
    return f'did you mean "{found}"?' if found else ""


def _fold(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "").strip()
