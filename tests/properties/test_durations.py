"""Durations that are written are read as the same."""

from hypothesis import given
from hypothesis import strategies as st

from gitsync.collector.duration import format_duration, parse_duration


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_written_duration_is_read_as_the_same_number(nanoseconds: int) -> None:
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@given(st.text(alphabet="0123456789.hmsnuµ+- ", max_size=30))
def test_any_text_is_a_duration_or_none(text: str) -> None:
    parsed = parse_duration(text)
    assert parsed is None or -(2**63) <= parsed < 2**63
