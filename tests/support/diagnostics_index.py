"""The tables of docs/reference/diagnostics.md, made from the pages: `python -m tests.support.diagnostics_index`.

The texts around the tables are written by hand; each family of codes has its own section `## GSnnxx: …`.
"""

from __future__ import annotations

import re
from pathlib import Path

from gitsync.cli.page import Page, parse_page

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "docs" / "reference" / "diagnostics.md"
PAGES = ROOT / "docs" / "reference" / "diagnostics"
_HEAD = "| code | | meaning |\n|---|---|---|\n"
_TABLE = re.compile(r"^\| code .*\n(?:\|.*\n?)*", re.MULTILINE)
_FAMILY = re.compile(r"^(?=## GS)", re.MULTILINE)


def read_pages() -> dict[str, Page]:
    """Every page, by the name of its file."""
    return {path.stem: parse_page(path.read_text()) for path in sorted(PAGES.glob("*.md"))}


def index_text(text: str) -> str:
    """The index with its tables made anew.

    Raises:
        ValueError: a family of codes has no section.
    """
    pages = read_pages()
    head, *families = _FAMILY.split(text)
    parts, listed = [head], set()
    for family in families:
        prefix = family.removeprefix("## ")[:4]
        codes = [code for code in pages if code.startswith(prefix)]
        listed.update(codes)
        rows = "".join(
            f"| [{code}](diagnostics/{code}.md) | {pages[code].severity} | {pages[code].title} |\n" for code in codes
        )
        parts.append(_TABLE.sub(lambda _, rows=rows: _HEAD + rows, family))
    if missing := pages.keys() - listed:
        raise ValueError(f"no section for {', '.join(sorted(missing))}")
    return "".join(parts)


if __name__ == "__main__":
    INDEX.write_text(index_text(INDEX.read_text()))
