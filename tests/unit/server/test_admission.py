"""The token bucket for new connections, and the room for what is arriving."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.server.admission import DRAIN_RETRY_SECONDS, MOST_SECONDS, Admission
from gitsync.server.budget import Budget


def admitted(bucket: Admission, now: float, wanted: int) -> int:
    return sum(bucket.admit(now) for _ in range(wanted))


def test_a_burst_comes_in_at_once_and_then_the_rate_holds() -> None:
    bucket = Admission(10, 100, 50.0)
    assert admitted(bucket, 50.0, 200) == 100
    assert admitted(bucket, 50.05, 200) == 0
    assert admitted(bucket, 51.05, 200) == 10
    assert admitted(bucket, 1000.0, 200) == 100


@given(
    rate=st.floats(1, 5000),
    burst=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 2), st.integers(0, 300)), max_size=30),
)
def test_never_more_come_in_than_burst_and_rate_allow(rate: float, burst: int, steps: list[tuple[float, int]]) -> None:
    bucket, now, came_in = Admission(rate, burst, 0.0), 0.0, 0
    for later, wanted in steps:
        now += later
        came_in += admitted(bucket, now, wanted)
    assert came_in <= burst + rate * now + 1e-6


def test_few_who_are_refused_come_back_within_a_minute_and_spread_evenly() -> None:
    bucket = Admission(1000, 1, 0.0)
    times = sorted(bucket.retry_after(0.0) for _ in range(300))
    assert 30 <= times[0] <= 32
    assert 58 <= times[-1] <= 61
    per_second = [times.count(second) for second in range(30, 62)]
    assert max(per_second) <= 12


def test_the_spread_grows_with_those_who_were_refused_lately_and_shrinks_again() -> None:
    bucket = Admission(100, 1, 0.0)
    latest = max(bucket.retry_after(0.0) for _ in range(20_000))
    assert 200 <= latest <= 60 + 200
    # 190 s later the bucket could have let nearly all of them in.
    assert max(bucket.retry_after(190.0) for _ in range(100)) <= 75


def test_at_the_rate_of_the_bucket_they_all_find_room_when_they_come_back() -> None:
    bucket = Admission(100, 1, 0.0)
    times = sorted(bucket.retry_after(0.0) for _ in range(20_000))
    for second in range(30, 260, 10):
        assert sum(1 for one in times if second <= one < second + 10) <= 1050


def test_nobody_is_sent_away_for_more_than_ten_minutes_and_even_then_they_are_spread() -> None:
    bucket = Admission(1, 1, 0.0)
    times = [bucket.retry_after(0.0) for _ in range(5000)][1000:]
    assert max(times) == MOST_SECONDS
    assert max(times.count(second) for second in times) < 15


def test_a_server_that_stops_sends_agents_away_for_seconds_only() -> None:
    bucket = Admission(2000, 1, 0.0)
    times = [bucket.retry_after(0.0, DRAIN_RETRY_SECONDS) for _ in range(50)]
    assert min(times) >= DRAIN_RETRY_SECONDS
    assert max(times) <= 2 * DRAIN_RETRY_SECONDS + 1
    assert any(first != second for first, second in pairwise(times))


# ── Budget ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_does_not_fit_takes_nothing() -> None:
    budget = Budget(100)
    assert budget.take(60)
    assert not budget.take(41)
    assert budget.used == 60
    budget.give(20)
    assert budget.take(60)


@pytest.mark.parametrize(("wanted", "held", "used"), [(0, 0, 50), (30, 30, 80), (10, 10, 60), (51, 20, 70)])
def test_a_connection_changes_what_it_holds_or_keeps_it(wanted: int, held: int, used: int) -> None:
    budget = Budget(100)
    budget.take(70)  # of which 20 are the connection's
    assert budget.change(20, wanted) == held
    assert budget.used == used
