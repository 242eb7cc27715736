"""Files of OTTL beside a configuration."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.collector.policy import Policy
from gitsync.collector.script import LONGEST_LINES, check_script, read_script
from gitsync.diagnostics import Diagnostic, Severity
from tests.support.compiling import catalog

BUILD = catalog().build(None, [])
TWO = catalog().build(None, ["0.149.0", "0.159.0"])
GOOD = """\
# Cookies never leave the host.
delete_key(span.attributes, "http.request.header.cookie")

set(log.attributes["team"], "checkout")
    where resource.attributes["service.name"] == "cart"
\t# not in production
      and log.severity_number >= SEVERITY_NUMBER_WARN
"""


def found(text: str) -> list[Diagnostic]:
    """What is wrong, without the word about what is not built yet."""
    return [one for one in check_script("a.ottl", text, BUILD) if one.code != "GS0913"]


def test_statements_begin_at_the_left_and_go_on_on_indented_lines() -> None:
    first, second = read_script(GOOD)
    assert first.text == 'delete_key(span.attributes, "http.request.header.cookie")'
    assert [number for number, _ in second.lines] == [4, 5, 7]
    place = second.place("a.ottl", second.text.index("severity_number"))
    assert (place.line, GOOD.splitlines()[6][place.column - 1 :]) == (7, "severity_number >= SEVERITY_NUMBER_WARN")


def test_a_good_file_has_one_word_about_it_at_its_first_statement() -> None:
    (only,) = check_script("a.ottl", GOOD, BUILD)
    assert (only.severity, only.code, only.line, only.column) == (Severity.WARNING, "GS0913", 2, 1)


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n  # at all"])
def test_a_file_without_statements_is_fine(text: str) -> None:
    assert check_script("a.ottl", text, BUILD) == ()


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("set(span.name)", "GS1043", (1, 1)),
        ('set(span.name, "a")\nset(span.nme, "a")', "GS1023", (2, 5)),
        ('set(span.name, "a")\n  where span.duration > 1', "GS1023", (2, 9)),
        ('set(span.name, "a")\r\n  where span.duration > 1\r\n', "GS1023", (2, 9)),
        ('  set(span.name, "a") where nothing == 1', "GS1021", (1, 29)),
        ('set(span.name, "a"', "GS1009", (1, 4)),
        ("set(span.name, 'a')", "GS1003", (1, 16)),
        ('drop() where span.name == "a"', "GS1040", (1, 1)),
        ('set(name, "a")', "GS1030", (1, 5)),
    ],
)
def test_a_fault_is_shown_at_its_line_and_column(text: str, code: str, place: tuple[int, int]) -> None:
    (one,) = found(text)
    assert (one.severity, one.code, (one.line, one.column)) == (Severity.ERROR, code, place)


def test_each_statement_has_a_context_of_its_own() -> None:
    assert (
        found('set(span.name, "a")\nset(log.body, "b")\nset(datapoint.flags, 1)\nset(resource.attributes["a"], 1)')
        == []
    )


def test_a_function_that_only_one_version_has_is_said_to_be_missing_in_the_other() -> None:
    text = 'set(log.attributes["a"], ParseCLF(log.body))'
    assert found(text) == []
    (one,) = [one for one in check_script("a.ottl", text, TWO) if one.code != "GS0913"]
    assert (one.line, one.column) == (1, 26)
    assert one.message.endswith("(in 0.149.0)")
    (both,) = [one for one in check_script("a.ottl", "nope(span.name)", TWO) if one.code != "GS0913"]
    assert "(in " not in both.message


def test_severities_of_a_policy_count_here_too() -> None:
    text = 'set(span.kind, "a")'
    (warning,) = found(text)
    assert warning.severity is Severity.WARNING
    quiet = Policy(severity={"GS0913": None, warning.code: None})
    assert check_script("a.ottl", text, BUILD, quiet) == ()
    strict = Policy(severity={"GS0913": Severity.ERROR, warning.code: Severity.ERROR})
    assert {one.severity for one in check_script("a.ottl", text, BUILD, strict)} == {Severity.ERROR}


def test_a_statement_of_very_many_lines_is_cut() -> None:
    text = "set(span.name,\n" + "  \n" + "  1,\n" * (3 * LONGEST_LINES) + '  "a")\n'
    statements = list(read_script(text))
    assert max(len(one.lines) for one in statements) == LONGEST_LINES
    assert any(one.severity is Severity.ERROR for one in check_script("a.ottl", text, BUILD))


@given(st.text(alphabet=st.sampled_from(' \t\n\r\x0b\x85\u2028#set(a.b,"x")\\é\0'), max_size=200))
def test_whatever_is_written_is_found_at_places_of_the_file(text: str) -> None:
    lines = text.splitlines()
    for one in check_script("a.ottl", text, BUILD):
        assert 1 <= one.line <= len(lines)
        assert 1 <= one.column <= len(lines[one.line - 1]) + 1
    numbers = [number for one in read_script(text) for number, _ in one.lines]
    assert all(before < after for before, after in pairwise(numbers))
