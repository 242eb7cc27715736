"""`gitsync validate`: check a config repository as the server would, offline."""

from __future__ import annotations

import enum
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitsync.cli.failure import ExitCode
from gitsync.cli.table import clean, count_of

if TYPE_CHECKING:
    from gitsync.bundle.tree import ConfigTree
    from gitsync.bundle.version import CompileResult
    from gitsync.diagnostics import Diagnostic

_TAB = "    "


class Report(enum.StrEnum):
    """How findings are shown."""

    TEXT = "text"
    JSON = "json"


def validate(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The top of a config repository.")] = Path(),
    output: Annotated[Report, typer.Option("--output", "-o", help="How findings are shown.")] = Report.TEXT,
) -> None:
    """Checks a config repository as the server would, from a directory, without a server.

    Exit codes: 0 valid, 1 invalid, 2 could not be checked.
    """
    from gitsync.bundle.compile import compile_bundle
    from gitsync.cli.worktree import read_tree
    from gitsync.worker.schemas import load_catalog

    tree = read_tree(path)
    result = compile_bundle(tree, load_catalog())
    valid = result.bundle is not None
    if output is Report.JSON:
        findings = [one.as_json() for one in result.diagnostics]
        document = {"apiVersion": "gitsync/v1", "kind": "Validation", "valid": valid, "diagnostics": findings}
        typer.echo(json.dumps(document, indent=2))
    else:
        _show(tree, result)
    raise typer.Exit(ExitCode.FINE if valid else ExitCode.DIFFERENT)


def _show(tree: ConfigTree, result: CompileResult) -> None:
    lines: dict[str, list[str]] = {}
    for one in result.diagnostics:
        if one.path not in lines:
            lines[one.path] = (tree.read(one.path) or b"").decode(errors="replace").split("\n")
        for line in excerpt(one, lines[one.path]):
            typer.echo(line)
    counts = Counter(str(one.severity) for one in result.diagnostics)
    found = ", ".join(count_of(count, word) for word, count in sorted(counts.items()))
    verdict = "valid" if result.bundle is not None else "invalid"
    targets = "" if result.bundle is None else f", {count_of(len(result.bundle.versions), 'target')}"
    typer.echo(f"{verdict}: {count_of(len(result.files), 'file')}{targets}, {found or 'nothing found'}")


def excerpt(one: Diagnostic, lines: list[str]) -> list[str]:
    """A finding with its source line and a mark below its column.

    Args:
        one: the finding.
        lines: of its file.
    """
    shown = [clean(f"{one.location()}: {one.severity} {one.code}: {one.message}")]
    if 0 < one.line <= len(lines):
        line = lines[one.line - 1].rstrip("\r")
        number = str(one.line)
        shown.append(f"  {number} | {clean(line.expandtabs(len(_TAB)))}")
        if one.column:
            before = clean(line[: one.column - 1].expandtabs(len(_TAB)))
            shown.append(f"  {' ' * len(number)} | {' ' * len(before)}^")
    if one.hint:
        shown.append(clean(f"  hint: {one.hint}"))
    return [*shown, ""]
