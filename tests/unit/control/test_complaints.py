"""`Complaints`: few lines, however much is wrong."""

from __future__ import annotations

import logging

import pytest

from gitsync.control.complaints import LINES_PER_PERIOD, PERIOD_SECONDS, Complaints


def test_a_complaint_names_the_peer(caplog: pytest.LogCaptureFixture) -> None:
    Complaints(logging.getLogger("test")).note("192.0.2.7:41000", "this is no message", 100.0)
    assert [one.getMessage() for one in caplog.records] == ["192.0.2.7:41000: this is no message"]


def test_of_a_flood_ten_lines_are_written_and_the_rest_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(logging.getLogger("test"))
    for _ in range(LINES_PER_PERIOD + 7):
        complaints.note("192.0.2.7:41000", "this is no message", 100.0)
    assert len(caplog.records) == LINES_PER_PERIOD
    complaints.note("192.0.2.8:41000", "nor is this", 100.0 + PERIOD_SECONDS)
    assert [one.getMessage() for one in caplog.records[LINES_PER_PERIOD:]] == [
        "7 more messages could not be read",
        "192.0.2.8:41000: nor is this",
    ]


def test_after_a_quiet_time_nothing_is_counted_from_before(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(logging.getLogger("test"))
    for period in range(3):
        complaints.note("192.0.2.7:41000", "this is no message", 100.0 + period * PERIOD_SECONDS)
    assert len(caplog.records) == 3
