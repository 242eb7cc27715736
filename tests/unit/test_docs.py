"""The documentation is tested: links lead somewhere, examples parse, compile and name commands that exist."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main

from gitsync.cli import app
from gitsync.collector.document import parse_yaml, to_python
from gitsync.settings import load_settings
from tests.support.compiling import body_of, bundle_of, compiled

ROOT = Path(__file__).parents[2]
SKIPPED = {"node_modules", "dist", "build"}
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:^|&& |\| )\s*gitsync ([^|&#\n]*)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced example.

    Attributes:
        title: what a comment in its first line says; "" without one.
    """

    page: str
    language: str
    text: str

    @property
    def title(self) -> str:
        first = self.text.partition("\n")[0]
        return first.removeprefix("# ") if first.startswith("# ") else ""


def pages() -> Iterator[Path]:
    for directory, names, files in os.walk(ROOT):
        names[:] = [name for name in names if not name.startswith(".") and name not in SKIPPED]
        yield from (Path(directory, name) for name in files if name.endswith(".md"))


PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(pages())}
BLOCKS = [Block(page, found[1], found[2]) for page, text in PAGES.items() for found in _BLOCK.finditer(text)]
GUIDE = "docs/guide/config-repository.md"
CODES = "docs/reference/diagnostics/"
"""Pages with examples of what is wrong: tests/unit/test_diagnostics_pages.py runs them."""


def anchors(page: str) -> set[str]:
    """Of the headings of a page, as forges make them."""
    headings = re.findall(r"^#+ (.*)$", _BLOCK.sub("", PAGES[page]), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page: str) -> None:
    for link in _LINK.findall(_BLOCK.sub("", PAGES[page])):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(str(there.resolve().relative_to(ROOT))), f"{page}: {link}"


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = PAGES["docs/README.md"]
    listed = [
        page.removeprefix("docs/")
        for page in PAGES
        if page.startswith(("docs/guide/", "docs/reference/")) and not page.startswith(CODES)
    ]
    assert len(listed) > 5
    assert [page for page in listed if f"({page})" not in index] == []


@pytest.mark.parametrize(
    "block",
    [one for one in BLOCKS if one.language == "yaml" and not one.page.startswith(CODES)],
    ids=lambda one: one.page,
)
def test_every_yaml_example_can_be_read(block: Block) -> None:
    parsed = parse_yaml(block.page, block.text.encode())
    assert parsed.diagnostics == ()


def repository(start: str, end: str) -> dict[str, str]:
    """The files of a section of the guide: YAML with their path in the first line."""
    section = PAGES[GUIDE].partition(f"## {start}\n")[2].partition(f"## {end}\n")[0]
    found = [Block(GUIDE, one[1], one[2]) for one in _BLOCK.finditer(section)]
    return {one.title: one.text for one in found if one.title.endswith(".yaml")}


def test_the_worked_example_compiles_to_what_is_shown() -> None:
    files = repository("A worked example", "`gitsync.yaml`")
    assert len(files) == 7
    assert compiled(files).diagnostics == ()
    shown = [one for one in BLOCKS if one.title.startswith("compiled: ")]
    assert len(shown) == 1
    body = body_of(bundle_of(files), shown[0].title.removeprefix("compiled: "))
    assert _value(body) == _value(shown[0].text)


def test_the_example_for_applications_compiles() -> None:
    files = repository("Agents that are no Collector", "What is refused")
    bundle = bundle_of({**files, "sdk/sampling.json": '{"rate": 0.1}'})
    (payload,) = bundle.payloads.values()
    assert [(one.name, one.content_type) for one in payload.objects] == [("sampling", "application/json")]


def _value(text: str) -> object:
    node = parse_yaml("x.yaml", text.encode()).node
    assert node is not None
    return to_python(node)


SETTINGS = [one for one in BLOCKS if one.title.startswith("settings")]


@pytest.mark.parametrize("block", SETTINGS, ids=lambda one: one.title)
def test_examples_of_settings_are_accepted(tmp_path: Path, block: Block) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(block.text)
    load_settings(path, {}, {})


def test_there_are_examples_of_settings() -> None:
    assert len(SETTINGS) >= 3


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language == "sh"], ids=lambda one: one.page)
def test_shell_examples_parse(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False, timeout=10)
    assert (done.returncode, done.stderr) == (0, "")


def test_examples_use_commands_and_options_that_exist() -> None:
    lines = [
        (one.page, found)
        for one in BLOCKS
        if one.language == "sh"
        for found in _COMMAND.findall(one.text.replace("\\\n", " "))
    ]
    assert len(lines) > 10
    for page, line in lines:
        command, words = typer.main.get_command(app), line.split()
        while words and hasattr(command, "commands"):
            if re.fullmatch(r"GS\d{4}", words[0]) and "code" in command.commands:
                words.insert(0, "code")
            assert words[0] in command.commands, f"{page}: gitsync {line}"
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for word in words:
            if word.startswith("-") and word != "-":
                assert word.partition("=")[0] in known, f"{page}: gitsync {line}: {word}"


def test_codes_that_pages_name_are_documented() -> None:
    documented = {page.removeprefix(CODES).removesuffix(".md") for page in PAGES if page.startswith(CODES)}
    for page, text in PAGES.items():
        if page != "docs/reference/diagnostics.md":
            assert set(re.findall(r"\bGS\d{4}\b", text)) <= documented, page


def test_the_readme_is_short_and_finished() -> None:
    readme = PAGES["README.md"]
    assert len(readme.splitlines()) < 140
    assert not re.search(r"@@|TODO|FIXME", readme)
