"""Texts inside of configurations that once took forever, or raised."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gitsync.ottl.judge import judge_text
from gitsync.ottl.literals.regex import read_regex
from gitsync.worker.schemas import load_catalog

SECONDS = 10

RUNS = {
    "blank lines with two ways to read each": "place('- |+\\r\\n' + '\\r\\n' * 60, Scalar('str', '\\n' * 60, "
    "Origin('x', 1, 3), '|'), 0)",
    "digits of a duration": "judge_text('Duration(\"' + '1' * 300_000 + 'x\")', 'value', 'span', TABLES)",
    "digits of a number": "judge_text('Double(\"' + '1' * 300_000 + 'x\")', 'value', 'span', TABLES)",
    "classes without an end": "read_regex('\\\\p{' * 20_000)",
    "names of groups without an end": "read_regex('(?<' * 20_000)",
    "repetitions of large classes": "[read_regex('([\\\\pN\\\\pL]{30}){30}%d' % one) for one in range(2_000)]",
}


@pytest.mark.parametrize("name", RUNS)
def test_a_text_with_many_ways_to_be_read_is_read_in_one(name: str) -> None:
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))\n"
        "from gitsync.collector.node import Origin, Scalar\n"
        "from gitsync.collector.places import place\n"
        "from gitsync.ottl.judge import judge_text\n"
        "from gitsync.ottl.literals.regex import read_regex\n"
        "from gitsync.worker.schemas import load_catalog\n"
        "TABLES = load_catalog().build('contrib', ('0.159.0',)).newest.ottl\n" + RUNS[name]
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_half_a_character_in_a_pattern_is_read_as_go_reads_it() -> None:
    assert not read_regex("a\ud800+").problem
    tables = load_catalog().build("contrib", ("0.159.0",)).newest.ottl
    assert judge_text('IsMatch(span.name, "\ud800(")', "condition", "span", tables)


@pytest.mark.parametrize(
    ("pattern", "names"), [(r"(?P<day>\d{4}-\d{2}-\d{2})\pL{3,}?", {"day"}), ("(?<a>x{100}){3}", {"a"})]
)
def test_a_pattern_of_a_usual_size_is_compiled(pattern: str, names: set[str]) -> None:
    found = read_regex(pattern)
    assert found.known
    assert found.names == names


def test_a_pattern_that_repeats_a_large_class_is_parsed_only() -> None:
    assert not read_regex(r"(\pL{30}){30}").known
    assert read_regex(r"(\pL{30}){30}(").problem
