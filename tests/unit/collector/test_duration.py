"""Go's durations, read and written."""

import pytest

from gitsync.collector.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("+5s", 5 * 10**9),
        ("-1.5h", -5400 * 10**9),
        (".5s", 5 * 10**8),
        ("1.s", 10**9),
        ("1h1m1s1ms1us1ns", 3661001001001),
        ("1µs", 1000),
        ("1μs", 1000),
        ("9223372036854775807ns", 2**63 - 1),
        ("-9223372036854775808ns", -(2**63)),
        ("0.3333333333333333333h", 1199999999999),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "+",
        "5",
        "s",
        ".s",
        "1d",
        "1 s",
        " 1s",
        "1s ",
        "1S",
        "--1s",
        "1e3s",
        "9223372036854775808ns",
        "1" * 200 + "s",
    ],
)
def test_what_go_refuses_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (10, "10ns"),
        (1500, "1.5us"),
        (-200 * 10**6, "-200ms"),
        (90 * 10**9, "1m30s"),
        (3600 * 10**9, "1h"),
        (3601 * 10**9 + 5, "1h1.000000005s"),
    ],
)
def test_a_duration_is_written_in_its_largest_units(nanoseconds: int, text: str) -> None:
    assert format_duration(nanoseconds) == text
