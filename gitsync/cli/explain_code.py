"""`gitsync explain CODE`: the page of a code, in the terminal."""

from __future__ import annotations

import enum
import json
import re
import shutil
import textwrap
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gitsync.cli.failure import ExitCode
from gitsync.cli.table import is_coloured

_HELP = ("-h", "--help")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_NEAREST = 3
_WIDEST = 100
"""Characters of a line of text; longer ones are hard to read."""


class PageFormat(enum.StrEnum):
    """How a page is shown."""

    TEXT = "text"
    MD = "md"
    JSON = "json"


class ExplainGroup(TyperGroup):
    """The group `explain`: what is none of its commands is a code, so `gitsync explain GS0231` works."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the command `code` in front of what is no command."""
        if args and args[0] not in self.commands and args[0] not in _HELP:
            args = ["code", *args]
        return super().parse_args(ctx, args)


def explain(
    code: Annotated[str | None, typer.Argument(metavar="CODE", help="Such as GS0231.")] = None,
    every: Annotated[bool, typer.Option("--list", help="All codes, with their titles.")] = False,
    output: Annotated[PageFormat, typer.Option("--output", "-o", help="How it is shown.")] = PageFormat.TEXT,
) -> None:
    """What a code means: cause, example and fix. `gitsync explain GS0231` does the same."""
    from gitsync.cli.page import load_page
    from gitsync.errors import SettingsError
    from gitsync.wording import quoted

    if every and code is None:
        _show_list(output)
        raise typer.Exit(ExitCode.FINE)
    if code is None or every:
        raise SettingsError("name one code, or give --list", code="options", hint="such as: gitsync explain GS0231")
    wanted = code.upper()
    page = load_page(wanted if wanted.startswith("GS") else f"GS{wanted}")
    if page is None:
        raise SettingsError(f"there is no code {quoted(code)}", code="code.unknown", hint=_nearest(wanted))
    if output is PageFormat.JSON:
        typer.echo(json.dumps(page.as_json(), indent=2, ensure_ascii=False))
    elif output is PageFormat.MD:
        typer.echo(page.text, nl=False)
    else:
        coloured = is_coloured()
        width = min(shutil.get_terminal_size().columns, _WIDEST)
        for line in terminal_lines(page.text, width=width, coloured=coloured):
            typer.echo(line, color=coloured)


def _show_list(output: PageFormat) -> None:
    from gitsync.cli.page import list_codes, load_page

    pages = [page for code in list_codes() if (page := load_page(code)) is not None]
    if output is PageFormat.JSON:
        listed = [{"code": one.code, "severity": one.severity, "title": one.title} for one in pages]
        document = {"apiVersion": "gitsync/v1", "kind": "DiagnosticCodeList", "items": listed}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    for one in pages:
        typer.echo(f"{one.code}  {one.severity:<7}  {one.title}")


def _nearest(wanted: str) -> str:
    """The hint for a code that does not exist: those with the nearest numbers, those of the same family first."""
    from gitsync.cli.page import list_codes

    found = re.search(r"\d+", wanted)
    if found is None or len(found[0]) > 9:
        return "gitsync explain --list shows all"
    number, known = int(found[0]), list_codes()
    near = sorted(known, key=lambda one: (int(one[2:]) // 100 != number // 100, abs(int(one[2:]) - number)))
    return f"the nearest: {', '.join(sorted(near[:_NEAREST]))}; gitsync explain --list shows all"


def terminal_lines(markdown: str, *, width: int, coloured: bool) -> Iterator[str]:
    """A page as a terminal shows it: headings stand out, code is indented, links are their words.

    Args:
        markdown: of a page; nothing else needs to look right.
        width: of paragraphs, in characters.
        coloured: with ANSI styles.
    """
    in_code = False
    paragraph: list[str] = []
    for line in [*markdown.splitlines(), ""]:
        if not in_code and line and line[0] not in "#`":
            paragraph.append(_LINK.sub(r"\1", line))
            continue
        if paragraph:
            text = " ".join(paragraph).replace("`", "")
            yield from textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
            paragraph.clear()
        if line.startswith("```"):
            in_code = not in_code
        elif in_code:
            yield f"    {line}".rstrip()
        elif line.startswith("#"):
            text = line.lstrip("# ").replace("`", "")
            yield typer.style(text, bold=True) if coloured else text
        else:
            yield ""
