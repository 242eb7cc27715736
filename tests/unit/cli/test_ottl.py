from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from gitsync.cli.ottl import LONGEST_LINE, judge
from gitsync.cli.validate import load_build
from tests.unit.cli.conftest import Outcome, gitsync


@contextlib.contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(data))
    try:
        yield
    finally:
        sys.stdin = before


def stream(*requests: Any) -> tuple[Outcome, list[Any]]:
    """What `--jsonl` answers to these lines; what is not bytes becomes JSON."""
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in requests]
    with standard_input(b"\n".join(lines)):
        done = gitsync("ottl", "check", "--jsonl")
    return done, [json.loads(line) for line in done.out.splitlines()]


def a_request(text: str = 'set(span.name, "x")', context: str = "span", kind: str = "statement") -> dict[str, str]:
    return {"context": context, "kind": kind, "text": text}


@pytest.mark.parametrize(
    ("context", "kind", "text"),
    [
        ("span", "statement", 'set(span.name, "x") where resource.attributes["env"] == "prod"'),
        ("log", "condition", 'IsMatch(log.body, "(?i)error")'),
        ("datapoint", "value", "datapoint.value_int * 2"),
        ("metric", "statement", "convert_sum_to_gauge()"),
    ],
)
def test_a_valid_text_is_valid(context: str, kind: str, text: str) -> None:
    done = gitsync("ottl", "check", "--context", context, "--kind", kind, text)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"valid: {kind} in the context {context}, Collector ")
    assert done.out.endswith(", nothing found\n")


def test_the_mark_stands_below_what_is_wrong() -> None:
    text = 'set(span.nmae, "x")'
    done = gitsync("ottl", "check", "-c", "span", text)
    assert done.code == 1
    first, line, mark, hint, *_, last = done.out.splitlines()
    assert first == '1:5: error GS1023: there is no path "span.nmae"'
    assert line == f"  1 | {text}"
    assert mark == "    |     ^^^^^^^^^"
    assert hint == "  hint: did you mean span.name?"
    assert last.startswith("invalid: statement in the context span")


def test_a_text_of_several_lines_has_its_lines() -> None:
    done = gitsync("ottl", "check", "-c", "span", 'set(span.name, "x")\n  where span.kindd == 1')
    assert done.code == 1
    assert done.out.splitlines()[:3] == [
        '2:9: error GS1023: there is no path "span.kindd"',
        "  2 |   where span.kindd == 1",
        "    |         ^^^^^^^^^^",
    ]


def test_a_warning_leaves_a_text_valid() -> None:
    done = gitsync("ottl", "check", "-c", "span", 'delete_key(span.name, "x")')
    assert done.code == 0
    assert "warning GS1080" in done.out


def test_findings_are_also_a_document() -> None:
    done = gitsync("ottl", "check", "-c", "span", 'set(span.name, "x', "-o", "json")
    document = json.loads(done.out)
    assert (done.code, document["valid"]) == (1, False)
    (one,) = document["diagnostics"]
    assert (one["code"], one["severity"], one["path"], one["line"], one["column"]) == ("GS1004", "error", "", 1, 16)
    done = gitsync("ottl", "check", "-c", "span", 'set(span.name, "x")', "-o", "json")
    assert json.loads(done.out) == {"valid": True, "diagnostics": []}


def test_a_text_can_come_from_standard_input() -> None:
    with standard_input(b'set(span.name, "x")\n'):
        assert gitsync("ottl", "check", "-c", "span", "-").code == 0
    with standard_input(b"\xff"):
        assert gitsync("ottl", "check", "-c", "span", "-").code == 2
    with standard_input(b" " * (LONGEST_LINE + 1)):
        assert gitsync("ottl", "check", "-c", "span", "-").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-c", "span"], "the text is missing"),
        (["set()"], "the context is missing"),
        (["-c", "spam", "set()"], 'there is no context "spam"'),
        (["--jsonl", "set()"], "--jsonl takes no text"),
        (["--jsonl", "-c", "span"], "--jsonl takes no text"),
        (["-c", "span", "--collector-version", "new", "set()"], '"new" is no version of the Collector'),
        (["-c", "span", "--kind", "script", "set()"], "--kind"),
    ],
)
def test_what_cannot_be_checked_is_exit_code_2(arguments: list[str], said: str) -> None:
    done = gitsync("ottl", "check", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "hint: " in done.err


def test_a_stream_answers_each_line_in_order() -> None:
    done, answers = stream(
        a_request(),
        a_request("set(span.nmae, 1)"),
        a_request('span.name == "x"', kind="condition"),
        a_request("log.time", "log", "value"),
    )
    assert (done.code, done.err) == (1, "")
    assert [one["valid"] for one in answers] == [True, False, True, True]
    assert all(set(one) == {"valid", "diagnostics"} for one in answers)
    assert answers[1]["diagnostics"][0]["code"] == "GS1023"


def test_a_stream_of_valid_texts_is_exit_code_0() -> None:
    done, answers = stream(a_request(), a_request())
    assert (done.code, len(answers)) == (0, 2)
    assert stream()[0] == Outcome(0, "", "")


@pytest.mark.parametrize(
    ("request_line", "said"),
    [
        (b"{", "the line is not JSON"),
        (b"", "the line is empty"),
        (b"\xff\xfe", "the line is not JSON"),
        (b"[" * 100_000, "the line is not JSON"),
        (b"1" * 5_000, "the line is not JSON"),
        (b"[]", "the line is not a JSON object"),
        (b"null", "the line is not a JSON object"),
        ({"context": "span", "kind": "statement"}, 'the line has no "text"'),
        ({"context": "span", "kind": "statement", "text": 1}, 'the line has no "text"'),
        (a_request(context="spam"), 'there is no context "spam"'),
        ({**a_request(), "context": {}}, 'the line has no "context"'),
        (a_request(kind="script"), 'there is no kind "script"'),
        ({**a_request(), "kind": []}, 'the line has no "kind"'),
        ({"context": "span", "text": "x"}, 'the line has no "kind"'),
        (b'{"text": "' + b"x" * LONGEST_LINE + b'"}', "the line has more than"),
    ],
)
def test_a_line_that_is_no_request_is_invalid_and_the_others_go_on(request_line: Any, said: str) -> None:
    done, answers = stream(a_request(), request_line, a_request())
    assert (done.code, done.err) == (1, "")
    assert [one["valid"] for one in answers] == [True, False, True]
    (found,) = answers[1]["diagnostics"]
    assert (found["code"], found["severity"]) == ("GS0001", "error")
    assert said in found["message"]


@pytest.mark.parametrize(
    "text", ["", "\x00", "\ud800", "(" * 20_000, '"' + "\\" * 50_000, "a." * 50_000, "1+" * 50_000]
)
def test_hostile_texts_are_answered(text: str) -> None:
    _, (answer, after) = stream(a_request(text), a_request())
    assert answer["valid"] is False
    assert after["valid"] is True


def test_a_program_can_wait_for_each_answer() -> None:
    command = [sys.executable, "-m", "gitsync", "ottl", "check", "--jsonl"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text, valid in (('set(span.name, "x")', True), ("drop()", False), ('set(span.name, "y")', True)):
            process.stdin.write(json.dumps(a_request(text)) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["valid"] is valid
        process.stdin.close()
        assert process.wait(30) == 1


def test_thousands_of_lines_are_answered_one_by_one() -> None:
    texts = [a_request(f'set(span.attributes["a{number}"], Concat(["a", span.name], "-"))') for number in range(3_000)]
    done, answers = stream(*texts)
    assert (done.code, len(answers)) == (0, 3_000)


def test_places_are_those_of_the_text() -> None:
    tables = load_build(None, []).newest.ottl
    (found,) = judge('\n\n  set(span.nmae,\n"x")', "statement", "span", tables)
    assert (found.path, found.line, found.column) == ("", 3, 7)
    (end,) = judge("set(span.name,", "statement", "span", tables)
    assert (end.line, end.column) >= (1, 4)
