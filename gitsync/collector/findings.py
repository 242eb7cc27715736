"""`Findings`: gathers the diagnostics of one check, in order, with an upper bound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from gitsync.collector.node import Origin
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.wording import without_password

MORE = "GS0100"
"""Says that findings are left out."""
_LONGEST = 1000
"""Characters of a message or hint; rules quote what users wrote, this is for what one of them forgets."""
LIMIT = 100
"""Findings that one check reports; the rest is counted (a hostile file must not flood a verdict)."""


class Findings:
    """Collects diagnostics. Each code is kept once at least, whatever stands in front of it: a policy may count it.

    Attributes:
        errors: how many errors were reported, also those beyond the limit.
    """

    __slots__ = ("_codes", "_found", "_limit", "_more", "_path", "errors")

    def __init__(self, path: str, limit: int = LIMIT) -> None:
        self._path = path
        self._limit = limit
        self._found: dict[Diagnostic, None] = {}
        self._codes: set[str] = set()
        self._more = 0
        self.errors = 0

    @property
    def full(self) -> bool:
        """Whether more findings are only counted: looking for their hints would be in vain."""
        return len(self._found) >= self._limit

    def error(self, at: Origin | None, code: str, message: str, hint: str = "") -> None:
        """Report what rejects the commit; `at` None: the finding is about the whole file."""
        self.errors += 1
        self._add(at, Severity.ERROR, code, message, hint)

    def warning(self, at: Origin | None, code: str, message: str, hint: str = "") -> None:
        """Report what is legal and probably not meant."""
        self._add(at, Severity.WARNING, code, message, hint)

    def add(self, one: Diagnostic) -> None:
        """Reports what another check has found."""
        self.report(one.severity, Origin(one.path, one.line, one.column), one.code, one.message, one.hint)

    def report(self, severity: Severity, at: Origin | None, code: str, message: str, hint: str = "") -> None:
        """An error or a warning."""
        say = self.error if severity is Severity.ERROR else self.warning
        say(at, code, message, hint)

    def done(self) -> tuple[Diagnostic, ...]:
        """What was found, without repetitions, by path and line; the last one counts what was left out."""
        found = sorted(self._found)
        if self._more:
            severity = Severity.ERROR if self.errors else Severity.WARNING
            message = f"{self._more} more findings are not shown"
            found.append(Diagnostic(self._path, 0, 0, severity, MORE, message, "fix the ones above first"))
        return tuple(found)

    def _add(self, at: Origin | None, severity: Severity, code: str, message: str, hint: str) -> None:
        origin = at or Origin(self._path, 0, 0)
        message, hint = _one_line(message), _one_line(hint)
        one = Diagnostic(origin.path, origin.line, origin.column, severity, code, message, hint)
        if one in self._found:
            return
        if len(self._found) >= self._limit and code in self._codes:
            self._more += 1
        else:
            self._codes.add(code)
            self._found[one] = None


def _one_line(text: str) -> str:
    """The text itself, unless what a user wrote makes it longer or stranger than a message should be.

    Messages go to places that more people read than the repository: passwords in addresses are left out.
    """
    text = without_password(text)
    short = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return short if short.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in short)


def joined(found: Mapping[str, Iterable[Diagnostic]]) -> Iterator[Diagnostic]:
    """Findings of all versions as they are, the others with the versions in which they hold.

    Args:
        found: what is wrong in each version, the oldest first.
    """
    where: dict[Diagnostic, list[str]] = {}
    for version, diagnostics in found.items():
        for one in dict.fromkeys(diagnostics):
            where.setdefault(one, []).append(version)
    left_out = [one for one in where if one.code == MORE]
    for one, versions in where.items():
        if len(versions) == len(found) or (left_out and one.code != MORE):
            yield one  # where some are left out, nobody knows which are missing in a version
        elif one.code != MORE:
            yield replace(one, message=f"{one.message} (in {', '.join(versions)})")
        elif one is left_out[0]:
            yield one
