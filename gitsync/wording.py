"""Words for messages: a user's own text, quoted; the nearest right name for a wrong one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Set
from itertools import islice

LONGEST = 80
"""Characters of a name that is compared; comparing is quadratic in it."""
MOST = 400
"""Candidates that are compared."""
SHOWN = 80
"""Characters of a user's own text in a message."""


_USER = re.compile(r"""(^|//|")[^\s/@":]*:[^\s/"]*@""")


def without_password(text: str) -> str:
    """A text without names and passwords in front of a host (`https://…@host`)."""
    return _USER.sub(r"\1…@", text) if "@" in text else text


def quoted(text: str) -> str:
    """A user's text inside a message: in double quotes, on one line, at most 80 characters, without passwords."""
    text = without_password(text)
    short = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    if short.isprintable():
        return f'"{short}"'
    safe = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in short)
    return f'"{safe}"'


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was probably meant; None when none is close (or the names are too long to compare).

    A name that differs by case or by `-` and `_` only comes first.
    """
    if len(name) > LONGEST:
        return None
    # The order of a set is another one in the next run.
    ordered = sorted(candidates) if isinstance(candidates, Set) else candidates
    names = list(islice((one for one in ordered if len(one) <= LONGEST and one.isprintable()), MOST))
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
