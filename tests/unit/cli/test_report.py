from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gitsync.cli.page import address
from gitsync.cli.report import Judgement, excerpt, summary
from gitsync.cli.report_github import list_annotations
from gitsync.cli.report_sarif import sarif
from gitsync.diagnostics import Diagnostic, Severity
from tests.unit.cli.conftest import gitsync


def a_finding(
    *,
    path: str = "f.yaml",
    line: int = 1,
    column: int = 1,
    severity: Severity = Severity.ERROR,
    code: str = "GS0231",
    message: str = "wrong",
    hint: str = "do this",
) -> Diagnostic:
    return Diagnostic(path, line, column, severity, code, message, hint)


def judged(*found: Diagnostic, root: str = "") -> Judgement:
    return Judgement(("f.yaml",), not any(one.severity is Severity.ERROR for one in found), found, root=root)


@pytest.mark.parametrize(
    ("line", "column", "text", "expected"),
    [
        (1, 3, "a: b", ["  1 | a: b", "    |   ^"]),
        (1, 4, "\ta: b", ["  1 |     a: b", "    |       ^"]),
        (1, 0, "a", ["  1 | a"]),
        (0, 0, "a", []),
        (9, 1, "a", []),
        (1, 2, "\x1b[2J", ["  1 | \\x1b[2J", "    |     ^"]),
        (1, 4, "東京: b", ["  1 | 東京: b", "    |      ^"]),
        (1, 3, "e\u0301: b", ["  1 | e\u0301: b", "    |  ^"]),
        (1, 9, "a: b", ["  1 | a: b", "    |     ^"]),
    ],
)
def test_the_mark_stands_below_the_column(line: int, column: int, text: str, expected: list[str]) -> None:
    assert excerpt(a_finding(line=line, column=column), [text])[1:] == [*expected, "  hint: do this", ""]


@pytest.mark.parametrize(
    ("column", "width", "mark"), [(5, 4, "^^^^"), (5, 99, "^^^^^^^^"), (12, 3, "^"), (13, 1, "^"), (1, 1, "^")]
)
def test_the_mark_is_as_wide_as_what_is_wrong_and_ends_with_the_line(column: int, width: int, mark: str) -> None:
    shown = excerpt(a_finding(column=column), ["set(span.nam"], width=width)
    assert shown[2] == "    | " + " " * (column - 1) + mark


@pytest.mark.parametrize("column", [1, 80, 5_000, 9_999, 10_000])
def test_of_a_long_line_the_part_around_the_place_is_shown(column: int) -> None:
    text = "x" * (column - 1) + "!" + "x" * (10_000 - column)
    _, line, mark, *_ = excerpt(a_finding(column=column), [text])
    assert len(line) < 180
    assert line[mark.index("^")] == "!"


def test_colours_are_used_where_they_are_wanted_and_change_no_letter() -> None:
    finding = a_finding(severity=Severity.WARNING)
    plain, coloured = excerpt(finding, ["a: b"]), excerpt(finding, ["a: b"], coloured=True)
    assert "\x1b[" not in "".join(plain)
    assert "\x1b[33m" in coloured[0]
    assert [re.sub(r"\x1b\[\d+m", "", line) for line in coloured] == plain


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        (a_finding(), "::error file=f.yaml,line=1,col=1,title=GS0231::wrong (do this)"),
        (a_finding(hint=""), "::error file=f.yaml,line=1,col=1,title=GS0231::wrong"),
        (a_finding(path="\udcff\x1b.yaml", hint=""), "::error file=\\udcff\\x1b.yaml,line=1,col=1,title=GS0231::wrong"),
        (a_finding(column=0), "::error file=f.yaml,line=1,title=GS0231::wrong (do this)"),
        (a_finding(line=0, column=0), "::error file=f.yaml,title=GS0231::wrong (do this)"),
        (a_finding(path="", line=0, column=0), "::error title=GS0231::wrong (do this)"),
        (
            a_finding(severity=Severity.WARNING, path="a,b:c%.yaml", message="50 % of ::x", hint=""),
            "::warning file=a%2Cb%3Ac%25.yaml,line=1,col=1,title=GS0231::50 %25 of ::x",
        ),
        (
            a_finding(message="two\n::error::lines", hint=""),
            "::error file=f.yaml,line=1,col=1,title=GS0231::two\\n::error::lines",
        ),
    ],
)
def test_an_annotation_is_one_line_with_its_escapes(finding: Diagnostic, line: str) -> None:
    assert list(list_annotations(judged(finding))) == [line]


def test_places_begin_where_the_command_runs() -> None:
    (line,) = list_annotations(judged(a_finding(), root="fleet/"))
    assert "file=fleet/f.yaml" in line
    (result,) = sarif(judged(a_finding(), root="fleet/"))["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "fleet/f.yaml"


def test_a_sarif_log_has_a_rule_for_each_code_and_a_result_for_each_finding() -> None:
    found = (
        a_finding(),
        a_finding(line=2, column=0, code="GS0217", severity=Severity.WARNING, hint=""),
        a_finding(line=3, column=7, message="other"),
    )
    log = sarif(judged(*found))
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    run = log["runs"][0]
    driver, results = run["tool"]["driver"], run["results"]
    assert driver["name"] == "gitsync"
    assert [one["id"] for one in driver["rules"]] == ["GS0217", "GS0231"]
    assert driver["rules"][1]["shortDescription"] == {"text": "unknown key"}
    assert driver["rules"][0]["defaultConfiguration"] == {"level": "warning"}
    assert all(one["helpUri"] == address(one["id"]) for one in driver["rules"])
    assert [(one["ruleId"], one["level"]) for one in results] == [
        ("GS0231", "error"),
        ("GS0217", "warning"),
        ("GS0231", "error"),
    ]
    assert all(driver["rules"][one["ruleIndex"]]["id"] == one["ruleId"] for one in results)
    assert results[0]["message"] == {"text": "wrong (do this)"}
    regions = [one["locations"][0]["physicalLocation"]["region"] for one in results]
    assert regions == [{"startLine": 1, "startColumn": 1}, {"startLine": 2}, {"startLine": 3, "startColumn": 7}]
    assert run["columnKind"] == "unicodeCodePoints"


@pytest.mark.parametrize(
    ("path", "line", "uri"),
    [
        ("a b/ä.yaml", 1, "a%20b/%C3%A4.yaml"),
        ("env=prod/c.yaml", 1, "env=prod/c.yaml"),
        ("a:b.yaml", 1, "a%3Ab.yaml"),
        ("\udcff.yaml", 1, "%FF.yaml"),
        ("/etc/otelcol/c.yaml", 1, "file:///etc/otelcol/c.yaml"),
        ("", 0, "gitsync.yaml"),
    ],
)
def test_every_result_of_sarif_has_a_place_that_is_a_uri(path: str, line: int, uri: str) -> None:
    (result,) = sarif(judged(a_finding(path=path, line=line)))["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": uri}
    assert ("region" in place) is bool(path)


def test_a_code_without_a_page_is_a_rule_all_the_same() -> None:
    run: dict[str, Any] = sarif(judged(a_finding(code="GS9999")))["runs"][0]
    assert run["tool"]["driver"]["rules"] == [{"id": "GS9999", "helpUri": address("GS9999")}]


def test_nothing_found_is_a_log_without_results() -> None:
    run = sarif(judged())["runs"][0]
    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])


def test_strict_makes_errors_of_warnings() -> None:
    lenient = judged(a_finding(severity=Severity.WARNING))
    assert lenient.valid
    strict = lenient.strict()
    assert (strict.valid, [one.severity for one in strict.diagnostics]) == (False, [Severity.ERROR])
    assert judged().strict().valid


def test_a_summary_counts_files_and_findings() -> None:
    found = (a_finding(), a_finding(line=2), a_finding(severity=Severity.WARNING))
    assert summary(judged(*found)) == "invalid: 1 file, 2 errors, 1 warning"


@pytest.mark.parametrize("report", ["text", "json", "jsonl", "sarif", "github"])
def test_every_report_of_a_repository_tells_the_same(tmp_path: Path, report: str) -> None:
    (tmp_path / "gitsync.yaml").write_text("aliasses: {}\n")
    done = gitsync("validate", str(tmp_path), "-o", report)
    assert (done.code, done.err) == (1, "")
    assert "GS0402" in done.out
    if report in ("json", "jsonl", "sarif"):
        json.loads(done.out)
