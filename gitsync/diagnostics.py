"""`Diagnostic`: the only way a check reports what it found."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class Severity(enum.StrEnum):
    """How a diagnostic counts: one error rejects the commit."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One finding in one place.

    Attributes:
        path: path of the file in the config tree, "" for the whole commit.
        line: 1-based; 0 when the finding is about the whole file.
        column: 1-based, in characters; 0 when the finding is about the whole line or file.
        code: stable `GSnnnn`.
        message: what is wrong, one sentence without a full stop at the end.
        hint: what was probably meant, or how to fix it; may be empty.
    """

    path: str
    line: int
    column: int
    severity: Severity
    code: str
    message: str
    hint: str = ""

    def location(self) -> str:
        """`path:line:column`, as far as known."""
        parts = [self.path or "(commit)"]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.location()}: {self.severity} {self.code}: {self.message}{hint}"

    def as_json(self) -> dict[str, Any]:
        """The object that `-o json` and REST show."""
        return {
            "severity": str(self.severity),
            "code": self.code,
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "message": self.message,
            "hint": self.hint,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Diagnostic:
        """The inverse of `as_json`."""
        return cls(
            path=data["path"],
            line=data["line"],
            column=data["column"],
            severity=Severity(data["severity"]),
            code=data["code"],
            message=data["message"],
            hint=data.get("hint", ""),
        )


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether a commit with these findings is rejected."""
    return any(one.severity is Severity.ERROR for one in diagnostics)
