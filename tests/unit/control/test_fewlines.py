"""`FewLines`: few lines, however much is wrong and whoever comes and goes."""

from __future__ import annotations

import logging

import pytest

from gitsync.control.fewlines import FewLines
from tests.support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lines(clock: ManualClock) -> FewLines:
    return FewLines(logging.getLogger("test"), clock.monotonic, lines=10, seconds=10.0)


def test_a_line_names_the_peer_and_the_kind(lines: FewLines, caplog: pytest.LogCaptureFixture) -> None:
    lines.note("http.404", "192.0.2.7:41000", "nothing here")
    assert caplog.messages == ["192.0.2.7:41000: nothing here (http.404)"]
    assert caplog.records[0].levelno == logging.WARNING


def test_a_kind_that_says_all_needs_no_text(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    lines = FewLines(logging.getLogger("test"), clock.monotonic, level=logging.INFO)
    with caplog.at_level(logging.INFO):
        lines.note("Agent connected", "192.0.2.7:41000")
    assert caplog.messages == ["Agent connected: 192.0.2.7:41000"]
    assert caplog.records[0].levelno == logging.INFO


def test_of_a_flood_ten_lines_are_written_and_the_rest_is_counted(
    lines: FewLines, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(17):
        lines.note("http.404", f"192.0.2.7:{number}", "nothing here")
    lines.note("http.500", "192.0.2.8:1", "broken")
    assert len(caplog.records) == 11, "each kind is counted for itself"
    clock.advance(10)
    lines.note("http.404", "192.0.2.9:1", "nothing here")
    assert caplog.messages[11:] == [
        "http.404: 7 more like it since then",
        "192.0.2.9:1: nothing here (http.404)",
    ]


def test_what_was_left_out_is_said_though_nothing_more_comes(
    lines: FewLines, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(12):
        lines.note("http.404", f"192.0.2.7:{number}", "nothing here")
    lines.tell()
    assert len(caplog.records) == 10, "its period is not over"
    clock.advance(10)
    lines.tell()
    lines.tell()
    assert caplog.messages[10:] == ["http.404: 2 more like it since then"]


def test_at_the_end_what_was_left_out_is_said_before_its_time(
    lines: FewLines, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(12):
        lines.note("http.404", f"192.0.2.7:{number}", "nothing here")
    lines.tell(early=True)
    lines.tell(early=True)
    assert caplog.messages[10:] == ["http.404: 2 more like it since then"]


def test_after_a_quiet_time_nothing_is_counted_from_before(
    lines: FewLines, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        lines.note("http.404", "192.0.2.7:41000", "nothing here")
        clock.advance(10)
    assert len(caplog.records) == 3
