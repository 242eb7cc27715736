"""The page of a code: what it means, an example that earns it, and the example put right.

The pages are written for people, in docs/reference/diagnostics; they reach the package by a link. Their form is fixed,
so that tests can run the examples and other commands can quote parts:

    # GS0231: unknown key
    Severity: error
    ## Cause
    ## Example
    ## Fix

An example is one block that is a Collector configuration (`yaml`, `json`), blocks that begin with `# file: PATH` and
make a config repository together, or one of `ottl` behind a line "Statement in the context `span`:".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

_ADDRESS = "https://github.com/gitsync/gitsync/blob/main/docs/reference/diagnostics"
_CODE = re.compile(r"GS[0-9]{4}")
_TITLE = re.compile(r"# (GS\d{4}): (.+)")
_SEVERITY = re.compile(r"^Severity: ((error|warning).*)$", re.MULTILINE)
_SECTION = re.compile(r"^## (\w+)$", re.MULTILINE)
_BLOCK = re.compile(
    r"(?:^(Statement|Condition|Value) in the context `(\w+)`:\n\n?)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_FILE = re.compile(r"# file: (\S.*)\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A part of an example.

    Attributes:
        language: yaml, json, ottl or text.
        text: without the line that names the file.
        file: path in a config repository; "" for a plain Collector file and for OTTL.
        kind: of OTTL: statement, condition or value; else "".
        context: of OTTL; else "".
    """

    language: str
    text: str
    file: str = ""
    kind: str = ""
    context: str = ""

    def as_json(self) -> dict[str, str]:
        """Its members that are not empty."""
        members = {"language": self.language, "file": self.file, "kind": self.kind, "context": self.context}
        return {name: value for name, value in members.items() if value} | {"text": self.text}


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        severity: error or warning; what a commit without policies makes of it.
        note: the whole line about the severity.
        cause: Markdown.
        text: the whole page, Markdown.
    """

    code: str
    title: str
    severity: str
    note: str
    cause: str
    example: tuple[Block, ...]
    fix: tuple[Block, ...]
    text: str

    def as_json(self) -> dict[str, Any]:
        """What `gitsync explain CODE -o json` shows."""
        return {
            "apiVersion": "gitsync/v1",
            "kind": "DiagnosticCode",
            "code": self.code,
            "title": self.title,
            "severity": self.severity,
            "cause": self.cause,
            "example": [one.as_json() for one in self.example],
            "fix": [one.as_json() for one in self.fix],
            "url": address(self.code),
        }


def address(code: str) -> str:
    """Where a page is found in the Web."""
    return f"{_ADDRESS}/{code}.md"


def list_codes() -> list[str]:
    """Every code that has a page, in order."""
    directory = files("gitsync") / "pages"
    return sorted(one.name.removesuffix(".md") for one in directory.iterdir() if one.name.endswith(".md"))


def load_page(code: str) -> Page | None:
    """The page of a code; None when there is none."""
    if not _CODE.fullmatch(code):
        return None
    file = files("gitsync") / "pages" / f"{code}.md"
    return parse_page(file.read_text(encoding="utf-8")) if file.is_file() else None


def parse_page(text: str) -> Page:
    """A page from its Markdown.

    Raises:
        ValueError: it does not have the form that pages have.
    """
    title, severity = _TITLE.match(text), _SEVERITY.search(text)
    parts = _SECTION.split(text)
    sections = dict(zip(parts[1::2], (one.strip() for one in parts[2::2]), strict=True))
    if title is None or severity is None or list(sections) != ["Cause", "Example", "Fix"]:
        raise ValueError(f"not a page about a code: {text[:40]!r}")
    example, fix = tuple(_blocks(sections["Example"])), tuple(_blocks(sections["Fix"]))
    return Page(title[1], title[2], severity[2], severity[1], sections["Cause"], example, fix, text)


def _blocks(section: str) -> Iterator[Block]:
    for kind, context, language, text in _BLOCK.findall(section):
        file = _FILE.match(text)
        yield Block(language, text[file.end() :] if file else text, file[1] if file else "", kind.lower(), context)
