"""Every code has a page, every page is true: its example earns the code, and what stands below "Fix" is right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from gitsync.cli.ottl import judge
from gitsync.cli.page import Block, load_page
from gitsync.collector.build import Build
from gitsync.collector.judge import judge_files
from gitsync.collector.policy import AT_START, WARNINGS
from gitsync.diagnostics import Diagnostic, Severity
from tests.support.compiling import catalog, compiled
from tests.support.configrepo import tree_of
from tests.support.diagnostics_index import INDEX, PAGES, index_text, read_pages

ROOT = Path(__file__).parents[2]
ALL = read_pages()
NOT_RUN = {
    "GS0001": "it is about the input of a command; tests/unit/cli/test_ottl.py runs it",
    "GS0100": "it takes more than a hundred findings",
    "GS0101": "a page is UTF-8",
    "GS0102": "a page has no control characters",
    "GS0103": "it takes a large file",
    "GS0105": "it takes a large file",
    "GS0119": "it takes a long line",
    "GS0601": "a page cannot hold a link",
    "GS0602": "a page cannot hold a submodule",
    "GS0603": "some machines cannot hold both files",
    "GS0604": "a page is UTF-8",
    "GS0605": "it takes a large file",
    "GS0606": "it takes many files",
    "GS0607": "some machines cannot hold the file",
    "GS0699": "it takes a crash",
    "GS1052": "it takes a Collector with a feature gate",
    "GS0801": "it takes agents that report their components",
}
"""Codes whose example is a sentence, and why."""


@cache
def newest() -> Build:
    return catalog().build(None, [])


def found_in(blocks: Sequence[Block], *, bare: bool = False) -> list[Diagnostic]:
    """What the checks say about an example; an empty gitsync.yaml is added to a repository that is not `bare`."""
    first = blocks[0]
    if first.language == "ottl":
        assert len(blocks) == 1
        return list(judge(first.text.rstrip("\n"), first.kind, first.context, newest().newest.ottl))
    if first.file:
        files = {one.file: one.text for one in blocks}
        return list(compiled(tree_of(files, without_manifest=bare)).diagnostics)
    return list(judge_files([("collector.yaml", one.text.encode()) for one in blocks], newest()).diagnostics)


def reported_codes() -> set[str]:
    """Every code that stands in the source."""
    source = "\n".join(path.read_text() for path in (ROOT / "gitsync").rglob("*.py"))
    return set(re.findall(r'"(GS\d{4})"', source))


def test_there_is_a_page_for_every_code_and_no_other() -> None:
    assert ALL.keys() == reported_codes()
    assert len(ALL) > 100


def test_a_policy_chooses_the_severity_of_exactly_what_is_a_warning_in_a_repository() -> None:
    said = {code for code, page in ALL.items() if page.severity == "warning"}
    assert said >= AT_START
    assert {code for code in said if "error in a config repository" not in ALL[code].note} == WARNINGS - AT_START


@pytest.mark.parametrize("code", ALL)
def test_a_page_is_about_its_code_and_has_its_form(code: str) -> None:
    page = ALL[code]
    assert page.code == code
    assert page.title[0].islower() or page.title.startswith("TLS ")
    assert not page.title.endswith(".")
    assert page.cause.endswith(".")
    assert [len(line) for line in page.text.splitlines() if len(line) > 200] == []
    assert load_page(code) == page


@pytest.mark.parametrize("code", [code for code in ALL if code not in NOT_RUN])
def test_the_example_earns_the_code_and_the_fix_is_right(code: str) -> None:
    page = ALL[code]
    bad = found_in(page.example, bare=code == "GS0401")
    severities = {one.severity for one in bad if one.code == code}
    assert severities, [str(one) for one in bad]
    assert page.severity in severities
    assert page.fix, "show how it is right"
    good = found_in(page.fix)
    assert [str(one) for one in good if one.severity is Severity.ERROR or one.code == code] == []


@pytest.mark.parametrize("code", NOT_RUN)
def test_an_example_that_is_a_sentence_is_there(code: str) -> None:
    sections = re.split(r"^## \w+$", ALL[code].text, flags=re.MULTILINE)
    assert len(sections) == 4
    assert all(len(section.strip()) > 10 for section in sections[1:])


def test_the_index_lists_the_pages() -> None:
    text = INDEX.read_text()
    assert text == index_text(text), "run: python -m tests.support.diagnostics_index"


def test_a_family_without_a_section_is_not_forgotten() -> None:
    with pytest.raises(ValueError, match="no section for GS0001"):
        index_text("# Diagnostics\n")


def test_the_pages_of_the_package_are_those_of_the_documentation() -> None:
    link = ROOT / "gitsync" / "pages"
    assert link.is_symlink()
    assert link.resolve() == PAGES
