"""`Finding`: what is wrong with a text of OTTL, and at which characters of it."""

from __future__ import annotations

from dataclasses import dataclass

from gitsync.diagnostics import Severity


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One finding in one text.

    Attributes:
        start: offset of the first character, from 0.
        end: offset behind the last character; `start` when nothing stands there (the end of the text).
        severity: an error means that the Collector refuses the text.
        code: stable `GS10nn`.
        message: what is wrong, one sentence without a full stop at the end.
        hint: what was probably meant, or how to fix it; may be empty.
    """

    start: int
    end: int
    severity: Severity
    code: str
    message: str
    hint: str = ""
