"""What is counted: buckets, and what counts as the time of a push."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from gitsync.control.meters import BUCKETS_SECONDS, Histogram
from tests.support.builders import a_version
from tests.support.clock import ManualClock
from tests.support.fleet import FleetUnderTest, TestAgent, a_fleet


def test_the_buckets_double_from_a_millisecond() -> None:
    assert BUCKETS_SECONDS[0] == 0.001
    assert all(high == 2 * low for low, high in pairwise(BUCKETS_SECONDS))
    assert len(BUCKETS_SECONDS) == 10


def test_an_observation_counts_in_every_bucket_that_it_fits() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 99.0):
        histogram.observe(value)
    assert histogram.cumulative() == [("1.0", 2), ("2.0", 3), ("+Inf", 4)]
    assert histogram.total == 102.0


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetUnderTest]:
    async with a_fleet(tmp_path / "fleet.db") as fleet:
        yield fleet


@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_a_push_takes_from_the_publication_to_the_offer(fleet: FleetUnderTest, transport: str) -> None:
    clock: ManualClock = fleet.clock
    fleet.publish(a_version(text="a"))
    agent = TestAgent(fleet, transport=transport).connect()
    clock.advance(3600)
    await fleet.settle()
    agent.beat()
    await fleet.settle()
    agent.beat()
    assert len(agent.configs) == 1
    # It came an hour after the publication: that is no slow push.
    assert fleet.meters.push_seconds.cumulative()[-1] == ("+Inf", 0)
    agent.apply()
    await fleet.settle()
    fleet.publish(a_version(text="b"))
    clock.advance(0.2)
    await fleet.settle()
    agent.hear()
    agent.beat()
    assert len(agent.configs) == 2
    assert fleet.meters.push_seconds.cumulative()[-1] == ("+Inf", 1)
    assert fleet.meters.push_seconds.total == pytest.approx(0.2)
