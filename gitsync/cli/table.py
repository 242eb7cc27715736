"""Tables and documents on a terminal: aligned text that pipes well, colour only where somebody looks.

What agents and commits say is shown, never obeyed: control characters in it are written out.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from gitsync.cli.options import Format

Row = Mapping[str, Any]
GAP = "   "
_UNSEEN = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What JSON allows in strings, and a terminal may act on."""
_COLOURS = {
    "applied": "green",
    "Healthy": "green",
    "accepted": "green",
    "yes": "green",
    "failed": "red",
    "Unhealthy": "red",
    "rejected": "red",
    "no": "red",
    "error": "red",
    "pending": "yellow",
    "Degraded": "yellow",
    "offered": "yellow",
    "applying": "yellow",
    "warning": "yellow",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        header: upper case.
        show: the cell of an item; what is not text is shown by `cell`.
        wide: only in wide tables.
    """

    header: str
    show: Callable[[Row], Any]
    wide: bool = False


def clean(text: str) -> str:
    """The text in one line, with everything that a terminal would act on written out."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def cell(value: object) -> str:
    """A value as a cell: yes, no, `-` for nothing."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return clean(str(value))


def count_of(number: int, word: str) -> str:
    """A number with its word: `1 error`, `2 errors`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def short(commit: str | None) -> str | None:
    """The first ten digits of a commit."""
    return None if commit is None else commit[:10]


def short_digest(digest: str | None) -> str | None:
    """`sha256:` and twelve digits."""
    return None if digest is None else digest[:19]


def moment(text: str | None) -> str | None:
    """An RFC 3339 time to the second."""
    return None if text is None else text[:19].replace("T", " ") + "Z"


def show_list(
    document: Row, output: Format, columns: Sequence[Column], name: Callable[[Row], str], *, header: bool = True
) -> None:
    """Prints a list document in the format that was asked for.

    Args:
        document: has `items`.
        output: how.
        columns: of the tables.
        name: how `-o name` shows an item.
        header: whether tables have their first line.
    """
    if output in (Format.JSON, Format.YAML):
        show_document(document, output)
    elif output is Format.NAME:
        for one in document["items"]:
            typer.echo(clean(name(one)))
    else:
        chosen = [one for one in columns if output is Format.WIDE or not one.wide]
        rows = [[cell(one.show(item)) for one in chosen] for item in document["items"]]
        if not rows:
            typer.echo("nothing found", err=True)
            return
        show_rows([one.header for one in chosen] if header else None, rows)


def show_rows(header: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> None:
    """Prints aligned columns; the last one is as long as it is."""
    lines = [header, *rows] if header else list(rows)
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    if not is_coloured():
        for line in lines:
            typer.echo(GAP.join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        shown = Text()
        for text, width in zip(line, widths, strict=True):
            style = "bold" if line is header else _COLOURS.get(text, "")
            shown.append(text, style).append(" " * (width - len(text)) + GAP)
        shown.rstrip()
        console.print(shown)


def show_document(document: Row, output: Format) -> None:
    """Prints a document as JSON or YAML."""
    if output is Format.YAML:
        import yaml

        typer.echo(yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=120), nl=False)
    else:
        text = json.dumps(document, indent=2, ensure_ascii=False)
        typer.echo(_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def show_facts(facts: Mapping[str, object], indent: str = "") -> None:
    """Prints names and values, aligned."""
    width = max(len(name) for name in facts) + 1
    for name, value in facts.items():
        typer.echo(f"{indent}{(name + ':').ljust(width)}  {cell(value)}")


def show_section(title: str) -> None:
    """Prints a title with an empty line before it."""
    typer.echo(f"\n{title}:")


def is_coloured() -> bool:
    """Whether standard output is a terminal that wants colour."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
