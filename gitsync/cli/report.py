"""How findings are shown: for people, for programs, and for what reads the output of a CI job."""

from __future__ import annotations

import enum
import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import typer

from gitsync.cli.table import clean, count_of, is_coloured
from gitsync.diagnostics import Diagnostic, Severity

_TAB = "    "
_WIDEST = 160
"""Characters of a source line that are shown; of a longer one those around the place."""
_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow"}


class Report(enum.StrEnum):
    """How findings are shown."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    SARIF = "sarif"
    GITHUB = "github"


_SHOWN = 10
"""Components that a summary names."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found in files that were judged together.

    Attributes:
        files: their paths, in order.
        valid: there is no error.
        diagnostics: in the order in which they are shown.
        about: words behind the count of files in the summary, such as ` for contrib 0.159.0`; may be empty.
        root: goes before a path, to find the file from where the command runs; "" or ends in a slash.
        unchecked: components, as `kind/type`, whose settings nobody here knows.
        header: more members of the JSON document, before the others.
    """

    files: tuple[str, ...]
    valid: bool
    diagnostics: tuple[Diagnostic, ...]
    about: str = ""
    root: str = ""
    unchecked: tuple[str, ...] = ()
    header: tuple[tuple[str, str], ...] = ()

    def strict(self) -> Judgement:
        """The same with every warning as an error."""
        errors = tuple(replace(one, severity=Severity.ERROR) for one in self.diagnostics)
        return replace(self, valid=self.valid and not errors, diagnostics=errors)

    def as_json(self) -> dict[str, Any]:
        """`valid` and `diagnostics`."""
        return {**dict(self.header), "valid": self.valid, "diagnostics": [one.as_json() for one in self.diagnostics]}


Sources = Callable[[str], bytes]
"""The content of a file that a finding names; empty when there is none."""


def show(judgement: Judgement, report: Report, sources: Sources) -> None:
    """Prints one judgement, whole."""
    if report is Report.TEXT:
        show_findings(judgement, sources)
        typer.echo(summary(judgement))
    elif report is Report.JSON:
        typer.echo(json.dumps(judgement.as_json(), indent=2))
    elif report is Report.JSONL:
        show_line(judgement)
    elif report is Report.GITHUB:
        from gitsync.cli.report_github import list_annotations

        for line in list_annotations(judgement):
            typer.echo(line)
        typer.echo(summary(judgement))
    else:
        from gitsync.cli.report_sarif import sarif

        typer.echo(json.dumps(sarif(judgement), indent=2))


def show_line(judgement: Judgement) -> None:
    """Prints one judgement as one line of JSON."""
    typer.echo(json.dumps({"files": list(judgement.files), **judgement.as_json()}))


def show_findings(judgement: Judgement, sources: Sources) -> None:
    """Prints every finding with its source line."""
    lines: dict[str, list[str]] = {}
    coloured = is_coloured()
    for one in judgement.diagnostics:
        if one.path not in lines:
            # Not splitlines(): a line ends where YAML ends it.
            lines[one.path] = sources(one.path).decode(errors="replace").split("\n")
        for line in excerpt(one, lines[one.path], coloured=coloured):
            typer.echo(line, color=coloured)


def summary(judgement: Judgement) -> str:
    """The verdict, how many files and findings, in one line."""
    verdict = "valid" if judgement.valid else "invalid"
    line = f"{verdict}: {count_of(len(judgement.files), 'file')}{judgement.about}, {counts(judgement.diagnostics)}"
    return line + not_checked(judgement.unchecked)


def not_checked(components: tuple[str, ...]) -> str:
    """Says of which components only the names are known; empty when there are none."""
    if not components:
        return ""
    shown = ", ".join(components[:_SHOWN]) + (", …" if len(components) > _SHOWN else "")
    return f"; settings that are not known here, and not checked: {shown}"


def counts(found: Iterable[Diagnostic]) -> str:
    """How many errors and warnings, in words."""
    numbers = Counter(str(one.severity) for one in found)
    return ", ".join(count_of(count, word) for word, count in sorted(numbers.items())) or "nothing found"


def excerpt(one: Diagnostic, lines: Sequence[str], *, width: int = 1, coloured: bool = False) -> list[str]:
    """A finding with its source line and a mark below its column.

    Args:
        one: the finding.
        lines: of its file.
        width: characters that the mark covers, as far as the line goes.
        coloured: with ANSI colours.
    """

    def paint(text: str, **style: Any) -> str:
        return typer.style(text, **style) if coloured else text

    colour = _COLOURS[one.severity]
    word = paint(f"{one.severity} {one.code}", fg=colour, bold=True)
    place = f"{one.location()}: " if one.path or one.line == 0 else f"{one.line}:{one.column}: "
    shown = [f"{paint(clean(place), bold=True)}{word}: {clean(one.message)}"]
    if 0 < one.line <= len(lines):
        number = str(one.line)
        text, before, marked = _crop(lines[one.line - 1].rstrip("\r"), one.column, width)
        shown.append(f"  {paint(number + ' |', dim=True)} {text}")
        if one.column:
            mark = paint("^" * marked, fg=colour, bold=True)
            shown.append(f"  {paint(' ' * len(number) + ' |', dim=True)} {' ' * before}{mark}")
    if one.hint:
        shown.append(f"  {paint('hint:', fg='cyan')} {clean(one.hint)}")
    return [*shown, ""]


def _crop(line: str, column: int, width: int) -> tuple[str, int, int]:
    """A line as it is shown, and where the mark stands below it and how wide it is, in cells of a terminal."""
    index = max(column - 1, 0)
    first = 0 if len(line) <= _WIDEST else max(0, min(index - _WIDEST // 2, len(line) - _WIDEST))
    last = min(len(line), first + _WIDEST)
    before, marked = line[first:index], line[index : min(last, index + width)]
    left, right = "…" if first else "", "…" if last < len(line) else ""
    text = f"{left}{_shown(line[first:last])}{right}"
    return text, len(left) + _cells(_shown(before)), max(1, _cells(_shown(marked)))


def _shown(text: str) -> str:
    return clean(text.expandtabs(len(_TAB)))


def _cells(text: str) -> int:
    """How wide a terminal shows a text: characters of East Asia take two cells, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF") for one in text)
