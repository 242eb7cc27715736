from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gitsync.cli.explain_code import terminal_lines
from gitsync.cli.page import Block, list_codes, load_page, parse_page
from tests.unit.cli.conftest import gitsync

PAGES = Path(__file__).parents[3] / "docs" / "reference" / "diagnostics"
PAGE = """# GS0231: unknown key

Severity: warning; an error in a config repository

## Cause

A key in `code`, see [there](GS0232.md).

## Example

```yaml
# file: a/target.yaml
selector: {}
```

```yaml
receivers: {}
```

## Fix

Write this.

Condition in the context `span`:

```ottl
span.name == "x"
```
"""


@pytest.mark.parametrize("arguments", [["GS0231"], ["gs0231"], ["0231"], ["code", "GS0231"]])
def test_a_code_is_explained_with_and_without_the_word_code(arguments: list[str]) -> None:
    done = gitsync("explain", *arguments)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "GS0231: unknown key"
    assert {"Cause", "Example", "Fix"} <= set(lines)
    assert "```" not in done.out
    assert any(line.startswith("    receivers:") for line in lines)


def test_the_page_is_also_markdown_and_a_document() -> None:
    assert gitsync("explain", "GS0231", "-o", "md").out == (PAGES / "GS0231.md").read_text()
    document = json.loads(gitsync("explain", "GS0231", "--output", "json").out)
    assert (document["kind"], document["code"], document["severity"]) == ("DiagnosticCode", "GS0231", "error")
    assert document["title"] == "unknown key"
    assert document["cause"].startswith("The component has no such setting.")
    assert document["example"][0]["language"] == "yaml"
    assert document["url"].endswith("/GS0231.md")


@pytest.mark.parametrize(
    ("code", "near"),
    [("GS0299", "GS0287"), ("gs9999", "GS1107"), ("231x", "GS0231"), ("GS0000", "GS0001"), ("GS0229", "GS0230")],
)
def test_an_unknown_code_names_the_nearest_ones(code: str, near: str) -> None:
    done = gitsync("explain", code)
    assert (done.code, done.out) == (2, "")
    error, hint = done.err.splitlines()
    assert error == f'error: there is no code "{code}"'
    named = re.findall(r"GS\d{4}", hint)
    assert near in named
    assert set(named) <= set(list_codes())


@pytest.mark.parametrize("code", ["nonsense", "GS" + "9" * 5000, "../GS0231", "GS0231/", "ＧＳ", "GS٣"])
def test_what_is_no_code_at_all_is_told_how_to_list_them(code: str) -> None:
    done = gitsync("explain", code)
    assert (done.code, done.out) == (2, "")
    assert "gitsync explain --list" in done.err


def test_all_codes_are_listed_with_their_titles() -> None:
    lines = gitsync("explain", "--list").out.splitlines()
    assert [line.split()[0] for line in lines] == list_codes() == sorted(path.stem for path in PAGES.glob("*.md"))
    assert "GS0231  error    unknown key" in lines
    items = json.loads(gitsync("explain", "--list", "-o", "json").out)["items"]
    assert {"code": "GS0231", "severity": "error", "title": "unknown key"} in items


@pytest.mark.parametrize("arguments", [["code"], ["GS0231", "--list"]])
def test_one_code_or_the_list_is_asked_for(arguments: list[str]) -> None:
    done = gitsync("explain", *arguments)
    assert (done.code, done.out) == (2, "")
    assert "name one code, or give --list" in done.err


@pytest.mark.parametrize("arguments", [["explain"], ["explain", "--help"]])
def test_help_shows_that_a_code_can_stand_there(arguments: list[str]) -> None:
    done = gitsync(*arguments, "--help") if len(arguments) == 1 else gitsync(*arguments)
    assert "gitsync explain [OPTIONS] CODE | COMMAND [ARGS]..." in done.out
    assert "agent" in done.out


def test_agents_are_still_explained_by_their_own_command() -> None:
    done = gitsync("explain", "agent", "web-1", "--server", "http://127.0.0.1:1")
    assert done.code == 2
    assert "code" not in done.err.splitlines()[0]


def test_a_page_has_parts() -> None:
    page = parse_page(PAGE)
    assert (page.code, page.title, page.severity) == ("GS0231", "unknown key", "warning")
    assert page.note == "warning; an error in a config repository"
    assert page.example == (Block("yaml", "selector: {}\n", "a/target.yaml"), Block("yaml", "receivers: {}\n"))
    assert page.fix == (Block("ottl", 'span.name == "x"\n', "", "condition", "span"),)
    assert page.fix[0].as_json() == {
        "language": "ottl",
        "kind": "condition",
        "context": "span",
        "text": 'span.name == "x"\n',
    }


@pytest.mark.parametrize("missing", ["# GS0231: unknown key\n", "Severity: ", "## Cause\n", "## Fix\n"])
def test_a_text_without_the_form_of_a_page_is_none(missing: str) -> None:
    with pytest.raises(ValueError, match="not a page"):
        parse_page(PAGE.replace(missing, ""))


def test_a_terminal_gets_no_markup() -> None:
    lines = list(terminal_lines(PAGE, width=80, coloured=False))
    assert "A key in code, see there." in lines
    assert "    # file: a/target.yaml" in lines
    bold = list(terminal_lines(PAGE, width=80, coloured=True))
    assert bold[0] == "\x1b[1mGS0231: unknown key\x1b[0m"


def test_a_page_that_does_not_exist_is_none() -> None:
    assert load_page("GS0000") is None
    assert load_page("../../README") is None


def test_paragraphs_fit_the_terminal_and_code_stays_as_it_is() -> None:
    code = "x: " + "y" * 200
    lines = list(
        terminal_lines(
            f"one `two`\nthree [four](there) five\n\n```yaml\n# no heading\n\n{code}\n```\n", width=13, coloured=True
        )
    )
    assert lines == ["one two three", "four five", "", "    # no heading", "", f"    {code}", ""]
