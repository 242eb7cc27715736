"""`Findings`: gathers the diagnostics of one check, in order, with an upper bound."""

from __future__ import annotations

from gitsync.collector.node import Origin
from gitsync.diagnostics import Diagnostic, Severity

LIMIT = 100
"""Findings that one check reports; the rest is counted (a hostile file must not flood a verdict)."""


class Findings:
    """Collects diagnostics.

    Attributes:
        errors: how many errors were reported, also those beyond the limit.
    """

    __slots__ = ("_found", "_limit", "_more", "_path", "errors")

    def __init__(self, path: str, limit: int = LIMIT) -> None:
        self._path = path
        self._limit = limit
        self._found: dict[Diagnostic, None] = {}
        self._more = 0
        self.errors = 0

    def error(self, at: Origin | None, code: str, message: str, hint: str = "") -> None:
        """Report what rejects the commit; `at` None: the finding is about the whole file."""
        self.errors += 1
        self._add(at, Severity.ERROR, code, message, hint)

    def warning(self, at: Origin | None, code: str, message: str, hint: str = "") -> None:
        """Report what is legal and probably not meant."""
        self._add(at, Severity.WARNING, code, message, hint)

    def done(self) -> tuple[Diagnostic, ...]:
        """What was found, without repetitions, by path and line; the last one counts what was left out."""
        found = sorted(self._found)
        if self._more:
            severity = Severity.ERROR if self.errors else Severity.WARNING
            message = f"{self._more} more findings are not shown"
            found.append(Diagnostic(self._path, 0, 0, severity, "GS0100", message, "fix the ones above first"))
        return tuple(found)

    def _add(self, at: Origin | None, severity: Severity, code: str, message: str, hint: str) -> None:
        origin = at or Origin(self._path, 0, 0)
        one = Diagnostic(origin.path, origin.line, origin.column, severity, code, message, hint)
        if one in self._found:
            return
        if len(self._found) >= self._limit:
            self._more += 1
        else:
            self._found[one] = None
